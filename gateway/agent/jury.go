package agent

import (
	"context"
	"crypto/x509"
	"fmt"

	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// jury judges the signers of one inbound message. Each certificate is judged once for each domain of
// ours, however often it signed and however many of the domain's people the message is for; all of it
// shares one budget of fetches.
type jury struct {
	a       *Agent
	signers []*x509.Certificate // the valid ones, each once, at most MaxSigners
	extra   []*x509.Certificate
	sender  addr.Address
	purpose trust.Purpose
	budget  *trust.Budget
	given   map[judged]judgement
}

// judged is what a judgement holds for: the sender, the purpose and the message are the jury's.
type judged struct {
	cert  string // the whole certificate
	local addr.Domain
}

type judgement struct {
	trust.Decision
	asNotice bool // believed, or refused, as the sender of a notice only (AS-88)
}

func (a *Agent) newJury(o *smime.Opened, sender addr.Address, purpose trust.Purpose) *jury {
	j := &jury{a: a, extra: o.Certs, sender: sender, purpose: purpose, budget: trust.NewBudget(), given: map[judged]judgement{}}
	seen := map[string]bool{}
	for _, s := range o.Signers {
		if s.Reason != "" || s.Cert == nil || seen[string(s.Cert.Raw)] || len(j.signers) == MaxSigners {
			continue
		}
		seen[string(s.Cert.Raw)] = true
		j.signers = append(j.signers, s.Cert)
	}
	return j
}

// verdict judges the valid signers for one recipient: one that is approved suffices, in any order
// (AS-84). Otherwise the most telling reason is kept: a transient one, else of a signer bound to the sender.
func (j *jury) verdict(ctx context.Context, rcpt addr.Address) (Verdict, error) {
	best := Verdict{Recipient: rcpt}
	for _, cert := range j.signers {
		d, err := j.judge(ctx, cert, rcpt.Domain())
		if err != nil {
			return best, fmt.Errorf("agent: judge the signer for %s: %w", rcpt, err)
		}
		v := Verdict{Recipient: rcpt, NoticeOnly: d.asNotice && d.OK()}
		v.decided(d.Decision, cert, j.extra)
		if v.OK {
			if err := d.Approval.GivenBy(rcpt.Domain()); err != nil { // AS-86
				return best, fmt.Errorf("agent: judge the signer for %s: %w", rcpt, err)
			}
			v.Signer = cert
			return v, nil
		}
		if best.Reason == "" || v.Temporary && !best.Temporary || best.Bound == "" && v.Bound != "" {
			best = v
		}
	}
	return best, nil
}

// judge asks once about a certificate and a domain of ours: first as for any mail, then, where that
// is refused and the message is a notice, as the sender of notices.
func (j *jury) judge(ctx context.Context, cert *x509.Certificate, local addr.Domain) (judgement, error) {
	key := judged{string(cert.Raw), local}
	if d, ok := j.given[key]; ok {
		return d, nil
	}
	q := trust.Question{Cert: cert, Extra: j.extra, Peer: j.sender, Local: local, Budget: j.budget,
		Direction: trust.Incoming, Purpose: trust.Mail, Use: trust.Sign, Time: j.a.Now()}
	d, err := j.a.Judge.Evaluate(ctx, q)
	asNotice := err == nil && !d.OK() && j.purpose == trust.Notice
	if asNotice {
		q.Purpose = trust.Notice
		d, err = j.a.Judge.Evaluate(ctx, q)
	}
	if err != nil {
		return judgement{}, err
	}
	j.given[key] = judgement{d, asNotice}
	return j.given[key], nil
}
