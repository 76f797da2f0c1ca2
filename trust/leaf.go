package trust

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"postern/trust/chain"
)

// verdict is the outcome of one rule; the zero verdict is a pass.
type verdict struct {
	reason Reason
	detail string
}

func refuse(r Reason, format string, args ...any) verdict {
	return verdict{r, fmt.Sprintf(format, args...)}
}

// leafDates is AS-67: judged at the time of processing.
func leafDates(c *x509.Certificate, at time.Time) verdict {
	at = at.Truncate(time.Second) // the whole of the last second belongs to the validity
	switch {
	case at.Before(c.NotBefore):
		return refuse(NotYetValid, "%s is valid from %s, judged at %s", chain.Label(c), stamp(c.NotBefore), stamp(at))
	case at.After(c.NotAfter):
		return refuse(Expired, "%s was valid until %s, judged at %s", chain.Label(c), stamp(c.NotAfter), stamp(at))
	}
	return verdict{}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// leafKey is AS-17, and keeps hostile keys from costing anything.
func leafKey(c *x509.Certificate) verdict {
	if f := chain.KeyFault(c); f != nil {
		return verdict{Reason(f.Reason), f.Detail}
	}
	return verdict{}
}

// leafUsage is AS-15, AS-16 and AS-19: what the certificate itself says it may do.
func leafUsage(c *x509.Certificate, use Use) verdict {
	if c.BasicConstraintsValid && c.IsCA {
		return refuse(CAAsLeaf, "%s is a CA certificate", chain.Label(c))
	}
	if v := extendedUsage(c); v.reason != "" {
		return v
	}
	ku := c.KeyUsage
	if !hasExtension(c, oidKeyUsage) { // absent = no limit (RFC 8550 §4.4.2)
		ku = ^x509.KeyUsage(0)
	}
	switch use {
	case Sign:
		if ku&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
			return refuse(KeyUsage, "%s may not sign: key usage has neither digitalSignature nor nonRepudiation", chain.Label(c))
		}
		if _, agree := c.PublicKey.(*ecdh.PublicKey); agree {
			return refuse(KeyUsage, "the key of %s cannot sign", chain.Label(c))
		}
	case Encrypt:
		return encryptUsage(c, ku)
	}
	return verdict{}
}

// encryptUsage: RSA needs keyEncipherment, curves need keyAgreement (CMS-72).
func encryptUsage(c *x509.Certificate, ku x509.KeyUsage) verdict {
	need, name := x509.KeyUsageKeyEncipherment, "keyEncipherment"
	switch c.PublicKey.(type) {
	case ed25519.PublicKey:
		return refuse(KeyUsage, "the key of %s can only sign", chain.Label(c))
	case *ecdsa.PublicKey, *ecdh.PublicKey:
		need, name = x509.KeyUsageKeyAgreement, "keyAgreement"
	}
	if ku&need == 0 {
		return refuse(KeyUsage, "%s may not be encrypted to: key usage lacks %s", chain.Label(c), name)
	}
	return verdict{}
}

// extendedUsage is AS-16: absent, e-mail protection or any.
func extendedUsage(c *x509.Certificate) verdict {
	if !hasExtension(c, oidExtKeyUsage) {
		return verdict{}
	}
	if slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return verdict{}
	}
	return refuse(EKU, "%s is not for e-mail protection (extended key usage)", chain.Label(c))
}
