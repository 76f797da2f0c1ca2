package gateway_test

import (
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
)

// Two messages wait for a domain whose name servers have been dead for long. The first answer, given to one of them,
// lets the other go at once, long before it would have asked.
func TestTheFirstAnswerLetsAllLookUpsGo(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Stop())
	var ids []message.ID
	for range 2 {
		ids = append(ids, w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake))
	}
	w.quiet()
	for n := 0; !w.allWait(ids[1:], 7*time.Minute); n++ { // until the other would not be tried soon: the seventh wait is 12 minutes at least
		if n == 25 {
			t.Fatal("they do not wait longer and longer")
		}
		w.later(2 * time.Minute)
	}
	w.ok(w.clinic.Start(w.ctx))
	w.operate(w.hospital, "retry", store.Selection{Message: ids[0]}, 1) // its waits begin anew; the servers are asked again some minutes after a fault
	for n := 0; len(w.waiting(w.hospital, ids[0], queue.Seal)) > 0; n++ {
		if n == 25 {
			t.Fatal("the servers are back, and nobody asks them")
		}
		w.later(30 * time.Second)
	}
	for _, id := range ids { // the clock stands still: the other one goes now
		w.reach(w.hospital, id, w.intake, track.StateDone)
	}
	w.items(w.clinic, "intake", 2)
}

// allWait says whether all messages wait for the clinic's name servers, and for so long.
func (w *world) allWait(ids []message.ID, long time.Duration) bool {
	w.Helper()
	for _, id := range ids {
		jobs := w.waiting(w.hospital, id, queue.Seal)
		if len(jobs) != 1 || !strings.Contains(jobs[0].LastError, "name servers of clinic.example do not answer") {
			w.Fatalf("it does not wait: %+v", jobs)
		}
		if jobs[0].Due.Sub(w.Clock.Now()) < long {
			return false
		}
	}
	return true
}

// What is not sealed yet is found by its domain, too.
func TestADomainIsHeldBeforeItIsSealedFor(t *testing.T) {
	w := newWorld(t, "")
	w.mode(w.hospital, "pause")
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.operate(w.hospital, "hold", store.Selection{Lane: "inic.example"}, 0)
	w.operate(w.hospital, "hold", store.Selection{Lane: "clinic.example"}, 1)
	w.operate(w.hospital, "resume", store.Selection{Lane: "clinic.example"}, 1)
	w.mode(w.hospital, "resume")
	w.reach(w.hospital, id, w.intake, track.StateDone)
}

// Who has not confirmed is counted and listed until it is known, and after that for as long as silence is all there is.
func TestTheUnconfirmedAreListed(t *testing.T) {
	p := newPartner(t)
	admin := p.hospital.Admin()
	counts := func(sent, processed int64) {
		t.Helper()
		u, err := p.hospital.Store.Unconfirmed(p.ctx)
		p.ok(err)
		if u.Sent != sent || u.Processed != processed || (sent+processed > 0) == u.Oldest.IsZero() {
			t.Errorf("%+v, want %d sent and %d processed", u, sent, processed)
		}
	}
	listed := func(words ...string) {
		t.Helper()
		lines, err := admin.Messages(p.ctx, store.Query{Uncertain: true})
		p.ok(err)
		var got []string
		for _, l := range lines {
			for _, u := range l.Uncertain {
				got = append(got, u.Recipient.String()+" "+u.Words)
			}
		}
		if len(got) != len(words) {
			t.Fatalf("listed: %q, want %q", got, words)
		}
		for i, word := range words {
			if !strings.HasPrefix(got[i], p.who.String()) || !strings.Contains(got[i], word) {
				t.Errorf("listed: %q, want %q", got[i], word)
			}
		}
	}
	counts(0, 0)
	listed()
	_, plain := p.send(false)
	_, final := p.send(true)
	counts(2, 0)
	listed("has not answered yet", "has not answered yet")
	p.say(final, "processed")
	counts(1, 1)
	p.say(plain, "processed")
	counts(0, 1)
	listed("Not known yet whether it reached")
	p.later(61 * time.Minute)
	counts(0, 0)
	listed("did not confirm its delivery in time")
	p.say(final, "dispatched")
	listed()
	_, failed := p.send(true)
	p.say(failed, "failed")
	counts(0, 0)
	listed()
}
