package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// refuse marks recipients of a message of ours as failed and tells the sender, once, with one DSN for
// all of them. A notice that fails is only recorded: no notice about a notice (AS-75, DN-35).
func (p *Pipeline) refuse(ctx context.Context, step *store.Step, m store.Message, refused []refusal) error {
	if len(refused) == 0 {
		return nil
	}
	d := notice.DSN{To: m.Sender, ReportingMTA: p.Hostname, OriginalMessageID: m.RFCID, Arrival: m.Received, Subject: m.Facts.Subject,
		Date: p.Now(), MessageID: message.NewMessageID(m.Sender.Domain(), p.Now(), nil)}
	if m.Facts.MessageID != "" { // as its sender wrote it; otherwise the id is ours
		d.OriginalMessageID, d.OriginalBare = m.Facts.MessageID, m.Facts.BareID
	}
	earlier, err := p.unsure(ctx, m, refused)
	if err != nil {
		return err
	}
	for _, r := range refused {
		switch {
		case r.unsure || earlier[r.recipient.Key()]:
			r.text += " " + mayHaveArrived
		case r.advice != "":
			r.text += " " + r.advice
		}
		step.Events = append(step.Events, p.event(m.ID, r.recipient, r.kind, "gateway", map[string]any{
			"reason": r.reason, "status": r.status, "text": r.text, "peer_words": r.peerWords, "verdict": r.verdict}))
		if m.Kind == message.Mail {
			step.Events = append(step.Events, p.event(m.ID, r.recipient, track.ToldFailed, "gateway", nil))
		}
		d.Recipients = append(d.Recipients, notice.RecipientStatus{Recipient: r.recipient, Action: "failed", Status: r.status,
			Diagnostic: r.peerWords, Text: r.text})
	}
	p.Log.Info("recipients failed", "message", m.ID, "recipients", len(refused), "reason", refused[0].reason)
	if m.Kind != message.Mail {
		return nil
	}
	return p.toOwn(ctx, step, m, d)
}

// mayHaveArrived is said of a failure where a mail server has once had the whole message and gave no answer.
const mayHaveArrived = "The whole of it was sent once and no answer came, so it may have arrived all the same: " +
	"ask the recipient, by telephone if it is urgent, before you send it again."

// unsure is the recipients to whom an earlier try may have brought the message: all of it was sent, and no answer came.
func (p *Pipeline) unsure(ctx context.Context, m store.Message, refused []refusal) (map[string]bool, error) {
	if !slices.ContainsFunc(refused, func(r refusal) bool { return r.advice != "" }) {
		return nil, nil
	}
	events, err := p.Store.Events(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, e := range events {
		var said struct {
			Reason relay.Reason `json:"reason"`
		}
		if e.Kind == track.Deferred && json.Unmarshal(e.Evidence, &said) == nil && said.Reason == relay.ReasonUnknown {
			out[e.Recipient.Key()] = true
		}
	}
	return out, nil
}

// toOwn delivers a DSN, unsealed, to the edge or inbox of one of our own senders.
func (p *Pipeline) toOwn(ctx context.Context, step *store.Step, about store.Message, d notice.DSN) error {
	postmaster, err := addr.Parse("postmaster@" + about.Sender.Domain().String())
	if err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	d.From = postmaster
	var ins message.Inspector
	b, err := p.write(ctx, about.Submission.Org, func(w io.Writer) error { return d.Write(io.MultiWriter(w, &ins)) })
	if err != nil {
		return err
	}
	own := store.Message{ID: p.newID(), Direction: store.Own, Kind: message.DSN, RFCID: message.NormalID(d.MessageID), Sender: postmaster,
		Facts: ins.Facts(), Blob: b.ID, OpenedBlob: b.ID, Size: b.Size, About: about.ID, Received: p.Now(),
		Submission: message.Submission{Org: about.Submission.Org, Edge: message.EdgeNotice, Recipients: []addr.Address{about.Sender}}}
	step.Blobs = append(step.Blobs, b)
	step.Messages = append(step.Messages, own)
	mb, err := p.Store.Resolve(ctx, about.Sender)
	if err != nil {
		return err
	}
	if !mb.Known { // the sender's address is gone: a person must still hear of it
		if mb, err = p.Store.Resolve(ctx, postmaster); err != nil {
			return err
		}
	}
	switch {
	case mb.Destination.Inbox != "":
		it, err := p.item(own, about.Sender, mb.Destination.Inbox, inbox.FromSystem(postmaster), b)
		if err != nil {
			return err
		}
		it.References = []string{about.RFCID}
		step.Items = append(step.Items, it)
	case mb.Destination.Edge != nil:
		step.Jobs = append(step.Jobs, queue.Job{Org: about.Submission.Org, Message: own.ID, Kind: queue.Deliver, Notice: true,
			Lane: "edge " + mb.Destination.Edge.HostPort(), Recipients: []addr.Address{about.Sender}})
	default:
		p.Log.Error("failure notice has nowhere to go: neither the sender nor postmaster has a destination", "message", about.ID)
	}
	return nil
}
