package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/spool"
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
