package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"postern/gateway/agent"
	"postern/gateway/delivery/relay"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
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
}

// IncomingVerdict is what this site would say of mail signed with the certificate the address publishes.
type IncomingVerdict struct {
	OK     bool         `json:"ok"`
	Reason string       `json:"reason,omitempty"`
	Detail string       `json:"detail,omitempty"`
	Advice agent.Advice `json:"advice"`
	Trace  trust.Trace  `json:"trace"`
}

// WhyAddress does, without sending, what a message to the address would do now, and judges what the
// address publishes as a signer of mail to us.
func (a Admin) WhyAddress(ctx context.Context, in WhyArg) (Why, error) {
	if in.From.IsZero() {
		domains, err := a.s.Store.Domains(ctx)
		if err != nil {
			return Why{}, err
		}
		if len(domains) == 0 {
			return Why{}, errors.New("gateway: no domain is hosted here yet")
		}
		in.From = addr.MustParse("postmaster@" + domains[0].Name.String())
	}
	v, err := a.s.Agent.Explain(ctx, in.From, in.Address)
	if err != nil {
		return Why{}, err
	}
	w := Why{From: in.From, Sending: v, Advice: agent.AdviceOn(v.Reason), NextHop: hopWords(router{a.s.Config}.NextHop(in.Address.Domain()), in.Address.Domain())}
	found, err := a.s.Finder.Find(ctx, in.Address)
	if err != nil || len(found.Certs) == 0 {
		return w, err
	}
	for _, c := range found.Certs {
		d, err := a.s.Trust.Evaluate(ctx, trust.Question{Cert: c, Extra: found.Certs, Peer: in.Address, Local: in.From.Domain(),
			Direction: trust.Incoming, Purpose: trust.Mail, Use: trust.Sign, Time: a.s.now()})
		if err != nil {
			return w, err
		}
		w.Believed = &IncomingVerdict{d.OK(), string(d.Reason), d.Detail, agent.AdviceOn(string(d.Reason)), d.Trace}
		if d.OK() {
			break
		}
	}
	return w, nil
}

func hopWords(r relay.Route, d addr.Domain) string {
	if r.Host != "" {
		return fmt.Sprintf("%s port %d (configured)", r.Host, r.Port)
	}
	return "the MX hosts of " + d.String()
}

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
}

// WhyMessage explains a message from its stored ladder and decisions.
func (a Admin) WhyMessage(ctx context.Context, id message.ID) (WhyMessage, error) {
	t, err := a.Trace(ctx, id)
	if err != nil {
		return WhyMessage{}, err
	}
	out := WhyMessage{Message: id}
	for _, l := range t.Ladders {
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
		out.Recipients = append(out.Recipients, r)
	}
	return out, nil
}
