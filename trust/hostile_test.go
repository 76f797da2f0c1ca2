package trust_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"testing"

	"postern/trust"
	"postern/trust/chain"
	"postern/trust/fetch"
	"postern/trust/internal/testpki"
)

// giantKey is a public key of that many bits; nobody knows its private half.
func giantKey(t testing.TB, bits uint, e int) *rsa.PublicKey {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits-1))
	if err != nil {
		t.Fatal(err)
	}
	n.SetBit(n, int(bits-1), 1).SetBit(n, 0, 1)
	return &rsa.PublicKey{N: n, E: e}
}

// TestHostileMessages: what a stranger can put into a message is answered within bounds, with a
// reason, and nothing is fetched for it.
func TestHostileMessages(t *testing.T) {
	root := testpki.Root(t, "Root")
	sub := root.Sub(t, "Sub")
	leaf := sub.Leaf(t, "dr@clinic.example")
	anchors := store{in: []*x509.Certificate{root.Cert}}

	// A ring: each of the two CAs has a certificate from the other, and neither from the anchor.
	keyA, keyB := testpki.ECKey(t), testpki.ECKey(t)
	a := testpki.RootWith(t, keyA, "Ring A")
	b := testpki.RootWith(t, keyB, "Ring B")
	ab, ba := a.SubWith(t, keyB, "Ring B"), b.SubWith(t, keyA, "Ring A")

	long := root
	var links []*x509.Certificate
	for i := range chain.MaxDepth + 2 {
		long = long.Sub(t, fmt.Sprintf("Link %d", i))
		links = append(links, long.Cert)
	}
	just := root
	var fits []*x509.Certificate
	for i := range chain.MaxDepth - 2 {
		just = just.Sub(t, fmt.Sprintf("Fit %d", i))
		fits = append(fits, just.Cert)
	}

	decoys := make([]*x509.Certificate, 10_000)
	for i := range decoys {
		decoys[i] = leaf.Cert
	}
	twins := make([]*x509.Certificate, 0, 400)
	for range 400 { // same name, same key id, other keys
		twins = append(twins, testpki.Root(t, "Sub", func(c *x509.Certificate) { c.SubjectKeyId = sub.Cert.SubjectKeyId }).Cert)
	}
	// Levels of cross-signed CAs of one name: as many ways up as combinations, none to the anchor.
	var maze []*x509.Certificate
	below := testpki.Root(t, "Maze 0")
	entry := below.Leaf(t, "dr@clinic.example")
	for level := 1; level <= 8; level++ {
		up := testpki.Root(t, fmt.Sprintf("Maze %d", level))
		for range 12 {
			maze = append(maze, up.SubWith(t, below.Key, below.Cert.Subject.CommonName).Cert)
		}
		below = up
	}
	giant := testpki.Sign(t, sub.Cert, root.Cert, giantKey(t, 16384, 65537), root.Key)
	giantLeaf := testpki.Sign(t, leaf.Cert, sub.Cert, giantKey(t, 16384, 65537), sub.Key)
	wideExponent := testpki.Sign(t, leaf.Cert, sub.Cert, giantKey(t, 2048, 1<<40+1), sub.Key)

	for _, c := range []struct {
		name string
		q    trust.Question
		want trust.Reason
	}{
		{"ring of two CAs", incoming(a.Leaf(t, "dr@clinic.example").Cert, a.Cert, b.Cert, ab.Cert, ba.Cert), trust.Untrusted},
		{"ring without its roots", incoming(a.Leaf(t, "dr@clinic.example").Cert, ab.Cert, ba.Cert), trust.Untrusted},
		{"chain too long", incoming(long.Leaf(t, "dr@clinic.example").Cert, links...), trust.PathLength},
		{"longest chain that is allowed", incoming(just.Leaf(t, "dr@clinic.example").Cert, fits...), ""},
		{"10,000 copies in front of the issuer", incoming(leaf.Cert, append(decoys, sub.Cert)...), trust.Untrusted},
		{"10,000 copies behind the issuer", incoming(leaf.Cert, append([]*x509.Certificate{sub.Cert}, decoys...)...), ""},
		{"150 twins in front of the issuer", incoming(leaf.Cert, append(twins[:150:150], sub.Cert)...), ""},
		{"400 twins and no issuer", incoming(leaf.Cert, twins...), trust.BadSignature},
		{"maze", incoming(entry.Cert, maze...), trust.Limit},
		{"issuer with a key of 16384 bits", incoming(leaf.Cert, giant), trust.WeakKey},
		{"leaf with a key of 16384 bits", incoming(giantLeaf, sub.Cert), trust.WeakKey},
		{"leaf with an exponent of 41 bits", incoming(wideExponent, sub.Cert), trust.WeakKey},
		{"nil among the certificates", incoming(leaf.Cert, nil, sub.Cert), ""},
		{"the leaf again and again in its own chain", incoming(leaf.Cert, leaf.Cert, leaf.Cert, sub.Cert, leaf.Cert), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWeb(t)
			d := decide(t, networked(anchors, fetcher()), c.q)
			if d.Reason != c.want {
				t.Fatalf("reason %q (%s), want %q", d.Reason, d.Detail, c.want)
			}
			if len(d.Trace.Steps) > 40 || w.count() != 0 {
				t.Errorf("%d steps, %d requests", len(d.Trace.Steps), w.count())
			}
		})
	}
}

// largeKey is an RSA key of more than 4096 bits made of four primes, which are found much faster than two.
func largeKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	one := big.NewInt(1)
	n, phi := big.NewInt(1), big.NewInt(1)
	var primes []*big.Int
	for range 4 {
		p, err := rand.Prime(rand.Reader, 1100)
		if err != nil {
			t.Fatal(err)
		}
		primes = append(primes, p)
		n.Mul(n, p)
		phi.Mul(phi, new(big.Int).Sub(p, one))
	}
	d := new(big.Int).ModInverse(big.NewInt(65537), phi)
	if d == nil {
		return largeKey(t) // 65537 divides phi: once in ten thousand times
	}
	return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, D: d, Primes: primes}
}

// TestAnchorsMayBeOfAnySize: the upper limit is for what a message brings, not for what the operator chose.
func TestAnchorsMayBeOfAnySize(t *testing.T) {
	key := largeKey(t)
	root := testpki.RootWith(t, key, "Large")
	leaf := root.Leaf(t, "dr@clinic.example")
	if d := decide(t, evaluator(store{in: []*x509.Certificate{root.Cert}}), incoming(leaf.Cert)); !d.OK() {
		t.Errorf("as an anchor: %s %s", d.Reason, d.Detail)
	}
	top := testpki.Root(t, "Top")
	large := top.SubWith(t, key, "Large")
	if d := decide(t, evaluator(store{in: []*x509.Certificate{top.Cert}}), incoming(large.Leaf(t, "dr@clinic.example").Cert, large.Cert)); d.Reason != trust.WeakKey {
		t.Errorf("below an anchor: %q %s", d.Reason, d.Detail)
	}
}

// TestNothingIsFetchedWithoutAFetcher: an evaluator without a network says so and asks nobody.
func TestNothingIsFetchedWithoutAFetcher(t *testing.T) {
	root := testpki.Root(t, "Root")
	w := newWeb(t)
	leaf := root.Sub(t, "Sub").Leaf(t, "dr@clinic.example", aia(w.put("/sub.cer", nil)), crlAt(w.URL+"/x.crl"))
	var none fetch.Fetcher
	e := networked(store{in: []*x509.Certificate{root.Cert}}, none)
	if d := decide(t, e, incoming(leaf.Cert)); d.Reason != trust.Untrusted || w.count() != 0 {
		t.Errorf("%q, %d requests", d.Reason, w.count())
	}
}

// TestSearchesOfOneDecision: certificates that each name a place their issuer is at, with the answers
// all at hand already, are searched through a bounded number of times.
func TestSearchesOfOneDecision(t *testing.T) {
	w := newWeb(t)
	anchor := testpki.Root(t, "Anchor")
	key := testpki.ECKey(t)
	var extra []*x509.Certificate
	var leaf *x509.Certificate
	for i := range trust.MaxSearches + 4 {
		above := testpki.Root(t, fmt.Sprintf("Above %d", i)).Sub(t, fmt.Sprintf("Missing %d", i))
		url := w.put(fmt.Sprintf("/%d.cer", i), above.Cert.Raw)
		issuing := above.SubWith(t, key, "Issuing", aia(url))
		extra = append(extra, issuing.Cert)
		leaf = issuing.Leaf(t, "dr@clinic.example").Cert
	}
	e := networked(store{in: []*x509.Certificate{anchor.Cert}}, fetcher())
	q := incoming(leaf)
	q.Extra = extra
	for want := trust.MaxIssuerFetches; want < trust.MaxSearches+4+trust.MaxIssuerFetches; want += trust.MaxIssuerFetches {
		d := decide(t, e, q)
		if d.Reason != trust.Untrusted {
			t.Fatalf("%+v", d)
		}
		asked := 0
		for _, s := range d.Trace.Steps {
			if s.Rule == "AS-63" {
				asked++
			}
		}
		if most := min(want, trust.MaxSearches-1); asked > most {
			t.Errorf("%d places were asked, want at most %d", asked, most)
		}
	}
}
