package gateway_test

import (
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway"
)

// live counts the clinic's certificates that are in use.
func (w *world) live() (n int) {
	w.Helper()
	all, err := w.clinic.Admin().CertList(w.ctx)
	w.ok(err)
	for _, c := range all {
		if c.Retired.IsZero() {
			n++
		}
	}
	return n
}

// dated imports a certificate of the clinic's domain that is valid from an instant on for a time.
func (w *world) dated(from time.Time, life time.Duration) string {
	w.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Real CA", Algorithm: issue.P256, Now: from})
	w.ok(err)
	c, err := ca.Leaf(issue.LeafOptions{Domain: w.clinic.Domain, Now: from, Life: life, Algorithm: issue.P256})
	w.ok(err)
	_, err = w.clinic.Admin().CertImport(w.ctx, []certs.Credential{c})
	w.ok(err)
	return c.ID
}

// A roll-over that would end with nobody to sign is refused before anything changes.
func TestARollOverLeavesNoGap(t *testing.T) {
	w := newWorld(t, "")
	first, err := w.clinic.Ring.Signing(w.ctx, w.intake)
	w.ok(err)
	over := w.dated(w.Clock.Now().Add(-48*time.Hour), 24*time.Hour)
	short := w.dated(w.Clock.Now(), 10*time.Minute)
	spare := w.dated(w.Clock.Now().Add(-72*time.Hour), 3000*time.Hour)
	third := w.dated(w.Clock.Now().Add(-72*time.Hour), 3000*time.Hour)
	roll := func(old, with string) error {
		_, err := w.clinic.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old, With: with})
		return err
	}
	for _, c := range []struct{ what, old, with, says string }{
		{"to one that is over", first.ID, over, "is over on"},
		{"to one that ends in the wait", first.ID, short, "is over on"},
		{"to itself", first.ID, first.ID, "replace itself"},
		{"to a spare one", first.ID, spare, ""},
		{"in a circle", spare, first.ID, "itself being replaced"},
		{"of another, to the same one", third, spare, "is to take the place of"},
	} {
		if err := roll(c.old, c.with); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if got, err := w.clinic.Ring.Signing(w.ctx, w.intake); err != nil || got.ID == spare {
		t.Errorf("in the wait %s signs: %v", got.ID, err)
	}
	w.ok(w.Advance(w.ctx, 2*time.Hour))
	w.ok(w.clinic.Tend(w.ctx))
	if w.live() != 4 {
		t.Errorf("%d certificates are in use, want all but the first", w.live())
	}
	if err := roll(third, first.ID); err == nil || !strings.Contains(err.Error(), "is retired") {
		t.Errorf("to one that is retired: %v", err)
	}
}

// A successor that is not valid yet signs when it is, and not even force takes the old one away before.
func TestARollOverWaitsForTheNewOnesFirstDay(t *testing.T) {
	w := newWorld(t, "")
	old, err := w.clinic.Ring.Signing(w.ctx, w.intake)
	w.ok(err)
	from := w.Clock.Now().Add(72 * time.Hour).Truncate(time.Second)
	next := w.dated(from, 3000*time.Hour)
	r, err := w.clinic.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old.ID, With: next})
	if err != nil || r.SignsFrom.Before(from.Add(-10*time.Minute)) {
		t.Fatalf("%+v %v", r, err)
	}
	if _, err := w.clinic.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old.ID, Finish: true, Force: true}); err == nil || !strings.Contains(err.Error(), "the old one") || w.live() != 2 {
		t.Errorf("by force, before it is valid: %v", err)
	}
	w.ok(w.Advance(w.ctx, 2*time.Hour))
	w.ok(w.clinic.Tend(w.ctx))
	if got, err := w.clinic.Ring.Signing(w.ctx, w.intake); err != nil || got.ID != old.ID {
		t.Errorf("before the first day %s signs: %v", got.ID, err)
	}
	w.ok(w.Advance(w.ctx, 71*time.Hour))
	w.ok(w.clinic.Tend(w.ctx))
	if got, err := w.clinic.Ring.Signing(w.ctx, w.intake); err != nil || got.ID != next {
		t.Errorf("from its first day %s signs: %v", got.ID, err)
	}
}

// An authority's answer that can do less than what was asked for does not take the place of the old certificate;
// when that place is free by now, the answer needs no wait.
func TestAnAnswerThatDoesNotFit(t *testing.T) {
	w := newWorld(t, "")
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Real CA", Algorithm: issue.P256, Now: w.Clock.Now()})
	w.ok(err)
	old, err := w.clinic.Ring.Signing(w.ctx, w.intake)
	w.ok(err)
	q, err := w.clinic.Admin().CertRequest(w.ctx, gateway.RequestArg{Replaces: old.ID, Algorithm: issue.P256})
	w.ok(err)
	answer := func(use issue.Use) map[string][]byte {
		c, err := ca.FromRequest(q.Request, issue.LeafOptions{Domain: w.clinic.Domain, Now: w.Clock.Now(), Use: use})
		w.ok(err)
		return map[string][]byte{"answer.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})}
	}
	if _, err := importing(w, answer(issue.Sign), ""); err == nil || !strings.Contains(err.Error(), "can do less") {
		t.Errorf("one that only signs: %v", err)
	}
	if waiting, err := w.clinic.Store.Requests(w.ctx); err != nil || len(waiting) != 1 || w.live() != 1 {
		t.Errorf("half applied: %d requests, %d in use, %v", len(waiting), w.live(), err)
	}
	w.ok(w.clinic.Admin().CertRetire(w.ctx, old.ID))
	got, err := importing(w, answer(issue.Dual), "")
	if err != nil || got[0].Replaces != "" || !got[0].SignsFrom.IsZero() {
		t.Fatalf("%+v %v", got, err)
	}
	if c, err := w.clinic.Ring.Signing(w.ctx, w.intake); err != nil || c.ID != got[0].ID {
		t.Errorf("into a free place: %s signs, %v", c.ID, err)
	}
}
