package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

func TestHeldOncePerSealedMessage(t *testing.T) {
	s, ctx := newSite(t), context.Background()
	hold := func(n int, sum byte, reason string, rcpt string) {
		t.Helper()
		id := message.ID(fmt.Sprintf("m-%d", n))
		b := spool.Blob{ID: fmt.Sprintf("b-%d", n), Org: "o", SHA256: [32]byte{sum}, Key: []byte{1}, Place: "p"}
		_, err := s.Commit(ctx, queue.Lease{}, store.Step{Blobs: []spool.Blob{b},
			Messages: []store.Message{{ID: id, Direction: store.In, Kind: message.Mail, Blob: b.ID, Submission: message.Submission{Org: "o"}}},
			Held: []store.Held{{ID: fmt.Sprintf("h-%d", n), Org: "o", Message: id, Peer: "a.example", Reason: reason, Blob: b.ID, At: s.now,
				Recipients: []addr.Address{addr.MustParse(rcpt)}, Expires: s.now.Add(time.Hour)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	const rcpt = "x@b.example"
	for _, c := range []struct {
		situation string
		sum       byte
		reason    string
		rcpt      string
		want      int // held afterwards
	}{
		{"the first", 1, "untrusted", rcpt, 1},
		{"the same again", 1, "untrusted", rcpt, 1},
		{"other octets", 2, "untrusted", rcpt, 2},
		{"another reason", 1, "expired", rcpt, 3},
		{"another recipient", 1, "untrusted", "y@b.example", 4},
	} {
		hold(int(c.want)*10+len(c.situation), c.sum, c.reason, c.rcpt)
		list, err := s.HeldList(ctx, 100)
		if err != nil || len(list) != c.want {
			t.Errorf("%s: %d are held, want %d (%v)", c.situation, len(list), c.want, err)
		}
	}
	first, err := s.HeldList(ctx, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, queue.Lease{}, store.Step{Discarded: []string{first[len(first)-1].ID}}); err != nil {
		t.Fatal(err)
	}
	hold(99, 1, "untrusted", rcpt)
	if list, _ := s.HeldList(ctx, 100); len(list) != 4 {
		t.Errorf("after the first was discarded a new copy is held anew: %d held, want 4", len(list))
	}
}
