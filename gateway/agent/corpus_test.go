package agent_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/keyfile"
	"postern/gateway/agent"
	"postern/gateway/lab/corpus"
	"postern/gateway/message"
	"postern/smime/addr"
	"postern/smime/cms"
)

// verdict is what the agent says of one message of the corpus: as it is in the corpus, and once somebody
// has encrypted that very message for us (only where it is not encrypted already), by default and by a
// domain that allows legacy.
type verdict struct {
	asIs, sealed, legacy string
	at                   string // the date to judge at; "" is 2026-11-01
	anchor               string // a file of the corpus that the recipient's domain trusts
	why                  string
}

// verdicts is every message of the corpus, with the receive matrix' verdict and the reason of it.
var verdicts = map[string]verdict{
	"bouncycastle/3nnn_smime.eml":                                    {asIs: "not_encrypted", sealed: "expired", legacy: "expired", why: "the signature is good; the certificate has expired"},
	"bouncycastle/brokenEnv.message":                                 {asIs: "not_smime", legacy: "not_smime", why: "its Content-Type is none of S/MIME"},
	"bouncycastle/circular.eml":                                      {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows"},
	"bouncycastle/cms/PSSSignDataSHA256.sig":                         {asIs: "not_encrypted", sealed: "structure", legacy: "structure", why: "a detached signature without its content"},
	"bouncycastle/cms/PSSSignDataSHA256Enc.sig":                      {asIs: "not_encrypted", sealed: "expired", legacy: "expired", why: "the signature is good; the certificate has expired"},
	"bouncycastle/cms/counterSig.p7m":                                {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows"},
	"bouncycastle/ecdh/encSess1.asc":                                 {asIs: "legacy_algorithm", legacy: "undecryptable", why: "3DES is legacy; what is inside is no MIME entity, which looks like any failed decryption"},
	"bouncycastle/ecdh/encSess3.asc":                                 {asIs: "undecryptable", legacy: "undecryptable", why: "the key opens it; what is inside is no MIME entity, which looks like any failed decryption"},
	"bouncycastle/ecdh/encSess5.asc":                                 {asIs: "undecryptable", legacy: "undecryptable", why: "the key opens it; what is inside is no MIME entity, which looks like any failed decryption"},
	"bouncycastle/ecdh/encSess7.asc":                                 {asIs: "undecryptable", legacy: "undecryptable", why: "the key opens it; what is inside is no MIME entity, which looks like any failed decryption"},
	"bouncycastle/ecdh/encSessA.asc":                                 {asIs: "legacy_algorithm", legacy: "undecryptable", why: "3DES is legacy; what is inside is no MIME entity, which looks like any failed decryption"},
	"bouncycastle/ecdh/encSessC.asc":                                 {asIs: "undecryptable", legacy: "undecryptable", why: "the key opens it; what is inside is no MIME entity, which looks like any failed decryption"},
	"bouncycastle/ecdh/encSessE.asc":                                 {asIs: "undecryptable", legacy: "undecryptable", why: "the key opens it; what is inside is no MIME entity, which looks like any failed decryption"},
	"bouncycastle/ecdh/encSessG.asc":                                 {asIs: "undecryptable", legacy: "undecryptable", why: "the key opens it; what is inside is no MIME entity, which looks like any failed decryption"},
	"bouncycastle/multi-alternative.eml":                             {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows"},
	"bouncycastle/openssl-signed-sha256-non-default-salt-length.eml": {asIs: "not_encrypted", sealed: "weak_signature", legacy: "untrusted", why: "PSS is read; the certificate is signed with SHA-1 (legacy), by an authority nobody trusts"},
	"bouncycastle/test192.message":                                   {asIs: "unsigned", legacy: "unsigned", why: "AES-192 and PKCS#1 v1.5 are read; what is inside is not signed"},
	"bouncycastle/validator.expired.eml":                             {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", at: "2006-08-30", anchor: "bouncycastle/validator.root.crt", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows, whatever else is wrong with it"},
	"bouncycastle/validator.extKeyUsage.eml":                         {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", at: "2006-08-30", anchor: "bouncycastle/validator.root.crt", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows, whatever else is wrong with it"},
	"bouncycastle/validator.noEmail.eml":                             {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", at: "2006-08-30", anchor: "bouncycastle/validator.root.crt", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows, whatever else is wrong with it"},
	"bouncycastle/validator.revoked.eml":                             {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", at: "2006-08-30", anchor: "bouncycastle/validator.root.crt", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows, whatever else is wrong with it"},
	"bouncycastle/validator.validMail.eml":                           {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", at: "2006-08-30", anchor: "bouncycastle/validator.root.crt", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows, whatever else is wrong with it"},
	"direct_dotnet/envelopeSignature.eml":                            {asIs: "legacy_algorithm", legacy: "no_san", at: "2020-01-01", anchor: "direct_dotnet/um-amalga1-vm1.cer", why: "SHA-1 is legacy; then the organisation certificate has no subjectAltName (AS-10)"},
	"direct_dotnet/plain/Attachments.eml":                            {asIs: "not_smime", legacy: "not_smime", why: "an ordinary message: not sealed at all"},
	"direct_dotnet/plain/simple.eml":                                 {asIs: "not_smime", legacy: "not_smime", why: "an ordinary message: not sealed at all"},
	"direct_dotnet/plain/simple_ToOrg.eml":                           {asIs: "not_smime", legacy: "not_smime", why: "an ordinary message: not sealed at all"},
	"openssl/cms/bad_signtime_attr.cms":                              {asIs: "not_encrypted", sealed: "bad_signed_attributes", legacy: "bad_signed_attributes", why: "the signed attributes are malformed: refused before any key is used"},
	"openssl/cms/ciphertext_from_1_1_1.cms":                          {asIs: "legacy_algorithm", legacy: "undecryptable", why: "3DES is legacy; what is inside is no MIME entity, which looks like any failed decryption"},
	"openssl/cms/no_ct_attr.cms":                                     {asIs: "not_encrypted", sealed: "bad_signed_attributes", legacy: "bad_signed_attributes", why: "the signed attributes are malformed: refused before any key is used"},
	"openssl/cms/rsa-malformed.der":                                  {asIs: "undecryptable", legacy: "undecryptable", why: "a malformed OAEP recipient is any failed decryption"},
	"rfc4134/3.1.bin":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "bare data: CMS without a signature or an envelope"},
	"rfc4134/3.2.bin":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "bare data: CMS without a signature or an envelope"},
	"rfc4134/4.1.bin":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "DSA is not read"},
	"rfc4134/4.10.bin":                                               {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "DSA is not read"},
	"rfc4134/4.11.bin":                                               {asIs: "not_encrypted", sealed: "structure", legacy: "structure", why: "certificates only, no signer"},
	"rfc4134/4.2.bin":                                                {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows"},
	"rfc4134/4.3.bin":                                                {asIs: "not_encrypted", sealed: "structure", legacy: "structure", why: "a detached signature without its content"},
	"rfc4134/4.4.bin":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "DSA is not read"},
	"rfc4134/4.5.bin":                                                {asIs: "not_encrypted", sealed: "legacy_algorithm", legacy: "weak_key", why: "SHA-1 is legacy; then the signer has 1024 bits, which no switch allows"},
	"rfc4134/4.6.bin":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "DSA is not read"},
	"rfc4134/4.7.bin":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "DSA is not read"},
	"rfc4134/4.8.eml":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "DSA is not read"},
	"rfc4134/4.9.eml":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "DSA is not read"},
	"rfc4134/5.1.bin":                                                {asIs: "legacy_algorithm", legacy: "undecryptable", why: "3DES is legacy; what is inside is no MIME entity, which looks like any failed decryption"},
	"rfc4134/5.2.bin":                                                {asIs: "forbidden_algorithm", legacy: "forbidden_algorithm", why: "RC2 is never read"},
	"rfc4134/5.3.eml":                                                {asIs: "legacy_algorithm", legacy: "undecryptable", why: "3DES is legacy; what is inside is no MIME entity, which looks like any failed decryption"},
	"rfc4134/6.0.bin":                                                {asIs: "not_encrypted", sealed: "unsupported", legacy: "unsupported", why: "DigestedData is not S/MIME mail"},
	"rfc4134/7.1.bin":                                                {asIs: "unsupported", legacy: "unsupported", why: "EncryptedData has no recipients"},
	"rfc4134/7.2.bin":                                                {asIs: "unsupported", legacy: "unsupported", why: "EncryptedData has no recipients"},
}

// corpusKeys is every credential of the corpus, each key with the certificate it belongs to.
func corpusKeys(t *testing.T) (out []certs.Credential) {
	t.Helper()
	var list []*x509.Certificate
	var keys []any
	for _, e := range corpus.Walk(t, "smime") {
		b := e.Read(t)
		switch filepath.Ext(e.File) {
		case ".pfx", ".p12":
			for _, password := range []string{"passw0rd!", "alice", "bob", "carlos", "dana"} {
				if creds, err := keyfile.Credentials(b, password); err == nil {
					out = append(out, creds...)
				}
			}
		case ".pem", ".key", ".crt", ".cer", ".pri":
			for _, der := range ders(b) {
				if c, err := x509.ParseCertificate(der); err == nil {
					list = append(list, c)
				} else if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
					keys = append(keys, k)
				} else if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
					keys = append(keys, k)
				} else if k, err := x509.ParseECPrivateKey(der); err == nil {
					keys = append(keys, k)
				}
			}
		}
	}
	for _, c := range list {
		for _, k := range keys {
			if certs.Owns(k, c) {
				out = append(out, certs.Credential{ID: certs.Fingerprint(c), Cert: c, Key: k})
				break
			}
		}
	}
	if len(out) < 20 {
		t.Fatalf("only %d credentials in the corpus", len(out))
	}
	return out
}

// ders is what a PEM or DER file holds.
func ders(b []byte) (out [][]byte) {
	for rest := b; ; {
		block, r := pem.Decode(rest)
		if block == nil {
			break
		}
		out, rest = append(out, block.Bytes), r
	}
	if len(out) == 0 {
		out = [][]byte{b}
	}
	return out
}

// isMessage tells messages and bare CMS objects from keys, certificates and contents.
func isMessage(file string) bool {
	switch filepath.Ext(file) {
	case ".eml", ".message", ".cms", ".p7m", ".asc", ".sig", ".der":
		return true
	case ".bin":
		return !strings.HasSuffix(file, "ExContent.bin")
	}
	return false
}

// asMessage is a corpus file as a mail message: bare CMS gets the header a gateway would put.
func asMessage(b []byte) []byte {
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	if len(b) == 0 || b[0] != 0x30 {
		return b
	}
	var out bytes.Buffer
	out.WriteString("From: <alice@smime.example>\r\nTo: <intake@clinic.example>\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(b)
	for ; len(text) > 76; text = text[76:] {
		out.WriteString(text[:76] + "\r\n")
	}
	out.WriteString(text + "\r\n")
	return out.Bytes()
}

// encrypted is the message's entity in an envelope for us, under the message's own From and our To.
func encrypted(t *testing.T, msg []byte, to *x509.Certificate, from addr.Address) []byte {
	t.Helper()
	msg = bytes.ReplaceAll(bytes.ReplaceAll(msg, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	var entity bytes.Buffer
	head, body, _ := bytes.Cut(msg, []byte("\r\n\r\n"))
	keep := false
	for _, l := range strings.SplitAfter(string(head)+"\r\n", "\r\n") {
		if l == "" || l[0] != ' ' && l[0] != '\t' {
			keep = strings.HasPrefix(strings.ToLower(l), "content-")
		}
		if keep {
			entity.WriteString(l)
		}
	}
	entity.WriteString("\r\n")
	entity.Write(body)
	var der bytes.Buffer
	w, err := cms.NewEnvelope(&der, cms.EnvelopeOptions{Recipients: []cms.Recipient{{Cert: to}}, Size: int64(entity.Len())})
	if err == nil {
		if _, err = w.Write(entity.Bytes()); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	out := asMessage(der.Bytes())
	return bytes.Replace(out, []byte("alice@smime.example"), []byte(from.String()), 1)
}

func TestCorpusVerdicts(t *testing.T) {
	f, _ := receiver(t)
	ours := f.keys[intake.Key()][0]
	keys := append([]certs.Credential{ours}, corpusKeys(t)...)
	f.keys[intake.Key()] = keys
	seen := map[string]bool{}
	for _, e := range corpus.Walk(t, "smime") {
		if !isMessage(e.File) {
			continue
		}
		seen[e.File] = true
		t.Run(e.File, func(t *testing.T) {
			want, ok := verdicts[e.File]
			if !ok || want.why == "" {
				t.Errorf("not in the table with a reason")
			}
			f.now = date(t, want.at)
			f.in["clinic.example"] = anchorFiles(t, want.anchor)
			msg := asMessage(e.Read(t))
			got := verdict{asIs: f.verdictOn(t, msg, false)}
			if got.asIs == "not_encrypted" {
				sealed := encrypted(t, msg, ours.Cert, senderOf(msg))
				got.sealed, got.legacy = f.verdictOn(t, sealed, false), f.verdictOn(t, sealed, true)
			} else {
				got.legacy = f.verdictOn(t, msg, true)
			}
			if got.asIs != want.asIs || got.sealed != want.sealed || got.legacy != want.legacy {
				t.Errorf("%q: {asIs: %q, sealed: %q, legacy: %q},", e.File, got.asIs, got.sealed, got.legacy)
			}
		})
	}
	for file := range verdicts {
		if !seen[file] {
			t.Errorf("%s is not in the corpus", file)
		}
	}
}

// senderOf is who a message says it is from, or somebody.
func senderOf(msg []byte) addr.Address {
	var ins message.Inspector
	_, _ = ins.Write(msg)
	if f := ins.Facts(); len(f.From) == 1 {
		return f.From[0]
	}
	return addr.MustParse("alice@smime.example")
}

func date(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		s = "2026-11-01"
	}
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func anchorFiles(t *testing.T, name string) []*x509.Certificate {
	t.Helper()
	if name == "" {
		return []*x509.Certificate{authority(t, "Somebody's anchor").Cert}
	}
	b, err := os.ReadFile(filepath.Join(corpus.Dir(t, "smime"), name))
	if err != nil {
		t.Fatal(err)
	}
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	c, err := x509.ParseCertificate(b)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{c}
}

// verdictOn is the agent's outcome for the one recipient.
func (f *fake) verdictOn(t *testing.T, msg []byte, legacy bool) string {
	t.Helper()
	f.policies["clinic.example"] = agent.Policy{Legacy: legacy, Lax: map[string]bool{senderOf(msg).Domain().String(): true}}
	res, err := f.agent().Open(context.Background(), agent.Inbound{MailFrom: senderOf(msg), Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(msg)})
	if err != nil {
		t.Fatal(fmt.Errorf("an error where a verdict is due: %w", err))
	}
	if res.Opened != nil {
		res.Opened.Close()
	}
	return outcome(res.Verdicts[0])
}
