package document

import (
	"fmt"
	"io"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/view"
)

// RenderOptions are how a page is made; the zero value is a page of its own with the raw text folded in.
type RenderOptions struct {
	Hint  Hint
	Older *Document // an earlier document of the same patient to compare with, nil = none
	NoRaw bool      // leave out the document as it was sent (a caller that offers it elsewhere)
}

// Render writes one safe HTML page of the size bytes of src: it cannot run, fetch or restyle anything,
// and it is never empty. Content never makes an error; only src, w or Hint.Stop does.
func Render(w io.Writer, src io.ReaderAt, size int64, o RenderOptions) error {
	d, err := Open(src, size, o.Hint)
	if err != nil {
		return err
	}
	return d.Render(w, o)
}

// Render writes the page of a document that is open; o.Hint is not used.
func (d *Document) Render(w io.Writer, o RenderOptions) error {
	var err error
	switch {
	case d.CDA != nil:
		err = d.renderCDA(w, o)
	}
	if err != nil {
		return fmt.Errorf("document: %w", err)
	}
	return nil
}

func (d *Document) renderCDA(w io.Writer, o RenderOptions) error {
	v := view.CDA{Doc: d.CDA, Brief: brief.Of(d.CDA), Findings: d.Problems, Repairs: d.Repairs}
	if !o.NoRaw {
		v.Raw, v.RawSize = d.src, d.size
	}
	if o.Older != nil && o.Older.CDA != nil {
		c := brief.Compare(o.Older.CDA, d.CDA)
		v.Compared = &c
	}
	return view.WriteCDA(w, v)
}
