package smime_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/smime"
	"postern/smime/cms"
	"postern/smime/cms/ber"
)

// signedMail seals a multipart/signed of the referral with the given signed data.
func signedMail(t testing.TB, to person, f forgedData) []byte {
	content := wrapped(referral())
	var micalg []string
	for _, s := range f.signers {
		if s.digest == 0 {
			s.digest = crypto.SHA256
		}
		micalg = append(micalg, strings.ToLower(s.digest.String()))
	}
	outer := `multipart/signed; protocol="application/pkcs7-signature"; boundary=b0; micalg="` + strings.Join(micalg, ", ") + `"`
	return mail(sealedFor(t, to, multipartAs(content, f.der(t, content), outer, "application/pkcs7-signature")).der())
}

// marks are the leniencies of a forged message: its PKCS#1 v1.5 key transport, and more.
func marks(more ...smime.Leniency) []smime.Leniency {
	return append([]smime.Leniency{smime.LenientPKCS1}, more...)
}

func TestReceiveSignatureAlgorithms(t *testing.T) {
	to := someone(t, "clinic", "rsa2048")
	rsaP, ec, ec384, ed := someone(t, "hospital", "rsa2048"), someone(t, "hospital", "p256"), someone(t, "hospital", "p384"), someone(t, "hospital", "ed25519")
	one := func(s forgedSigner) []byte { return signedMail(t, to, forgedData{signers: []forgedSigner{s}}) }
	var list []situation
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		list = append(list,
			situation{name: "RSA " + h.String(), msg: one(forgedSigner{p: rsaP, digest: h}), lenient: marks()},
			situation{name: "RSA-PSS " + h.String(), msg: one(forgedSigner{p: rsaP, digest: h, pss: true}), lenient: marks()},
			situation{name: "ECDSA P-256 " + h.String(), msg: one(forgedSigner{p: ec, digest: h}), lenient: marks()},
			situation{name: "ECDSA P-384 " + h.String(), msg: one(forgedSigner{p: ec384, digest: h}), lenient: marks()},
			situation{name: "Ed25519 " + h.String(), msg: one(forgedSigner{p: ed, digest: h}), lenient: marks()},
			situation{name: "RSA without attributes " + h.String(), msg: one(forgedSigner{p: rsaP, digest: h, noAttrs: true}), lenient: marks(smime.LenientNoAttributes)})
	}
	list = append(list, []situation{
		{name: "SHA-1 by default", msg: one(forgedSigner{p: rsaP, digest: crypto.SHA1}), want: cms.ReasonLegacy},
		{name: "SHA-1 where legacy is allowed", msg: one(forgedSigner{p: rsaP, digest: crypto.SHA1}), legacy: true, lenient: marks(smime.LenientLegacy)},
		{name: "MD5", msg: one(forgedSigner{p: rsaP, digest: crypto.SHA256, digestAlg: alg(oMD5)}), legacy: true, want: cms.ReasonForbidden},
		{name: "md5WithRSA", msg: one(forgedSigner{p: rsaP, sigAlg: alg("1.2.840.113549.1.1.4", null())}), legacy: true, want: cms.ReasonForbidden},
		{name: "digest parameters NULL", msg: one(forgedSigner{p: rsaP, digestAlg: alg(oSHA256, null())}), lenient: marks()},
		{name: "sha256WithRSA where the digest belongs", msg: one(forgedSigner{p: rsaP, digestAlg: alg("1.2.840.113549.1.1.11", null())}), lenient: marks()},
		{name: "ecdsa-with-SHA384 where the digest belongs", msg: one(forgedSigner{p: ec, digest: crypto.SHA384, digestAlg: alg(oECDSA384)}), lenient: marks()},
		{name: "sha1WithRSA where the digest belongs", msg: one(forgedSigner{p: rsaP, digest: crypto.SHA1, digestAlg: alg("1.2.840.113549.1.1.5", null())}), want: cms.ReasonLegacy},
		{name: "md5WithRSA where the digest belongs", msg: one(forgedSigner{p: rsaP, digestAlg: alg("1.2.840.113549.1.1.4", null())}), legacy: true, want: cms.ReasonForbidden},
		{name: "sha256WithRSA", msg: one(forgedSigner{p: rsaP, sigAlg: alg("1.2.840.113549.1.1.11", null())}), lenient: marks()},
		{name: "sha256WithRSA without parameters", msg: one(forgedSigner{p: rsaP, sigAlg: alg("1.2.840.113549.1.1.11")}), lenient: marks()},
		{name: "sha512WithRSA with digest SHA-256", msg: one(forgedSigner{p: rsaP, sigAlg: alg("1.2.840.113549.1.1.13", null())}), want: cms.ReasonMismatch},
		{name: "ecdsa-with-SHA384 with digest SHA-256", msg: one(forgedSigner{p: ec, sigAlg: alg(oECDSA384)}), want: cms.ReasonMismatch},
		{name: "EC key named instead of the signature", msg: one(forgedSigner{p: ec, sigAlg: alg("1.2.840.10045.2.1")}), lenient: marks()},
		{name: "PSS of another digest", msg: one(forgedSigner{p: rsaP, sigAlg: alg(oPSS, seq(ctx(0, alg(oSHA512)), ctx(1, alg(oMGF1, alg(oSHA512)))))}), want: cms.ReasonMismatch},
		{name: "PSS with SHA-1 defaults", msg: one(forgedSigner{p: rsaP, sigAlg: alg(oPSS, seq())}), want: cms.ReasonMismatch},
		{name: "PSS with another mask digest", msg: one(forgedSigner{p: rsaP, sigAlg: alg(oPSS, seq(ctx(0, alg(oSHA256)), ctx(1, alg(oMGF1, alg(oSHA1)))))}), want: cms.ReasonUnsupported},
		{name: "PSS that says it has no salt, and has some", msg: one(forgedSigner{p: rsaP, pss: true, sigAlg: alg(oPSS, seq(ctx(0, alg(oSHA256)), ctx(1, alg(oMGF1, alg(oSHA256))), ctx(2, integer(0))))}), want: cms.ReasonSignature},
		{name: "RSA signature said to be ECDSA", msg: one(forgedSigner{p: rsaP, sigAlg: alg(oECDSA256)}), want: cms.ReasonMismatch},
		{name: "Ed25519 without attributes", msg: one(forgedSigner{p: ed, digest: crypto.SHA512, noAttrs: true}), want: cms.ReasonUnsupported},
		{name: "DSA", msg: one(forgedSigner{p: rsaP, sigAlg: alg("1.2.840.10040.4.3")}), want: cms.ReasonUnsupported},
		{name: "unknown digest", msg: one(forgedSigner{p: rsaP, digestAlg: alg("1.2.3")}), want: cms.ReasonUnsupported},
		{name: "one bit of the signature changed", msg: one(forgedSigner{p: rsaP, damage: true}), want: cms.ReasonSignature},
		{name: "content altered", msg: one(forgedSigner{p: rsaP, content: []byte("something else")}), want: cms.ReasonDigest},
		{name: "content altered, no attributes", msg: one(forgedSigner{p: rsaP, noAttrs: true, content: []byte("something else")}), want: cms.ReasonSignature},
	}...)
	checkAll(t, list, to.decrypt())
}

func TestReceiveSignedAttributes(t *testing.T) {
	p, other, to := someone(t, "hospital", "rsa2048"), someone(t, "impostor", "rsa2048"), someone(t, "clinic", "rsa2048")
	with := func(f func([][]byte) [][]byte) []byte {
		return signedMail(t, to, forgedData{signers: []forgedSigner{{p: p, attrs: f}}})
	}
	add := func(a ...[]byte) []byte {
		return with(func(l [][]byte) [][]byte { return append(l, a...) })
	}
	replace := func(i int, a []byte) []byte {
		return with(func(l [][]byte) [][]byte { l[i] = a; return l })
	}
	essV2 := func(c person) []byte {
		sum := sha256.Sum256(c.cert.Raw)
		return attribute("1.2.840.113549.1.9.16.2.47", seq(seq(seq(octets(sum[:])))))
	}
	essV1 := func(c person) []byte {
		return attribute("1.2.840.113549.1.9.16.2.12", seq(seq(seq(octets(sum(crypto.SHA1, c.cert.Raw))))))
	}
	wrongDigest := attribute("1.2.840.113549.1.9.4", octets(make([]byte, 32)))
	checkAll(t, []situation{
		{name: "as they should be", msg: with(nil), lenient: marks()},
		{name: "content-type missing", msg: with(func(l [][]byte) [][]byte { return l[1:] }), want: cms.ReasonAttributes},
		{name: "content-type wrong", msg: replace(0, attribute("1.2.840.113549.1.9.3", oidDER(oSigned))), want: cms.ReasonAttributes},
		{name: "content-type twice", msg: add(attribute("1.2.840.113549.1.9.3", oidDER(oData))), want: cms.ReasonAttributes},
		{name: "content-type with two values", msg: replace(0, attribute("1.2.840.113549.1.9.3", oidDER(oData), oidDER(oData))), want: cms.ReasonAttributes},
		{name: "message-digest missing", msg: with(func(l [][]byte) [][]byte { return l[:2] }), want: cms.ReasonAttributes},
		{name: "message-digest wrong", msg: replace(2, wrongDigest), want: cms.ReasonDigest},
		{name: "message-digest twice, one right", msg: add(wrongDigest), want: cms.ReasonAttributes},
		{name: "message-digest without a value", msg: replace(2, attribute("1.2.840.113549.1.9.4")), want: cms.ReasonAttributes},
		{name: "message-digest of another type", msg: replace(2, attribute("1.2.840.113549.1.9.4", null())), want: cms.ReasonAttributes},
		{name: "no signing time", msg: with(func(l [][]byte) [][]byte { return append(l[:1], l[2]) }), lenient: marks()},
		{name: "signing time malformed", msg: replace(1, attribute("1.2.840.113549.1.9.5", ber.Build(ber.TagUTCTime, []byte("tomorrow")))), want: cms.ReasonAttributes},
		{name: "signing time in a zone", msg: replace(1, attribute("1.2.840.113549.1.9.5", ber.Build(ber.TagUTCTime, []byte("260314110926-0400")))), lenient: marks()},
		{name: "signing time in a zone that is none", msg: replace(1, attribute("1.2.840.113549.1.9.5", ber.Build(ber.TagUTCTime, []byte("260314110926-9900")))), want: cms.ReasonAttributes},
		{name: "signing time without a zone", msg: replace(1, attribute("1.2.840.113549.1.9.5", ber.Build(ber.TagUTCTime, []byte("260314110926")))), want: cms.ReasonAttributes},
		{name: "signing time among the unsigned", msg: signedMail(t, to, forgedData{signers: []forgedSigner{{p: p,
			unsigned: ctx(1, attribute("1.2.840.113549.1.9.5", ber.Build(ber.TagUTCTime, []byte("260314150926Z"))))}}}), want: cms.ReasonAttributes},
		{name: "unsigned attribute of no concern", msg: signedMail(t, to, forgedData{signers: []forgedSigner{{p: p, unsigned: ctx(1, attribute("1.2.3", null()))}}}), lenient: marks()},
		{name: "unknown attributes", msg: add(attribute("1.2.3.4", null()), attribute("1.2.3.5")), lenient: marks()},
		{name: "unsorted, signed in DER order", msg: signedMail(t, to, forgedData{signers: []forgedSigner{{p: p, unsorted: true}}}), lenient: marks(smime.LenientAttributes)},
		{name: "unsorted, signed as written", msg: signedMail(t, to, forgedData{signers: []forgedSigner{{p: p, asWritten: true}}}), lenient: marks()},
		{name: "signing-certificate-v2 names the signer", msg: add(essV2(p)), lenient: marks()},
		{name: "signing-certificate-v2 names another", msg: add(essV2(other)), want: cms.ReasonOtherCert},
		{name: "signing-certificate-v2 malformed", msg: add(attribute("1.2.840.113549.1.9.16.2.47", null())), want: cms.ReasonAttributes},
		{name: "signing-certificate names the signer", msg: add(essV1(p)), lenient: marks()},
		{name: "signing-certificate names another", msg: add(essV1(other)), want: cms.ReasonOtherCert},
		{name: "65 attributes", msg: add(bytes.Split(bytes.Repeat(append(attribute("1.2.3.4", null()), 0xff, 0xff, 0xff), 62), []byte{0xff, 0xff, 0xff})[:62]...), want: cms.ReasonLimit},
	}, to.decrypt())
}

func TestReceiveSigners(t *testing.T) {
	a, b, to := someone(t, "hospital", "rsa2048"), someone(t, "branch", "p256"), someone(t, "clinic", "rsa2048")
	good, bad := forgedSigner{p: a}, forgedSigner{p: b, damage: true}
	ski := func(p person) []byte { return ber.Build(ber.ContextPrimitive(0), p.cert.SubjectKeyId) }
	many := make([]forgedSigner, 17)
	for i := range many {
		many[i] = forgedSigner{p: b}
	}
	attributeCert := ctx(1, seq(null()))
	checkAll(t, []situation{
		{name: "two, both good", msg: signedMail(t, to, forgedData{signers: []forgedSigner{good, {p: b}}}), lenient: marks()},
		{name: "two, the first bad", msg: signedMail(t, to, forgedData{signers: []forgedSigner{bad, good}}), lenient: marks()},
		{name: "two, the second bad", msg: signedMail(t, to, forgedData{signers: []forgedSigner{good, bad}}), lenient: marks()},
		{name: "two, one with SHA-1", msg: signedMail(t, to, forgedData{signers: []forgedSigner{{p: b, digest: crypto.SHA256, damage: true}, {p: a, digest: crypto.SHA512}}}), lenient: marks()},
		{name: "two, both bad", msg: signedMail(t, to, forgedData{signers: []forgedSigner{bad, {p: a, damage: true}}}), want: cms.ReasonSignature},
		{name: "by key id", msg: signedMail(t, to, forgedData{signers: []forgedSigner{{p: a, id: ski(a)}}}), lenient: marks()},
		{name: "certificate absent", msg: signedMail(t, to, forgedData{signers: []forgedSigner{good}, certs: [][]byte{b.cert.Raw}}), want: cms.ReasonNoCertificate},
		{name: "no certificates at all", msg: signedMail(t, to, forgedData{signers: []forgedSigner{good}, certs: [][]byte{}}), want: cms.ReasonNoCertificate},
		{name: "certificate between others", msg: signedMail(t, to, forgedData{signers: []forgedSigner{good}, certs: [][]byte{b.cert.Raw, to.cert.Raw, a.cert.Raw}}), lenient: marks()},
		{name: "attribute certificate and rubbish beside it", msg: signedMail(t, to, forgedData{signers: []forgedSigner{good}, certs: [][]byte{attributeCert, seq(null()), a.cert.Raw}}), lenient: marks(smime.LenientSkippedCerts)},
		{name: "signer's key id claimed by another certificate too", msg: signedMail(t, to, forgedData{signers: []forgedSigner{{p: a, id: ski(a)}}, certs: [][]byte{stolenKeyID(t, b, a).Raw, a.cert.Raw}}), lenient: marks()},
		{name: "certificate that cannot be parsed", msg: signedMail(t, to, forgedData{signers: []forgedSigner{good}, certs: [][]byte{seq(a.cert.RawTBSCertificate)}}), want: cms.ReasonNoCertificate},
		{name: "no signers", msg: signedMail(t, to, forgedData{certs: [][]byte{a.cert.Raw}}), want: cms.ReasonNoSigner},
		{name: "17 signers", msg: signedMail(t, to, forgedData{signers: many}), want: cms.ReasonLimit},
		{name: "101 certificates", msg: signedMail(t, to, forgedData{signers: []forgedSigner{good}, certs: bytes.Split(bytes.Repeat(append(bytes.Clone(b.cert.Raw), "|cut|"...), 101), []byte("|cut|"))[:101]}), want: cms.ReasonLimit},
	}, to.decrypt())
}

func TestTheReceiptNamesEverySigner(t *testing.T) {
	a, b, to := someone(t, "hospital", "rsa2048"), someone(t, "branch", "p256"), someone(t, "clinic", "rsa2048")
	got := opened(t, signedMail(t, to, forgedData{signers: []forgedSigner{{p: b, damage: true}, {p: a}}}), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	if len(got.Signers) != 2 || got.Signers[0].Reason != cms.ReasonSignature || got.Signers[1].Reason != "" {
		t.Fatalf("signers %+v", got.Signers)
	}
	if !got.Signers[0].Cert.Equal(b.cert) || !got.Signers[1].Cert.Equal(a.cert) {
		t.Error("signers have the wrong certificates")
	}
	if want := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC); !got.Signers[1].SigningTime.Equal(want) {
		t.Errorf("signing time %v", got.Signers[1].SigningTime)
	}
	words := strings.Join(got.Report.Words(), "\n")
	for _, want := range []string{"Signed by CN=hospital rsa2048", "A signer does not count (CN=branch p256", "does not verify"} {
		if !strings.Contains(words, want) {
			t.Errorf("receipt %q does not say %q", words, want)
		}
	}
}

func TestARefusalNamesEverySigner(t *testing.T) {
	a, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	_, err := smime.Open(bytes.NewReader(signedMail(t, to, forgedData{signers: []forgedSigner{{p: a, digest: crypto.SHA1}}})),
		smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	var e *smime.Error
	if !errors.As(err, &e) || len(e.Signers) != 1 || e.Signers[0].Reason != cms.ReasonLegacy || !e.Signers[0].Cert.Equal(a.cert) {
		t.Errorf("got %v", err)
	}
}

// Signed attributes of a genuine message, offered as content without attributes, would verify.
func TestAttributesOfferedAsContentAreRefused(t *testing.T) {
	a, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	attrs := ber.SetOf(ber.Set, [][]byte{
		attribute("1.2.840.113549.1.9.3", oidDER(oData)),
		attribute("1.2.840.113549.1.9.4", octets(make([]byte, 32))),
	})
	for _, opaque := range []bool{true, false} {
		p7 := forgedData{signers: []forgedSigner{{p: a, noAttrs: true}}, opaque: opaque}.der(t, attrs)
		entity := multipart(attrs, p7)
		if opaque {
			entity = mailAs(p7, "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n")
		}
		situation{msg: mail(sealedFor(t, to, entity).der()), keys: []smime.Key{to.decrypt()}, want: cms.ReasonConfusion}.check(t)
	}
}

// A signature of a certificate with an enormous key must not be computed.
func TestEnormousSignerKeysAreNotComputedWith(t *testing.T) {
	a, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	n := bytes.Repeat([]byte{0xff}, 2048) // 16384 bits
	for _, key := range [][]byte{
		seq(ber.Build(ber.Integer, append([]byte{0}, n...)), ber.Build(ber.Integer, []byte{3})),
		seq(ber.Build(ber.Integer, append([]byte{0}, n[:1025]...)), ber.Build(ber.Integer, []byte{0x7f, 0xff, 0xff, 0xff})),
	} {
		spki := seq(alg(oRSA, null()), ber.Build(ber.TagBitString, []byte{0}, key))
		cert := bytes.Replace(a.cert.Raw, a.cert.RawSubjectPublicKeyInfo, spki, 1)
		cert = reLength(t, cert, a.cert.RawTBSCertificate, len(spki)-len(a.cert.RawSubjectPublicKeyInfo))
		if _, err := x509.ParseCertificate(cert); err != nil {
			t.Fatal(err)
		}
		msg := signedMail(t, to, forgedData{signers: []forgedSigner{{p: a}}, certs: [][]byte{cert}})
		situation{msg: msg, keys: []smime.Key{to.decrypt()}, want: cms.ReasonKeySize}.check(t)
	}
}

// reLength repairs the two outer lengths of a certificate that grew by delta octets; both headers
// were four octets long.
func reLength(t testing.TB, cert, oldTBS []byte, delta int) []byte {
	t.Helper()
	tbs := cert[8 : 4+len(oldTBS)+delta]
	return seq(seq(tbs), cert[4+len(oldTBS)+delta:])
}
