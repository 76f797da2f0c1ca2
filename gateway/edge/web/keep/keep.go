// Package keep is what the gateway keeps about messages, for those who may read it: the record of one message or
// item, and the senders whose messages are held aside.
//
// The record is the audit's entries about one object: who did what, when, with settings and reasons and no patient
// data. Of a held message it shows who sent it, to whom, why it is held and until when, and never anything of what it
// says: nothing of it was decrypted. Releasing one asks today's trust again; only who may see trust can.
//
// Limits: MaxEntries of a record, MaxHeld held messages on the page.
package keep

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"postern/gateway/agent"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/message"
	"postern/gateway/store"
)

// Limits of the pages.
const (
	MaxEntries = 500
	MaxHeld    = 300
)

//go:embed *.html
var files embed.FS

// Services is what the pages work with. Release sends a held message through Open again, Discard gives it up; both in
// the name of a login.
type Services struct {
	Store   *store.Store
	Release func(ctx context.Context, login, id string) error
	Discard func(ctx context.Context, login, id string) error
}

type keep struct {
	Services
	record, held *web.Template
}

// Routes are the pages of this package.
func Routes(s Services) []web.Route {
	k := &keep{Services: s, record: web.Parse(files, "record.html"), held: web.Parse(files, "held.html")}
	return []web.Route{
		{Method: "GET", Pattern: "/record", Need: web.Able(staff.ReadAudit), Handle: k.find,
			Setting: web.Setting{Name: "Record", Text: "Who did what with a message", Icon: "eye"}},
		{Method: "GET", Pattern: "/record/{object}", Need: web.Able(staff.ReadAudit), Handle: k.showRecord},
		{Method: "GET", Pattern: "/held", Need: web.Able(staff.SeeHeld), Handle: k.showHeld,
			Setting: web.Setting{Name: "Senders held aside", Text: "Who could not be verified or trusted; nothing of what they sent", Icon: "shield"}},
		{Method: "POST", Pattern: "/held/{held}/release", Need: web.Able(staff.SeeTrust), Handle: k.release, Fresh: true},
		{Method: "POST", Pattern: "/held/{held}/discard", Need: web.Able(staff.SeeTrust), Handle: k.discard, Fresh: true},
	}
}

// recordPage is the record of one object.
type recordPage struct {
	Object  string
	Asked   bool
	Entries []entryLine
	More    bool
}

// entryLine is one entry in words.
type entryLine struct {
	At     time.Time
	By     string
	Words  string
	Action string // as `postern audit` names it
	Object string
	Detail []pair
	Proof  string // the beginning of its hash: its number would count the entries of every organisation here
}

type pair struct{ Name, Value string }

func (k *keep) find(q *web.Request) error {
	id := strings.TrimSpace(q.URL.Query().Get("id"))
	if id == "" {
		return q.Page(k.record, "Record", recordPage{})
	}
	return k.recordOf(q, id)
}

func (k *keep) showRecord(q *web.Request) error { return k.recordOf(q, q.PathValue("object")) }

// recordOf shows what was recorded about an object of this organisation. What is not there and what is another's
// read the same: nothing was recorded.
func (k *keep) recordOf(q *web.Request, id string) error {
	objects, err := k.related(q, id)
	if err != nil {
		return err
	}
	rows, err := k.Store.AuditOf(q.Context(), q.Org, objects, MaxEntries)
	if err != nil {
		return err
	}
	people, err := k.Store.People(q.Context(), q.Org)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, p := range people {
		names[p.Login], names[string(p.ID)] = p.Name+" ("+p.Login+")", p.Name
	}
	pools, err := k.Store.Pools(q.Context(), q.Org)
	if err != nil {
		return err
	}
	for _, p := range pools {
		names[p.ID] = p.Name
	}
	p := recordPage{Object: id, Asked: true, More: len(rows) == MaxEntries}
	for _, e := range rows {
		p.Entries = append(p.Entries, entryLine{e.Time, cmp.Or(names[e.Actor], e.Actor), actionWords(e.Action, e.Detail), e.Action, e.Object, details(e.Detail, names), e.Hash[:min(12, len(e.Hash))]})
	}
	if err := k.Store.AuditAct(q.Context(), store.AuditEntry{Org: q.Org, Actor: q.Person.Login, Action: "record.view", Object: id}); err != nil {
		return err
	}
	return q.Page(k.record, "Record", p)
}

// related is the object with what it became: a message with its entries, an entry with its message.
func (k *keep) related(q *web.Request, id string) ([]string, error) {
	objects := []string{id}
	if e, err := k.Store.Work(q.Context(), q.Org, work.ID(id)); err == nil {
		return append(objects, string(e.Message)), nil
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	es, err := k.Store.WorkOfMessage(q.Context(), q.Org, message.ID(id))
	for _, e := range es {
		objects = append(objects, string(e.ID))
	}
	return objects, err
}

// details are a detail's values, by name.
func details(raw json.RawMessage, names map[string]string) []pair {
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	var out []pair
	for name, value := range v {
		text, ok := value.(string)
		if !ok {
			b, err := json.Marshal(value)
			if err != nil || string(b) == "null" {
				continue
			}
			text = string(b)
		}
		out = append(out, pair{strings.ReplaceAll(name, "_", " "), cmp.Or(names[text], text)})
	}
	slices.SortFunc(out, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// heldPage is who is held aside.
type heldPage struct {
	Rows   []heldLine
	More   bool
	CanAct bool
}

// heldLine is one held message: who, never what.
type heldLine struct {
	ID               string
	From, Peer       string
	To               []string
	Why, Remedy, Who string
	At, Expires      time.Time
}

func (k *keep) showHeld(q *web.Request) error {
	held, err := k.Store.HeldOf(q.Context(), q.Org, MaxHeld)
	if err != nil {
		return err
	}
	return q.Page(k.held, "Senders held aside", heldOf(q, held))
}

func heldOf(q *web.Request, held []store.Held) heldPage {
	p := heldPage{More: len(held) == MaxHeld, CanAct: q.Rights.Can(staff.SeeTrust)}
	for _, h := range held {
		l := heldLine{ID: h.ID, From: h.MailFrom, Peer: h.Peer, At: h.At, Expires: h.Expires}
		for _, r := range h.Recipients {
			l.To = append(l.To, r.String())
		}
		a := agent.AdviceOn(h.Reason)
		l.Why, l.Remedy, l.Who = cmp.Or(a.Explain, "It could not be opened or trusted."), a.Remedy, a.Who
		p.Rows = append(p.Rows, l)
	}
	return p
}

func (k *keep) release(q *web.Request) error {
	return k.decide(q, k.Release, "It is looked at again under today's trust.")
}
func (k *keep) discard(q *web.Request) error { return k.decide(q, k.Discard, "Given up.") }

// decide does one act on a held message of this organisation.
func (k *keep) decide(q *web.Request, do func(ctx context.Context, login, id string) error, done string) error {
	h, err := k.Store.HeldEntry(q.Context(), q.PathValue("held"))
	if errors.Is(err, store.ErrNotFound) || err == nil && h.Org != q.Org {
		return web.ErrNotFound
	}
	if err != nil {
		return err
	}
	if h.State != "held" {
		return q.See("/held", "Somebody decided about it already.")
	}
	if err := do(q.Context(), q.Person.Login, h.ID); err != nil {
		return err
	}
	return q.See("/held", done)
}
