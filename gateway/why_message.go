package gateway

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

// WhyMessage is why a message did or did not reach each recipient: the deciding event with its advice.
type WhyMessage struct {
	Message    message.ID     `json:"message"`
	Recipients []WhyRecipient `json:"recipients"`
}

// WhyRecipient is one recipient's state, the event that decided it and what to do.
type WhyRecipient struct {
	Recipient addr.Address `json:"recipient"`
	State     track.State  `json:"state"`
	Words     string       `json:"words"`
	Reason    string       `json:"reason,omitempty"`
	Detail    string       `json:"detail,omitempty"`
	Advice    agent.Advice `json:"advice,omitzero"`

	Algorithms *agent.Algorithms `json:"algorithms,omitempty"` // it was sealed with these; where the peer is silent they may be the cause
	Evidence   json.RawMessage   `json:"evidence,omitempty"`

	Replay *Replay `json:"replay,omitempty"` // the trust decision, and what it would be today
	Letter *Letter `json:"letter,omitempty"` // what to write to whom, when it did not arrive
}

// Replay is a stored trust decision asked again today.
type Replay struct {
	Then    string    `json:"then"` // reason; "" = accepted
	At      time.Time `json:"at"`
	Now     string    `json:"now"`
	Detail  string    `json:"detail,omitempty"` // of today's
	Differs bool      `json:"differs"`
	Changed []string  `json:"changed"` // what changed since, in words
}

// WhyMessage explains a message from its stored ladder and decisions, asks the decisions again, and says what has
// changed since.
func (a Admin) WhyMessage(ctx context.Context, id message.ID) (WhyMessage, error) {
	t, err := a.Trace(ctx, id)
	if err != nil {
		return WhyMessage{}, err
	}
	out := WhyMessage{Message: id}
	for _, l := range t.Ladders {
		r := whyRecipient(l)
		if r.Replay, err = a.replay(ctx, t.Message, l.Recipient, r.Reason); err != nil {
			return out, err
		}
		if r.Reason != "" {
			c, err := a.messageCase(ctx, t.Message, r)
			if err != nil {
				return out, err
			}
			letter := c.Letter()
			r.Letter = &letter
		}
		out.Recipients = append(out.Recipients, r)
	}
	return out, nil
}

func whyRecipient(l LadderOf) WhyRecipient {
	r := WhyRecipient{Recipient: l.Recipient, State: l.Ladder.State, Words: l.Ladder.Words}
	for _, rung := range l.Ladder.Rungs {
		var e struct {
			Reason, Detail, Text string
			Algorithms           *agent.Algorithms
		}
		if json.Unmarshal(rung.Evidence, &e) != nil {
			continue
		}
		if e.Algorithms != nil {
			r.Algorithms = e.Algorithms
		}
		if e.Reason == "" {
			continue
		}
		r.Reason, r.Detail, r.Advice, r.Evidence = e.Reason, orDefault(e.Detail, e.Text), agent.AdviceOn(e.Reason), rung.Evidence
	}
	if r.State == track.StateDelivered || r.State == track.StateDone {
		r.Reason, r.Detail, r.Advice, r.Evidence = "", "", agent.Advice{}, nil // what was overcome on the way does not matter
	}
	return r
}

// stored is the last trust decision about a message for one recipient.
func (a Admin) stored(ctx context.Context, m store.Message, to addr.Address) (store.Judged, bool, error) {
	all, err := a.s.Store.DecisionsOf(ctx, m.ID)
	for _, j := range slices.Backward(all) {
		if j.Direction == trust.Outgoing && j.Peer == to.Key() || j.Direction == trust.Incoming && j.Domain == to.Domain() {
			return j, true, err
		}
	}
	return store.Judged{}, false, err
}

// replay asks a stored decision again by today's trust, with the certificates of then; where none was found then,
// it is looked for again.
func (a Admin) replay(ctx context.Context, m store.Message, to addr.Address, reason string) (*Replay, error) {
	j, ok, err := a.stored(ctx, m, to)
	if err != nil {
		return nil, err
	}
	if !ok {
		return a.replaySearch(ctx, m, to, reason)
	}
	path, err := a.s.seen(ctx, j.Path, map[string]*x509.Certificate{})
	if err != nil {
		return nil, err
	}
	peer, err := addr.Parse(j.Peer)
	if err != nil {
		return nil, err
	}
	d, err := a.s.Trust.Evaluate(ctx, trust.Question{Cert: path[0], Extra: path[1:], Peer: peer, Local: j.Domain, Direction: j.Direction,
		Purpose: j.Purpose, Time: a.s.now()})
	if err != nil {
		return nil, err
	}
	r := &Replay{Then: j.Reason, At: j.Last, Now: string(d.Reason), Detail: d.Detail, Differs: string(d.Reason) != j.Reason, Changed: []string{}}
	if r.Differs {
		r.Changed, err = a.changedSince(ctx, j, path, d)
	}
	return r, err
}

// replaySearch looks again for what could not be found then: only for mail of ours that did not go.
func (a Admin) replaySearch(ctx context.Context, m store.Message, to addr.Address, reason string) (*Replay, error) {
	if m.Direction != store.Out || !slices.Contains([]string{agent.ReasonNotFound, agent.ReasonUnknown, agent.ReasonNoSigningKey, agent.ReasonOwnRefused}, reason) {
		return nil, nil
	}
	v, err := a.s.Agent.Explain(ctx, m.Sender, to)
	if err != nil {
		return nil, err
	}
	r := &Replay{Then: reason, At: m.Received, Now: v.Reason, Detail: v.Detail, Differs: v.Reason != reason, Changed: []string{}}
	switch {
	case r.Differs && reason == agent.ReasonNoSigningKey:
		r.Changed = append(r.Changed, "A certificate of ours that can sign for "+m.Sender.String()+" is here now.")
	case r.Differs && reason == agent.ReasonOwnRefused:
		r.Changed = append(r.Changed, "A certificate of ours meets the policies of "+m.Sender.Domain().String()+" now (postern trust changes).")
	case r.Differs && v.Cert != "":
		r.Changed = append(r.Changed, fmt.Sprintf("%s publishes a certificate now (%.16s).", to.Domain(), v.Cert))
	case r.Differs:
		r.Changed = append(r.Changed, "The name servers of "+to.Domain().String()+" answer otherwise than then.")
	}
	return r, nil
}

// changedSince is what, between a decision and now, can have turned it: our own changes of trust, ends that came,
// a withdrawal; else it was the other side.
func (a Admin) changedSince(ctx context.Context, j store.Judged, path []*x509.Certificate, d trust.Decision) ([]string, error) {
	out := []string{}
	changes, err := a.s.Store.TrustChanges(ctx, j.Last, MaxChanges)
	if err != nil {
		return nil, err
	}
	bundles, err := a.s.Store.Bundles(ctx)
	if err != nil {
		return nil, err
	}
	mine := map[string]bool{}
	for _, b := range bundles {
		mine[b.Name] = slices.ContainsFunc(b.Subscriptions, func(s store.Subscription) bool { return s.Domain == j.Domain })
	}
	for _, c := range slices.Backward(changes) {
		if concerns(c, j.Domain, mine) {
			out = append(out, fmt.Sprintf("On %s %s changed our trust: %s of %s (postern trust changes: number %d).", c.At.UTC().Format("2 January 2006 15:04"), c.Actor, c.Action, c.Object, c.Seq))
		}
	}
	now := a.s.now()
	for _, c := range path {
		if c.NotAfter.After(j.Last) && !c.NotAfter.After(now) {
			out = append(out, fmt.Sprintf("The certificate %s ended on %s.", c.Subject, c.NotAfter.UTC().Format("2 January 2006")))
		}
		if c.NotBefore.After(j.Last) && !c.NotBefore.After(now) {
			out = append(out, fmt.Sprintf("The certificate %s is valid since %s.", c.Subject, c.NotBefore.UTC().Format("2 January 2006")))
		}
	}
	switch {
	case d.Reason == trust.Revoked:
		out = append(out, "The issuing authority has withdrawn a certificate since: "+d.Detail)
	case d.Temporary:
		out = append(out, "A server that must be asked does not answer now: "+d.Detail)
	case j.Reason == string(trust.RevocationUnknown) || j.Reason == string(trust.IssuerUnavailable):
		out = append(out, "A server that did not answer then answers now.")
	case len(out) == 0:
		out = append(out, "Nothing was changed here since: the partner or its authority changed something, or a setting of the domain was changed (postern audit).")
	}
	return out, nil
}

// concerns reports whether a change touched the trust of a domain.
func concerns(c store.TrustChange, d addr.Domain, bundles map[string]bool) bool {
	for _, r := range append(slices.Clone(c.Before), c.After...) {
		if r.Values["domain"] == d.String() {
			return true
		}
		if name, ok := r.Values["bundle"].(string); ok && bundles[name] {
			return true
		}
	}
	return false
}

// messageCase is the refusal of a message for one recipient, for a letter.
func (a Admin) messageCase(ctx context.Context, m store.Message, r WhyRecipient) (Case, error) {
	c := Case{Ours: m.Sender, Theirs: r.Recipient, Reason: r.Reason, Detail: r.Detail, MessageID: m.RFCID, At: m.Received, Evidence: r.Evidence}
	if m.Direction == store.In {
		c.Inbound, c.Ours, c.Theirs = true, r.Recipient, m.Submission.From
		if !m.Sender.IsZero() {
			c.Theirs = m.Sender
		}
	}
	j, ok, err := a.stored(ctx, m, r.Recipient)
	if err != nil || !ok {
		return c.complete(m), err
	}
	if c.Inbound && c.Theirs.IsZero() {
		c.Theirs, _ = addr.Parse(j.Peer) // it was an address when it was stored
	}
	c.Path, err = a.s.seen(ctx, j.Path, map[string]*x509.Certificate{})
	return c.complete(m), err
}

// complete gives a case addresses where a message has none, as a notice with an empty sender.
func (c Case) complete(m store.Message) Case {
	if c.Ours.IsZero() {
		c.Ours = m.Submission.From
	}
	if c.Theirs.IsZero() {
		c.Theirs = addr.MustParse("postmaster@" + c.Ours.Domain().String())
	}
	return c
}

// caseOf is the refusal a letter is asked for.
func (a Admin) caseOf(ctx context.Context, in LetterArg) (Case, error) {
	if in.Message == "" {
		w, err := a.WhyAddress(ctx, in.WhyArg)
		if err != nil {
			return Case{}, err
		}
		found, err := a.s.Finder.Find(ctx, in.Address)
		if err != nil {
			return Case{}, err
		}
		c, ok := w.refusal(in.Address, found)
		if !ok {
			return c, fmt.Errorf("gateway: nothing stands in the way between %s and %s: there is nothing to write", w.From, in.Address)
		}
		c.At = a.s.now()
		return c, nil
	}
	id, err := message.ParseID(in.Message)
	if err != nil {
		return Case{}, err
	}
	t, err := a.Trace(ctx, id)
	if err != nil {
		return Case{}, err
	}
	for _, l := range t.Ladders {
		if r := whyRecipient(l); r.Reason != "" && (in.Recipient.IsZero() || in.Recipient.SameMailbox(l.Recipient)) {
			return a.messageCase(ctx, t.Message, r)
		}
	}
	return Case{}, errors.New("gateway: no recipient of it was refused or failed: there is nothing to write")
}
