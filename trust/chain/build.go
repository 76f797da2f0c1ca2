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
	// As is the e-mail address that the leaf stands for in this decision, whatever form of name binds it: the
	// issuers' name constraints on e-mail and on DNS names are held against it too. "" = only the leaf's own names.
	As string
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
	Work    *Work // what several searches for one certificate have done; nil = this search is alone
}

// Work carries what searches have done from one to the next, when more certificates have come in
// between: signature arithmetic is not repeated, and the bounds on anchor checks and on edges in all
// searches hold over all of them. The zero Work is ready. It belongs to one goroutine.
type Work struct {
	checked map[[2][32]byte]bool // signature arithmetic already done: (certificate, issuer) → holds
	anchors int                  // checks against anchors
	edges   int
}

// Edges is how many steps from a certificate to a possible issuer the searches have looked at.
func (w *Work) Edges() int { return w.edges }

// Result says how a search ended.
type Result struct {
	Path     []*x509.Certificate // leaf … anchor, the first that was accepted; nil when none was
	Fault    *Fault              // the most telling fault; nil when a path was accepted or the caller refused them all
	Faults   []*Fault            // the others met on the way, at most 16
	DeadEnds []*x509.Certificate // certificates whose issuer is not at hand, or only out of date, leaf first: candidates for AIA (AS-63)
	Paths    int                 // valid paths offered to accept
	Unread   int                 // extra certificates beyond MaxExtra
	Edges    int                 // steps from a certificate to a possible issuer that were looked at
}

const maxFaults = 16

// Build searches paths from the leaf to an anchor, anchors first, and offers each valid one to
// accept until that returns true. A nil accept takes the first. It returns early when ctx ends.
func Build(ctx context.Context, q Request, accept func(path []*x509.Certificate) bool) Result {
	b := &builder{ctx: ctx, q: q, accept: accept, extra: NewSet(nil), work: q.Work, ranked: map[[32]byte][]candidate{}, dead: map[[32]byte]int{}}
	if b.work == nil {
		b.work = &Work{}
	}
	if b.work.checked == nil {
		b.work.checked = map[[2][32]byte]bool{}
	}
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
	b.res.Edges = b.edges
	if b.res.Path != nil || b.res.Paths > 0 {
		b.res.Fault = nil
	}
	return b.res
}

// builder is the state of one depth-first search.
type builder struct {
	ctx    context.Context
	q      Request
	accept func([]*x509.Certificate) bool
	extra  *Set
	work   *Work
	ranked map[[32]byte][]candidate // the possible issuers of a certificate
	dead   map[[32]byte]int         // certificates above which no anchor is, when met at this length of a path or a greater one
	checks int                      // signature checks against certificates that are no anchors
	edges  int
	paths  int
	best   int // how telling res.Fault is
	res    Result
}

// climbed is how a climb ended.
type climbed struct {
	stop  bool // the whole search ends
	alive bool // an anchor was reached
	loop  int  // the lowest index in the path of a certificate that kept another one out; big when none did
}

const noLoop = MaxDepth + 1

// climb extends path, whose last certificate is judged up to its own issuer.
//
// A climb that reached no anchor would reach none again on a path as long or longer, so the
// certificate is remembered as dead: without that, layers of w certificates that all sign each other
// make as many paths as w to the power of the layers. What was kept out because of a certificate
// further down the path may be reached on another one, so then nothing is remembered.
func (b *builder) climb(path []*node) climbed {
	if b.ctx.Err() != nil || b.paths >= MaxPaths {
		return climbed{stop: true}
	}
	n := path[len(path)-1]
	if b.isAnchor(n) {
		return climbed{stop: b.complete(path), alive: true}
	}
	if f := b.unfit(path); f != nil {
		b.note(len(path), f)
		b.dead[n.id] = len(path)
		return climbed{loop: noLoop}
	}
	signed, named, end := b.tryIssuers(path)
	if end.stop {
		return end
	}
	if !signed {
		b.noIssuer(path, named)
	}
	if !end.alive && end.loop >= len(path)-1 {
		b.dead[n.id] = len(path)
		end.loop = noLoop
	}
	return end
}

// unfit is why a path ends with its last certificate, whoever issued that.
func (b *builder) unfit(path []*node) *Fault {
	n := path[len(path)-1]
	if len(path) == MaxDepth {
		return fault(PathLength, n.cert, "the path is longer than %d certificates", MaxDepth)
	}
	if f := b.q.Rules.keyFault(n.cert, false); f != nil {
		return f
	}
	return algorithmFault(n.cert, b.q.Rules.Legacy)
}

// tryIssuers climbs on every certificate that really signed the last one of path.
func (b *builder) tryIssuers(path []*node) (signed, named bool, end climbed) {
	n := path[len(path)-1]
	end.loop = noLoop
	for _, cand := range b.issuers(n) {
		b.edges++
		b.work.edges++
		if b.edges > MaxEdges || b.work.edges > MaxWorkEdges {
			b.note(len(path), fault(Limit, n.cert, "the search for the issuer of %s was cut off after %d steps", Label(n.cert), b.work.edges-1))
			end.stop = true
			return signed, named, end
		}
		if at := inPath(path, cand.node); at >= 0 {
			end.loop = min(end.loop, at)
			continue
		}
		named = true
		ok, done := b.arithmetic(n, cand)
		if !done {
			b.note(len(path), fault(Limit, n.cert, "the search for the issuer of %s was cut off after %d signature checks", Label(n.cert), b.checks+b.work.anchors))
			end.stop = true
			return signed, named, end
		}
		if !ok {
			continue
		}
		signed = true
		if at, ok := b.dead[cand.id]; ok && len(path)+1 >= at {
			continue
		}
		up := b.climb(append(slices.Clip(path), cand.node))
		end.stop, end.alive, end.loop = up.stop, end.alive || up.alive, min(end.loop, up.loop)
		if end.stop {
			return signed, named, end
		}
	}
	return signed, named, end
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
	if out, ok := b.ranked[n.id]; ok {
		return out
	}
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
	b.ranked[n.id] = out
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
	if ok, seen := b.work.checked[key]; seen {
		return ok, true
	}
	if c.anchor {
		b.work.anchors++
	} else {
		b.checks++
	}
	if b.checks > MaxChecks || b.work.anchors > MaxAnchorCheck {
		return false, false
	}
	if b.q.Rules.keyFault(c.cert, c.anchor) == nil { // never compute with a key of hostile size
		ok = signedBy(n.cert, c.cert)
	} else if f := b.q.Rules.keyFault(c.cert, c.anchor); bytes.Equal(n.cert.AuthorityKeyId, c.cert.SubjectKeyId) {
		b.note(1, f)
	}
	b.work.checked[key] = ok
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
	case n.selfIssued() && b.selfSigned(n):
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

// selfSigned is not counted: it is done once for a certificate.
func (b *builder) selfSigned(n *node) bool {
	key := [2][32]byte{n.id, n.id}
	ok, seen := b.work.checked[key]
	if !seen {
		ok = signedBy(n.cert, n.cert)
		b.work.checked[key] = ok
	}
	return ok
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
		b.outdated(path, f)
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

// outdated makes a dead end of a certificate whose issuer at hand is outside its dates: its place may hold a renewed one.
func (b *builder) outdated(path []*node, f *Fault) {
	if f.Reason != Expired && f.Reason != NotYetValid {
		return
	}
	for i, n := range path[1:] {
		if below := path[i].cert; n.cert == f.Cert && !slices.Contains(b.res.DeadEnds, below) {
			b.res.DeadEnds = append(b.res.DeadEnds, below)
		}
	}
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

// inPath keeps loops out: no name with the same key twice (RFC 4158 §5.2). It is the index of the
// certificate that forbids c, or -1.
func inPath(path []*node, c *node) int {
	return slices.IndexFunc(path, func(n *node) bool {
		return n.id == c.id || n.subject == c.subject && bytes.Equal(n.cert.RawSubjectPublicKeyInfo, c.cert.RawSubjectPublicKeyInfo)
	})
}
