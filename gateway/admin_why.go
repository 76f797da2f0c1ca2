package gateway

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"

	"postern/certs"
	"postern/certs/discover"
	"postern/gateway/agent"
	"postern/gateway/delivery/relay"
	"postern/smime/addr"
	"postern/trust"
)

// WhyArg asks about an address: would a message go there now, and would one from there be believed.
type WhyArg struct {
	Address addr.Address `json:"address"`
	From    addr.Address `json:"from,omitzero"` // one of ours; zero is postmaster of our first domain
}

// Why is the answer about an address.
type Why struct {
	From     addr.Address     `json:"from"`
	Sending  agent.Verdict    `json:"sending"` // from From to the address
	Advice   agent.Advice     `json:"advice"`
	NextHop  string           `json:"next_hop,omitempty"`
	Believed *IncomingVerdict `json:"receiving,omitempty"` // would what they publish be believed as a signer
	Ways     []Way            `json:"ways"`                // every direction and form, tried now
	Letter   *Letter          `json:"letter,omitempty"`    // what to write to whom, when something stands in the way
}

// IncomingVerdict is what this site would say of mail signed with the certificate the address publishes.
type IncomingVerdict struct {
	OK     bool         `json:"ok"`
	Reason string       `json:"reason,omitempty"`
	Detail string       `json:"detail,omitempty"`
	Advice agent.Advice `json:"advice"`
	Trace  trust.Trace  `json:"trace"`
}

// Way is one way in which mail and notices travel between From and the address, tried now.
type Way struct {
	What      string          `json:"what"` // in words
	Direction trust.Direction `json:"direction"`
	Purpose   trust.Purpose   `json:"purpose"`
	Address   addr.Address    `json:"address"` // the form of the partner's address that was tried
	OK        bool            `json:"ok"`
	Temporary bool            `json:"temporary,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	Advice    agent.Advice    `json:"advice"`
	Bound     string          `json:"bound,omitempty"` // how the certificate is bound: "address" or "domain"
	Cert      string          `json:"certificate,omitempty"`
}

// WhyAddress does, without sending, what a message to the address would do now, in every direction and form, and
// judges what the address publishes as a signer of mail to us.
func (a Admin) WhyAddress(ctx context.Context, in WhyArg) (Why, error) {
	from, err := a.whoAsks(ctx, in.From)
	if err != nil {
		return Why{}, err
	}
	v, err := a.s.Agent.Explain(ctx, from, in.Address)
	if err != nil {
		return Why{}, err
	}
	w := Why{From: from, Sending: v, Advice: agent.AdviceOn(v.Reason), NextHop: hopWords(router{a.s.Config}.NextHop(in.Address.Domain()), in.Address.Domain()), Ways: []Way{}}
	if v.Reason == agent.ReasonOwnRefused { // its own remedy names the policy, the rule and the command
		w.Advice.Remedy = v.Remedy
	}
	for _, form := range forms(in.Address) {
		ways, err := a.ways(ctx, from, form)
		if err != nil {
			return w, err
		}
		w.Ways = append(w.Ways, ways...)
	}
	found, err := a.s.Finder.Find(ctx, in.Address)
	if err != nil {
		return w, err
	}
	if w.Believed, err = a.believed(ctx, from, in.Address, found); err != nil {
		return w, err
	}
	if c, ok := w.refusal(in.Address, found); ok {
		l := c.Letter()
		w.Letter = &l
	}
	return w, nil
}

// whoAsks is the address of ours that asks: the one given, else postmaster of our first domain.
func (a Admin) whoAsks(ctx context.Context, from addr.Address) (addr.Address, error) {
	if !from.IsZero() {
		if _, err := a.s.Store.Domain(ctx, from.Domain()); err != nil {
			return from, fmt.Errorf("gateway: --from %s is not of a domain of ours: %w", from, err)
		}
		return from, nil
	}
	home, err := a.s.home(ctx)
	if err == nil && home.IsZero() {
		err = errors.New("gateway: no domain is hosted here yet")
	}
	if err != nil {
		return from, err
	}
	return addr.MustParse("postmaster@" + home.String()), nil
}

// forms is the forms a partner's address has: as given, without its +tag, and its domain's postmaster, who is
// reached by the domain's own certificate.
func forms(to addr.Address) []addr.Address {
	out := []addr.Address{to}
	if plain := to.WithoutTag(); plain != to {
		out = append(out, plain)
	}
	if pm := addr.MustParse("postmaster@" + to.Domain().String()); pm.Key() != to.WithoutTag().Key() {
		out = append(out, pm)
	}
	return out
}

// ways tries mail and notices in both directions for one form of an address. What is published there is taken for
// what is signed with: a partner that signs with another certificate is judged by that one.
func (a Admin) ways(ctx context.Context, from, to addr.Address) ([]Way, error) {
	v, err := a.s.Agent.Explain(ctx, from, to)
	if err != nil {
		return nil, err
	}
	out := []Way{{What: fmt.Sprintf("mail from %s to %s", from, to), Direction: trust.Outgoing, Purpose: trust.Mail, Address: to, OK: v.OK, Temporary: v.Temporary,
		Reason: v.Reason, Detail: v.Detail, Advice: agent.AdviceOn(v.Reason), Bound: v.Bound, Cert: v.Cert}}
	found, err := a.s.Finder.Find(ctx, to)
	if err != nil || len(found.Certs) == 0 {
		return out, err
	}
	for _, t := range []struct {
		words   string
		dir     trust.Direction
		purpose trust.Purpose
		use     trust.Use
	}{
		{"our notices to %s", trust.Outgoing, trust.Notice, trust.Encrypt},
		{"mail from %s to us", trust.Incoming, trust.Mail, trust.Sign},
		{"notices from %s about our mail", trust.Incoming, trust.Notice, trust.Sign},
	} {
		d, cert, err := a.judgeAll(ctx, found.Certs, trust.Question{Peer: to, Local: from.Domain(), Direction: t.dir, Purpose: t.purpose, Use: t.use})
		if err != nil {
			return out, err
		}
		out = append(out, Way{What: fmt.Sprintf(t.words, to), Direction: t.dir, Purpose: t.purpose, Address: to, OK: d.OK(), Temporary: d.Temporary,
			Reason: string(d.Reason), Detail: d.Detail, Advice: agent.AdviceOn(string(d.Reason)), Bound: d.Bound, Cert: certs.Fingerprint(cert)})
	}
	return out, nil
}

// judgeAll is the first approval of several certificates, else the last refusal.
func (a Admin) judgeAll(ctx context.Context, list []*x509.Certificate, q trust.Question) (d trust.Decision, c *x509.Certificate, err error) {
	q.Extra, q.Time = list, a.s.now()
	for _, c = range list {
		q.Cert = c
		if d, err = a.s.Trust.Evaluate(ctx, q); err != nil || d.OK() {
			break
		}
	}
	return d, c, err
}

// believed judges what an address publishes as a signer of mail to us; nil when it publishes nothing.
func (a Admin) believed(ctx context.Context, from, to addr.Address, found discover.Finding) (*IncomingVerdict, error) {
	if len(found.Certs) == 0 {
		return nil, nil
	}
	d, _, err := a.judgeAll(ctx, found.Certs, trust.Question{Peer: to, Local: from.Domain(), Direction: trust.Incoming, Purpose: trust.Mail, Use: trust.Sign})
	return &IncomingVerdict{d.OK(), string(d.Reason), d.Detail, agent.AdviceOn(string(d.Reason)), d.Trace}, err
}

// refusal is what a letter would be about: that our mail cannot go, else that theirs would not be accepted.
func (w Why) refusal(theirs addr.Address, found discover.Finding) (Case, bool) {
	c := Case{Ours: w.From, Theirs: theirs, Path: found.Certs}
	switch {
	case !w.Sending.OK:
		c.Reason, c.Detail = w.Sending.Reason, w.Sending.Detail
		c.Evidence = rawEvidence(map[string]json.RawMessage{"discovery": w.Sending.Discovery, "decision": w.Sending.Decision})
	case w.Believed != nil && !w.Believed.OK:
		c.Inbound, c.Reason, c.Detail = true, w.Believed.Reason, w.Believed.Detail
		c.Evidence = rawEvidence(map[string]any{"decision": w.Believed.Trace})
	default:
		return c, false
	}
	return c, true
}

// rawEvidence is values of our own types as JSON.
func rawEvidence(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil // a part that is no JSON: the letter goes without it
	}
	return b
}

func hopWords(r relay.Route, d addr.Domain) string {
	if r.Host != "" {
		return fmt.Sprintf("%s port %d (configured)", r.Host, r.Port)
	}
	return "the MX hosts of " + d.String()
}
