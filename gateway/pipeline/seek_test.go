package pipeline

import (
	"fmt"
	"testing"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Those who wait for a silent domain are let go by its first answer, once, however many of them get answers then; and
// again by a later answer to one that was not ready.
func TestTheFirstAnswerLetsGoOnce(t *testing.T) {
	var s silences
	d, now := addr.MustParse("a@silent.example").Domain(), time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, c := range []struct {
		after                time.Duration
		silent, waited, want bool
	}{
		{0, false, false, false},           // an answer nobody waited for
		{0, false, true, true},             // to one that waited before this process began
		{time.Second, false, true, false},  // to those it let go
		{time.Second, false, false, false}, // to one that never waited
		{freeEvery, false, true, true},     // to one that was under way when the others were let go
		{0, true, false, false},            // silence
		{0, true, true, false},
		{time.Second, false, false, true}, // the first answer, however soon
		{0, false, true, false},
		{-time.Hour, false, true, true}, // the clock was set back
	} {
		now = now.Add(c.after)
		if got := s.note(d, c.silent, c.waited, now); got != c.want {
			t.Errorf("%d: let go %v, want %v", i, got, c.want)
		}
	}
	for i := range 3 * maxSilences {
		s.note(addr.MustParse(fmt.Sprintf("a@d%d.example", i)).Domain(), i%2 == 0, true, now)
	}
	if len(s.of) > maxSilences {
		t.Errorf("%d domains are remembered", len(s.of))
	}
}

// A hundred messages for a domain with dead name servers: after each has looked once they look one at a time, ever
// more seldom, and those that wait make no attempt. A message that looks for the first time is never kept back.
func TestASilentDomainIsLookedForByOne(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	p := New(Config{Now: func() time.Time { return now }, Clocks: DefaultClocks()})
	who := addr.MustParse("doc@silent.example")
	m := store.Message{Received: now}
	unknown := []agent.Verdict{{Recipient: who, Temporary: true, Reason: agent.ReasonUnknown}}
	fresh := queue.Job{Recipients: []addr.Address{who}}
	tried := queue.Job{Recipients: fresh.Recipients, Attempts: 1, LastError: seekWords(who.Domain())}
	for range 100 {
		l, wait := p.look(fresh, m)
		if wait != nil {
			t.Fatalf("a new message is kept back: %+v", wait)
		}
		p.looked(l, unknown)
	}
	looks := 0
	for end := now.Add(59 * time.Minute); now.Before(end); now = now.Add(time.Second) {
		before := looks
		for range 100 {
			l, wait := p.look(tried, m)
			if wait == nil {
				looks++
				p.looked(l, unknown)
				continue
			}
			if !wait.Waited || !wait.Due.After(now) || wait.Due.After(p.giveUp(m)) || wait.Error != tried.LastError {
				t.Fatalf("it waits as %+v", wait)
			}
		}
		if looks > before+1 {
			t.Fatalf("%d look at once", looks-before)
		}
	}
	if looks < 5 || looks > 12 {
		t.Errorf("%d looks in an hour", looks)
	}
	asked := tried
	asked.Attempts = 0 // as `queue retry` leaves it
	if l, wait := p.look(asked, m); wait != nil || !l.domain.IsZero() {
		t.Errorf("a person wants it tried: %+v", wait)
	}
	p.looked(looking{}, unknown)
	now = p.giveUp(m)
	if _, wait := p.look(tried, m); wait != nil {
		t.Errorf("at the end of its time it waits on: %+v", wait)
	}
	p.looked(looking{}, []agent.Verdict{{Recipient: who, OK: true}})
	if len(p.seeks.away) != 0 {
		t.Errorf("after an answer: %v", p.seeks.away)
	}
}
