package gateway_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// discharge sends a message whose deadline is 15 minutes.
func (w *world) discharge(login string, from addr.Address, to ...addr.Address) message.ID {
	w.Helper()
	id, err := w.clinic.As(login).Send(w.ctx, gateway.Send{From: from, Recipients: to, Purpose: "discharge"}, strings.NewReader(w.note(from, to...)))
	w.ok(err)
	return id
}

// later lets time pass and everything come to rest.
func (w *world) later(ds ...time.Duration) {
	w.Helper()
	for _, d := range ds {
		w.ok(w.Advance(w.ctx, d))
		w.quiet()
	}
}

// TestADeadlineIsATask: what nobody confirms in its time comes back, once, to whoever sent it, without a word of
// failure; it ends by itself when the last recipient confirms, and says so.
func TestADeadlineIsATask(t *testing.T) {
	w := newWorld(t, webExtra)
	nora := w.sits(w.clinic, "nora", staff.Nurse, staff.Send)
	desk := w.hospital.Address("desk")
	w.ok(w.hospital.Add(w.ctx, "desk"))
	w.ok(w.hospital.Stop())
	id := w.discharge("nora", w.intake, w.dr, desk)
	w.quiet()
	w.later(14 * time.Minute)
	w.items(w.clinic, "intake", 0)
	w.later(2*time.Minute, time.Minute)
	e := w.entry(1)
	if e.Kind != work.Unconfirmed || e.About != id || e.Owner != nora.who.ID || e.State != work.Taken || e.Urgency != work.Urgent || e.Why.OnlyCatchAll() {
		t.Fatalf("the task is %+v", e)
	}
	it := w.items(w.clinic, "intake", 1)[0]
	text := string(w.saved(w.clinic, it)) + strings.Join(e.Why.Because, " ") + e.Why.RuleName + e.Why.UrgencyWhy
	for _, want := range []string{"Not confirmed in 15 minutes: telephone them (About a patient)", w.dr.String(), desk.String(), "Auto-Submitted: auto-generated", "Ask before you send it again"} {
		if !strings.Contains(text, want) {
			t.Errorf("the task does not say %q:\n%s", want, text)
		}
	}
	page := nora.get("/item/"+string(e.ID), 200)
	nora.has(page, "Not confirmed in its time: telephone them", "It may have arrived", w.dr.String())
	for _, never := range []string{"fail", "did not arrive", "undeliverable", "not delivered"} {
		all := strings.ToLower(text + anyTag.ReplaceAllString(page[strings.Index(page, "<header class"):], ""))
		if i := strings.Index(all, never); i >= 0 {
			t.Errorf("a task about a deadline says %q: …%s…", never, all[max(0, i-80):min(len(all), i+80)])
		}
	}

	w.ok(w.hospital.Start(w.ctx))
	w.later(5*time.Minute, 5*time.Minute, 5*time.Minute, 5*time.Minute)
	for _, r := range []addr.Address{w.dr, desk} {
		w.reach(w.clinic, id, r, track.StateDone)
	}
	w.quiet()
	after := w.entry(1)
	if after.State != work.Done || after.Category == "" || after.Version != e.Version+1 || after.Finished.IsZero() {
		t.Errorf("after the confirmations: %+v", after)
	}
	nora.has(nora.get("/item/"+string(e.ID), 200), "Nobody needs to be telephoned any more", "confirmed since", "finished it: everybody has confirmed")
	w.later(2 * time.Hour)
	w.items(w.clinic, "intake", 1)
	_, err := w.clinic.Admin().AuditVerify(w.ctx, nil)
	w.ok(err)
}

var anyTag = regexp.MustCompile("<[^>]*>")

// TestADeadlineThenAFailure: the failure is an entry of its own, and the call is over.
func TestADeadlineThenAFailure(t *testing.T) {
	w := newWorld(t, "")
	nurse, _ := w.people()
	w.ok(w.hospital.Stop())
	w.discharge(nurse.Login, w.intake, w.dr)
	w.quiet()
	w.later(16*time.Minute, 50*time.Minute, 5*time.Minute)
	w.items(w.clinic, "intake", 2)
	var got []string
	for n := int64(1); n <= 2; n++ {
		e, err := w.clinic.Store.WorkOfItem(w.ctx, w.clinic.Org, "intake", n)
		w.ok(err)
		got = append(got, fmt.Sprint(e.Kind, " open ", e.State.Open()))
	}
	if want := "unconfirmed open false, failure open true"; strings.Join(got, ", ") != want {
		t.Errorf("entries: %v, want %s", got, want)
	}
}

// TestADeadlineTellsNoEdge: a sender with a mail server of his own hears nothing of a deadline.
func TestADeadlineTellsNoEdge(t *testing.T) {
	w := newWorld(t, "")
	e, ehr := w.behind(w.clinic, "ehr")
	w.ok(w.hospital.Stop())
	id := w.discharge("ehr", ehr, w.dr)
	w.quiet()
	w.later(16 * time.Minute)
	l, err := w.clinic.Ladder(w.ctx, id, w.dr)
	w.ok(err)
	own, err := w.clinic.Store.Messages(w.ctx, store.Query{Direction: store.Own})
	w.ok(err)
	if got, _ := e.Got(); !l.NeedsCall() || len(got) != 0 || len(own) != 0 {
		t.Errorf("needs a call: %v; the edge heard %d, %d messages were written", l.NeedsCall(), len(got), len(own))
	}
}
