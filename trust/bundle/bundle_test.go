package bundle_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/lab/corpus"
	"postern/gateway/lab/peer"
	"postern/smime/cms"
	"postern/trust/bundle"
	"postern/trust/internal/testpki"
)

func now() bundle.Options { return bundle.Options{Time: testpki.Now} }

func signedBy(c ...*x509.Certificate) bundle.Options {
	return bundle.Options{Time: testpki.Now, Signers: c}
}

// p7b is a certs-only file of the given certificates, damaged ones included.
func p7b(t testing.TB, raws ...[]byte) []byte {
	t.Helper()
	certs := make([]*x509.Certificate, len(raws))
	for i, r := range raws {
		certs[i] = &x509.Certificate{Raw: r}
	}
	b, err := cms.WriteBundle(certs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func armour(typ string, b []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b})
}

// utf16PEM is PEM as Windows saves text.
func utf16PEM(der []byte) []byte {
	out := []byte{0xff, 0xfe}
	for _, c := range armour("PKCS7", der) {
		out = append(out, c, 0)
	}
	return out
}

// damaged is a certificate the strict parser refuses: it names one signature algorithm inside and another outside.
func damaged(t testing.TB, c *x509.Certificate) []byte {
	t.Helper()
	b := bytes.Clone(c.Raw)
	withSHA256 := []byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2}
	i := bytes.LastIndex(b, withSHA256)
	if i < 0 {
		t.Fatal("no signature algorithm")
	}
	b[i+len(withSHA256)-1] = 3
	return b
}

// negative is the same certificate with a negative serial number.
func negative(t testing.TB, c *x509.Certificate) []byte {
	t.Helper()
	b := bytes.Clone(c.Raw)
	i := bytes.Index(b, c.SerialNumber.Bytes())
	if i < 0 {
		t.Fatal("no serial number")
	}
	b[i] |= 0x80
	return b
}

func TestParse(t *testing.T) {
	a, b := testpki.Root(t, "A"), testpki.Root(t, "B")
	old := testpki.Root(t, "Old", testpki.Dates(-30, -1))
	leaf := a.Leaf(t, "dr@clinic.example")
	two := p7b(t, a.Cert.Raw, b.Cert.Raw)
	cases := []struct {
		name     string
		data     []byte
		o        bundle.Options
		want     bundle.Reason
		certs    int
		findings string // kinds, joined
	}{
		{"p7b", two, now(), "", 2, ""},
		{"p7b with a newline after it", append(bytes.Clone(two), '\r', '\n'), now(), "", 2, ""},
		{"PEM PKCS7", armour("PKCS7", two), now(), "", 2, ""},
		{"PEM CMS", armour("CMS", two), now(), "", 2, ""},
		{"bare base64", []byte(base64.StdEncoding.EncodeToString(two)), now(), "", 2, ""},
		{"PEM certificates with text between", append(append([]byte("first\n"), armour("CERTIFICATE", a.Cert.Raw)...), armour("CERTIFICATE", b.Cert.Raw)...), now(), "", 2, ""},
		{"one DER certificate", a.Cert.Raw, now(), "", 1, ""},
		{"DER certificates one after another", append(bytes.Clone(a.Cert.Raw), b.Cert.Raw...), now(), "", 2, ""},
		{"one damaged among good", p7b(t, a.Cert.Raw, damaged(t, b.Cert), leaf.Cert.Raw, a.Cert.Raw, old.Cert.Raw), now(), "", 2, "unparsable leaf duplicate expired"},
		{"leaf allowed", p7b(t, leaf.Cert.Raw), bundle.Options{Time: testpki.Now, AllowLeaves: true}, "", 1, ""},
		{"only a leaf", p7b(t, leaf.Cert.Raw), now(), bundle.Empty, 0, ""},
		{"PEM in UTF-16", utf16PEM(two), now(), "", 2, ""},
		{"PEM behind a byte order mark, indented", []byte("\xef\xbb\xbf  " + strings.ReplaceAll(string(armour("PKCS7", two)), "\n", "\r\n  ")), now(), "", 2, ""},
		{"a negative serial number", p7b(t, a.Cert.Raw, negative(t, b.Cert)), now(), "", 2, ""},
		{"only damaged", p7b(t, damaged(t, a.Cert)), now(), bundle.Empty, 0, ""},
		{"p7b of nothing", p7b(t), now(), bundle.Empty, 0, ""},
		{"nothing", nil, now(), bundle.InvalidFormat, 0, ""},
		{"a web page", []byte("<!DOCTYPE html><html>Not found</html>"), now(), bundle.InvalidFormat, 0, ""},
		{"cut short", two[:len(two)/2], now(), bundle.InvalidFormat, 0, ""},
		{"too large", make([]byte, bundle.MaxOctets+1), now(), bundle.TooLarge, 0, ""},
		{"nested without end", bytes.Repeat([]byte{0x30, 0x80}, 1<<20), now(), bundle.InvalidFormat, 0, ""},
		{"unsigned where signed is required", two, signedBy(a.Cert), bundle.Unsigned, 0, ""},
		{"collection where signed is required", armour("CERTIFICATE", a.Cert.Raw), signedBy(a.Cert), bundle.Unsigned, 0, ""},
		{"DER where signed is required", a.Cert.Raw, signedBy(a.Cert), bundle.Unsigned, 0, ""},
		{"configured signer expired", two, signedBy(old.Cert), bundle.InvalidSigner, 0, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := bundle.Parse(c.data, c.o)
			if r := bundle.ReasonOf(err); r != c.want {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if err != nil {
				if len(err.Error()) < 30 {
					t.Errorf("says too little: %v", err)
				}
				return
			}
			var kinds []string
			for _, f := range got.Findings {
				kinds = append(kinds, f.Kind)
				if f.Name == "" || f.Detail == "" || len(f.SHA256) != 64 {
					t.Errorf("finding says too little: %+v", f)
				}
			}
			if len(got.Certs) != c.certs || strings.Join(kinds, " ") != c.findings || len(got.Checksum) != 64 {
				t.Errorf("%d certificates, findings %v", len(got.Certs), got.Findings)
			}
		})
	}
}

func TestTheDamagedOneIsNamed(t *testing.T) {
	a, b := testpki.Root(t, "A"), testpki.Root(t, "The broken one")
	got, err := bundle.Parse(p7b(t, a.Cert.Raw, damaged(t, b.Cert)), now())
	if err != nil || len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Name, "The broken one") {
		t.Fatalf("%+v %v", got, err)
	}
}

// TestSignedByOpenSSL: bundles signed by an independent program, and what happens when anything
// about the signature is not as it should be.
func TestSignedByOpenSSL(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	key := func(a *testpki.Authority) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(a.Key)
		if err != nil {
			t.Fatal(err)
		}
		return armour("PRIVATE KEY", b)
	}
	ca := testpki.Root(t, "Signing CA")
	signer, other := ca.Leaf(t, "bundle@trust.example"), testpki.Root(t, "Other").Leaf(t, "x@y.example")
	late := ca.Leaf(t, "old@trust.example", testpki.Dates(-30, -1))
	anchors := p7b(t, testpki.Root(t, "A").Cert.Raw, testpki.Root(t, "B").Cert.Raw)
	sign := func(content []byte, who *testpki.Authority, extra ...string) []byte {
		out := filepath.Join(dir, "out.p7m")
		args := append([]string{"cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-md", "sha256", "-in", write("in.p7b", content),
			"-signer", write("s.pem", armour("CERTIFICATE", who.Cert.Raw)), "-inkey", write("s.key", key(who)), "-out", out}, extra...)
		if b, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v %s", err, b)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := sign(anchors, signer)
	altered := bytes.Clone(good)
	altered[bytes.Index(altered, anchors)+len(anchors)/2] ^= 1
	cases := []struct {
		name string
		data []byte
		o    bundle.Options
		want bundle.Reason
	}{
		{"by the configured signer", good, signedBy(signer.Cert), ""},
		{"by one below the configured CA", good, signedBy(ca.Cert), ""},
		{"one of two configured signers", good, signedBy(other.Cert, signer.Cert), ""},
		{"nobody configured, the signature holds", good, now(), ""},
		{"streamed, indefinite lengths", sign(anchors, signer, "-stream"), signedBy(signer.Cert), ""},
		{"by somebody else", sign(anchors, other), signedBy(signer.Cert), bundle.UnmatchedSigner},
		{"by an expired signer", sign(anchors, late), signedBy(ca.Cert), bundle.UnmatchedSigner},
		{"without the signer's certificate", sign(anchors, signer, "-nocerts"), signedBy(signer.Cert), bundle.UnmatchedSigner},
		{"SHA-1 digest", sign(anchors, signer, "-md", "sha1"), signedBy(signer.Cert), bundle.UnmatchedSigner},
		{"inner octet altered", altered, signedBy(signer.Cert), bundle.UnmatchedSigner},
		{"inner octet altered, nobody configured", altered, now(), bundle.InvalidSignature},
		{"signed page", sign([]byte("<html>"), signer), signedBy(signer.Cert), bundle.Unsigned},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := bundle.Parse(c.data, c.o)
			if r := bundle.ReasonOf(err); r != c.want {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if err == nil && (len(got.Certs) != 2 || got.Signer == nil || !got.Signer.Equal(signer.Cert)) {
				t.Errorf("%d anchors, signer %v", len(got.Certs), got.Signer)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	dir := t.TempDir()
	ca := testpki.Root(t, "A")
	key, err := x509.MarshalPKCS8PrivateKey(ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	text := `<?xml version="1.0"?><TrustBundle><Profile>pilot</Profile><DistributionPoint>http://trust.example/b.p7b</DistributionPoint><ValidTo>2027-01-01T00:00:00Z</ValidTo></TrustBundle>`
	for name, b := range map[string][]byte{"in": []byte(text), "c": armour("CERTIFICATE", ca.Cert.Raw), "k": armour("PRIVATE KEY", key)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(openssl, "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", "in", "-signer", "c", "-inkey", "k", "-out", "out")
	cmd.Dir = dir
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v %s", err, b)
	}
	data, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Parse(data, now())
	if err != nil {
		t.Fatal(err)
	}
	m := b.Metadata
	if m == nil || m.Profile != "pilot" || len(m.DistributionPoints) != 1 || !m.ValidTo.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) || m.Text != text {
		t.Errorf("%+v", m)
	}
}

// TestCorpus: bundles and anchors that communities really published.
func TestCorpus(t *testing.T) {
	all, named := 0, 0
	var collection []byte
	for _, e := range corpus.Walk(t, "pki") {
		raw := e.Read(t)
		switch folder, _, _ := strings.Cut(e.File, "/"); folder {
		case "trustbundle":
			b, err := bundle.Parse(raw, bundle.Options{Time: testpki.Now})
			if err != nil {
				t.Errorf("%s: %v", e.File, err)
				continue
			}
			if strings.Contains(e.File, "WithMetadata") && (b.Metadata == nil || !strings.Contains(b.Metadata.Text, "testStructure")) {
				t.Errorf("%s: metadata not read: %+v", e.File, b.Metadata)
			}
			t.Logf("%s: %d anchors, %d findings", e.File, len(b.Certs), len(b.Findings))
		case "direct_anchors":
			if block, _ := pem.Decode(raw); block != nil {
				raw = block.Bytes
			}
			collection = append(collection, raw...)
			all++
		}
	}
	b, err := bundle.Parse(collection, bundle.Options{Time: testpki.Now, AllowLeaves: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Findings {
		if f.Kind == bundle.FindUnparsable {
			named++
			t.Logf("%s: %s", f.Name, f.Detail)
		}
	}
	if named == 0 || len(b.Certs) < 20 {
		t.Errorf("of %d anchors %d are usable and %d unparsable ones are named", all, len(b.Certs), named)
	}
}

func TestDiff(t *testing.T) {
	a, b, c := testpki.Root(t, "A"), testpki.Root(t, "B"), testpki.Root(t, "C", testpki.Dates(-30, 10))
	d := bundle.Diff([]*x509.Certificate{a.Cert, b.Cert}, []*x509.Certificate{b.Cert, c.Cert}, testpki.Now.AddDate(0, 0, 30))
	if len(d.Added) != 1 || d.Added[0] != c.Cert || len(d.Removed) != 1 || d.Removed[0] != a.Cert || len(d.Kept) != 1 || len(d.Expiring) != 1 || d.RemovedPercent() != 50 || d.Empty() {
		t.Errorf("%+v", d)
	}
	if same := bundle.Diff(d.Added, d.Added, time.Time{}); !same.Empty() || same.RemovedPercent() != 0 {
		t.Errorf("%+v", same)
	}
}

func FuzzParse(f *testing.F) {
	a, b := testpki.Root(f, "A"), testpki.Root(f, "B")
	two := p7b(f, a.Cert.Raw, b.Cert.Raw)
	f.Add(two)
	f.Add(armour("PKCS7", two))
	f.Add(armour("CERTIFICATE", a.Cert.Raw))
	f.Add(append(bytes.Clone(a.Cert.Raw), damaged(f, b.Cert)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := bundle.Parse(data, now())
		switch {
		case err != nil && bundle.ReasonOf(err) == "":
			t.Fatalf("an error without a reason: %v", err)
		case err == nil && len(got.Certs) == 0:
			t.Fatal("a bundle of nothing was taken")
		}
	})
}

func BenchmarkParse150(b *testing.B) {
	var raws [][]byte
	for i := range 150 {
		raws = append(raws, testpki.RootWith(b, testpki.RSAKey(b, 2048, i%2), "Anchor").Cert.Raw)
	}
	data := p7b(b, raws...)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if got, err := bundle.Parse(data, now()); err != nil || len(got.Certs) != 150 {
			b.Fatal(err)
		}
	}
}
