package revoke

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// scope is the issuing distribution point of a list (RFC 5280 §5.2.5): which certificates it is about.
type scope struct {
	present     bool
	names       []string // GeneralNames of the point, encoded
	relative    bool     // named relative to the issuer, which we do not resolve
	onlyUser    bool
	onlyCA      bool
	onlyAttr    bool
	someReasons bool
	indirect    bool
}

func (s *scope) read(value cryptobyte.String) error {
	var seq cryptobyte.String
	if !value.ReadASN1(&seq, der.SEQUENCE) || !value.Empty() {
		return malformed("issuing distribution point")
	}
	s.present = true
	for !seq.Empty() {
		var body cryptobyte.String
		var tag der.Tag
		if !seq.ReadAnyASN1(&body, &tag) {
			return malformed("issuing distribution point")
		}
		flag := len(body) == 1 && body[0] != 0
		switch tag & 0x1f {
		case 0:
			var ok bool
			if s.names, s.relative, ok = readPointName(body); !ok {
				return malformed("name of the issuing distribution point")
			}
		case 1:
			s.onlyUser = flag
		case 2:
			s.onlyCA = flag
		case 3:
			s.someReasons = true
		case 4:
			s.indirect = flag
		case 5:
			s.onlyAttr = flag
		}
	}
	return nil
}

// readPointName is the full names of a DistributionPointName, or relative.
func readPointName(in cryptobyte.String) (names []string, relative, ok bool) {
	var body cryptobyte.String
	var tag der.Tag
	if !in.ReadAnyASN1(&body, &tag) || !in.Empty() {
		return nil, false, false
	}
	if tag&0x1f != 0 {
		return nil, true, true
	}
	for !body.Empty() {
		var name cryptobyte.String
		if !body.ReadAnyASN1Element(&name, nil) {
			return nil, false, false
		}
		names = append(names, string(name))
	}
	return names, false, true
}

// point is one distribution point of a certificate (RFC 5280 §4.2.1.13).
type point struct {
	names    []string // encoded GeneralNames
	urls     []string
	reasons  bool     // only for some reasons
	indirect bool     // another issuer's list
	issuers  []string // encoded GeneralNames of cRLIssuer
}

var oidPoints = asn1.ObjectIdentifier{2, 5, 29, 31}

// pointsOf reads a certificate's distribution points; one that cannot be read counts as none.
func pointsOf(c *x509.Certificate) []point {
	i := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidPoints) })
	if i < 0 {
		return nil
	}
	in := cryptobyte.String(c.Extensions[i].Value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, der.SEQUENCE) {
		return nil
	}
	var out []point
	for !list.Empty() && len(out) < maxPoints {
		var seq cryptobyte.String
		if !list.ReadASN1(&seq, der.SEQUENCE) {
			break
		}
		if p, ok := readPoint(seq); ok {
			out = append(out, p)
		}
	}
	return out
}

// maxPoints bounds the distribution points of one certificate that are looked at.
const maxPoints = 16

func readPoint(seq cryptobyte.String) (p point, ok bool) {
	for !seq.Empty() {
		var body cryptobyte.String
		var tag der.Tag
		if !seq.ReadAnyASN1(&body, &tag) {
			return p, false
		}
		switch tag & 0x1f {
		case 0:
			if p.names, _, ok = readPointName(body); !ok {
				return p, false
			}
		case 1:
			p.reasons = true
		case 2:
			p.indirect = true
			for !body.Empty() {
				var name cryptobyte.String
				if !body.ReadAnyASN1Element(&name, nil) {
					return p, false
				}
				p.issuers = append(p.issuers, string(name))
			}
		}
	}
	for _, n := range p.names {
		in := cryptobyte.String(n)
		var uri cryptobyte.String
		if in.ReadASN1(&uri, der.Tag(6).ContextSpecific()) {
			p.urls = append(p.urls, string(uri))
		}
	}
	return p, true
}

// covers says why a list is not about this certificate, or "" when it is (RFC 5280 §6.3.3 (b)).
func (s scope) covers(c *x509.Certificate, points []point) string {
	isCA := c.BasicConstraintsValid && c.IsCA
	switch {
	case !s.present:
		return ""
	case s.indirect:
		return "it is an indirect list"
	case s.onlyAttr:
		return "it is about attribute certificates"
	case s.onlyUser && isCA:
		return "it is about end entities only"
	case s.onlyCA && !isCA:
		return "it is about CAs only"
	case s.relative:
		return "its distribution point is named relative to its issuer"
	case len(s.names) == 0:
		return ""
	}
	for _, p := range points {
		if slices.ContainsFunc(p.names, func(n string) bool { return slices.Contains(s.names, n) }) {
			return ""
		}
	}
	return "it is another distribution point's part"
}

// same says that two lists are about the same certificates, for the same reasons.
func (s scope) same(o scope) bool {
	return slices.Equal(s.names, o.names) && s.relative == o.relative && s.onlyUser == o.onlyUser && s.onlyCA == o.onlyCA &&
		s.onlyAttr == o.onlyAttr && s.someReasons == o.someReasons && s.indirect == o.indirect
}

// yields is nil when a list that withdraws certificates may give way to another of its issuer: one of the same scope,
// of none, or one that is about the certificate asked about as this one is. Whoever holds the line could otherwise serve another
// part, a delta or the list of the CAs in the place of the one that names a stolen key. A list that withdraws
// nobody, or that cannot be used, has nothing to lose.
func (l *List) yields(next *List, q Query) error {
	if l == nil || l.unusable != "" || l.Entries() == 0 || l.vouched(q) != nil {
		return nil
	}
	points := pointsOf(q.Cert)
	why := next.unusable
	switch {
	case why != "" || next.scope.same(l.scope):
	case next.scope.someReasons && !l.scope.someReasons:
		why = "it covers only some reasons"
	case next.scope.present:
		if why = next.scope.covers(q.Cert, points); why == "" {
			why = l.scope.covers(q.Cert, points)
		}
	}
	if why != "" {
		return fmt.Errorf("revoke: the list of %s does not take the place of the one at hand of %s: %s", stamp(next.ThisUpdate), stamp(l.ThisUpdate), why)
	}
	return nil
}
