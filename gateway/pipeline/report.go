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
	matched, failure, forged := false, false, false
	var told []track.Event // the rungs that say it was passed on
	for _, e := range rep.Entries {
		if !speaksFor(v, m.Sender, e.About()) {
			forged = true
			continue
		}
		ok, forwarded, bad, err := p.apply(ctx, step, m, v, rep, e)
		if err != nil {
			return err
		}
		matched = matched || ok
		told = append(told, forwarded...)
		failure = failure || bad && len(forwarded) > 0
	}
	switch {
	case len(told) > 0:
		passed, err := p.handOn(ctx, step, m, v, body, failure)
		if passed {
			step.Events = append(step.Events, told...)
		}
		return err
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
		_, err := p.handOn(ctx, step, m, v, body, true)
		return err
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

// asked reports whether an address of ours may be told of a message's fate: its sender, or whom its own
// Disposition-Notification-To names.
func asked(orig store.Message, r addr.Address) bool {
	for _, a := range append([]addr.Address{orig.Sender}, orig.Facts.DispositionNotificationTo...) {
		if a.SameMailbox(r) {
			return true
		}
	}
	return false
}

// apply moves the ladders that one entry of a notice speaks of.
func (p *Pipeline) apply(ctx context.Context, step *store.Step, m store.Message, v agent.Verdict, rep *notice.Report, e notice.Entry) (matched bool, told []track.Event, failure bool, err error) {
	if rep.OriginalMessageID == "" {
		return false, nil, false, nil
	}
	sent, err := p.Store.Messages(ctx, store.Query{RFCID: rep.OriginalMessageID, Direction: store.Out})
	if err != nil {
		return false, nil, false, err
	}
	for _, orig := range sent {
		if !asked(orig, v.Recipient) {
			continue
		}
		events, err := p.Store.Events(ctx, orig.ID)
		if err != nil {
			return false, nil, false, err
		}
		for _, l := range track.Fold(events) {
			if !l.Recipient.SameMailbox(e.About()) {
				continue
			}
			matched = true
			news, _ := track.Apply(l, e, p.Now(), m.Sender.String())
			for _, e := range news {
				if e.Kind == track.Forwarded { // said once it is so
					told = append(told, e)
					continue
				}
				step.Events = append(step.Events, e)
			}
		}
	}
	o := e.Outcome()
	return matched, told, o == notice.OutcomeFailed || o == notice.OutcomeImportFailed, nil
}

// handOn passes a notice to the sender it was for: to an SMTP edge as it is, into an inbox only when it
// tells of a failure or is for people to read; confirmations are seen on the ladder.
func (p *Pipeline) handOn(ctx context.Context, step *store.Step, m store.Message, v agent.Verdict, body spool.Blob, people bool) (passed bool, err error) {
	mb, err := p.Store.Resolve(ctx, v.Recipient)
	if err != nil {
		return false, err
	}
	switch {
	case mb.Destination.Edge != nil && (people || !mb.Domain.Settings.ConsumeMDN): // DN-50
		step.Jobs = append(step.Jobs, queue.Job{Org: m.Submission.Org, Message: m.ID, Kind: queue.Deliver, Notice: true,
			Lane: "edge " + mb.Destination.Edge.HostPort(), Recipients: []addr.Address{v.Recipient}, Data: p.deliverData(m, v, body)})
	case mb.Destination.Inbox != "" && people:
		origin, err := inbox.FromNotice(v.Approval, v.Signer, m.Sender, p.Now())
		if err != nil {
			return false, err
		}
		it, err := p.item(m, v.Recipient, mb.Destination.Inbox, origin, body)
		if err != nil {
			return false, err
		}
		step.Items = append(step.Items, it)
		step.Events = append(step.Events, p.event(m.ID, v.Recipient, track.Delivered, "inbox", deliveredEvidence(it)))
	default:
		return false, nil
	}
	return true, nil
}
