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
	fold := folded{}
	for _, e := range rep.Entries {
		if err := p.apply(ctx, step, m, v, rep, e, &fold); err != nil {
			return err
		}
	}
	switch {
	case len(fold.told) > 0:
		passed, err := p.handOn(ctx, step, m, v, body, fold.failure)
		if passed {
			step.Events = append(step.Events, fold.told...)
		}
		return err
	case fold.forged && !fold.matched:
		p.refuseNotice(step, m, v, agent.ReasonNotBound)
	case !fold.matched || !fold.clear: // it says nothing that moves a ladder: people may make something of it
		return p.stray(ctx, step, m, v, body)
	}
	return nil
}

// folded is what the entries of one notice came to.
type folded struct {
	matched bool          // it speaks of a recipient of a message of ours
	clear   bool          // it says something of one that a ladder knows
	forged  bool          // its signer cannot speak for a recipient it speaks of
	failure bool          // it tells the sender of a failure
	told    []track.Event // the rungs that say it was passed on
	said    map[saying]bool
}

// saying is one statement about one recipient: said twice in a notice, it is one.
type saying struct {
	track.Key
	kind notice.Outcome
	full bool
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

// apply moves the ladders that one entry of a notice speaks of, where its signer may speak of them (DN-47).
func (p *Pipeline) apply(ctx context.Context, step *store.Step, m store.Message, v agent.Verdict, rep *notice.Report, e notice.Entry, fold *folded) error {
	var about []addr.Address
	for _, a := range e.Names() {
		if speaksFor(v, m.Sender, a) {
			about = append(about, a)
		}
	}
	if len(about) == 0 {
		fold.forged = true
		return nil
	}
	if rep.OriginalMessageID == "" {
		return nil
	}
	sent, err := p.Store.Messages(ctx, store.Query{RFCID: rep.OriginalMessageID, Direction: store.Out})
	if err != nil {
		return err
	}
	for _, orig := range sent {
		if !asked(orig, v.Recipient) {
			continue
		}
		events, err := p.Store.Events(ctx, orig.ID)
		if err != nil {
			return err
		}
		for _, l := range of(track.Fold(events), about) {
			p.move(step, m, l, e, fold)
		}
	}
	return nil
}

// of is the ladders of the first name that any of them is about.
func of(ladders map[track.Key]track.Ladder, names []addr.Address) (out []track.Ladder) {
	for _, a := range names {
		for _, l := range ladders {
			if l.Recipient.SameMailbox(a) {
				out = append(out, l)
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out
}

// move puts what an entry says on one ladder.
func (p *Pipeline) move(step *store.Step, m store.Message, l track.Ladder, e notice.Entry, fold *folded) {
	outcome := e.Outcome()
	fold.matched = true
	fold.clear = fold.clear || outcome != notice.OutcomeNone
	said := saying{l.Key(), outcome, e.FinalField}
	if fold.said[said] {
		return
	}
	if fold.said == nil {
		fold.said = map[saying]bool{}
	}
	fold.said[said] = true
	news, _ := track.Apply(l, e, p.Now(), m.Sender.String())
	for _, n := range news {
		if n.Kind != track.Forwarded { // said once it is so
			step.Events = append(step.Events, n)
			continue
		}
		fold.told = append(fold.told, n)
		fold.failure = fold.failure || outcome == notice.OutcomeFailed || outcome == notice.OutcomeImportFailed
	}
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
