package cms_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mozilla.org/pkcs7"

	"postern/gateway/lab/corpus"
	"postern/smime/cms"
	"postern/smime/cms/ber"
)

// pair is an RSA certificate with its key.
func pair(t testing.TB, name string) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, name, key), key
}

func selfSigned(t testing.TB, name string, key crypto.Signer) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SubjectKeyId: []byte(name + "-key")}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// envelope seals plain with our writer.
func envelope(t testing.TB, plain []byte, o cms.EnvelopeOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	o.Size = int64(len(plain))
	e, err := cms.NewEnvelope(&out, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// decrypt opens an envelope; reason is "" when it was decrypted.
func decrypt(t testing.TB, der []byte, keys ...cms.Key) (plain []byte, reason cms.Reason) {
	t.Helper()
	m, err := cms.Read(bytes.NewReader(der))
	if err != nil {
		return nil, cms.ReasonOf(err)
	}
	p, err := m.Decrypt(cms.DecryptOptions{Keys: keys})
	if err != nil {
		return nil, cms.ReasonOf(err)
	}
	defer p.Close()
	for {
		b, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, cms.ReasonOf(err)
		}
		plain = append(plain, b...)
	}
	if p.Failed() {
		return nil, cms.ReasonUndecryptable
	}
	return plain, ""
}

// sign makes a detached signature with our writer.
func sign(t testing.TB, cert *x509.Certificate, key crypto.Signer, h crypto.Hash, content []byte) []byte {
	t.Helper()
	s, err := cms.NewDetachedSigner(cms.SignOptions{Signer: cms.Identity{Cert: cert, Key: key}, Digest: h, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	d := s.Digest().New()
	d.Write(content)
	der, err := s.Sign(d.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := s.Size(); ok && n != len(der) {
		t.Errorf("signature of %d octets, %d announced", len(der), n)
	}
	return der
}

// verify judges a SignedData; content is what stands beside a detached one.
func verify(t testing.TB, der, content []byte) []cms.Verdict {
	t.Helper()
	m, err := cms.Read(bytes.NewReader(der))
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Signed()
	if err != nil {
		t.Fatal(err)
	}
	if s.Content() != nil {
		if content, err = io.ReadAll(s.Content()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	vs, err := s.Verify(cms.VerifyOptions{Legacy: true, Start: content, Size: int64(len(content)), Digest: func(h crypto.Hash) ([]byte, error) {
		d := h.New()
		d.Write(content)
		return d.Sum(nil), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return vs
}

// A second opinion: what we write, pkcs7 reads, where it can.
func TestPKCS7ReadsWhatWeWrite(t *testing.T) {
	cert, key := pair(t, "one")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("some content\r\n")
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC} {
		der := envelope(t, content, cms.EnvelopeOptions{Cipher: c, Recipients: []cms.Recipient{{Cert: cert, Transport: cms.PKCS1v15}}})
		p7, err := pkcs7.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p7.Decrypt(cert, key); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %q, %v", c, got, err)
		}
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for name, der := range map[string][]byte{"RSA": sign(t, cert, key, h, content), "ECDSA": sign(t, selfSigned(t, "two", ec), ec, h, content)} {
			p7, err := pkcs7.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			p7.Content = content
			if err := p7.Verify(); err != nil {
				t.Errorf("%s %s: %v", name, h, err)
			}
			p7.Content = []byte("other content")
			if err := p7.Verify(); err == nil {
				t.Errorf("%s %s: other content verified", name, h)
			}
		}
	}
}

func TestWeReadWhatPKCS7Writes(t *testing.T) {
	cert, key := pair(t, "one")
	content := []byte("some content\r\n")
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC // a package variable, hence only here
	der, err := pkcs7.Encrypt(content, []*x509.Certificate{cert})
	if err != nil {
		t.Fatal(err)
	}
	if got, reason := decrypt(t, der, cms.Key{Cert: cert, Private: key}); reason != "" || !bytes.Equal(got, content) {
		t.Errorf("%q, %s", got, reason)
	}
	for _, detached := range []bool{false, true} {
		sd, err := pkcs7.NewSignedData(content)
		if err != nil {
			t.Fatal(err)
		}
		sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		if err := sd.AddSigner(cert, key, pkcs7.SignerInfoConfig{}); err != nil {
			t.Fatal(err)
		}
		if detached {
			sd.Detach()
		}
		der, err := sd.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if vs := verify(t, der, content); len(vs) != 1 || vs[0].Reason != "" {
			t.Errorf("detached %v: %+v", detached, vs)
		}
	}
}

// The two agree about every SignedData of the corpus that pkcs7 can judge; where they differ the
// fault is one of those named here.
func TestPKCS7AgreesAboutTheCorpus(t *testing.T) {
	faults := map[string]string{
		"openssl/cms/no_ct_attr.cms":        "does not check the content-type attribute",
		"openssl/cms/bad_signtime_attr.cms": "does not look at unsigned attributes",
	}
	compared := 0
	for _, e := range corpus.Walk(t, "smime") {
		switch filepath.Ext(e.File) {
		case ".bin", ".cms", ".sig", ".p7m":
		default:
			continue
		}
		b := e.Read(t)
		if len(b) == 0 || b[0] != 0x30 {
			continue
		}
		p7, err := pkcs7.Parse(b)
		if err != nil || len(p7.Signers) == 0 || p7.Content == nil {
			continue
		}
		theirs := p7.VerifyWithChainAtTime(nil, time.Time{}) == nil
		vs := verify(t, b, nil)
		ours, able := true, true
		for _, v := range vs {
			ours = ours && v.Reason == ""
			able = able && v.Reason != cms.ReasonUnsupported
		}
		if !able || !theirs && ours {
			continue // algorithms one of the two does not have
		}
		compared++
		if ours != theirs && faults[e.File] == "" {
			t.Errorf("%s: pkcs7 says %v, we say %+v", e.File, theirs, vs)
		}
		if ours == theirs && faults[e.File] != "" {
			t.Errorf("%s: pkcs7 no longer %q: this version is better", e.File, faults[e.File])
		}
	}
	if compared < 3 {
		t.Errorf("only %d objects compared", compared)
	}
}

// panics runs f and reports whether it panicked.
func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

// crafted is an envelope for cert, made with nothing but the certificate, around this ciphertext.
func crafted(t testing.TB, cert *x509.Certificate, ciphertext func(cipher.BlockMode) []byte) []byte {
	t.Helper()
	der := envelope(t, make([]byte, 100), cms.EnvelopeOptions{Cipher: cms.AES256CBC, Recipients: []cms.Recipient{{Cert: cert, Transport: cms.PKCS1v15}}, Rand: zero{}})
	key := make([]byte, 32) // zero{} as the source of randomness makes the content key known
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	old := der[len(der)-112:]
	text := ciphertext(cipher.NewCBCEncrypter(block, make([]byte, 16)))
	if len(text) != len(old) {
		return relength(t, der, text)
	}
	return append(der[:len(der)-112:len(der)-112], text...)
}

// relength replaces the encrypted content at the end and repairs the lengths around it.
func relength(t testing.TB, der, text []byte) []byte {
	t.Helper()
	var fix func(b []byte, depth int) []byte
	fix = func(b []byte, depth int) []byte {
		e, err := ber.One(b)
		if err != nil {
			t.Fatal(err)
		}
		if depth == 0 {
			return ber.Build(b[0], text)
		}
		var kids [][]byte
		for c := e.Children(); !c.Empty(); {
			k, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			kids = append(kids, k.Full)
		}
		kids[len(kids)-1] = fix(kids[len(kids)-1], depth-1)
		return ber.Build(b[0], kids...)
	}
	return fix(der, 4)
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The known faults of pkcs7 v0.10.0, each survived by this package with the right reason. When a
// newer version is better, the first half of a case fails and says so.
func TestFaultsOfPKCS7AreSurvived(t *testing.T) {
	cert, key := pair(t, "victim")
	keys := cms.Key{Cert: cert, Private: key}
	block := make([]byte, 112)
	block[111] = 200 // padding longer than the content
	overlong := crafted(t, cert, func(m cipher.BlockMode) []byte {
		out := make([]byte, 112)
		m.CryptBlocks(out, block)
		return out
	})
	ragged := crafted(t, cert, func(cipher.BlockMode) []byte { return make([]byte, 101) })
	noPad := crafted(t, cert, func(m cipher.BlockMode) []byte {
		out := make([]byte, 112)
		m.CryptBlocks(out, make([]byte, 112))
		return out
	})
	for name, der := range map[string][]byte{"padding longer than the content": overlong, "ciphertext not whole blocks": ragged} {
		if !panics(func() {
			if p7, err := pkcs7.Parse(der); err == nil {
				_, _ = p7.Decrypt(cert, key)
			}
		}) {
			t.Errorf("%s: pkcs7 no longer panics: this version is better", name)
		}
		if _, reason := decrypt(t, der, keys); reason != cms.ReasonUndecryptable {
			t.Errorf("%s: %q", name, reason)
		}
	}
	if p7, err := pkcs7.Parse(noPad); err == nil {
		if _, err := p7.Decrypt(cert, key); err != nil {
			t.Logf("pkcs7 now refuses a padding of zero: %v", err)
		}
	}
	if _, reason := decrypt(t, noPad, keys); reason != cms.ReasonUndecryptable {
		t.Errorf("padding of zero: %q", reason)
	}
}

// A signer named by key id is dropped by pkcs7 without a word.
func TestSignersByKeyIDAreNotDropped(t *testing.T) {
	cert, key := pair(t, "named by key id")
	content := []byte("content")
	der := sign(t, cert, key, crypto.SHA256, content)
	serial, err := asn1.Marshal(cert.SerialNumber)
	if err != nil {
		t.Fatal(err)
	}
	old := ber.Build(ber.Sequence, cert.RawIssuer, serial)
	byID := replaceSigner(t, der, old, ber.Build(ber.ContextPrimitive(0), cert.SubjectKeyId))
	if p7, err := pkcs7.Parse(byID); err == nil && len(p7.Signers) == 1 && len(p7.Signers[0].EncryptedDigest) > 0 {
		t.Log("pkcs7 now reads signers by key id")
	}
	if vs := verify(t, byID, content); len(vs) != 1 || vs[0].Reason != "" {
		t.Errorf("%+v", vs)
	}
}

// replaceSigner replaces the signer identifier and repairs the lengths around it.
func replaceSigner(t testing.TB, der, old, id []byte) []byte {
	t.Helper()
	var walk func(b []byte) []byte
	walk = func(b []byte) []byte {
		if bytes.Equal(b, old) {
			return id
		}
		e, err := ber.One(b)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Constructed || !bytes.Contains(e.Content, old) {
			return b
		}
		var body []byte
		for c := e.Children(); !c.Empty(); {
			k, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			body = append(body, walk(k.Full)...)
		}
		return ber.Build(b[0], body)
	}
	return walk(der)
}

// 5 MB of nested 30 80 overflow pkcs7's stack, which no recover can stop: tried in a process of its
// own. Here it is a limit after 32 levels.
func TestDeepNestingIsRefused(t *testing.T) {
	deep := bytes.Repeat([]byte{0x30, 0x80}, 5<<20/2)
	if os.Getenv("POSTERN_OVERFLOW") == "1" {
		_, err := pkcs7.Parse(deep)
		t.Log("survived:", err)
		return
	}
	src := &counted{r: bytes.NewReader(deep)}
	if _, err := cms.Read(src); cms.ReasonOf(err) != cms.ReasonMalformed && cms.ReasonOf(err) != cms.ReasonLimit {
		t.Errorf("nested: %v", err)
	}
	if src.n > 100_000 {
		t.Errorf("%d octets read before the refusal", src.n)
	}
	if _, _, err := cms.ParseBundle(deep[:cms.MaxBundle]); cms.ReasonOf(err) == "" {
		t.Errorf("bundle: %v", err)
	}
	if testing.Short() {
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDeepNestingIsRefused$", "-test.v")
	cmd.Env = append(os.Environ(), "POSTERN_OVERFLOW=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "stack") {
		t.Logf("pkcs7 now survives deep nesting: %v", err)
	}
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestBundles(t *testing.T) {
	a, _ := pair(t, "a")
	b, _ := pair(t, "b")
	der, err := cms.WriteBundle([]*x509.Certificate{a, b})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in      []byte
		certs   int
		skipped int
		want    cms.Reason
	}{
		"as written":                {der, 2, 0, ""},
		"line end after it":         {append(bytes.Clone(der), '\r', '\n'), 2, 0, ""},
		"cut":                       {der[:len(der)-5], 0, 0, cms.ReasonTruncated},
		"rubbish":                   {[]byte("hello"), 0, 0, cms.ReasonMalformed},
		"one certificate is broken": {breakSecond(der, b.Raw), 1, 1, ""},
		"too long":                  {make([]byte, cms.MaxBundle+1), 0, 0, cms.ReasonLimit},
		"an envelope":               {envelope(t, []byte("x"), cms.EnvelopeOptions{Recipients: []cms.Recipient{{Cert: a}}}), 0, 0, cms.ReasonUnsupported},
		"signed":                    {sign(t, a, mustKey(t, a), crypto.SHA256, nil), 1, 0, ""},
	} {
		certs, skipped, err := cms.ParseBundle(c.in)
		if cms.ReasonOf(err) != c.want || len(certs) != c.certs || skipped != c.skipped {
			t.Errorf("%s: %d certificates, %d skipped, %v", name, len(certs), skipped, err)
		}
	}
}

// mustKey signs with some key: the bundle reader does not ask whose.
func mustKey(t testing.TB, _ *x509.Certificate) crypto.Signer {
	t.Helper()
	_, key := pair(t, "any")
	return key
}

func breakSecond(der, cert []byte) []byte {
	i := bytes.Index(der, cert)
	out := bytes.Clone(der)
	copy(out[i+4:], []byte{0x30, 0x82, 0, 0})
	return out
}
