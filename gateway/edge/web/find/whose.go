package find

import (
	"errors"
	"strings"

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
	Reasons []patient.Reason
}

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
	if q.Work.Patient != "" {
		r, err := f.Store.Patient(q.Context(), q.Org, patient.ID(q.Work.Patient))
		if err != nil {
			return data, err
		}
		now := known(r)
		data.Now = &now
	}
	around, err := f.Store.Acquainted(q.Context(), q.Org, stated)
	if err != nil {
		return data, err
	}
	for _, c := range patient.Candidates(stated, around, MaxProposed) {
		data.Proposed = append(data.Proposed, proposed{known(c.Record), c.Grade == patient.Likely, c.Reasons})
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

// history is what was ever said of whose message this is.
func (f *find) history(q *web.Request) (out []linked, err error) {
	links, err := f.Store.PatientLinks(q.Context(), q.Org, q.Work.ID)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		r, err := f.Store.Patient(q.Context(), q.Org, l.Patient)
		if err != nil {
			return nil, err
		}
		x := linked{PatientLink: l, Name: r.Name()}
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
