package agent

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"sync"

	"postern/certs"
	"postern/certs/discover"
	"postern/gateway/keyring"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// Outbound is a message of ours to be sealed.
type Outbound struct {
	From       addr.Address // the inner From: who signs
	Recipients []addr.Address
	Content    smime.Content // the complete inner message, canonical
	Purpose    trust.Purpose
	EightBit   bool // the message holds octets over 127

	budget *trust.Budget // of fetches, for all its recipients
}

// Sealed is what became of an outbound message.
type Sealed struct {
	Verdicts  []Verdict  // one a recipient, in their order
	Envelopes []Envelope // none when nobody was approved
	Signer    string     // fingerprint of the certificate that signed
}

// Seal finds and judges each recipient's certificate, chooses algorithms by what is known of each, then signs
// and encrypts for those approved (AS-39, AS-71, AS-72): once, and once more for each cipher that not all of
// them read. open is called for each envelope, so never when nobody is approved (AS-73), and gives the place
// it is written to. An error is a fault of ours (keys, disk), never a refusal.
func (a *Agent) Seal(ctx context.Context, m Outbound, open func() (io.Writer, error)) (Sealed, error) {
	signer, err := a.Keys.Signing(ctx, m.From)
	if errors.Is(err, keyring.ErrNoKey) {
		return a.refuseAll(m, err), nil
	}
	if err != nil {
		return Sealed{}, fmt.Errorf("agent: signing key of %s: %w", m.From, err)
	}
	m.budget = trust.NewMessageBudget(len(m.Recipients))
	out := Sealed{Verdicts: make([]Verdict, len(m.Recipients)), Signer: certs.Fingerprint(signer.Cert)}
	usable := make([][]certificate, len(m.Recipients))
	errs := make([]error, len(m.Recipients))
	limit := make(chan struct{}, MaxLookups)
	var wg sync.WaitGroup
	for i, r := range m.Recipients {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			out.Verdicts[i], usable[i], errs[i] = a.recipient(ctx, m, r)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return Sealed{}, err
		}
	}
	members := a.proven(m.From.Domain(), &out, usable)
	if len(members) == 0 {
		return out, nil
	}
	choices := make([]smime.Choice, len(members))
	for i, at := range members {
		choices[i] = usable[at][0].choice // the cipher depends on what is known of the recipient, not on a certificate
	}
	for _, e := range smime.Envelopes(choices, m.Content.Size()) {
		one := packet{cipher: e.Cipher}
		for _, i := range e.Members {
			v := &out.Verdicts[members[i]]
			one.add(v, usable[members[i]])
		}
		report, err := a.write(m, signer, one, open)
		if err != nil {
			return Sealed{}, err
		}
		out.Envelopes = append(out.Envelopes, Envelope{one.to, report})
	}
	return out, nil
}

// refuseAll is AS-70: without a signing certificate of the sender nothing is sent.
func (a *Agent) refuseAll(m Outbound, err error) Sealed {
	v := Verdict{Reason: ReasonNoSigningKey, Detail: err.Error(),
		Remedy: "Import or create a certificate for " + m.From.Domain().String() + " (postern cert create, postern cert import)."}
	var refused keyring.Refused
	if errors.As(err, &refused) {
		v.Reason, v.Cert = ReasonOwnRefused, refused.ID
		v.Remedy = fmt.Sprintf("Your administrator must act: take rule %s out of policy %s or the policy away (postern trust policy remove %s --domain %s --direction outgoing --use sign), or get a certificate that meets it.",
			refused.Rule, refused.Policy, refused.Policy, m.From.Domain())
	}
	var out Sealed
	for _, r := range m.Recipients {
		v.Recipient = r
		out.Verdicts = append(out.Verdicts, v)
	}
	return out
}

// recipient looks for one recipient's certificates, judges each and chooses algorithms for those approved.
func (a *Agent) recipient(ctx context.Context, m Outbound, r addr.Address) (Verdict, []certificate, error) {
	v, good, err := a.judged(ctx, m, r)
	if err == nil {
		err = a.choose(ctx, m.From.Domain(), &v, good)
	}
	return v, good, err
}

// judged looks for one recipient's certificates and judges each.
func (a *Agent) judged(ctx context.Context, m Outbound, r addr.Address) (Verdict, []certificate, error) {
	v := Verdict{Recipient: r}
	found, err := a.Finder.Find(ctx, r)
	if err != nil {
		return v, nil, fmt.Errorf("agent: find %s: %w", r, err)
	}
	v.Location, v.Name, v.Discovery = string(found.Location), found.Name, raw(found.Trace)
	switch {
	case found.Status == discover.None, found.Status == discover.Found && len(found.Certs) == 0:
		v.Reason = ReasonNotFound
		v.Detail = fmt.Sprintf("No certificate for %s was found, neither for the address nor for %s.", r, r.Domain())
		v.Remedy = "Check the address; if it is right, ask the recipient's gateway to publish a certificate."
		return v, nil, nil
	case found.Status == discover.Unknown:
		v.Reason, v.Temporary = ReasonUnknown, true
		v.Detail = fmt.Sprintf("The name servers of %s gave no answer, so it is not known whether %s has a certificate.", r.Domain(), r)
		v.Remedy = "The gateway tries again by itself."
		return v, nil, nil
	}
	var good []certificate
	refused := v
	for _, c := range found.Certs {
		d, err := a.Judge.Evaluate(ctx, trust.Question{Cert: c, Extra: found.Certs, Peer: r, Local: m.From.Domain(),
			Direction: trust.Outgoing, Purpose: m.Purpose, Use: trust.Encrypt, Time: a.Now(), Budget: m.budget})
		if err != nil {
			return v, nil, fmt.Errorf("agent: judge %s: %w", r, err)
		}
		one := v
		one.decided(d, c, found.Certs)
		if d.OK() && len(good) < MaxCertificates {
			if len(good) == 0 {
				v = one
			}
			good = append(good, certificate{cert: c, approval: d.Approval})
		} else if refused.Reason == "" || one.Temporary && !refused.Temporary {
			refused = one
		}
	}
	if len(good) == 0 { // CD-41: found but none usable ends discovery; the recipient fails
		return refused, nil, nil
	}
	return v, good, nil
}

// proven asks each approval once more, at the moment of sealing, and lists the recipients who may be
// encrypted to, by their places.
func (a *Agent) proven(local addr.Domain, out *Sealed, usable [][]certificate) []int {
	var members []int
	for i := range out.Verdicts {
		v := &out.Verdicts[i]
		if !v.OK {
			continue
		}
		for _, c := range usable[i] {
			err := c.approval.GivenBy(local)
			if err == nil {
				err = c.approval.Covers(c.cert, v.Recipient, trust.Outgoing, a.Now())
			}
			if err != nil { // not one of its certificates is used
				v.OK, v.Temporary, v.Reason, v.Detail, v.Algorithms = false, true, ReasonUnknown, err.Error(), nil
				break
			}
		}
		if v.OK {
			members = append(members, i)
		}
	}
	return members
}

func identity(c certs.Credential) smime.Identity {
	signer, _ := c.Key.(crypto.Signer)
	return smime.Identity{Cert: c.Cert, Chain: c.Chain, Key: signer}
}

// Explain looks for and judges one recipient's certificates exactly as Seal would now, and sends nothing.
func (a *Agent) Explain(ctx context.Context, from, to addr.Address) (Verdict, error) {
	if _, err := a.Keys.Signing(ctx, from); err != nil && !errors.Is(err, keyring.ErrNoKey) {
		return Verdict{}, fmt.Errorf("agent: signing key of %s: %w", from, err)
	} else if err != nil {
		return a.refuseAll(Outbound{From: from, Recipients: []addr.Address{to}}, err).Verdicts[0], nil
	}
	v, _, err := a.recipient(ctx, Outbound{From: from, Purpose: trust.Mail}, to)
	return v, err
}
