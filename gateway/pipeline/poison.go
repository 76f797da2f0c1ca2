package pipeline

import (
	"context"
	"fmt"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
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
		failed = append(failed, refusal{kind: kind, recipient: r, status: "5.3.0", reason: agent.ReasonFault,
			text:   fmt.Sprintf("An internal fault of this gateway kept the message from being sent to %s.", r),
			advice: "It was not delivered. Telephone if it is urgent, and tell your administrator."})
	}
	return step, p.refuse(ctx, &step, m, failed)
}
