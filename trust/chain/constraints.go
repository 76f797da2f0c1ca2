package chain

import (
	"crypto/x509"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// subtrees is the name constraints of one issuer (RFC 5280 §4.2.1.10).
type subtrees struct {
	permitted, excluded []generalName
}

func readConstraints(c *x509.Certificate) (s subtrees, present, ok bool) {
	raw, present := extension(c, oidNameConstraints)
	if !present {
		return s, false, true
	}
	in := cryptobyte.String(raw)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, der.SEQUENCE) || !in.Empty() {
		return s, true, false
	}
	for tag, list := range map[uint8]*[]generalName{0: &s.permitted, 1: &s.excluded} {
		if *list, ok = readSubtrees(seq, tag); !ok {
			return s, true, false
		}
	}
	return s, true, true
}

// readSubtrees is the bases under one of the two tags. A minimum or maximum is refused: RFC 5280
// forbids them, and passing over one would widen or narrow the subtree unseen.
func readSubtrees(seq cryptobyte.String, want uint8) ([]generalName, bool) {
	var out []generalName
	for !seq.Empty() {
		var list, tree cryptobyte.String
		var tag der.Tag
		if !seq.ReadAnyASN1(&list, &tag) {
			return nil, false
		}
		if tag != der.Tag(want).ContextSpecific().Constructed() {
			continue
		}
		for !list.Empty() {
			if !list.ReadASN1(&tree, der.SEQUENCE) {
				return nil, false
			}
			g, ok := readGeneralName(&tree)
			if !ok || !tree.Empty() {
				return nil, false
			}
			out = append(out, g)
		}
	}
	return out, true
}

// constraintFault applies every issuer's name constraints, the anchor's included, to every
// certificate below it: all but self-issued intermediates (RFC 5280 §6.1.3 (b), (c)). The leaf is held to them with
// the address it stands for as well.
func constraintFault(path []*node, as string) *Fault {
	budget := MaxComparisons
	names := make([][]generalName, len(path))
	for top := len(path) - 1; top > 0; top-- {
		s, present, ok := readConstraints(path[top].cert)
		if !ok {
			return fault(NameConstraints, path[top].cert, "the name constraints of %s cannot be read", Label(path[top].cert))
		}
		if !present {
			continue
		}
		for i := top - 1; i >= 0; i-- {
			n := path[i]
			if i > 0 && n.selfIssued() {
				continue
			}
			if names[i] == nil {
				if names[i], ok = namesOf(n); !ok {
					return fault(NameConstraints, n.cert, "the names of %s cannot be read", Label(n.cert))
				}
				if i == 0 {
					names[i] = append(names[i], standsFor(as)...)
				}
			}
			if f := s.judge(path[top].cert, n.cert, names[i], &budget); f != nil {
				return f
			}
		}
	}
	return nil
}

// standsFor is the names by which an address is vouched for: itself, and its domain.
func standsFor(as string) []generalName {
	at := strings.LastIndexByte(as, '@') // a quoted local part may hold others
	if at < 0 {
		return nil
	}
	return []generalName{{tag: tagEmail, text: as}, {tag: tagDNS, text: as[at+1:], implied: true}}
}

// judge holds one certificate's names against one issuer's constraints.
func (s subtrees) judge(issuer, c *x509.Certificate, names []generalName, budget *int) *Fault {
	for _, n := range names {
		*budget -= len(s.permitted) + len(s.excluded)
		if *budget < 0 {
			return fault(Limit, c, "more than %d comparisons of names with name constraints", MaxComparisons)
		}
		excluded := s.excluded
		if n.implied { // "no DNS names at all" is about what is issued, not about where the address is
			excluded = slices.DeleteFunc(slices.Clone(excluded), func(g generalName) bool { return g.tag == tagDNS && g.text == "" })
		}
		if hit, known := anyWithin(n, excluded, true); hit || !known {
			return fault(NameConstraints, c, "%s excludes the name %s of %s", Label(issuer), n.show(), Label(c))
		}
		if !constrains(s.permitted, n.tag) {
			continue
		}
		if hit, known := anyWithin(n, s.permitted, false); !hit || !known {
			return fault(NameConstraints, c, "%s does not permit the name %s of %s", Label(issuer), n.show(), Label(c))
		}
	}
	return nil
}

func constrains(list []generalName, tag int) bool {
	for _, g := range list {
		if g.tag == tag {
			return true
		}
	}
	return false
}

// anyWithin reports whether n lies in one of the subtrees of its kind; known is false when one of
// them could not be compared, which refuses the certificate either way.
func anyWithin(n generalName, list []generalName, excluding bool) (hit, known bool) {
	known = true
	for _, g := range list {
		if g.tag != n.tag {
			continue
		}
		in, ok := within(n, g)
		if !ok {
			known = false
		}
		// A wildcard stands for names below it: excluding one of those excludes it.
		if base, star := strings.CutPrefix(n.text, "*."); star && excluding && n.tag == tagDNS && hostWithin(strings.TrimPrefix(g.text, "."), base) {
			in = true
		}
		hit = hit || in
	}
	return hit, known
}

// show is the name for a reader, short.
func (g generalName) show() string {
	switch {
	case g.tag == tagDirectory:
		return "in its subject or alternative directory name"
	case g.text != "" && len(g.text) <= 200:
		return `"` + g.text + `"`
	}
	return "of a kind we cannot compare"
}
