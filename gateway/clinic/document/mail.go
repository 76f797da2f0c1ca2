package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"

	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/context"
	"postern/gateway/clinic/document/view"
	"postern/smime/part"
)

// readMail reads a message: its own words as texts, everything else as documents inside it.
func (d *Document) readMail(head []byte) error {
	if wide(head) { // a message somebody saved as UTF-16
		t, err := charset.Open(d.src, d.size, "")
		if err != nil {
			return err
		}
		d.src, d.size = t.Src, t.Size
		d.Repairs = append(d.Repairs, t.Repairs...)
	}
	root, err := part.Parse(d.src, d.size, part.Limits{Depth: 16, Parts: 500})
	if err != nil {
		if !errors.Is(err, part.ErrLimit) {
			d.finding(chart.Problem, "bad-mail", "The message cannot be taken apart: %v.", err)
		} else {
			d.finding(chart.Problem, "mail-limit", "The message is nested or cut into pieces beyond what is read.")
		}
		d.Kind = Text
		return d.readText(nil)
	}
	h := root.Header
	d.Title, d.ID = words(h.Get("Subject")), strings.Trim(h.Get("Message-ID"), "<> ")
	if t, err := parseDate(h.Get("Date")); err == nil {
		d.Date = t
	}
	d.sheet.Kind, d.sheet.Title = "Mail", d.title("Mail")
	for _, name := range []string{"From", "To", "Cc", "Date", "Subject"} {
		d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: name, Value: clip(words(h.Get(name)), 1000)})
	}
	contextID := strings.Trim(h.Get("X-Direct-Context"), "<> ")
	seenContext := false
	err = root.Walk(func(p *part.Part) error {
		for _, r := range p.Repairs {
			if len(d.Repairs) < 20 {
				d.Repairs = append(d.Repairs, r)
			}
		}
		if len(p.Children) > 0 {
			return nil
		}
		id := strings.Trim(p.Header.Get("Content-ID"), "<> ")
		if contextID != "" && id == contextID && !seenContext { // CTX-01
			seenContext = true
			return d.mailContext(p)
		}
		return d.mailPart(p)
	})
	if err != nil {
		return err
	}
	for i := range d.parts { // the documents must be about whom the context names
		d.parts[i].about = d.named
	}
	if contextID != "" && !seenContext { // CTX-03
		d.finding(chart.Warning, "context-missing", "The message names a context part that is not in it.")
	}
	d.raw("The message as it was sent")
	return nil
}

func (d *Document) mailContext(p *part.Part) error {
	c, err := context.Parse(p.Open(d.src))
	if err != nil {
		d.finding(chart.Warning, "context-unreadable", "The context part cannot be read.")
		return nil
	}
	d.named = contextPatient(c)
	if c.ID != "" {
		d.References = append(d.References, Reference{"context", chart.ID{Extension: c.ID}})
	}
	for _, f := range c.Faults {
		d.finding(chart.Warning, "context-fault", "The context part has a fault: %s.", strings.ReplaceAll(string(f), "_", " "))
	}
	var about []string
	for _, x := range []string{c.Category + "/" + c.Action, c.Purpose, c.Get("givenName") + " " + c.Get("surname"), c.Get("dateOfBirth")} {
		if x = strings.Trim(x, "/ "); x != "" {
			about = append(about, x)
		}
	}
	d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: "Context", Value: strings.Join(about, ", ")})
	return nil
}

// mailPart shows a text of the message, or notes a document in it.
func (d *Document) mailPart(p *part.Part) error {
	if p.Disposition != "attachment" && p.Filename == "" && len(d.sheet.Texts) < 20 {
		switch p.MediaType {
		case "text/plain", "text/html":
			raw, err := d.decoded(p)
			if err != nil {
				return nil //nolint:nilerr // what cannot be decoded is stated by decoded
			}
			text, repairs, err := d.words(bytes.NewReader(raw), int64(len(raw)), p.Params["charset"])
			if err != nil {
				return err
			}
			d.Repairs = append(d.Repairs, repairs...)
			switch {
			case strings.TrimSpace(text) == "":
			case p.MediaType == "text/html":
				t := d.html("The message, its text and tables only", text)
				t.Fold = len(d.sheet.Texts) > 0 // the same words stand above as plain text
				d.sheet.Texts = append(d.sheet.Texts, t)
			default:
				d.sheet.Texts = append(d.sheet.Texts, view.Text{Words: text})
			}
			return nil
		}
	}
	if p.Length == 0 {
		return nil
	}
	name := p.Filename
	if name == "" {
		name = "part " + p.Path + " (" + p.MediaType + ")"
	}
	d.parts = append(d.parts, Part{Name: baseName(name), MediaType: p.MediaType, open: func() (io.ReaderAt, int64, error) {
		if p.Identity() {
			r := p.Raw(d.src)
			return r, r.Size(), nil
		}
		raw, err := d.decoded(p)
		return bytes.NewReader(raw), int64(len(raw)), err
	}})
	return nil
}

func (d *Document) decoded(p *part.Part) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(p.Open(d.src), maxPart+1))
	switch {
	case err != nil:
		d.finding(chart.Warning, "part-unreadable", "A part of the message cannot be decoded.")
		return nil, fmt.Errorf("document: decoding part %s: %w", p.Path, err)
	case len(raw) > maxPart:
		return nil, fmt.Errorf("document: part %s is larger than %d MiB", p.Path, maxPart>>20)
	}
	return raw, nil
}

// words decodes the encoded words of a header (RFC 2047); what cannot be decoded stays as written.
func words(s string) string {
	if out, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		return strings.ToValidUTF8(out, "\uFFFD")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// parseDate reads a Date header.
func parseDate(s string) (chart.Time, error) {
	at, err := mail.ParseDate(s)
	if err != nil {
		return chart.Time{}, err
	}
	return chart.Time{Raw: s, At: at, Precision: chart.Second, Zoned: true}, nil
}
