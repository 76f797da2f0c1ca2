package pipeline

import (
	"context"
	"errors"

	"postern/certs"
	"postern/gateway/agent"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

// report takes a trusted notice about one of our own messages: it moves the ladder of the recipients it
// speaks of, and goes on to the sender where that tells him something new. It is never answered (AS-95).
func (p *Pipeline) report(ctx context.Context, step *store.Step, m store.Message, v agent.Verdict, body spool.Blob) error {
	src, err := p.Spool.Open(body)
	if err != nil {
		return err
	}
	defer src.Close()
	rep, err := notice.Parse(src, src.Size())
	if errors.Is(err, notice.ErrNotNotice) || err == nil && !rep.Standard {
		return p.stray(ctx, step, m, v, body)
	}
	if err != nil {
		return err
	}
	matched, forward, failure, forged := false, false, false, false
	for _, e := range rep.Entries {
		if !speaksFor(v, m.Sender, e.About()) {
			forged = true
			continue
		}
		ok, action, bad, err := p.apply(ctx, step, m, v, rep, e)
		if err != nil {
			return err
		}
		matched = matched || ok
		forward = forward || action == track.Forward || action == track.Raise
		failure = failure || bad && action != track.Suppress
	}
	switch {
	case forward:
		return p.handOn(ctx, step, m, v, body, failure)
	case forged && !matched:
		p.refuseNotice(step, m, v, agent.ReasonNotBound)
	case !matched:
		return p.stray(ctx, step, m, v, body)
	}
	return nil
}

// stray is a notice about no message of ours, or one that is no notice at all: it changes no state and is
// shown to people. From a sender that is trusted for notices only it is held instead, or a one-way
// partner could put anything into an inbox by calling it a report.
func (p *Pipeline) stray(ctx context.Context, step *store.Step, m store.Message, v agent.Verdict, body spool.Blob) error {
	if !v.NoticeOnly {
		return p.handOn(ctx, step, m, v, body, true)
	}
	p.refuseNotice(step, m, v, agent.ReasonNoticeOnly)
	return nil
}

// refuseNotice holds a notice that may change nothing, for people to see why.
func (p *Pipeline) refuseNotice(step *store.Step, m store.Message, v agent.Verdict, reason string) {
	v.OK, v.Reason, v.Detail = false, reason, agent.AdviceOn(reason).Explain
	p.hold(step, m, []agent.Verdict{v})
}

// speaksFor is DN-47: the signer must be bound to the recipient the notice is about, or the notice be
// the postmaster's of that recipient's domain (DN-33).
func speaksFor(v agent.Verdict, sender, about addr.Address) bool {
	if about.IsZero() || v.Signer == nil {
		return false
	}
	if _, ok := certs.Binding(v.Signer, about); ok {
		return true
	}
	return sender.Domain() == about.Domain() && sender.WithoutTag().Key() == "postmaster@"+about.Domain().String()
}

// apply moves the ladders that one entry of a notice speaks of.
func (p *Pipeline) apply(ctx context.Context, step *store.Step, m store.Message, v agent.Verdict, rep *notice.Report, e notice.Entry) (matched bool, action track.Action, failure bool, err error) {
	if rep.OriginalMessageID == "" {
		return false, track.Ignore, false, nil
	}
	sent, err := p.Store.Messages(ctx, store.Query{RFCID: rep.OriginalMessageID, Direction: store.Out})
	if err != nil {
		return false, track.Ignore, false, err
	}
	action = track.Ignore
	for _, orig := range sent {
		if !orig.Sender.SameMailbox(v.Recipient) { // it is for the sender of what it speaks of
			continue
		}
		events, err := p.Store.Events(ctx, orig.ID)
		if err != nil {
			return false, action, false, err
		}
		for _, l := range track.Fold(events) {
			if !l.Recipient.SameMailbox(e.About()) {
				continue
			}
			matched = true
			news, a := track.Apply(l, e, p.Now(), m.Sender.String())
			step.Events = append(step.Events, news...)
			if a != track.Ignore {
				action = a
			}
		}
	}
	o := e.Outcome()
	return matched, action, o == notice.OutcomeFailed || o == notice.OutcomeImportFailed, nil
}

// handOn passes a notice to the sender it was for: to an SMTP edge as it is, into an inbox only when it
// tells of a failure or is for people to read; confirmations are seen on the ladder.
func (p *Pipeline) handOn(ctx context.Context, step *store.Step, m store.Message, v agent.Verdict, body spool.Blob, people bool) error {
	mb, err := p.Store.Resolve(ctx, v.Recipient)
	if err != nil {
		return err
	}
	switch {
	case mb.Destination.Edge != nil && (people || !mb.Domain.Settings.ConsumeMDN): // DN-50
		step.Jobs = append(step.Jobs, queue.Job{Org: m.Submission.Org, Message: m.ID, Kind: queue.Deliver, Notice: true,
			Lane: "edge " + mb.Destination.Edge.HostPort(), Recipients: []addr.Address{v.Recipient}, Data: p.deliverData(v, body)})
	case mb.Destination.Inbox != "" && people:
		origin, err := inbox.FromNotice(v.Approval, v.Signer, m.Sender, p.Now())
		if err != nil {
			return err
		}
		it, err := p.item(m, v.Recipient, mb.Destination.Inbox, origin, body)
		if err != nil {
			return err
		}
		step.Items = append(step.Items, it)
		step.Events = append(step.Events, p.event(m.ID, v.Recipient, track.Delivered, "inbox", deliveredEvidence(it)))
	}
	return nil
}
