package smime_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"

	"postern/smime"
	"postern/smime/cms"
	"postern/smime/cms/ber"
)

// situation is one row of the receive matrix: a message, what is allowed, and the exact outcome.
type situation struct {
	name    string
	msg     []byte
	legacy  bool
	keys    []smime.Key
	want    smime.Reason     // "" = opened
	lenient []smime.Leniency // of an opened message
	inner   []byte           // nil = the referral
}

// check opens the message and compares everything.
func (s situation) check(t *testing.T) {
	t.Helper()
	got, err := smime.Open(bytes.NewReader(s.msg), smime.OpenOptions{Keys: s.keys, Legacy: s.legacy})
	if s.want != "" {
		var e *smime.Error
		if !errors.As(err, &e) || e.Reason != s.want {
			t.Fatalf("got %v, want reason %s", err, s.want)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	inner := s.inner
	if inner == nil {
		inner = referral()
	}
	if have := all(t, got.Inner); !bytes.Equal(have, inner) {
		t.Errorf("inner message is %q,\nwant %q", have, inner)
	}
	if !slices.Equal(got.Report.Leniencies, s.lenient) {
		t.Errorf("leniencies %v, want %v", got.Report.Leniencies, s.lenient)
	}
	if len(got.Report.Words()) < 2 {
		t.Errorf("receipt in words: %q", got.Report.Words())
	}
}

func checkAll(t *testing.T, list []situation, keys ...smime.Key) {
	t.Helper()
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			if s.keys == nil {
				s.keys = keys
			}
			s.check(t)
		})
	}
}

func TestReceiveKeyTransport(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	envelope := func(r []byte) []byte {
		return mail(forgedEnvelope{recipients: [][]byte{r}, content: cbc(t, signed)}.der())
	}
	oaep := func(hash, mgf crypto.Hash) []byte {
		return envelope(ktri(t, to, ktriOptions{alg: oaepAlg(hash, mgf), oaep: &rsa.OAEPOptions{Hash: hash, MGFHash: mgf}}))
	}
	sha1OAEP := &rsa.OAEPOptions{Hash: crypto.SHA1}
	checkAll(t, []situation{
		{name: "PKCS#1 v1.5", msg: envelope(ktri(t, to, ktriOptions{})), lenient: []smime.Leniency{smime.LenientPKCS1}},
		{name: "PKCS#1 v1.5 without parameters", msg: envelope(ktri(t, to, ktriOptions{alg: alg(oRSA)})), lenient: []smime.Leniency{smime.LenientPKCS1}},
		{name: "PKCS#1 v1.5 version 2", msg: envelope(ktri(t, to, ktriOptions{version: 2})), lenient: []smime.Leniency{smime.LenientPKCS1}},
		{name: "OAEP parameters empty", msg: envelope(ktri(t, to, ktriOptions{alg: alg(oOAEP, seq()), oaep: sha1OAEP}))},
		{name: "OAEP parameters absent", msg: envelope(ktri(t, to, ktriOptions{alg: alg(oOAEP), oaep: sha1OAEP}))},
		{name: "OAEP parameters NULL", msg: envelope(ktri(t, to, ktriOptions{alg: alg(oOAEP, null()), oaep: sha1OAEP}))},
		{name: "OAEP parameters explicit defaults", msg: oaep(crypto.SHA1, crypto.SHA1)},
		{name: "OAEP SHA-256", msg: oaep(crypto.SHA256, crypto.SHA256)},
		{name: "OAEP SHA-384", msg: oaep(crypto.SHA384, crypto.SHA384)},
		{name: "OAEP SHA-512", msg: oaep(crypto.SHA512, crypto.SHA512)},
		{name: "OAEP SHA-256 with MGF1 SHA-1", msg: oaep(crypto.SHA256, crypto.SHA1)},
		{name: "OAEP SHA-1 with MGF1 SHA-256", msg: oaep(crypto.SHA1, crypto.SHA256)},
		{name: "OAEP with a label", msg: envelope(ktri(t, to, ktriOptions{
			alg:  alg(oOAEP, seq(ctx(2, alg("1.2.840.113549.1.1.9", octets([]byte("label")))))),
			oaep: &rsa.OAEPOptions{Hash: crypto.SHA1, Label: []byte("label")}}))},
		{name: "OAEP MD5", msg: envelope(ktri(t, to, ktriOptions{alg: alg(oOAEP, seq(ctx(0, alg(oMD5)))), oaep: sha1OAEP})), want: cms.ReasonUnsupported},
		{name: "OAEP that is PKCS#1 v1.5 inside", msg: envelope(ktri(t, to, ktriOptions{alg: alg(oOAEP, seq())})), want: cms.ReasonUndecryptable},
		{name: "unknown transport", msg: envelope(ktri(t, to, ktriOptions{alg: alg("1.2.3.4")})), want: cms.ReasonUnsupported},
		{name: "to someone else", msg: envelope(ktri(t, from, ktriOptions{})), want: cms.ReasonNoKey},
	}, to.decrypt())
}

func TestReceiveKeyAgreement(t *testing.T) {
	from := someone(t, "hospital", "rsa2048")
	content := wrapped(referral())
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	type scheme struct {
		name, kdf string
		hash      crypto.Hash
		hkdf      bool
	}
	schemes := []scheme{
		{"X9.63 SHA-1", "1.3.133.16.840.63.0.2", crypto.SHA1, false},
		{"X9.63 SHA-224", "1.3.132.1.11.0", crypto.SHA224, false},
		{"cofactor X9.63 SHA-224", "1.3.132.1.14.0", crypto.SHA224, false},
		{"X9.63 SHA-256", "1.3.132.1.11.1", crypto.SHA256, false},
		{"X9.63 SHA-384", "1.3.132.1.11.2", crypto.SHA384, false},
		{"X9.63 SHA-512", "1.3.132.1.11.3", crypto.SHA512, false},
		{"cofactor X9.63 SHA-256", "1.3.132.1.14.1", crypto.SHA256, false},
		{"HKDF SHA-256", "1.2.840.113549.1.9.16.3.19", crypto.SHA256, true},
		{"HKDF SHA-384", "1.2.840.113549.1.9.16.3.20", crypto.SHA384, true},
		{"HKDF SHA-512", "1.2.840.113549.1.9.16.3.21", crypto.SHA512, true},
	}
	for _, kind := range []string{"p256", "p384", "p521", "x25519"} {
		to := someone(t, "clinic", kind)
		envelope := func(o kariOptions) []byte {
			if kind == "x25519" {
				o.curve = alg("1.3.101.110")
			}
			return mail(forgedEnvelope{recipients: [][]byte{kari(t, to, o)}, content: cbc(t, signed)}.der())
		}
		var list []situation
		for _, s := range schemes {
			list = append(list,
				situation{name: kind + " " + s.name, msg: envelope(kariOptions{kdf: s.kdf, hash: s.hash, hkdf: s.hkdf})},
				situation{name: kind + " " + s.name + " keying material, NULL wrap parameters, key id",
					msg: envelope(kariOptions{kdf: s.kdf, hash: s.hash, hkdf: s.hkdf, ukm: []byte("salt"), wrapNull: true, ski: true})})
		}
		list = append(list,
			situation{name: kind + " damaged wrap", msg: envelope(kariOptions{kdf: "1.3.132.1.11.1", hash: crypto.SHA256, damage: true}), want: cms.ReasonUndecryptable},
			situation{name: kind + " unknown scheme", msg: envelope(kariOptions{kdf: "1.2.3.4", hash: crypto.SHA256}), want: cms.ReasonUnsupported})
		checkAll(t, list, to.decrypt())
	}
}

func TestReceiveContentEncryption(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	with := func(cipherAlg, encrypted []byte, o ktriOptions) []byte {
		return mail(forgedEnvelope{recipients: [][]byte{ktri(t, to, o)}, cipher: cipherAlg, content: encrypted}.der())
	}
	other := func(dotted string) []byte { return with(alg(dotted, octets(iv()[:8])), cbc(t, signed), ktriOptions{}) }
	block, err := aes.NewCipher(cek())
	if err != nil {
		t.Fatal(err)
	}
	gcm := func(tag int, params []byte, attrs []byte, damage bool) []byte {
		aead, err := cipher.NewGCMWithTagSize(block, tag)
		if err != nil {
			t.Fatal(err)
		}
		var ad, written []byte
		if attrs != nil {
			ad, written = set(attrs), ctx(1, attrs)
		}
		sealed := aead.Seal(nil, iv()[:12], signed, ad)
		if damage {
			sealed[10] ^= 1
		}
		n := len(sealed) - tag
		return mail(forgedEnvelope{typ: oAuthEnv, recipients: [][]byte{ktri(t, to, ktriOptions{})}, cipher: alg(oAES256GCM, params),
			content: sealed[:n], after: append(written, octets(sealed[n:])...)}.der())
	}
	pkcs1 := []smime.Leniency{smime.LenientPKCS1}
	checkAll(t, []situation{
		{name: "3DES by default", msg: with(alg(o3DES, octets(iv()[:8])), tripleDES(t, signed), ktriOptions{key: cek()[:24]}), want: cms.ReasonLegacy},
		{name: "3DES where legacy is allowed", msg: with(alg(o3DES, octets(iv()[:8])), tripleDES(t, signed), ktriOptions{key: cek()[:24]}), legacy: true,
			lenient: []smime.Leniency{smime.LenientPKCS1, smime.LenientLegacy}},
		{name: "DES", msg: other("1.3.14.3.2.7"), legacy: true, want: cms.ReasonForbidden},
		{name: "RC2", msg: other("1.2.840.113549.3.2"), legacy: true, want: cms.ReasonForbidden},
		{name: "RC4", msg: other("1.2.840.113549.3.4"), legacy: true, want: cms.ReasonForbidden},
		{name: "Camellia", msg: other("1.2.392.200011.61.1.1.1.4"), legacy: true, want: cms.ReasonUnsupported},
		{name: "GCM tag 16", msg: gcm(16, seq(octets(iv()[:12]), integer(16)), nil, false), lenient: pkcs1},
		{name: "GCM default tag 12", msg: gcm(12, seq(octets(iv()[:12])), nil, false), lenient: pkcs1},
		{name: "GCM tag 16 that nobody announced", msg: gcm(16, seq(octets(iv()[:12])), nil, false), lenient: pkcs1},
		{name: "GCM tag 16 that nobody announced, altered", msg: gcm(16, seq(octets(iv()[:12])), nil, true), want: cms.ReasonUndecryptable},
		{name: "GCM tag 16 where 12 are announced", msg: gcm(16, seq(octets(iv()[:12]), integer(12)), nil, false), want: cms.ReasonMalformed},
		{name: "GCM tag 12 where 16 are announced", msg: gcm(12, seq(octets(iv()[:12]), integer(16)), nil, false), want: cms.ReasonMalformed},
		{name: "GCM authenticated attributes", msg: gcm(16, seq(octets(iv()[:12]), integer(16)), attribute("1.2.840.113549.1.9.3", oidDER(oData)), false), lenient: pkcs1},
		{name: "GCM altered", msg: gcm(16, seq(octets(iv()[:12]), integer(16)), nil, true), want: cms.ReasonUndecryptable},
		{name: "GCM tag 8", msg: gcm(12, seq(octets(iv()[:12]), integer(8)), nil, false), want: cms.ReasonMalformed},
		{name: "GCM inside EnvelopedData", msg: with(alg(oAES256GCM, seq(octets(iv()[:12]))), cbc(t, signed), ktriOptions{}), want: cms.ReasonMalformed},
		{name: "initialisation vector of 8", msg: with(alg(oAES256CBC, octets(iv()[:8])), cbc(t, signed), ktriOptions{}), want: cms.ReasonMalformed},
	}, to.decrypt())
}

func TestReceiveRecipients(t *testing.T) {
	from, to, other := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048"), someone(t, "pharmacy", "rsa2048")
	ec := someone(t, "laboratory", "p256")
	content := wrapped(referral())
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	with := func(rs ...[]byte) []byte {
		return mail(forgedEnvelope{recipients: rs, content: cbc(t, signed)}.der())
	}
	ours := ktri(t, to, ktriOptions{})
	ecInfo := kari(t, ec, kariOptions{kdf: "1.3.132.1.11.1", hash: crypto.SHA256})
	signOnly := withUsage(t, to, x509.KeyUsageDigitalSignature)
	utf8Issuer := bytes.ReplaceAll(to.cert.RawIssuer, []byte{ber.TagPrintableString, 12}, []byte{ber.TagUTF8String, 12})
	if bytes.Equal(utf8Issuer, to.cert.RawIssuer) {
		t.Fatal("issuer has no PrintableString of 12 octets to rewrite")
	}
	serial := ber.Build(ber.Integer, append([]byte{0, 0}, to.cert.SerialNumber.Bytes()...))
	pkcs1 := []smime.Leniency{smime.LenientPKCS1}
	unknown := []smime.Leniency{smime.LenientPKCS1, smime.LenientUnknownRcpt}
	checkAll(t, []situation{
		{name: "named by key id", msg: with(ktri(t, to, ktriOptions{version: 2, id: ber.Build(ber.ContextPrimitive(0), to.cert.SubjectKeyId)})), lenient: pkcs1},
		{name: "named by key id in segments", msg: with(ktri(t, to, ktriOptions{version: 2, id: ctx(0, octets(to.cert.SubjectKeyId[:8]), octets(to.cert.SubjectKeyId[8:]))})), lenient: pkcs1},
		{name: "issuer in another string type, serial with zeros", msg: with(ktri(t, to, ktriOptions{id: seq(utf8Issuer, serial)})), lenient: pkcs1},
		{name: "ours third of three", msg: with(ktri(t, other, ktriOptions{}), ecInfo, ours), lenient: pkcs1},
		{name: "password recipient beside ours", msg: with(ctx(3, integer(0), alg("1.2.3")), ours), lenient: unknown},
		{name: "key-encryption-key recipient beside ours", msg: with(ctx(2, integer(4), seq(octets([]byte("k"))), alg("1.2.3"), octets(nil)), ours), lenient: unknown},
		{name: "other recipient kind beside ours", msg: with(ctx(4, oidDER("1.2.3")), ours), lenient: unknown},
		{name: "unknown recipient kind beside ours", msg: with(ctx(9, oidDER("1.2.3")), ours), lenient: unknown},
		{name: "originator info in front", msg: mail(forgedEnvelope{front: ctx(0, ctx(0, from.cert.Raw)), recipients: [][]byte{ours}, content: cbc(t, signed)}.der()), lenient: pkcs1},
		{name: "to our signing-only certificate", msg: with(ours), keys: []smime.Key{{Cert: signOnly, Private: to.key}},
			lenient: []smime.Leniency{smime.LenientPKCS1, smime.LenientSignKey}},
		{name: "two keys of ours, the first entry forged", msg: with(ktri(t, other, ktriOptions{key: bytes.Repeat([]byte{7}, 32)}), ours), keys: []smime.Key{other.decrypt(), to.decrypt()}, lenient: pkcs1},
		{name: "two keys of ours under one name", msg: with(ours), keys: []smime.Key{{Cert: to.cert, Private: other.key}, to.decrypt()}, lenient: pkcs1},
		{name: "unsupported entry beside a good one of ours", msg: with(ktri(t, to, ktriOptions{alg: alg("1.2.3")}), ours), lenient: pkcs1},
		{name: "no recipients", msg: with(), want: cms.ReasonNoKey},
		{name: "only others", msg: with(ktri(t, other, ktriOptions{}), ecInfo), want: cms.ReasonNoKey},
		{name: "17 entries for one key", msg: with(bytes.Split(bytes.Repeat(append(ours, 0xff, 0xfe, 0xfd, 0xfc), 17), []byte{0xff, 0xfe, 0xfd, 0xfc})[:17]...), lenient: pkcs1},
		{name: "1001 recipients", msg: with(slices.Repeat([][]byte{ctx(9)}, 1001)...), want: cms.ReasonLimit},
		{name: "1000 recipients and ours among them", msg: with(append(slices.Repeat([][]byte{ctx(9)}, 999), ours)...), lenient: unknown},
	}, to.decrypt())
}

// withUsage is p's key under a certificate of the same name and serial number with another usage.
func withUsage(t testing.TB, p person, ku x509.KeyUsage) *x509.Certificate {
	t.Helper()
	tmpl := *p.cert
	tmpl.KeyUsage = ku
	return issue(t, &tmpl, p.cert.PublicKey)
}

// stolenKeyID is a certificate of p's key that claims the subject key identifier of victim.
func stolenKeyID(t testing.TB, p, victim person) *x509.Certificate {
	t.Helper()
	tmpl := *p.cert
	tmpl.SubjectKeyId = victim.cert.SubjectKeyId
	tmpl.SerialNumber = new(big.Int).Add(p.cert.SerialNumber, big.NewInt(1))
	return issue(t, &tmpl, p.cert.PublicKey)
}
