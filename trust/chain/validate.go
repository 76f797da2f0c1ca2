package chain

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"
)

// understood is the extensions acted on here or by the callers, so that critical ones do not refuse
// a certificate (RFC 5280 §4.2).
func understood(id asn1.ObjectIdentifier) bool {
	if len(id) != 4 || id[0] != 2 || id[1] != 5 || id[2] != 29 {
		return id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}) // authority information access
	}
	switch id[3] {
	case 14, 15, 17, 18, 19, 30, 31, 32, 33, 35, 36, 37, 54:
		// key identifiers, key usage, alternative names, basic and name constraints, CRL distribution
		// points, policies, mappings, policy constraints, extended key usage, inhibit any-policy
		return true
	}
	return false
}

// dateFault is nil inside the dates; both ends, and the whole of the last second, belong to the
// validity (RFC 5280 §4.1.2.5).
func dateFault(c *x509.Certificate, at time.Time) *Fault {
	at = at.Truncate(time.Second)
	switch {
	case at.Before(c.NotBefore):
		return fault(NotYetValid, c, "%s is valid from %s", Label(c), stamp(c.NotBefore))
	case at.After(c.NotAfter):
		return fault(Expired, c, "%s was valid until %s", Label(c), stamp(c.NotAfter))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// validate walks a path whose signatures hold from its anchor down (RFC 5280 §6.1).
func validate(path []*node, r Rules) *Fault {
	top := len(path) - 1
	if f := anchorFault(path[top], r, top > 0); f != nil {
		return f
	}
	if f := criticalFault(path[0].cert); f != nil {
		return f
	}
	below := 0 // certificates below that count for a path length
	for i, n := range path[:top] {
		if f := dateFault(n.cert, r.Time); f != nil {
			return f
		}
		if i == 0 {
			continue
		}
		if f := issuerFault(n.cert, below, r); f != nil {
			return f
		}
		if !n.selfIssued() {
			below++
		}
	}
	if c := path[top].cert; top > 0 && lengthExceeded(c, below) {
		return fault(PathLength, c, "%s allows %d issuers below it, the path has %d", Label(c), c.MaxPathLen, below)
	}
	if f := constraintFault(path, r.As); f != nil {
		return f
	}
	return policyFault(path, r.Policy)
}

// anchorFault judges the anchor itself: dates always, the right to issue when it issues.
func anchorFault(n *node, r Rules, issues bool) *Fault {
	c := n.cert
	if dateFault(c, r.Time) != nil {
		return fault(AnchorExpired, c, "the anchor %s is valid from %s until %s", Label(c), stamp(c.NotBefore), stamp(c.NotAfter))
	}
	if f := r.keyFault(c, true); f != nil {
		return f
	}
	if f := criticalFault(c); f != nil || !issues {
		return f
	}
	// A version 1 anchor cannot say that it is a CA; being configured says it. A version 3 anchor
	// without the flag is somebody's leaf, and its holder must not become an issuer of identities.
	if c.Version >= 3 && !(c.BasicConstraintsValid && c.IsCA) {
		return fault(NotCA, c, "the anchor %s is not a CA: it can vouch for itself only", Label(c))
	}
	return mayIssue(c)
}

// issuerFault judges a certificate between leaf and anchor (AS-19).
func issuerFault(c *x509.Certificate, below int, r Rules) *Fault {
	if !c.BasicConstraintsValid || !c.IsCA {
		return fault(NotCA, c, "%s issued a certificate but is not a CA", Label(c))
	}
	if f := mayIssue(c); f != nil {
		return f
	}
	if f := criticalFault(c); f != nil {
		return f
	}
	if lengthExceeded(c, below) {
		return fault(PathLength, c, "%s allows %d issuers below it, the path has %d", Label(c), c.MaxPathLen, below)
	}
	if !allowsPurpose(c, r.Purpose) {
		return fault(EKU, c, "%s may not issue certificates for this purpose (extended key usage)", Label(c))
	}
	return nil
}

// mayIssue: an issuer needs a name and, where it has a key usage at all, the right to sign certificates.
func mayIssue(c *x509.Certificate) *Fault {
	if len(c.RawSubject) <= 2 {
		return fault(NotCA, c, "an issuer (%s) has no name", Label(c)) // RFC 5280 §4.1.2.6
	}
	if _, limited := extension(c, oidKeyUsage); limited && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return fault(NotCA, c, "the key usage of %s does not include signing certificates", Label(c))
	}
	return nil
}

func criticalFault(c *x509.Certificate) *Fault {
	for _, e := range c.Extensions {
		if e.Critical && !understood(e.Id) {
			return fault(UnknownCritical, c, "%s has the critical extension %s, which we do not understand", Label(c), e.Id)
		}
		if e.Critical && e.Id.Equal(oidPolicies) && !knownQualifiers(e.Value) {
			return fault(UnknownCritical, c, "%s has critical certificate policies with a qualifier we do not understand", Label(c))
		}
	}
	return nil
}

func lengthExceeded(c *x509.Certificate, below int) bool {
	if !c.BasicConstraintsValid || c.MaxPathLen < 0 || c.MaxPathLen == 0 && !c.MaxPathLenZero {
		return false
	}
	return below > c.MaxPathLen
}

// allowsPurpose reads an issuer's extended key usage as a limit on what is below it. RFC 5280 leaves
// that open; every large verifier does it, and RFC 8550 §4.4.4 asks for it in spirit.
func allowsPurpose(c *x509.Certificate, p x509.ExtKeyUsage) bool {
	if p == x509.ExtKeyUsageAny {
		return true
	}
	if _, limited := extension(c, oidExtKeyUsage); !limited {
		return true
	}
	return slices.Contains(c.ExtKeyUsage, p) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}
