package smime_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"postern/smime"
	"postern/smime/cms"
)

// Cipher blocks put into a genuine message, anywhere but in its signed part: what they decrypt to is random to
// whoever put them there, and none may be passed over. Else acceptance would tell whether there is a line end in
// them, or how many characters of base64, and so in the end what they hold.
func TestAlteredBlocksAnswerNothing(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	p7s := forgedData{signers: []forgedSigner{{p: from}}, certs: [][]byte{from.cert.Raw, authority(t).cert.Raw}}.der(t, content)
	signed := string(multipart(content, p7s))
	opaque := string(mailAs(forgedData{signers: []forgedSigner{{p: from}}, certs: [][]byte{from.cert.Raw, authority(t).cert.Raw}, opaque: true}.der(t, content),
		"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n"))
	behind := func(entity, what string) int {
		i := strings.Index(entity, what)
		if i < 0 {
			t.Fatalf("no %q", what)
		}
		return i + len(what)
	}
	head := strings.Index(signed, "\r\n\r\n")
	signature := behind(signed, "name=smime.p7s")
	b64 := behind(signed, "Content-Transfer-Encoding: base64\r\n\r\n") + 1200
	keys := smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}
	for _, c := range []struct {
		name     string
		entity   string
		at, less int // where the blocks go, and how many genuine octets they replace
	}{
		{"in front of the header", signed, 0, 0},
		{"in the content type", signed, behind(signed, "micalg=sha-256;"), 0},
		{"behind the last header field", signed, head, 0},
		{"in the preamble", signed, head + 4, 0},
		{"in the header of the signature", signed, signature, 0},
		{"in the base64 of a certificate", signed, b64, 0},
		{"instead of base64 of a certificate", signed, b64, 8},
		{"instead of more base64 of a certificate", signed, b64, 16},
		{"behind the base64", signed, strings.LastIndex(signed, "--b0--"), 0},
		{"in the header of an opaque signature", opaque, behind(opaque, "smime-type=signed-data"), 0},
		{"instead of base64 of an opaque signature", opaque, len(opaque) - 900, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 60 {
				blocks := make([]byte, 32)
				rand.Read(blocks)
				altered := c.entity[:c.at] + string(blocks) + c.entity[c.at+c.less:]
				if got := reasonOf(t, mail(sealedFor(t, to, []byte(altered)).der()), keys); got == "" {
					t.Fatalf("opened with %q", blocks)
				}
			}
		})
	}
}

// Nothing may stand in a signature behind its signers: nobody signed it.
func TestNothingBehindTheSigners(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	genuine := forgedData{signers: []forgedSigner{{p: from}}}.der(t, content)
	children := mustOne(t, genuine).Children()
	id, err := children.Next()
	if err != nil {
		t.Fatal(err)
	}
	explicit, err := children.Next()
	if err != nil {
		t.Fatal(err)
	}
	data := mustOne(t, explicit.Content)
	more := octets(bytes.Repeat([]byte{7}, 300))
	for name, p7s := range map[string][]byte{
		"in the signed data":                  seq(id.Full, ctx(0, seq(data.Content, more))),
		"behind the signed data":              seq(id.Full, ctx(0, data.Full, more)),
		"in the content info":                 seq(id.Full, explicit.Full, more),
		"octets that are no element":          seq(id.Full, explicit.Full, []byte{0xff, 0xff, 0xff, 1, 2, 3, 4}),
		"in a signer info":                    forgedData{signers: []forgedSigner{{p: from, unsigned: octets([]byte("x"))}}}.der(t, content),
		"in a signer info behind attributes":  forgedData{signers: []forgedSigner{{p: from, unsigned: append(ctx(1, attribute("1.2.3", null())), null()...)}}}.der(t, content),
		"unsigned attributes that are octets": forgedData{signers: []forgedSigner{{p: from, unsigned: []byte{0x81, 2, 1, 2}}}}.der(t, content),
	} {
		got := reasonOf(t, mail(sealedFor(t, to, multipart(content, p7s)).der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		if got != cms.ReasonMalformed {
			t.Errorf("%s: %q", name, got)
		}
	}
	unsigned := forgedData{signers: []forgedSigner{{p: from, unsigned: ctx(1, attribute("1.2.3", null()))}}}.der(t, content)
	if got := reasonOf(t, mail(sealedFor(t, to, multipart(content, unsigned)).der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got != "" {
		t.Errorf("unsigned attributes: %q", got)
	}
}

// An encrypted message that is one line without an end takes no more memory than a header may have.
func TestALineWithoutAnEnd(t *testing.T) {
	to := someone(t, "clinic", "rsa2048")
	msg := mail(sealedFor(t, to, bytes.Repeat([]byte("y"), 4<<20)).der())
	var before, after memory
	before.read()
	if got := reasonOf(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got != cms.ReasonLimit {
		t.Errorf("reason %q", got)
	}
	if after.read(); after.total-before.total > 4<<20 {
		t.Errorf("%d octets allocated", after.total-before.total)
	}
}

// A message to more people of ours than keys are tried for one message opens: any of their keys will do.
func TestMoreRecipientsOfOursThanAreTried(t *testing.T) {
	from := someone(t, "hospital", "rsa2048")
	o := smime.SealOptions{Signer: from.identity(), Now: testTime()}
	var keys []smime.Key
	for range cms.MaxMatches + 1 {
		p := newPerson(t, "nurse", "p256")
		keys = append(keys, p.decrypt())
		o.Recipients = append(o.Recipients, smime.Recipient{Cert: p.cert})
	}
	got := opened(t, sealed(t, referral(), o), smime.OpenOptions{Keys: keys})
	if b := all(t, got.Inner); !bytes.Equal(b, referral()) {
		t.Errorf("opened %q", b)
	}
	if got.Report.Recipients != len(keys) {
		t.Errorf("the receipt counts %d recipients of %d", got.Report.Recipients, len(keys))
	}
	if got := opened(t, sealed(t, referral(), o), smime.OpenOptions{Keys: keys[cms.MaxMatches:]}); got.Report.Recipients != len(keys) {
		t.Errorf("the last alone: %d recipients", got.Report.Recipients)
	}
}

// The detail of a refusal is kept and shown; nothing that was decrypted may be in it.
func TestDetailsHoldNothingDecrypted(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	signed := string(multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content)))
	keys := smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}
	for name, entity := range map[string]string{
		"unsigned":                  "Content-Type: jane-doe-hiv/positive; x=y\r\n\r\ntext\r\n",
		"signature of another type": strings.Replace(signed, "application/pkcs7-signature; name", "jane-doe-hiv/positive; name", 1),
		"type of the opaque form":   "Content-Type: application/pkcs7-mime; smime-type=jane-doe-hiv\r\n\r\njane-doe-hiv\r\n",
	} {
		_, err := smime.Open(bytes.NewReader(mail(sealedFor(t, to, []byte(entity)).der())), keys)
		var e *smime.Error
		if !errors.As(err, &e) || e.Reason == "" {
			t.Fatalf("%s: %v", name, err)
		}
		if strings.Contains(err.Error()+e.Detail, "hiv") {
			t.Errorf("%s: the detail is %q", name, e.Detail)
		}
	}
	_, err := smime.Open(strings.NewReader("Content-Type: "+strings.Repeat("y", 100_000)+"\r\n\r\n"), keys)
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("a detail of %d octets", len(err.Error()))
	}
}
