package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
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

func sealedBlob(j queue.Job) (string, error) {
	var d relayData
	if err := json.Unmarshal(j.Data, &d); err != nil {
		return "", fmt.Errorf("pipeline: relay job %d: %w", j.ID, err)
	}
	return d.Blob, nil
}

// relay is the stage that hands sealed bytes to the next hop of one domain, or, where the domain is one
// of ours, to this gateway's own inbound side.
func (p *Pipeline) relay(ctx context.Context, j queue.Job, m store.Message) (store.Step, error) {
	step := store.Step{Settle: done()}
	blob, err := sealedBlob(j)
	if err != nil {
		return step, err
	}
	if j.Recipients, err = p.wanted(ctx, &step, j, m); err != nil || len(j.Recipients) == 0 {
		return step, err
	}
	domain := j.Recipients[0].Domain()
	mb, err := p.Store.Resolve(ctx, j.Recipients[0])
	if err != nil {
		return store.Step{}, err
	}
	if mb.Ours {
		return p.reenter(ctx, step, j, m)
	}
	sealed, err := p.blob(ctx, blob)
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
		wait.Recipients = j.Recipients
		p.waits(&step, j, m, wait)
		return step, nil
	}
	return step, p.handed(ctx, &step, j, m, res)
}

// waits is a job whose destination rests: the ladder says so once.
func (p *Pipeline) waits(step *store.Step, j queue.Job, m store.Message, wait *queue.Settlement) {
	step.Settle = wait
	if j.Attempts == 0 && j.LastError == "" {
		for _, r := range j.Recipients {
			step.Events = append(step.Events, p.event(m.ID, r, track.Deferred, "gateway", map[string]any{"waits_for": j.Lane}))
		}
	}
}

// envelopeFrom is MAIL FROM: what the submitter gave, and for a notice of ours its inner From (v1.3).
func envelopeFrom(m store.Message) addr.Address {
	if m.Submission.From.IsZero() {
		return m.Sender
	}
	return m.Submission.From
}

// handed turns the next hop's answers into the ladder, clocks and refusals.
func (p *Pipeline) handed(ctx context.Context, step *store.Step, j queue.Job, m store.Message, res relay.Result) error {
	var again []addr.Address
	var refused []refusal
	var words string
	for _, o := range res.Outcomes {
		evidence := map[string]any{"host": res.Host, "address": res.Addr, "tls": res.TLS, "code": o.Code, "enhanced": o.Enhanced,
			"text": o.Text, "attempts": res.Attempts}
		if o.Status != relay.Delivered {
			evidence["reason"] = o.Reason
		}
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
			refused = append(refused, refusal{kind: track.Rejected, recipient: o.To, status: "4.4.7", reason: agent.ReasonHopAway, peerWords: spoken(o), unsure: o.Reason == relay.ReasonUnknown,
				text:   fmt.Sprintf("The mail server of %s could not be reached or put the message off until it was too late.", o.To.Domain()),
				advice: "It was not delivered. Telephone if it is urgent, or send it again later."})
		default:
			refused = append(refused, refusedByHop(o))
		}
	}
	if len(again) > 0 {
		step.Settle = &queue.Settlement{Fate: queue.Retry, Due: p.nextTry(j, p.giveUp(m)), Recipients: again, Error: words}
	}
	return p.refuse(ctx, step, m, refused)
}

// spoken is a reply as the server gave it, code and all (RFC 3464 §2.3.6); without one, what went wrong.
func spoken(o relay.Outcome) string {
	if o.Code == 0 {
		return o.Text
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%d %s %s", o.Code, o.Enhanced, o.Text)), " ")
}

// refusedByHop words a refusal for good: what its code (RFC 3463 §3) lets the sender do about it.
func refusedByHop(o relay.Outcome) refusal {
	r := refusal{kind: track.Rejected, recipient: o.To, status: o.Enhanced, reason: agent.ReasonHopRefused, peerWords: spoken(o),
		text: fmt.Sprintf("The mail server of %s refused the message.", o.To.Domain())}
	switch {
	case r.status == "":
		r.status = "5.0.0"
		fallthrough
	default:
		r.advice = "Check the address with its owner."
	case r.status == "5.2.2":
		r.advice = "The recipient's mailbox is full there. Tell them by telephone, and send it again when there is room."
	case strings.HasSuffix(r.status, ".3.4"), r.status == "5.2.3":
		r.advice = "The message is too large for it. Send less at a time, or ask how large files may come."
	case strings.HasPrefix(r.status, "5.4."), strings.HasPrefix(r.status, "5.3."):
		r.advice = "The fault lies there, not in the address. Telephone if it is urgent, and tell their administrator."
	case strings.HasPrefix(r.status, "5.7."), strings.HasPrefix(r.status, "5.6."):
		r.advice = "The address may be right: it does not want this message or this sender. Its own words are given with this notice; ask its administrator."
	}
	return r
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
func (p *Pipeline) reenter(ctx context.Context, step store.Step, j queue.Job, m store.Message) (store.Step, error) {
	blob, err := sealedBlob(j)
	if err != nil {
		return step, err
	}
	known := map[string][]addr.Address{} // by organisation: a message is of one
	var refused []refusal
	for _, r := range j.Recipients {
		mb, err := p.Store.Resolve(ctx, r)
		if err != nil {
			return step, err
		}
		if !mb.Known {
			refused = append(refused, refusal{kind: track.Rejected, recipient: r, status: "5.1.1", reason: agent.ReasonNoAddress,
				text: fmt.Sprintf("There is no address %s here.", r), advice: "Check its spelling."})
			continue
		}
		known[mb.Org] = append(known[mb.Org], r)
		step.Events = append(step.Events, p.event(m.ID, r, track.Handed, "local", map[string]any{"host": p.Hostname, "local": true}))
		if m.Kind == message.Mail {
			step.Jobs = append(step.Jobs, p.clock(m, p.Clocks.T1, r))
		}
	}
	for _, org := range slices.Sorted(maps.Keys(known)) {
		in := store.Message{ID: p.newID(), Direction: store.In, Kind: message.Mail, Blob: blob, Received: p.Now(),
			Submission: message.Submission{Org: org, Edge: "local", From: envelopeFrom(m), Recipients: known[org], Received: p.Now()}}
		row, err := p.Store.Blob(ctx, blob)
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
