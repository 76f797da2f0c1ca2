// Package issue makes the certificates of a pilot site: a certification authority of its own, end-
// entity certificates bound to an address or to a domain (AS-11, AS-12), dual-use or as a pair of
// single-use ones (AS-15), certificate signing requests for a real authority, and revocation lists.
//
// What it makes obeys RFC 5280 and RFC 8550: version 3, random serial number of 126 bits, critical
// keyUsage, emailProtection, one subjectAltName value (AS-13), subject and authority key
// identifiers, SHA-256 signatures, RSA of 2048 bits or more, or P-256.
//
// It is not a CA product: no request queue, no OCSP, no policy engine. A pilot authority is trusted
// by those who choose to, one by one; the network's accredited authorities are reached by CSR.
package issue

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"postern/certs"
)

// Algorithm is a kind of key pair.
type Algorithm string

// The kinds of keys this package makes. The zero value means RSA2048, which every peer understands.
const (
	RSA2048 Algorithm = "rsa2048"
	RSA3072 Algorithm = "rsa3072"
	RSA4096 Algorithm = "rsa4096"
	P256    Algorithm = "p256"
)

// Default lifetimes.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	LeafLife      = 365 * 24 * time.Hour
	backdate      = 5 * time.Minute // so that a peer whose clock is a little late accepts a new certificate
)

// ErrAlgorithm says that the kind of key is not one this package makes.
var ErrAlgorithm = errors.New("issue: unknown key algorithm")

// NewKey makes a key pair from the system's random source.
func NewKey(kind Algorithm) (crypto.Signer, error) {
	switch kind {
	case "", RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("%w %q (rsa2048, rsa3072, rsa4096 or p256)", ErrAlgorithm, kind)
}

// Authority can issue certificates. Chain holds the authority's own certificates that belong into a
// message, nearest first: empty for an anchor, its own certificate and those above for an intermediate.
type Authority struct {
	Cert  *x509.Certificate
	Key   crypto.Signer
	Chain []*x509.Certificate
}

// AuthorityOptions describe a new authority. Name and Now are needed.
type AuthorityOptions struct {
	Name         string // commonName
	Organization string
	Key          crypto.Signer // nil makes one of kind Algorithm
	Algorithm    Algorithm
	Now          time.Time
	Life         time.Duration // 0 = AuthorityLife
	CRL, AIA     []string      // URLs put into an intermediate's certificate
}

// NewAuthority makes a self-signed authority: the anchor of a pilot.
func NewAuthority(o AuthorityOptions) (*Authority, error) {
	key, err := keyOf(o)
	if err != nil {
		return nil, err
	}
	template, err := authorityTemplate(o, key)
	if err != nil {
		return nil, err
	}
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{Cert: cert, Key: key}, nil
}

// Intermediate makes an authority under a; it may issue end-entity certificates only.
func (a *Authority) Intermediate(o AuthorityOptions) (*Authority, error) {
	key, err := keyOf(o)
	if err != nil {
		return nil, err
	}
	template, err := authorityTemplate(o, key)
	if err != nil {
		return nil, err
	}
	template.MaxPathLen, template.MaxPathLenZero = 0, true
	template.CRLDistributionPoints, template.IssuingCertificateURL = o.CRL, o.AIA
	if template.NotAfter.After(a.Cert.NotAfter) {
		template.NotAfter = a.Cert.NotAfter
	}
	cert, err := sign(template, a.Cert, key.Public(), a.Key)
	if err != nil {
		return nil, err
	}
	return &Authority{Cert: cert, Key: key, Chain: append([]*x509.Certificate{cert}, a.Chain...)}, nil
}

func keyOf(o AuthorityOptions) (crypto.Signer, error) {
	if o.Name == "" || o.Now.IsZero() {
		return nil, errors.New("issue: an authority needs a name and the time")
	}
	if o.Key != nil {
		return o.Key, nil
	}
	return NewKey(o.Algorithm)
}

func authorityTemplate(o AuthorityOptions, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := newSerial(rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := keyID(key.Public())
	if err != nil {
		return nil, err
	}
	life := o.Life
	if life == 0 {
		life = AuthorityLife
	}
	subject := pkix.Name{CommonName: clipName(o.Name)}
	if o.Organization != "" {
		subject.Organization = []string{clipName(o.Organization)}
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               subject,
		NotBefore:             o.Now.Add(-backdate).UTC().Truncate(time.Second),
		NotAfter:              o.Now.Add(life).UTC().Truncate(time.Second),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign, // critical: RFC 5280 §4.2.1.3
		BasicConstraintsValid: true,                                         // critical: RFC 5280 §4.2.1.9
		IsCA:                  true,
		SubjectKeyId:          id,
		SignatureAlgorithm:    algorithmFor(key),
	}, nil
}

// sign issues and reads back: what callers get is what the world will parse.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	template.SignatureAlgorithm = algorithmFor(key)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	return certs.Parse(der)
}

// algorithmFor is the signature algorithm peers accept (AS-18), by the signing key.
func algorithmFor(key crypto.Signer) x509.SignatureAlgorithm {
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		return x509.SHA256WithRSA
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			return x509.ECDSAWithSHA384
		}
		return x509.ECDSAWithSHA256
	}
	return x509.UnknownSignatureAlgorithm // the library chooses or refuses
}

// newSerial is 126 random bits in 16 octets: positive, never zero, at most 20 octets (RFC 5280
// §4.1.2.2), unguessable.
func newSerial(random io.Reader) (*big.Int, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("issue: random source: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40 // always 16 octets, never negative
	return new(big.Int).SetBytes(b[:]), nil
}

// keyID is the leftmost 160 bits of the SHA-256 of the public key (RFC 7093 §2 method 1).
func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	sum := sha256.Sum256(subjectBits(der))
	return sum[:20], nil
}
