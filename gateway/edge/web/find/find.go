// Package find is where a clinic looks things up: the search over its messages, its patients, whose message this
// is, and what is printed or taken along of a conversation.
//
// Everything is narrowed to what the person who asks may read, pool by pool (store.ReachOf), in the question itself
// and not in its answer. Whose message this is, is proposed with reasons (patient.Candidates) and decided by a
// person; each decision is audited and can be undone. Exports and prints are audited as what they are: copies that
// leave the gateway's keeping.
//
// Who may see a patient follows from package staff, where a right belongs to a pool and a category and to nothing
// else: a patient is for whoever may read at least one message about them. So "whose message is this" proposes such
// patients only, those of the asker's own teams first among the equally likely, and does not even say that there are
// others: that another team knows somebody is itself a fact about that person. The price is that two teams may each
// make a record of one person; whoever reads both makes them one, and a manager reads every pool. A patient of whom
// no message is left is nobody's to see. Rules may speak of patients known anywhere in the organisation: they decide
// where a message goes and tell no reader of whom they thought.
//
// Two records made one can be taken apart again: exactly the messages that moved go back, but those of which somebody
// said something else since, which the page names before it is done.
//
// Limits: PageLines lines of a page, MaxProposed candidates, MaxThread messages and MaxExport octets of an export,
// MaxMerges of a patient, MaxMoves messages of one looked at.
package find

import (
	"context"
	"embed"
	"time"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/reading"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/message"
	"postern/gateway/store"
)

// Limits of the pages.
const (
	PageLines   = 50
	MaxProposed = 10
	MaxThread   = 100
	MaxExport   = 512 << 20
)

//go:embed *.html find.css
var files embed.FS

// Services is what the pages work with.
type Services struct {
	Store  *store.Store
	Reader *reading.Reader
	Clock  func() time.Time
	Fates  func(ctx context.Context, org string, id message.ID) ([]Fate, error) // of each recipient of a message of ours, for a copy of the conversation
	House  func(ctx context.Context, org string) (custody.House, error)         // what is said about files that come in
}

// Fate is how far a message of ours came with one recipient, in words.
type Fate struct{ Recipient, Words string }

type find struct {
	Services
	search, patients, patient, whose *web.Template
}

// Routes are the pages of this package.
func Routes(s Services) []web.Route {
	f := &find{Services: s}
	f.search, f.patients = web.Parse(files, "search.html", "lines.html"), web.Parse(files, "patients.html")
	f.patient, f.whose = web.Parse(files, "patient.html", "lines.html"), web.Parse(files, "whose.html", "reasons.html")
	read, act := web.OnItem(staff.Read), web.OnItem(staff.Draft)
	return append(web.Files(files, "find.css"), []web.Route{
		{Method: "GET", Pattern: "/find", Need: web.SignedIn(), Handle: f.showSearch},
		{Method: "GET", Pattern: "/patients", Need: web.SignedIn(), Handle: f.showPatients},
		{Method: "GET", Pattern: "/patient/{patient}", Need: web.OnPatient(), Handle: f.showPatient},
		{Method: "POST", Pattern: "/patient/{patient}/confirm", Need: web.OnPatient(), Handle: f.confirm},
		{Method: "POST", Pattern: "/patient/{patient}/merge", Need: web.OnPatient(), Handle: f.merge},
		{Method: "POST", Pattern: "/patient/{patient}/part", Need: web.OnPatient(), Handle: f.part},
		{Method: "GET", Pattern: "/item/{item}/patient", Need: read, Handle: f.showWhose},
		{Method: "POST", Pattern: "/item/{item}/patient", Need: act, Handle: f.decideWhose},
		{Method: "GET", Pattern: "/item/{item}/print", Need: read, Handle: f.print, Framed: true},
		{Method: "GET", Pattern: "/item/{item}/export", Need: read, Handle: f.export},
	}...)
}

// reach is what the person who asks may read, and the names of the pools.
func (f *find) reach(q *web.Request) ([]store.Reach, []pool.Pool, error) {
	pools, err := f.Store.Pools(q.Context(), q.Org)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(pools))
	for i, p := range pools {
		ids[i] = p.ID
	}
	return store.ReachOf(q.Rights, ids), pools, nil
}

// note records what was looked at or done.
func (f *find) note(q *web.Request, action, object string, detail any) error {
	return f.Store.AuditAct(q.Context(), entry(q, action, object, detail))
}

func entry(q *web.Request, action, object string, detail any) store.AuditEntry {
	return store.AuditEntry{Org: q.Org, Actor: q.Person.Login, Action: action, Object: object, Detail: detail}
}

// line is one message in a list.
type line struct {
	work.Entry
	Subject, PoolName string
	Patients, Types   []string
}

// lines adds to entries what is shown of their items.
func (f *find) lines(q *web.Request, entries []work.Entry, pools []pool.Pool) ([]line, error) {
	all, err := f.Store.Lines(q.Context(), entries)
	if err != nil {
		return nil, err
	}
	var out []line
	for _, e := range all {
		l := line{Entry: e.Entry, Subject: e.Subject}
		for _, p := range pools {
			if p.ID == e.Pool {
				l.PoolName = p.Name
			}
		}
		for _, d := range e.Documents {
			l.Patients = once(l.Patients, d.PatientName())
			l.Types = once(l.Types, d.Type)
		}
		out = append(out, l)
	}
	return out, nil
}

// once adds a word that is there and not there yet.
func once(to []string, s string) []string {
	for _, t := range to {
		if t == s {
			return to
		}
	}
	if s == "" || len(to) == 3 {
		return to
	}
	return append(to, s)
}

// stated is whom an item's first document is about; the zero value where none says.
func (f *find) stated(q *web.Request, it inbox.Item) (chart.Patient, error) {
	p, err := f.Store.PatientOfItem(q.Context(), it.Inbox, it.Number)
	if err != nil || p == nil {
		return chart.Patient{}, err
	}
	return *p, nil
}

// person is what is shown of a known person.
type person struct {
	patient.Record
	Name, Birth, Sex string
	Numbers, Reached []string
}

func known(r patient.Record) person {
	return person{r, r.Name(), r.Stated.Birth.Date(), sexWords(r.Stated.Sex), numbers(r.Stated), reached(r.Stated)}
}

func sexWords(c chart.Code) string {
	switch c.Code {
	case "F", "female":
		return "female"
	case "M", "male":
		return "male"
	}
	return c.Words()
}

func numbers(p chart.Patient) (out []string) {
	for _, id := range p.IDs {
		if !id.Zero() && id.Null == "" && len(out) < 4 {
			out = append(out, called(id))
		}
	}
	return out
}

// called is a number as people know it, with who gave it where that is said in words: nobody reads an OID.
func called(id chart.ID) string {
	switch {
	case id.Extension == "":
		return id.String()
	case id.Authority != "":
		return id.Extension + " (" + id.Authority + ")"
	}
	return id.Extension
}

// reached is telephones and addresses.
func reached(p chart.Patient) (out []string) {
	for _, t := range p.Telecoms {
		if n := t.Number(); n != "" && len(out) < 3 {
			out = append(out, n)
		}
	}
	for _, a := range p.Addresses {
		if !a.Zero() && len(out) < 5 {
			out = append(out, a.String())
		}
	}
	return out
}
