package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
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
		d.sigAlg = []byte(rsaDER)
	case *ecdsa.PublicKey:
		d.scheme = scheme{family: familyECDSA, name: "ecdsa"}
	case ed25519.PublicKey:
		d.o.Digest = crypto.SHA512
		d.scheme, d.size = scheme{family: familyEd25519, name: "ed25519"}, ed25519.SignatureSize
		d.sigAlg = oidEd25519.algorithm()
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
		d.sigAlg = combined[d.o.Digest].algorithm() // parameters absent (CMS-07)
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
	return d.length(len(d.attributes(make([]byte, d.o.Digest.Size()))), d.size), true
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

// What is the same in every message: the content-type attribute with id-data, and rsaEncryption with NULL.
// A test builds them anew.
const (
	dataAttributeDER = "\x30\x18\x06\x09" + string(oidAttrContentType) + "\x31\x0b\x06\x09" + string(oidData)
	rsaDER           = "\x30\x0d\x06\x09" + string(oidRSA) + "\x05\x00"
)

// attribute is one Attribute with one value.
func attribute(typ oid, value []byte) []byte {
	n := ber.Size(len(typ)) + ber.Size(len(value))
	out := ber.AppendHeader(make([]byte, 0, ber.Size(n)), ber.Sequence, int64(n))
	return ber.Append(ber.AppendString(out, ber.OID, string(typ)), ber.Set, value)
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
		certID = append(digestOID(d.o.Digest).algorithm(), certID...)
	}
	list := [][]byte{
		[]byte(dataAttributeDER),
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

// parts are the lengths of what the SignedData is nested of: assemble writes from them in one piece.
type parts struct{ digestAlg, issuerSerial, certs, signer, signed int }

func (d *DetachedSigner) parts(attrs, value int) parts {
	var p parts
	p.digestAlg = ber.Size(ber.Size(len(digestOID(d.o.Digest)))) // parameters absent (CMS-07)
	p.issuerSerial = len(d.o.Signer.Cert.RawIssuer) + ber.Size(serialSize(d.o.Signer.Cert))
	p.certs = len(d.o.Signer.Cert.Raw)
	for _, c := range d.o.Signer.Chain {
		p.certs += len(c.Raw)
	}
	const version = 3
	p.signer = version + ber.Size(p.issuerSerial) + p.digestAlg + attrs + len(d.sigAlg) + ber.Size(value)
	p.signed = version + ber.Size(p.digestAlg) + ber.Size(ber.Size(len(oidData))) + ber.Size(p.certs) + ber.Size(ber.Size(p.signer))
	return p
}

// length is the length of the SignedData with attributes and a signature of those lengths.
func (d *DetachedSigner) length(attrs, value int) int {
	return ber.Size(ber.Size(len(oidSignedData)) + ber.Size(ber.Size(d.parts(attrs, value).signed)))
}

func (d *DetachedSigner) assemble(attrs, value []byte) []byte {
	p := d.parts(len(attrs), len(value))
	digest := string(digestOID(d.o.Digest))
	explicit := ber.Size(p.signed)
	all := ber.Size(len(oidSignedData)) + ber.Size(explicit)
	b := ber.AppendHeader(make([]byte, 0, ber.Size(all)), ber.Sequence, int64(all))
	b = ber.AppendString(b, ber.OID, string(oidSignedData))
	b = ber.AppendHeader(b, ber.ContextConstructed(0), int64(explicit))
	b = ber.AppendHeader(b, ber.Sequence, int64(p.signed))
	b = append(b, ber.Integer, 1, 1)
	b = ber.AppendHeader(b, ber.Set, int64(p.digestAlg))
	b = ber.AppendString(ber.AppendHeader(b, ber.Sequence, int64(ber.Size(len(digest)))), ber.OID, digest)
	b = ber.AppendString(ber.AppendHeader(b, ber.Sequence, int64(ber.Size(len(oidData)))), ber.OID, string(oidData))
	b = ber.AppendHeader(b, ber.ContextConstructed(0), int64(p.certs))
	for _, c := range d.certificates() {
		b = append(b, c...)
	}
	b = ber.AppendHeader(b, ber.Set, int64(ber.Size(p.signer)))
	b = ber.AppendHeader(b, ber.Sequence, int64(p.signer))
	b = append(b, ber.Integer, 1, 1)
	b = appendIssuerAndSerial(b, d.o.Signer.Cert)
	b = ber.AppendString(ber.AppendHeader(b, ber.Sequence, int64(ber.Size(len(digest)))), ber.OID, digest)
	b = append(append(b, ber.ContextConstructed(0)), attrs[1:]...)
	b = append(b, d.sigAlg...)
	return ber.Append(b, ber.OctetString, value)
}

// certificates are the signer's and its chain, in DER order of a SET.
func (d *DetachedSigner) certificates() [][]byte {
	certs := make([][]byte, 0, 1+len(d.o.Signer.Chain))
	certs = append(certs, d.o.Signer.Cert.Raw)
	for _, c := range d.o.Signer.Chain {
		certs = append(certs, c.Raw)
	}
	slices.SortFunc(certs, bytes.Compare)
	return certs
}
