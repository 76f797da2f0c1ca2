package smime_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"postern/smime"
	"postern/smime/cms"
)

// What a signature says of content whose line ends were changed on the way: only the forms of the ladder are
// tried, only for signers whose attributes name a digest, and what comes out is what was signed.
func TestVerdictOverLineEnds(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	inner := "From: a@hospital.example\r\nTo: b@clinic.example\r\n\r\nfirst\r\nsecond\r\n"
	signed := string(wrapped([]byte(inner)))
	lf := strings.ReplaceAll(signed, "\r\n", "\n")
	ends, final := smime.LenientLineEnds, smime.LenientFinalBreak
	for _, c := range []struct {
		name, received string
		ok             bool
		lenient        []smime.Leniency
	}{
		{"as signed", signed, true, nil},
		{"LF", lf, true, []smime.Leniency{ends}},
		{"some LF", strings.Replace(signed, "first\r\n", "first\n", 1), true, []smime.Leniency{ends}},
		{"one line end less", strings.TrimSuffix(signed, "\r\n"), true, []smime.Leniency{final}},
		{"one line end more", signed + "\r\n", true, []smime.Leniency{final}},
		{"LF and one less", strings.TrimSuffix(lf, "\n"), true, []smime.Leniency{ends, final}},
		{"LF and one more", lf + "\n", true, []smime.Leniency{ends, final}},
		{"two less", strings.TrimSuffix(signed, "second\r\n"), false, nil},
		{"two more", signed + "\r\n\r\n", false, nil},
		{"CR", strings.ReplaceAll(signed, "\r\n", "\r"), false, nil},
		{"CR CR LF", strings.ReplaceAll(signed, "\r\n", "\r\r\n"), false, nil},
		{"LF CR", strings.ReplaceAll(signed, "\r\n", "\n\r"), false, nil},
		{"a blank at a line's end", strings.Replace(signed, "first", "first ", 1), false, nil},
		{"a form feed", strings.Replace(signed, "first\r\n", "first\f\r\n", 1), false, nil},
		{"a NUL at the end", signed + "\x00", false, nil},
	} {
		for way, signer := range map[string]forgedSigner{"attributes": {p: from, content: []byte(signed)}, "no attributes": {p: from, noAttrs: true, content: []byte(signed)}} {
			for _, opaque := range []bool{false, true} {
				entity := multipart([]byte(c.received), forgedData{signers: []forgedSigner{signer}}.der(t, []byte(c.received)))
				if opaque {
					entity = mailAs(forgedData{signers: []forgedSigner{signer}, opaque: true}.der(t, []byte(c.received)), "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n")
				}
				name := fmt.Sprintf("%s, %s, opaque %v", c.name, way, opaque)
				left := &counting{}
				got, err := smime.Open(bytes.NewReader(mail(sealedFor(t, to, entity).der())), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Scratch: left.scratch})
				want := c.ok && (c.received == signed || way == "attributes" && !opaque)
				if (err == nil) != want {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if err != nil {
					if left.open != 0 {
						t.Errorf("%s: %d scratches left", name, left.open)
					}
					continue
				}
				if b := all(t, got.Inner); string(b) != inner {
					t.Errorf("%s: came out as %q", name, b)
				}
				for _, l := range []smime.Leniency{ends, final} {
					if slices.Contains(got.Report.Leniencies, l) != slices.Contains(c.lenient, l) {
						t.Errorf("%s: marked %v", name, got.Report.Leniencies)
					}
				}
				got.Close()
			}
		}
	}
}

// Several signers, each over another form: the form that is taken is one that a signer signed, and those of
// other forms do not count.
func TestSignersOfDifferentForms(t *testing.T) {
	one, two, to := someone(t, "hospital", "rsa2048"), someone(t, "laboratory", "p256"), someone(t, "clinic", "rsa2048")
	crlf := wrapped([]byte("From: a@hospital.example\r\n\r\ntext\r\n"))
	received := bytes.ReplaceAll(crlf, []byte("\r\n"), []byte("\n"))
	entity := multipart(received, forgedData{signers: []forgedSigner{{p: one, content: crlf}, {p: two, content: received}}}.der(t, received))
	got := opened(t, mail(sealedFor(t, to, entity).der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	if got.Signers[0].Reason != cms.ReasonDigest || got.Signers[1].Reason != "" {
		t.Errorf("signers %v and %v", got.Signers[0].Reason, got.Signers[1].Reason)
	}
	if b := all(t, got.Inner); bytes.Contains(b, []byte("\r\n")) {
		t.Errorf("came out in a form the valid signer did not sign: %q", b)
	}
}

// Cipher blocks added to the end of a genuine message: whatever they decrypt to, the answer does not tell
// whether the padding in them was right. All of it must be refused, or the sender of such messages could
// decrypt with our answers.
func TestAddedBlocksAreNoPaddingOracle(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	closed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	open := bytes.TrimSuffix(closed, []byte("--b0--\r\n"))
	opaque := mailAs(forgedData{signers: []forgedSigner{{p: from}}, opaque: true}.der(t, content), "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n")
	keys := smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}
	for name, entity := range map[string][]byte{"closed": closed, "not closed": open, "opaque": opaque} {
		if got := reasonOf(t, mail(sealedFor(t, to, entity).der()), keys); got != "" {
			t.Fatalf("%s without anything added: %q", name, got)
		}
		// What two blocks decrypt to, with the padding already taken off: the octets that a lenient reader would
		// be the most likely to pass over.
		for _, kind := range []string{"any", "no base64", "high", "controls"} {
			for range 20 {
				b := make([]byte, 31)
				rand.Read(b)
				for i := range b {
					switch kind {
					case "no base64":
						b[i] = "!#$%&'()*,-.:;<>?@[]^_`{|}~"[int(b[i])%27]
					case "high":
						b[i] |= 0x80
					case "controls":
						b[i] = b[i]%8 + 1
					}
				}
				if got := reasonOf(t, mail(sealedFor(t, to, append(entity[:len(entity):len(entity)], b...)).der()), keys); got == "" {
					t.Fatalf("%s: accepted with %q behind it", name, b)
				}
			}
		}
	}
}

// A source that gives one octet at a time costs no more than another: the header is parsed a few times, not
// once an octet.
func TestATricklingSource(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	long := append([]byte("X-A: "+strings.Repeat("y\r\n ", 60<<10)+"\r\n"), direct(t, from, to, referral())...)
	got, err := smime.Open(iotest.OneByteReader(bytes.NewReader(long)), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if b := all(t, got.Inner); !bytes.Equal(b, referral()) {
		t.Errorf("opened %q", b)
	}
}
