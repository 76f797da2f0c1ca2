package smime_test

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/certs/keyfile"
	"postern/gateway/lab/corpus"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/part"
)

// corpusKeys is every credential of the corpus that comes as PKCS#12, and every pair of PEM files.
func corpusKeys(t testing.TB) []smime.Key {
	t.Helper()
	var out []smime.Key
	for _, e := range corpus.Walk(t, "smime") {
		switch filepath.Ext(e.File) {
		case ".pfx", ".p12":
			for _, password := range []string{"passw0rd!", "alice", "bob", "carlos", "dana"} {
				creds, err := keyfile.Credentials(e.Read(t), password)
				if err != nil {
					continue
				}
				for _, c := range creds {
					out = append(out, smime.Key{Cert: c.Cert, Private: c.Key})
				}
			}
		case ".pem":
			b := e.Read(t)
			if base := filepath.Base(e.File); base == "key.pem" { // its certificate is a file of its own
				other, err := os.ReadFile(filepath.Join(filepath.Dir(e.Path), "cert.pem"))
				if err != nil {
					t.Fatal(err)
				}
				b = append(b, other...)
			}
			creds, err := keyfile.Credentials(b, "")
			if err != nil {
				continue
			}
			for _, c := range creds {
				out = append(out, smime.Key{Cert: c.Cert, Private: c.Key})
			}
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d credentials in the corpus", len(out))
	}
	return out
}

// TestCorpusAsMessages opens every message of the corpus as a gateway would. The table of verdicts,
// with the reason of each, is testdata/corpus-verdicts.tsv: by default, and with legacy allowed.
func TestCorpusAsMessages(t *testing.T) {
	keys := corpusKeys(t)
	want := verdicts(t)
	for _, e := range corpus.Walk(t, "smime") {
		w, ok := want[e.File]
		switch ext := filepath.Ext(e.File); {
		case ext == ".eml" || ext == ".message" || strings.HasSuffix(e.File, "ciphertext_from_1_1_1.cms"):
		case ok:
			t.Errorf("%s is no message", e.File)
			continue
		default:
			continue
		}
		b := e.Read(t)
		for i, legacy := range []bool{false, true} {
			got := string(reasonOf(t, b, smime.OpenOptions{Keys: keys, Legacy: legacy}))
			if got == "" {
				got = "opened"
			}
			if !ok || got != w[i] {
				t.Errorf("%s, legacy %v: %q, want %q", e.File, legacy, got, w)
			}
		}
		delete(want, e.File)
	}
	for file := range want {
		t.Errorf("%s is not in the corpus", file)
	}
}

func verdicts(t testing.TB) map[string][2]string {
	t.Helper()
	f, err := os.Open("testdata/corpus-verdicts.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][2]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if cols := strings.Split(s.Text(), "\t"); len(cols) >= 3 && cols[0] != "file" {
			out[cols[0]] = [2]string{cols[1], cols[2]}
		}
	}
	return out
}

// The message of the .NET reference agent, with every oddity it is known for.
func TestReferenceAgentMessage(t *testing.T) {
	dir := corpus.Dir(t, "smime")
	msg, err := os.ReadFile(filepath.Join(dir, "direct_dotnet/envelopeSignature.eml"))
	if err != nil {
		t.Fatal(err)
	}
	got := opened(t, msg, smime.OpenOptions{Keys: corpusKeys(t), Legacy: true})
	if got.Report.KeyTransport != "rsaes-oaep-sha1" || got.Report.Cipher != "aes-128-cbc" || !got.Wrapped {
		t.Errorf("receipt %+v", got.Report)
	}
	from, err := addr.ParseList(got.Header.Get("From"))
	if err != nil || len(from) != 1 || from[0].String() != "toby@redmond.hsgincubator.com" {
		t.Errorf("From is %v, %v", from, err)
	}
	if cn := got.Signers[0].Cert.Subject.CommonName; cn != "redmond.hsgincubator.com" {
		t.Errorf("signer is %q", cn)
	}
}

// Each identity of RFC 9216 seals for each other one and is opened by it.
func TestRFC9216Identities(t *testing.T) {
	dir := corpus.Dir(t, "smime")
	type pair struct{ sign, encrypt person }
	people := map[string]pair{}
	for _, name := range []string{"alice", "bob", "carlos", "dana"} {
		p := pair{fromCorpus(t, "rfc9216/"+name+".sign.crt", "rfc9216/"+name+".sign.key"), fromCorpus(t, "rfc9216/"+name+".encrypt.crt", "rfc9216/"+name+".encrypt.key")}
		people[name] = p
		b, err := os.ReadFile(filepath.Join(dir, "rfc9216", name+".p12"))
		if err != nil {
			t.Fatal(err)
		}
		creds, err := keyfile.Credentials(b, name)
		if err != nil {
			t.Fatalf("%s.p12: %v", name, err)
		}
		for _, want := range []*x509.Certificate{p.sign.cert, p.encrypt.cert} {
			found := false
			for _, c := range creds {
				found = found || c.Cert.Equal(want)
			}
			if !found {
				t.Errorf("%s.p12 does not give the key of %s", name, want.Subject)
			}
		}
	}
	for from, f := range people {
		for to, r := range people {
			msg := sealed(t, referral(), smime.SealOptions{Signer: f.sign.identity(), Recipients: []smime.Recipient{{Cert: r.encrypt.cert}}})
			got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{r.encrypt.decrypt()}})
			if !bytes.Equal(all(t, got.Inner), referral()) || !got.Signers[0].Cert.Equal(f.sign.cert) {
				t.Errorf("%s to %s came out otherwise", from, to)
			}
		}
	}
}

// Every message of the MIME corpus, sealed and opened, comes back octet for octet.
func TestTortureMessagesSurviveSealing(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "p256")
	for _, e := range corpus.Walk(t, "mime") {
		switch filepath.Ext(e.File) {
		case ".json", ".xml", ".out":
			continue
		}
		inner := append([]byte("From: a@b.example\r\nTo: c@d.example\r\nContent-Type: message/rfc822\r\n\r\n"), e.Read(t)...)
		msg := sealed(t, inner, smime.SealOptions{Signer: from.identity(), Recipients: []smime.Recipient{{Cert: to.cert}}})
		got, err := smime.Open(bytes.NewReader(msg), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
			continue
		}
		if !bytes.Equal(all(t, got.Inner), inner) {
			t.Errorf("%s came back changed", e.File)
		}
		src := got.Inner
		if _, err := part.Parse(src, src.Size(), part.Limits{}); err != nil && !errors.Is(err, part.ErrLimit) {
			t.Errorf("%s: %v", e.File, err)
		}
		got.Close()
	}
}
