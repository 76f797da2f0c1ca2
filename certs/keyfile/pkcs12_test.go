package keyfile_test

import (
	"bytes"
	"crypto/x509"
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
	"postern/smime/cms/ber"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// shop is a folder in which other programs make files.
type shop struct {
	t   *testing.T
	dir string
}

func newShop(t *testing.T) shop { return shop{t, t.TempDir()} }

func (s shop) path(name string) string { return filepath.Join(s.dir, name) }

func (s shop) write(name string, content []byte) string {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

func (s shop) read(name string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s shop) run(program string, args ...string) {
	s.t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// pem writes a credential with its key.
func (s shop) pem(name string, c certs.Credential) string {
	s.t.Helper()
	text, err := keyfile.WritePEM(c, true)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.write(name, text)
}

func wants(t *testing.T, situation string, file []byte, password string, want ...certs.Credential) {
	t.Helper()
	got, err := keyfile.Credentials(file, password)
	if err != nil || len(got) != len(want) {
		t.Errorf("%s: %v, %d credentials, want %d", situation, err, len(got), len(want))
		return
	}
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || g.ID == w.ID
		}
		if !found {
			t.Errorf("%s: without the key of %s", situation, w.Cert.Subject)
		}
	}
}

func refuses(t *testing.T, situation string, file []byte, password string, reason keyfile.Reason) {
	t.Helper()
	_, err := keyfile.Parse(file, password)
	var e *keyfile.Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("%s: %v, want %s", situation, err, reason)
	}
}

// Every password-based algorithm, authentication code and form of password that OpenSSL writes.
func TestPKCS12OfOpenSSL(t *testing.T) {
	openssl, s := peer.Need(t, "openssl"), newShop(t)
	one := credential(t, issue.P256)
	in := s.pem("one.pem", one)
	for _, tc := range []struct {
		situation, password string
		args                []string
	}{
		{"PBES2 with 3DES", "geheim", []string{"-keypbe", "DES-EDE3-CBC", "-certpbe", "DES-EDE3-CBC"}},
		{"PBES2 with AES-192", "geheim", []string{"-keypbe", "AES-192-CBC", "-certpbe", "AES-192-CBC"}},
		{"RC2 of 128 bits", "geheim", []string{"-legacy", "-keypbe", "PBE-SHA1-RC2-128", "-certpbe", "PBE-SHA1-RC2-128"}},
		{"RC2 of 40 bits, the key too", "geheim", []string{"-legacy", "-keypbe", "PBE-SHA1-RC2-40"}},
		{"3DES with two keys", "geheim", []string{"-legacy", "-keypbe", "PBE-SHA1-2DES", "-certpbe", "PBE-SHA1-2DES"}},
		{"nothing encrypted", "geheim", []string{"-keypbe", "NONE", "-certpbe", "NONE"}},
		{"MAC with SHA-1", "geheim", []string{"-macalg", "sha1"}},
		{"MAC with SHA-224", "geheim", []string{"-macalg", "sha224"}},
		{"MAC with SHA-384", "geheim", []string{"-macalg", "sha384"}},
		{"without a MAC", "geheim", []string{"-nomac"}},
		{"one round", "geheim", []string{"-noiter", "-nomaciter"}},
		{"empty password", "", nil},
		{"empty password without a MAC", "", []string{"-nomac"}},
		{"umlauts", "Grüße 5 €", nil},
		{"umlauts in the old encryption", "Grüße 5 €", []string{"-legacy"}},
		{"umlauts without a MAC", "Grüße 5 €", []string{"-legacy", "-nomac"}},
		{"beyond the basic plane", "Schlüssel 𝄞", []string{"-legacy"}},
		{"Latin-1", "Gr\xfc\xdfe", []string{"-legacy"}},
		{"long", strings.Repeat("lang ", 60), []string{"-legacy"}},
	} {
		s.run(openssl, append([]string{"pkcs12", "-export", "-in", in, "-passout", "pass:" + tc.password, "-out", s.path("one.p12")}, tc.args...)...)
		file := s.read("one.p12")
		wants(t, tc.situation, file, tc.password, one)
		if tc.situation != "nothing encrypted" {
			refuses(t, tc.situation+", the wrong password", file, tc.password+"?", keyfile.ReasonPassword)
		}
	}
}

// What OpenSSL before 1.1.0 made of a password outside ASCII: each octet of its UTF-8 widened.
func TestPKCS12OfOldOpenSSL(t *testing.T) {
	openssl, s := peer.Need(t, "openssl"), newShop(t)
	one := credential(t, issue.P256)
	var octets []rune
	for _, c := range []byte("Grüße") {
		octets = append(octets, rune(c))
	}
	s.run(openssl, "pkcs12", "-export", "-legacy", "-in", s.pem("one.pem", one), "-passout", "pass:"+string(octets), "-out", s.path("one.p12"))
	wants(t, "widened octets", s.read("one.p12"), "Grüße", one)
}

// The files of the library that also writes ours, its newest with PBMAC1; and stores of certificates alone.
func TestPKCS12OfTheLibrary(t *testing.T) {
	one := credential(t, issue.P256)
	for situation, enc := range map[string]*pkcs12.Encoder{"RC2": pkcs12.LegacyRC2, "3DES": pkcs12.LegacyDES, "AES": pkcs12.Modern2023, "PBMAC1": pkcs12.Modern2026, "clear": pkcs12.Passwordless} {
		password := "geheim"
		if situation == "clear" {
			password = ""
		}
		file, err := enc.Encode(one.Key, one.Cert, one.Chain, password)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, situation, file, password, one)
		wants(t, situation+", zeros behind", append(bytes.Clone(file), make([]byte, 8)...), password, one)
		wants(t, situation+", a line end behind", append(bytes.Clone(file), '\r', '\n'), password, one)
		if password != "" {
			refuses(t, situation+", the wrong password", file, "falsch", keyfile.ReasonPassword)
		}
		store, err := enc.EncodeTrustStore([]*x509.Certificate{one.Cert}, password)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keyfile.Parse(store, password); err != nil || len(got.Others) != 1 {
			t.Errorf("%s, certificates alone: %v", situation, err)
		}
	}
}

// indefinite writes every constructed element of DER with an indefinite length, and octet strings in segments.
func indefinite(t *testing.T, der []byte) []byte {
	t.Helper()
	var out []byte
	for c := ber.NewCursor(der); !c.Empty(); {
		e, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Constructed:
			out = append(append(append(out, e.Full[0], 0x80), indefinite(t, e.Content)...), 0, 0)
		case e.Is(ber.Universal, ber.TagOctetString) && len(e.Content) > 200:
			out = append(out, 0x24, 0x80)
			for b := e.Content; len(b) > 0; b = b[min(len(b), 200):] {
				out = ber.Append(out, ber.OctetString, b[:min(len(b), 200)])
			}
			out = append(out, 0, 0)
		default:
			out = append(out, e.Full...)
		}
	}
	return out
}

// Bouncy Castle's key stores are BER outside and DER inside, others BER at every level.
func TestPKCS12InBER(t *testing.T) {
	openssl, s := peer.Need(t, "openssl"), newShop(t)
	one := credential(t, issue.P256)
	in := s.pem("one.pem", one)
	s.run(openssl, "pkcs12", "-export", "-in", in, "-passout", "pass:geheim", "-out", s.path("sealed.p12"))
	sealed := s.read("sealed.p12")
	wants(t, "outside", indefinite(t, sealed), "geheim", one)
	refuses(t, "the wrong password", indefinite(t, sealed), "falsch", keyfile.ReasonPassword)
	refuses(t, "cut off", indefinite(t, sealed)[:len(sealed)], "geheim", keyfile.ReasonUnreadable)

	s.run(openssl, "pkcs12", "-export", "-in", in, "-passout", "pass:", "-nomac", "-keypbe", "NONE", "-certpbe", "NONE", "-out", s.path("clear.p12"))
	wants(t, "at every level", deep(t, s.read("clear.p12")), "", one)
}

// deep is indefinite, and so is what the octet strings of a clear file without a code hold, down to the bags.
func deep(t *testing.T, der []byte) []byte {
	t.Helper()
	inside := func(octets []byte) []byte { // [0] { OCTET STRING { octets } }
		return ber.Build(ber.ContextConstructed(0), ber.Build(ber.OctetString, octets))
	}
	contentOf := func(info ber.Element) (id, octets []byte) {
		c := info.Children()
		typ, err1 := c.Next()
		outer, err2 := c.Next()
		in := outer.Children()
		content, err3 := in.Next()
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		return typ.Full, content.Content
	}
	root, err := ber.One(der)
	if err != nil {
		t.Fatal(err)
	}
	c := root.Children()
	version, err1 := c.Next()
	outer, err2 := c.Next()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	id, safes := contentOf(outer)
	list, err := ber.One(safes)
	if err != nil {
		t.Fatal(err)
	}
	var infos []byte
	for k := list.Children(); !k.Empty(); {
		info, err := k.Next()
		if err != nil {
			t.Fatal(err)
		}
		typ, bags := contentOf(info)
		infos = append(infos, ber.Build(ber.Sequence, typ, inside(indefinite(t, bags)))...)
	}
	inner := indefinite(t, ber.Build(ber.Sequence, infos))
	return indefinite(t, ber.Build(ber.Sequence, version.Full, ber.Build(ber.Sequence, id, inside(inner))))
}

// NSS (Firefox, Thunderbird) writes BER at every level, a signing and an encryption pair into one file, and asks for
// 600,000 rounds a key, a safe and a code.
func TestPKCS12OfNSS(t *testing.T) {
	certutil, pk12util, openssl, s := peer.Need(t, "certutil"), peer.Need(t, "pk12util"), peer.Need(t, "openssl"), newShop(t)
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	db := "sql:" + s.dir
	s.run(certutil, "-N", "-d", db, "--empty-password")
	var pair []certs.Credential
	for _, name := range []string{"sign", "encrypt"} { // of one subject, so that NSS files them under one name
		c, err := ca.Leaf(issue.LeafOptions{Address: addr.MustParse("a@direct.example.org"), Algorithm: issue.RSA2048, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		pair = append(pair, c)
		s.run(openssl, "pkcs12", "-export", "-in", s.pem(name+".pem", c), "-name", "both", "-passout", "pass:geheim", "-out", s.path(name+".p12"))
		s.run(pk12util, "-d", db, "-i", s.path(name+".p12"), "-W", "geheim")
	}
	s.run(pk12util, "-d", db, "-o", s.path("both.p12"), "-n", "both", "-W", "geheim")
	file := s.read("both.p12")
	if file[1] != 0x80 {
		t.Error("NSS wrote DER: this test no longer shows what it is for")
	}
	wants(t, "a pair", file, "geheim", pair...)
}
