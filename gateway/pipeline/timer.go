package pipeline

import (
	"context"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
)

// PurposeDeadline is how long after acceptance a message of that purpose is expected to be confirmed;
// when it passes an alarm is raised, and nothing else: only T1 and T2 make a failure.
func PurposeDeadline(purpose string) time.Duration {
	switch purpose {
	case "discharge":
		return 15 * time.Minute
	case "referral":
		return time.Hour
	case "records":
		return 24 * time.Hour
	}
	return 0
}

func (p *Pipeline) clocksFor(m store.Message) track.Clocks {
	c := track.Clocks{T1: p.Clocks.T1, T2: p.Clocks.T2, GiveUp: p.Clocks.Inside, Deadline: m.Submission.Deadline}
	if c.Deadline == 0 {
		c.Deadline = PurposeDeadline(m.Submission.Purpose)
	}
	return c
}

// urgent says whether somebody waits for that message within minutes: it goes before others (queue.Urgent).
func (p *Pipeline) urgent(m store.Message) bool {
	d := p.clocksFor(m).Deadline
	return m.Kind == message.Mail && d > 0 && d <= 15*time.Minute
}

// timer is the stage that looks at a ladder when one of its clocks may have run out: without
// confirmation in time the recipient has failed and the sender gets his one DSN (DN-40 to DN-44).
func (p *Pipeline) timer(ctx context.Context, j queue.Job, m store.Message) (store.Step, error) {
	step := store.Step{Settle: done()}
	events, err := p.Store.Events(ctx, m.ID)
	if err != nil {
		return step, err
	}
	now, clocks := p.Now(), p.clocksFor(m)
	var refused []refusal
	var quiet []track.Ladder // whom somebody must telephone
	var next time.Time
	ladders := track.Fold(events)
	for _, r := range j.Recipients {
		l := ladders[track.Key{Message: m.ID, Recipient: r.Key()}]
		for _, due := range track.Next(l, clocks) {
			if now.Before(due.At) {
				if next.IsZero() || due.At.Before(next) {
					next = due.At
				}
				continue
			}
			switch due.What {
			case track.FailUnprocessed, track.FailUndelivered:
				refused = append(refused, silence(l, due.What, clocks))
			case track.RaiseAlarm:
				step.Events = append(step.Events, track.Settle(l, due.What, clocks, now)...)
				quiet = append(quiet, l)
			}
		}
	}
	if !next.IsZero() {
		step.Settle = &queue.Settlement{Fate: queue.Retry, Due: next}
	}
	if err := p.unconfirmed(ctx, &step, m, quiet); err != nil {
		return step, err
	}
	return step, p.refuse(ctx, &step, m, refused)
}

// silence words what a clock found.
func silence(l track.Ladder, w track.What, c track.Clocks) refusal {
	told := track.TimedOut(l, w, c)
	r := refusal{kind: track.NoProcessed, recipient: l.Recipient, status: told.Status, reason: agent.ReasonNoProcessed,
		text: told.Text, peerWords: told.Diagnostic}
	if w == track.FailUndelivered {
		r.kind, r.reason = track.NoDispatched, agent.ReasonNoDispatched
	}
	return r
}
