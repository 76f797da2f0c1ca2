package chain

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// anyPolicy is 2.5.29.32.0.
const anyPolicy = "2.5.29.32.0"

// policyNode is one policy at one level. RFC 5280 §6.1.2 draws a tree, which mappings can make grow
// exponentially; here nodes of equal policy on a level are one node with several parents, which
// gives the same answers and stays as large as the certificates that make it.
type policyNode struct {
	expected []string
	parents  []*policyNode
	roots    map[string]bool // the policies of the anchor's world it derives from; anyPolicy for any
}

// policyState is the variables of RFC 5280 §6.1.2 between two certificates.
type policyState struct {
	level             map[string]*policyNode // nil map = the tree is NULL
	explicit, mapping int
	inhibitAny        int
}

// policyFault processes the policies of the path from the first certificate below the anchor to the leaf.
func policyFault(path []*node, r PolicyRules) *Fault {
	n := len(path) - 1
	s := newPolicyState(n, r)
	s.constrain(path[n].cert) // the anchor's own policy constraints hold too (RFC 5937 §3.2)
	for i := n - 1; i >= 0; i-- {
		c := path[i].cert
		if len(c.Policies) > MaxPolicies || len(c.PolicyMappings) > MaxPolicies {
			return fault(Limit, c, "%s asserts or maps more than %d policies", Label(c), MaxPolicies)
		}
		s.assert(c, i == 0 || !path[i].selfIssued())
		if s.explicit == 0 && len(s.level) == 0 {
			return fault(Policy, c, "an explicit certificate policy is demanded and none is valid down to %s", Label(c))
		}
		if i == 0 {
			break
		}
		if f := s.mapPolicies(c); f != nil {
			return f
		}
		s.prepare(c, path[i].selfIssued())
	}
	leaf := path[0].cert
	if n > 0 && leaf.RequireExplicitPolicyZero {
		s.explicit = 0
	} else if s.explicit > 0 {
		s.explicit--
	}
	if s.explicit == 0 && !s.acceptable(r.Acceptable) {
		return fault(Policy, leaf, "no certificate policy that is acceptable here is valid along the path of %s", Label(leaf))
	}
	return nil
}

func newPolicyState(n int, r PolicyRules) *policyState {
	start := func(zero bool) int {
		if zero {
			return 0
		}
		return n + 1
	}
	return &policyState{
		level:      map[string]*policyNode{anyPolicy: {expected: []string{anyPolicy}, roots: map[string]bool{anyPolicy: true}}},
		explicit:   start(r.Explicit),
		mapping:    start(r.InhibitMapping),
		inhibitAny: start(r.InhibitAny),
	}
}

// assert is RFC 5280 §6.1.3 (d), (e): the next level is what this certificate asserts of what the level above expects.
func (s *policyState) assert(c *x509.Certificate, strict bool) {
	if len(c.Policies) == 0 {
		s.level = nil
		return
	}
	next := map[string]*policyNode{}
	hasAny := false
	for _, id := range c.Policies {
		p := id.String()
		if p == anyPolicy {
			hasAny = true
			continue
		}
		var parents []*policyNode
		for _, up := range s.level {
			if slices.Contains(up.expected, p) {
				parents = append(parents, up)
			}
		}
		if top := s.level[anyPolicy]; len(parents) == 0 && top != nil {
			parents = []*policyNode{top}
		}
		if len(parents) > 0 {
			next[p] = child(p, parents)
		}
	}
	if hasAny && (s.inhibitAny > 0 || !strict) {
		for _, up := range s.level {
			for _, p := range up.expected {
				if have := next[p]; have == nil {
					next[p] = child(p, []*policyNode{up})
				} else if !slices.Contains(have.parents, up) {
					*have = *child(p, append(have.parents, up))
				}
			}
		}
	}
	s.level = next
}

// child makes a node and works out its roots: its own policy below any-policy, else its parents' roots.
func child(p string, parents []*policyNode) *policyNode {
	n := &policyNode{expected: []string{p}, parents: parents, roots: map[string]bool{}}
	for _, up := range parents {
		for r := range up.roots {
			if r == anyPolicy {
				r = p
			}
			n.roots[r] = true
		}
	}
	return n
}

// mapPolicies is RFC 5280 §6.1.4 (a), (b).
func (s *policyState) mapPolicies(c *x509.Certificate) *Fault {
	mapped := map[string][]string{}
	for _, m := range c.PolicyMappings {
		from, to := m.IssuerDomainPolicy.String(), m.SubjectDomainPolicy.String()
		if from == anyPolicy || to == anyPolicy {
			return fault(Policy, c, "%s maps any-policy, which is forbidden", Label(c))
		}
		mapped[from] = append(mapped[from], to)
	}
	for from, to := range mapped {
		n, top := s.level[from], s.level[anyPolicy]
		switch {
		case s.mapping == 0:
			delete(s.level, from)
		case n != nil:
			n.expected = to
		case top != nil:
			n = child(from, []*policyNode{top})
			n.expected = to
			s.level[from] = n
		}
	}
	return nil
}

// prepare is RFC 5280 §6.1.4 (h) to (j).
func (s *policyState) prepare(c *x509.Certificate, selfIssued bool) {
	if !selfIssued {
		s.explicit = max(0, s.explicit-1)
		s.mapping = max(0, s.mapping-1)
		s.inhibitAny = max(0, s.inhibitAny-1)
	}
	s.constrain(c)
}

func (s *policyState) constrain(c *x509.Certificate) {
	s.explicit = lower(s.explicit, c.RequireExplicitPolicy, c.RequireExplicitPolicyZero)
	s.mapping = lower(s.mapping, c.InhibitPolicyMapping, c.InhibitPolicyMappingZero)
	s.inhibitAny = lower(s.inhibitAny, c.InhibitAnyPolicy, c.InhibitAnyPolicyZero)
}

func lower(have, given int, zero bool) int {
	if zero {
		return 0
	}
	if given > 0 && given < have {
		return given
	}
	return have
}

// acceptable is RFC 5280 §6.1.5 (g): does anything survive the caller's own list?
func (s *policyState) acceptable(list []x509.OID) bool {
	if len(list) == 0 {
		return len(s.level) > 0
	}
	for _, n := range s.level {
		for _, want := range list {
			if w := want.String(); w == anyPolicy || n.roots[w] || n.roots[anyPolicy] {
				return true
			}
		}
	}
	return false
}

// knownQualifiers reports whether every policy qualifier is a CPS pointer or a user notice: a
// critical extension with another one must refuse the certificate (RFC 5280 §4.2.1.4).
func knownQualifiers(extension []byte) bool {
	in := cryptobyte.String(extension)
	var list cryptobyte.String
	if !in.ReadASN1(&list, der.SEQUENCE) {
		return false
	}
	for !list.Empty() {
		var info, qualifiers cryptobyte.String
		var present bool
		if !list.ReadASN1(&info, der.SEQUENCE) || !info.SkipASN1(der.OBJECT_IDENTIFIER) ||
			!info.ReadOptionalASN1(&qualifiers, &present, der.SEQUENCE) {
			return false
		}
		for !qualifiers.Empty() {
			var q cryptobyte.String
			var oid asn1.ObjectIdentifier
			if !qualifiers.ReadASN1(&q, der.SEQUENCE) || !q.ReadASN1ObjectIdentifier(&oid) {
				return false
			}
			if !oid.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 1}) && !oid.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 2}) {
				return false
			}
		}
	}
	return true
}
