package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

// A clock is never parked, and a full disk never makes a job poison: both are tried again however often
// they failed.
func TestWhatIsNeverGivenUp(t *testing.T) {
	p := &Pipeline{Config: Config{Now: func() time.Time { return time.Unix(0, 0) }}}
	log := slog.New(slog.DiscardHandler)
	full := fmt.Errorf("pipeline: %w", spool.ErrNoSpace)
	for _, j := range []struct {
		kind queue.Kind
		err  error
	}{{queue.Timer, errors.New("a fault")}, {queue.Timer, full}, {queue.Seal, full}, {queue.Open, full}, {queue.Notice, full}, {queue.Deliver, full}} {
		step := p.fault(context.Background(), log, queue.Job{Kind: j.kind, Attempts: 1000}, j.err)
		if step.Settle == nil || step.Settle.Fate != queue.Retry {
			t.Errorf("%s after 1,000 attempts (%v): %+v", j.kind, j.err, step.Settle)
		}
	}
}

// What is over, but cannot be given up yet because nobody can be told, is tried again after a while, and not at once
// and for ever.
func TestWhatCannotBeToldRests(t *testing.T) {
	ctx, now := context.Background(), time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "postern.db")
	if err := store.Create(path); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(store.Config{Path: path, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.AddOrg(ctx, store.Org{ID: "o", WrappedKey: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	r := addr.MustParse("a@b.example")
	m := store.Message{ID: "m-1", Direction: store.Out, Kind: message.Mail, Received: now, // it says no sender: a notice has nowhere to go
		Submission: message.Submission{Org: "o", Recipients: []addr.Address{r}, Received: now}}
	if _, err := db.Commit(ctx, queue.Lease{}, store.Step{Messages: []store.Message{m}, Events: []track.Event{{Message: m.ID, Recipient: r, Kind: track.Accepted, Time: now}}}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	p := &Pipeline{Config: Config{Store: db, Log: log, Clocks: DefaultClocks(), Now: func() time.Time { return now }}}
	for _, c := range []struct {
		name  string
		after time.Duration
		due   time.Duration // from then
	}{
		{"long before its end", time.Minute, queue.Backoff(1)},
		{"shortly before its end", time.Hour - time.Second, time.Second},
		{"at its end", time.Hour, queue.Backoff(1)},
		{"long after its end", 3 * time.Hour, queue.Backoff(1)},
	} {
		now = m.Received.Add(c.after)
		s := p.fault(ctx, log, queue.Job{Message: m.ID, Kind: queue.Relay, Recipients: []addr.Address{r}}, errors.New("a fault")).Settle
		if s == nil || s.Fate != queue.Retry {
			t.Errorf("%s: %+v", c.name, s)
		} else if d := s.Due.Sub(now); d <= 0 || d > 2*c.due {
			t.Errorf("%s: tried again after %s, want about %s", c.name, d, c.due)
		}
	}
}

// A mail server took the message, and that could not be written: it is tried again, and no failure that comes of it
// says that it did not arrive. Of who was not handed anything, or was within this gateway, it says so.
func TestTakenButNotWritten(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &Pipeline{Config: Config{Now: func() time.Time { return now }}}
	took, not, here := addr.MustParse("took@b.example"), addr.MustParse("not@b.example"), addr.MustParse("here@a.example")
	step := store.Step{Events: []track.Event{p.event("m-1", took, track.Handed, "relay", nil), p.event("m-1", not, track.Deferred, "relay", nil),
		p.event("m-1", here, track.Handed, "local", nil)}}
	cause := giveUpWriting(step, errors.New("disk I/O error"))
	again := p.fault(context.Background(), slog.New(slog.DiscardHandler), queue.Job{Kind: queue.Open}, fmt.Errorf("wrapped: %w", cause))
	if again.Settle.Fate != queue.Retry || len(again.Events) != 1 || again.Events[0].Kind != track.Deferred || again.Events[0].Recipient != took ||
		!strings.Contains(string(again.Events[0].Evidence), `"reason":"`+string(relay.ReasonUnknown)+`"`) {
		t.Errorf("tried again: %+v %+v", again.Settle, again.Events)
	}
	for _, r := range []addr.Address{took, not, here} {
		if f := refusedByFault(track.Rejected, r, cause); f.unsure != (r == took) {
			t.Errorf("%s: unsure %v", r, f.unsure)
		}
	}
	if f := refusedByFault(track.Rejected, took, errors.New("another fault")); f.unsure {
		t.Error("unsure though nothing was sent")
	}
}
