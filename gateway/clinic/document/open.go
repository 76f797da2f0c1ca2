package document

import (
	"bytes"
	"fmt"
	"io"
	"mime"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/xmltree"
)

// Document is a document with everything that was read of it.
type Document struct {
	Summary
	CDA *ccda.Document // for the CDA kinds
	XML *xmltree.Tree  // for every kind of XML

	src  io.ReaderAt
	size int64
	hint Hint
}

// Open recognises and reads a document. Content never makes an error; only src or Hint.Stop does.
func Open(src io.ReaderAt, size int64, hint Hint) (*Document, error) {
	d := &Document{src: src, size: size, hint: hint}
	d.Size, d.Filename, d.MediaType = size, clip(hint.Filename, 200), clip(hint.MediaType, 200)
	head := make([]byte, min(size, sniffLen))
	n, err := src.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("document: reading: %w", err)
	}
	d.Kind = sniff(head[:n])
	if err := d.read(); err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	return d, nil
}

// read fills the document by its kind; a kind may turn out to be another one.
func (d *Document) read() error {
	switch d.Kind {
	case XML:
		return d.readXML()
	}
	return nil
}

func (d *Document) readXML() error {
	o := ccda.Options()
	o.Stop, o.Label = d.hint.Stop, charsetOf(d.hint.MediaType)
	t, err := xmltree.Read(d.src, d.size, o)
	if err != nil {
		return err
	}
	d.XML, d.Encoding, d.Repairs = t, t.Encoding, t.Repairs
	if c, err := ccda.FromTree(t); err == nil {
		d.CDA = c
		d.fromCDA(c)
	}
	return nil
}

func (d *Document) fromCDA(c *ccda.Document) {
	d.Kind = Kind(c.Family)
	d.Type, d.TypeCode, d.TypeSystem = c.Type.Name, c.Type.LOINC, c.Code.System
	d.TemplateID, d.Release, d.Title = c.Type.TemplateID, c.Type.Release, c.Title
	d.ID, d.SetID, d.Version = c.ID.String(), c.SetID.String(), c.Version
	d.Date, d.Authors, d.Custodian = c.Time, c.Authors, c.Custodian.Name
	d.Privacy, d.Related = c.Confidentiality.Code, c.Related
	d.Repairs = c.Repairs
	if len(c.Patients) > 0 {
		d.Patient = &c.Patients[0]
	}
	for _, id := range c.Orders {
		d.References = append(d.References, Reference{"order", id})
	}
	for _, e := range c.Encounters {
		for _, id := range e.IDs {
			d.References = append(d.References, Reference{"encounter", id})
		}
	}
	d.Items = c.Items()
	d.Problems = ccda.Check(c, d.hint.Now)
	for _, s := range c.Sections {
		d.Sections = append(d.Sections, SectionLine{s.Anchor, s.Name(), s.Kind, s.Level, s.Code.Code, s.Empty(), s.Entries})
	}
}

func charsetOf(mediaType string) string {
	_, params, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return ""
	}
	return params["charset"]
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// OpenBytes is Open for a document in memory.
func OpenBytes(b []byte, hint Hint) (*Document, error) {
	return Open(bytes.NewReader(b), int64(len(b)), hint)
}
