package trust

import (
	"context"
	"crypto/x509"
	"time"

	"postern/trust/chain"
	"postern/trust/revoke"
)

// recheck is how long an approval without any revocation answer, or with a soft-fail, is cached.
const recheck = 5 * time.Minute

// revocation asks for every element of a path but its anchor (AS-64), from the anchor down, so that
// an answer is only believed from an issuer already judged.
func (i *inquiry) revocation(ctx context.Context, path []*x509.Certificate) verdict {
	if i.e.cfg.Revocation == nil {
		i.note("is it revoked", "", "not asked: this evaluation has no source of revocation")
		return verdict{}
	}
	fetches := i.q.Budget.revocations(i.key.peer) // over all the paths, and all the peer's certificates
	var evidence []revoke.Evidence
	soft := false
	until := time.Time{}
	for k := len(path) - 2; k >= 0; k-- {
		a := i.e.cfg.Revocation.Check(ctx, revoke.Query{Cert: path[k], Issuer: path[k+1], Also: path[k+2:], Time: i.q.Time, Legacy: i.settings.Legacy, Fetches: fetches})
		v := i.judge(path[k], a)
		evidence = append(a.Evidence, evidence...)
		if v.reason != "" {
			i.evidence = evidence
			return v
		}
		soft = soft || a.State == revoke.Unknown
		end := a.Until
		if a.State != revoke.Good {
			end = i.q.Time.Add(recheck)
		}
		if until.IsZero() || end.Before(until) {
			until = end
		}
	}
	i.evidence, i.soft = evidence, soft
	if !until.IsZero() {
		i.shorten(until)
	}
	return verdict{}
}

// judge applies the domain's setting to one answer.
func (i *inquiry) judge(c *x509.Certificate, a revoke.Answer) verdict {
	s := Step{Asked: "is it revoked", Of: chain.Label(c), Answer: a.Detail, Rule: "AS-64", Verdict: VerdictPass}
	defer func() { i.add(s) }()
	switch a.State {
	case revoke.Revoked:
		s.Verdict, s.Reason = VerdictRefused, Revoked
		return verdict{Revoked, a.Detail}
	case revoke.Unknown:
		s.Rule, s.Verdict, s.Reason = "AS-65", VerdictUnknown, RevocationUnknown
		if i.settings.RevocationHardFail || a.Unasked { // who can use up the fetches must not get past the question
			return verdict{RevocationUnknown, a.Detail}
		}
		s.Answer += "; accepted, as this domain's setting says"
	case revoke.Unchecked:
		s.Rule, s.Verdict = "AS-65", VerdictNote
	}
	return verdict{}
}
