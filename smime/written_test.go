package smime_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/smime"
	"postern/smime/cms"
	"postern/smime/cms/ber"
	"postern/smime/part"
)

// kids are the elements inside one.
func kids(t testing.TB, e ber.Element) []ber.Element {
	t.Helper()
	var out []ber.Element
	for c := e.Children(); !c.Empty(); {
		k, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

// signedDataOf is the SignedData of the signature part inside our sealed message, and the entity.
func signedDataOf(t testing.TB, msg []byte, to person) (sd ber.Element, entity []byte) {
	t.Helper()
	body := msg[bytes.Index(msg, []byte("\r\n\r\n"))+4:]
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(body), "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	m, err := cms.Read(bytes.NewReader(der))
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Decrypt(cms.DecryptOptions{Keys: []cms.Key{to.decrypt()}})
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := p.Next()
		if err != nil {
			break
		}
		entity = append(entity, b...)
	}
	root, err := part.Parse(bytes.NewReader(entity), int64(len(entity)), part.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(root.Children) != 2 {
		t.Fatalf("%d parts", len(root.Children))
	}
	var p7s bytes.Buffer
	if _, err := p7s.ReadFrom(root.Children[1].Open(bytes.NewReader(entity))); err != nil {
		t.Fatal(err)
	}
	info := kids(t, mustOne(t, p7s.Bytes()))
	return kids(t, info[1])[0], entity
}

// The signature as written: CMS-01 to CMS-11, AS-36.
func TestTheSignatureAsWritten(t *testing.T) {
	to, middle := someone(t, "clinic", "rsa2048"), someone(t, "intermediate", "p256")
	for _, kind := range []string{"rsa2048", "p256", "p384", "ed25519"} {
		from := someone(t, "hospital", kind)
		id := from.identity()
		id.Chain = []*x509.Certificate{middle.cert}
		sd, _ := signedDataOf(t, sealed(t, referral(), smime.SealOptions{Signer: id, Recipients: []smime.Recipient{{Cert: to.cert}}}), to)
		f := kids(t, sd)
		if v, _ := f[0].Uint(); v != 1 {
			t.Errorf("%s: version %d (CMS-01)", kind, v)
		}
		if eci := kids(t, f[2]); len(eci) != 1 || !bytes.Equal(eci[0].Full, oidDER(oData)) {
			t.Errorf("%s: content is not detached data (CMS-02)", kind)
		}
		certs := kids(t, f[3])
		if len(certs) != 2 || !slices.ContainsFunc(certs, func(e ber.Element) bool { return bytes.Equal(e.Full, from.cert.Raw) }) {
			t.Errorf("%s: %d certificates (AS-36)", kind, len(certs))
		}
		si := kids(t, kids(t, f[4])[0])
		if v, _ := si[0].Uint(); v != 1 || !bytes.Equal(si[1].Full, issuerSerial(from.cert)) {
			t.Errorf("%s: signer info version %d or identifier (CMS-01)", kind, v)
		}
		if len(kids(t, si[2])) != 1 {
			t.Errorf("%s: digest algorithm has parameters (CMS-07)", kind)
		}
		if n := len(kids(t, si[4])); kind == "rsa2048" && n != 2 || kind != "rsa2048" && n != 1 {
			t.Errorf("%s: signature algorithm has %d elements (CMS-07)", kind, n)
		}
		asWrittenAttributes(t, kind, si[3])
	}
}

func asWrittenAttributes(t *testing.T, kind string, set ber.Element) {
	t.Helper()
	var last []byte
	seen := map[string]bool{}
	for _, a := range kids(t, set) {
		if bytes.Compare(last, a.Full) >= 0 {
			t.Errorf("%s: attributes are not in DER order (CMS-04)", kind)
		}
		last = a.Full
		seen[string(kids(t, a)[0].Full)] = true
		if n := len(kids(t, kids(t, a)[1])); n != 1 {
			t.Errorf("%s: attribute with %d values (CMS-03)", kind, n)
		}
	}
	for _, want := range []string{"1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5", "1.2.840.113549.1.9.15", "1.2.840.113549.1.9.16.2.47"} {
		if !seen[string(oidDER(want))] {
			t.Errorf("%s: attribute %s is missing (CMS-03, CMS-10, CMS-14)", kind, want)
		}
	}
}

// The entity as written: AS-32, AS-35, CMS-41 to CMS-45.
func TestTheEntityAsWritten(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "rsa2048")
	for _, eight := range []bool{false, true} {
		_, entity := signedDataOf(t, sealed(t, referral(), smime.SealOptions{Signer: from.identity(), EightBit: eight, Recipients: []smime.Recipient{{Cert: to.cert}}}), to)
		root, err := part.Parse(bytes.NewReader(entity), int64(len(entity)), part.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if root.MediaType != "multipart/signed" || root.Params["protocol"] != "application/pkcs7-signature" || root.Params["micalg"] != "sha-256" || len(root.Params["boundary"]) > 70 {
			t.Errorf("root %s %v", root.MediaType, root.Params)
		}
		inner, sig := root.Children[0], root.Children[1]
		if inner.MediaType != "message/rfc822" || (inner.Encoding == "8bit") != eight {
			t.Errorf("signed part %s in %s", inner.MediaType, inner.Encoding)
		}
		if sig.MediaType != "application/pkcs7-signature" || sig.Encoding != "base64" || sig.Filename != "smime.p7s" || sig.Disposition != "attachment" {
			t.Errorf("signature part %s in %s, %s %s", sig.MediaType, sig.Encoding, sig.Disposition, sig.Filename)
		}
		if len(root.Repairs)+len(inner.Repairs)+len(sig.Repairs) != 0 {
			t.Errorf("our own message needs repairs: %q", root.Repairs)
		}
		if bytes.Contains(bytes.ReplaceAll(entity, []byte("\r\n"), nil), []byte("\n")) {
			t.Error("bare line feed in the entity")
		}
	}
}

// The envelope as written: CMS-20, CMS-21, CMS-26.
func TestTheEnvelopeAsWritten(t *testing.T) {
	from, rsaTo, ecTo := someone(t, "hospital", "p256"), someone(t, "clinic", "rsa2048"), someone(t, "clinic", "p256")
	for _, c := range []struct {
		name    string
		to      []person
		version int
	}{
		{"RSA", []person{rsaTo}, 0},
		{"RSA and EC", []person{rsaTo, ecTo}, 2},
	} {
		var rs []smime.Recipient
		for _, p := range c.to {
			rs = append(rs, smime.Recipient{Cert: p.cert})
		}
		seen := map[string]bool{}
		for range 3 {
			msg := sealed(t, referral(), smime.SealOptions{Signer: from.identity(), Recipients: rs})
			der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(msg[bytes.Index(msg, []byte("\r\n\r\n"))+4:]), "\r\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			f := kids(t, kids(t, kids(t, mustOne(t, der))[1])[0])
			if v, _ := f[0].Uint(); v != c.version {
				t.Errorf("%s: version %d, want %d (CMS-20)", c.name, v, c.version)
			}
			if n := len(kids(t, f[1])); n != len(c.to) {
				t.Errorf("%s: %d recipient infos", c.name, n)
			}
			iv := kids(t, kids(t, f[2])[1])[1].Content
			if len(iv) != 16 || seen[string(iv)] {
				t.Errorf("%s: initialisation vector %x again or not 16 octets (CMS-21)", c.name, iv)
			}
			seen[string(iv)] = true
		}
	}
}

// Signing time is UTCTime through 2049 and GeneralizedTime after (CMS-11).
func TestSigningTimeBeyond2049(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "rsa2048")
	for _, at := range []time.Time{time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)} {
		got := opened(t, sealed(t, referral(), smime.SealOptions{Signer: from.identity(), Now: at, Recipients: []smime.Recipient{{Cert: to.cert}}}), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		if !got.Signers[0].SigningTime.Equal(at) {
			t.Errorf("%v came back as %v", at, got.Signers[0].SigningTime)
		}
	}
}

// MD5 and SHA-1 signatures are never written (AS-51), nor is a signature without a key that fits.
func TestWeakDigestsAreNotWritten(t *testing.T) {
	from := someone(t, "hospital", "rsa2048")
	for _, h := range []crypto.Hash{crypto.MD5, crypto.SHA1, crypto.SHA224} {
		if _, err := cms.NewDetachedSigner(cms.SignOptions{Signer: from.identity(), Digest: h}); cms.ReasonOf(err) != cms.ReasonForbidden {
			t.Errorf("%s: %v", h, err)
		}
	}
	if _, err := cms.NewDetachedSigner(cms.SignOptions{Signer: smime.Identity{Cert: from.cert}}); err == nil {
		t.Error("a signer without a key")
	}
	if _, err := cms.NewEnvelope(discard{}, cms.EnvelopeOptions{}); err == nil {
		t.Error("an envelope for nobody")
	}
}

// The announced length is kept, or nothing that could be mistaken for a message is complete.
func TestEnvelopeLengthIsKept(t *testing.T) {
	to := someone(t, "clinic", "rsa2048")
	open := func() *cms.EnvelopeWriter {
		e, err := cms.NewEnvelope(discard{}, cms.EnvelopeOptions{Recipients: []cms.Recipient{{Cert: to.cert}}, Size: 5})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if _, err := open().Write([]byte("123456")); err == nil {
		t.Error("more than announced was taken")
	}
	e := open()
	if _, err := e.Write([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err == nil {
		t.Error("fewer than announced was closed")
	}
}
