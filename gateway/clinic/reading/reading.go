// Package reading opens what an inbox item holds: the whole message, its text, its parts and its documents, as
// views into the one sealed copy. Nothing opened is ever clear on disk: what is decoded lies in memory up to a
// mebibyte, and sealed under a throw-away key beyond that.
//
// It shows nothing and changes nothing. Limits: those of a spool's scratch; MaxText octets of text.
package reading

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"path"
	"strings"
	"unicode"

	"golang.org/x/net/html"

	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/inbox"
	"postern/gateway/spool"
	"postern/smime/addr"
	"postern/smime/part"
)

// MaxText bounds the text of a message, in octets.
const MaxText = 512 << 10

// ErrNoPart says that an item has no such part.
var ErrNoPart = errors.New("reading: no such part")

// Blobs gives the row of a blob.
type Blobs interface {
	Blob(ctx context.Context, id string) (spool.Blob, error)
}

// Reader opens items.
type Reader struct {
	Blobs Blobs
	Spool *spool.Store
}

// Message is one opened item. Close frees it.
type Message struct {
	Item inbox.Item
	src  *spool.Reader
	keep *spool.Store
}

// Open opens an item.
func (r *Reader) Open(ctx context.Context, it inbox.Item) (*Message, error) {
	b, err := r.Blobs.Blob(ctx, it.Blob)
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	src, err := r.Spool.Open(b)
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	return &Message{it, src, r.Spool}, nil
}

// Close frees the message.
func (m *Message) Close() error { return m.src.Close() }

// Whole is the message as it was opened, octet for octet.
func (m *Message) Whole() *io.SectionReader { return io.NewSectionReader(m.src, 0, m.src.Size()) }

// Called is what the sender calls himself in From, "" where he does not, or where the name is given to another address
// than the one that was verified. It is a name that somebody typed: nothing may be decided by it (AS-05).
func (m *Message) Called() string {
	h, err := part.ReadHeader(m.src, m.src.Size(), part.Limits{})
	if err != nil {
		return ""
	}
	from, err := (&mail.AddressParser{WordDecoder: &mime.WordDecoder{}}).Parse(h.Get("From"))
	if err != nil {
		return ""
	}
	a, err := addr.Parse(from.Address)
	if err != nil || a.Key() != m.Item.Sender.Key() {
		return ""
	}
	return strings.Join(strings.FieldsFunc(from.Name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }), " ")
}

// Content is one decoded part. Close destroys it.
type Content struct {
	inbox.Part
	*spool.Scratch
}

// Close destroys the decoded content.
func (c *Content) Close() error { return c.Discard() }

// Section is the content from its beginning.
func (c *Content) Section() *io.SectionReader {
	return io.NewSectionReader(c.Scratch, 0, c.Scratch.Size())
}

// Part decodes the part at a path, as the item lists it.
func (m *Message) Part(at string) (*Content, error) {
	for _, p := range m.Item.Parts {
		if p.Path == at {
			return m.decode(p)
		}
	}
	return nil, ErrNoPart
}

func (m *Message) decode(p inbox.Part) (*Content, error) {
	s, err := m.keep.Scratch()
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	// What cannot be decoded is left out, as when the item was filed; only our own disk makes an error.
	if err := part.CopyDecoded(s, part.Decode(p.Encoding, io.NewSectionReader(m.src, p.Offset, p.Length))); err != nil {
		return nil, errors.Join(fmt.Errorf("reading: part %s: %w", p.Path, err), s.Discard())
	}
	return &Content{p, s}, nil
}

// Body is the part a reader sees first (inbox.Item.Body).
func (m *Message) Body() (p inbox.Part, ok bool) { return m.Item.Body() }

// Text is the body as text, "" where there is none. More says that there is more of it than MaxText.
func (m *Message) Text() (text string, more bool, err error) {
	p, ok := m.Body()
	if !ok {
		return "", false, nil
	}
	c, err := m.decode(p)
	if err != nil {
		return "", false, err
	}
	defer c.Close()
	t, err := charset.Open(c.Scratch, c.Size(), "")
	if err != nil {
		return "", false, fmt.Errorf("reading: part %s: %w", p.Path, err)
	}
	b, err := io.ReadAll(io.LimitReader(io.NewSectionReader(t.Src, 0, t.Size), MaxText+1))
	if err != nil {
		return "", false, fmt.Errorf("reading: part %s: %w", p.Path, err)
	}
	more = len(b) > MaxText
	utf8, _ := charset.Append(nil, b[:min(len(b), MaxText)], t.Single)
	text = string(utf8)
	if p.MediaType == "text/html" {
		text = plain(text)
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), more, nil
}

// plain is the text of a page, a line for each block. What is struck out says so: it must not read as meant.
func plain(page string) string {
	var b strings.Builder
	var struck []string // elements that strike out and are open
	skip := ""
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return tidy(b.String())
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			switch {
			case skip != "":
			case t.Data == "style" || t.Data == "script" || t.Data == "title":
				skip = t.Data
			case strikes(t) && len(struck) < maxStruck:
				struck = append(struck, t.Data)
				b.WriteString("[struck out: ")
			default:
				b.WriteString(opening[t.Data])
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch n := len(struck); {
			case string(name) == skip:
				skip = ""
			case n > 0 && struck[n-1] == string(name):
				struck = struck[:n-1]
				b.WriteString("]")
			}
		case html.TextToken:
			if skip == "" {
				b.WriteString(strings.Map(blank, string(z.Text())))
			}
		}
	}
}

// maxStruck bounds elements that strike out within each other.
const maxStruck = 16

// strikes reports an element whose text is shown struck out.
func strikes(t html.Token) bool {
	if t.Type != html.StartTagToken {
		return false
	}
	for _, a := range t.Attr {
		if a.Key == "style" && strings.Contains(strings.ToLower(a.Val), "line-through") {
			return true
		}
	}
	return t.Data == "s" || t.Data == "del" || t.Data == "strike"
}

func blank(r rune) rune {
	if unicode.IsSpace(r) {
		return ' '
	}
	return r
}

// opening is what stands for the beginning of an element.
var opening = map[string]string{"br": "\n", "p": "\n\n", "div": "\n", "tr": "\n", "li": "\n- ", "h1": "\n\n", "h2": "\n\n", "h3": "\n\n", "h4": "\n\n",
	"table": "\n", "blockquote": "\n", "td": " ", "th": " "}

// tidy squeezes blanks, and empty lines to one.
func tidy(s string) string {
	var out []string
	for _, l := range strings.Split(html.UnescapeString(s), "\n") {
		l = strings.Join(strings.Fields(l), " ")
		if l == "" && (len(out) == 0 || out[len(out)-1] == "") {
			continue
		}
		out = append(out, l)
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

// Name is what a part is called when it is saved: its file name, else what it is.
func Name(p inbox.Part) string {
	if p.Filename != "" {
		return path.Base(strings.ReplaceAll(p.Filename, `\`, "/"))
	}
	ext := map[string]string{"text/plain": ".txt", "text/html": ".html", "text/xml": ".xml", "application/xml": ".xml", "application/pdf": ".pdf",
		"application/zip": ".zip", "message/rfc822": ".eml"}[p.MediaType]
	return "part-" + strings.ReplaceAll(p.Path, ".", "-") + ext
}
