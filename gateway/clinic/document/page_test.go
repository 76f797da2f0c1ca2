package document_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/page"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/lab/corpus"
)

func render(t testing.TB, b []byte, o document.RenderOptions) []byte {
	t.Helper()
	var w bytes.Buffer
	if err := document.Render(&w, bytes.NewReader(b), int64(len(b)), o); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

// checkPage says what is wrong with a page: elements or attributes outside the fixed set, links that
// lead out, a tree that a browser would build differently from how it was written.
func checkPage(b []byte) error {
	written := map[string]int{}
	z := html.NewTokenizer(bytes.NewReader(b))
	for {
		tt := z.Next()
		if tt == html.ErrorToken {
			if !errors.Is(z.Err(), io.EOF) {
				return z.Err()
			}
			break
		}
		tok := z.Token()
		switch tt {
		case html.CommentToken:
			return fmt.Errorf("a comment: %.60q", tok.Data)
		case html.StartTagToken, html.SelfClosingTagToken:
			written[tok.Data]++
			if err := checkTag(tok); err != nil {
				return err
			}
		}
	}
	root, err := html.Parse(bytes.NewReader(b))
	if err != nil {
		return err
	}
	built := map[string]int{}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			built[n.Data]++
		}
	}
	for name, n := range built {
		if written[name] != n {
			return fmt.Errorf("%d <%s> were written, a browser builds %d", written[name], name, n)
		}
	}
	return nil
}

func checkTag(tok html.Token) error {
	if !slices.Contains(page.Tags(), tok.Data) {
		return fmt.Errorf("element <%s> is not one of the fixed set", tok.Data)
	}
	for _, a := range tok.Attr {
		if !slices.Contains(page.Attributes(), a.Key) {
			return fmt.Errorf("attribute %s of <%s> is not one of the fixed set", a.Key, tok.Data)
		}
		switch a.Key {
		case "href":
			if !strings.HasPrefix(a.Val, "#") {
				return fmt.Errorf("a link leads out: %.80q", a.Val)
			}
		case "src":
			if !strings.HasPrefix(a.Val, "data:image/") || tok.Data != "img" {
				return fmt.Errorf("src of <%s>: %.60q", tok.Data, a.Val)
			}
		case "srcdoc":
			if err := checkFrame(a.Val); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFrame says whether reduced mail HTML holds anything but formatting.
func checkFrame(s string) error {
	z := html.NewTokenizer(strings.NewReader(s))
	for z.Next() != html.ErrorToken {
		tok := z.Token()
		for _, a := range tok.Attr {
			if a.Key != "colspan" && a.Key != "rowspan" {
				return fmt.Errorf("attribute %s in a frame", a.Key)
			}
		}
		switch tok.Data {
		case "script", "style", "img", "a", "iframe", "object", "embed", "form", "input", "link", "meta", "base", "svg", "math", "video", "audio":
			if tok.Type != html.TextToken {
				return fmt.Errorf("element <%s> in a frame", tok.Data)
			}
		}
	}
	return nil
}

func nonSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == 0xFEFF {
			return -1
		}
		return r
	}, s)
}

// narratives are the texts of all section narratives in order, read by encoding/xml: an oracle that
// shares no code with the renderer.
func narratives(b []byte) ([]string, error) {
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var stack []string
	var out []string
	in := -1 // depth of the open narrative
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		switch x := tok.(type) {
		case xml.StartElement:
			if in < 0 && x.Name.Local == "text" && len(stack) > 0 && stack[len(stack)-1] == "section" {
				in = len(stack)
				out = append(out, "")
			}
			stack = append(stack, x.Name.Local)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			if len(stack) == in {
				in = -1
			}
		case xml.CharData:
			if in >= 0 {
				out[len(out)-1] += string(x)
			}
		}
	}
}

func hasClass(n *html.Node, class string) bool {
	for _, a := range n.Attr {
		if a.Key == "class" && slices.Contains(strings.Fields(a.Val), class) {
			return true
		}
	}
	return false
}

// shownNarratives are the texts of the page's narratives, the renderer's own words left out.
func shownNarratives(t testing.TB, b []byte) []string {
	root, err := html.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && hasClass(n, "narrative") {
			var s strings.Builder
			var walk func(*html.Node)
			walk = func(n *html.Node) {
				if n.Type == html.TextNode {
					s.WriteString(n.Data)
				}
				if n.Type == html.ElementNode && hasClass(n, "added") {
					return
				}
				for c := range n.ChildNodes() {
					walk(c)
				}
			}
			walk(n)
			out = append(out, s.String())
		}
	}
	return out
}

// withText are the narratives that hold any text: a section without a text element has none to show.
func withText(list []string) []string {
	var out []string
	for _, s := range list {
		if s = nonSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func TestEveryNarrativeIsShownWholeAndInOrder(t *testing.T) {
	for _, e := range corpus.Walk(t, "ccda") {
		t.Run(e.File, func(t *testing.T) {
			b := e.Read(t)
			out := render(t, b, document.RenderOptions{})
			if err := checkPage(out); err != nil {
				t.Error(err)
			}
			texts, err := narratives(b)
			if err != nil {
				if !strings.Contains(e.Expected, "not-well-formed") {
					t.Fatal(err)
				}
				return // TestDamagedDocuments looks at these
			}
			want, got := withText(texts), withText(shownNarratives(t, out))
			total := 0
			for i, w := range want {
				total += len([]rune(w))
				if i >= len(got) {
					t.Fatalf("section text %d of %d is not on the page: %.80q", i+1, len(want), w)
				}
				if got[i] != w {
					t.Errorf("section text %d differs:\n got %.300q\nwant %.300q", i+1, got[i], w)
				}
			}
			if n := field(e.Expected, "narrativeNonSpaceChars"); fmt.Sprint(total) != n {
				t.Errorf("%d characters of narrative, the manifest says %s", total, n)
			}
		})
	}
}

func TestEveryCorpusFileMakesASoundPage(t *testing.T) {
	for _, folder := range []string{"xdm", "hl7v2", "mime"} {
		for _, e := range corpus.Walk(t, folder) {
			out := render(t, e.Read(t), document.RenderOptions{Hint: document.Hint{Filename: e.File}})
			if err := checkPage(out); err != nil {
				t.Errorf("%s/%s: %v", folder, e.File, err)
			}
			if shown := visible(t, out); len(shown) < 40 {
				t.Errorf("%s/%s: hardly anything is shown: %q", folder, e.File, shown)
			}
		}
	}
}

// visible is the text of a page's main part, the raw document left out.
func visible(t testing.TB, b []byte) string {
	root, err := html.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && (n.Data == "style" || n.Data == "title" || hasClass(n, "raw")) {
			return
		}
		if n.Type == html.TextNode {
			s.WriteString(n.Data + " ")
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
	}
	walk(root)
	return strings.Join(strings.Fields(s.String()), " ")
}

func TestSampleComparedSaysWhatChanged(t *testing.T) {
	older, err := document.OpenBytes(sample.Earlier, document.Hint{})
	if err != nil {
		t.Fatal(err)
	}
	out := render(t, sample.Referral, document.RenderOptions{Older: older})
	if err := checkPage(out); err != nil {
		t.Error(err)
	}
	text := visible(t, out)
	for _, want := range []string{
		"Changed since Continuity of Care Document of 1 Jul 2026",
		"New apixaban 5 MG Oral Tablet", "Changed metformin hydrochloride 500 MG Oral Tablet dose 2, oral, every 12 h · since Jun 2016 (dose was 1, is 2)",
		"Stopped aspirin 81 MG Oral Tablet", "(ended 29 Sep 2026)", "Not listed ibuprofen 400 MG Oral Tablet", "3 unchanged.",
		"New Paroxysmal atrial fibrillation", "Not listed Plantar fasciitis", "New Lisinopril Cough",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
