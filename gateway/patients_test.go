package gateway_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/store"
)

// ward is a clinic with a second team beside the first, and messages that were put there without a sender.
type ward struct {
	*world
	org    string
	nurses pool.Pool
	n      int
}

func newWard(t *testing.T) *ward {
	w := &ward{world: newWorld(t, webExtra)}
	orgs, err := w.clinic.Store.Orgs(w.ctx)
	w.ok(err)
	w.org = orgs[0].ID
	return w
}

// team adds a second team with one person in it.
func (w *ward) team(login string) *browser {
	w.Helper()
	b := w.sits(w.clinic, login, staff.Nurse, staff.None)
	w.nurses = pool.Pool{ID: pool.NewID(), Org: w.org, Name: "Nurses", Owner: b.who.ID}
	w.ok(w.clinic.Store.SavePool(w.ctx, w.nurses, store.AuditEntry{}))
	w.ok(w.clinic.Store.SetMemberships(w.ctx, b.who, w.nurses.ID, []staff.Membership{{Pool: w.nurses.ID, Level: staff.Send}}, store.AuditEntry{}))
	return b
}

// came files a message about somebody with a team; "" is the first.
func (w *ward) came(about chart.Patient, pool string) work.Entry {
	w.Helper()
	w.n++
	id := message.ID(fmt.Sprintf("m-%d", w.n))
	stated, err := json.Marshal(about)
	w.ok(err)
	it := inbox.Item{Inbox: "intake", Org: w.org, Message: id, Recipient: w.intake, Sender: w.dr, Origin: inbox.FromSystem(w.dr), RFCID: string(id),
		Received: w.Clock.Now().Add(time.Duration(w.n) * time.Second), Subject: "About somebody " + fmt.Sprint(w.n), Blob: "b", SHA256: sha256.Sum256([]byte(id)),
		Documents: []inbox.Document{{ID: "d-" + string(id), Path: "2", Kind: "c-cda", Patient: stated}}}
	place := store.Place{Kind: work.Message}
	place.Pool = pool
	o, err := w.clinic.Store.Commit(w.ctx, queue.Lease{}, store.Step{Items: []inbox.Item{it}, Places: []store.Place{place}})
	w.ok(err)
	e, err := w.clinic.Store.WorkOfItem(w.ctx, w.org, it.Inbox, o.Numbers[0])
	w.ok(err)
	return e
}

func somebody(given, family, phone string) chart.Patient {
	return chart.Patient{Name: chart.Name{Given: given, Family: family}, Birth: chart.ParseTime("19700102"), Sex: chart.Code{Code: "F"}, Telecoms: []chart.Telecom{{Value: phone}}}
}

// patientOf is whose a message is now.
func (w *ward) patientOf(e work.Entry) string {
	w.Helper()
	now, err := w.clinic.Store.Work(w.ctx, w.org, e.ID)
	w.ok(err)
	return now.Patient
}

// is makes a provisional patient of what a message says.
func (b *browser) is(e work.Entry) {
	b.Helper()
	at := "/item/" + string(e.ID) + "/patient"
	b.post(at, at, http.StatusSeeOther, "do", "new")
}

// TestTwoPatientsMadeOneAreTakenApart: what moved goes back, what was decided since stays and is named before.
func TestTwoPatientsMadeOneAreTakenApart(t *testing.T) {
	w := newWard(t)
	dana, guest := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "guest", staff.FrontDesk, staff.Read)
	first, second, third := w.came(somebody("Ana", "Ruiz", "555 010 0001"), ""), w.came(somebody("Ana", "Ruiz", "555 010 0002"), ""), w.came(somebody("Ana", "Ruiz", "555 010 0003"), "")
	dana.is(first)
	dana.is(second)
	a, b := w.patientOf(first), w.patientOf(second)
	whose := "/item/" + string(third.ID) + "/patient"
	dana.post(whose, whose, http.StatusSeeOther, "do", "this", "patient", a)

	dana.has(dana.post("/patient/"+a, "/patient/"+a+"/merge", http.StatusUnprocessableEntity, "into", b, "why", ""), "Say in a few words why.")
	to := dana.post("/patient/"+a, "/patient/"+a+"/merge", http.StatusSeeOther, "into", b, "why", "Same card, two telephones")
	page := dana.get(to, http.StatusOK)
	dana.has(page, "Two records made one", "Dana Cole put", "Same card, two telephones", "2 messages go back", "Take them apart")
	if to != "/patient/"+b || dana.get("/patient/"+a, http.StatusSeeOther) != to {
		t.Error("an old link to the record that is gone does not lead to the one it is part of")
	}
	dana.has(dana.post(whose, whose, http.StatusUnprocessableEntity, "do", "undo", "patient", a), "said something else a moment ago") // from a page of before the merge
	dana.post(whose, whose, http.StatusSeeOther, "do", "undo", "patient", b)
	nora := w.team("nora")
	theirs := w.came(somebody("Ana", "Ruiz", "555 010 0002"), w.nurses.ID)
	w.Clock.Set(time.Minute)
	w.ok(w.clinic.Store.LinkPatient(w.ctx, w.org, store.PatientLink{Work: theirs.ID, Patient: patient.ID(b), How: "confirmed", Reasons: []patient.Reason{}, By: "nora"}, store.AuditEntry{}))
	page = dana.get(to, http.StatusOK)
	dana.has(page, "1 message goes back", "stays as it is", "/item/"+string(third.ID))
	if strings.Contains(page, "came to this record since") {
		t.Error("dana is told that the nurses know the patient")
	}
	nora.has(nora.get(to, http.StatusOK), "1 message came to this record since", "No message goes back.")
	merges, err := w.clinic.Store.Merges(w.ctx, w.org, patient.ID(b), 5)
	w.ok(err)
	if page := guest.get(to, http.StatusOK); strings.Contains(page, "Take them apart") {
		t.Error("who may only read is offered to take records apart")
	}
	guest.post("/account", to+"/part", http.StatusUnprocessableEntity, "merge", merges[0].ID, "why", "I want to")
	dana.post(to, "/patient/"+b+"/part", http.StatusNotFound, "merge", "pm-none", "why", "Two people after all")
	dana.post(to, to+"/part", http.StatusUnprocessableEntity, "merge", merges[0].ID, "why", "no")
	dana.post(to, to+"/part", http.StatusSeeOther, "merge", merges[0].ID, "why", "Two people after all")
	if x, y, z := w.patientOf(first), w.patientOf(second), w.patientOf(third); x != a || y != b || z != "" {
		t.Errorf("messages belong to %q %q %q, want %q %q and nobody", x, y, z, a, b)
	}
	for _, p := range []string{a, b} {
		dana.has(dana.get("/patient/"+p, http.StatusOK), "Taken apart", "Two people after all", "Dana Cole")
	}
	dana.post(to, to+"/part", http.StatusSeeOther, "merge", merges[0].ID, "why", "Two people after all")
	audited := ""
	for e, err := range w.clinic.Store.AuditEntries(w.ctx) {
		w.ok(err)
		if e.Action == "part_patients" {
			audited += e.Actor + " " + e.Object + " " + string(e.Detail)
		}
	}
	if !strings.Contains(audited, "dana "+b) || !strings.Contains(audited, `"back":1`) || !strings.Contains(audited, `"stayed":1`) || strings.Contains(audited, "Two people") {
		t.Errorf("the audit says %s", audited)
	}
}

// TestNoTeamHearsOfAnothersPatients: whose message this is, is asked among the patients one may see.
func TestNoTeamHearsOfAnothersPatients(t *testing.T) {
	w := newWard(t)
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	nora := w.team("nora")
	boss := w.sits(w.clinic, "boss", staff.Manager, staff.None)
	theirs := w.came(somebody("Ana", "Ruiz", "555 010 0001"), w.nurses.ID)
	nora.is(theirs)
	id := w.patientOf(theirs)
	ours := w.came(somebody("Ana", "Ruiz", "555 010 0001"), "")
	whose := "/item/" + string(ours.ID) + "/patient"
	page := dana.get(whose, http.StatusOK)
	if strings.Contains(page, id) || strings.Contains(page, "likely") {
		t.Errorf("the front desk is told of the nurses' patient:\n%s", page)
	}
	dana.has(page, "None of the patients whose messages you may read")
	dana.post(whose, whose, http.StatusUnprocessableEntity, "do", "this", "patient", id)
	if page := dana.get(whose+"?name="+url.QueryEscape("Ruiz"), http.StatusOK); strings.Contains(page, id) {
		t.Error("found by name")
	}
	dana.get("/patient/"+id, http.StatusNotFound)
	// A manager reads every team, so the two records can come together.
	boss.has(boss.get(whose, http.StatusOK), "Ana Ruiz, born", "likely", "another team")
	dana.is(ours)
	boss.has(boss.get("/patient/"+w.patientOf(ours), http.StatusOK), "Ana Ruiz")

	// The trace of a mistake names nobody whom the reader may not see any more.
	st := w.clinic.Store
	w.ok(st.UnlinkPatient(w.ctx, w.org, ours.ID, "dana", store.AuditEntry{}))
	w.ok(st.LinkPatient(w.ctx, w.org, store.PatientLink{Work: ours.ID, Patient: patient.ID(id), How: "confirmed", Reasons: []patient.Reason{}, By: "boss"}, store.AuditEntry{}))
	dana.has(dana.get("/patient/"+id, http.StatusOK), "About somebody 2") // one of dana's messages is this patient's: so the patient is dana's to see
	w.ok(st.UnlinkPatient(w.ctx, w.org, ours.ID, "boss", store.AuditEntry{}))
	page = dana.get(whose, http.StatusOK)
	dana.has(page, "Somebody whose messages you may not read", "Boss Cole")
	if strings.Contains(page, "<strong>Ana Ruiz</strong>") {
		t.Error("the trace names the nurses' patient")
	}
}
