package smime_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postern/gateway/lab/corpus"
	"postern/smime"
)

// testTime lies inside every test certificate's validity.
func testTime() time.Time { return time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC) }

// person is one test identity: a certificate and its key, made once per test run.
type person struct {
	cert *x509.Certificate
	key  any
}

func (p person) identity() smime.Identity {
	return smime.Identity{Cert: p.cert, Key: p.key.(crypto.Signer)}
}

func (p person) decrypt() smime.Key { return smime.Key{Cert: p.cert, Private: p.key} }

// files writes the certificate and key as PEM for other programs.
func (p person) files(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return certFile, keyFile
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

var cast = struct {
	sync.Mutex
	people map[string]person
}{people: map[string]person{}}

// someone is the test identity of that name and kind of key; the same one each time.
func someone(t testing.TB, name, kind string) person {
	t.Helper()
	cast.Lock()
	defer cast.Unlock()
	if p, ok := cast.people[name+kind]; ok {
		return p
	}
	p := newPerson(t, name, kind)
	cast.people[name+kind] = p
	return p
}

func newPerson(t testing.TB, name, kind string) person {
	t.Helper()
	if kind == "x25519" { // crypto/x509 cannot make such a certificate
		return fromCorpus(t, "rfc9216/dana.encrypt.crt", "rfc9216/dana.encrypt.key")
	}
	key, pub := newKey(t, kind)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	ski := make([]byte, 20)
	rand.Read(ski)
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name + " " + kind, Organization: []string{"Postern Test"}},
		NotBefore: testTime().AddDate(-1, 0, 0), NotAfter: testTime().AddDate(3, 0, 0), SubjectKeyId: ski,
		EmailAddresses: []string{name + "@" + name + ".example"},
		KeyUsage:       x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	return person{issue(t, tmpl, pub), key}
}

// issue makes a certificate under the test authority.
func issue(t testing.TB, tmpl *x509.Certificate, pub any) *x509.Certificate {
	t.Helper()
	ca := authority(t)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, pub, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

var testAuthority struct {
	sync.Mutex
	person
}

// authority is the anchor of every test identity.
func authority(t testing.TB) person {
	t.Helper()
	testAuthority.Lock()
	defer testAuthority.Unlock()
	if testAuthority.cert != nil {
		return testAuthority.person
	}
	key, pub := newKey(t, "rsa2048")
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority", Organization: []string{"Postern Test"}},
		NotBefore: testTime().AddDate(-2, 0, 0), NotAfter: testTime().AddDate(9, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte("test authority"),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	testAuthority.person = person{cert, key}
	return testAuthority.person
}

func newKey(t testing.TB, kind string) (key, pub any) {
	t.Helper()
	var err error
	switch kind {
	case "rsa2048", "rsa3072", "rsa4096":
		bits := map[string]int{"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}[kind]
		var k *rsa.PrivateKey
		k, err = rsa.GenerateKey(rand.Reader, bits)
		key, pub = k, k.Public()
	case "p256", "p384", "p521":
		curve := map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()}[kind]
		var k *ecdsa.PrivateKey
		k, err = ecdsa.GenerateKey(curve, rand.Reader)
		key, pub = k, k.Public()
	case "ed25519":
		var p ed25519.PublicKey
		var k ed25519.PrivateKey
		p, k, err = ed25519.GenerateKey(rand.Reader)
		key, pub = k, p
	default:
		t.Fatalf("no key of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key, pub
}

// fromCorpus is an identity of the corpus: certificate and PKCS#8 key in PEM.
func fromCorpus(t testing.TB, certFile, keyFile string) person {
	t.Helper()
	dir := corpus.Dir(t, "smime")
	return readPair(t, filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
}

// readPerson reads what files wrote.
func readPerson(t testing.TB, dir, name string) person {
	t.Helper()
	return readPair(t, filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
}

func readPair(t testing.TB, certFile, keyFile string) person {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(b)
		if block == nil {
			t.Fatalf("%s is not PEM", name)
		}
		return block.Bytes
	}
	cert, err := x509.ParseCertificate(read(certFile))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(read(keyFile))
	if err != nil {
		t.Fatal(err)
	}
	return person{cert, key}
}

// referral is a small inner message.
func referral() []byte {
	return []byte("From: \"Dr. Ada Alvarez\" <ada@hospital.example>\r\n" +
		"To: \"Clinic\" <ben@clinic.example>\r\n" +
		"Subject: Referral for Jane Doe\r\n" +
		"Date: Sat, 14 Mar 2026 15:09:26 +0000\r\n" +
		"Message-ID: <one@hospital.example>\r\n" +
		"MIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=us-ascii\r\n\r\n" +
		"Please see this patient.\r\n")
}

// content makes a section of octets.
func content(b []byte) smime.Content {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// sealed seals or ends the test.
func sealed(t testing.TB, inner []byte, o smime.SealOptions) []byte {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = testTime()
	}
	var out bytes.Buffer
	if _, err := smime.Seal(&out, content(inner), o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// opened opens or ends the test.
func opened(t testing.TB, msg []byte, o smime.OpenOptions) *smime.Opened {
	t.Helper()
	got, err := smime.Open(bytes.NewReader(msg), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	})
	return got
}

func all(t testing.TB, c smime.Content) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
