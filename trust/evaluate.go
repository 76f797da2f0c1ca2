package trust

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"postern/smime/addr"
	"postern/trust/fetch"
	"postern/trust/revoke"
)

// Revocation answers whether certificates have been withdrawn; *revoke.Checker does.
type Revocation interface {
	Check(ctx context.Context, q revoke.Query) revoke.Answer
	// Generation changes whenever a newer answer than before has come in.
	Generation() uint64
}

// Config says what an Evaluator works with.
type Config struct {
	Anchors    Anchors
	Settings   SettingsSource   // nil = the default Settings everywhere
	Fetcher    fetch.Fetcher    // fetches missing issuers; nil = no network
	Policies   PolicySource     // a domain's own rules; nil = none
	Revocation Revocation       // nil = revocation is not asked, and the trace says so
	Clock      func() time.Time // nil = time.Now
}

// Evaluator answers Questions. It is safe for concurrent use.
type Evaluator struct {
	cfg     Config
	cache   *decisionCache
	issuers *issuerCache
	counts  counts
}

// Stats is how many questions were answered since the start, by what they came to. SoftFailed are approvals whose
// revocation could not be found out (AS-65); they are among Approved too, Cached are not.
type Stats struct{ Cached, Approved, SoftFailed, Refused, Unknown uint64 }

type counts struct{ cached, approved, softFailed, refused, unknown atomic.Uint64 }

// Stats is the counts so far.
func (e *Evaluator) Stats() Stats {
	c := &e.counts
	return Stats{c.cached.Load(), c.approved.Load(), c.softFailed.Load(), c.refused.Load(), c.unknown.Load()}
}

func (c *counts) add(d Decision) {
	switch {
	case d.OK():
		c.approved.Add(1)
	case d.Temporary:
		c.unknown.Add(1)
	default:
		c.refused.Add(1)
	}
	if d.OK() && d.SoftFailed {
		c.softFailed.Add(1)
	}
}

// New makes an Evaluator. Config.Anchors is required.
func New(cfg Config) *Evaluator {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Evaluator{cfg: cfg, cache: newDecisionCache(), issuers: newIssuerCache()}
}

// ErrQuestion is the cause of every refusal to answer a malformed Question.
var ErrQuestion = errors.New("trust: not a question")

// Evaluate answers one Question. The error is the caller's own fault: the question, its anchors or
// settings store, or the end of ctx. Everything a stranger can cause is a Decision.
func (e *Evaluator) Evaluate(ctx context.Context, q Question) (Decision, error) {
	q, err := e.complete(q)
	if err != nil {
		return Decision{}, err
	}
	sets, err := e.anchors(ctx, q)
	if err != nil {
		return Decision{}, err
	}
	var settings Settings
	if e.cfg.Settings != nil {
		if settings, err = e.cfg.Settings.TrustSettings(ctx, q.Local); err != nil {
			return Decision{}, fmt.Errorf("trust: settings of %s: %w", q.Local, err)
		}
	}
	rules, err := e.policies(ctx, q)
	if err != nil {
		return Decision{}, err
	}
	key := cacheKey{
		cert: sha256.Sum256(q.Cert.Raw), peer: q.Peer.Key(), local: q.Local, direction: q.Direction,
		purpose: q.Purpose, use: q.Use, anchors: version(sets), settings: settings, policies: rules.Version,
	}
	generation := e.generation()
	if hit, ok := e.cache.get(key, q.Time, generation); ok {
		e.counts.cached.Add(1)
		return hit.again(q.Time), nil
	}
	if q.Budget == nil {
		q.Budget = NewBudget()
	}
	i := &inquiry{e: e, q: q, sets: sets, settings: settings, rules: rules, key: key}
	d := i.decide(ctx)
	if err := ctx.Err(); err != nil {
		return Decision{}, fmt.Errorf("trust: %w", err)
	}
	e.counts.add(d)
	if d.OK() && i.until.After(q.Time) {
		// The generation read before the answers: what came in meanwhile makes this entry stale.
		e.cache.put(key, &cached{decision: d, from: i.from, until: i.until, generation: generation})
	}
	return d, nil
}

// again is the cached approval for another instant.
func (c *cached) again(at time.Time) Decision {
	d := c.decision
	d.Approval.at = at
	d.Trace.At = at.UTC()
	d.Cached = true
	return d
}

func (e *Evaluator) generation() uint64 {
	if e.cfg.Revocation == nil {
		return 0
	}
	return e.cfg.Revocation.Generation()
}

// complete fills in what a Question may leave out and refuses what it may not.
func (e *Evaluator) complete(q Question) (Question, error) {
	if q.Time.IsZero() {
		q.Time = e.cfg.Clock()
	}
	if q.Purpose == "" {
		q.Purpose = Mail
	}
	if q.Use == "" {
		q.Use = useOf(q.Direction)
	}
	if q.PathOnly {
		q.Peer = addr.Address{}
	}
	switch {
	case q.Cert == nil:
		return q, fmt.Errorf("%w: no certificate", ErrQuestion)
	case q.Peer.IsZero() && !q.PathOnly || q.Local.IsZero():
		return q, fmt.Errorf("%w: no peer address or no local domain", ErrQuestion)
	case q.Direction != Incoming && q.Direction != Outgoing:
		return q, fmt.Errorf("%w: direction %q", ErrQuestion, q.Direction)
	case q.Purpose != Mail && q.Purpose != Notice:
		return q, fmt.Errorf("%w: purpose %q", ErrQuestion, q.Purpose)
	case q.Use != Sign && q.Use != Encrypt:
		return q, fmt.Errorf("%w: use %q", ErrQuestion, q.Use)
	}
	return q, nil
}

func (e *Evaluator) policies(ctx context.Context, q Question) (PolicySet, error) {
	if e.cfg.Policies == nil {
		return PolicySet{}, nil
	}
	set, err := e.cfg.Policies.TrustPolicies(ctx, q.Local, q.Direction, q.Use)
	if err != nil {
		return PolicySet{}, fmt.Errorf("trust: policies of %s: %w", q.Local, err)
	}
	return set, nil
}

// namedSet is the anchors of one direction.
type namedSet struct {
	*AnchorSet
	direction Direction
}

// anchors is the sets that may decide: those of the question's direction, and for an inbound notice
// the outgoing ones after them (AS-88). Outgoing anchors never let ordinary mail in.
func (e *Evaluator) anchors(ctx context.Context, q Question) ([]namedSet, error) {
	directions := []Direction{q.Direction}
	if q.Direction == Incoming && q.Purpose == Notice {
		directions = append(directions, Outgoing)
	}
	sets := make([]namedSet, 0, 2)
	for _, d := range directions {
		s, err := e.cfg.Anchors.Anchors(ctx, q.Local, d)
		if err != nil {
			return nil, fmt.Errorf("trust: %s anchors of %s: %w", d, q.Local, err)
		}
		if s.Len() > 0 {
			sets = append(sets, namedSet{s, d})
		}
	}
	return sets, nil
}

func version(sets []namedSet) string {
	switch len(sets) {
	case 0:
		return ""
	case 1:
		return sets[0].Version
	}
	return sets[0].Version + "+" + sets[1].Version
}
