package store_test

import (
	"context"
	"testing"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
)

// TestHeldGetsTheRetentionInForce: what is held, and what is held later.
func TestHeldGetsTheRetentionInForce(t *testing.T) {
	s, ctx := newSite(t), context.Background()
	hold := func(id string, sum byte) {
		t.Helper()
		_, err := s.Commit(ctx, queue.Lease{}, store.Step{
			Blobs:    []spool.Blob{{ID: "b" + id, Org: "o", SHA256: [32]byte{sum}, Key: []byte{1}, Place: "p"}},
			Messages: []store.Message{{ID: message.ID("m-" + id), Direction: store.In, Kind: message.Mail, Blob: "b" + id, Submission: message.Submission{Org: "o"}}},
			Held:     []store.Held{{ID: "h-" + id, Org: "o", Message: message.ID("m-" + id), Peer: "p", Blob: "b" + id, At: s.now, Expires: s.now.Add(store.HeldFor)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	until := func(id string, want time.Time) {
		t.Helper()
		if h, err := s.HeldEntry(ctx, "h-"+id); err != nil || !h.Expires.Equal(want) {
			t.Errorf("%s is kept until %s, want %s (%v)", id, h.Expires, want, err)
		}
	}
	const day = 24 * time.Hour
	hold("1", 1)
	until("1", s.now.Add(30*day))
	if err := s.SetRetention(ctx, store.KeptHeld, 5*day, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	until("1", s.now.Add(5*day))
	hold("2", 2)
	until("2", s.now.Add(5*day))
	if err := s.SetRetention(ctx, store.KeptHeld, 0, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	hold("3", 3)
	s.now = s.now.Add(10_000 * day)
	if n, err := s.ExpireHeld(ctx); n != 0 || err != nil {
		t.Errorf("%d expired although they are kept for ever, %v", n, err)
	}
}
