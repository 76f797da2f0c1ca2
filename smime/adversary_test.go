package smime_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"postern/smime"
	"postern/smime/cms"
)

// reasonOf is the Reason of opening msg; "" when it opened.
func reasonOf(t testing.TB, msg []byte, o smime.OpenOptions) smime.Reason {
	t.Helper()
	got, err := smime.Open(bytes.NewReader(msg), o)
	if err == nil {
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
		return ""
	}
	var e *smime.Error
	if !errors.As(err, &e) {
		t.Fatalf("error without a reason: %v", err)
	}
	return e.Reason
}

// Whatever is wrong inside an envelope that a peer cannot see into, the error text and the amount
// of plaintext that was gone through are the same.
func TestDecryptionFailuresLookAlike(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(bulky(t, 100_000))
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	badPad := padded(signed, 16)
	badPad[len(badPad)-1] = 99
	ours := ktri(t, to, ktriOptions{})
	encrypted := cbc(t, signed)
	flipped := bytes.Clone(encrypted)
	flipped[len(flipped)-20] ^= 0x80
	for name, f := range map[string]forgedEnvelope{
		"bad RSA padding":    {recipients: [][]byte{ktri(t, to, ktriOptions{damage: true})}, content: encrypted},
		"content key short":  {recipients: [][]byte{ktri(t, to, ktriOptions{key: cek()[:16]})}, content: encrypted},
		"content key other":  {recipients: [][]byte{ktri(t, to, ktriOptions{key: bytes.Repeat([]byte{1}, 32)})}, content: encrypted},
		"bad OAEP padding":   {recipients: [][]byte{ktri(t, to, ktriOptions{alg: alg(oOAEP, seq())})}, content: encrypted},
		"bad CBC padding":    {recipients: [][]byte{ours}, content: rawCBC(t, badPad)},
		"last block flipped": {recipients: [][]byte{ours}, content: flipped},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &counting{}
			_, err := smime.Open(bytes.NewReader(mail(f.der())), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Scratch: seen.scratch})
			if err == nil || err.Error() != "smime: undecryptable" {
				t.Errorf("error is %v", err)
			}
			if seen.open != 0 {
				t.Errorf("%d scratches left with plaintext", seen.open)
			}
		})
	}
}

// counting counts scratches that were not destroyed.
type counting struct{ made, open int }

func (c *counting) scratch() (smime.Scratch, error) {
	s, err := smime.NewMemory()
	c.made++
	c.open++
	return &counted{s, c, false}, err
}

type counted struct {
	smime.Scratch
	c    *counting
	done bool
}

func (c *counted) Discard() error {
	if !c.done {
		c.done = true
		c.c.open--
	}
	return c.Scratch.Discard()
}

func TestPlaintextIsDestroyedOnRefusalAndOnClose(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	keys := []smime.Key{to.decrypt()}
	for _, damage := range []bool{true, false} {
		c := &counting{}
		got, err := smime.Open(bytes.NewReader(signedMail(t, to, forgedData{signers: []forgedSigner{{p: from, damage: damage}}})), smime.OpenOptions{Keys: keys, Scratch: c.scratch})
		if damage != (err != nil) {
			t.Fatalf("damaged %v, error %v", damage, err)
		}
		if err == nil {
			if c.open == 0 {
				t.Error("an opened message has no plaintext")
			}
			if err := got.Close(); err != nil {
				t.Error(err)
			}
		}
		if c.made == 0 || c.open != 0 {
			t.Errorf("%d scratches made, %d left", c.made, c.open)
		}
	}
}

// A scratch that fails is the caller's trouble, never a verdict about the message.
func TestAFailingScratchIsNoVerdict(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	full := errors.New("disk full")
	_, err := smime.Open(bytes.NewReader(direct(t, from, to, bulky(t, 200_000))), smime.OpenOptions{
		Keys: []smime.Key{to.decrypt()}, Scratch: func() (smime.Scratch, error) { return &fullScratch{err: full}, nil }})
	var e *smime.Error
	if !errors.Is(err, full) || errors.As(err, &e) {
		t.Errorf("error is %v", err)
	}
	_, err = smime.Open(io.MultiReader(bytes.NewReader(direct(t, from, to, bulky(t, 200_000))[:50_000]), failing{full}), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	if !errors.Is(err, full) || errors.As(err, &e) {
		t.Errorf("error of the source came back as %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type fullScratch struct {
	smime.Memory
	err error
}

func (f *fullScratch) Write(p []byte) (int, error) { return 0, f.err }

// EFAIL: blocks of ciphertext spliced so that known plaintext becomes an HTML prefix. The signature
// covers everything, so nothing comes out.
func TestSplicedCiphertextIsRefused(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(bulky(t, 4000))
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	c := cbc(t, signed)
	for _, at := range []int{0, 16, 64, 400, len(c)/2 - len(c)/2%16} {
		known := signed[at : at+16] // what the attacker knows stands in this block
		want := []byte("<img src=//e.ex/")
		before := iv()
		if at > 0 {
			before = c[at-16 : at]
		}
		gadget := make([]byte, 16)
		for i := range gadget {
			gadget[i] = before[i] ^ known[i] ^ want[i]
		}
		spliced := append(append(append(bytes.Clone(c[:at]), gadget...), c[at:at+16]...), c[at:]...)
		f := sealedFor(t, to, nil)
		f.content = spliced
		got := reasonOf(t, mail(f.der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		if got == "" {
			t.Errorf("gadget at octet %d was opened", at)
		}
	}
}

// A genuine signed part inside another structure must not lend its signature to anything else.
func TestSignatureWrappingIsRefused(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	genuine := string(multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content)))
	parts := strings.Split(genuine, "--b0")
	evil := "\r\nContent-Type: message/rfc822\r\n\r\nFrom: ada@hospital.example\r\n\r\nPay the bill.\r\n"
	nested := strings.NewReplacer("--b0", "--b1", "boundary=b0", "boundary=b1").Replace(genuine)
	for name, entity := range map[string]string{
		"other content, genuine signature":       parts[0] + "--b0" + evil + "--b0" + parts[2] + "--b0" + parts[3],
		"genuine part moved to the end":          parts[0] + "--b0" + evil + "--b0" + parts[2] + "--b0" + parts[1] + "--b0--",
		"genuine message nested beside covert":   "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>covert</b>\r\n--x\r\n" + genuine + "\r\n--x--\r\n",
		"genuine message inside the first part":  parts[0] + "--b0\r\n" + nested + "\r\n--b0" + parts[2] + "--b0" + parts[3],
		"content in the preamble":                strings.Replace(genuine, "\r\n--b0\r\n", evil+"\r\n--b0\r\nContent-Type: text/plain\r\n\r\nx\r\n--b0\r\n", 1),
		"two boundaries, first of another value": strings.Replace(genuine, "boundary=b0", "boundary=zz; boundary=b0", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got := reasonOf(t, mail(sealedFor(t, to, []byte(entity)).der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got == "" {
				t.Error("opened")
			}
		})
	}
}

// Text before the signed parts is no part of the message; text behind them refuses it, or its acceptance
// would be a padding oracle.
func TestTextAroundTheSignedParts(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	genuine := string(multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content)))
	entity := strings.Replace(genuine, "\r\n\r\n--b0", "\r\nSubject: covert\r\nFrom: evil@evil.example\r\n\r\ncovert text\r\n--b0", 1)
	for _, behind := range []string{"covert epilogue", "\x00", "\r\n.", strings.Repeat("\n", 70_000) + "x"} {
		if got := reasonOf(t, mail(sealedFor(t, to, []byte(entity+behind)).der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got != smime.ReasonStructure {
			t.Errorf("%.20q behind the end: %q", behind, got)
		}
	}
	entity += " \t\r\n\r\n"
	got := opened(t, mail(sealedFor(t, to, []byte(entity)).der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	if inner := all(t, got.Inner); !bytes.Equal(inner, referral()) {
		t.Errorf("inner message is %q", inner)
	}
}

// The opaque form and its content type: signed attributes must name the type that is there.
func TestContentTypeConfusionIsRefused(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	der := forgedData{signers: []forgedSigner{{p: from}}, opaque: true, ctype: "1.2.840.113549.1.9.16.1.4"}.der(t, wrapped(referral()))
	entity := mailAs(der, "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n")
	if got := reasonOf(t, mail(sealedFor(t, to, entity).der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got != cms.ReasonContentType {
		t.Errorf("reason %q", got)
	}
}

// Odd but legal MIME goes through octet for octet.
func TestOddMIMESurvives(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "p256")
	head := "From: ada@hospital.example\r\nTo: ben@clinic.example\r\nMessage-ID: <1@x.example>\r\n"
	for name, inner := range map[string]string{
		"long line":              head + "\r\n" + strings.Repeat("x", 200_000) + "\r\n",
		"no final line end":      head + "\r\nend",
		"only a header":          head + "\r\n",
		"no blank line":          head,
		"preamble and epilogue":  head + "Content-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n--a\r\n\r\nx\r\n--a--\r\nepilogue",
		"nested with equal ends": head + "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n--a--\r\n",
		"8-bit":                  head + "\r\nGr\xc3\xbc\xc3\x9fe \xff\xfe\r\n",
		"bare line feeds":        head + "Content-Transfer-Encoding: binary\r\n\r\na\nb\rc\x00d\r\r\n\n\n",
		"ends in many line ends": head + "\r\nx\r\n\r\n\r\n\r\n",
		"ends in CR":             head + "\r\nx\r",
		"ends in LF":             head + "\r\nx\n",
		"trailing blanks":        head + "\r\nx  \t \r\n   \r\n",
		"multipart/signed":       head + "Content-Type: multipart/signed; boundary=b0\r\n\r\n--b0\r\n\r\nx\r\n--b0\r\nContent-Type: application/pkcs7-signature\r\n\r\nMII=\r\n--b0--\r\n",
		"dots":                   head + "\r\n.\r\n..\r\n.x\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			msg := sealed(t, []byte(inner), smime.SealOptions{Signer: from.identity(), Recipients: []smime.Recipient{{Cert: to.cert}}})
			got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
			if have := all(t, got.Inner); string(have) != inner {
				t.Errorf("came back as %.200q", have)
			}
			if len(got.Report.Leniencies) != 0 {
				t.Errorf("our own message needs %v", got.Report.Leniencies)
			}
		})
	}
}

// Whatever the size of the pieces in which a message arrives, the outcome is the same.
func TestPiecesOfAnySizeGiveTheSame(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	msg := direct(t, from, to, []byte(lookalikes()))
	for size := 1; size < 300; size += 7 {
		got, err := smime.Open(&dribble{b: msg, n: size}, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		if err != nil {
			t.Fatalf("pieces of %d: %v", size, err)
		}
		if have := all(t, got.Inner); string(have) != lookalikes() {
			t.Fatalf("pieces of %d: %q", size, have)
		}
		got.Close()
	}
}

type dribble struct {
	b []byte
	n int
}

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), d.n)], d.b)
	d.b = d.b[n:]
	return n, nil
}

// A delimiter may fall anywhere relative to the pieces plaintext comes in.
func TestDelimitersAcrossPieces(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "rsa2048")
	for pad := 65_300; pad < 65_900; pad += 3 {
		inner := append(referral(), strings.Repeat("y", pad-len(referral()))...)
		content := wrapped(inner)
		msg := mail(sealedFor(t, to, multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))).der())
		if got := reasonOf(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got != "" {
			t.Fatalf("content of %d octets: %s", pad, got)
		}
	}
}

func TestWorkOnHostileInputIsLinear(t *testing.T) {
	child := octets([]byte{1})
	for name, make := range map[string]func(n int) []byte{
		"tiny elements":          func(n int) []byte { return ctx(0, bytes.Repeat(child, n)) },
		"tiny indefinite":        func(n int) []byte { return ctx(0, bytes.Repeat([]byte{0x30, 0x80, 0, 0}, n)) },
		"nested closed":          func(n int) []byte { return ctx(0, bytes.Repeat([]byte{0x30, 2, 0x30, 0}, n)) },
		"indefinite tiny octets": func(n int) []byte { return append(append([]byte{0xa0, 0x80}, bytes.Repeat(child, n)...), 0, 0) },
		"empty constructed octet": func(n int) []byte {
			return append(append([]byte{0xa0, 0x80}, bytes.Repeat([]byte{0x24, 0}, n)...), 0, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			work := func(n int) (steps int64, reads int64) {
				src := &tally{r: bytes.NewReader(seq(oidDER(oEnveloped), ctx(0, seq(integer(0), make(n), set()))))}
				m, err := cms.Read(src)
				if err != nil {
					t.Fatal(err)
				}
				_, err = m.Decrypt(cms.DecryptOptions{})
				if err == nil {
					t.Fatal("decrypted")
				}
				return m.Work(), src.n
			}
			s1, r1 := work(20_000)
			s2, r2 := work(40_000)
			if s2 > 2*s1+100 || r2 > 2*r1+100_000 {
				t.Errorf("twice the input: %d elements after %d, %d octets after %d", s2, s1, r2, r1)
			}
		})
	}
}

type tally struct {
	r io.Reader
	n int64
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	return n, err
}

// Lengths that announce gigabytes must not be believed.
func TestAnnouncedLengthsAreNotAllocated(t *testing.T) {
	to := someone(t, "clinic", "rsa2048")
	for _, head := range [][]byte{
		{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x06, 0x84, 0x7f, 0xff, 0xf0, 0x00},
		append([]byte{0x30, 0x80}, append(oidDER(oEnveloped), 0xa0, 0x80, 0x30, 0x80, 2, 1, 0, 0x31, 0x84, 0x7f, 0, 0, 0, 0x30, 0x84, 0x70, 0, 0, 0)...),
	} {
		allocated := testing.AllocsPerRun(3, func() {
			if got := reasonOf(t, mail(head), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got != cms.ReasonTruncated && got != cms.ReasonLimit {
				t.Errorf("reason %q", got)
			}
		})
		var before, after memory
		before.read()
		reasonOf(t, mail(head), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		after.read()
		if grown := after.total - before.total; grown > 4<<20 {
			t.Errorf("%d octets allocated in %v allocations", grown, allocated)
		}
	}
}

func TestAuthenticatedContentIsBounded(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "rsa2048")
	msg := sealed(t, bulky(t, 300_000), smime.SealOptions{Signer: from.identity(), Cipher: cms.AES256GCM, Recipients: []smime.Recipient{{Cert: to.cert}}})
	small := cms.NewBudget(200_000)
	if got := reasonOf(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Limits: smime.Limits{Budget: small}}); got != cms.ReasonBusy {
		t.Errorf("over the budget: %q", got)
	}
	enough := cms.NewBudget(4 << 20)
	for i := range 5 { // the budget comes back
		if got := reasonOf(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Limits: smime.Limits{Budget: enough}}); got != "" {
			t.Errorf("time %d: %q", i, got)
		}
	}
	if _, err := cms.NewEnvelope(io.Discard, cms.EnvelopeOptions{Recipients: []cms.Recipient{{Cert: to.cert}}, Cipher: cms.AES256GCM, Size: cms.MaxWhole + 1}); cms.ReasonOf(err) != cms.ReasonLimit {
		t.Errorf("writing over the limit: %v", err)
	}
}

// A content for two keys of ours is held twice only at the end, when one of them is tried on it.
func TestAuthenticatedContentForTwoOfOurs(t *testing.T) {
	from, one, two := someone(t, "hospital", "p256"), someone(t, "clinic", "rsa2048"), someone(t, "laboratory", "p256")
	const size = 900_000
	msg := sealed(t, bulky(t, size), smime.SealOptions{Signer: from.identity(), Cipher: cms.AES256GCM, Recipients: []smime.Recipient{{Cert: one.cert}, {Cert: two.cert}}})
	budget := cms.NewBudget(2_000_000)
	for i := range 3 {
		if got := reasonOf(t, msg, smime.OpenOptions{Keys: []smime.Key{one.decrypt(), two.decrypt()}, Limits: smime.Limits{Budget: budget}}); got != "" {
			t.Errorf("time %d: %q", i, got)
		}
	}
}

// A GCM content longer than the limit is refused while it streams in.
func TestAuthenticatedContentOverTheLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("64 MiB")
	}
	to := someone(t, "clinic", "rsa2048")
	eciHead := append(append(oidDER(oData), alg(oAES256GCM, seq(octets(iv()[:12]), integer(16)))...), 0xa0, 0x80)
	head := append([]byte{0x30, 0x80}, append(oidDER(oAuthEnv), 0xa0, 0x80, 0x30, 0x80)...)
	head = append(head, integer(0)...)
	head = append(head, set(ktri(t, to, ktriOptions{}))...)
	head = append(append(head, 0x30, 0x80), eciHead...)
	segment := octets(make([]byte, 1<<20))
	body := []io.Reader{strings.NewReader("Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"), bytes.NewReader(head)}
	for range 66 {
		body = append(body, bytes.NewReader(segment))
	}
	_, err := smime.Open(io.MultiReader(body...), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	var e *smime.Error
	if !errors.As(err, &e) || e.Reason != cms.ReasonLimit {
		t.Errorf("got %v", err)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	endless := "X-A: " + strings.Repeat("y", 300<<10) + "\r\n"
	fields := strings.Repeat("X-A: y\r\n", 1001)
	content := wrapped(referral())
	signed := string(multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content)))
	for name, msg := range map[string][]byte{
		"endless outer line": append([]byte(endless), direct(t, from, to, referral())...),
		"1001 outer fields":  append([]byte(fields), direct(t, from, to, referral())...),
		"endless inner line": mail(sealedFor(t, to, []byte(endless+signed)).der()),
		"1001 inner fields":  mail(sealedFor(t, to, []byte(fields+signed)).der()),
	} {
		if got := reasonOf(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got != cms.ReasonLimit {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	for _, r := range []smime.Reason{"", smime.ReasonNotSMIME, smime.ReasonNotEncrypted, smime.ReasonUnsigned, smime.ReasonStructure, smime.ReasonNested, smime.ReasonHeader,
		cms.ReasonMalformed, cms.ReasonTruncated, cms.ReasonTrailing, cms.ReasonLimit, cms.ReasonBusy, cms.ReasonUnsupported, cms.ReasonLegacy, cms.ReasonForbidden,
		cms.ReasonNoKey, cms.ReasonUndecryptable, cms.ReasonNoSigner, cms.ReasonNoCertificate, cms.ReasonAttributes, cms.ReasonDigest, cms.ReasonSignature,
		cms.ReasonMismatch, cms.ReasonOtherCert, cms.ReasonConfusion, cms.ReasonKeySize, cms.ReasonDetached} {
		if text := smime.Explain(r); text == string(r) || len(text) < 15 {
			t.Errorf("%q is explained as %q", r, text)
		}
	}
}

// An address list or id that tries to break out of its field stays inside it.
func TestOuterHeaderCannotBeBrokenOutOf(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "p256")
	o := smime.SealOptions{Signer: from.identity(), Recipients: []smime.Recipient{{Cert: to.cert}}, Now: testTime()}
	for name, c := range map[string]struct {
		header string
		want   smime.Reason
	}{
		"folded id":          {"From: a@b.example\r\nMessage-ID:\r\n <1@x>\r\n", ""},
		"control characters": {"From: a@b.example\r\nMessage-ID: <1\x00\x0b@x>\r\n", ""},
		"two From":           {"From: a@b.example\r\nFrom: c@d.example\r\n", smime.ReasonHeader},
		"no From":            {"To: a@b.example\r\n", smime.ReasonHeader},
		"bad To":             {"From: a@b.example\r\nTo: not an address\r\n", smime.ReasonHeader},
		"display name":       {"From: \"Subject: x\\\r\n\" <a@b.example>\r\n", smime.ReasonHeader},
	} {
		var out bytes.Buffer
		_, err := smime.Seal(&out, content([]byte(c.header+"\r\nbody\r\n")), o)
		var e *smime.Error
		if c.want != "" {
			if !errors.As(err, &e) || e.Reason != c.want {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		head, _, _ := strings.Cut(out.String(), "\r\n\r\n")
		for _, line := range strings.Split(head, "\r\n") {
			if strings.ContainsAny(line, "\x00\x0b") || !strings.Contains(line, ":") && !strings.HasPrefix(line, " ") {
				t.Errorf("%s: line %q", name, line)
			}
		}
	}
}

func TestManyRecipientsFold(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "p256")
	var list []string
	for i := range 200 {
		list = append(list, fmt.Sprintf("\"Dr %d\" <user%d@clinic.example>", i, i))
	}
	inner := "From: a@b.example\r\nTo: " + strings.Join(list, ",\r\n ") + "\r\n\r\nx\r\n"
	msg := sealed(t, []byte(inner), smime.SealOptions{Signer: from.identity(), Recipients: []smime.Recipient{{Cert: to.cert}}})
	head, _, _ := bytes.Cut(msg, []byte("\r\n\r\n"))
	for _, line := range bytes.Split(head, []byte("\r\n")) {
		if len(line) > 100 {
			t.Errorf("line of %d octets", len(line))
		}
	}
	if bytes.Contains(head, []byte("Dr ")) {
		t.Error("display name in the clear")
	}
	if n := bytes.Count(head, []byte("@clinic.example")); n != 200 {
		t.Errorf("%d recipients", n)
	}
}
