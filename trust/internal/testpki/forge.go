package testpki

import (
	"bytes"
	"crypto"
	_ "crypto/md5" // for certificates that must be refused
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"testing"
)

// certificate is the outer form of a certificate.
type certificate struct {
	TBS       asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

var (
	sha256RSA = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b}
	sha1RSA   = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05}
	md5RSA    = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04}
)

// Resign puts another RSA digest under a certificate that was signed with SHA-256, as x509 no longer
// does: the object identifiers are of equal length.
func Resign(t testing.TB, c *x509.Certificate, hash crypto.Hash, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	id := sha1RSA
	if hash == crypto.MD5 {
		id = md5RSA
	}
	raw := bytes.ReplaceAll(c.Raw, sha256RSA, id)
	var out certificate
	if _, err := asn1.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	h := hash.New()
	h.Write(out.TBS.FullBytes)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, hash, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	return remake(t, out, sig)
}

// Tamper flips one bit of the signature.
func Tamper(t testing.TB, c *x509.Certificate) *x509.Certificate {
	t.Helper()
	var out certificate
	if _, err := asn1.Unmarshal(c.Raw, &out); err != nil {
		t.Fatal(err)
	}
	sig := bytes.Clone(out.Signature.Bytes)
	sig[len(sig)-1] ^= 1
	return remake(t, out, sig)
}

func remake(t testing.TB, out certificate, sig []byte) *x509.Certificate {
	t.Helper()
	out.Signature = asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
	der, err := asn1.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(t, der)
}
