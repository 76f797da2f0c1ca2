package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// refusal is one recipient that a message of ours does not reach, and why.
type refusal struct {
	kind      track.Kind // Refused here, or Rejected by the next hop
	recipient addr.Address
	status    string // enhanced status code (RFC 3463)
	reason    string
	text      string // for the sender: what happened
	advice    string // and what to do; where an earlier try may have arrived, that is said instead
	unsure    bool   // the message may have arrived all the same
	peerWords string // the other server's reply, if one spoke
	verdict   any    // the agent's, with its trace
}

// seal is the outbound stage: find, approve, sign, encrypt, and queue for the next hop.
func (p *Pipeline) seal(ctx context.Context, j queue.Job, m store.Message) (store.Step, error) {
	step := store.Step{Settle: done()}
	var refused []refusal
	var rest []addr.Address
	var err error
	if j.Recipients, err = p.wanted(ctx, &step, j, m); err != nil {
		return step, err
	}
	look, wait := p.look(j, m)
	if wait != nil {
		step.Settle = wait
		return step, nil
	}
	bcc := keys(m.Facts.BccRecipients(j.Recipients))
	for _, r := range j.Recipients {
		if bcc[r.Key()] { // AS-34, AS-82: its own gateway would refuse it in silence
			refused = append(refused, refusal{kind: track.Refused, recipient: r, status: "5.6.0", reason: agent.ReasonBlindCopy,
				text: fmt.Sprintf("%s is not named in To or Cc. Direct does not allow blind copies: its gateway would refuse the message without a word. Send it again with this address in To or Cc.", r)})
			continue
		}
		rest = append(rest, r)
	}
	sealed, blobs, err := p.sealFor(ctx, m, rest)
	p.looked(look, sealed.Verdicts)
	if err != nil {
		return step, err
	}
	waits := p.sought(ctx, j, sealed.Verdicts)
	var again []addr.Address
	for _, v := range sealed.Verdicts {
		p.decided(&step, m, v, trust.Outgoing, m.Sender.Domain(), v.Recipient)
		switch {
		case v.OK:
			p.softFail(&step, m, v)
			step.Events = append(step.Events, p.event(m.ID, v.Recipient, track.Sealed, "agent", sealedEvidence(v, sealed)))
		case v.Temporary && p.Now().Before(p.giveUp(m)):
			again = append(again, v.Recipient)
			step.Events = append(step.Events, p.event(m.ID, v.Recipient, track.Deferred, "agent", refusedEvidence(v)))
		default:
			refused = append(refused, refusedBy(v))
		}
	}
	p.forward(&step, m, sealed, blobs)
	if err := p.refuse(ctx, &step, m, refused); err != nil {
		return step, err
	}
	if len(again) > 0 {
		why := "a trust check has no answer yet"
		if !waits.IsZero() {
			why = seekWords(waits)
		}
		step.Settle = &queue.Settlement{Fate: queue.Retry, Due: p.nextTry(j, p.giveUp(m)), Recipients: again, Error: why}
	}
	return step, nil
}

// sealFor seals a message of ours for some of its recipients: one new blob for each envelope.
func (p *Pipeline) sealFor(ctx context.Context, m store.Message, rcpts []addr.Address) (agent.Sealed, []spool.Blob, error) {
	if len(rcpts) == 0 {
		return agent.Sealed{}, nil, nil
	}
	content, closer, err := p.content(ctx, m)
	if err != nil {
		return agent.Sealed{}, nil, err
	}
	defer closer.Close()
	purpose := trust.Mail
	if m.Kind != message.Mail {
		purpose = trust.Notice
	}
	var ws []*spool.Writer
	defer func() {
		for _, w := range ws { // those not committed
			w.Abort()
		}
	}()
	sealed, err := p.Agent.Seal(ctx, agent.Outbound{From: m.Sender, Recipients: rcpts, Content: content, Purpose: purpose, EightBit: m.Facts.EightBit}, func() (io.Writer, error) {
		w, err := p.Spool.Continue(m.Submission.Org)
		if err == nil {
			ws = append(ws, w)
		}
		return w, err
	})
	if err != nil {
		return sealed, nil, err
	}
	var blobs []spool.Blob
	for len(ws) > 0 {
		b, err := ws[0].Commit(ctx)
		if err != nil {
			return sealed, nil, fmt.Errorf("pipeline: %w", err)
		}
		blobs, ws = append(blobs, b), ws[1:]
	}
	return sealed, blobs, nil
}

// forward queues the sealed bytes: one relay job an envelope and destination domain, and for recipients of
// ours the inbound side of this same gateway (AS-74).
func (p *Pipeline) forward(step *store.Step, m store.Message, sealed agent.Sealed, blobs []spool.Blob) {
	if len(blobs) == 0 {
		return
	}
	reports := sealReports(m.Receipt)
	for i, e := range sealed.Envelopes {
		step.Blobs = append(step.Blobs, blobs[i])
		step.Sealed = append(step.Sealed, store.SealedForm{Message: m.ID, Blob: blobs[i].ID})
		reports = append(reports, *e.Report)
		byDomain := map[addr.Domain][]addr.Address{}
		var order []addr.Domain
		for _, r := range e.Recipients {
			if byDomain[r.Domain()] == nil {
				order = append(order, r.Domain())
			}
			byDomain[r.Domain()] = append(byDomain[r.Domain()], r)
		}
		for _, d := range order {
			step.Jobs = append(step.Jobs, queue.Job{Org: m.Submission.Org, Message: m.ID, Kind: queue.Relay, Notice: m.Kind != message.Mail, Urgent: p.urgent(m),
				Lane: d.String(), Recipients: byDomain[d], Data: rawJSON(relayData{Blob: blobs[i].ID})})
		}
	}
	if step.Receipts == nil {
		step.Receipts = map[message.ID]store.Receipt{}
	}
	step.Receipts[m.ID] = store.Receipt{SealedBlob: blobs[0].ID, Receipt: mergeReceipt(m.Receipt, "sealed", reports)}
}

// sealReports are those of the envelopes that a message was sealed in before.
func sealReports(receipt string) smime.SealReports {
	var have struct {
		Sealed smime.SealReports `json:"sealed"`
	}
	if json.Unmarshal([]byte(receipt), &have) != nil {
		return nil // mergeReceipt says that it cannot be read
	}
	return have.Sealed
}

func keys(as []addr.Address) map[string]bool {
	out := make(map[string]bool, len(as))
	for _, a := range as {
		out[a.Key()] = true
	}
	return out
}

func sealedEvidence(v agent.Verdict, s agent.Sealed) any {
	out := map[string]any{"location": v.Location, "name": v.Name, "certificate": v.Cert, "bound": v.Bound, "anchor": v.Anchor,
		"anchor_subject": v.AnchorCN, "signer": s.Signer, "algorithms": v.Algorithms}
	if e := s.For(v.Recipient); e != nil {
		out["report"] = e.Report
	}
	return out
}

func refusedEvidence(v agent.Verdict) any {
	return map[string]any{"reason": v.Reason, "detail": v.Detail, "remedy": v.Remedy, "temporary": v.Temporary, "location": v.Location,
		"certificate": v.Cert, "discovery": v.Discovery, "decision": v.Decision}
}

// refusedBy words a verdict for the sender.
func refusedBy(v agent.Verdict) refusal {
	r := refusal{kind: track.Refused, recipient: v.Recipient, status: "5.7.1", reason: v.Reason, text: v.Detail, verdict: v}
	switch {
	case v.Temporary:
		r.status = "5.4.7" // RFC 3463: delivery time expired
		r.text += " It was tried again until the time for it was over. Telephone if it is urgent, or send it again later."
		return r
	case v.Reason == agent.ReasonNotFound:
		r.status = "5.7.5" // RFC 3463: cryptographic failure; CD-47
	case v.Reason == agent.ReasonNoSigningKey, v.Reason == agent.ReasonOwnRefused:
		r.status = "5.7.5"
	}
	if v.Remedy != "" {
		r.text += " " + v.Remedy
	}
	return r
}

// nextTry is when a job is tried again: after its back-off, and for the last time when patience ends, so
// that a failure is told neither before nor long after (DN-42).
func (p *Pipeline) nextTry(j queue.Job, end time.Time) time.Time {
	next := p.Now().Add(queue.Backoff(j.Attempts + 1))
	if next.After(end) {
		return end
	}
	return next
}

// giveUp is when a message of ours is no longer tried.
func (p *Pipeline) giveUp(m store.Message) time.Time { return m.Received.Add(p.Clocks.T1) }
