package smime_test

import (
	"bytes"
	"encoding/base64"
	"mime/quotedprintable"
	"strings"
	"testing"

	"postern/smime"
	"postern/smime/cms"
)

const p7mHeader = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n"

func TestReceiveMediaTypes(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	p7s := forgedData{signers: []forgedSigner{{p: from}}}.der(t, content)
	env := sealedFor(t, to, multipart(content, p7s)).der()
	outer := func(header string) []byte { return mailAs(env, header) }
	b64 := "Content-Transfer-Encoding: base64\r\n"
	inside := func(outer, inner string) []byte {
		return mail(sealedFor(t, to, multipartAs(content, p7s, outer, inner)).der())
	}
	binary := append([]byte("From: a@b.example\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"), env...)
	oneLine := "From: a@b.example\r\n" + p7mHeader + "\r\n" + base64.StdEncoding.EncodeToString(env)
	oddLength := strings.ReplaceAll(oneLine[:len(p7mHeader)+600], "\r\n", "\r\n") + "\r\n" + oneLine[len(p7mHeader)+600:]
	media := marks(smime.LenientMediaType)
	mediaFirst := []smime.Leniency{smime.LenientMediaType, smime.LenientPKCS1}
	checkAll(t, []situation{
		{name: "x-pkcs7-mime", msg: outer("Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data\r\n" + b64), lenient: mediaFirst},
		{name: "no smime-type", msg: outer("Content-Type: application/pkcs7-mime\r\n" + b64), lenient: marks()},
		{name: "wrong smime-type", msg: outer("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n" + b64), lenient: marks()},
		{name: "upper case, reordered, quoted", msg: outer("CONTENT-TYPE:APPLICATION/PKCS7-MIME;NAME=\"smime.p7m\";SMIME-TYPE=\"Enveloped-Data\"\r\n" + b64), lenient: marks()},
		{name: "folded parameters and a comment", msg: outer("Content-Type: application/pkcs7-mime (encrypted);\r\n\tsmime-type=enveloped-data;\r\n name=smime.p7m\r\n" + b64), lenient: marks()},
		{name: "header noise", msg: outer("X-Spam: no\r\nReceived: from a by b\r\n" + p7mHeader + "List-Id: <x>\r\n"), lenient: marks()},
		{name: "octet-stream with a .p7m file name", msg: outer("Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"SMIME.P7M\"\r\n" + b64), lenient: mediaFirst},
		{name: "octet-stream with a .p7m name", msg: outer("Content-Type: application/octet-stream; name=smime.p7m\r\n" + b64), lenient: mediaFirst},
		{name: "octet-stream without a name", msg: outer("Content-Type: application/octet-stream\r\n" + b64), want: smime.ReasonNotSMIME},
		{name: "octet-stream .p7m that is no CMS", msg: []byte("Content-Type: application/octet-stream; name=x.p7m\r\n" + b64 + "\r\nSGVsbG8gd29ybGQsIHRoaXMgaXMgdGV4dA==\r\n"), want: smime.ReasonNotSMIME},
		{name: "pkcs7-mime that is no CMS", msg: []byte("Content-Type: application/pkcs7-mime\r\n" + b64 + "\r\nSGVsbG8gd29ybGQsIHRoaXMgaXMgdGV4dA==\r\n"), want: cms.ReasonMalformed},
		{name: "plain text", msg: referral(), want: smime.ReasonNotSMIME},
		{name: "empty", msg: nil, want: smime.ReasonNotSMIME},
		{name: "no transfer encoding named", msg: outer("Content-Type: application/pkcs7-mime\r\n"), lenient: []smime.Leniency{smime.LenientNoEncoding, smime.LenientPKCS1}},
		{name: "binary", msg: binary, lenient: marks()},
		{name: "base64 in one line", msg: []byte(oneLine), lenient: marks()},
		{name: "base64 lines of odd length", msg: []byte(oddLength), lenient: marks()},
		{name: "stray characters in base64", msg: bytes.Replace(outer(p7mHeader), []byte("\r\n\r\nMI"), []byte("\r\n\r\n!*M,I"), 1), lenient: marks(smime.LenientBase64)},
		{name: "newlines after base64", msg: append(outer(p7mHeader), "\r\n\r\n\r\n"...), lenient: marks()},
		{name: "x-pkcs7-signature", msg: inside(`multipart/signed; boundary=b0; micalg="sha256"`, "application/x-pkcs7-signature"), lenient: media},
		{name: "octet-stream signature", msg: inside(`multipart/signed; boundary="b0"`, `application/octet-stream; name="smime.p7s"`), lenient: media},
		{name: "no protocol, unknown micalg", msg: inside(`multipart/signed; boundary=b0; micalg=unknown`, "application/pkcs7-signature"), lenient: marks(smime.LenientMicalg)},
		{name: "micalg of another digest", msg: inside(`multipart/signed; micalg=sha-512; boundary=b0`, "application/pkcs7-signature"), lenient: marks(smime.LenientMicalg)},
		{name: "micalg list", msg: inside(`multipart/signed; micalg="sha-256,sha-512"; boundary=b0`, "application/pkcs7-signature"), lenient: marks()},
		{name: "micalg md5, signer SHA-256", msg: inside(`multipart/signed; micalg=md5; boundary=b0`, "application/pkcs7-signature"), lenient: marks(smime.LenientMicalg)},
		{name: "second part of another type", msg: inside(`multipart/signed; boundary=b0`, "text/plain"), want: smime.ReasonStructure},
	}, to.decrypt())
}

func TestReceiveBER(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	p7s := forgedData{signers: []forgedSigner{{p: from}}}.der(t, content)
	signed := multipart(content, p7s)
	env := sealedFor(t, to, signed).der()
	opaque := func(der []byte) []byte {
		return mail(sealedFor(t, to, mailAs(der, "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n")).der())
	}
	opaqueDER := forgedData{signers: []forgedSigner{{p: from}}, opaque: true}.der(t, content)
	inner := func(p7s []byte) []byte { return mail(sealedFor(t, to, multipart(content, p7s)).der()) }
	opened := marks(smime.LenientOpaque)
	checkAll(t, []situation{
		{name: "indefinite envelope, content in segments of 7", msg: mail(indefinite(t, env, 5, 7)), lenient: marks()},
		{name: "indefinite envelope, content in segments of 1000", msg: mail(indefinite(t, env, 5, 1000)), lenient: marks()},
		{name: "indefinite all the way down", msg: mail(indefinite(t, env, 9, 3)), lenient: marks()},
		{name: "long lengths", msg: mail(longLengths(t, env, 4)), lenient: marks()},
		{name: "zero octets after the structure", msg: mail(append(bytes.Clone(env), 0, 0, 0, 0)), lenient: marks()},
		{name: "line end after the structure", msg: mail(append(bytes.Clone(env), '\r', '\n')), lenient: marks()},
		{name: "data after the structure", msg: mail(append(bytes.Clone(env), 'x')), want: cms.ReasonTrailing},
		{name: "a second structure behind the first", msg: mail(append(bytes.Clone(env), env...)), want: cms.ReasonTrailing},
		{name: "opaque signature", msg: opaque(opaqueDER), lenient: opened},
		{name: "indefinite opaque signature", msg: opaque(forgedData{signers: []forgedSigner{{p: from}}, opaque: true, segment: 11}.der(t, content)), lenient: opened},
		{name: "indefinite detached signature", msg: inner(indefinite(t, p7s, 3, 11)), lenient: marks()},
		{name: "detached signature with content inside", msg: inner(opaqueDER), want: cms.ReasonDetached},
		{name: "opaque signature without content", msg: opaque(p7s), want: smime.ReasonStructure},
		{name: "compressed inside", msg: opaque(seq(oidDER(oCompressed), ctx(0, seq(integer(0))))), want: cms.ReasonUnsupported},
		{name: "envelope inside the envelope", msg: opaque(env), want: smime.ReasonNested},
		{name: "signed but in the clear", msg: mail(opaqueDER), want: smime.ReasonNotEncrypted},
		{name: "multipart/signed in the clear", msg: append([]byte("From: a@b.example\r\n"), signed...), want: smime.ReasonNotEncrypted},
		{name: "compressed outside", msg: mail(seq(oidDER(oCompressed), ctx(0, seq(integer(0))))), want: smime.ReasonNotEncrypted},
		{name: "unknown content type", msg: mail(seq(oidDER("1.2.3"), ctx(0, seq(integer(0))))), want: cms.ReasonUnsupported},
	}, to.decrypt())
}

// longLengths writes every length of the outer elements in five octets.
func longLengths(t testing.TB, der []byte, depth int) []byte {
	t.Helper()
	e := mustOne(t, der)
	body := e.Content
	if e.Constructed && depth > 0 {
		body = nil
		for c := e.Children(); !c.Empty(); {
			k, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			body = append(body, longLengths(t, k.Full, depth-1)...)
		}
	}
	n := len(body)
	return append([]byte{der[0], 0x85, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func TestReceiveStructure(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	p7s := forgedData{signers: []forgedSigner{{p: from}}}.der(t, content)
	signed := string(multipart(content, p7s))
	with := func(entity string) []byte { return mail(sealedFor(t, to, []byte(entity)).der()) }
	change := func(old, new string) []byte {
		if !strings.Contains(signed, old) {
			t.Fatalf("nothing to change: %q", old)
		}
		return with(strings.Replace(signed, old, new, 1))
	}
	lines := strings.ReplaceAll(signed, "\r\n", "\n")
	signedAs := func(body string) []byte { // content that was signed in this form
		return with(string(multipart([]byte(body), forgedData{signers: []forgedSigner{{p: from}}}.der(t, []byte(body)))))
	}
	encoded := func(cte, body string) []byte {
		return signedAs("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + cte + "\r\n\r\n" + body)
	}
	var qp bytes.Buffer
	w := quotedprintable.NewWriter(&qp)
	w.Binary = true
	w.Write(referral())
	w.Close()
	// bounded gives a message a boundary of n octets; the base64 of a signature may hold the old one's letters.
	bounded := func(msg string, n int) string {
		long := strings.Repeat("b", n)
		return strings.NewReplacer("--b0", "--"+long, "boundary=b0", "boundary="+long).Replace(msg)
	}
	third := "\r\n--b0\r\nContent-Type: text/html\r\n\r\n<img src=http://evil.example/>"
	noFinal := referral()[:len(referral())-2]
	checkAll(t, []situation{
		{name: "as it should be", msg: with(signed), lenient: marks()},
		{name: "preamble and blank epilogue", msg: with(strings.Replace(signed, "\r\n\r\n--b0", "\r\n\r\nThis is S/MIME.\r\n--b0", 1) + "\r\n \r\n"), lenient: marks()},
		{name: "preamble in UTF-8", msg: with(strings.Replace(signed, "\r\n\r\n--b0", "\r\n\r\nUnterschrieben für Sie.\r\n--b0", 1)), lenient: marks()},
		{name: "preamble that is no text", msg: with(strings.Replace(signed, "\r\n\r\n--b0", "\r\n\r\nf\xfcr\r\n--b0", 1)), want: smime.ReasonStructure},
		{name: "preamble of more than a header's length", msg: with(strings.Replace(signed, "\r\n\r\n--b0", "\r\n\r\n"+strings.Repeat("text\r\n", 90_000)+"--b0", 1)), want: cms.ReasonLimit},
		{name: "control character in the encrypted header", msg: with("X-A: \x01\r\n" + signed), want: cms.ReasonUndecryptable},
		{name: "header of the signature that is no text", msg: change("name=smime.p7s", "name=\xff"), want: smime.ReasonStructure},
		{name: "stray character in the signature's base64", msg: change("base64\r\n\r\n", "base64\r\n\r\n!"), want: smime.ReasonStructure},
		{name: "boundary of 999 octets", msg: with(bounded(signed, 999)), want: smime.ReasonStructure},
		{name: "boundary of 998 octets", msg: with(bounded(signed, 998)), lenient: marks()},
		{name: "epilogue", msg: with(signed + "after\r\n"), want: smime.ReasonStructure},
		{name: "blanks after a delimiter", msg: change("--b0\r\n", "--b0  \t\r\n"), lenient: marks()},
		{name: "no closing delimiter", msg: with(strings.TrimSuffix(signed, "--b0--\r\n")), lenient: marks(smime.LenientNotClosed)},
		{name: "no line end after the closing delimiter", msg: with(strings.TrimSuffix(signed, "\r\n")), lenient: marks()},
		{name: "third part", msg: change("\r\n--b0--", third+"\r\n--b0--"), want: smime.ReasonStructure},
		{name: "third part in front", msg: change("--b0\r\n", "--b0\r\nContent-Type: text/html\r\n\r\n<b>covert</b>\r\n--b0\r\n"), want: smime.ReasonStructure},
		{name: "one part", msg: with(signed[:strings.LastIndex(signed, "\r\n--b0\r\n")] + "\r\n--b0--\r\n"), want: smime.ReasonStructure},
		{name: "no part", msg: with(signed[:strings.Index(signed, "--b0\r\n")]), want: smime.ReasonStructure},
		{name: "boundary look-alikes in the content", msg: signedAs("Content-Type: message/rfc822\r\n\r\n" + lookalikes()), inner: []byte(lookalikes()), lenient: marks()},
		{name: "bare line feeds throughout, signed in CRLF", msg: with(lines), lenient: marks(smime.LenientLineEnds)},
		{name: "bare line feeds, signed so", msg: signedAs("Content-Type: message/rfc822\r\n\r\n" + strings.ReplaceAll(string(referral()), "\r\n", "\n")),
			inner: bytes.ReplaceAll(referral(), []byte("\r\n"), []byte("\n")), lenient: marks()},
		{name: "bare line feeds that do not match", msg: with(strings.Replace(lines, "Jane", "June", 1)), want: cms.ReasonDigest},
		{name: "last line end dropped on the way", msg: change("patient.\r\n\r\n--b0", "patient.\r\n--b0"), lenient: marks(smime.LenientFinalBreak)},
		{name: "a line end added on the way", msg: change("patient.\r\n\r\n--b0", "patient.\r\n\r\n\r\n--b0"), lenient: marks(smime.LenientFinalBreak)},
		{name: "two line ends added on the way", msg: change("patient.\r\n\r\n--b0", "patient.\r\n\r\n\r\n\r\n--b0"), want: cms.ReasonDigest},
		{name: "one octet altered", msg: change("Jane", "Jame"), want: cms.ReasonDigest},
		{name: "wrapper altered", msg: change("message/rfc822", "message/global"), want: cms.ReasonDigest},
		{name: "no final line end in the inner message", msg: signedAs("Content-Type: message/rfc822\r\n\r\n" + string(noFinal)), inner: noFinal, lenient: marks()},
		{name: "wrapped message in base64", msg: encoded("base64", base64Lines(referral())), lenient: marks(smime.LenientWrapEncoding)},
		{name: "wrapped message in quoted-printable", msg: encoded("Quoted-Printable", qp.String()), lenient: marks(smime.LenientWrapEncoding)},
		{name: "wrapped message 8bit", msg: encoded("8bit", string(referral())), lenient: marks()},
		{name: "no signature inside", msg: with("Content-Type: text/plain\r\n\r\nhello\r\n"), want: smime.ReasonUnsigned},
		{name: "multipart/mixed with a signed part inside", msg: with("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + signed + "\r\n--x--\r\n"), want: smime.ReasonUnsigned},
		{name: "nothing inside", msg: with(""), want: cms.ReasonUndecryptable},
		{name: "no header inside", msg: with("no header here\r\nat all\r\n"), want: cms.ReasonUndecryptable},
	}, to.decrypt())
}

// lookalikes is a message with lines that begin like the boundary but are none.
func lookalikes() string {
	return string(referral()) + "--b0x\r\n--b\r\n --b0\r\n--b0--x\r\n-- b0\r\n--b00\r\ntext --b0\r\n--b0 x\r\n"
}

func TestReceiveUnwrapped(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	entity := []byte("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n")
	signed := multipart(entity, forgedData{signers: []forgedSigner{{p: from}}}.der(t, entity))
	msg := mailAs(sealedFor(t, to, signed).der(), "Received: from x\r\nSubject: hello\r\nBcc: someone@else.example\r\nMessage-ID: <1@hospital.example>\r\n"+p7mHeader)
	want := "From: ada@hospital.example\r\nTo: ben@clinic.example\r\nSubject: hello\r\nMessage-ID: <1@hospital.example>\r\nMIME-Version: 1.0\r\n" + string(entity)
	situation{msg: msg, keys: []smime.Key{to.decrypt()}, inner: []byte(want), lenient: marks(smime.LenientUnwrapped)}.check(t)
	got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	if got.Wrapped || got.Header.Get("Subject") != "hello" || got.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("wrapped %v, header %q", got.Wrapped, got.Header.Fields)
	}
}

func TestReceiveDamage(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	f := sealedFor(t, to, signed)
	env := f.der()
	with := func(change func(*forgedEnvelope)) []byte {
		g := f
		g.content = bytes.Clone(f.content)
		change(&g)
		return mail(g.der())
	}
	plain := padded(signed, 16)
	lastOctet := func(v byte) []byte {
		p := bytes.Clone(plain)
		p[len(p)-1] = v
		return with(func(g *forgedEnvelope) { g.content = rawCBC(t, p) })
	}
	deep := bytes.Repeat([]byte{0x30, 0x80}, 100)
	checkAll(t, []situation{
		{name: "cut in half", msg: mail(env[:len(env)/2]), want: cms.ReasonTruncated},
		{name: "cut by one octet", msg: mail(env[:len(env)-1]), want: cms.ReasonTruncated},
		{name: "cut in the header", msg: mail(env[:3]), want: cms.ReasonTruncated},
		{name: "only the header", msg: []byte(p7mHeader + "\r\n"), want: cms.ReasonTruncated},
		{name: "padding of 0", msg: lastOctet(0), want: cms.ReasonUndecryptable},
		{name: "padding of 17", msg: lastOctet(17), want: cms.ReasonUndecryptable},
		{name: "padding longer than the content", msg: lastOctet(255), want: cms.ReasonUndecryptable},
		{name: "padding octets differ", msg: with(func(g *forgedEnvelope) {
			p := append(bytes.Clone(signed), make([]byte, 16-len(signed)%16)...)
			p[len(p)-1] = byte(16 - len(signed)%16)
			g.content = rawCBC(t, append(p, bytes.Repeat([]byte{3, 4}, 8)...))
		}), want: cms.ReasonUndecryptable},
		{name: "content not whole blocks", msg: with(func(g *forgedEnvelope) { g.content = g.content[:len(g.content)-3] }), want: cms.ReasonUndecryptable},
		{name: "content shorter than a block", msg: with(func(g *forgedEnvelope) { g.content = g.content[:5] }), want: cms.ReasonUndecryptable},
		{name: "no content octets", msg: with(func(g *forgedEnvelope) { g.content = nil }), want: cms.ReasonUndecryptable},
		{name: "key transport damaged", msg: with(func(g *forgedEnvelope) { g.recipients = [][]byte{ktri(t, to, ktriOptions{damage: true})} }), want: cms.ReasonUndecryptable},
		{name: "content key too short", msg: with(func(g *forgedEnvelope) { g.recipients = [][]byte{ktri(t, to, ktriOptions{key: cek()[:16]})} }), want: cms.ReasonUndecryptable},
		{name: "content key of one octet", msg: with(func(g *forgedEnvelope) { g.recipients = [][]byte{ktri(t, to, ktriOptions{key: cek()[:1]})} }), want: cms.ReasonUndecryptable},
		{name: "other content key", msg: with(func(g *forgedEnvelope) {
			g.recipients = [][]byte{ktri(t, to, ktriOptions{key: bytes.Repeat([]byte{9}, 32)})}
		}), want: cms.ReasonUndecryptable},
		{name: "encrypted key of three octets", msg: with(func(g *forgedEnvelope) {
			g.recipients = [][]byte{seq(integer(0), issuerSerial(to.cert), alg(oRSA, null()), octets([]byte{1, 2, 3}))}
		}), want: cms.ReasonUndecryptable},
		{name: "nested 100 deep", msg: mail(deep), want: cms.ReasonLimit},
		{name: "originator nested 100 deep", msg: with(func(g *forgedEnvelope) { g.front = append([]byte{0xa0, 0x80}, deep...) }), want: cms.ReasonLimit},
		{name: "content in octet strings nested 100 deep", msg: with(func(g *forgedEnvelope) {
			g.element = append([]byte{0xa0, 0x80}, bytes.Repeat([]byte{0x24, 0x80}, 100)...)
		}), want: cms.ReasonLimit},
		{name: "content segment of another type", msg: with(func(g *forgedEnvelope) { g.element = ctx(0, null()) }), want: cms.ReasonMalformed},
		{name: "length beyond all bounds", msg: mail([]byte{0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 6, 1, 2}), want: cms.ReasonLimit},
		{name: "length of 126 octets", msg: mail(append([]byte{0x30, 0xfe}, bytes.Repeat([]byte{1}, 126)...)), want: cms.ReasonLimit},
		{name: "reserved length", msg: mail([]byte{0x30, 0xff, 0, 0}), want: cms.ReasonMalformed},
		{name: "child longer than its parent", msg: mail([]byte{0x30, 5, 6, 9, 42, 1, 2}), want: cms.ReasonMalformed},
		{name: "no content in the content info", msg: mail(seq(oidDER(oEnveloped))), want: cms.ReasonMalformed},
	}, to.decrypt())
}
