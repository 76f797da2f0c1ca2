package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// relayData is what a relay job needs besides its recipients.
type relayData struct {
	Blob string `json:"blob"` // the sealed bytes
}

// relay is the stage that hands sealed bytes to the next hop of one domain, or, where the domain is one
// of ours, to this gateway's own inbound side.
func (p *Pipeline) relay(ctx context.Context, j queue.Job, m store.Message) (store.Step, error) {
	var d relayData
	if err := json.Unmarshal(j.Data, &d); err != nil {
		return store.Step{}, fmt.Errorf("pipeline: relay job %d: %w", j.ID, err)
	}
	if len(j.Recipients) == 0 {
		return store.Step{Settle: done()}, nil
	}
	domain := j.Recipients[0].Domain()
	mb, err := p.Store.Resolve(ctx, j.Recipients[0])
	if err != nil {
		return store.Step{}, err
	}
	if mb.Ours {
		return p.reenter(ctx, j, m, d)
	}
	sealed, err := p.blob(ctx, d.Blob)
	if err != nil {
		return store.Step{}, err
	}
	defer sealed.Close()
	res, wait, err := p.visit(ctx, j, p.giveUp(m), func() (relay.Result, error) {
		return p.Sender.Send(ctx, p.Router.NextHop(domain), relay.Envelope{From: envelopeFrom(m), To: j.Recipients, Size: sealed.Size()},
			func() (io.ReadCloser, error) {
				return io.NopCloser(io.NewSectionReader(sealed, 0, sealed.Size())), nil
			})
	})
	if err != nil {
		return store.Step{}, err
	}
	if wait != nil {
		return p.waits(j, m, wait), nil
	}
	return p.handed(ctx, j, m, res)
}

// waits is a job whose destination rests: the ladder says so once.
func (p *Pipeline) waits(j queue.Job, m store.Message, wait *queue.Settlement) store.Step {
	step := store.Step{Settle: wait}
	if j.Attempts == 0 && j.LastError == "" {
		for _, r := range j.Recipients {
			step.Events = append(step.Events, p.event(m.ID, r, track.Deferred, "gateway", map[string]any{"waits_for": j.Lane}))
		}
	}
	return step
}

// envelopeFrom is MAIL FROM: what the submitter gave, and for a notice of ours its inner From (v1.3).
func envelopeFrom(m store.Message) addr.Address {
	if m.Submission.From.IsZero() {
		return m.Sender
	}
	return m.Submission.From
}

// handed turns the next hop's answers into the ladder, clocks and refusals.
func (p *Pipeline) handed(ctx context.Context, j queue.Job, m store.Message, res relay.Result) (store.Step, error) {
	step := store.Step{Settle: done()}
	var again []addr.Address
	var refused []refusal
	var words string
	for _, o := range res.Outcomes {
		evidence := map[string]any{"host": res.Host, "address": res.Addr, "tls": res.TLS, "code": o.Code, "enhanced": o.Enhanced,
			"text": o.Text, "attempts": res.Attempts}
		switch {
		case o.Status == relay.Delivered:
			step.Events = append(step.Events, p.event(m.ID, o.To, track.Handed, "relay", evidence))
			if m.Kind == message.Mail {
				step.Jobs = append(step.Jobs, p.clock(m, p.Clocks.T1, o.To))
			}
		case o.Status == relay.Temporary && p.Now().Before(p.giveUp(m)):
			again, words = append(again, o.To), o.Text
			step.Events = append(step.Events, p.event(m.ID, o.To, track.Deferred, "relay", evidence))
		case o.Status == relay.Temporary:
			refused = append(refused, refusal{kind: track.Rejected, recipient: o.To, status: "4.4.7", reason: agent.ReasonHopAway,
				peerWords: o.Text, text: fmt.Sprintf("The mail server of %s could not be reached or put the message off until it was too late. It was not delivered. Telephone if it is urgent, or send it again later.", o.To.Domain())})
		default:
			status := o.Enhanced
			if status == "" {
				status = "5.0.0"
			}
			refused = append(refused, refusal{kind: track.Rejected, recipient: o.To, status: status, reason: agent.ReasonHopRefused,
				peerWords: o.Text, text: fmt.Sprintf("The mail server of %s refused the message. Check the address with its owner.", o.To.Domain())})
		}
	}
	if len(again) > 0 {
		step.Settle = &queue.Settlement{Fate: queue.Retry, Due: p.nextTry(j, p.giveUp(m)), Recipients: again, Error: words}
	}
	return step, p.refuse(ctx, &step, m, refused)
}

// clock is the job that looks whether the confirmations of recipients came in time.
func (p *Pipeline) clock(m store.Message, after time.Duration, rs ...addr.Address) queue.Job {
	return queue.Job{Org: m.Submission.Org, Message: m.ID, Kind: queue.Timer, Recipients: rs, Due: p.Now().Add(after)}
}

// localEvidence is what is kept of mail that stays here; another organisation is not told the sender's own id of it.
func localEvidence(m store.Message, org string) map[string]any {
	if m.Submission.Org != org {
		return map[string]any{"edge": "local"}
	}
	return map[string]any{"edge": "local", "from_message": m.ID}
}

// reenter is local-to-local mail: the same sealed bytes go through the inbound side like any other (AS-74).
func (p *Pipeline) reenter(ctx context.Context, j queue.Job, m store.Message, d relayData) (store.Step, error) {
	step := store.Step{Settle: done()}
	known := map[string][]addr.Address{} // by organisation: a message is of one
	var refused []refusal
	for _, r := range j.Recipients {
		mb, err := p.Store.Resolve(ctx, r)
		if err != nil {
			return step, err
		}
		if !mb.Known {
			refused = append(refused, refusal{kind: track.Rejected, recipient: r, status: "5.1.1", reason: agent.ReasonNoAddress,
				text: fmt.Sprintf("There is no address %s here. Check its spelling.", r)})
			continue
		}
		known[mb.Org] = append(known[mb.Org], r)
		step.Events = append(step.Events, p.event(m.ID, r, track.Handed, "local", map[string]any{"host": p.Hostname, "local": true}))
		if m.Kind == message.Mail {
			step.Jobs = append(step.Jobs, p.clock(m, p.Clocks.T1, r))
		}
	}
	for _, org := range slices.Sorted(maps.Keys(known)) {
		in := store.Message{ID: p.newID(), Direction: store.In, Kind: message.Mail, Blob: d.Blob, Received: p.Now(),
			Submission: message.Submission{Org: org, Edge: "local", From: envelopeFrom(m), Recipients: known[org], Received: p.Now()}}
		row, err := p.Store.Blob(ctx, d.Blob)
		if err != nil {
			return step, err
		}
		in.Size = row.Size
		step.Messages = append(step.Messages, in)
		step.Jobs = append(step.Jobs, queue.Job{Org: org, Message: in.ID, Kind: queue.Open, Recipients: known[org]})
		for _, r := range known[org] {
			step.Events = append(step.Events, p.event(in.ID, r, track.Received, "local", localEvidence(m, org)))
		}
	}
	return step, p.refuse(ctx, &step, m, refused)
}
