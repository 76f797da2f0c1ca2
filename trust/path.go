package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/trust/chain"
	"postern/trust/revoke"
)

// Bounds of one decision.
const (
	MaxRevocationFetches = 16 // CRL and OCSP fetches
	MaxSearches          = 10 // searches for a path: one, and one more after each place that issuers came from
)

// findPath looks for a path with what is at hand, and only when that fails fetches missing issuers.
func (i *inquiry) findPath(ctx context.Context) verdict {
	extra := slices.Clone(i.q.Extra)
	search := &aiaSearch{inquiry: i}
	for searches := 1; ; searches++ {
		res, v, done := i.tryPaths(ctx, extra)
		if done {
			return v
		}
		if searches == MaxSearches {
			return i.noPath(res, search)
		}
		more := search.next(ctx, res.DeadEnds)
		if len(more) == 0 {
			return i.noPath(res, search)
		}
		// What was fetched goes first, so that a flood of certificates in the message cannot crowd it out.
		extra = append(more, extra...)
	}
}

// tryPaths is one search. done is true when it settled the question: a path was accepted, or paths
// exist and revocation spoke against each.
func (i *inquiry) tryPaths(ctx context.Context, extra []*x509.Certificate) (chain.Result, verdict, bool) {
	var against verdict
	var evidence []revoke.Evidence // that against rests on
	res := chain.Build(ctx, chain.Request{
		Leaf: i.q.Cert, Extra: extra, Anchors: i.chainSets(), Work: &i.work,
		Rules: chain.Rules{Time: i.q.Time, Legacy: i.settings.Legacy, Purpose: x509.ExtKeyUsageEmailProtection, As: i.standsFor()},
	}, func(path []*x509.Certificate) bool {
		i.evidence = nil
		v := i.ownRules(path) // before the network is asked
		if v.reason == "" {
			v = i.revocation(ctx, path)
		}
		if v.reason == "" {
			return true
		}
		// A path that may be good later keeps the question open, whatever is said of the others.
		if against.reason == "" || v.reason == RevocationUnknown {
			against, evidence = v, i.evidence
		}
		return false
	})
	if res.Unread > 0 {
		i.note("how many certificates came with it", "", fmt.Sprintf("%d more than are looked at were left unread", res.Unread))
	}
	switch {
	case res.Path != nil:
		i.path = res.Path
		i.span(res.Path)
		i.add(Step{Asked: "does a path lead to an anchor", Of: i.ownerOf(res.Path), Answer: describe(res.Path), Rule: "AS-61, RFC 5280 §6", Verdict: VerdictPass})
		return res, verdict{}, true
	case against.reason != "":
		i.temporary, i.evidence = against.reason.Temporary(), evidence
		return res, against, true
	}
	return res, verdict{}, false
}

// standsFor is the address this decision is about, for the issuers' name constraints.
func (i *inquiry) standsFor() string {
	if i.q.PathOnly {
		return ""
	}
	return i.q.Peer.WithoutTag().Key()
}

// ownRules asks the domain's policies about a path (AS-66): they can only refuse.
func (i *inquiry) ownRules(path []*x509.Certificate) verdict {
	for _, p := range i.rules.Policies {
		s := Step{Asked: "does the domain's own policy allow it", Of: p.Name, Rule: "AS-66", Verdict: VerdictPass}
		v := p.Judge(path)
		if !v.Pass {
			s.Verdict, s.Reason, s.Answer = VerdictRefused, OwnPolicy, v.Detail
			i.add(s)
			return verdict{OwnPolicy, v.Detail}
		}
		i.add(s)
	}
	return verdict{}
}

func (i *inquiry) chainSets() []*chain.Set {
	out := make([]*chain.Set, len(i.sets))
	for k, s := range i.sets {
		out[k] = s.set
	}
	return out
}

// noPath turns a search that found nothing into a verdict. A fault seen in a certificate at hand
// stands; "no issuer" is unknown, not untrusted, while an issuer could not be fetched for now.
func (i *inquiry) noPath(res chain.Result, search *aiaSearch) verdict {
	v := refuse(Untrusted, "no path was found")
	if res.Fault != nil {
		v = verdict{Reason(res.Fault.Reason), res.Fault.Detail}
	}
	if (v.reason == Untrusted || v.reason == BadSignature) && search.failed != nil {
		v = refuse(IssuerUnavailable, "%s; fetching it failed: %v", v.detail, search.failed)
		i.temporary = true
	}
	s := Step{Asked: "does a path lead to an anchor", Of: i.setNames(), Answer: v.detail, Rule: "AS-61, RFC 5280 §6", Verdict: VerdictRefused, Reason: v.reason}
	for _, f := range res.Faults {
		s.Steps = append(s.Steps, Step{Asked: "is this step of a path sound", Of: chain.Label(f.Cert), Answer: f.Detail, Verdict: VerdictRefused, Reason: Reason(f.Reason)})
	}
	i.add(s)
	return v
}

func (i *inquiry) setNames() string {
	var names []string
	for _, s := range i.sets {
		names = append(names, fmt.Sprintf("the %d %s anchors of %s", s.Len(), s.direction, i.q.Local))
	}
	return strings.Join(names, " and ")
}

// ownerOf says in which set the path's anchor is.
func (i *inquiry) ownerOf(path []*x509.Certificate) string {
	top := path[len(path)-1]
	for _, s := range i.sets {
		if slices.ContainsFunc(s.Certs(), top.Equal) {
			return fmt.Sprintf("the %s anchors of %s", s.direction, i.q.Local)
		}
	}
	return ""
}

func describe(path []*x509.Certificate) string {
	var names []string
	for _, c := range path {
		names = append(names, chain.Label(c))
	}
	return strings.Join(names, " ← ")
}

// span is when the same certificates would be inside their dates; revocation shortens it further.
func (i *inquiry) span(path []*x509.Certificate) {
	i.from = path[0].NotBefore
	end := path[0].NotAfter
	for _, c := range path[1:] {
		if c.NotBefore.After(i.from) {
			i.from = c.NotBefore
		}
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	i.shorten(end)
}

func (i *inquiry) shorten(until time.Time) {
	if i.until.IsZero() || until.Before(i.until) {
		i.until = until
	}
}
