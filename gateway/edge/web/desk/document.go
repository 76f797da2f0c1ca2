package desk

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"slices"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
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
	if with := q.URL.Query().Get("with"); with != "" {
		p.Compared = true
		p.Frame += query("with", with, "part", q.URL.Query().Get("part"))
	}
	if err := d.Store.AuditAct(q.Context(), entry(q, "work.document", string(q.Work.ID), map[string]any{"part": node.Path, "compared": p.Compared})); err != nil {
		return err
	}
	return q.Page(d.document, "Document", p)
}

// framed writes a document's own page, for a frame.
func (d *desk) framed(q *web.Request) error {
	_, src, node, err := d.node(q.Context(), q.Work.Inbox, q.Work.Number, q.PathValue("part"))
	if err != nil {
		return err
	}
	defer src.Close()
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
	_, src, node, err := d.node(q.Context(), e.Inbox, e.Number, name)
	if err != nil {
		return nil, err
	}
	defer src.Close()
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

// download sends a part as a file: under a safe name and a type that runs nowhere, found by its content.
func (d *desk) download(q *web.Request) error {
	it, src, node, err := d.node(q.Context(), q.Work.Inbox, q.Work.Number, q.PathValue("part"))
	if err != nil {
		return err
	}
	defer src.Close()
	name, kind := node.Filename, document.Kind("")
	for _, doc := range it.Documents {
		if doc.Path == node.Path {
			kind = document.Kind(doc.Kind)
			break
		}
	}
	if kind == document.Program {
		return &web.Refusal{Text: "A program is not offered. Ask the sender what it is for."}
	}
	held, err := d.held(q, it, node.Path)
	if err != nil {
		return err
	}
	if name == "" {
		name = "part-" + pathName(node.Path) + extension(kind)
	}
	if err := d.Store.AuditAct(q.Context(), entry(q, "work.file", string(q.Work.ID), map[string]any{"part": node.Path, "held": held})); err != nil {
		return err
	}
	return q.Send(web.Download{Name: name, Type: kind.MediaType(), Size: -1, Body: node.Open(src)})
}

// held reports whether the organisation's rules hold a file back. It is a refusal but for who may save it and says so.
func (d *desk) held(q *web.Request, it inbox.Item, path string) (bool, error) {
	policy, err := d.Store.FilePolicy(q.Context(), q.Org)
	if err != nil {
		return false, err
	}
	docs := slices.DeleteFunc(slices.Clone(it.Documents), func(doc inbox.Document) bool { return doc.Path != path })
	i := slices.IndexFunc(it.Parts, func(p inbox.Part) bool { return p.Path == path })
	if i < 0 {
		return false, web.ErrNotFound
	}
	v := judged(it.Parts[i], docs, policy)
	switch {
	case v.Action != letter.Hold:
		return false, nil
	case !mayOpenHeld(q):
		return true, &web.Refusal{Text: "This file is held back: " + v.Reason + " Ask somebody who may send for the team."}
	case q.URL.Query().Get("held") != "yes":
		return true, &web.Refusal{Text: "This file is held back: " + v.Reason + " Save it from the message's page if you expect it."}
	}
	return true, nil
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
