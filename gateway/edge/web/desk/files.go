package desk

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// fileLine is a part of a message as a file.
type fileLine struct {
	Part, Name, What string
	Size             string
	Path             string // "" is not offered
	Why              string
	Release          string // path to let it go, for who may
	State            custody.State
	Again            bool   // whoever asks may have it scanned again
	By, Reason       string // who let it go, and why
}

// filesOf are the files of an entry's message, each with how it is kept.
func (d *desk) filesOf(q *web.Request, e work.Entry, it inbox.Item) ([]custody.File, error) {
	h, err := d.House(q.Context(), q.Org)
	if err != nil {
		return nil, err
	}
	records, err := d.Store.Scans(q.Context(), e.Inbox, e.Number)
	return h.Files(it, records), err
}

// kept is how one part of an entry's message is kept.
func (d *desk) kept(q *web.Request, e work.Entry, it inbox.Item, path string) (custody.File, error) {
	h, err := d.House(q.Context(), q.Org)
	if err != nil {
		return custody.File{}, err
	}
	records, err := d.Store.Scans(q.Context(), e.Inbox, e.Number)
	if err != nil {
		return custody.File{}, err
	}
	f, ok := h.File(it, records, path)
	if !ok {
		return f, web.ErrNotFound
	}
	return f, nil
}

// opens is nil where whoever asks may open a file of the message now, else a refusal that says why not.
func opens(q *web.Request, f custody.File) error {
	level, insists := q.Rights.On(q.Work.Pool, q.Work.Scope()), q.URL.Query().Get("held") == "yes"
	switch {
	case f.Opens(level, insists):
		return nil
	case f.Opens(level, true):
		return &web.Refusal{Text: f.Why + " Open it from the message's page if you expect it."}
	case f.State == custody.Ruled:
		return &web.Refusal{Text: f.Why + " Ask somebody who may send for the team."}
	case f.Held():
		return &web.Refusal{Text: f.Why + " A manager, or who signs for the team, can let it go."}
	}
	return &web.Refusal{Text: f.Why}
}

// fileOf is a part as a file with a safe name and what it really is.
func fileOf(q *web.Request, v custody.File, docs []inbox.Document) fileLine {
	f := fileLine{Part: v.Path, Name: web.SafeName(v.Filename), What: "Text", Size: sizeWords(v.Part), State: v.State, Path: fmt.Sprintf("/item/%s/file/%s", q.Work.ID, pathName(v.Path))}
	if v.Filename == "" {
		f.Name = "part " + cmp.Or(v.Path, "1")
	}
	kind := v.MediaType
	if len(docs) > 0 {
		kind = docs[0].Kind
		f.What = document.Kind(kind).Words()
	} else if !strings.HasPrefix(kind, "text/") {
		f.What = document.Unknown.Words()
	}
	level := q.Rights.On(q.Work.Pool, q.Work.Scope())
	f.Why = lower(v.Why)
	switch {
	case v.State == custody.Free:
		if v.Scan != nil {
			f.By, f.Reason = v.Scan.By, v.Scan.Reason
		}
	case v.Opens(level, true):
		f.Path, f.Why = f.Path+query("held", "yes"), f.Why+" Save it only if you expect it."
	case v.State == custody.Ruled:
		f.Path, f.Why = "", f.Why+" Somebody who may send for the team can save it."
	default:
		f.Path = ""
	}
	if v.Held() {
		f.Again = level >= staff.Draft && v.State != custody.Scanning && v.Asks
		if q.Rights.Can(staff.SeeHeld) || level >= staff.Sign {
			f.Release = fmt.Sprintf("/item/%s/release/%s", q.Work.ID, pathName(v.Path))
		} else {
			f.Why += " A manager, or who signs for the team, can let it go."
		}
	}
	return f
}

// lower writes a sentence so that it can follow a dot in a line.
func lower(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// download sends a part as a file: under a safe name and a type that runs nowhere, found by its content.
func (d *desk) download(q *web.Request) error {
	it, src, node, err := d.node(q.Context(), q.Work.Inbox, q.Work.Number, q.PathValue("part"))
	if err != nil {
		return err
	}
	defer src.Close()
	f, err := d.kept(q, q.Work, it, node.Path)
	if err != nil {
		return err
	}
	if err := opens(q, f); err != nil {
		return err
	}
	name, kind := node.Filename, document.Kind("")
	if i := slices.IndexFunc(it.Documents, func(doc inbox.Document) bool { return doc.Path == node.Path }); i >= 0 {
		kind = document.Kind(it.Documents[i].Kind)
	}
	if name == "" {
		name = "part-" + pathName(node.Path) + extension(kind)
	}
	if err := d.Store.AuditAct(q.Context(), entry(q, "work.file", string(q.Work.ID), map[string]any{"part": node.Path, "held": f.State == custody.Ruled})); err != nil {
		return err
	}
	return q.Send(web.Download{Name: name, Type: kind.MediaType(), Size: -1, Body: node.Open(src)})
}

// maxReason bounds why a file is let go, in characters.
const maxReason = 300

// release lets a file go that the scanner holds. It is recorded with the reason.
func (d *desk) release(q *web.Request) error {
	it, err := d.Store.Item(q.Context(), q.Work.Inbox, q.Work.Number)
	if err != nil {
		return err
	}
	f, err := d.kept(q, q.Work, it, partPath(q.PathValue("part")))
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(q.PostForm.Get("reason"))
	switch {
	case !f.Held():
		return d.againOn(q, &web.Refusal{Text: "The scanner does not hold this file any more."})
	case q.PostForm.Get("seen") != string(f.State): // what was decided about is not what it is now
		return d.againOn(q, &web.Refusal{Text: "The scanner has said something else of this file meanwhile. Look at it again."})
	case reason == "" || len([]rune(reason)) > maxReason:
		return d.againOn(q, &web.Refusal{Text: fmt.Sprintf("Say in at most %d characters why the file may be opened: the record keeps it.", maxReason)})
	}
	err = d.Store.ReleaseFile(q.Context(), q.Work, scan.Record{Path: f.Path, Stands: f.Scan.Stands, By: q.Person.Login, Reason: reason}, entry(q, "file.release", string(q.Work.ID), map[string]any{"part": f.Path, "was": f.State, "words": f.Scan.Words, "reason": reason}))
	if errors.Is(err, store.ErrNotFound) {
		return d.againOn(q, &web.Refusal{Text: "The scanner has said something else of this file meanwhile. Look at it again."})
	}
	if err != nil {
		return err
	}
	return q.See("/item/"+string(q.Work.ID)+"#h-files", "The file is let go.")
}

// scanAgain has the files that are held shown to the scanner once more.
func (d *desk) scanAgain(q *web.Request) error {
	if err := d.Store.ScanAgain(q.Context(), q.Work, entry(q, "file.scan", string(q.Work.ID), nil)); err != nil {
		return err
	}
	return q.See("/item/"+string(q.Work.ID)+"#h-files", "The scanner is asked again. Look here in a moment.")
}
