package smime_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"io"
	"math/big"
	"testing"
	"time"

	"postern/smime"
	"postern/smime/cms"
	"postern/smime/cms/ber"
)

// renewed is the person with another certificate for the same key and key id, valid from then on.
func renewed(t testing.TB, p person, from time.Time) person {
	t.Helper()
	tmpl := *p.cert
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = serial, from, from.AddDate(3, 0, 0)
	return person{issue(t, &tmpl, p.cert.PublicKey), p.key}
}

func keyID(p person) []byte { return ber.Build(ber.ContextPrimitive(0), p.cert.SubjectKeyId) }

// An envelope that names a renewed certificate by its key id is opened once, and the receipt names the newest
// certificate of that key; one that names the predecessor by its number is the predecessor's.
func TestRenewedCertificateOfOurs(t *testing.T) {
	from, old := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	now := renewed(t, old, testTime().AddDate(0, -1, 0))
	content := wrapped(referral())
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	for name, c := range map[string]struct {
		id   []byte
		want person
	}{
		"by key id": {keyID(old), now}, "the old by its number": {issuerSerial(old.cert), old}, "the new by its number": {issuerSerial(now.cert), now},
	} {
		for _, keys := range [][]person{{old, now}, {now, old}, {old, now, old, now}} {
			var list []smime.Key
			for _, p := range keys {
				list = append(list, p.decrypt())
			}
			counted := &countingDecrypter{}
			for i := range list {
				list[i].Private = counted.wrap(t, list[i].Private)
			}
			got := opened(t, mail(forgedEnvelope{recipients: [][]byte{ktri(t, old, ktriOptions{version: 2, id: c.id})}, content: cbc(t, signed)}.der()), smime.OpenOptions{Keys: list})
			if got.Report.Key.SHA256 != fingerprint(c.want.cert) {
				t.Errorf("%s: the receipt names serial %s", name, got.Report.Key.Serial)
			}
			if counted.n != 1 {
				t.Errorf("%s: the private key was used %d times", name, counted.n)
			}
		}
	}
}

// A signer named by the key id of a renewed certificate is the one that was valid when he signed, and of
// those the newest, in whatever order the message has them.
func TestRenewedCertificateOfTheSigner(t *testing.T) {
	old, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	before, after := renewed(t, old, testTime().AddDate(0, -1, 0)), renewed(t, old, testTime().AddDate(0, 1, 0))
	for name, c := range map[string]struct {
		certs []person
		want  person
	}{
		"renewed before it was signed": {[]person{old, before}, before},
		"renewed since":                {[]person{old, after}, old},
		"both":                         {[]person{after, before, old}, before},
	} {
		for _, turn := range []bool{false, true} {
			var certs [][]byte
			for _, p := range c.certs {
				if turn {
					certs = append([][]byte{p.cert.Raw}, certs...)
				} else {
					certs = append(certs, p.cert.Raw)
				}
			}
			got := opened(t, signedMail(t, to, forgedData{signers: []forgedSigner{{p: old, id: keyID(old)}}, certs: certs}), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
			if !got.Signers[0].Cert.Equal(c.want.cert) || got.Report.Signers[0].Cert.SHA256 != fingerprint(c.want.cert) {
				t.Errorf("%s, turned round %v: signer is serial %s", name, turn, got.Report.Signers[0].Cert.Serial)
			}
		}
	}
}

// A signature over anything that is not mail is none for a message, genuine or not, inside or beside it.
func TestSignaturesOverOtherThingsAreRefused(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	content := wrapped(referral())
	for name, ctype := range map[string]string{"time stamp": "1.2.840.113549.1.9.16.1.4", "receipt": "1.2.840.113549.1.9.16.1.1", "signed data": oSigned, "firmware": "1.2.840.113549.1.9.16.1.16"} {
		named := func(list [][]byte) [][]byte {
			list[0] = attribute("1.2.840.113549.1.9.3", oidDER(ctype))
			return list
		}
		for form, signer := range map[string]forgedSigner{"genuine": {p: from, attrs: named}, "attributes say mail": {p: from}, "without attributes": {p: from, noAttrs: true}} {
			opaque := forgedData{signers: []forgedSigner{signer}, opaque: true, ctype: ctype}.der(t, content)
			detached := forgedData{signers: []forgedSigner{signer}, ctype: ctype}.der(t, content)
			for way, entity := range map[string][]byte{
				"opaque":   mailAs(opaque, "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n"),
				"detached": multipart(content, detached),
			} {
				c := &counting{}
				got := reasonOf(t, mail(sealedFor(t, to, entity).der()), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Scratch: c.scratch})
				if got != cms.ReasonContentType || c.open != 0 {
					t.Errorf("%s, %s, %s: %q, %d scratches left", name, form, way, got, c.open)
				}
			}
		}
	}
}

// What is sealed with AES-GCM is held whole, so it comes out of the budget, and goes back however it ends.
func TestSealingWithGCMTakesFromTheBudget(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "p256")
	o := smime.SealOptions{Signer: from.identity(), Cipher: cms.AES256GCM, Recipients: []smime.Recipient{{Cert: to.cert}}, Now: testTime(), Budget: cms.NewBudget(400_000)}
	inner := bulky(t, 300_000)
	for i := range 3 {
		if _, err := smime.Seal(io.Discard, content(inner), o); err != nil {
			t.Errorf("time %d: %v", i, err)
		}
		if _, err := smime.Seal(&fullScratch{err: io.ErrShortWrite}, content(inner), o); err == nil {
			t.Error("a full disk was no error")
		}
	}
	if _, err := smime.Seal(io.Discard, content(bulky(t, 500_000)), o); cms.ReasonOf(err) != cms.ReasonBusy {
		t.Errorf("over the budget: %v", err)
	}
	o.Cipher = cms.AES256CBC
	if _, err := smime.Seal(io.Discard, content(bulky(t, 500_000)), o); err != nil {
		t.Errorf("AES-CBC needs none of it: %v", err)
	}
}

func fingerprint(c *x509.Certificate) string {
	return smime.Signer{Cert: c}.Line().Cert.SHA256
}

// countingDecrypter counts how often private keys are used.
type countingDecrypter struct{ n int }

func (c *countingDecrypter) wrap(t testing.TB, key any) any {
	t.Helper()
	d, ok := key.(crypto.Decrypter)
	if !ok {
		t.Fatalf("%T does not decrypt", key)
	}
	return &countedKey{d, c}
}

type countedKey struct {
	crypto.Decrypter
	c *countingDecrypter
}

func (k *countedKey) Decrypt(r io.Reader, msg []byte, o crypto.DecrypterOpts) ([]byte, error) {
	k.c.n++
	return k.Decrypter.Decrypt(r, msg, o)
}
