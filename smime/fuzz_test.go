package smime_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/lab/corpus"
	"postern/smime"
	"postern/smime/cms"
	"postern/smime/cms/ber"
)

// FuzzOpen mutates the structure of a message: the input is a list of edits to the DER tree of a
// genuine envelope (so that key transport stays valid) or to its plaintext. Nothing may panic, every
// refusal has a reason, and what opens is exactly what was signed.
func FuzzOpen(f *testing.F) {
	from, to := someone(f, "hospital", "p256"), someone(f, "clinic", "rsa2048")
	content := wrapped(referral())
	p7s := forgedData{signers: []forgedSigner{{p: from}}}.der(f, content)
	signed := multipart(content, p7s)
	for _, seed := range []string{"", "\x00\x05\x01", "\x01\x10\x02\x03", "\x02\x00\x03\xff\x05\x01\x07", "\x03\x08\x80"} {
		f.Add([]byte(seed))
	}
	keys := []smime.Key{to.decrypt()}
	recipient := ktri(f, to, ktriOptions{})
	f.Fuzz(func(t *testing.T, edits []byte) {
		if len(edits) > 64 {
			return
		}
		plain, der := bytes.Clone(signed), []byte(nil)
		env := forgedEnvelope{recipients: [][]byte{recipient}}
		for e := edits; len(e) >= 3 && e[0]&1 == 1; e = e[3:] {
			plain = edit(plain, e[1], e[2], e[0]>>1)
		}
		env.content = cbc(t, plain)
		der = env.der()
		for e := edits; len(e) >= 3; e = e[3:] {
			if e[0]&1 == 0 {
				der = editTree(der, int(e[1]), e[0]>>1, e[2])
			}
		}
		msg := []byte("Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n" + string(der))
		got, err := smime.Open(bytes.NewReader(msg), smime.OpenOptions{Keys: keys})
		if err != nil {
			var e *smime.Error
			if !errors.As(err, &e) || e.Reason == "" {
				t.Fatalf("refusal without a reason: %v", err)
			}
			return
		}
		defer got.Close()
		if inner := all(t, got.Inner); !bytes.Equal(inner, referral()) {
			t.Fatalf("another message opened: %q", inner)
		}
	})
}

// edit changes octets at a place: at/256 of the length.
func edit(b []byte, at, v, how byte) []byte {
	if len(b) == 0 {
		return b
	}
	i := len(b) * int(at) / 256
	switch how % 5 {
	case 0:
		b[i] ^= v | 1
	case 1:
		return b[:i]
	case 2:
		return append(b[:i:i], append(bytes.Repeat([]byte{v}, int(v)), b[i:]...)...)
	case 3:
		return append(b[:i:i], b[min(i+int(v), len(b)):]...)
	case 4:
		return append(b[:i:i], append(bytes.Clone(b[i:min(i+int(v), len(b))]), b[i:]...)...)
	}
	return b
}

// editTree changes the n-th element of a DER value and repairs the lengths around it.
func editTree(der []byte, n int, how, v byte) []byte {
	count := 0
	var walk func(b []byte, depth int) []byte
	walk = func(b []byte, depth int) []byte {
		e, err := ber.One(b)
		if err != nil || depth > 20 {
			return b
		}
		count++
		if count-1 == n {
			return editElement(e, how, v)
		}
		if !e.Constructed {
			return b
		}
		var body []byte
		for c := e.Children(); !c.Empty(); {
			k, err := c.Next()
			if err != nil {
				return b
			}
			body = append(body, walk(k.Full, depth+1)...)
		}
		return ber.Build(b[0], body)
	}
	return walk(der, 0)
}

func editElement(e ber.Element, how, v byte) []byte {
	switch how % 10 {
	case 0:
		return ber.Build(v, e.Content)
	case 1:
		return nil
	case 2:
		return append(bytes.Clone(e.Full), e.Full...)
	case 3:
		return ber.Build(e.Full[0], e.Content[:len(e.Content)*int(v)/256])
	case 4:
		return append(append([]byte{e.Full[0] | 0x20, 0x80}, e.Content...), 0, 0)
	case 5:
		return ber.Build(e.Full[0], bytes.Repeat([]byte{v}, int(v)))
	case 6:
		return append([]byte{e.Full[0], 0x84, 0, 0, byte(len(e.Content) >> 8), byte(len(e.Content))}, e.Content...)
	case 7:
		return ber.Build(0x30, e.Full)
	case 8:
		return append([]byte{e.Full[0], v}, e.Content...)
	}
	c := bytes.Clone(e.Full)
	c[len(c)-1] ^= v | 1
	return c
}

// FuzzMessage is Open over any octets at all, with the corpus as seeds.
func FuzzMessage(f *testing.F) {
	to := someone(f, "clinic", "rsa2048")
	from := someone(f, "hospital", "rsa2048")
	for _, e := range corpus.Walk(f, "smime") {
		if ext := filepath.Ext(e.File); ext == ".eml" || ext == ".message" {
			f.Add(e.Read(f))
		}
	}
	f.Add(direct(f, from, to, referral()))
	keys := append(corpusKeys(f), to.decrypt())
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := smime.Open(bytes.NewReader(b), smime.OpenOptions{Keys: keys, Legacy: true})
		if err != nil {
			var e *smime.Error
			if !errors.As(err, &e) || e.Reason == "" {
				t.Fatalf("refusal without a reason: %v", err)
			}
			return
		}
		if got.Inner.Size() < 0 || len(got.Signers) == 0 {
			t.Fatalf("opened %+v", got.Report)
		}
		got.Close()
	})
}

// FuzzCMS reads any octets as SignedData and as envelope, DER or BER, with every algorithm allowed.
func FuzzCMS(f *testing.F) {
	to, from := someone(f, "clinic", "rsa2048"), someone(f, "hospital", "p256")
	for _, e := range corpus.Walk(f, "smime") {
		switch filepath.Ext(e.File) {
		case ".bin", ".sig", ".p7m", ".der":
			f.Add(e.Read(f))
		}
	}
	f.Add(forgedData{signers: []forgedSigner{{p: from}}, opaque: true}.der(f, []byte("content")))
	f.Add(indefinite(f, sealedFor(f, to, []byte("content")).der(), 5, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := cms.Read(bytes.NewReader(b))
		if err != nil {
			mustReason(t, err)
			return
		}
		switch m.Type() {
		case cms.TypeSigned:
			s, err := m.Signed()
			if err == nil && s.Content() != nil {
				_, err = io.Copy(io.Discard, s.Content())
			}
			if err == nil {
				err = s.Finish()
			}
			if err == nil {
				_, err = s.Verify(cms.VerifyOptions{Legacy: true, Digest: fixedDigest})
			}
			mustReason(t, err)
		case cms.TypeEnveloped, cms.TypeAuthEnveloped:
			p, err := m.Decrypt(cms.DecryptOptions{Keys: []cms.Key{to.decrypt()}, Legacy: true})
			if err == nil {
				for err == nil {
					_, err = p.Next()
				}
				p.Close()
			}
			if !errors.Is(err, io.EOF) {
				mustReason(t, err)
			}
		}
		if _, _, err := cms.ParseBundle(b); err != nil {
			mustReason(t, err)
		}
	})
}

func mustReason(t *testing.T, err error) {
	t.Helper()
	if err != nil && cms.ReasonOf(err) == "" {
		t.Fatalf("error without a reason: %v", err)
	}
}

// FuzzSplit holds the streaming splitter, fed in pieces, against a plain reading of the whole text.
func FuzzSplit(f *testing.F) {
	from, to := someone(f, "hospital", "p256"), someone(f, "clinic", "rsa2048")
	f.Add("hello\r\n--b0x\r\n--b\r\n", uint16(7))
	f.Add("--b0 \t\n\r\n", uint16(65500))
	f.Add("\r\n--b0-\r", uint16(65530))
	f.Fuzz(func(t *testing.T, text string, pad uint16) {
		if strings.Contains(base64.StdEncoding.EncodeToString([]byte(text)), "--b0") {
			return
		}
		content := wrapped([]byte("From: a@b.example\r\n\r\n" + strings.Repeat("x", int(pad)) + "\r\n" + text))
		if ends(content) {
			return // the content itself holds a delimiter
		}
		msg := mail(sealedFor(t, to, multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))).der())
		got, err := smime.Open(&dribble{b: msg, n: 1 + int(pad)%5000}, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		if err != nil {
			t.Fatalf("content %.100q…%q: %v", content, text, err)
		}
		defer got.Close()
		if inner := all(t, got.Inner); !bytes.Equal(wrapped(inner), content) {
			t.Fatalf("content %q came out as %q", text, inner)
		}
	})
}

// ends reports a delimiter line of boundary b0 in the content, or one that the line end after the
// content would complete.
func ends(content []byte) bool {
	for _, line := range strings.Split(string(content)+"\r\n", "\n") {
		rest, ok := strings.CutPrefix(line, "--b0")
		if ok && strings.Trim(strings.TrimPrefix(rest, "--"), " \t\r") == "" {
			return true
		}
	}
	return false
}

func fixedDigest(h crypto.Hash) ([]byte, error) { return make([]byte, h.Size()), nil }
