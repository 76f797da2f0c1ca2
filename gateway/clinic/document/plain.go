package document

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/context"
	"postern/gateway/clinic/document/mailhtml"
	"postern/gateway/clinic/document/page"
	"postern/gateway/clinic/document/view"
)

// words is the start of a text as UTF-8.
func (d *Document) words(src io.ReaderAt, size int64, label string) (words string, repairs []string, err error) {
	t, err := charset.Open(src, size, label)
	if err != nil {
		return "", nil, err
	}
	raw := make([]byte, min(t.Size, maxWords))
	n, err := t.Src.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	out, bad := charset.Append(make([]byte, 0, n), raw[:n], t.Single)
	repairs = t.Repairs
	if bad > 0 {
		repairs = append(repairs, "bytes that are no UTF-8 are read as Windows-1252 (Latin-1)")
	}
	if t.Size > maxWords {
		repairs = append(repairs, fmt.Sprintf("only the first %d KiB of %d are shown", maxWords>>10, t.Size>>10))
	}
	return string(out), repairs, nil
}

// showWords shows the document as plain text under a title.
func (d *Document) showWords(title string) error {
	words, repairs, err := d.words(d.src, d.size, "")
	d.Repairs = append(d.Repairs, repairs...)
	d.sheet.Texts = []view.Text{{Title: title, Words: words, Mono: true}}
	return err
}

func (d *Document) readText(head []byte) error {
	if inBase64(head) {
		return d.readBase64()
	}
	words, repairs, err := d.words(d.src, d.size, charsetOf(d.hint.MediaType))
	if err != nil {
		return err
	}
	d.Repairs = append(d.Repairs, repairs...)
	if context.Looks(head) {
		d.Kind = Context
		c, err := context.Parse(strings.NewReader(words))
		if err != nil {
			return err
		}
		d.fromContext(c)
		return nil
	}
	d.sheet.Kind, d.sheet.Title = "Text", d.title("Text")
	d.sheet.Texts = []view.Text{{Words: words}}
	return nil
}

func (d *Document) fromContext(c *context.Context) {
	d.Type, d.ID = strings.Trim(c.Category+"/"+c.Action, "/"), c.ID
	if c.ID != "" {
		d.References = append(d.References, Reference{"context", chart.ID{Extension: c.ID}})
	}
	d.sheet.Kind, d.sheet.Title = "Direct context", "Context of the message"
	add := func(name, v string) { d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: name, Value: v}) }
	add("Version", c.Version)
	add("Transaction", c.ID)
	add("Type", d.Type)
	add("Purpose", c.Purpose)
	for _, id := range c.PatientIDs {
		add("Patient's number", id.ID+" ("+id.Context+")")
	}
	if d.Patient = contextPatient(c); d.Patient != nil {
		d.sheet.Patient = d.Patient
	}
	for _, p := range c.Patient {
		add("Patient: "+p.Name, p.Value)
	}
	add("Format", c.FormatCode)
	add("Content type", c.ContentType)
	for _, p := range c.Unknown {
		add(p.Name, p.Value)
	}
	for _, f := range c.Faults {
		d.finding(chart.Warning, "context-fault", "The context part has a fault: %s.", strings.ReplaceAll(string(f), "_", " "))
	}
}

// contextPatient is the patient a context part names, nil when it gives no name.
func contextPatient(c *context.Context) *chart.Patient {
	if c.Get("surname") == "" && c.Get("givenName") == "" {
		return nil
	}
	p := &chart.Patient{Name: chart.Name{Given: c.Get("givenName"), Family: c.Get("surname")}, Birth: chart.ParseTime(c.Get("dateOfBirth"))}
	if g := c.Get("gender"); g != "" {
		p.Sex = chart.Code{Code: g}
	}
	for _, id := range c.PatientIDs {
		p.IDs = append(p.IDs, chart.ID{Root: id.Context, Extension: id.ID})
	}
	return p
}

func (d *Document) readHTML() error {
	words, repairs, err := d.words(d.src, d.size, charsetOf(d.hint.MediaType))
	if err != nil {
		return err
	}
	d.Repairs = append(d.Repairs, repairs...)
	d.sheet.Kind, d.sheet.Title = "HTML", d.title("HTML page")
	d.sheet.Texts = []view.Text{d.html("The page, its text and tables only", words)}
	d.raw("The page as it was sent (HTML source)")
	return nil
}

// html makes a framed text of HTML and says when something was taken out of it.
func (d *Document) html(title, source string) view.Text {
	reduced, lost := mailhtml.Reduce(source)
	if lost.Outward {
		d.Repairs = append(d.Repairs, "links and pictures of the HTML are not shown")
	}
	if lost.Cut {
		d.finding(chart.Warning, "html-cut", "Only the first %d MiB of the HTML are shown.", mailhtml.MaxBytes>>20)
	}
	if lost.Struck {
		d.finding(chart.Problem, "strike-unknown", "Words of the HTML may be struck through in a way this page cannot show; look at the source.")
	}
	if strings.TrimSpace(reduced) == "" {
		return view.Text{Title: title, Words: "(no text)"}
	}
	return view.Text{Title: title, HTML: reduced}
}

func (d *Document) readPicture() error {
	d.sheet.Kind, d.sheet.Title = "Picture · "+strings.ToUpper(string(d.Kind)), d.title("Picture")
	d.sheet.Facts = []view.Fact{{Name: "Size", Value: sizeWords(d.size)}}
	if d.size > page.MaxPicture {
		d.finding(chart.Note, "large-picture", "The picture is too large to be shown inside this page; save it to look at it.")
		return nil
	}
	d.sheet.Picture = make([]byte, d.size)
	if n, err := d.src.ReadAt(d.sheet.Picture, 0); err != nil && !errors.Is(err, io.EOF) || int64(n) < d.size {
		return fmt.Errorf("reading the picture: %w", err)
	}
	d.sheet.Alt = d.sheet.Title
	return nil
}

// readRTF shows the plain words of rich text, those that are struck through or hidden marked.
func (d *Document) readRTF() error {
	raw := make([]byte, min(d.size, maxRTF))
	n, err := d.src.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	words, notes := richText(raw[:n], d.size)
	for _, note := range notes {
		d.finding(chart.Warning, "rich-text", "Of the rich text: %s.", note)
	}
	d.sheet.Kind, d.sheet.Title = "Rich text", d.title("Rich text")
	d.sheet.Texts = []view.Text{{Title: "Its words, without formatting", Words: words}}
	return nil
}

// readOther says what a format is that is not shown.
func (d *Document) readOther() {
	name, why := d.Kind.words()
	if d.Kind == Unknown {
		head := make([]byte, min(d.size, sniffLen))
		if n, err := d.src.ReadAt(head, 0); err == nil || errors.Is(err, io.EOF) {
			if what, advice, ok := unopened(head[:n]); ok {
				name, why, d.Type = capital(what), "It is not opened.", what
				d.finding(chart.Warning, "not-opened", "This is a file of the kind: %s. %s", what, advice)
			}
		}
	}
	d.sheet.Kind, d.sheet.Title = name, d.title(name)
	d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: "Size", Value: sizeWords(d.size)}, view.Fact{Name: "Shown", Value: why})
	switch d.Kind {
	case Empty:
		d.finding(chart.Problem, "empty", "The file is empty.")
	case Program:
		d.finding(chart.Problem, "program", "This is a program or script, not a document. Do not open it.")
	case Unknown:
		if d.Type != "" {
			return
		}
		d.finding(chart.Warning, "unknown", "The format is not known.")
		d.raw("Its first bytes, as text")
	}
}

func (k Kind) words() (name, why string) {
	switch k {
	case Empty:
		return "Empty file", "There is nothing in it."
	case Program:
		return "Program", "Programs are never shown or run."
	case TIFF, BMP, WebP:
		return "Picture · " + strings.ToUpper(string(k)), "This kind of picture is not shown inside the page; save it to look at it."
	case DICOM:
		return "DICOM image", "A DICOM viewer is needed."
	case Office:
		return "Office document", "Save it and open it in its own program; beware of macros."
	case SVG:
		return "Drawing · SVG", "Drawings of this kind can carry programs, so only the source is shown."
	}
	return "File of an unknown format", "It is not shown."
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func sizeWords(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
