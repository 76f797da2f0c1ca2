package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/reading"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/spool"
	"postern/gateway/store"
)

// letters is the clinic's writing desk: drafts kept sealed, checked as they stand, and submitted like the messages of
// any other edge.
type letters struct {
	s       *Site
	scanner scan.Scanner // nil: nothing is scanned
}

func (l letters) entry(who staff.Person, action, object string, detail any) store.AuditEntry {
	return store.AuditEntry{Org: who.Org, Actor: who.Login, Action: action, Object: object, Detail: detail}
}

// draftText is what of a draft is kept sealed.
type draftText struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Parent is the message an answer begins from.
func (l letters) Parent(ctx context.Context, e work.Entry, zone *time.Location) (letter.Parent, error) {
	it, err := l.s.Store.Item(ctx, e.Inbox, e.Number)
	if err != nil {
		return letter.Parent{}, err
	}
	m, err := l.s.Store.Message(ctx, e.Message)
	if err != nil {
		return letter.Parent{}, err
	}
	p := letter.Parent{Work: e.ID, Pool: e.Pool, Category: e.Category, At: e.Recipient.WithoutTag(), Sender: e.Sender, To: m.Facts.To, Cc: m.Facts.Cc,
		RFCID: it.RFCID, Subject: it.Subject, Received: e.Received, Zone: zone}
	opened, err := l.s.reader().Open(ctx, it)
	if err != nil {
		return p, err
	}
	defer opened.Close()
	p.Text, _, err = opened.Text()
	return p, err
}

// Load is a draft with its text.
func (l letters) Load(ctx context.Context, org string, id letter.ID) (letter.Draft, error) {
	row, err := l.s.Store.Draft(ctx, org, id)
	if err != nil || row.Blob == "" {
		return row.Draft, err
	}
	b, err := l.read(ctx, row.Blob)
	if err != nil {
		return row.Draft, err
	}
	var t draftText
	if err := json.Unmarshal(b, &t); err != nil {
		return row.Draft, fmt.Errorf("gateway: draft %s: %w", id, err)
	}
	row.Subject, row.Text = t.Subject, t.Text
	return row.Draft, nil
}

func (l letters) read(ctx context.Context, blob string) ([]byte, error) {
	b, err := l.s.Store.Blob(ctx, blob)
	if err != nil {
		return nil, err
	}
	src, err := l.s.Spool.Open(b)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return io.ReadAll(src.Section())
}

// keep writes a draft's text, sealed.
func (l letters) keep(ctx context.Context, d letter.Draft) (spool.Blob, error) {
	text, err := json.Marshal(draftText{d.Subject, d.Text})
	if err != nil {
		return spool.Blob{}, err
	}
	return l.blob(ctx, d.Org, bytes.NewReader(text))
}

func (l letters) blob(ctx context.Context, org string, r io.Reader) (spool.Blob, error) {
	return l.blobUpTo(ctx, org, r, math.MaxInt64-1)
}

// errLarger says that what was to be kept is larger than it may be; nothing is.
var errLarger = errors.New("gateway: larger than there is room")

func (l letters) blobUpTo(ctx context.Context, org string, r io.Reader, most int64) (spool.Blob, error) {
	w, err := l.s.Spool.Create(org)
	if err != nil {
		return spool.Blob{}, err
	}
	defer w.Abort()
	n, err := io.Copy(w, io.LimitReader(r, most+1))
	if err == nil && n > most {
		err = errLarger
	}
	if err != nil {
		return spool.Blob{}, err
	}
	return w.Commit(ctx)
}

// Room is what the files of one message may be together.
func (l letters) Room() letter.Room { return letter.RoomIn(l.s.Config.SMTP.MaxSize) }

// Begin keeps a new draft. What is passed on goes along as files: every document and attachment of the message. met is
// who else answers the message or has answered it, nil for who was told and goes on (again); the draft is kept all the same.
func (l letters) Begin(ctx context.Context, who staff.Person, d letter.Draft, again bool) (met *work.Collision, err error) {
	var passed *inbox.Item
	if d.Work != "" && (d.How == letter.Forward || d.How == letter.Redirect) {
		e, err := l.s.Store.Work(ctx, d.Org, d.Work)
		if err != nil {
			return nil, err
		}
		it, err := l.s.Store.Item(ctx, e.Inbox, e.Number)
		if err != nil {
			return nil, err
		}
		if it.Flags.PartsLeftOut || it.Flags.Unreadable != "" {
			return nil, &web.Refusal{Text: "Not all parts of this message can be taken along one by one, so it cannot be passed on from here. Export it, and send what you need as files."}
		}
		held, err := l.held(ctx, it)
		if err != nil {
			return nil, err
		}
		if len(held) > 0 && d.How == letter.Redirect {
			return nil, &web.Refusal{Text: "It cannot be redirected as it is. " + strings.Join(held, " ") + " Have it let go first, or pass on what may be opened with Forward."}
		}
		if why := l.tooMuch(it); why != "" {
			return nil, &web.Refusal{Text: why}
		}
		passed = &it
	}
	b, err := l.keep(ctx, d)
	if err != nil {
		return nil, err
	}
	if met, err = l.s.Store.AddDraft(ctx, d, b, again, l.entry(who, "draft", string(d.ID), map[string]any{"how": d.How, "work": d.Work, "again": again})); err != nil || passed == nil {
		return met, err
	}
	return met, l.along(ctx, who, d, *passed)
}

// tooMuch says why the files of a message cannot all be taken along in one of ours; "" where they can.
func (l letters) tooMuch(it inbox.Item) string {
	total, room := int64(0), l.Room()
	for _, p := range it.Parts {
		n := p.Length
		if p.Encoding == "base64" {
			n = n / 4 * 3
		}
		total += n
	}
	if len(it.Parts) > room.Files || total > room.Octets {
		return fmt.Sprintf("This message has %d parts of %d MB together, and one of ours may have %s. Save what is needed, and send it in parts.", len(it.Parts), total>>20, room)
	}
	return ""
}

// along attaches the files of an item to a draft, all of them. Words
// too long to be quoted go along as a file.
func (l letters) along(ctx context.Context, who staff.Person, d letter.Draft, it inbox.Item) error {
	m, err := l.s.reader().Open(ctx, it)
	if err != nil {
		return err
	}
	defer m.Close()
	files, err := l.files(ctx, it)
	if err != nil {
		return err
	}
	body, hasBody := m.Body()
	text, more, err := m.Text()
	if err != nil {
		return err
	}
	whole := !more && letter.Quotable(text)
	for _, p := range it.Parts {
		if hasBody && p.Path == body.Path && whole || slices.ContainsFunc(files, func(f custody.File) bool { return f.Path == p.Path && f.State != custody.Free }) {
			continue
		}
		c, err := m.Part(p.Path)
		if err != nil {
			return err
		}
		_, err = l.Attach(ctx, who, d, reading.Name(p), p.MediaType, c.Section())
		if err := errors.Join(err, c.Close()); err != nil {
			return err
		}
	}
	return nil
}

// files are the files of an item, each with how it is kept.
func (l letters) files(ctx context.Context, it inbox.Item) ([]custody.File, error) {
	h, err := l.s.house(ctx, it.Org)
	if err != nil {
		return nil, err
	}
	records, err := l.s.Store.Scans(ctx, it.Inbox, it.Number)
	return h.Files(it, records), err
}

// held says which files of an item may not leave, each with why.
func (l letters) held(ctx context.Context, it inbox.Item) (out []string, err error) {
	files, err := l.files(ctx, it)
	for _, f := range files {
		if f.State != custody.Free {
			out = append(out, web.SafeName(reading.Name(f.Part))+": "+f.Why)
		}
	}
	return out, err
}

// LeftOut says which files of the message that a draft passes on did not come along, each with why.
func (l letters) LeftOut(ctx context.Context, d letter.Draft) ([]string, error) {
	if d.How != letter.Forward || d.Work == "" {
		return nil, nil
	}
	e, err := l.s.Store.Work(ctx, d.Org, d.Work)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	it, err := l.s.Store.Item(ctx, e.Inbox, e.Number)
	if err != nil {
		return nil, err
	}
	return l.held(ctx, it)
}

// several reports that documents name different patients.
func several(docs []inbox.Document) bool {
	first := ""
	for _, doc := range docs {
		var p chart.Patient
		if len(doc.Patient) == 0 || json.Unmarshal(doc.Patient, &p) != nil || p.Name.Zero() {
			continue
		}
		who := strings.ToLower(called(p))
		if first != "" && who != first {
			return true
		}
		first = who
	}
	return false
}

// Save keeps a draft as it is now; store.ErrStaleDraft says that it was saved elsewhere meanwhile.
func (l letters) Save(ctx context.Context, who staff.Person, d letter.Draft) error {
	b, err := l.keep(ctx, d)
	if err != nil {
		return err
	}
	return l.s.Store.SaveDraft(ctx, d, b, l.entry(who, "draft.save", string(d.ID), nil))
}

// Attach keeps a file with a draft: what it is, whom it names and what is odd about it is found out now. A file for which
// the message has no room is a *web.Refusal, and is read no further than that takes.
func (l letters) Attach(ctx context.Context, who staff.Person, d letter.Draft, name, mediaType string, r io.Reader) (f letter.File, err error) {
	there, err := l.s.Store.DraftFiles(ctx, d.ID)
	if err != nil {
		return f, err
	}
	room, left := l.Room(), l.Room().Octets
	for _, x := range there {
		left -= x.Size
	}
	if why := room.Refuse(there, name, 0); why != "" {
		return f, &web.Refusal{Text: why}
	}
	b, err := l.blobUpTo(ctx, d.Org, r, max(left, 0))
	if errors.Is(err, errLarger) {
		return f, &web.Refusal{Text: room.Refuse(there, name, max(left, 0)+1)}
	}
	if err != nil {
		return f, err
	}
	src, err := l.s.Spool.Open(b)
	if err != nil {
		return f, err
	}
	defer src.Close()
	s, err := document.Inspect(src, src.Size(), document.Hint{Filename: name, MediaType: mediaType, Now: l.s.now(), Stop: ctx.Err})
	if err != nil {
		return f, err
	}
	f = letter.File{Name: name, Kind: s.Kind, MediaType: mediaType, Size: b.Size, Blob: b.ID, Findings: s.Problems}
	if s.Patient != nil {
		f.Patient = called(*s.Patient)
	}
	if l.scanner != nil {
		f.Scan = l.scanner.Scan(ctx, src.Section(), src.Size())
	}
	f.Number, err = l.add(ctx, who, d, f, b)
	return f, err
}

// add names a file in the draft.
func (l letters) add(ctx context.Context, who staff.Person, d letter.Draft, f letter.File, b spool.Blob) (int, error) {
	n, err := l.s.Store.AddFile(ctx, d.Org, d.ID, f, b, l.entry(who, "draft.attach", string(d.ID), map[string]any{"kind": f.Kind, "size": f.Size, "scan": f.Scan.Verdict}))
	if errors.Is(err, store.ErrDraftFull) { // another window filled it meanwhile
		err = &web.Refusal{Text: f.Name + " was not attached: a message has at most " + l.Room().String() + "."}
	}
	return n, err
}

// called is a person as two documents are compared by.
func called(p chart.Patient) string {
	name := p.Name.String()
	if d := p.Birth.Date(); d != "" {
		name += ", born " + d
	}
	return name
}

// Detach takes a file off a draft.
func (l letters) Detach(ctx context.Context, who staff.Person, d letter.Draft, number int) error {
	return l.s.Store.RemoveFile(ctx, d.Org, d.ID, number, l.entry(who, "draft.detach", string(d.ID), nil))
}

// Throw throws a draft away.
func (l letters) Throw(ctx context.Context, who staff.Person, d letter.Draft) error {
	return l.s.Store.ThrowDraft(ctx, d.Org, d.ID, l.entry(who, "draft.throw", string(d.ID), nil))
}
