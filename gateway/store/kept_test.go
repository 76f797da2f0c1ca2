package store_test

import (
	"context"
	"testing"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// What an operator holds is listed as kept, and what a restored database keeps is not: of that nobody knows what became
// of it, and only a person may say. The two are told apart through another backup, and once a person took it up again.
func TestARestoredQueueIsNotKept(t *testing.T) {
	s, ctx := newSite(t), context.Background()
	r := []addr.Address{addr.MustParse("a@b.example")}
	for _, id := range []message.ID{"m-held", "m-free"} {
		step := store.Step{Messages: []store.Message{{ID: id, Direction: store.Out, Kind: message.Mail, Sender: addr.MustParse("c@d.example"), Received: s.now,
			Submission: message.Submission{Org: "o", Recipients: r, Received: s.now}}},
			Jobs: []queue.Job{{Org: "o", Message: id, Kind: queue.Seal, Recipients: r}, {Org: "o", Message: id, Kind: queue.Timer, Recipients: r}}}
		if _, err := s.Commit(ctx, queue.Lease{}, step); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(when string, paused bool, want ...message.ID) {
		t.Helper()
		jobs, err := s.Kept(ctx, queue.Lookups, paused, s.now.Add(time.Hour), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []message.ID
		for _, j := range jobs {
			got = append(got, j.Message)
		}
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] || len(got) > 1 && got[1] != want[1] {
			t.Errorf("%s, paused %v: %v, want %v", when, paused, got, want)
		}
	}
	hold := func(id message.ID) {
		t.Helper()
		if n, err := s.HoldJobs(ctx, store.Selection{Message: id}, "held by somebody", store.AuditEntry{Action: "queue.hold"}); err != nil || n != 1 {
			t.Fatalf("held %d: %v", n, err)
		}
	}
	restore := func(want int64) {
		t.Helper()
		if n, err := s.ParkAll(ctx, s.now, store.AuditEntry{Action: "backup.restore"}); err != nil || n != want {
			t.Fatalf("parked %d, want %d: %v", n, want, err)
		}
	}
	kept("at work", false)
	kept("at work", true, "m-held", "m-free")
	hold("m-held")
	kept("one held", false, "m-held")
	restore(3)
	kept("restored", false)
	kept("restored", true)
	restore(0)
	kept("restored again", true)
	if n, err := s.ResumeJobs(ctx, store.Selection{Message: "m-free"}, store.AuditEntry{Action: "queue.resume"}); err != nil || n != 2 {
		t.Fatalf("resumed %d: %v", n, err)
	}
	kept("resumed", false)
	kept("resumed", true, "m-free")
	hold("m-free")
	kept("held since", false, "m-free")
}
