// Package testpki makes certificates, honest and otherwise, for the tests of the trust packages.
package testpki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"testing"
	"time"
)

// Now is the instant tests judge at unless they say otherwise.
var Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// Authority is a certificate with its key.
type Authority struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// Option changes a template before it is signed.
type Option func(*x509.Certificate)

// Root makes a self-signed CA with a P-256 key.
func Root(t testing.TB, name string, opts ...Option) *Authority {
	t.Helper()
	return RootWith(t, ECKey(t), name, opts...)
}

// RootWith makes a self-signed CA with the given key.
func RootWith(t testing.TB, key crypto.Signer, name string, opts ...Option) *Authority {
	t.Helper()
	tmpl := template(name, append([]Option{AsCA}, opts...))
	return &Authority{Sign(t, tmpl, tmpl, key.Public(), key), key}
}

// Sub makes an intermediate CA below a.
func (a *Authority) Sub(t testing.TB, name string, opts ...Option) *Authority {
	t.Helper()
	return a.SubWith(t, ECKey(t), name, opts...)
}

// SubWith makes an intermediate CA with the given key.
func (a *Authority) SubWith(t testing.TB, key crypto.Signer, name string, opts ...Option) *Authority {
	t.Helper()
	tmpl := template(name, append([]Option{AsCA}, opts...))
	return &Authority{Sign(t, tmpl, a.Cert, key.Public(), a.Key), key}
}

// Leaf makes an end-entity certificate for signing and encryption, bound to one address.
func (a *Authority) Leaf(t testing.TB, email string, opts ...Option) *Authority {
	t.Helper()
	return a.LeafWith(t, ECKey(t), email, opts...)
}

// LeafWith makes an end-entity certificate with the given key.
func (a *Authority) LeafWith(t testing.TB, key crypto.Signer, email string, opts ...Option) *Authority {
	t.Helper()
	return &Authority{Sign(t, template(email, append([]Option{AsLeaf(email)}, opts...)), a.Cert, key.Public(), a.Key), key}
}

// SelfSigned makes an end-entity certificate that issued itself.
func SelfSigned(t testing.TB, key crypto.Signer, name string, opts ...Option) *Authority {
	t.Helper()
	tmpl := template(name, opts)
	return &Authority{Sign(t, tmpl, tmpl, key.Public(), key), key}
}

func template(name string, opts []Option) *x509.Certificate {
	tmpl := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Postern tests"}},
		NotBefore:    Now.AddDate(-1, 0, 0),
		NotAfter:     Now.AddDate(1, 0, 0),
	}
	for _, o := range opts {
		o(tmpl)
	}
	return tmpl
}

// AsCA marks a CA.
func AsCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	c.MaxPathLen = -1
}

// AsLeaf marks a dual-use end entity bound to an address.
func AsLeaf(email string) Option {
	return func(c *x509.Certificate) {
		c.BasicConstraintsValid = true
		c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		if email != "" {
			c.EmailAddresses = []string{email}
		}
	}
}

// Dates sets the validity, in days from Now.
func Dates(from, to int) Option {
	return func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = Now.AddDate(0, 0, from), Now.AddDate(0, 0, to)
	}
}

// Sign makes one certificate and parses it again.
func Sign(t testing.TB, tmpl, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, by)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(t, der)
}

// Parse parses DER.
func Parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		panic(err)
	}
	return n.SetBit(n, 100, 1) // always 13 octets, never with the sign bit
}

// ECKey makes a P-256 key.
func ECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var (
	rsaMu   sync.Mutex
	rsaKeys = map[[2]int]*rsa.PrivateKey{}
)

// RSAKey is the n-th RSA key of that size: made once a test run, since making one is slow.
func RSAKey(t testing.TB, bits, n int) *rsa.PrivateKey {
	t.Helper()
	rsaMu.Lock()
	defer rsaMu.Unlock()
	if k := rsaKeys[[2]int{bits, n}]; k != nil {
		return k
	}
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	rsaKeys[[2]int{bits, n}] = k
	return k
}
