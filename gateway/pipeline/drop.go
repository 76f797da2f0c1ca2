package pipeline

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
)

// Drop gives one job up by hand, and nobody is left uninformed: mail of ours not yet handed over makes the
// sender's one failure notice; mail from a peer not yet opened is held; mail opened but not yet delivered
// makes a failed notice to the peer. Of recipients whose failure was told, or whose peer confirmed the message, nothing
// more is said. A job about a notice is only recorded. Clocks cannot be dropped: they are what makes silence known.
func (p *Pipeline) Drop(ctx context.Context, id int64, entry store.AuditEntry) error {
	j, err := p.Store.Take(ctx, id)
	if err != nil {
		return err
	}
	step, err := p.dropped(ctx, j)
	if err == nil {
		step.Settle = done()
		entry.Detail = map[string]any{"message": j.Message, "kind": j.Kind, "recipients": j.Recipients, "error": j.LastError}
		step.Audit = append(step.Audit, entry)
		p.place(ctx, &step)
		_, err = p.Store.Commit(ctx, j.Lease, step)
	}
	if err != nil {
		if e := p.Store.Release(context.WithoutCancel(ctx), []queue.Lease{j.Lease}); e != nil {
			p.Log.Error("job not given back; it falls due when its lease ends", "job", j.ID, "error", e)
		}
	}
	return err
}

// dropped is what must be said when a job goes undone.
func (p *Pipeline) dropped(ctx context.Context, j queue.Job) (step store.Step, err error) {
	m, err := p.Store.Message(ctx, j.Message)
	if err != nil {
		return step, err
	}
	left := j.Recipients
	if m.Kind == message.Mail && j.Kind != queue.Open {
		if left, step.Jobs, err = p.undone(ctx, j, m); err != nil {
			return step, err
		}
	}
	switch j.Kind {
	case queue.Timer:
		return step, fmt.Errorf("pipeline: job %d is a clock: it is what makes silence known and cannot be dropped", j.ID)
	case queue.Seal, queue.Relay:
		var refused []refusal
		for _, r := range left {
			refused = append(refused, refusal{kind: track.Refused, recipient: r, status: "5.3.0", reason: agent.ReasonDropped,
				text: "An operator of this gateway took the message out of its queue before it was sent.", advice: "Ask the operator, or send it again."})
		}
		return step, p.refuse(ctx, &step, m, refused)
	case queue.Open:
		h := store.Held{ID: "h-" + strings.ToLower(rand.Text()[:12]), Org: m.Submission.Org, Message: m.ID, Peer: peerOf(m), Recipients: j.Recipients,
			MailFrom: m.Submission.From.String(), Reason: agent.ReasonDropped, Detail: j.LastError, Blob: m.Blob, Size: m.Size, At: p.Now(),
			Expires: p.Now().Add(store.HeldFor)}
		step.Held = append(step.Held, h)
		for _, r := range j.Recipients {
			step.Events = append(step.Events, p.event(m.ID, r, track.Held, "operator", map[string]any{"reason": agent.ReasonDropped}))
		}
	case queue.Deliver:
		for _, r := range left {
			if m.Kind == message.Mail {
				p.fail(&step, m, r, deliverTo(j), "5.3.0 an operator gave its delivery up")
				continue
			}
			step.Events = append(step.Events, p.event(m.ID, r, track.Undeliverable, "operator", map[string]any{"status": "5.3.0", "text": agent.ReasonDropped}))
		}
	case queue.Notice:
		p.Log.Warn("a notice that was due was dropped by an operator", "message", m.ID, "job", j.ID)
	}
	return step, nil
}
