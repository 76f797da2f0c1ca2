// Package rehearsal judges past trust decisions again under other anchors, policies or settings, and says
// what comes out differently, for which partners and for how many messages: so that a change of
// trust is seen before it bites.
//
// It judges by the certificates that were at hand then, at the instant of the last decision of each kind, and
// asks no network: revocation and missing issuers are taken as they were. A decision that hung on them (a
// revoked certificate, an issuer that could not be fetched) is left as it was and counted apart.
//
// It stores nothing and decides nothing. Limits: 1,000,000 kinds of decision a run; each certificate path is
// judged once for each domain, direction, purpose and outcome.
package rehearsal

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/smime/addr"
	"postern/trust"
)

// MaxCases bounds one run.
const MaxCases = 1_000_000

// ErrLimit says that there are more kinds of decision than one run judges.
var ErrLimit = errors.New("rehearsal: too many decisions at once; take fewer days or one domain")

// Case is the decisions of one kind: the same domain, direction, purpose, partner, certificates and outcome.
type Case struct {
	Domain    addr.Domain
	Direction trust.Direction
	Purpose   trust.Purpose
	Peer      string // address key
	Path      []*x509.Certificate
	PathID    string // the same for the same certificates
	Anchor    string // fingerprint of the anchor that approved; "" when refused
	Reason    string // "" = accepted
	Count     int64
	Last      time.Time
}

// Setting is the trust to judge by.
type Setting interface {
	trust.Anchors
	trust.SettingsSource
	trust.PolicySource
}

// Flip is decisions that would come out differently.
type Flip struct {
	Case
	Now    string // the new reason; "" = accepted
	Detail string
	By     *x509.Certificate // the anchor that would approve
	Then   string            // the anchor that approved when it was decided; "" when it was refused
}

// Result is what a run found. Before is what was decided then (Run), or what the trust in force would decide (Compare).
type Result struct {
	Messages int64  // decisions looked at
	Lost     []Flip // accepted before → refused
	Won      []Flip // refused before → accepted
	Left     int64  // decisions that were not judged again: they hung on revocation or on what was fetched
}

// Run judges the cases by a setting, and compares with what was decided then.
func Run(ctx context.Context, cases []Case, s Setting) (Result, error) {
	return Compare(ctx, cases, nil, s)
}

// Compare judges the cases by the trust in force and by a proposed one: what the change itself does, and nothing that
// an earlier change did already. A nil setting in force takes what was decided then.
func Compare(ctx context.Context, cases []Case, force, proposed Setting) (Result, error) {
	if len(cases) > MaxCases {
		return Result{}, ErrLimit
	}
	var r Result
	latest := map[string]time.Time{}
	for _, c := range cases {
		if k := c.key(); c.Last.After(latest[k]) {
			latest[k] = c.Last
		}
	}
	before, after := newBench(force, latest), newBench(proposed, latest)
	for _, c := range cases {
		r.Messages += c.Count
		if !judgeable(c) {
			r.Left += c.Count
			continue
		}
		d, err := after.judge(ctx, c)
		if err != nil {
			return r, err
		}
		then := c.Anchor
		if force != nil {
			was, err := before.judge(ctx, c)
			if err != nil {
				return r, err
			}
			c = c.as(was)
		}
		f := Flip{Case: c, Now: string(d.Reason), Detail: d.Detail, By: d.Anchor(), Then: then}
		switch {
		case c.Reason == "" && !d.OK():
			r.Lost = append(r.Lost, f)
		case c.Reason != "" && d.OK():
			r.Won = append(r.Won, f)
		}
	}
	return r, nil
}

// as is the case with another outcome than it had.
func (c Case) as(d trust.Decision) Case {
	c.Reason, c.Anchor = string(d.Reason), ""
	if a := d.Anchor(); a != nil && d.OK() {
		sum := sha256.Sum256(a.Raw)
		c.Anchor = hex.EncodeToString(sum[:])
	}
	return c
}

// bench judges by one setting, each kind of question once.
type bench struct {
	judged map[string]trust.Decision
	latest map[string]time.Time
	by     *trust.Evaluator
}

func newBench(s Setting, latest map[string]time.Time) *bench {
	return &bench{map[string]trust.Decision{}, latest, trust.New(trust.Config{Anchors: s, Settings: s, Policies: s})}
}

func (b *bench) judge(ctx context.Context, c Case) (trust.Decision, error) {
	k := c.key()
	if d, ok := b.judged[k]; ok {
		return d, nil
	}
	d, err := b.by.Evaluate(ctx, question(c, b.latest[k]))
	if err != nil {
		return d, fmt.Errorf("rehearsal: %w", err)
	}
	b.judged[k] = d
	return d, nil
}

// key is everything a judgement hangs on but the instant.
func (c Case) key() string {
	return strings.Join([]string{c.Domain.String(), string(c.Direction), string(c.Purpose), c.PathID, c.Reason}, "\x00")
}

// question asks about the path alone: that the certificate is bound to its partner was seen before any anchor was asked.
func question(c Case, at time.Time) trust.Question {
	extra := c.Path[1:]
	if c.Reason == "" && len(extra) > 0 {
		extra = extra[:len(extra)-1] // the anchor did not come with the message
	}
	return trust.Question{Cert: c.Path[0], Extra: extra, Local: c.Domain, Direction: c.Direction, Purpose: c.Purpose, Time: at, PathOnly: true}
}

// judgeable reports whether the outcome of a case can follow from anchors, policies and settings.
func judgeable(c Case) bool {
	if len(c.Path) == 0 {
		return false
	}
	switch trust.Reason(c.Reason) {
	case "", trust.Untrusted, trust.NoAnchors, trust.OwnPolicy, trust.AnchorExpired, trust.NotCA, trust.PathLength, trust.NameConstraints,
		trust.WeakSignature, trust.BadSignature, trust.SelfSignedForgery, trust.Policy, trust.Limit:
		return true
	}
	return false
}

// Partner is what a change touches of one partner: a domain elsewhere.
type Partner struct {
	Domain    string   `json:"partner"`
	Addresses int      `json:"addresses"`
	Messages  int64    `json:"messages"`
	Reasons   []string `json:"reasons,omitempty"` // of the refusals, before or after
}

// Partners sums flips by partner, the one with most messages first.
func Partners(flips []Flip) []Partner {
	type sum struct {
		Partner
		seen map[string]bool
	}
	by := map[string]*sum{}
	for _, f := range flips {
		_, domain, _ := strings.Cut(f.Peer, "@")
		p := by[domain]
		if p == nil {
			p = &sum{Partner{Domain: domain}, map[string]bool{}}
			by[domain] = p
		}
		if !p.seen[f.Peer] {
			p.seen[f.Peer] = true
			p.Addresses++
		}
		p.Messages += f.Count
		if reason := cmp.Or(f.Now, f.Reason); !slices.Contains(p.Reasons, reason) {
			p.Reasons = append(p.Reasons, reason)
		}
	}
	out := make([]Partner, 0, len(by))
	for _, p := range by {
		slices.Sort(p.Reasons)
		out = append(out, p.Partner)
	}
	slices.SortFunc(out, func(a, b Partner) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Domain, b.Domain))
	})
	return out
}
