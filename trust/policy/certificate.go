package policy

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"reflect"
	"strings"
	"time"
)

// celCertificate is the type the expressions see.
var celCertificate = reflect.TypeFor[Certificate]()

// Certificate is what a rule can ask about. Lists are never null.
type Certificate struct {
	Subject          string    `cel:"subject"`            // RFC 2253 text
	Issuer           string    `cel:"issuer"`             // of the certificate
	Emails           []string  `cel:"emails"`             // rfc822Names, lower case
	Domains          []string  `cel:"domains"`            // dNSNames, lower case
	KeyUsage         []string  `cel:"key_usage"`          // RFC 5280 names: digitalSignature, keyEncipherment …
	ExtendedKeyUsage []string  `cel:"extended_key_usage"` // object identifiers
	Policies         []string  `cel:"policies"`           // object identifiers, exact (TB-74)
	Key              string    `cel:"key"`                // "rsa", "ecdsa", "ed25519" or "other"
	KeyBits          int64     `cel:"key_bits"`           // of the modulus or the curve
	Signature        string    `cel:"signature"`          // such as "SHA256-RSA"
	NotBefore        time.Time `cel:"not_before"`         //
	NotAfter         time.Time `cel:"not_after"`          //
	ValidityDays     int64     `cel:"validity_days"`      // from not_before to not_after, begun days
	HasList          bool      `cel:"has_crl"`            // names a CRL distribution point
	HasResponder     bool      `cel:"has_ocsp"`           // names an OCSP responder
	ChainLength      int64     `cel:"chain_length"`       // certificates, anchor included
	Anchor           string    `cel:"anchor"`             // SHA-256 of the anchor, lower-case hex
	AnchorSubject    string    `cel:"anchor_subject"`     //
	ChainPolicies    []string  `cel:"chain_policies"`     // asserted by every certificate below the anchor
	WeakestSignature string    `cel:"weakest_signature"`  // below the anchor: the one with the shortest digest
	SmallestRSABits  int64     `cel:"smallest_rsa_bits"`  // below the anchor; 0 = no RSA key
}

// describe is the certificate in the form rules ask about.
func describe(chain []*x509.Certificate) Certificate {
	c, anchor := chain[0], chain[len(chain)-1]
	id := sha256.Sum256(anchor.Raw)
	out := Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Emails: lower(c.EmailAddresses), Domains: lower(c.DNSNames),
		KeyUsage: usages(c.KeyUsage), ExtendedKeyUsage: extended(c), Policies: policies(c),
		Signature: c.SignatureAlgorithm.String(), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		ValidityDays: int64((c.NotAfter.Sub(c.NotBefore) + 24*time.Hour - 1) / (24 * time.Hour)),
		HasList:      len(c.CRLDistributionPoints) > 0, HasResponder: len(c.OCSPServer) > 0,
		ChainLength: int64(len(chain)), Anchor: hex.EncodeToString(id[:]), AnchorSubject: anchor.Subject.String(),
	}
	out.Key, out.KeyBits = keyOf(c)
	out.describeChain(chain)
	return out
}

// describeChain fills in what is about all certificates below the anchor; an anchor used as a leaf
// speaks for itself.
func (out *Certificate) describeChain(chain []*x509.Certificate) {
	below := chain[:max(1, len(chain)-1)]
	out.ChainPolicies = policies(below[0])
	digest := 1 << 30
	for _, c := range below {
		if kind, bits := keyOf(c); kind == "rsa" && (out.SmallestRSABits == 0 || bits < out.SmallestRSABits) {
			out.SmallestRSABits = bits
		}
		if d := digestBits(c.SignatureAlgorithm); d < digest {
			digest, out.WeakestSignature = d, c.SignatureAlgorithm.String()
		}
		have := map[string]bool{}
		for _, p := range policies(c) {
			have[p] = true
		}
		kept := []string{}
		for _, p := range out.ChainPolicies {
			if have[p] {
				kept = append(kept, p)
			}
		}
		out.ChainPolicies = kept
	}
}

func digestBits(a x509.SignatureAlgorithm) int {
	switch s := a.String(); {
	case strings.Contains(s, "MD5"), strings.Contains(s, "MD2"):
		return 128
	case strings.Contains(s, "SHA1"):
		return 160
	case strings.Contains(s, "SHA384"):
		return 384
	case strings.Contains(s, "SHA512"), a == x509.PureEd25519:
		return 512
	}
	return 256
}

func keyOf(c *x509.Certificate) (string, int64) {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return "rsa", int64(k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ecdsa", int64(k.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "ed25519", 256
	}
	return "other", 0
}

func lower(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = strings.ToLower(s)
	}
	return out
}

func usages(ku x509.KeyUsage) []string {
	names := []string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly"}
	out := []string{}
	for i, n := range names {
		if ku&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

func policies(c *x509.Certificate) []string {
	out := make([]string, len(c.Policies))
	for i, p := range c.Policies {
		out[i] = p.String()
	}
	return out
}

// extended is the extended key usage as object identifiers, the ones the library names included.
func extended(c *x509.Certificate) []string {
	named := map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageAny: "2.5.29.37.0", x509.ExtKeyUsageServerAuth: "1.3.6.1.5.5.7.3.1", x509.ExtKeyUsageClientAuth: "1.3.6.1.5.5.7.3.2",
		x509.ExtKeyUsageCodeSigning: "1.3.6.1.5.5.7.3.3", x509.ExtKeyUsageEmailProtection: "1.3.6.1.5.5.7.3.4",
		x509.ExtKeyUsageTimeStamping: "1.3.6.1.5.5.7.3.8", x509.ExtKeyUsageOCSPSigning: "1.3.6.1.5.5.7.3.9",
	}
	out := []string{}
	for _, u := range c.ExtKeyUsage {
		if id, ok := named[u]; ok {
			out = append(out, id)
		}
	}
	for _, id := range c.UnknownExtKeyUsage {
		out = append(out, id.String())
	}
	return out
}
