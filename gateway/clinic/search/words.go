package search

import (
	"io"
	"strings"
	"unicode"

	"golang.org/x/net/html"

	"postern/gateway/clinic/document"
)

// MaxWords is how many octets of one message's words can be found.
const MaxWords = 256 << 10

// Words are the words of one document as its reader sees them: those of its page. What has no words of its own,
// such as a picture or a PDF, has those of its name. Only reading src makes an error.
func Words(src io.ReaderAt, size int64, hint document.Hint) (string, error) {
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := document.Render(pw, src, size, document.RenderOptions{Hint: hint, NoRaw: true})
		pw.Close()
		done <- err
	}()
	words := visible(pr)
	_, _ = io.Copy(io.Discard, pr) // what is beyond the limit is written, and not kept
	return words, <-done
}

// visible is the text of a page without its marks and its furniture, words apart where elements part them. What
// the page shows in a frame of its own (srcdoc) is read in its place.
func visible(r io.Reader) string {
	var b strings.Builder
	read(&b, r, true)
	return b.String()
}

func read(b *strings.Builder, r io.Reader, frames bool) {
	z := html.NewTokenizer(r)
	for until := ""; b.Len() < MaxWords; { // the element whose end ends what is skipped
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken:
			t := z.Token()
			switch inner := attribute(t, "srcdoc"); {
			case until != "":
			case hidden(t):
				until = t.Data
			case inner != "" && frames:
				read(b, strings.NewReader(inner), false)
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == until {
				until = ""
			}
		case html.TextToken:
			if until == "" {
				add(b, string(z.Text()))
			}
		}
	}
}

func attribute(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// hidden are the elements of a page that are not its document's: styles, the foot, the link past the header.
func hidden(t html.Token) bool {
	return t.Data == "style" || t.Data == "script" || t.Data == "title" || t.Data == "footer" || t.Data == "a" && attribute(t, "class") == "skip"
}

// add puts text behind what is there, blanks squeezed, cut at a word's end when it is too much.
func add(b *strings.Builder, text string) {
	for _, w := range strings.FieldsFunc(html.UnescapeString(text), func(r rune) bool { return unicode.IsSpace(r) || r == 0 || r == unicode.ReplacementChar }) {
		if b.Len()+len(w)+1 > MaxWords {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
}
