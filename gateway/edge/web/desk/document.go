package desk

import (
	"bytes"
	"errors"
	"fmt"
	"html"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// documentPage is one document by itself, in its frame.
type documentPage struct {
	E                  work.Entry
	Subject            string
	Title, Frame, File string
	Compared           bool
	Plain              string // path without the comparison
	Held               string // why it is not shown; "" is shown
	Insist             string // path to open it all the same, for who may
}

// showDocument is the page of one document.
func (d *desk) showDocument(q *web.Request) error {
	it, src, node, err := d.node(q.Context(), q.Work.Inbox, q.Work.Number, q.PathValue("part"))
	if err != nil {
		return err
	}
	src.Close()
	p := documentPage{E: q.Work, Subject: it.Subject, Title: "Document", Frame: fmt.Sprintf("/item/%s/page/%s", q.Work.ID, pathName(node.Path)),
		File: fmt.Sprintf("/item/%s/file/%s", q.Work.ID, pathName(node.Path)), Plain: fmt.Sprintf("/item/%s/document/%s", q.Work.ID, pathName(node.Path))}
	for _, doc := range it.Documents {
		if doc.Path == node.Path {
			p.Title = docWords(doc)
			break
		}
	}
	kept, err := d.kept(q, q.Work, it, node.Path)
	if err != nil {
		return err
	}
	var refusal *web.Refusal
	if errors.As(opens(q, kept), &refusal) {
		p.Held = refusal.Text
		if kept.Opens(q.Rights.On(q.Work.Pool, q.Work.Scope()), true) {
			p.Held, p.Insist = kept.Why, p.Plain+query("held", "yes")
		}
	}
	if with := q.URL.Query().Get("with"); with != "" {
		p.Compared = true
		p.Frame += query("with", with, "part", q.URL.Query().Get("part"))
	} else if kept.State != custody.Free {
		p.Frame, p.File = p.Frame+query("held", "yes"), p.File+query("held", "yes")
	}
	if err := d.Store.AuditAct(q.Context(), entry(q, "work.document", string(q.Work.ID), map[string]any{"part": node.Path, "compared": p.Compared, "held": p.Held != ""})); err != nil {
		return err
	}
	return q.Page(d.document, "Document", p)
}

// framed writes a document's own page, for a frame.
func (d *desk) framed(q *web.Request) error {
	it, src, node, err := d.node(q.Context(), q.Work.Inbox, q.Work.Number, q.PathValue("part"))
	if err != nil {
		return err
	}
	defer src.Close()
	kept, err := d.kept(q, q.Work, it, node.Path)
	if err != nil {
		return err
	}
	var refusal *web.Refusal
	if errors.As(opens(q, kept), &refusal) {
		return q.Frame(document.CSP(), sorry(refusal.Text))
	}
	body, err := decoded(node, src)
	if errors.Is(err, errLarge) {
		return q.Frame(document.CSP(), sorry("This document is too large to be shown here. Save it and open it with a program for it."))
	}
	if err != nil {
		return q.Frame(document.CSP(), sorry("This part of the message is damaged and cannot be read."))
	}
	o := document.RenderOptions{Hint: d.hint(q, node), NoRaw: true}
	if with := q.URL.Query().Get("with"); with != "" {
		if o.Older, err = d.olderDocument(q, work.ID(with), q.URL.Query().Get("part")); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	err = document.Render(&out, bytes.NewReader(body), int64(len(body)), o)
	if err != nil && o.Older != nil && q.Context().Err() == nil { // what came before cannot be compared: the document itself can be read
		out.Reset()
		o.Older = nil
		err = document.Render(&out, bytes.NewReader(body), int64(len(body)), o)
	}
	if err != nil {
		return err
	}
	return q.Frame(document.CSP(), out.Bytes())
}

// olderDocument opens the document to compare with. Whoever asks must be able to see it.
func (d *desk) olderDocument(q *web.Request, id work.ID, name string) (*document.Document, error) {
	e, err := d.Store.Work(q.Context(), q.Org, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && q.Rights.On(e.Pool, e.Scope()) < staff.Read {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	it, src, node, err := d.node(q.Context(), e.Inbox, e.Number, name)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if kept, err := d.kept(q, e, it, node.Path); err != nil || kept.State != custody.Free { // shown without a comparison
		return nil, err
	}
	body, err := decoded(node, src)
	if err != nil {
		return nil, nil // it is shown without a comparison
	}
	return document.OpenBytes(body, d.hint(q, node))
}

// sorry is a page of one sentence for a frame.
func sorry(words string) []byte {
	return []byte(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Document</title></head><body><p>` + html.EscapeString(words) + `</p></body></html>`)
}

// extension is the end of a name for a part that has none.
func extension(k document.Kind) string {
	switch k {
	case document.CCDA, document.C32, document.CDA, document.CCR, document.FHIRXML, document.XML:
		return ".xml"
	case document.PDF:
		return ".pdf"
	case document.Zip, document.XDM:
		return ".zip"
	case document.FHIRJSON, document.JSON:
		return ".json"
	case document.PNG, document.JPEG, document.GIF:
		return "." + string(k)
	}
	return ".txt"
}
