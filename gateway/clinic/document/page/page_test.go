package page_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"postern/gateway/clinic/document/page"
)

const nasty = "\"><script>alert(1)</script>'`&\x00\x01\x7F\xFF\u202E\uFFFE&lt;"

// Whatever text goes through any way in, only foreseen elements and attributes come out.
func TestNoTextBecomesMarkup(t *testing.T) {
	var w bytes.Buffer
	p := page.New(&w, nasty, nasty)
	for _, a := range []page.Attr{page.ID(nasty), page.Link(nasty), page.Label(nasty), page.Hover(nasty), page.Lang(nasty), page.ColSpan(nasty), page.Cls(page.Class(250))} {
		p.Open(page.Div, a)
		p.Text(nasty)
		p.Close()
	}
	p.Picture(page.PNG, []byte(nasty), nasty)
	p.Picture("image/svg+xml", []byte(nasty), nasty)
	p.Frame(nasty, nasty)
	p.Elem(page.Br, nasty)
	if err := p.Finish(); err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(w.Bytes(), "\x00\x01\x7F") || bytes.Contains(w.Bytes(), []byte("svg+xml")) {
		t.Error("control characters or a drawing came through")
	}
	z := html.NewTokenizer(&w)
	for z.Next() != html.ErrorToken {
		tok := z.Token()
		if tok.Type == html.TextToken || tok.Type == html.DoctypeToken {
			continue
		}
		if !slices.Contains(page.Tags(), tok.Data) {
			t.Errorf("element %q", tok.Data)
		}
		for _, a := range tok.Attr {
			if !slices.Contains(page.Attributes(), a.Key) {
				t.Errorf("attribute %q of %s", a.Key, tok.Data)
			}
			if a.Key == "id" && strings.ContainsAny(a.Val, " \"'<>") {
				t.Errorf("id %q", a.Val)
			}
		}
	}
}

func TestTextComesBackAsItWasWritten(t *testing.T) {
	for _, s := range []string{"a < b & c > d", `"quotes" 'and' ` + "`ticks`", "line\nline\r\nline", "é患👍", "\tx", "&amp; &#65;", "\u0093x\u0081"} {
		var w bytes.Buffer
		p := page.New(&w, "t", "en")
		p.Elem(page.Pre, s, page.ID("x"))
		if err := p.Finish(); err != nil {
			t.Fatal(err)
		}
		root, err := html.Parse(&w)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer("\r\n", "\n", "\u0093", "“", "\u0081", "\uFFFD").Replace(s)
		for n := range root.Descendants() {
			if n.Data == "pre" && n.FirstChild.Data != want {
				t.Errorf("%q came back as %q", want, n.FirstChild.Data)
			}
		}
	}
}

func TestIdentifiersAreSafeDistinctAndOnce(t *testing.T) {
	long := strings.Repeat("é", 500)
	seen := map[string]string{}
	for _, in := range []string{"a b", "a_x20_b", "a_x5F_x20_b", "a_b", "_x", "__x", "_x5F_x", long, long + "a", long + "b", strings.Repeat("a", 200), strings.Repeat("a", 201), "é", "_xE9_"} {
		got := page.Ident(in)
		if was, twice := seen[got]; twice {
			t.Errorf("%.40q and %.40q share the name %q", was, in, got)
		}
		seen[got] = in
		if len(got) > 200 || got == "" || strings.ContainsAny(got, " \"'<>") || page.Ident(got[:1]) == "" {
			t.Errorf("%.40q: %q", in, got)
		}
		if again := page.Ident(in); again != got {
			t.Errorf("%.40q is %q and then %q", in, got, again)
		}
	}
	var w bytes.Buffer
	p := page.New(&w, "t", "")
	p.Elem(page.P, "1", page.ID("x"))
	p.Elem(page.P, "2", page.ID("x"))
	p.Space("d1.")
	p.Elem(page.P, "3", page.ID("x"))
	p.Elem(page.A, "4", page.Link("x"))
	if err := p.Finish(); err != nil {
		t.Fatal(err)
	}
	out := w.String()
	if strings.Count(out, ` id="x"`) != 1 || !strings.Contains(out, `id="d1.x"`) || !strings.Contains(out, `href="#d1.x"`) {
		t.Error(out[strings.Index(out, "<body"):])
	}
}

type full struct{ n int }

func (f *full) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

func TestWriteErrorsComeOut(t *testing.T) {
	p := page.New(&full{n: 100}, "t", "")
	for range 10000 {
		p.Elem(page.P, "word")
	}
	if err := p.Finish(); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Error(err)
	}
}
