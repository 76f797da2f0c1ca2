package find

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// whoseData is the dot of the page that asks whose message this is.
type whoseData struct {
	Item     work.Entry
	Subject  string
	Stated   person // as the message states it
	States   bool   // it states somebody
	Now      *person
	Proposed []proposed
	Asked    string
	ByHand   []person
	History  []linked
	May      bool
}

type proposed struct {
	person
	Likely  bool
	Own     bool // a message of theirs is with a team the asker belongs to
	Reasons []patient.Reason
}

// linked is one thing that was said of whose message this is. The name is left out where the asker may not see that
// patient any more.
type linked struct {
	store.PatientLink
	Name, ByName, UndoneName string
}

func (f *find) showWhose(q *web.Request) error {
	data, err := f.whoseData(q)
	if err != nil {
		return err
	}
	if err := f.note(q, "view_candidates", string(q.Work.ID), nil); err != nil {
		return err
	}
	return q.Page(f.whose, "Whose message is this?", data)
}

func (f *find) whoseData(q *web.Request) (data whoseData, err error) {
	it, err := f.Store.Item(q.Context(), q.Work.Inbox, q.Work.Number)
	if err != nil {
		return data, err
	}
	data = whoseData{Item: q.Work, Subject: it.Subject, May: q.Rights.On(q.Work.Pool, q.Work.Scope()) >= staff.Draft, Asked: strings.TrimSpace(q.URL.Query().Get("name"))}
	stated, err := f.stated(q, it)
	if err != nil {
		return data, err
	}
	data.Stated, data.States = known(patient.Record{Stated: stated}), !stated.Name.Zero() || len(stated.IDs) > 0
	if q.Work.Patient != "" { // who may see the message may see the patient: it is one of theirs
		r, err := f.Store.Patient(q.Context(), q.Org, patient.ID(q.Work.Patient))
		if err != nil {
			return data, err
		}
		now := known(r)
		data.Now = &now
	}
	if data.Proposed, err = f.proposed(q, stated); err != nil {
		return data, err
	}
	if data.Asked != "" {
		found, err := f.visible(q, data.Asked)
		if err != nil {
			return data, err
		}
		for _, r := range found[:min(len(found), MaxProposed)] {
			data.ByHand = append(data.ByHand, known(r))
		}
	}
	data.History, err = f.history(q)
	return data, err
}

// proposed are the people whom the asker may see and whom the message may be about: the likely before the possible,
// and among those first who has a message with the asker's own teams.
func (f *find) proposed(q *web.Request, stated chart.Patient) (out []proposed, err error) {
	reach, _, err := f.reach(q)
	if err != nil {
		return nil, err
	}
	around, err := f.Store.AcquaintedSeen(q.Context(), q.Org, stated, reach)
	if err != nil {
		return nil, err
	}
	records, own := make([]patient.Record, len(around)), map[patient.ID]bool{}
	for i, c := range around {
		records[i], own[c.ID] = c.Record, c.Own
	}
	for _, c := range patient.Candidates(stated, records, patient.MaxCandidates) {
		out = append(out, proposed{known(c.Record), c.Grade == patient.Likely, own[c.Record.ID], c.Reasons})
	}
	slices.SortStableFunc(out, func(a, b proposed) int {
		return cmp.Or(before(a.Likely, b.Likely), before(a.Own, b.Own))
	})
	return out[:min(len(out), MaxProposed)], nil
}

// before puts what is so ahead of what is not.
func before(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// history is what was ever said of whose message this is.
func (f *find) history(q *web.Request) (out []linked, err error) {
	links, err := f.Store.PatientLinks(q.Context(), q.Org, q.Work.ID)
	if err != nil {
		return nil, err
	}
	reach, _, err := f.reach(q)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		x := linked{PatientLink: l}
		if x.Name, err = f.nameOf(q, l.Patient, reach); err != nil {
			return nil, err
		}
		if x.ByName, err = f.called(q, l.By); err != nil {
			return nil, err
		}
		if x.UndoneName, err = f.called(q, l.UndoneBy); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// nameOf is what a patient is called, "" for one of whom the asker may see no message.
func (f *find) nameOf(q *web.Request, id patient.ID, reach []store.Reach) (string, error) {
	seen, err := f.Store.PatientVisible(q.Context(), q.Org, id, reach)
	if err != nil || !seen {
		return "", err
	}
	r, err := f.Store.Patient(q.Context(), q.Org, id)
	return r.Name(), err
}

// called is a person's name by login, or the login of one who is not here any more.
func (f *find) called(q *web.Request, login string) (string, error) {
	if login == "" {
		return "", nil
	}
	p, err := f.Store.PersonByLogin(q.Context(), q.Org, login)
	if errors.Is(err, store.ErrNotFound) {
		return login, nil
	}
	return p.Name, err
}

// decideWhose confirms one, makes a new one, or undoes what was said.
func (f *find) decideWhose(q *web.Request) error {
	data, err := f.whoseData(q)
	if err != nil {
		return err
	}
	back := "/item/" + string(q.Work.ID)
	l := store.PatientLink{Work: q.Work.ID, How: "confirmed", Reasons: []patient.Reason{}, By: q.Person.Login}
	notice := ""
	switch do := q.PostForm.Get("do"); do {
	case "this":
		if l.Patient = patient.ID(q.PostForm.Get("patient")); !f.offered(q, &data, &l) {
			return q.Again(f.whose, "Whose message is this?", data, &web.Refusal{Text: "Choose one of the people shown here."})
		}
		err, notice = f.Store.LinkPatient(q.Context(), q.Org, l, entry(q, "link_patient", string(q.Work.ID), map[string]any{"patient": l.Patient, "reasons": fields(l.Reasons)})), "The message is this patient's now."
	case "new":
		if !data.States {
			return q.Again(f.whose, "Whose message is this?", data, &web.Refusal{Text: "The message names nobody: find the patient by name."})
		}
		l.How = "provisional"
		_, err = f.Store.AddPatient(q.Context(), q.Org, data.Stated.Stated, l, entry(q, "add_patient", string(q.Work.ID), nil))
		notice = "A provisional patient was made from what the message says."
	case "undo":
		if q.PostForm.Get("patient") != q.Work.Patient { // what was looked at is not what it is now
			return q.Again(f.whose, "Whose message is this?", data, &web.Refusal{Text: "Somebody said something else a moment ago. Look again."})
		}
		err, notice, back = f.Store.UnlinkPatient(q.Context(), q.Org, q.Work.ID, q.Person.Login, entry(q, "unlink_patient", string(q.Work.ID), map[string]any{"patient": q.Work.Patient})),
			"Undone. The trace of it is kept.", back+"/patient"
	default:
		return web.ErrNotFound
	}
	if errors.Is(err, store.ErrLinked) {
		return q.Again(f.whose, "Whose message is this?", data, &web.Refusal{Text: "Somebody said whose message it is a moment ago. Look again."})
	}
	if err != nil {
		return err
	}
	return q.See(back, notice)
}

// offered reports whether the person was shown on this page, and fills in the reasons for it. What a form names is
// not trusted: an id that was learned elsewhere links nobody.
func (f *find) offered(q *web.Request, data *whoseData, l *store.PatientLink) bool {
	for _, p := range data.Proposed {
		if p.ID == l.Patient {
			l.Reasons = p.Reasons
			return true
		}
	}
	reach, _, err := f.reach(q)
	if err != nil {
		return false
	}
	seen, err := f.Store.PatientVisible(q.Context(), q.Org, l.Patient, reach)
	l.Reasons = []patient.Reason{{Field: "by hand", Verdict: patient.NotStated, Text: "found by name"}}
	return err == nil && seen
}

// fields are the reasons for the audit: what agreed, without what anybody is called.
func fields(rs []patient.Reason) (out []string) {
	for _, r := range rs {
		out = append(out, r.Field+" "+string(r.Verdict))
	}
	return out
}
