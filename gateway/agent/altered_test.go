package agent_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/smime/addr"
	"postern/smime/cms"
)

// decrypted is the signed entity inside a sealed message.
func decrypted(t *testing.T, sealed []byte, c certs.Credential) []byte {
	t.Helper()
	_, body, _ := bytes.Cut(sealed, []byte("\r\n\r\n"))
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(body), "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	m, err := cms.Read(bytes.NewReader(der))
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Decrypt(cms.DecryptOptions{Keys: []cms.Key{{Cert: c.Cert, Private: c.Key}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var out []byte
	for {
		b, err := p.Next()
		out = append(out, b...)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Somebody on the way who holds our public certificate takes the signed entity he once got from the sender,
// changes it and encrypts it for us: what no longer is what was signed is refused (AS-87), in silence.
func TestAlteredContent(t *testing.T) {
	f, ca := receiver(t)
	ours := f.keys[intake.Key()][0]
	inner := mail(fromDoc + toIntake)
	entity := decrypted(t, f.seal(leaf(t, ca, issue.LeafOptions{Address: doc}), inner, intake), ours)
	if !bytes.Contains(entity, []byte("Hello.")) {
		t.Fatalf("the entity is not what this test thinks:\n%s", entity)
	}
	for _, c := range []struct{ situation, old, new, want string }{
		{"unchanged", "", "", "ok"},
		{"a word", "Hello.", "Hullo.", "digest_mismatch"},
		{"the sender", "doc@hospital", "dox@hospital", "digest_mismatch"},
		{"the recipient", "intake@clinic", "inhale@clinic", "digest_mismatch"},
		{"a line more", "Hello.\r\n", "Hello.\r\nAnd more.\r\n", "digest_mismatch"},
		{"without its signature", "multipart/signed", "multipart/mixed", "unsigned"},
	} {
		t.Run(c.situation, func(t *testing.T) {
			changed := bytes.ReplaceAll(entity, []byte(c.old), []byte(c.new))
			if c.old == "" {
				changed = entity
			} else if bytes.Equal(changed, entity) {
				t.Fatal("nothing was changed")
			}
			msg := encrypted(t, changed, ours.Cert, doc)
			check(t, f, agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(msg)}, c.want, inner)
		})
	}
}
