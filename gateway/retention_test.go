package gateway_test

import (
	"errors"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/store"
)

func (w *world) retain(s *lab.Site, kind string, days int) {
	w.Helper()
	_, err := s.Admin().RetentionSet(w.ctx, gateway.RetentionSet{Kind: kind, Days: days})
	w.ok(err)
}

func (w *world) leaving(s *lab.Site, kind string) store.Leaving {
	w.Helper()
	all, err := s.Store.Leavings(w.ctx)
	w.ok(err)
	for _, l := range all {
		if l.Kind == kind {
			return l
		}
	}
	w.Fatalf("nothing is said of %s", kind)
	return store.Leaving{}
}

func TestInboxesAreKeptAsLongAsIsSet(t *testing.T) {
	w := newWorld(t, "")
	text := w.referral(w.dr, w.intake)
	w.reach(w.hospital, w.send(w.hospital, text, w.dr, w.intake), w.intake, track.StateDelivered)
	it := w.items(w.clinic, "intake", 1)[0]
	w.quiet()
	if l := w.leaving(w.clinic, store.KeptInbox); l.Keep != 0 || !l.Next.IsZero() || l.Kept != 1 {
		t.Errorf("by default: %+v", l)
	}
	b, err := w.clinic.Store.Blob(w.ctx, it.Blob)
	w.ok(err)
	sum := b.SHA256
	w.retain(w.clinic, store.KeptInbox, 30)
	if l := w.leaving(w.clinic, store.KeptInbox); !l.Next.Equal(it.Received.Add(30 * 24 * time.Hour)) {
		t.Errorf("will be deleted on %s, received %s", l.Next, it.Received)
	}
	for _, c := range []struct {
		days, want int
	}{{29, 1}, {2, 0}} {
		w.Clock.Set(time.Duration(c.days) * 24 * time.Hour)
		w.ok(w.clinic.Sweep(w.ctx))
		w.items(w.clinic, "intake", c.want)
	}
	// Its bytes went with it, and the ladder stayed.
	if _, err := w.clinic.Store.Blob(w.ctx, it.Blob); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the bytes of a deleted item: %v", err)
	}
	events, err := w.clinic.Store.Events(w.ctx, it.Message)
	w.ok(err)
	if len(events) == 0 || w.audited(w.clinic, "retention.expire") != 1 {
		t.Error("the ladder or the audit does not tell of it")
	}
	if again, err := w.clinic.Store.Delivered(w.ctx, store.Tombstone{Recipient: it.Recipient, Signer: w.dr, RFCID: it.RFCID, SHA256: sum}); err != nil || !again {
		t.Errorf("a repetition would be filed again (%v)", err)
	}
}

func TestNothingIsDeletedThatDeliveryNeeds(t *testing.T) {
	w := newWorld(t, "")
	w.mode(w.hospital, "pause")
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	w.retain(w.hospital, store.KeptSpool, 1)
	w.Clock.Set(3 * 24 * time.Hour)
	w.ok(w.hospital.Sweep(w.ctx))
	m, err := w.hospital.Store.Message(w.ctx, id)
	w.ok(err)
	b, err := w.hospital.Store.Blob(w.ctx, m.Blob)
	w.ok(err)
	w.ok(w.hospital.Spool.Verify(w.ctx, b))
	w.mode(w.hospital, "resume")
	w.items(w.clinic, "intake", 1)
	if _, err := w.hospital.Admin().RetentionSet(w.ctx, gateway.RetentionSet{Kind: "mail", Days: 1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown kind: %v", err)
	}
}
