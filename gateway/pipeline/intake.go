package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Accept makes an accepted message durable: its bytes are on disk already, its rows and first job are
// when Accept returns (EP-29). It is the one way in for every edge.
//
// A submission with an idempotency key that the same principal used before is the earlier message; with other
// content or recipients it is refused with ErrKeyReused.
func (p *Pipeline) Accept(ctx context.Context, sub message.Submission, f message.Facts, b spool.Blob) (message.ID, error) {
	if id, err := p.again(ctx, sub, b); id != "" || err != nil {
		return id, err
	}
	sub.Received, sub.Recipients = p.Now(), once(sub.Recipients)
	m := store.Message{ID: p.newID(), Submission: sub, Direction: store.In, Kind: message.Mail, Facts: f, Blob: b.ID, Size: b.Size, Received: sub.Received}
	job := queue.Job{Org: sub.Org, Message: m.ID, Kind: queue.Open, Recipients: sub.Recipients}
	step := store.Step{Blobs: []spool.Blob{b}}
	if sub.Edge != message.EdgeSMTP {
		if err := p.outbound(&m); err != nil {
			return "", err
		}
		job.Kind, job.Notice, job.Urgent = queue.Seal, m.Kind != message.Mail, p.urgent(m)
	}
	for _, r := range sub.Recipients {
		step.Events = append(step.Events, p.begun(m, r)...)
	}
	if due := p.clocksFor(m).Deadline; due > 0 && m.Direction == store.Out && m.Kind == message.Mail {
		step.Jobs = append(step.Jobs, p.clock(m, due, sub.Recipients...)) // one for all: the sender is asked once to telephone
	}
	step.Messages, step.Jobs = []store.Message{m}, append(step.Jobs, job)
	if _, err := p.Store.Commit(ctx, queue.Lease{}, step); err != nil {
		if id, e := p.again(ctx, sub, b); id != "" || errors.Is(e, ErrKeyReused) {
			return id, e // the same key came twice at the same time
		}
		return "", err
	}
	p.Log.Info("accepted", "message", m.ID, "direction", m.Direction, "edge", sub.Edge, "peer", sub.Peer,
		"recipients", len(sub.Recipients), "size", b.Size)
	return m.ID, nil
}

// ErrKeyReused means that an idempotency key was used before, for another message: answering with that one's id would
// say that this one was sent.
var ErrKeyReused = errors.New("pipeline: the idempotency key was used before, for another message; give each message a key of its own")

// again is the earlier message that this submission repeats; "" is none.
func (p *Pipeline) again(ctx context.Context, sub message.Submission, b spool.Blob) (message.ID, error) {
	if sub.IdempotencyKey == "" {
		return "", nil
	}
	m, err := p.Store.ByIdempotencyKey(ctx, sub.Org, sub.Principal, sub.IdempotencyKey)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	same := m.Submission.From.Key() == sub.From.Key() && m.Submission.Purpose == sub.Purpose &&
		maps.Equal(keys(m.Submission.Recipients), keys(sub.Recipients))
	old, err := p.Store.Blob(ctx, m.Blob)
	switch {
	case strings.HasPrefix(sub.EdgeID+m.Submission.EdgeID, message.AskedID): // written anew each time
		same = same && sub.EdgeID == m.Submission.EdgeID
	case err == nil:
		same = same && m.Size == b.Size && old.SHA256 == b.SHA256
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	default: // the bytes of a settled message are not kept for ever
		same = same && m.Size == b.Size
	}
	if !same {
		return "", fmt.Errorf("%w (it is %s)", ErrKeyReused, m.ID)
	}
	return m.ID, nil
}

// once is the recipients without repetitions: an address in other letters is the same one.
func once(as []addr.Address) []addr.Address {
	seen := make(map[string]bool, len(as))
	out := make([]addr.Address, 0, len(as))
	for _, a := range as {
		if !seen[a.Key()] {
			seen[a.Key()] = true
			out = append(out, a)
		}
	}
	return out
}

// outbound completes a submission of ours: who it is from, and the header lines it lacks.
func (p *Pipeline) outbound(m *store.Message) error {
	if len(m.Facts.From) != 1 {
		return fmt.Errorf("pipeline: a submission names one sender in From (AS-30), not %d", len(m.Facts.From))
	}
	m.Direction, m.Sender, m.Kind = store.Out, m.Facts.From[0], m.Facts.Kind()
	pre, err := message.Prefix(m.Facts, message.PrefixOptions{From: m.Sender, FinalDelivery: p.Final, Now: p.Now()})
	if err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	m.Prefix = string(pre.Lines)
	m.RFCID = message.NormalID(pre.MessageID)
	m.Final = m.Facts.FinalDelivery || p.Final && m.Kind == message.Mail && !m.Facts.DeliveryOptions
	m.Receipt = jsonText(map[string]any{"format": 1, "added": pre.Added, "long_line": m.Facts.LongLine, "eight_bit": m.Facts.EightBit})
	return nil
}

// begun is the first rung of a message for one recipient, and what is known of it from the start.
func (p *Pipeline) begun(m store.Message, r addr.Address) []track.Event {
	kind := track.Accepted
	if m.Direction == store.In {
		kind = track.Received
	}
	sub := m.Submission
	events := []track.Event{p.event(m.ID, r, kind, sub.Edge, map[string]any{"edge": sub.Edge, "peer": sub.Peer, "tls": sub.TLS,
		"size": m.Size, "principal": sub.Principal, "purpose": sub.Purpose})}
	return append(events, p.nature(m, r)...)
}

// nature records what decides how a ladder is read: a final delivery request, or being a notice.
func (p *Pipeline) nature(m store.Message, r addr.Address) []track.Event {
	switch {
	case m.Kind != message.Mail:
		return []track.Event{p.event(m.ID, r, track.Notice, "gateway", nil)}
	case m.Final:
		return []track.Event{p.event(m.ID, r, track.FinalRequested, "gateway", nil)}
	}
	return nil
}

// event is one ladder event of now.
func (p *Pipeline) event(id message.ID, r addr.Address, kind track.Kind, source string, evidence any) track.Event {
	return track.Event{Message: id, Recipient: r, Kind: kind, Time: p.Now(), Source: source, Evidence: rawJSON(evidence)}
}
