package revoke

import (
	"crypto/x509"
	"testing"

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
		if (a.State == Revoked) != (r.Status == ocsp.Revoked) || (a.State == Good) != (r.Status == ocsp.Good) {
			t.Fatalf("answered %s; the library %d", a.State, r.Status)
		}
	})
}
