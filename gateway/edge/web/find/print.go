package find

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"time"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/reading"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/smime"
)

// sheet is one message as it is printed: all text, nothing folded, nothing to press.
type sheet struct {
	Item      inbox.Item
	Entry     work.Entry
	Text      string
	More      bool
	Documents []printed
	Files     []inbox.Part
	Held      []custody.File // neither shown nor printed
	Receipt   []string
}

// printed is one document: its own page's style once and its body.
type printed struct {
	Name string
	Body template.HTML
}

// printData is the dot of print.html.
type printData struct {
	Clinic, By string
	Zone       *time.Location
	At         time.Time
	Style      template.CSS
	Sheets     []sheet
}

// print writes the message, or with ?thread=1 its whole conversation, as one document.
func (f *find) print(q *web.Request) error {
	entries, err := f.chosen(q)
	if err != nil {
		return err
	}
	page, err := f.printed(q, entries)
	if err != nil {
		return err
	}
	if err := f.note(q, "print", string(q.Work.ID), map[string]any{"messages": len(entries)}); err != nil {
		return err
	}
	return q.Frame("", page)
}

// chosen is the message alone, or the messages of its conversation that the person may see, oldest first.
func (f *find) chosen(q *web.Request) ([]work.Entry, error) {
	if q.URL.Query().Get("thread") == "" {
		return []work.Entry{q.Work}, nil
	}
	all, err := f.Store.WorkOfThread(q.Context(), q.Org, q.Work.Inbox, q.Work.Thread, MaxThread+1)
	if err != nil {
		return nil, err
	}
	var out []work.Entry
	for _, e := range all {
		if q.Rights.On(e.Pool, e.Scope()) >= staff.Read {
			out = append(out, e)
		}
	}
	if len(out) > MaxThread {
		return nil, &web.Refusal{Text: fmt.Sprintf("The conversation has more than %d messages: print them one by one.", MaxThread)}
	}
	return out, nil
}

// printed is the page of some messages.
func (f *find) printed(q *web.Request, entries []work.Entry) ([]byte, error) {
	data := printData{Clinic: q.OrgName, By: q.Person.Name, Zone: q.Person.Location(), At: q.Now}
	for _, e := range entries {
		s, style, err := f.sheet(q, e)
		if err != nil {
			return nil, err
		}
		if style != "" {
			data.Style = style
		}
		data.Sheets = append(data.Sheets, s)
	}
	var b bytes.Buffer
	if err := printPage.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("find: print: %w", err)
	}
	return b.Bytes(), nil
}

// sheet reads one message for printing.
func (f *find) sheet(q *web.Request, e work.Entry) (s sheet, style template.CSS, err error) {
	it, err := f.Store.Item(q.Context(), e.Inbox, e.Number)
	if err != nil {
		return s, "", err
	}
	s = sheet{Item: it, Entry: e, Receipt: receiptWords(it.Receipt)}
	m, err := f.Reader.Open(q.Context(), it)
	if err != nil {
		return s, "", err
	}
	defer m.Close()
	if s.Text, s.More, err = m.Text(); err != nil {
		return s, "", err
	}
	_, files, err := f.kept(q.Context(), it)
	if err != nil {
		return s, "", err
	}
	for _, p := range files {
		if p.State != custody.Free {
			s.Held = append(s.Held, p)
			continue
		}
		d, css, err := f.document(q, m, p.Part)
		if err != nil {
			return s, "", err
		}
		if d == nil {
			s.Files = append(s.Files, p.Part)
			continue
		}
		s.Documents, style = append(s.Documents, *d), css
	}
	return s, style, nil
}

// kept are the files of an item, each with how it is kept: what may not be opened leaves by no copy either.
func (f *find) kept(ctx context.Context, it inbox.Item) (custody.House, []custody.File, error) {
	h, err := f.House(ctx, it.Org)
	if err != nil {
		return h, nil, err
	}
	records, err := f.Store.Scans(ctx, it.Inbox, it.Number)
	return h, h.Files(it, records), err
}

// document is a part as it is printed, nil where it has nothing to be read: a picture, a PDF.
func (f *find) document(q *web.Request, m *reading.Message, p inbox.Part) (*printed, template.CSS, error) {
	c, err := m.Part(p.Path)
	if err != nil {
		return nil, "", err
	}
	defer c.Close()
	d, err := document.Open(c, c.Size(), document.Hint{Filename: p.Filename, MediaType: p.MediaType, Now: q.Now, Stop: q.Context().Err})
	if err != nil {
		return nil, "", err
	}
	switch d.Kind {
	case document.PDF, document.PNG, document.JPEG, document.GIF, document.TIFF, document.BMP, document.WebP, document.DICOM, document.Office,
		document.Program, document.Empty, document.Unknown, document.SVG:
		return nil, "", nil
	}
	var b bytes.Buffer
	if err := d.Render(&b, document.RenderOptions{NoRaw: true}); err != nil {
		return nil, "", err
	}
	body, style, err := halves(b.String())
	return &printed{reading.Name(p), body}, style, err
}

var errShape = errors.New("find: a document's page has not the shape it is written in")

// halves takes the body and the style out of a page of our own renderer, which wrote every element of it.
func halves(page string) (template.HTML, template.CSS, error) {
	_, after, ok := strings.Cut(page, "<style>")
	style, rest, ok2 := strings.Cut(after, "</style>")
	_, after, ok3 := strings.Cut(rest, `<main id="content">`)
	end := strings.LastIndex(after, "</main>")
	if !ok || !ok2 || !ok3 || end < 0 {
		return "", "", errShape
	}
	return template.HTML(strings.ReplaceAll(after[:end], "<details>", "<details open>")), template.CSS(style), nil // the renderer's own, safe by construction
}

// receiptWords is a stored security receipt in plain words.
func receiptWords(stored []byte) []string {
	var r struct {
		Opened *smime.Report `json:"opened"`
	}
	if len(stored) == 0 || json.Unmarshal(stored, &r) != nil || r.Opened == nil {
		return nil
	}
	return r.Opened.Words()
}

var printPage = template.Must(template.New("print.html").Funcs(template.FuncMap{"join": strings.Join, "file": reading.Name,
	"in": func(t time.Time, z *time.Location) string { return t.In(z).Format("Mon 2 Jan 2006, 15:04 MST") }}).ParseFS(files, "print.html"))
