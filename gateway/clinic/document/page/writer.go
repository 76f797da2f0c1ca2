// Package page writes HTML that cannot run, fetch or restyle anything, whatever is put into it.
//
// Safety is by construction, not by cleaning: a page is made only of the elements of Tag and the
// attributes the functions of this package make; text is escaped; links point inside the page; pictures
// are data the Writer encodes itself after the caller's check of their bytes; the one style sheet is
// built in. There is no way to hand markup through, except Frame, which puts mail HTML into a frame
// without any right. Beside that every page carries CSP, which forbids what could not be there anyway.
//
// Elements are closed in the order they were opened and Finish closes what is left. Whether the nesting
// is allowed HTML is the caller's duty; package view's tests parse what it writes.
package page

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"unicode/utf8"

	"postern/gateway/clinic/document/charset"
)

//go:embed style.css
var style string

// MaxPicture is the largest picture written into a page, in bytes; the caller checks.
const MaxPicture = 4 << 20

// CSP is the policy every page states in a meta element; a server should send it as a header too,
// with "sandbox; frame-ancestors 'none'" added as it likes.
func CSP() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"
}

// Writer writes one page.
type Writer struct {
	w     *bufio.Writer
	stack []Tag
	ids   map[string]bool
	err   error
	n     int64
	space string // in front of every ID and link
}

// maxIDs is how many different IDs one page remembers; further ones are left out.
const maxIDs = 200000

// New starts a page with its head: title and language of the document.
func New(w io.Writer, title, lang string) *Writer {
	p := &Writer{w: bufio.NewWriterSize(w, 32<<10), ids: map[string]bool{}}
	p.raw("<!DOCTYPE html>\n")
	if l := Lang(lang); l.name != "" {
		p.Open(HTML, l)
	} else {
		p.Open(HTML, Lang("en"))
	}
	p.Open(Head)
	p.raw("<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"" + CSP() + "\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n" +
		"<meta name=\"color-scheme\" content=\"light dark\">\n")
	p.Open(Title)
	p.Text(OneLine(title))
	p.Close()
	p.raw("\n<style>" + style + "</style>\n")
	p.Close()
	p.raw("\n")
	p.Open(Body)
	return p
}

func (p *Writer) raw(s string) {
	if p.err == nil {
		_, p.err = p.w.WriteString(s)
	}
	p.n += int64(len(s))
}

// Open starts an element; empty attributes are left out, and an ID that was given before.
func (p *Writer) Open(t Tag, attrs ...Attr) {
	p.raw("<")
	p.raw(t.name())
	for _, a := range attrs {
		if a.name == "" || a.value == "" {
			continue
		}
		if a.name == "id" {
			a.value = p.space + a.value
			if p.ids[a.value] || len(p.ids) >= maxIDs {
				continue
			}
			p.ids[a.value] = true
		}
		if a.name == "href" {
			a.value = "#" + p.space + a.value[1:]
		}
		p.raw(" ")
		p.raw(a.name)
		p.raw(`="`)
		p.Text(a.value)
		p.raw(`"`)
	}
	p.raw(">")
	if !t.void() {
		p.stack = append(p.stack, t)
	}
	switch t {
	case Pre:
		p.raw("\n") // HTML drops the first line end inside pre
	case Section, Table, Tr, Ul, Ol, Li, Dl, Div, Header, Main, Nav, Footer, Details:
		p.raw("\n")
	}
}

// Close ends the innermost open element.
func (p *Writer) Close() {
	t := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	p.raw("</")
	p.raw(t.name())
	p.raw(">")
	switch t {
	case P, H1, H2, H3, H4, Section, Table, Tr, Ul, Ol, Li, Dl, Dd, Dt, Td, Th, Div, Header, Main, Nav, Footer, Details, Summary, Pre:
		p.raw("\n")
	}
}

// Depth is how many elements are open; CloseTo closes elements until that many are.
func (p *Writer) Depth() int { return len(p.stack) }

// CloseTo closes elements until depth are open.
func (p *Writer) CloseTo(depth int) {
	for len(p.stack) > depth {
		p.Close()
	}
}

// Space keeps the IDs and links of several documents on one page apart: it is put in front of all that
// follow. It should be short and unique.
func (p *Writer) Space(prefix string) { p.space = Ident(prefix) }

// Prefix is what Space set.
func (p *Writer) Prefix() string { return p.space }

// Elem writes an element that holds only text.
func (p *Writer) Elem(t Tag, text string, attrs ...Attr) {
	p.Open(t, attrs...)
	if !t.void() {
		p.Text(text)
		p.Close()
	}
}

// Text writes text, escaped. Characters HTML does not allow become U+FFFD, C1 controls what
// Windows-1252 has in their place.
func (p *Writer) Text(s string) {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x80 {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1 || r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF:
				p.raw(s[start:i])
				p.raw("\uFFFD")
				start = i + n
			case r < 0xA0: // a C1 control: what it stood for before somebody took it for Latin-1
				p.raw(s[start:i])
				p.raw(string(charset.FromC1(r)))
				start = i + n
			}
			i += n
			continue
		}
		esc := ""
		switch {
		case c == '&':
			esc = "&amp;"
		case c == '<':
			esc = "&lt;"
		case c == '>':
			esc = "&gt;"
		case c == '"':
			esc = "&#34;"
		case c == '\'':
			esc = "&#39;"
		case c == '`':
			esc = "&#96;"
		case c == '\r':
			esc = "\n"
			if i+1 < len(s) && s[i+1] == '\n' {
				p.raw(s[start:i])
				i++
				start = i
				continue
			}
		case c < ' ' && c != '\n' && c != '\t' || c == 0x7F:
			esc = "\uFFFD"
		}
		i++
		if esc != "" {
			p.raw(s[start : i-1])
			p.raw(esc)
			start = i
		}
	}
	p.raw(s[start:])
}

// PictureType is a picture format browsers show without running anything.
type PictureType string

// The picture formats.
const (
	PNG  PictureType = "image/png"
	JPEG PictureType = "image/jpeg"
	GIF  PictureType = "image/gif"
)

// Picture writes checked picture bytes as data of the page.
func (p *Writer) Picture(t PictureType, data []byte, alt string) {
	switch t {
	case PNG, JPEG, GIF:
	default:
		return
	}
	if len(data) > MaxPicture {
		return
	}
	p.raw(`<img class="picture" src="data:` + string(t) + `;base64,`)
	p.raw(base64.StdEncoding.EncodeToString(data))
	p.raw(`" alt="`)
	p.Text(OneLine(alt))
	p.raw(`">`)
}

// shortFrame is up to how many bytes of HTML a frame is a low one; without a script none can fit itself.
const shortFrame = 1500

// Frame shows HTML, already reduced by an allow-list, in a frame that may do nothing: no scripts, no
// forms, no navigation, its own origin, and the policy of this page.
func (p *Writer) Frame(html, title string) {
	class := "frame"
	if len(html) < shortFrame {
		class = "frame short"
	}
	p.raw(`<iframe class="` + class + `" sandbox="" title="`)
	p.Text(OneLine(title))
	p.raw(`" srcdoc="`)
	p.Text(html)
	p.raw("\"></iframe>\n")
}

// Err is the first error of the underlying writer.
func (p *Writer) Err() error { return p.err }

// Written is how many bytes the page has so far.
func (p *Writer) Written() int64 { return p.n }

// Finish closes what is open and flushes. Its error is the underlying writer's.
func (p *Writer) Finish() error {
	p.CloseTo(0)
	if p.err == nil {
		p.err = p.w.Flush()
	}
	if p.err != nil {
		return fmt.Errorf("page: writing: %w", p.err)
	}
	return nil
}
