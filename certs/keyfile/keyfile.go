// Package keyfile reads and writes the files in which certificates and private keys travel: PEM
// (PKCS#8 clear or encrypted, PKCS#1, SEC 1), PKCS#12 (RFC 7292), modern and legacy, and PKCS#7
// (certificates only).
//
// A file may hold several key pairs: a signing and an encryption certificate of one identity in one
// PKCS#12 is the usual form of a single-use pair (RFC 9216). PKCS#12 is read in DER and BER, under PBES2
// (AES, 3DES) and PKCS#12's own encryption (3DES, RC2), with the authentication codes of RFC 7292 and
// RFC 9879 or without one; software.sslmate.com/src/go-pkcs12 writes it.
//
// Not read: old Java key stores (JKS, JCEKS), PKCS#12 protected by a public key, scrypt, DSA and RSA-PSS keys,
// PEM keys encrypted in the old OpenSSL way. The error names the conversion command. Not judged: dates, names, trust.
//
// Limits: file 1 MiB, 100 certificates, 16 keys of 16 KiB, 5,000,000 key-derivation rounds in all.
package keyfile

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"

	"postern/certs"
	"postern/smime/cms"
	"postern/smime/cms/armour"
)

// Limits of one file.
const (
	MaxFile   = 1 << 20
	MaxCerts  = 100
	MaxKeys   = 16
	MaxKey    = 16 << 10  // octets of one private key: RSA of 8192 bits takes 5,000
	MaxRounds = 5_000_000 // password hashing rounds that one file may ask for, summed: NSS asks for 600,000 a key, a safe and a code
	MaxRSA    = 8192      // bits of an RSA key
	MinRSA    = 1024      // bits; whether one this small may be used is for the trust rules to say
)

// Reason says in one word why a file was refused.
type Reason string

// The reasons.
const (
	ReasonTooLarge    Reason = "too_large"
	ReasonUnreadable  Reason = "unreadable"
	ReasonPassword    Reason = "wrong_password"
	ReasonUnsupported Reason = "unsupported"
	ReasonNoCert      Reason = "no_certificate"
	ReasonNoKey       Reason = "no_key"
	ReasonUnpaired    Reason = "unpaired_key"
	ReasonWeakKey     Reason = "key_size"
)

// Error is the refusal of a file: why, and what the administrator can do about it.
type Error struct {
	Reason Reason
	Detail string
	Remedy string
}

func (e *Error) Error() string {
	s := "keyfile: " + e.Detail
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

func fail(reason Reason, remedy, format string, args ...any) error {
	return &Error{reason, fmt.Sprintf(format, args...), remedy}
}

// Content is what a file held.
type Content struct {
	Credentials []certs.Credential  // every certificate with a private key, in file order
	Others      []*x509.Certificate // the certificates without one, in file order
}

// Parse reads a PEM, PKCS#12, PKCS#7 or bare DER file with at least one certificate. The password is used for
// encrypted content only. A key without its certificate is an error; a certificate without a key is
// not: it comes back in Others. Every failure is an *Error.
func Parse(file []byte, password string) (Content, error) {
	if len(file) == 0 {
		return Content{}, fail(ReasonUnreadable, "give a PEM, PKCS#12 or PKCS#7 file", "the file is empty")
	}
	if len(file) > MaxFile {
		return Content{}, fail(ReasonTooLarge, "", "file has %d octets, at most %d are read", len(file), MaxFile)
	}
	var found parts
	var err error
	file = armour.Plain(file)
	switch {
	case bytes.Contains(file, []byte("-----BEGIN ")):
		found, err = parsePEM(file, password)
	case len(file) > 1 && file[0] == 0x30:
		found, err = parseDER(file, password)
	case bytes.HasPrefix(file, []byte("\xfe\xed\xfe\xed")), bytes.HasPrefix(file, []byte("\xce\xce\xce\xce")):
		err = fail(ReasonUnsupported, "convert it: keytool -importkeystore -srckeystore OLD.jks -destkeystore NEW.p12 -deststoretype PKCS12", "an old Java key store (JKS or JCEKS)")
	default:
		err = fail(ReasonUnreadable, "give a PEM, PKCS#12 or PKCS#7 file", "neither PEM nor PKCS#12")
	}
	if err != nil {
		return Content{}, err
	}
	return found.pair()
}

// Credentials reads a file that must hold at least one certificate with its key.
func Credentials(file []byte, password string) ([]certs.Credential, error) {
	c, err := Parse(file, password)
	if err != nil {
		return nil, err
	}
	if len(c.Credentials) == 0 {
		return nil, fail(ReasonNoKey, "give the file that also holds the private key", "the file holds certificates but no private key")
	}
	return c.Credentials, nil
}

// parseDER tells a bare certificate from a PKCS#12 file.
func parseDER(file []byte, password string) (parts, error) {
	if cert, err := certs.Parse(file); err == nil {
		return parts{certs: []*x509.Certificate{cert}}, nil
	}
	if isPKCS7(file) {
		var found parts
		return found, found.addBundle(file)
	}
	return parsePKCS12(file, password)
}

// isPKCS7 says whether a DER or BER file begins as a ContentInfo does: a SEQUENCE whose first element is
// an object identifier. A PKCS#12 file has its version there.
func isPKCS7(file []byte) bool {
	if len(file) < 4 {
		return false
	}
	at := 2
	if n := int(file[1] & 0x7f); file[1] > 0x80 {
		at += n
	}
	return at < len(file) && file[at] == 0x06
}

// addBundle takes the certificates of a certs-only PKCS#7 (.p7b, .p7c).
func (p *parts) addBundle(der []byte) error {
	list, _, err := cms.ParseBundle(der)
	if err != nil {
		return fail(ReasonUnreadable, "", "PKCS#7 bundle: %v", err)
	}
	for _, c := range list {
		if err := p.addCert(c); err != nil {
			return err
		}
	}
	return nil
}

// parts are the certificates and keys of a file before they are paired.
type parts struct {
	certs []*x509.Certificate
	keys  []crypto.PrivateKey
}

func (p *parts) addCert(c *x509.Certificate) error {
	for _, have := range p.certs {
		if have.Equal(c) {
			return nil
		}
	}
	if len(p.certs) == MaxCerts {
		return fail(ReasonTooLarge, "", "more than %d certificates", MaxCerts)
	}
	p.certs = append(p.certs, c)
	return nil
}

func (p *parts) addKey(k crypto.PrivateKey) error {
	if len(p.keys) == MaxKeys {
		return fail(ReasonTooLarge, "", "more than %d keys", MaxKeys)
	}
	if err := checkKey(k); err != nil {
		return err
	}
	p.keys = append(p.keys, k)
	return nil
}

// pair gives each key its certificate and each certificate its chain out of the file.
func (p *parts) pair() (Content, error) {
	if len(p.certs) == 0 {
		return Content{}, fail(ReasonNoCert, "add the certificate to the file", "the file holds no certificate")
	}
	var out Content
	used := make([]bool, len(p.keys))
	for _, cert := range p.certs {
		owned := false
		for i, key := range p.keys {
			if !certs.Owns(key, cert) {
				continue
			}
			c, err := certs.NewCredential(cert, chainOf(cert, p.certs), key)
			if err != nil {
				return Content{}, fail(ReasonUnpaired, "", "%v", err)
			}
			out.Credentials = append(out.Credentials, c)
			used[i], owned = true, true
			break
		}
		if !owned {
			out.Others = append(out.Others, cert)
		}
	}
	for i := range used {
		if !used[i] {
			return Content{}, fail(ReasonUnpaired, "add the certificate that belongs to it",
				"key %d of %d belongs to none of the %d certificates in the file", i+1, len(p.keys), len(p.certs))
		}
	}
	return out, nil
}

// chainOf follows issuer names and signatures through the file's certificates, up to but without a
// self-signed one: the anchor is never sent (AS-36).
func chainOf(cert *x509.Certificate, pool []*x509.Certificate) []*x509.Certificate {
	const maxChain = 10
	var chain []*x509.Certificate
	for at := cert; len(chain) < maxChain; {
		next := issuerOf(at, pool)
		if next == nil || next.Equal(cert) || contains(chain, next) || bytes.Equal(next.RawIssuer, next.RawSubject) {
			break
		}
		chain = append(chain, next)
		at = next
	}
	return chain
}

// Chain is the certificates of a pool that lead from cert upwards, nearest first, without the anchor.
func Chain(cert *x509.Certificate, pool []*x509.Certificate) []*x509.Certificate {
	return chainOf(cert, pool)
}

func issuerOf(cert *x509.Certificate, pool []*x509.Certificate) *x509.Certificate {
	for _, c := range pool {
		if !c.Equal(cert) && c.IsCA && bytes.Equal(c.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

func contains(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, have := range list {
		if have.Equal(c) {
			return true
		}
	}
	return false
}
