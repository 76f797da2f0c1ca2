package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/certs/keyfile"
	"postern/gateway/lab/corpus"
	"postern/smime/cms"
	"postern/smime/part"
)

// corpusKeys is every private key of the corpus that has a certificate, found by trying each key on
// each certificate.
func corpusKeys(t testing.TB) []cms.Key {
	t.Helper()
	var certs []*x509.Certificate
	var keys []any
	var out []cms.Key
	for _, e := range corpus.Walk(t, "smime") {
		b := e.Read(t)
		switch filepath.Ext(e.File) {
		case ".pfx", ".p12":
			for _, password := range []string{"passw0rd!", "alice", "bob", "carlos", "dana"} {
				creds, err := keyfile.Credentials(b, password)
				if err != nil {
					continue
				}
				for _, c := range creds {
					out = append(out, cms.Key{Cert: c.Cert, Private: c.Key})
				}
			}
		case ".pem", ".crt", ".cer", ".key", ".pri":
			c, k := readPEM(b)
			certs, keys = append(certs, c...), append(keys, k...)
		}
	}
	for _, c := range certs {
		pub, err := x509.ParsePKIXPublicKey(c.RawSubjectPublicKeyInfo)
		if err != nil {
			continue
		}
		for _, k := range keys {
			have, ok := k.(interface{ Public() crypto.PublicKey })
			if ok && equalKeys(have.Public(), pub) {
				out = append(out, cms.Key{Cert: c, Private: k})
				break
			}
		}
	}
	if len(out) < 8 {
		t.Fatalf("only %d keys with a certificate in the corpus", len(out))
	}
	return out
}

func equalKeys(a, b any) bool {
	x, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && x.Equal(b)
}

// readPEM takes certificates and keys out of PEM or DER.
func readPEM(b []byte) (certs []*x509.Certificate, keys []any) {
	var ders [][]byte
	for rest := b; ; {
		block, r := pem.Decode(rest)
		if block == nil {
			break
		}
		ders, rest = append(ders, block.Bytes), r
	}
	if len(ders) == 0 {
		ders = [][]byte{b}
	}
	for _, d := range ders {
		if c, err := x509.ParseCertificate(d); err == nil {
			certs = append(certs, c)
		} else if k, err := x509.ParsePKCS8PrivateKey(d); err == nil {
			keys = append(keys, k)
		} else if k, err := x509.ParsePKCS1PrivateKey(d); err == nil {
			keys = append(keys, k)
		} else if k, err := x509.ParseECPrivateKey(d); err == nil {
			keys = append(keys, k)
		}
	}
	return certs, keys
}

// object is one CMS object of the corpus, however it is packed, and the content beside it.
type object struct {
	der      io.Reader
	detached []byte
}

// unpack takes the CMS object out of PEM, a mail message, or bare octets.
func unpack(t testing.TB, b []byte) (object, bool) {
	t.Helper()
	if block, _ := pem.Decode(b); block != nil {
		if block.Type == "CERTIFICATE" || strings.Contains(block.Type, "KEY") {
			return object{}, false
		}
		return object{der: bytes.NewReader(block.Bytes)}, true
	}
	if len(b) > 0 && b[0] == 0x30 {
		return object{der: bytes.NewReader(b)}, true
	}
	src := bytes.NewReader(b)
	root, err := part.Parse(src, int64(len(b)), part.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var found object
	_ = root.Walk(func(p *part.Part) error {
		if found.der == nil && strings.Contains(p.MediaType, "pkcs7") {
			found.der = p.Open(src)
		}
		return nil
	})
	if root.MediaType == "multipart/signed" && len(root.Children) == 2 {
		c := root.Children[0]
		found.detached = b[c.Start : c.Offset+c.Length]
	}
	return found, found.der != nil
}

// verdict is the outcome of one object with everything allowed: "good" with the content's length, or
// the reason.
func (o object) verdict(keys []cms.Key, beside []byte) string {
	m, err := cms.Read(o.der)
	if err != nil {
		return "read: " + string(cms.ReasonOf(err))
	}
	switch m.Type() {
	case cms.TypeEnveloped, cms.TypeAuthEnveloped:
		p, err := m.Decrypt(cms.DecryptOptions{Keys: keys, Legacy: true})
		if err != nil {
			return "envelope: " + string(cms.ReasonOf(err))
		}
		defer p.Close()
		n := 0
		for {
			b, err := p.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return "envelope: " + string(cms.ReasonOf(err))
			}
			n += len(b)
		}
		if p.Failed() {
			return "envelope: undecryptable"
		}
		return fmt.Sprintf("envelope: good %d %s %s", n, p.Info.Transport, p.Info.Cipher)
	case cms.TypeSigned:
		return o.verifySigned(m, beside)
	}
	return "type: " + m.Type().String()
}

func (o object) verifySigned(m *cms.Message, beside []byte) string {
	s, err := m.Signed()
	if err != nil {
		return "signed: " + string(cms.ReasonOf(err))
	}
	content := o.detached
	if content == nil {
		content = beside
	}
	if s.Content() != nil {
		if content, err = io.ReadAll(s.Content()); err != nil {
			return "signed: " + string(cms.ReasonOf(err))
		}
	}
	if err := s.Finish(); err != nil {
		return "signed: " + string(cms.ReasonOf(err))
	}
	forms := [][]byte{content, bytes.ReplaceAll(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))}
	for i, form := range forms {
		vs, err := s.Verify(cms.VerifyOptions{Legacy: true, Start: form, Size: int64(len(form)), Digest: func(h crypto.Hash) ([]byte, error) {
			d := h.New()
			d.Write(form)
			return d.Sum(nil), nil
		}})
		if err != nil {
			return fmt.Sprintf("signed: %s, %d certificates", cms.ReasonOf(err), len(s.Certificates()))
		}
		var words []string
		good := false
		for _, v := range vs {
			if v.Reason == "" {
				good = true
				words = append(words, "good "+v.Signature+" "+v.Digest)
			} else {
				words = append(words, string(v.Reason))
			}
		}
		if good || i == len(forms)-1 {
			return "signed: " + strings.Join(words, ", ")
		}
	}
	return ""
}

// cryptographic is the outcome of every object of the corpus with every algorithm allowed. DSA, DSS
// and RC2 wraps are what this gateway does not have.
func cryptographic() map[string]string {
	return map[string]string{
		"bouncycastle/3nnn_smime.eml":                                    "signed: good rsa-pkcs1 sha-256",
		"bouncycastle/brokenEnv.message":                                 "signed: digest_mismatch",
		"bouncycastle/circular.eml":                                      "signed: good rsa-pkcs1 sha-1",
		"bouncycastle/cms/PSSSignDataSHA256.sig":                         "signed: good rsa-pss sha-256",
		"bouncycastle/cms/PSSSignDataSHA256Enc.sig":                      "signed: good rsa-pss sha-256",
		"bouncycastle/cms/counterSig.p7m":                                "signed: good rsa-pkcs1 sha-1",
		"bouncycastle/ecdh/encSess1.asc":                                 "envelope: good 38 ecdh-x963-sha1 3des-cbc",
		"bouncycastle/ecdh/encSess3.asc":                                 "envelope: good 38 ecdh-x963-sha1 aes-128-cbc",
		"bouncycastle/ecdh/encSess5.asc":                                 "envelope: good 38 ecdh-x963-sha1 aes-192-cbc",
		"bouncycastle/ecdh/encSess7.asc":                                 "envelope: good 38 ecdh-x963-sha1 aes-256-cbc",
		"bouncycastle/ecdh/encSessA.asc":                                 "envelope: good 38 ecdh-x963-sha1 3des-cbc",
		"bouncycastle/ecdh/encSessC.asc":                                 "envelope: good 38 ecdh-x963-sha1 aes-128-cbc",
		"bouncycastle/ecdh/encSessE.asc":                                 "envelope: good 38 ecdh-x963-sha1 aes-192-cbc",
		"bouncycastle/ecdh/encSessG.asc":                                 "envelope: good 38 ecdh-x963-sha1 aes-256-cbc",
		"bouncycastle/multi-alternative.eml":                             "signed: good rsa-pkcs1 sha-1",
		"bouncycastle/openssl-signed-sha256-non-default-salt-length.eml": "signed: good rsa-pss sha-256",
		"bouncycastle/test192.message":                                   "envelope: good 433 rsaes-pkcs1-v1_5 aes-192-cbc",
		"bouncycastle/validator.expired.eml":                             "signed: good rsa-pkcs1 sha-1",
		"bouncycastle/validator.extKeyUsage.eml":                         "signed: good rsa-pkcs1 sha-1",
		"bouncycastle/validator.noEmail.eml":                             "signed: good rsa-pkcs1 sha-1",
		"bouncycastle/validator.revoked.eml":                             "signed: good rsa-pkcs1 sha-1",
		"bouncycastle/validator.validMail.eml":                           "signed: good rsa-pkcs1 sha-1",
		"direct_dotnet/envelopeSignature.eml":                            "envelope: good 2354 rsaes-oaep-sha1 aes-128-cbc",
		"openssl/cms/bad_signtime_attr.cms":                              "signed: bad_signed_attributes",
		"openssl/cms/ciphertext_from_1_1_1.cms":                          "envelope: good 83 ecdh-x963-sha1 3des-cbc",
		"openssl/cms/no_ct_attr.cms":                                     "signed: bad_signed_attributes",
		"openssl/cms/rsa-malformed.der":                                  "envelope: undecryptable",
		"rfc4134/3.1.bin":                                                "type: data",
		"rfc4134/3.2.bin":                                                "type: data",
		"rfc4134/4.1.bin":                                                "signed: unsupported",
		"rfc4134/4.10.bin":                                               "signed: unsupported",
		"rfc4134/4.11.bin":                                               "signed: no_signer, 2 certificates",
		"rfc4134/4.2.bin":                                                "signed: good rsa-pkcs1 sha-1",
		"rfc4134/4.3.bin":                                                "signed: unsupported",
		"rfc4134/4.4.bin":                                                "signed: unsupported",
		"rfc4134/4.5.bin":                                                "signed: good rsa-pkcs1 sha-1",
		"rfc4134/4.6.bin":                                                "signed: unsupported, unsupported",
		"rfc4134/4.7.bin":                                                "signed: unsupported",
		"rfc4134/4.8.eml":                                                "signed: unsupported",
		"rfc4134/4.9.eml":                                                "signed: unsupported",
		"rfc4134/5.1.bin":                                                "envelope: good 28 rsaes-pkcs1-v1_5 3des-cbc",
		"rfc4134/5.2.bin":                                                "envelope: forbidden_algorithm",
		"rfc4134/5.3.eml":                                                "envelope: good 28 rsaes-pkcs1-v1_5 3des-cbc",
		"rfc4134/6.0.bin":                                                "type: digested-data",
		"rfc4134/7.1.bin":                                                "type: encrypted-data",
		"rfc4134/7.2.bin":                                                "type: encrypted-data",
	}
}

func TestCorpusReachesItsCryptographicVerdict(t *testing.T) {
	keys := corpusKeys(t)
	dir := corpus.Dir(t, "smime")
	want := cryptographic()
	for _, e := range corpus.Walk(t, "smime") {
		switch filepath.Ext(e.File) {
		case ".eml", ".message", ".bin", ".cms", ".sig", ".p7m", ".asc", ".der":
		default:
			continue
		}
		o, ok := unpack(t, e.Read(t))
		if !ok {
			continue
		}
		beside := "rfc4134/ExContent.bin"
		if strings.Contains(e.Expected, "PSSSignData.data") {
			beside = "bouncycastle/cms/PSSSignData.data"
		}
		content, err := os.ReadFile(filepath.Join(dir, beside))
		if err != nil {
			t.Fatal(err)
		}
		got := o.verdict(keys, content)
		if got != want[e.File] {
			t.Errorf("%q: %q,\n\twant %q", e.File, got, want[e.File])
		}
		delete(want, e.File)
		agrees(t, e, got)
	}
	for file := range want {
		t.Errorf("%s is not in the corpus", file)
	}
}

// agrees holds the outcome against the manifest's own words, so that the table above cannot drift
// from them.
func agrees(t *testing.T, e corpus.Entry, got string) {
	t.Helper()
	good := strings.Contains(got, "good")
	typed := strings.Contains(got, "unsupported") || strings.Contains(got, "forbidden_algorithm")
	switch {
	case strings.Contains(e.Expected, "verify=OK"), strings.Contains(e.Expected, "decrypt=OK"),
		strings.Contains(e.Expected, "GOOD"), strings.Contains(e.Expected, "decrypts with"):
		if !good && !typed {
			t.Errorf("%s: %s, and the manifest says %s", e.File, got, e.Expected)
		}
	case strings.Contains(e.Expected, "MUST fail"), strings.Contains(e.Expected, "refuse cleanly"), strings.Contains(e.Expected, "must not crash"):
		if good {
			t.Errorf("%s: %s, and the manifest says %s", e.File, got, e.Expected)
		}
	}
}
