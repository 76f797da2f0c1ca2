package gateway_test

import (
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/store"
	"postern/smime/addr"
)

// people gives a site a manager and a nurse with a team of her own.
func (w *world) people() (nurse staff.Person, nurses pool.Pool) {
	w.Helper()
	org := w.clinic.Org
	manager := staff.Person{ID: "p-manager", Org: org, Login: "manager", Name: "Mo", Role: staff.Manager}
	nurse = staff.Person{ID: "p-nora", Org: org, Login: "nora", Name: "Nora", Role: staff.Nurse}
	for _, p := range []staff.Person{manager, nurse} {
		w.ok(w.clinic.Store.AddPerson(w.ctx, p, "", store.AuditEntry{}))
	}
	w.ok(w.clinic.Store.EnsurePools(w.ctx, org))
	nurses = pool.Pool{ID: pool.NewID(), Org: org, Name: "Nurses", Owner: nurse.ID}
	w.ok(w.clinic.Store.SavePool(w.ctx, nurses, store.AuditEntry{}))
	return nurse, nurses
}

func (w *world) rules(rules ...rule.Rule) {
	w.Helper()
	set, err := w.clinic.Store.Rules(w.ctx, w.clinic.Org)
	w.ok(err)
	set.Rules = rules
	w.ok(w.clinic.Store.SaveRules(w.ctx, set, store.AuditEntry{}))
}

// entry is the work row of the n-th item.
func (w *world) entry(n int) work.Entry {
	w.Helper()
	w.items(w.clinic, "intake", n)
	e, err := w.clinic.Store.WorkOfItem(w.ctx, w.clinic.Org, "intake", int64(n))
	w.ok(err)
	return e
}

func TestWhereAMessageGoesAndWhy(t *testing.T) {
	w := newWorld(t, "")
	_, nurses := w.people()
	w.rules(rule.Rule{ID: "r-1", Name: "Hearts", When: rule.When{Words: []string{"troponin"}}, Pool: nurses.ID, Category: staff.Question})
	w.send(w.hospital, w.compose(compose.Message{From: w.dr, To: []addr.Address{w.intake}, Subject: "URGENT: a question", Text: "Is the troponin back?\n"}), w.dr, w.intake)
	e := w.entry(1)
	if e.Pool != nurses.ID || e.Why.RuleName != "Hearts" || e.Category != staff.Question || e.Urgency != work.Urgent || e.State != work.New {
		t.Errorf("placed %+v", e)
	}
	if !slices.Contains(e.Why.Because, "it holds the words “troponin”") || e.Why.UrgencyWhy != "its subject says “URGENT”" {
		t.Errorf("because %q, urgent because %q", e.Why.Because, e.Why.UrgencyWhy)
	}
	// A referral with a document that no rule wants.
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	e = w.entry(2)
	if !e.Why.OnlyCatchAll() || e.Category != staff.Referral || e.Pool == nurses.ID {
		t.Errorf("placed %+v", e)
	}
	arrivals, err := w.clinic.Store.Arrivals(w.ctx, w.clinic.Org, time.Time{}, 10)
	w.ok(err)
	if len(arrivals) != 2 || arrivals[0].Facts.Category != staff.Referral || arrivals[0].Facts.Patient != rule.Named {
		t.Fatalf("%d arrivals: %+v", len(arrivals), arrivals)
	}
	if words, ok := w.clinic.Pipeline.WordsOf(w.ctx, arrivals[1].Blob, "x"); !ok || !strings.Contains(words, "is the troponin back?") {
		t.Errorf("its words are %q, %v", words, ok)
	}
}

// TestAPatientOfOurs: a rule can ask for patients that the clinic knows, told by what the document says of them.
func TestAPatientOfOurs(t *testing.T) {
	w := newWorld(t, "")
	_, nurses := w.people()
	w.rules(rule.Rule{ID: "r-1", Name: "Ours", When: rule.When{Patient: rule.Known}, Pool: nurses.ID})
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	first := w.entry(1)
	if !first.Why.OnlyCatchAll() {
		t.Fatalf("before she was known: %+v", first.Why)
	}
	it, err := w.clinic.Store.Item(w.ctx, "intake", 1)
	w.ok(err)
	var stated chart.Patient
	w.ok(json.Unmarshal(it.Documents[0].Patient, &stated))
	_, err = w.clinic.Store.AddPatient(w.ctx, w.clinic.Org, stated, store.PatientLink{Work: first.ID, How: "provisional", By: "x"}, store.AuditEntry{})
	w.ok(err)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	if e := w.entry(2); e.Pool != nurses.ID || e.Why.Because[0] != "its patient is one of ours" || e.Patient != "" {
		t.Errorf("placed %+v", e)
	}
}

// TestRulesThatCannotBeRead: a fault in the rules costs nobody a message.
func TestRulesThatCannotBeRead(t *testing.T) {
	w := newWorld(t, "")
	w.people()
	db, err := sql.Open("sqlite", "file:"+w.clinic.Config.Database()+"?_pragma=busy_timeout(5000)")
	w.ok(err)
	defer db.Close()
	_, err = db.ExecContext(w.ctx, "INSERT INTO rule_set SELECT id, 1, 'no json', '', '' FROM org")
	w.ok(err)
	w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	e := w.entry(1)
	if e.Why.Fault == "" || !e.Why.OnlyCatchAll() || !strings.Contains(e.Why.Because[0], "the rules could not be asked") {
		t.Errorf("placed %+v", e.Why)
	}
}

// TestAFailureIsATask: what did not arrive comes back to whoever sent it, urgent, with what it is about.
func TestAFailureIsATask(t *testing.T) {
	w := newWorld(t, "")
	nurse, nurses := w.people()
	w.ok(w.clinic.Store.SetMemberships(w.ctx, nurse, nurses.ID, []staff.Membership{{Pool: nurses.ID, Level: staff.Send}}, store.AuditEntry{}))
	gone := w.hospital.Address("nobody")
	id, err := w.clinic.As(nurse.Login).Send(w.ctx, gateway.Send{From: w.intake, Recipients: []addr.Address{gone}}, strings.NewReader(w.note(w.intake, gone)))
	w.ok(err)
	e := w.entry(1)
	if e.Kind != work.Failure || e.About != id || e.Owner != nurse.ID || e.Pool != nurses.ID || e.Why.OnlyCatchAll() || e.State != work.Taken || e.Urgency != work.Urgent {
		t.Errorf("the task is %+v", e)
	}
	if e.Why.Because[0] != "its owner sent the message that did not arrive" {
		t.Errorf("because %q", e.Why.Because)
	}
}
