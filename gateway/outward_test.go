package gateway_test

import (
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/smime/addr"
)

// The gateway looks at its partners from outside, keeps since when each stands as it does, and tells of what changes.
func TestAPartnerThatFallsSilentIsTold(t *testing.T) {
	w := newWorld(t, "")
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	partner := func() gateway.Seen {
		t.Helper()
		all, err := w.hospital.Admin().Outward(w.ctx, gateway.OutwardArg{Domain: w.clinic.Domain})
		w.ok(err)
		if len(all) != 1 {
			t.Fatalf("%+v", all)
		}
		return all[0]
	}
	look := func() {
		t.Helper()
		_, err := w.hospital.Admin().LookOutward(w.ctx, gateway.OutwardArg{})
		w.ok(err)
	}
	words := func() (n int, last string) {
		items, err := w.hospital.Inbox(w.ctx, "postmaster")
		w.ok(err)
		for _, it := range items {
			if strings.Contains(it.Subject, "CERT queries") {
				n, last = n+1, it.Subject
			}
		}
		return n, last
	}
	look()
	if p := partner(); p.Verdict != "good" || !strings.Contains(p.Words, "clinic.example answers CERT queries") {
		t.Errorf("%+v", p)
	}
	if n, _ := words(); n != 0 {
		t.Error("told that all is well")
	}
	w.ok(w.clinic.Stop())
	w.ok(w.Advance(w.ctx, 48*time.Hour))
	look()
	since := w.Clock.Now().UTC()
	w.ok(w.Advance(w.ctx, 48*time.Hour))
	look()
	p := partner()
	if want := "clinic.example has not answered CERT queries since " + since.Weekday().String(); p.Verdict != "unknown" || p.Words != want || p.Remedy == "" {
		t.Errorf("%q, want %q (%s)", p.Words, want, p.Verdict)
	}
	if n, last := words(); n != 1 || !strings.HasPrefix(last, "clinic.example has not answered CERT queries since today") {
		t.Errorf("told %d times: %s", n, last)
	}
	w.ok(w.Advance(w.ctx, 30*24*time.Hour))
	if p := partner(); !strings.Contains(p.Words, since.Format("2 January 2006")) {
		t.Errorf("weeks later: %s", p.Words)
	}
	w.ok(w.clinic.Start(w.ctx))
	look()
	if p := partner(); p.Verdict != "good" {
		t.Errorf("back again: %+v", p)
	}
	if n, last := words(); n != 2 || !strings.Contains(last, "answers CERT queries") {
		t.Errorf("told %d times: %s", n, last)
	}
	all, err := w.hospital.Admin().Outward(w.ctx, gateway.OutwardArg{Domain: w.clinic.Domain, All: true})
	w.ok(err)
	if len(all) != 3 || all[1].Verdict != "unknown" || !all[1].Since.Equal(all[1].Since.UTC()) || all[1].Last.Sub(all[1].Since) < 47*time.Hour {
		t.Errorf("the history: %+v", all)
	}
}

// Our own publication is looked at through the resolver, and the schedule does it by itself.
func TestOwnPublicationIsLookedAtOnSchedule(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.hospital.Tend(w.ctx))
	own := func() []gateway.Seen {
		t.Helper()
		all, err := w.hospital.Admin().Outward(w.ctx, gateway.OutwardArg{Domain: addr.MustDomain("hospital.example")})
		w.ok(err)
		return all
	}
	if len(own()) != 0 {
		t.Error("looked at before the world can see it")
	}
	w.ok(w.Advance(w.ctx, 11*time.Minute))
	w.ok(w.hospital.Tend(w.ctx))
	found := false
	for _, s := range own() {
		found = found || strings.Contains(s.What, "certificate of hospital.example") && s.Verdict != "good" && s.Remedy != ""
		if s.Words == "" {
			t.Errorf("%+v", s)
		}
	}
	if !found { // the resolver of the lab does not delegate to it
		t.Errorf("the certificate was not looked for: %+v", own())
	}
}
