package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// poison parks a job that failed too often, and tells those who would otherwise wait for ever: the sender
// of a message of ours by a DSN, the peer of an accepted one by a failed notice. What only keeps a notice
// or a held message is parked without a word.
func (p *Pipeline) poison(ctx context.Context, j queue.Job, cause error) (store.Step, error) {
	step := store.Step{Settle: &queue.Settlement{Fate: queue.Park, Error: cause.Error()}}
	m, err := p.Store.Message(ctx, j.Message)
	if err != nil || m.Kind != message.Mail {
		return step, err
	}
	switch j.Kind {
	case queue.Seal, queue.Relay, queue.Deliver:
	default:
		return step, nil
	}
	left, clocks, err := p.undone(ctx, j, m)
	if err != nil {
		return step, err
	}
	step.Jobs = clocks
	kind := track.Rejected
	switch j.Kind {
	case queue.Seal:
		kind = track.Refused
	case queue.Deliver:
		for _, r := range left {
			p.fail(&step, m, r, deliverTo(j), "5.3.0 an internal fault of the receiving gateway")
		}
		return step, nil
	}
	var failed []refusal
	for _, r := range left {
		failed = append(failed, refusedByFault(kind, r, cause))
	}
	return step, p.refuse(ctx, &step, m, failed)
}

func refusedByFault(kind track.Kind, r addr.Address, cause error) refusal {
	var lost unwritten
	return refusal{kind: kind, recipient: r, status: "5.3.0", reason: agent.ReasonFault, unsure: errors.As(cause, &lost) && lost.tookIt(r),
		text:   fmt.Sprintf("An internal fault of this gateway kept the message from being sent to %s.", r),
		advice: "It was not delivered. Telephone if it is urgent, and tell your administrator."}
}

// unwritten is why a step was given up that could not be written, though a mail server may have taken the message.
type unwritten struct {
	error
	taken []track.Event // the hand-overs that the step was to record
}

func (u unwritten) Unwrap() error { return u.error }

// giveUpWriting is the fault of a step that could not be written.
func giveUpWriting(step store.Step, err error) unwritten {
	return unwritten{fmt.Errorf("its outcome could not be written: %w", err),
		slices.DeleteFunc(slices.Clone(step.Events), func(e track.Event) bool { return e.Kind != track.Handed || e.Source != "relay" })}
}

func (u unwritten) tookIt(r addr.Address) bool {
	return slices.ContainsFunc(u.taken, func(e track.Event) bool { return e.Recipient.Key() == r.Key() })
}

// remember puts on the ladders that the message may have arrived: whatever fails later must not say that it did not.
func (p *Pipeline) remember(step *store.Step, cause error) {
	var lost unwritten
	if !errors.As(cause, &lost) {
		return
	}
	for _, e := range lost.taken {
		step.Events = append(step.Events, p.event(e.Message, e.Recipient, track.Deferred, "gateway", map[string]any{"reason": relay.ReasonUnknown, "text": "it was sent, and that could not be written down"}))
	}
}
