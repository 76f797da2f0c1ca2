package issue_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/lab/peer"
	"postern/smime/addr"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

var (
	now     = time.Now()
	john    = addr.MustParse("John.Doe@direct.example.org")
	clinic  = addr.MustDomain("direct.example.org")
	verbose = addr.MustParse("a.person.with.a.very.long.local.part.indeed.over.the.limit@direct.a-hospital-with-a-long-name.example.org")
)

func authority(t testing.TB, alg issue.Algorithm) *issue.Authority {
	t.Helper()
	a, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot Root", Organization: "Example Clinic", Algorithm: alg, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// made is everything this package issues, by name.
func made(t testing.TB) map[string]*x509.Certificate {
	t.Helper()
	out := map[string]*x509.Certificate{}
	for _, alg := range []issue.Algorithm{issue.RSA2048, issue.P256} {
		root := authority(t, alg)
		key, err := issue.NewKey(alg) // one for all: making RSA keys is slow
		if err != nil {
			t.Fatal(err)
		}
		sub, err := root.Intermediate(issue.AuthorityOptions{Name: "Pilot Issuing", Organization: "Example Clinic", Algorithm: alg, Now: now,
			CRL: []string{"http://pki.example.org/root.crl"}, AIA: []string{"http://pki.example.org/root.cer"}})
		if err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprint(alg, " root")], out[fmt.Sprint(alg, " intermediate")] = root.Cert, sub.Cert
		for _, use := range []issue.Use{issue.Dual, issue.Sign, issue.Encrypt} {
			for name, o := range map[string]issue.LeafOptions{"address": {Address: john}, "domain": {Domain: clinic}, "long address": {Address: verbose}} {
				o.Use, o.Key, o.Now, o.Organization = use, key, now, "Example Clinic"
				o.CRL, o.AIA = []string{"http://pki.example.org/sub.crl"}, []string{"http://pki.example.org/sub.cer"}
				c, err := sub.Leaf(o)
				if err != nil {
					t.Fatal(err)
				}
				out[fmt.Sprint(alg, " ", name, " ", use)] = c.Cert
			}
		}
	}
	return out
}

func TestLintClean(t *testing.T) {
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813, lint.Community}})
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for name, c := range made(t) {
		parsed, err := zx509.ParseCertificate(c.Raw)
		if err != nil {
			t.Fatal(err)
		}
		for id, r := range zlint.LintCertificateEx(parsed, registry).Results {
			switch {
			case r.Status == lint.Pass:
				passed++
			case r.Status > lint.Notice: // warnings, errors
				t.Errorf("%s: %s: %s %s", name, id, r.Status, r.Details)
			}
		}
	}
	if passed < 500 {
		t.Errorf("only %d lints passed: were they run?", passed)
	}
}

func TestListsLintClean(t *testing.T) {
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280, lint.Community}})
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []issue.Algorithm{issue.RSA2048, issue.P256} {
		root := authority(t, alg)
		for name, serials := range map[string][]*big.Int{"empty": nil, "one revoked": {big.NewInt(7)}} {
			der, err := root.RevocationList(1, now, now.Add(time.Hour), serials...)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := zx509.ParseRevocationList(der)
			if err != nil {
				t.Fatal(err)
			}
			passed := 0
			for id, r := range zlint.LintRevocationListEx(parsed, registry).Results {
				switch {
				case r.Status == lint.Pass:
					passed++
				case r.Status > lint.Notice:
					t.Errorf("%s %s: %s: %s %s", alg, name, id, r.Status, r.Details)
				}
			}
			if passed == 0 {
				t.Errorf("%s %s: no lint was run", alg, name)
			}
		}
	}
}

func TestShape(t *testing.T) {
	serials := map[string]bool{}
	for name, c := range made(t) {
		if c.Version != 3 || c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() < 64 || c.SerialNumber.BitLen() > 159 || serials[c.SerialNumber.String()] {
			t.Errorf("%s: version %d, serial %v", name, c.Version, c.SerialNumber)
		}
		serials[c.SerialNumber.String()] = true
		if len(c.SubjectKeyId) != 20 || !strings.Contains(name, "root") && len(c.AuthorityKeyId) != 20 {
			t.Errorf("%s: key identifiers of %d and %d octets", name, len(c.SubjectKeyId), len(c.AuthorityKeyId))
		}
		critical := map[string]bool{}
		for _, e := range c.Extensions {
			critical[e.Id.String()] = e.Critical
		}
		if !critical["2.5.29.15"] {
			t.Errorf("%s: key usage is not critical", name)
		}
		if c.IsCA != (strings.Contains(name, "root") || strings.Contains(name, "intermediate")) {
			t.Errorf("%s: CA is %v", name, c.IsCA)
		}
		if c.IsCA {
			continue
		}
		if len(c.EmailAddresses)+len(c.DNSNames) != 1 || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageEmailProtection {
			t.Errorf("%s: names %v %v, extended key usage %v", name, c.EmailAddresses, c.DNSNames, c.ExtKeyUsage)
		}
		receive := x509.KeyUsageKeyEncipherment
		if strings.HasPrefix(name, "p256") {
			receive = x509.KeyUsageKeyAgreement
		}
		want := map[string]x509.KeyUsage{"dual": x509.KeyUsageDigitalSignature | receive, "sign": x509.KeyUsageDigitalSignature, "encrypt": receive}[name[strings.LastIndex(name, " ")+1:]]
		if c.KeyUsage != want {
			t.Errorf("%s: key usage %b, want %b", name, c.KeyUsage, want)
		}
		if strings.Contains(name, "long address") && (c.Subject.CommonName != "" || c.EmailAddresses[0] != verbose.String()) {
			t.Errorf("%s: subject %s, SAN %v", name, c.Subject, c.EmailAddresses)
		}
	}
}

func TestPair(t *testing.T) {
	signing, encryption, err := authority(t, issue.P256).Pair(issue.LeafOptions{Address: john, Algorithm: issue.P256, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if !signing.CanSign() || signing.CanDecrypt() || encryption.CanSign() || !encryption.CanDecrypt() {
		t.Error("uses are mixed up")
	}
	if certs.Owns(signing.Key, encryption.Cert) {
		t.Error("the pair shares a key")
	}
}

func TestRefusals(t *testing.T) {
	root := authority(t, issue.P256)
	for name, o := range map[string]issue.LeafOptions{
		"no name":           {Now: now},
		"two names":         {Now: now, Address: john, Domain: clinic},
		"no time":           {Address: john},
		"unknown algorithm": {Now: now, Address: john, Algorithm: "rsa1024"},
		"unknown use":       {Now: now, Address: john, Use: "both", Algorithm: issue.P256},
	} {
		if _, err := root.Leaf(o); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	if _, err := issue.NewAuthority(issue.AuthorityOptions{Name: "x"}); err == nil {
		t.Error("authority without time")
	}
	c, err := root.Leaf(issue.LeafOptions{Address: john, Algorithm: issue.P256, Now: now, Life: 100 * 365 * 24 * time.Hour})
	if err != nil || c.Cert.NotAfter.After(root.Cert.NotAfter) {
		t.Errorf("leaf outlives its authority: %v", err)
	}
}

func TestRequests(t *testing.T) {
	root := authority(t, issue.P256)
	key, err := issue.NewKey(issue.P256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := issue.Request(issue.LeafOptions{Address: john, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	spoiled := bytes.Clone(der)
	spoiled[len(spoiled)-5] ^= 1
	for _, tc := range []struct {
		situation string
		der       []byte
		o         issue.LeafOptions
		err       error
	}{
		{"the name allowed", der, issue.LeafOptions{Address: john, Now: now}, nil},
		{"in other case", der, issue.LeafOptions{Address: addr.MustParse("john.doe@DIRECT.example.org"), Now: now}, nil},
		{"another address", der, issue.LeafOptions{Address: addr.MustParse("eve@direct.example.org"), Now: now}, issue.ErrRequest},
		{"the domain", der, issue.LeafOptions{Domain: clinic, Now: now}, issue.ErrRequest},
		{"signature spoiled", spoiled, issue.LeafOptions{Address: john, Now: now}, issue.ErrRequest},
		{"rubbish", []byte("rubbish"), issue.LeafOptions{Address: john, Now: now}, issue.ErrRequest},
		{"too long", make([]byte, issue.MaxRequest+1), issue.LeafOptions{Address: john, Now: now}, issue.ErrRequest},
	} {
		c, err := root.FromRequest(tc.der, tc.o)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, want %v", tc.situation, err, tc.err)
		}
		if tc.err == nil && (err != nil || !certs.Owns(key, c)) {
			t.Errorf("%s: %v", tc.situation, err)
		}
	}
}

// OpenSSL's own opinion of chain, request and revocation list.
func TestOpenSSL(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	dir := t.TempDir()
	file := func(name, kind string, der ...[]byte) string {
		var out []byte
		for _, d := range der {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: d})...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, out, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(openssl, args...).CombinedOutput()
		if err != nil {
			t.Errorf("openssl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for _, alg := range []issue.Algorithm{issue.RSA2048, issue.P256} {
		root := authority(t, alg)
		sub, err := root.Intermediate(issue.AuthorityOptions{Name: "Pilot Issuing", Algorithm: alg, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		good, err := sub.Leaf(issue.LeafOptions{Address: john, Algorithm: alg, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		bad, err := sub.Leaf(issue.LeafOptions{Domain: clinic, Algorithm: alg, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		rootFile, subFile := file("root.pem", "CERTIFICATE", root.Cert.Raw), file("sub.pem", "CERTIFICATE", sub.Cert.Raw)
		goodFile, badFile := file("good.pem", "CERTIFICATE", good.Cert.Raw), file("bad.pem", "CERTIFICATE", bad.Cert.Raw)
		crl, err := sub.RevocationList(1, now, now.Add(time.Hour), bad.Cert.SerialNumber)
		if err != nil {
			t.Fatal(err)
		}
		crlFile := file("sub.crl", "X509 CRL", crl)
		purposes := []string{"smimesign", "smimeencrypt"}
		if alg == issue.P256 {
			purposes = purposes[:1] // OpenSSL asks for keyEncipherment, which RFC 8813 §3 forbids in a certificate for ECDH
		}
		for _, purpose := range purposes {
			if out := run("verify", "-x509_strict", "-purpose", purpose, "-CAfile", rootFile, "-untrusted", subFile, goodFile, badFile); !strings.Contains(out, "bad.pem: OK") {
				t.Errorf("%s", out)
			}
		}
		run("verify", "-x509_strict", "-crl_check", "-CRLfile", crlFile, "-CAfile", rootFile, "-untrusted", subFile, goodFile)
		if out, err := exec.Command(openssl, "verify", "-crl_check", "-CRLfile", crlFile, "-CAfile", rootFile, "-untrusted", subFile, badFile).CombinedOutput(); err == nil || !strings.Contains(string(out), "certificate revoked") {
			t.Errorf("revoked certificate: %v\n%s", err, out)
		}
		if out := run("x509", "-in", goodFile, "-noout", "-checkemail", john.String()); !strings.Contains(out, "does match") {
			t.Errorf("%s", out)
		}
		key, err := issue.NewKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		der, err := issue.Request(issue.LeafOptions{Domain: clinic, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		out := run("req", "-in", file("req.pem", "CERTIFICATE REQUEST", der), "-noout", "-verify", "-text")
		for _, w := range []string{"verify OK", "DNS:direct.example.org", "Key Usage: critical", "E-mail Protection"} {
			if !strings.Contains(out, w) {
				t.Errorf("request does not say %q:\n%s", w, out)
			}
		}
	}
}
