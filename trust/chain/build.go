package chain

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"slices"
	"time"
)

// Rules is what a path must meet. The zero value is the strict default at the zero time.
type Rules struct {
	Time    time.Time
	Legacy  bool             // believe SHA-1 signatures below the anchor
	Purpose x509.ExtKeyUsage // issuers whose extended key usage excludes it are refused; Any (zero) = not asked
	Policy  PolicyRules
	MinRSA  int // bits; zero = the constant MinRSA, which only the test suites of others go below
}

// PolicyRules are the inputs of RFC 5280 §6.1.1 (c), (e), (f), (g). The zero value accepts any policy.
type PolicyRules struct {
	Acceptable     []x509.OID // user-initial-policy-set; empty = any-policy
	Explicit       bool       // a policy must be valid along the whole path
	InhibitMapping bool
	InhibitAny     bool
}

// Request is one search.
type Request struct {
	Leaf    *x509.Certificate
	Extra   []*x509.Certificate // what the message brought and what was fetched; hostile
	Anchors []*Set              // looked at in this order
	Rules   Rules
}

// Result says how a search ended.
type Result struct {
	Path     []*x509.Certificate // leaf … anchor, the first that was accepted; nil when none was
	Fault    *Fault              // the most telling fault; nil when a path was accepted or the caller refused them all
	Faults   []*Fault            // the others met on the way, at most 16
	DeadEnds []*x509.Certificate // certificates whose issuer is not at hand, leaf first: candidates for AIA (AS-63)
	Paths    int                 // valid paths offered to accept
	Unread   int                 // extra certificates beyond MaxExtra
}

const maxFaults = 16

// Build searches paths from the leaf to an anchor, anchors first, and offers each valid one to
// accept until that returns true. A nil accept takes the first. It returns early when ctx ends.
func Build(ctx context.Context, q Request, accept func(path []*x509.Certificate) bool) Result {
	b := &builder{ctx: ctx, q: q, accept: accept, extra: NewSet(nil), checked: map[[2][32]byte]bool{}}
	for i, c := range q.Extra {
		if i == MaxExtra {
			b.res.Unread = len(q.Extra) - MaxExtra
			break
		}
		if c != nil {
			b.extra.add(newNode(c))
		}
	}
	b.climb([]*node{newNode(q.Leaf)})
	if b.res.Path != nil || b.res.Paths > 0 {
		b.res.Fault = nil
	}
	return b.res
}

// builder is the state of one depth-first search.
type builder struct {
	ctx     context.Context
	q       Request
	accept  func([]*x509.Certificate) bool
	extra   *Set
	checked map[[2][32]byte]bool // signature arithmetic already done: (certificate, issuer) → holds
	checks  int
	anchors int // checks against anchors
	paths   int
	best    int // how telling res.Fault is
	res     Result
}

// climb extends path, whose last certificate is judged up to its own issuer; true ends the search.
func (b *builder) climb(path []*node) bool {
	if b.ctx.Err() != nil || b.paths >= MaxPaths {
		return true
	}
	n := path[len(path)-1]
	if b.isAnchor(n) {
		return b.complete(path)
	}
	if len(path) == MaxDepth {
		b.note(len(path), fault(PathLength, n.cert, "the path is longer than %d certificates", MaxDepth))
		return false
	}
	if f := b.q.Rules.keyFault(n.cert, false); f != nil {
		b.note(len(path), f)
		return false
	}
	if f := algorithmFault(n.cert, b.q.Rules.Legacy); f != nil {
		b.note(len(path), f)
		return false
	}
	signed, named, stop := b.tryIssuers(path)
	if stop || signed {
		return stop
	}
	b.noIssuer(path, named)
	return false
}

// tryIssuers climbs on every certificate that really signed the last one of path.
func (b *builder) tryIssuers(path []*node) (signed, named, stop bool) {
	n := path[len(path)-1]
	for _, cand := range b.issuers(n) {
		if inPath(path, cand.node) {
			continue
		}
		named = true
		ok, done := b.arithmetic(n, cand)
		if !done {
			b.note(len(path), fault(Limit, n.cert, "the search for the issuer of %s was cut off after %d signature checks", Label(n.cert), b.checks+b.anchors))
			return signed, named, true
		}
		if !ok {
			continue
		}
		signed = true
		if b.climb(append(slices.Clip(path), cand.node)) {
			return signed, named, true
		}
	}
	return signed, named, false
}

// candidate is a possible issuer.
type candidate struct {
	*node
	anchor bool
	rank   int
}

// issuers is every certificate at hand that bears the issuer's name, likeliest first: anchors before
// others, matching key identifiers before absent before different ones (a hint, never proof: a
// forger copies key identifiers), valid now before expired.
func (b *builder) issuers(n *node) []candidate {
	var out []candidate
	seen := map[[32]byte]bool{}
	add := func(list []*node, anchor bool) {
		for _, c := range list {
			if !seen[c.id] {
				seen[c.id] = true
				out = append(out, candidate{c, anchor, b.rank(n, c, anchor)})
			}
		}
	}
	for _, s := range b.q.Anchors {
		add(s.named(n.issuer), true)
	}
	add(b.extra.named(n.issuer), false)
	slices.SortStableFunc(out, func(a, c candidate) int { return cmp.Compare(a.rank, c.rank) })
	return out
}

func (b *builder) rank(n, issuer *node, anchor bool) int {
	r := 0
	if !anchor {
		r += 1
	}
	if dateFault(issuer.cert, b.q.Rules.Time) != nil {
		r += 2
	}
	switch a, s := n.cert.AuthorityKeyId, issuer.cert.SubjectKeyId; {
	case len(a) == 0 || len(s) == 0:
		r += 4
	case !bytes.Equal(a, s):
		r += 8
	}
	return r
}

// arithmetic reports whether the candidate's key signed n; done is false when the budget is spent.
func (b *builder) arithmetic(n *node, c candidate) (ok, done bool) {
	key := [2][32]byte{n.id, c.id}
	if ok, seen := b.checked[key]; seen {
		return ok, true
	}
	if c.anchor {
		b.anchors++
	} else {
		b.checks++
	}
	if b.checks > MaxChecks || b.anchors > MaxAnchorCheck {
		return false, false
	}
	if b.q.Rules.keyFault(c.cert, c.anchor) == nil { // never compute with a key of hostile size
		ok = signedBy(n.cert, c.cert)
	} else if f := b.q.Rules.keyFault(c.cert, c.anchor); bytes.Equal(n.cert.AuthorityKeyId, c.cert.SubjectKeyId) {
		b.note(1, f)
	}
	b.checked[key] = ok
	return ok, true
}

// noIssuer notes why the search cannot go on above the last certificate of path.
func (b *builder) noIssuer(path []*node, named bool) {
	n := path[len(path)-1]
	c := n.cert
	switch {
	case n.selfIssued() && b.resemblesAnchor(n):
		b.note(len(path), fault(SelfSignedForgery, c, "%s issued itself and resembles one of the anchors by name or key identifier, but is not that anchor", Label(c)))
		return
	case n.selfIssued() && signedBy(c, c):
		b.note(0, fault(Untrusted, c, "%s issued itself and is not among the anchors", Label(c)))
		return
	case named:
		b.note(len(path), fault(BadSignature, c, "%s names the issuer %q, but no key at hand under that name signed it", Label(c), c.Issuer))
	default:
		b.note(0, fault(Untrusted, c, "the issuer %q of %s is neither an anchor nor at hand", c.Issuer, Label(c)))
	}
	if !slices.Contains(b.res.DeadEnds, c) {
		b.res.DeadEnds = append(b.res.DeadEnds, c)
	}
}

func (b *builder) resemblesAnchor(n *node) bool {
	for _, s := range b.q.Anchors {
		if len(s.named(n.subject)) > 0 || s.keyed(n.cert.SubjectKeyId) != nil {
			return true
		}
	}
	return false
}

// complete validates a path that ends at an anchor and offers it.
func (b *builder) complete(path []*node) bool {
	b.paths++
	if f := validate(path, b.q.Rules); f != nil {
		b.note(100+len(path), f)
		return false
	}
	b.res.Paths++
	certs := make([]*x509.Certificate, len(path))
	for i, n := range path {
		certs[i] = n.cert
	}
	if b.accept != nil && !b.accept(certs) {
		return false
	}
	b.res.Path = certs
	return true
}

// note keeps the most telling fault: one of a path that reached an anchor before one met below, and
// of those the one met furthest up.
func (b *builder) note(telling int, f *Fault) {
	if b.res.Fault == nil || telling > b.best {
		b.res.Fault, b.best = f, telling
	}
	if len(b.res.Faults) < maxFaults {
		b.res.Faults = append(b.res.Faults, f)
	}
}

func (b *builder) isAnchor(n *node) bool {
	for _, s := range b.q.Anchors {
		if s.has(n.id) {
			return true
		}
	}
	return false
}

// inPath keeps loops out: no name with the same key twice (RFC 4158 §5.2).
func inPath(path []*node, c *node) bool {
	for _, n := range path {
		if n.id == c.id || n.subject == c.subject && bytes.Equal(n.cert.RawSubjectPublicKeyInfo, c.cert.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	return false
}
