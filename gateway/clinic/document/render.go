package document

import (
	"errors"
	"fmt"
	"io"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/page"
	"postern/gateway/clinic/document/view"
)

// RenderOptions are how a page is made; the zero value is a page of its own with the raw text folded in.
type RenderOptions struct {
	Hint  Hint
	Older *Document // an earlier document of the same patient to compare with, nil = none
	NoRaw bool      // leave out the document as it was sent (a caller that offers it elsewhere)
}

// CSP is the Content-Security-Policy a server should send with a page. The page states it itself too.
func CSP() string { return page.CSP() }

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
	r := &renderer{o: o, spent: &budget{}}
	if o.Older != nil {
		older, err := o.Older.lists()
		if err != nil {
			return err
		}
		if older == nil {
			return errors.New("document: the earlier file holds no clinical document to compare with")
		}
		r.older = older
	}
	title, lang := d.sheet.Title, ""
	if d.CDA != nil {
		title, lang = view.CDA{Doc: d.CDA}.Title(), d.CDA.Language
	}
	var failed error
	err := view.Write(w, title, lang, func(p *page.Writer) { failed = r.body(p, d) })
	if err = errors.Join(failed, err); err != nil {
		return fmt.Errorf("document: %w", err)
	}
	return nil
}

// renderer writes a document and everything inside it onto one page.
type renderer struct {
	o     RenderOptions
	older *brief.Lists // what the first document with lists of its own is compared with
	spent *budget
	n     int // documents written, for the prefix of their IDs
}

func (r *renderer) body(p *page.Writer, d *Document) error {
	if d.CDA != nil {
		return r.cda(p, d)
	}
	s := d.sheet
	if l := d.ownLists(); r.older != nil && l != nil {
		c := brief.CompareLists(*r.older, *l)
		s.Compared, r.older = &c, nil
	}
	s.Findings, s.Repairs = d.Problems, d.Repairs
	if r.o.NoRaw {
		s.Raw = nil
	}
	s.Body(p)
	return r.inside(p, d)
}

func (r *renderer) cda(p *page.Writer, d *Document) error {
	v := view.CDA{Doc: d.CDA, Brief: brief.Of(d.CDA), Findings: d.Problems, Repairs: d.Repairs}
	if !r.o.NoRaw {
		v.Raw, v.RawSize = d.src, d.size
	}
	if r.older != nil {
		c := brief.CompareLists(*r.older, brief.ListsOf(d.CDA))
		v.Compared = &c
		r.older = nil // only the first clinical document is compared
	}
	var failed error
	if len(d.parts) > 0 {
		v.Inside = func(p *page.Writer) { failed = r.inside(p, d) }
	}
	v.Body(p)
	return failed
}

// inside writes the parts one after the other; only one of them is in memory at a time.
func (r *renderer) inside(p *page.Writer, d *Document) error {
	for i, part := range d.parts {
		if p.Written() > maxPage {
			p.Elem(page.P, fmt.Sprintf("%d more documents are not shown on this page; it is long enough.", len(d.parts)-i), page.Cls(page.Answer))
			return nil
		}
		inner, err := d.openPart(part, r.spent)
		var stated statedError
		if errors.As(err, &stated) {
			view.Inside(p, "", part.Name, func(p *page.Writer) { p.Elem(page.P, stated.Error(), page.Cls(page.Answer)) })
			continue
		}
		if err != nil {
			return err
		}
		r.n++
		outer := p.Prefix()
		view.Inside(p, fmt.Sprintf("d%d.", r.n), part.Name, func(p *page.Writer) { err = r.body(p, inner) })
		p.Space(outer)
		if err != nil {
			return err
		}
	}
	return nil
}

// maxPage is after how many bytes a page takes no further document.
const maxPage = 64 << 20
