package desk

import (
	"strings"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// row is one entry in a list, in words.
type row struct {
	ID       work.ID
	Version  int64
	Subject  string
	From     string // the verified sender
	Patient  string // as the document states it
	What     string // "Referral Note and 2 more"
	Category string
	Urgency  string
	Why      string // the reason for the urgency
	Kind     work.Kind
	State    work.State
	Pool     string
	Owner    string // "" is nobody
	Mine     bool
	Received time.Time
	Due      time.Time
	Overdue  bool
	Sensitive,
	SameID bool
	Notes   int
	Writing string   // who writes an answer now
	Looking []string // who looks at it now
	Work    bool     // whoever asks may work on it
}

// Class is how the row is marked in a list.
func (r row) Class() string {
	switch {
	case r.State == work.Done:
		return "done"
	case r.Urgency != "":
		return "urgent"
	case r.State == work.New:
		return "new"
	}
	return ""
}

// rows makes lines readable for who asks.
func (d *desk) rows(q *web.Request, h house, lines []store.Line) []row {
	out := make([]row, 0, len(lines))
	for _, l := range lines {
		r := row{ID: l.ID, Version: l.Version, Subject: strings.TrimSpace(l.Subject), From: l.Sender.String(), Category: string(l.Category), Urgency: l.Urgency.Words(),
			Why: l.Why.UrgencyWhy, Kind: l.Kind, State: l.State, Pool: h.Pool(l.Pool), Mine: l.Owner == q.Person.ID, Received: l.Received, Due: l.Due,
			Overdue: l.Overdue(q.Now), Sensitive: l.Sensitive, SameID: l.SameID, Notes: l.Notes, Work: q.Rights.On(l.Pool, l.Scope()) >= staff.Draft}
		if l.Owner != "" {
			r.Owner = h.Person(l.Owner)
		}
		if r.Subject == "" {
			r.Subject = "(no subject)"
		}
		r.Patient, r.What = about(l.Documents)
		if l.Writing != "" && l.Writing != q.Person.ID {
			r.Writing = h.Person(l.Writing)
		}
		for _, p := range d.here.others(l.ID, q.Person.ID, q.Now) {
			r.Looking = append(r.Looking, h.Person(p))
		}
		out = append(out, r)
	}
	return out
}

// about says in a few words what documents a message brings, and whose name the first of them states.
func about(docs []inbox.Document) (patient, what string) {
	n := 0
	for _, doc := range docs {
		if patient == "" {
			patient = doc.PatientName()
		}
		if what == "" {
			what = docWords(doc)
		}
		n++
	}
	if n == 2 {
		what += " and 1 more"
	} else if n > 2 {
		what += " and " + number(n-1) + " more"
	}
	return among(patient, docs), what
}

// among is the first patient's name, and that the documents name others too: nobody takes two people for one.
func among(first string, docs []inbox.Document) string {
	seen := map[string]bool{strings.ToLower(first): true, "": true}
	for _, doc := range docs {
		seen[strings.ToLower(doc.PatientName())] = true
	}
	switch n := len(seen) - 2; {
	case first == "" || n < 1:
		return first
	case n == 1:
		return first + " and another patient"
	default:
		return first + " and " + number(n) + " other patients"
	}
}

// docWords is a document's type for a reader.
func docWords(doc inbox.Document) string {
	switch {
	case doc.Type != "":
		return doc.Type
	case doc.Title != "":
		return doc.Title
	}
	return document.Kind(doc.Kind).Words()
}
