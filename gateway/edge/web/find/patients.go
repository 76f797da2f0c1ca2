package find

import (
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// patientsData is the dot of the page of patients.
type patientsData struct {
	Asked string
	Found []person
	More  bool
}

// showPatients finds people by the beginning of their last name, of those whose messages the asker may see.
func (f *find) showPatients(q *web.Request) error {
	data := patientsData{Asked: strings.TrimSpace(q.URL.Query().Get("name"))}
	if data.Asked == "" {
		return q.Page(f.patients, "Patients", data)
	}
	found, err := f.visible(q, data.Asked)
	if err != nil {
		return err
	}
	if len(found) > PageLines {
		found, data.More = found[:PageLines], true
	}
	for _, r := range found {
		data.Found = append(data.Found, known(r))
	}
	if err := f.note(q, "search_patients", "", map[string]any{"found": len(found)}); err != nil {
		return err
	}
	return q.Page(f.patients, "Patients", data)
}

// visible are people by name of whom the asker may see at least one message: up to one more than a page.
func (f *find) visible(q *web.Request, name string) ([]patient.Record, error) {
	reach, _, err := f.reach(q)
	if err != nil {
		return nil, err
	}
	return f.Store.PatientsSeen(q.Context(), q.Org, name, reach, PageLines+1)
}

// patientData is the dot of one patient's page.
type patientData struct {
	Who    person
	Lines  []line
	Older  string
	May    bool     // confirm, merge and take apart
	Others []person // one of them may be the same person
	Merges []merged
}

func (f *find) showPatient(q *web.Request) error {
	id := patient.ID(q.PathValue("patient"))
	data, err := f.patientData(q, id)
	if err != nil {
		return err
	}
	if data.Who.State == patient.Merged {
		return q.See("/patient/"+string(data.Who.Into), "")
	}
	if err := f.note(q, "view_patient", string(id), nil); err != nil {
		return err
	}
	return q.Page(f.patient, "Patient", data)
}

func (f *find) patientData(q *web.Request, id patient.ID) (data patientData, err error) {
	r, err := f.Store.Patient(q.Context(), q.Org, id)
	if err != nil {
		return data, err
	}
	reach, pools, err := f.reach(q)
	if err != nil {
		return data, err
	}
	before, _ := time.Parse(time.RFC3339Nano, q.URL.Query().Get("before")) // what is no time is the newest
	mine, err := f.Store.PatientWork(q.Context(), q.Org, id, reach, before, PageLines+1)
	if err != nil {
		return data, err
	}
	if len(mine) > PageLines {
		mine = mine[:PageLines]
		data.Older = "/patient/" + string(id) + "?before=" + mine[PageLines-1].Received.UTC().Format(time.RFC3339Nano)
	}
	if data.Lines, err = f.lines(q, mine, pools); err != nil {
		return data, err
	}
	data.Who, data.May = known(r), f.may(q, mine)
	if data.Others, err = f.others(q, r, reach); err != nil {
		return data, err
	}
	data.Merges, err = f.merges(q, id, reach)
	return data, err
}

// others are those who may be the same person, of whom the asker may see a message: who is like them, and who has
// their name.
func (f *find) others(q *web.Request, r patient.Record, reach []store.Reach) (out []person, err error) {
	if r.State == patient.Merged || r.State == patient.Withdrawn {
		return nil, nil
	}
	like, err := f.proposed(q, r.Stated)
	if err != nil {
		return nil, err
	}
	for _, o := range like {
		if o.ID != r.ID {
			out = append(out, o.person)
		}
	}
	same, err := f.Store.PatientsSeen(q.Context(), q.Org, r.Stated.Name.Sort(), reach, MaxProposed)
	for _, o := range same {
		if o.ID != r.ID && !slices.ContainsFunc(out, func(x person) bool { return x.ID == o.ID }) {
			out = append(out, known(o))
		}
	}
	return out, err
}

// may reports whether the person may work on at least one of the messages.
func (f *find) may(q *web.Request, entries []work.Entry) bool {
	for _, e := range entries {
		if q.Rights.On(e.Pool, e.Scope()) >= staff.Draft {
			return true
		}
	}
	return false
}

// changing reads the patient and refuses who may only read.
func (f *find) changing(q *web.Request) (patientData, error) {
	data, err := f.patientData(q, patient.ID(q.PathValue("patient")))
	if err == nil && !data.May {
		err = &web.Refusal{Text: "You may read this patient's messages but not work on them."}
	}
	return data, err
}

// confirm says that a provisional patient is in the clinic's own records.
func (f *find) confirm(q *web.Request) error {
	data, err := f.changing(q)
	if err != nil {
		return err
	}
	id := data.Who.ID
	if err := f.Store.ConfirmPatient(q.Context(), q.Org, id, data.Who.Stated, entry(q, "confirm_patient", string(id), nil)); err != nil {
		return err
	}
	return q.See("/patient/"+string(id), "The patient is confirmed.")
}
