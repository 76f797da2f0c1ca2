package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"time"

	"postern/smime/cms/ber"
)

// Identity is a signing certificate with its key and the intermediates to send along (AS-36).
type Identity struct {
	Cert  *x509.Certificate
	Chain []*x509.Certificate // intermediates, no anchor
	Key   crypto.Signer
}

// SignOptions say how to sign.
type SignOptions struct {
	Signer Identity
	Digest crypto.Hash // SHA-256, SHA-384 or SHA-512; zero = SHA-256
	Now    time.Time   // signing time; zero leaves the attribute out
	Rand   io.Reader   // nil = crypto/rand
}

// DetachedSigner writes one detached SignedData (RFC 5652 §5, AS-35). It knows the length of its
// result before it knows the content, where the key's signatures have a fixed length.
type DetachedSigner struct {
	o      SignOptions
	scheme scheme
	sigAlg []byte
	size   int      // of the signature value; 0 when it varies
	fixed  [][]byte // signed attributes other than the digest
}

// NewDetachedSigner checks the identity. An Ed25519 signer always digests with SHA-512 (RFC 8419 §3.1).
func NewDetachedSigner(o SignOptions) (*DetachedSigner, error) {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Signer.Cert == nil || o.Signer.Key == nil {
		return nil, fmt.Errorf("cms: signer without certificate or key")
	}
	d := &DetachedSigner{o: o}
	if d.o.Digest == 0 {
		d.o.Digest = crypto.SHA256
	}
	switch pub := o.Signer.Cert.PublicKey.(type) {
	case *rsa.PublicKey:
		d.scheme, d.size = scheme{family: familyRSA, name: "rsa-pkcs1"}, pub.Size()
		d.sigAlg = ber.Build(ber.Sequence, oidRSA.der(), ber.Build(ber.TagNull))
	case *ecdsa.PublicKey:
		d.scheme = scheme{family: familyECDSA, name: "ecdsa"}
	case ed25519.PublicKey:
		d.o.Digest = crypto.SHA512
		d.scheme, d.size = scheme{family: familyEd25519, name: "ed25519"}, ed25519.SignatureSize
		d.sigAlg = ber.Build(ber.Sequence, oidEd25519.der())
	default:
		return nil, failf(ReasonUnsupported, "signer key of kind %T", pub)
	}
	switch d.o.Digest {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return nil, failf(ReasonForbidden, "signing with digest %s", digestName(d.o.Digest)) // AS-51
	}
	if d.scheme.family == familyECDSA {
		combined := map[crypto.Hash]oid{crypto.SHA256: oidECDSAWithSHA256, crypto.SHA384: oidECDSAWithSHA384, crypto.SHA512: oidECDSAWithSHA512}
		d.sigAlg = ber.Build(ber.Sequence, combined[d.o.Digest].der()) // parameters absent (CMS-07)
	}
	d.fixed = d.fixedAttributes()
	return d, nil
}

// Digest is the digest the content must be hashed with.
func (d *DetachedSigner) Digest() crypto.Hash { return d.o.Digest }

// Micalg is its name in multipart/signed (AS-37).
func (d *DetachedSigner) Micalg() string { return digestName(d.o.Digest) }

// Scheme names the signature algorithm.
func (d *DetachedSigner) Scheme() string { return d.scheme.name }

// Size is the length of the SignedData in octets; ok is false when the key's signatures vary in
// length (ECDSA) and only Sign can tell.
func (d *DetachedSigner) Size() (n int, ok bool) {
	if d.size == 0 {
		return 0, false
	}
	attrs := d.attributes(make([]byte, d.o.Digest.Size()))
	return len(d.assemble(attrs, make([]byte, d.size))), true
}

// Sign makes the SignedData over content with this digest.
func (d *DetachedSigner) Sign(content []byte) ([]byte, error) {
	attrs := d.attributes(content)
	var value []byte
	var err error
	if d.scheme.family == familyEd25519 {
		value, err = d.o.Signer.Key.Sign(d.o.Rand, attrs, crypto.Hash(0))
	} else {
		h := d.o.Digest.New()
		h.Write(attrs)
		value, err = d.o.Signer.Key.Sign(d.o.Rand, h.Sum(nil), d.o.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("cms: sign: %w", err)
	}
	if d.size != 0 && len(value) != d.size {
		return nil, fmt.Errorf("cms: signature of %d octets from a key of %d", len(value), d.size)
	}
	return d.assemble(attrs, value), nil
}

// attribute is one Attribute with one value.
func attribute(typ oid, value []byte) []byte {
	return ber.Build(ber.Sequence, typ.der(), ber.Build(ber.Set, value))
}

// attributes is the DER SET OF signed attributes (CMS-03, CMS-04).
func (d *DetachedSigner) attributes(digest []byte) []byte {
	list := append(d.fixed[:len(d.fixed):len(d.fixed)], attribute(oidAttrMessageDigest, ber.Build(ber.OctetString, digest)))
	return ber.SetOf(ber.Set, list)
}

// fixedAttributes are those that do not depend on the content.
func (d *DetachedSigner) fixedAttributes() [][]byte {
	hash := d.o.Digest.New()
	hash.Write(d.o.Signer.Cert.Raw)
	certID := ber.Build(ber.OctetString, hash.Sum(nil))
	if d.o.Digest != crypto.SHA256 { // SHA-256 is the default and so left out in DER
		certID = append(ber.Build(ber.Sequence, digestOID(d.o.Digest).der()), certID...)
	}
	list := [][]byte{
		attribute(oidAttrContentType, oidData.der()),
		attribute(oidAttrCapabilities, announced()),
		attribute(oidAttrSigningCertificateV2, ber.Build(ber.Sequence, ber.Build(ber.Sequence, ber.Build(ber.Sequence, certID)))),
	}
	if !d.o.Now.IsZero() {
		list = append(list, attribute(oidAttrSigningTime, derTime(d.o.Now)))
	}
	return list
}

// derTime is UTCTime through 2049, then GeneralizedTime (CMS-11).
func derTime(t time.Time) []byte {
	t = t.UTC()
	if t.Year() >= 1950 && t.Year() < 2050 {
		return ber.Build(ber.TagUTCTime, []byte(t.Format("060102150405Z")))
	}
	return ber.Build(ber.TagGeneralizedTime, []byte(t.Format("20060102150405Z")))
}

func (d *DetachedSigner) assemble(attrs, value []byte) []byte {
	digestAlg := ber.Build(ber.Sequence, digestOID(d.o.Digest).der()) // parameters absent (CMS-07)
	implicit := append([]byte{ber.ContextConstructed(0)}, attrs[1:]...)
	signer := ber.Build(ber.Sequence, derInteger([]byte{1}), issuerAndSerial(d.o.Signer.Cert), digestAlg,
		implicit, d.sigAlg, ber.Build(ber.OctetString, value))
	certs := [][]byte{d.o.Signer.Cert.Raw}
	for _, c := range d.o.Signer.Chain {
		certs = append(certs, c.Raw)
	}
	signed := ber.Build(ber.Sequence, derInteger([]byte{1}), ber.Build(ber.Set, digestAlg),
		ber.Build(ber.Sequence, oidData.der()), ber.SetOf(ber.ContextConstructed(0), certs), ber.Build(ber.Set, signer))
	return ber.Build(ber.Sequence, oidSignedData.der(), ber.Build(ber.ContextConstructed(0), signed))
}
