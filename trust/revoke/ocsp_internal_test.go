package revoke

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"postern/trust/internal/testpki"
)

// FuzzOCSP: whatever we take for an answer, the library takes for one of this certificate, signed by
// its issuer or by somebody the issuer signed.
func FuzzOCSP(f *testing.F) {
	root := testpki.Root(f, "Root")
	leaf := root.Leaf(f, "dr@clinic.example")
	appointed := root.Leaf(f, "", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	plain := root.Leaf(f, "eve@clinic.example")
	f.Add(root.Response(f, leaf.Cert, ocsp.Good, root))
	f.Add(root.Response(f, leaf.Cert, ocsp.Revoked, appointed))
	f.Add(root.Response(f, leaf.Cert, ocsp.Good, plain))
	f.Add(root.Response(f, plain.Cert, ocsp.Good, root))
	f.Add(ocsp.TryLaterErrorResponse)
	q := Query{Cert: leaf.Cert, Issuer: root.Cert, Time: testpki.Now}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readOCSP(b, "fuzz", q)
		if err != nil {
			return
		}
		r, err := ocsp.ParseResponseForCert(b, leaf.Cert, root.Cert)
		if err != nil {
			t.Fatalf("answered %s; the library: %v", a.State, err)
		}
		if a.State == Good && r.Status != ocsp.Good || r.Status == ocsp.Revoked && a.State != Revoked { // the library stops at the first
			t.Fatalf("answered %s; the library %d", a.State, r.Status)
		}
	})
}

// combined is one response with the answers of several, signed again, and perhaps an extension of the whole.
func combined(t *testing.T, by *testpki.Authority, extension []byte, responses ...[]byte) []byte {
	t.Helper()
	var front, list, alg []byte
	for _, raw := range responses {
		r, err := ocsp.ParseResponse(raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		in := cryptobyte.String(r.TBSResponseData)
		var data, id, at, answers, basic, a, b cryptobyte.String
		if !in.ReadASN1(&data, der.SEQUENCE) || !data.ReadAnyASN1Element(&id, nil) || !data.ReadAnyASN1Element(&at, nil) || !data.ReadASN1(&answers, der.SEQUENCE) {
			t.Fatal("response data")
		}
		if i := strings.Index(string(raw), string(r.TBSResponseData)); i > 0 {
			basic = raw[i:]
		}
		if !basic.ReadAnyASN1Element(&a, nil) || !basic.ReadAnyASN1Element(&b, nil) {
			t.Fatal("basic response")
		}
		front, alg, list = append(append([]byte(nil), id...), at...), b, append(list, answers...)
	}
	var body cryptobyte.Builder
	body.AddASN1(der.SEQUENCE, func(c *cryptobyte.Builder) {
		c.AddBytes(front)
		c.AddASN1(der.SEQUENCE, func(c *cryptobyte.Builder) { c.AddBytes(list) })
		c.AddBytes(extension)
	})
	tbs := body.BytesOrPanic()
	sum := sha256.Sum256(tbs)
	signature, err := by.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var basic, out cryptobyte.Builder
	basic.AddASN1(der.SEQUENCE, func(c *cryptobyte.Builder) {
		c.AddBytes(tbs)
		c.AddBytes(alg)
		c.AddASN1BitString(signature)
	})
	out.AddASN1(der.SEQUENCE, func(c *cryptobyte.Builder) {
		c.AddASN1Enum(0)
		c.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(c *cryptobyte.Builder) {
			c.AddASN1(der.SEQUENCE, func(c *cryptobyte.Builder) {
				c.AddBytes([]byte{6, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 1}) // id-pkix-ocsp-basic
				c.AddASN1OctetString(basic.BytesOrPanic())
			})
		})
	})
	return out.BytesOrPanic()
}

// A response that says several things: the gravest of those about the certificate counts, wherever it stands.
func TestSeveralAnswersInOneResponse(t *testing.T) {
	root, other := testpki.Root(t, "Root"), testpki.Root(t, "Other")
	leaf, another := root.Leaf(t, "dr@clinic.example"), root.Leaf(t, "nurse@clinic.example")
	negative := *leaf.Cert
	negative.SerialNumber = new(big.Int).Neg(leaf.Cert.SerialNumber)
	good, bad := root.Response(t, leaf.Cert, ocsp.Good, root), root.Response(t, leaf.Cert, ocsp.Revoked, root)
	unknown := root.Response(t, leaf.Cert, ocsp.Unknown, root)
	stale := root.ResponseAt(t, ocsp.Response{SerialNumber: leaf.Cert.SerialNumber, Status: ocsp.Good, ThisUpdate: testpki.Now.Add(-48 * time.Hour), NextUpdate: testpki.Now.Add(-24 * time.Hour)}, root)
	held, err := ocsp.CreateResponse(root.Cert, root.Cert, ocsp.Response{SerialNumber: leaf.Cert.SerialNumber, Status: ocsp.Revoked, RevocationReason: ocsp.CertificateHold, RevokedAt: testpki.Now.Add(-49 * time.Hour), ThisUpdate: testpki.Now.Add(-48 * time.Hour), NextUpdate: testpki.Now.Add(-24 * time.Hour)}, root.Key)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := other.Response(t, leaf.Cert, ocsp.Revoked, root) // the same number of another issuer, from the same responder
	critical := func(id ...byte) []byte {
		ext := append(append([]byte{6, byte(len(id))}, id...), 1, 1, 0xff, 4, 2, 5, 0)
		ext = append([]byte{0x30, byte(len(ext))}, ext...)
		ext = append([]byte{0x30, byte(len(ext))}, ext...)
		return append([]byte{0xa1, byte(len(ext))}, ext...)
	}
	for situation, c := range map[string]struct {
		response []byte
		want     State
		word     string
	}{
		"good":                                 {combined(t, root, nil, good), Good, ""},
		"good and withdrawn":                   {combined(t, root, nil, good, bad), Revoked, ""},
		"withdrawn and good":                   {combined(t, root, nil, bad, good), Revoked, ""},
		"good and unknown":                     {combined(t, root, nil, good, unknown), "", "does not know"},
		"good, and another's withdrawn":        {combined(t, root, nil, good, root.Response(t, another.Cert, ocsp.Revoked, root)), Good, ""},
		"good, and a negative number's":        {combined(t, root, nil, good, root.Response(t, &negative, ocsp.Revoked, root)), Good, ""},
		"another issuer's withdrawn, and good": {combined(t, root, nil, elsewhere, good), Good, ""},
		"another issuer's alone":               {combined(t, root, nil, elsewhere), "", "another certificate"},
		"stale and withdrawn":                  {combined(t, root, nil, stale, bad), Revoked, ""},
		"held before, and withdrawn for good":  {combined(t, root, nil, held, bad), Revoked, ""},
		"held before alone":                    {combined(t, root, nil, held), "", "stale"},
		"a critical extension of the whole":    {combined(t, root, critical(0x2a, 3), good), "", "critical extension"},
		"a critical nonce":                     {combined(t, root, critical(0x2b, 6, 1, 5, 5, 7, 48, 1, 2), good), Good, ""},
	} {
		a, err := readOCSP(c.response, "test", Query{Cert: leaf.Cert, Issuer: root.Cert, Time: testpki.Now})
		if a.State != c.want || (err == nil) != (c.word == "") || err != nil && !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %q, %v; want %q %q", situation, a.State, err, c.want, c.word)
		}
	}
	a, err := readOCSP(root.Response(t, &negative, ocsp.Revoked, root), "test", Query{Cert: &negative, Issuer: root.Cert, Time: testpki.Now})
	if err != nil || a.State != Revoked {
		t.Errorf("a negative number: %q, %v", a.State, err)
	}
}
