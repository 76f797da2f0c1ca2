package tlsfile_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/edge/tlsfile"
)

func write(t *testing.T, pair tlsfile.Pair, cert, key []byte) {
	t.Helper()
	for name, b := range map[string][]byte{pair.Cert: cert, pair.Key: key} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// issue makes a self-signed certificate and its key.
func issue(t *testing.T, serial int64, name string, key crypto.Signer) (cert, keyText []byte) {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})
}

func ec(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pairIn(dir string, name string) tlsfile.Pair {
	return tlsfile.Pair{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
}

// served is the serial number of the certificate a client is shown.
func served(t *testing.T, s *tlsfile.Source, client *tls.Config) int64 {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tls.Server(a, s.Config()).Handshake() // the client's view is what counts
	}()
	client.InsecureSkipVerify = true
	c := tls.Client(b, client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	serial := c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	b.Close()
	<-done
	return serial
}

func TestReload(t *testing.T) {
	pair := pairIn(t.TempDir(), "a")
	cert1, key1 := issue(t, 1, "a.example", ec(t))
	cert2, key2 := issue(t, 2, "a.example", ec(t))
	write(t, pair, cert1, key1)
	now := time.Now()
	s, err := tlsfile.Open([]tlsfile.Pair{pair}, nil, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	later := func(d time.Duration) { now = now.Add(d) }
	stamp := now
	change := func(cert, key []byte) {
		write(t, pair, cert, key)
		stamp = stamp.Add(time.Minute) // a file system's clock may be coarse
		for _, f := range []string{pair.Cert, pair.Key} {
			if err := os.Chtimes(f, stamp, stamp); err != nil {
				t.Fatal(err)
			}
		}
	}
	steps := []struct {
		name string
		do   func()
		want int64
	}{
		{"as opened", func() {}, 1},
		{"renewed, too early to look", func() { change(cert2, key2); later(time.Second) }, 1},
		{"renewed", func() { later(time.Second) }, 2},
		{"half written", func() { change(cert1, key2); later(time.Minute) }, 2},
		{"whole again", func() { change(cert1, key1); later(time.Minute) }, 1},
		{"gone", func() { os.Remove(pair.Key); later(time.Minute) }, 1},
		{"not PEM", func() { change([]byte("x"), []byte("y")); later(time.Minute) }, 1},
		{"back, and the clock too", func() { change(cert2, key2); later(-time.Hour) }, 2},
	}
	for _, st := range steps {
		st.do()
		if got := served(t, s, &tls.Config{}); got != st.want {
			t.Errorf("%s: certificate %d, want %d", st.name, got, st.want)
		}
	}
	if c := s.Certificates(); len(c) != 1 || c[0].SerialNumber.Int64() != 2 {
		t.Errorf("certificates %v", c)
	}
}

func TestChoice(t *testing.T) {
	dir := t.TempDir()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pairs := []tlsfile.Pair{pairIn(dir, "ec"), pairIn(dir, "rsa"), pairIn(dir, "other")}
	for i, k := range []crypto.Signer{ec(t), rsaKey, ec(t)} {
		cert, key := issue(t, int64(i+1), []string{"a.example", "a.example", "b.example"}[i], k)
		write(t, pairs[i], cert, key)
	}
	s, err := tlsfile.Open(pairs, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		client *tls.Config
		want   int64
	}{
		"first that fits":  {&tls.Config{ServerName: "a.example"}, 1},
		"an RSA-only peer": {&tls.Config{ServerName: "a.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, 2},
		"another name":     {&tls.Config{ServerName: "b.example"}, 3},
		"an unknown name":  {&tls.Config{ServerName: "c.example"}, 1},
		"no name":          {&tls.Config{ServerName: ""}, 1},
	} {
		if got := served(t, s, c.client); got != c.want {
			t.Errorf("%s: certificate %d, want %d", name, got, c.want)
		}
	}
	if s.Config().MinVersion != tls.VersionTLS12 {
		t.Error("older than TLS 1.2 is let in")
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	good := pairIn(dir, "good")
	cert, key := issue(t, 1, "a.example", ec(t))
	write(t, good, cert, key)
	other := pairIn(dir, "other")
	_, otherKey := issue(t, 2, "a.example", ec(t))
	write(t, other, cert, otherKey)
	big := pairIn(dir, "big")
	write(t, big, make([]byte, tlsfile.MaxFile+1), key)
	for name, c := range map[string]struct {
		pairs []tlsfile.Pair
		says  string
	}{
		"none":                       {nil, "0 certificates"},
		"too many":                   {make([]tlsfile.Pair, tlsfile.MaxPairs+1), "17 certificates"},
		"no such file":               {[]tlsfile.Pair{good, pairIn(dir, "missing")}, "missing.pem"},
		"another's key":              {[]tlsfile.Pair{other}, "other.key"},
		"not a file of certificates": {[]tlsfile.Pair{big}, "over 1 MiB"},
	} {
		if _, err := tlsfile.Open(c.pairs, nil, nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
