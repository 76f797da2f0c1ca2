package chain_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"postern/trust/chain"
	"postern/trust/internal/testpki"
)

// graph is a random PKI: CAs with certificates from each other in any direction, honest or not.
type graph struct {
	leaf    *x509.Certificate
	extra   []*x509.Certificate
	anchors []*x509.Certificate
}

func drawGraph(t *testing.T, rt *rapid.T, keys []crypto.Signer) graph {
	const cas = 4
	var g graph
	flaw := func(label string) testpki.Option {
		kind := rapid.IntRange(0, 11).Draw(rt, label)
		length := rapid.IntRange(0, 2).Draw(rt, label+" length")
		return func(c *x509.Certificate) {
			switch kind {
			case 0:
				testpki.Dates(-300, -1)(c)
			case 1:
				testpki.Dates(1, 300)(c)
			case 2:
				c.IsCA = false
				c.MaxPathLen = 0
			case 3:
				c.KeyUsage = x509.KeyUsageDigitalSignature
			case 4, 5:
				if c.IsCA {
					c.MaxPathLen, c.MaxPathLenZero = length, length == 0
				}
			case 6:
				c.PermittedEmailAddresses = []string{"clinic.example"}
			case 7:
				c.ExcludedEmailAddresses = []string{"clinic.example"}
			case 8:
				c.PermittedDNSDomains = []string{"other.example"}
			}
		}
	}
	names := func(i int) string { return fmt.Sprintf("CA %d", i) }
	for i := range cas {
		if rapid.Bool().Draw(rt, "root") {
			g.anchors = append(g.anchors, testpki.RootWith(t, keys[i], names(i), flaw("root")).Cert)
		}
	}
	for range rapid.IntRange(1, 8).Draw(rt, "edges") {
		by, of := rapid.IntRange(0, cas-1).Draw(rt, "by"), rapid.IntRange(0, cas-1).Draw(rt, "of")
		if by == of {
			continue
		}
		signer := keys[by]
		if rapid.IntRange(0, 9).Draw(rt, "forged") == 0 {
			signer = keys[cas]
		}
		issuer := &testpki.Authority{Cert: testpki.RootWith(t, signer, names(by)).Cert, Key: signer}
		g.extra = append(g.extra, issuer.SubWith(t, keys[of], names(of), flaw("sub")).Cert)
	}
	by := rapid.IntRange(0, cas-1).Draw(rt, "leaf by")
	issuer := testpki.RootWith(t, keys[by], names(by))
	opts := []testpki.Option{}
	if rapid.Bool().Draw(rt, "dns") {
		opts = append(opts, func(c *x509.Certificate) { c.DNSNames = []string{"clinic.example"} })
	}
	g.leaf = issuer.Leaf(t, "dr@clinic.example", opts...).Cert
	return g
}

// TestAgreesWithTheLibrary: on random graphs of CAs our verdict is crypto/x509's. (It does not do
// what the tables above list: self-issued certificates, directory names, legacy and so on.)
func TestAgreesWithTheLibrary(t *testing.T) {
	var keys []crypto.Signer
	for range 5 {
		keys = append(keys, testpki.ECKey(t))
	}
	valid, cases := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		g := drawGraph(t, rt, keys)
		res := chain.Build(context.Background(), chain.Request{
			Leaf: g.leaf, Extra: g.extra, Anchors: []*chain.Set{chain.NewSet(g.anchors)}, Rules: chain.Rules{Time: testpki.Now},
		}, nil)
		roots, middle := x509.NewCertPool(), x509.NewCertPool()
		for _, c := range g.anchors {
			roots.AddCert(c)
		}
		for _, c := range g.extra {
			middle.AddCert(c)
		}
		_, err := g.leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: testpki.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if (err == nil) != (res.Path != nil) {
			rt.Fatalf("library: %v, ours: %v %v", err, res.Path != nil, res.Fault)
		}
		if res.Path == nil && res.Fault == nil {
			rt.Fatal("refused without a fault")
		}
		cases++
		if res.Path != nil {
			valid++
		}
	})
	t.Logf("%d of %d graphs are valid", valid, cases)
	if cases >= 100 && (valid == 0 || valid == cases) { // a few may all be of one kind
		t.Errorf("%d of %d graphs are valid: nothing was compared", valid, cases)
	}
}
