package keyfile_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway/lab/peer"
	"postern/smime/addr"
)

func credential(t testing.TB, alg issue.Algorithm) certs.Credential {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Leaf(issue.LeafOptions{Address: addr.MustParse("a@direct.example.org"), Algorithm: alg, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestBadFiles(t *testing.T) {
	c := credential(t, issue.P256)
	cert, key := block("CERTIFICATE", c.Cert.Raw), block("PRIVATE KEY", pkcs8(t, c.Key))
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p12, err := keyfile.WritePKCS12(c, "right", false)
	if err != nil {
		t.Fatal(err)
	}
	huge := bytes.Replace(p12, []byte{0x02, 0x03, 0x01, 0x86, 0xa0}, []byte{0x02, 0x03, 0x7f, 0xff, 0xff}, -1) // 100,000 rounds become 8 million, twice and more
	if bytes.Equal(huge, p12) {
		t.Fatal("the round counts were not found")
	}
	otherSalt := bytes.Clone(huge) // the salts under a context-specific tag of the same number, which the library takes too
	for at := range otherSalt[:len(otherSalt)-23] {
		if otherSalt[at] == 4 && otherSalt[at+1] == 16 && bytes.Equal(otherSalt[at+18:at+23], []byte{0x02, 0x03, 0x7f, 0xff, 0xff}) {
			otherSalt[at] = 0x84
		}
	}
	if bytes.Equal(otherSalt, huge) {
		t.Fatal("the salts were not found")
	}
	many := bytes.Repeat(key, keyfile.MaxKeys+1)
	for _, tc := range []struct {
		situation, password string
		file                []byte
		reason              keyfile.Reason
		words               string
	}{
		{"empty", "", nil, keyfile.ReasonUnreadable, "the file is empty"},
		{"rubbish", "", []byte("rubbish"), keyfile.ReasonUnreadable, "neither PEM nor PKCS#12"},
		{"old Java key store", "", []byte("\xfe\xed\xfe\xed\x00\x00\x00\x02"), keyfile.ReasonUnsupported, "keytool -importkeystore"},
		{"too large", "", make([]byte, keyfile.MaxFile+1), keyfile.ReasonTooLarge, "octets"},
		{"PKCS#12 with the wrong password", "wrong", p12, keyfile.ReasonPassword, "wrong password"},
		{"PKCS#12 without a password", "", p12, keyfile.ReasonPassword, "wrong password"},
		{"PKCS#12 cut off", "right", p12[:len(p12)/2], keyfile.ReasonUnreadable, "not a PKCS#12 file"},
		{"PKCS#12 with octets behind", "right", append(bytes.Clone(p12), 0, 1), keyfile.ReasonUnreadable, "not a PKCS#12 file"},
		{"PKCS#12 that asks for hours of hashing", "right", huge, keyfile.ReasonTooLarge, "password hashing rounds"},
		{"PKCS#12 that asks for them behind an odd salt", "right", otherSalt, keyfile.ReasonTooLarge, "password hashing rounds"},
		{"BER PKCS#12", "right", append([]byte{0x30, 0x80}, p12[4:]...), keyfile.ReasonUnreadable, "openssl pkcs12"},
		{"PKCS#7 of nothing", "", []byte("\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"), keyfile.ReasonUnreadable, "PKCS#7 bundle"},
		{"key without certificate", "", key, keyfile.ReasonNoCert, "no certificate"},
		{"certificate of another key", "", append(bytes.Clone(cert), block("PRIVATE KEY", pkcs8(t, foreign))...), keyfile.ReasonUnpaired, "belongs to none"},
		{"RSA key of 1,024 bits, not of this certificate", "", append(bytes.Clone(cert), block("PRIVATE KEY", pkcs8(t, weak))...), keyfile.ReasonUnpaired, "belongs to none"},
		{"key block that is none", "", append(bytes.Clone(cert), block("PRIVATE KEY", []byte("x"))...), keyfile.ReasonUnreadable, "block 2"},
		{"key of half a file", "", append(bytes.Clone(cert), block("RSA PRIVATE KEY", make([]byte, keyfile.MaxKey+1))...), keyfile.ReasonTooLarge, "private key of 16385 octets"},
		{"certificate block that is none", "", block("CERTIFICATE", []byte("x")), keyfile.ReasonUnreadable, "block 1"},
		{"more keys than are read", "", append(bytes.Clone(cert), many...), keyfile.ReasonTooLarge, "more than 16 keys"},
		{"old OpenSSL encryption", "", append(bytes.Clone(cert), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "DES-EDE3-CBC,00"}, Bytes: []byte("x")})...), keyfile.ReasonUnsupported, "openssl pkcs8"},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			_, err := keyfile.Parse(tc.file, tc.password)
			var e *keyfile.Error
			if !errors.As(err, &e) || e.Reason != tc.reason || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("%v; want %s with %q", err, tc.reason, tc.words)
			}
		})
	}
	if _, err := keyfile.Credentials(cert, ""); err == nil || !strings.Contains(err.Error(), "no private key") {
		t.Errorf("certificate alone: %v", err)
	}
	if got, err := keyfile.Parse(c.Cert.Raw, ""); err != nil || len(got.Others) != 1 {
		t.Errorf("bare DER certificate: %v", err)
	}
	if _, err := keyfile.WritePKCS12(c, "", false); err == nil {
		t.Error("wrote a private key without a password")
	}
}

// What OpenSSL writes, in the old and the new way, with and without encryption; and what it reads.
func TestOpenSSLFiles(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	dir := t.TempDir()
	one, two := credential(t, issue.RSA2048), credential(t, issue.P256)
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, content []byte) string {
		if err := os.WriteFile(path(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command(openssl, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return out
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pemOne, err := keyfile.WritePEM(one, true)
	if err != nil {
		t.Fatal(err)
	}
	in := write("one.pem", pemOne)
	for name, args := range map[string][]string{
		"modern":             nil,
		"legacy (RC2, 3DES)": {"-legacy"},
		"3DES":               {"-legacy", "-descert"},
		"AES-128":            {"-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"},
		"clear certificates": {"-certpbe", "NONE"},
		"SHA-512 MAC":        {"-macalg", "sha512"},
	} {
		run(append([]string{"pkcs12", "-export", "-in", in, "-passout", "pass:geheim", "-out", path("one.p12")}, args...)...)
		got, err := keyfile.Credentials(read("one.p12"), "geheim")
		if err != nil || len(got) != 1 || got[0].ID != one.ID {
			t.Errorf("%s: %v, %d credentials", name, err, len(got))
		}
	}
	// An encrypted PKCS#8 key in PEM beside its certificate.
	for name, args := range map[string][]string{"PBES2": {"-v2", "aes-256-cbc"}, "PBES1": {"-v1", "PBE-SHA1-3DES"}} {
		run(append([]string{"pkcs8", "-topk8", "-in", write("key.pem", block("PRIVATE KEY", pkcs8(t, two.Key))), "-passout", "pass:geheim", "-out", path("enc.pem")}, args...)...)
		file := append(block("CERTIFICATE", two.Cert.Raw), read("enc.pem")...)
		if got, err := keyfile.Credentials(file, "geheim"); err != nil || len(got) != 1 || got[0].ID != two.ID {
			t.Errorf("%s PEM: %v", name, err)
		}
		var e *keyfile.Error
		if _, err := keyfile.Credentials(file, "falsch"); !errors.As(err, &e) || e.Reason != keyfile.ReasonPassword {
			t.Errorf("%s PEM, wrong password: %v", name, err)
		}
	}
	// PKCS#7 bundles in both forms, beside nothing or beside the key.
	write("two.pem", block("CERTIFICATE", two.Cert.Raw))
	for form, key := range map[string][]byte{"DER": nil, "PEM": block("PRIVATE KEY", pkcs8(t, two.Key))} {
		run("crl2pkcs7", "-nocrl", "-certfile", path("two.pem"), "-certfile", in, "-outform", form, "-out", path("bundle.p7b"))
		got, err := keyfile.Parse(append(read("bundle.p7b"), key...), "")
		if err != nil || len(got.Others)+len(got.Credentials) < 2 || (len(got.Credentials) == 1) != (key != nil) {
			t.Errorf("PKCS#7 %s: %v, %d credentials, %d others", form, err, len(got.Credentials), len(got.Others))
		}
	}
	for _, legacy := range []bool{false, true} {
		ours, err := keyfile.WritePKCS12(one, "geheim", legacy)
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"pkcs12", "-in", write("ours.p12", ours), "-passin", "pass:geheim", "-nodes"}
		if legacy {
			args = append(args, "-legacy")
		}
		out := run(args...)
		if back, err := keyfile.Credentials(out, ""); err != nil || back[0].ID != one.ID {
			t.Errorf("legacy %v: OpenSSL reads ours as something else: %v", legacy, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	c := credential(f, issue.P256)
	file, err := keyfile.WritePKCS12(c, "x", true)
	if err != nil {
		f.Fatal(err)
	}
	text, err := keyfile.WritePEM(c, true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file, "x")
	f.Add(text, "")
	f.Add([]byte{0x30, 0x80}, "")
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		got, err := keyfile.Parse(file, password)
		if err != nil {
			var e *keyfile.Error
			if !errors.As(err, &e) || e.Reason == "" || e.Detail == "" {
				t.Errorf("error without a reason: %v", err)
			}
			return
		}
		for _, c := range got.Credentials {
			if !certs.Owns(c.Key, c.Cert) {
				t.Error("credential whose key is another's")
			}
		}
	})
}

func TestTooManyCertificates(t *testing.T) {
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	key, err := issue.NewKey(issue.P256)
	if err != nil {
		t.Fatal(err)
	}
	var file []byte
	for i := range keyfile.MaxCerts + 1 {
		if i == keyfile.MaxCerts {
			if got, err := keyfile.Parse(file, ""); err != nil || len(got.Others) != keyfile.MaxCerts {
				t.Errorf("as many as allowed: %v", err)
			}
		}
		c, err := ca.Leaf(issue.LeafOptions{Domain: addr.MustDomain("direct.example.org"), Key: key, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, block("CERTIFICATE", c.Cert.Raw)...)
	}
	var e *keyfile.Error
	if _, err := keyfile.Parse(file, ""); !errors.As(err, &e) || e.Reason != keyfile.ReasonTooLarge {
		t.Errorf("one more: %v", err)
	}
}
