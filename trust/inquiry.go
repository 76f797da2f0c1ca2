package trust

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"postern/trust/chain"
	"postern/trust/revoke"
)

// inquiry is one question being worked on, cheapest rule first.
type inquiry struct {
	e        *Evaluator
	q        Question
	sets     []namedSet
	settings Settings
	rules    PolicySet
	key      cacheKey

	work        chain.Work
	bound       string
	path        []*x509.Certificate
	evidence    []revoke.Evidence
	soft        bool
	temporary   bool
	from, until time.Time // when the same answer would be given again
	steps       []Step
}

// rule is one local check.
type rule struct {
	asked, source string
	check         func() verdict
}

// decide runs the rules in order and stops at the first that refuses.
func (i *inquiry) decide(ctx context.Context) Decision {
	c := i.q.Cert
	i.bound = Binding(c, i.q.Peer) // known of every decision: a refusal of the sender's own certificate tells more than one of another's
	for _, r := range []rule{
		{"is the key of a kind and size we use", "AS-17", func() verdict { return leafKey(c) }},
		{"is it inside its dates", "AS-67", func() verdict { return leafDates(c, i.q.Time) }},
		{"may it be used to " + string(i.q.Use), "AS-15, AS-16, AS-19", func() verdict { return leafUsage(c, i.q.Use) }},
		{"is it bound to " + i.peer(), "AS-11, AS-12", i.binding},
		{"does " + i.q.Local.String() + " have anchors", "AS-60", i.haveAnchors},
	} {
		v := r.check()
		i.step(r, v)
		if v.reason != "" {
			return i.refused(v)
		}
	}
	if v := i.findPath(ctx); v.reason != "" {
		return i.refused(v)
	}
	return i.approved()
}

func (i *inquiry) step(r rule, v verdict) {
	s := Step{Asked: r.asked, Rule: r.source, Verdict: VerdictPass, Answer: v.detail}
	if v.reason != "" {
		s.Verdict, s.Reason = VerdictRefused, v.reason
	}
	i.add(s)
}

// MaxSteps bounds the steps of one Trace on its first level; what comes after is done but not told.
const MaxSteps = 100

func (i *inquiry) add(s Step) {
	if len(i.steps) < MaxSteps {
		i.steps = append(i.steps, s)
	}
}

func (i *inquiry) note(asked, of, answer string) {
	i.add(Step{Asked: asked, Of: of, Answer: answer, Verdict: VerdictNote})
}

// peer is the address asked about, for a reader.
func (i *inquiry) peer() string {
	if i.q.PathOnly {
		return "an address"
	}
	return i.q.Peer.String()
}

func (i *inquiry) binding() verdict {
	if i.q.PathOnly {
		return verdict{detail: "not asked: only the path is in question"}
	}
	if !HasSAN(i.q.Cert) {
		return refuse(NoSAN, "%s has no subjectAltName", chain.Label(i.q.Cert))
	}
	if i.bound == "" {
		return refuse(WrongBinding, "needed %s or the domain %s, the certificate is bound to %s", i.q.Peer.WithoutTag(), i.q.Peer.Domain(), boundTo(i.q.Cert))
	}
	return verdict{detail: "by " + i.bound}
}

func (i *inquiry) haveAnchors() verdict {
	if len(i.sets) == 0 {
		return refuse(NoAnchors, "%s has no %s anchors", i.q.Local, i.q.Direction)
	}
	n := 0
	for _, s := range i.sets {
		n += s.Len()
	}
	return verdict{detail: fmt.Sprintf("%d", n)}
}

func (i *inquiry) approved() Decision {
	d := Decision{
		Approval: Approval{
			valid: true, cert: i.key.cert, peer: i.key.peer, local: i.q.Local, direction: i.q.Direction, purpose: i.q.Purpose,
			use: i.q.Use, at: i.q.Time, version: i.key.anchors,
		},
		Bound: i.bound, Chain: i.path, Revocation: i.evidence, SoftFailed: i.soft, Trace: i.trace(),
	}
	d.Trace.Verdict = VerdictTrusted
	return d
}

func (i *inquiry) refused(v verdict) Decision {
	d := Decision{Reason: v.reason, Detail: v.detail, Temporary: i.temporary, Bound: i.bound, Revocation: i.evidence, Trace: i.trace()}
	d.Trace.Verdict, d.Trace.Reason, d.Trace.Detail = VerdictRefused, v.reason, v.detail
	if d.Temporary {
		d.Trace.Verdict = VerdictUnknown
	}
	d.Trace.Explanation, d.Trace.Remedy, d.Trace.WhoActs = v.reason.Explain(), v.reason.Remedy(), v.reason.WhoActs()
	return d
}

func (i *inquiry) trace() Trace {
	return Trace{
		Format: TraceFormat, Certificate: hex.EncodeToString(i.key.cert[:]), Subject: chain.Label(i.q.Cert),
		Peer: i.q.Peer.String(), Local: i.q.Local.String(), Direction: i.q.Direction, Purpose: i.q.Purpose,
		Use: i.q.Use, At: i.q.Time.UTC(), Anchors: i.key.anchors, Revocation: i.evidence, SoftFailed: i.soft, Steps: i.steps,
	}
}
