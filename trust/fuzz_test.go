package trust_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"testing"

	"postern/trust"
	"postern/trust/bundle"
	"postern/trust/internal/testpki"
)

// FuzzEvaluate reads a leaf and what came with it from hostile octets. Whatever we approve, the
// library must approve too; and nothing may panic or answer without a reason.
func FuzzEvaluate(f *testing.F) {
	root := testpki.Root(f, "Root")
	sub := root.Sub(f, "Sub")
	leaf := sub.Leaf(f, "dr@clinic.example")
	f.Add(append(bytes.Clone(leaf.Cert.Raw), sub.Cert.Raw...))
	f.Add(append(bytes.Clone(root.Leaf(f, "dr@clinic.example", critical).Cert.Raw), root.Cert.Raw...))
	f.Add(testpki.SelfSigned(f, testpki.ECKey(f), "Root", testpki.AsLeaf("dr@clinic.example")).Cert.Raw)
	narrow := root.Sub(f, "Narrow", func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"clinic.example"} })
	f.Add(append(bytes.Clone(narrow.Leaf(f, "dr@clinic.example").Cert.Raw), narrow.Cert.Raw...))
	e := trust.New(trust.Config{Anchors: fixedSets{trust.NewAnchorSet([]*x509.Certificate{root.Cert})}, Clock: clock})
	roots := x509.NewCertPool()
	roots.AddCert(root.Cert)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := bundle.Parse(data, bundle.Options{AllowLeaves: true, Time: atNow})
		if err != nil {
			return
		}
		q := incoming(got.Certs[0], got.Certs[1:]...)
		d, err := e.Evaluate(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if !d.OK() {
			if d.Reason.Explain() == "" {
				t.Fatalf("refused with the unknown reason %q", d.Reason)
			}
			return
		}
		middle := x509.NewCertPool()
		for _, c := range d.Chain[1:] {
			middle.AddCert(c)
		}
		if _, err := got.Certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: atNow, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}); err != nil {
			t.Fatalf("approved, and the library says: %v", err)
		}
	})
}
