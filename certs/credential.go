// Package certs is what a Direct gateway knows of its own and other people's end-entity
// certificates: a Credential is a certificate of ours with its private key, and says for whom and
// for what it may be used (AS-11, AS-12, AS-15).
//
// The packages below it find certificates of others (discover, dnscert, ldapcert over dnsclient),
// read and write key files (keyfile), make pilot certificates (issue) and lay out what the public
// DNS says of the domains hosted here (zone). None of them believes a certificate: whether one may
// be used is decided by package trust, which certs does not know.
//
// Limits: one certificate 64 KiB, RSA keys 2048 to 8192 bits for credentials.
package certs

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"postern/smime/addr"
)

// ErrKeyMismatch says that a private key does not belong to the certificate it was given with.
var ErrKeyMismatch = errors.New("certs: private key does not belong to the certificate")

// Credential is an end-entity certificate of ours with its private key. The zero Credential can do
// nothing. Make one with NewCredential, which checks that key and certificate belong together.
type Credential struct {
	ID    string              // Fingerprint of Cert
	Cert  *x509.Certificate   // the end-entity certificate
	Chain []*x509.Certificate // its intermediates, nearest first, without the anchor; may be empty
	Key   any                 // crypto.Signer and, for RSA, crypto.Decrypter; for key agreement *ecdsa.PrivateKey, *ecdh.PrivateKey or an Agreer
}

// Agreer is a private key that can do ECDH without showing itself, as one in a hardware module.
type Agreer interface {
	ECDH(remote *ecdh.PublicKey) ([]byte, error)
}

// NewCredential pairs a certificate with its key. It fails with ErrKeyMismatch when they do not
// belong together.
func NewCredential(cert *x509.Certificate, chain []*x509.Certificate, key any) (Credential, error) {
	if cert == nil || key == nil {
		return Credential{}, errors.New("certs: credential needs a certificate and a key")
	}
	if !Owns(key, cert) {
		return Credential{}, fmt.Errorf("%w (%s)", ErrKeyMismatch, cert.Subject)
	}
	return Credential{ID: Fingerprint(cert), Cert: cert, Chain: chain, Key: key}, nil
}

// Owns reports whether key is the private half of the public key in cert.
func Owns(key any, cert *x509.Certificate) bool {
	public, ok := key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return false
	}
	type comparable interface{ Equal(crypto.PublicKey) bool }
	switch have := public.Public().(type) {
	case *ecdh.PublicKey:
		if want, ok := cert.PublicKey.(*ecdsa.PublicKey); ok {
			point, err := want.ECDH()
			return err == nil && have.Equal(point)
		}
		return have.Equal(publicKey(cert))
	case comparable:
		return have.Equal(cert.PublicKey)
	}
	return false
}

// CanSign reports whether the key usage allows signing (AS-15) and the key is able to. A
// certificate without a keyUsage extension may be used for both (RFC 5280 §4.2.1.3).
func (c Credential) CanSign() bool {
	if c.Cert == nil || !allows(c.Cert, x509.KeyUsageDigitalSignature) {
		return false
	}
	_, ok := c.Key.(crypto.Signer)
	return ok
}

// CanDecrypt reports whether the key usage allows receiving (AS-15: keyEncipherment for RSA,
// keyAgreement for elliptic curves) and the key is able to.
func (c Credential) CanDecrypt() bool {
	if c.Cert == nil || !CanReceive(c.Cert) {
		return false
	}
	switch publicKey(c.Cert).(type) {
	case *rsa.PublicKey:
		_, ok := c.Key.(crypto.Decrypter)
		return ok
	case *ecdsa.PublicKey, *ecdh.PublicKey:
		switch c.Key.(type) {
		case *ecdsa.PrivateKey, Agreer:
			return true
		}
	}
	return false
}

// CanReceive reports whether messages may be encrypted to cert by its key usage. Only such
// certificates are worth publishing (CD-02).
func CanReceive(cert *x509.Certificate) bool {
	switch publicKey(cert).(type) {
	case *rsa.PublicKey:
		return allows(cert, x509.KeyUsageKeyEncipherment)
	case *ecdsa.PublicKey, *ecdh.PublicKey:
		return allows(cert, x509.KeyUsageKeyAgreement)
	}
	return false
}

// publicKey also reads the X25519 keys that x509 leaves unparsed in certificates.
func publicKey(cert *x509.Certificate) any {
	if cert.PublicKey != nil {
		return cert.PublicKey
	}
	key, err := x509.ParsePKIXPublicKey(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil
	}
	return key
}

func allows(cert *x509.Certificate, use x509.KeyUsage) bool {
	return cert.KeyUsage == 0 || cert.KeyUsage&use != 0
}

// Ways in which a certificate is bound.
const (
	BoundAddress = "address" // SAN rfc822Name is the full address (AS-11)
	BoundDomain  = "domain"  // SAN dNSName is the Health Domain Name (AS-12)
)

// BoundTo reports whether, and how, the credential's certificate is bound to the address.
func (c Credential) BoundTo(a addr.Address) (how string, ok bool) {
	if c.Cert == nil {
		return "", false
	}
	return Binding(c.Cert, a)
}

// Binding reports whether, and how, a certificate is bound to an address: by a SAN rfc822Name equal
// to it without regard to case, or by a SAN dNSName equal to its domain, never by suffix, wildcard,
// subject e-mail or CN (AS-11, AS-12, AS-14). A "+tag" in the address does not count (AS-04).
func Binding(cert *x509.Certificate, a addr.Address) (how string, ok bool) {
	if a.IsZero() {
		return "", false
	}
	for _, name := range cert.EmailAddresses {
		bound, err := addr.Parse(name)
		if err == nil && (bound.Equal(a) || bound.Equal(a.WithoutTag())) {
			return BoundAddress, true
		}
	}
	for _, name := range cert.DNSNames {
		if strings.EqualFold(strings.TrimSuffix(name, "."), a.Domain().String()) {
			return BoundDomain, true
		}
	}
	return "", false
}

// Fingerprint is the SHA-256 of the certificate's DER in lower-case hexadecimal: its id everywhere.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}
