package chain_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"pgregory.net/rapid"

	"postern/trust/chain"
	"postern/trust/internal/testpki"
)

var policyIDs = []asn1.ObjectIdentifier{{2, 5, 29, 32, 0}, {1, 2, 3, 1}, {1, 2, 3, 2}, {1, 2, 3, 3}}

// drawPolicies adds random certificate policies, mappings and constraints to a certificate.
func drawPolicies(t *testing.T, rt *rapid.T, issuing bool) testpki.Option {
	marshal := func(v any) []byte {
		b, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var ext []pkix.Extension
	type info struct{ ID asn1.ObjectIdentifier }
	var infos []info
	for _, id := range policyIDs {
		if rapid.IntRange(0, 2).Draw(rt, "asserts") > 0 {
			infos = append(infos, info{id})
		}
	}
	if len(infos) > 0 {
		ext = append(ext, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 32}, Value: marshal(infos)})
	}
	if issuing {
		type pair struct{ From, To asn1.ObjectIdentifier }
		var pairs []pair
		for range rapid.IntRange(0, 2).Draw(rt, "mappings") {
			pairs = append(pairs, pair{policyIDs[rapid.IntRange(1, 3).Draw(rt, "from")], policyIDs[rapid.IntRange(1, 3).Draw(rt, "to")]})
		}
		if len(pairs) > 0 {
			ext = append(ext, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 33}, Critical: true, Value: marshal(pairs)})
		}
		if n := rapid.IntRange(-4, 2).Draw(rt, "inhibit any"); n >= 0 {
			ext = append(ext, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 54}, Critical: true, Value: []byte{2, 1, byte(n)}})
		}
	}
	var fields []byte
	if n := rapid.IntRange(-2, 3).Draw(rt, "require explicit"); n >= 0 {
		fields = append(fields, 0x80, 1, byte(n))
	}
	if n := rapid.IntRange(-4, 2).Draw(rt, "inhibit mapping"); n >= 0 {
		fields = append(fields, 0x81, 1, byte(n))
	}
	if len(fields) > 0 {
		ext = append(ext, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 36}, Critical: true, Value: append([]byte{0x30, byte(len(fields))}, fields...)})
	}
	return func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, ext...) }
}

// TestPoliciesAgreeWithTheLibrary: on random policies, mappings and constraints our graph gives the
// verdict of crypto/x509's.
func TestPoliciesAgreeWithTheLibrary(t *testing.T) {
	root := testpki.Root(t, "Root")
	valid, cases := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		by := root
		var middle []*x509.Certificate
		for i := range rapid.IntRange(0, 3).Draw(rt, "depth") {
			by = by.Sub(t, string(rune('A'+i)), drawPolicies(t, rt, true))
			middle = append(middle, by.Cert)
		}
		leaf := by.Leaf(t, "dr@clinic.example", drawPolicies(t, rt, false)).Cert
		var accept []x509.OID
		for _, id := range policyIDs[1:] { // any-policy beside others: the library reads it as one more name, we as any
			if rapid.IntRange(0, 3).Draw(rt, "accepts") == 0 {
				o, err := x509.ParseOID(id.String())
				if err != nil {
					t.Fatal(err)
				}
				accept = append(accept, o)
			}
		}
		res := chain.Build(context.Background(), chain.Request{
			Leaf: leaf, Extra: middle, Anchors: []*chain.Set{chain.NewSet([]*x509.Certificate{root.Cert})},
			Rules: chain.Rules{Time: testpki.Now, Policy: chain.PolicyRules{Acceptable: accept}},
		}, nil)
		roots, pool := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(root.Cert)
		for _, c := range middle {
			pool.AddCert(c)
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool, CurrentTime: testpki.Now, CertificatePolicies: accept, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if (err == nil) != (res.Path != nil) {
			rt.Fatalf("library: %v, ours: %v", err, res.Fault)
		}
		if cases++; res.Path != nil {
			valid++
		}
	})
	t.Logf("%d of %d chains are valid", valid, cases)
	if cases >= 100 && (valid == 0 || valid == cases) { // one in seven is not valid: a few may well all be
		t.Error("nothing was compared")
	}
}
