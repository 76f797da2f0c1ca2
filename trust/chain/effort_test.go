package chain_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"testing"

	"postern/trust/chain"
	"postern/trust/internal/testpki"
)

// lattice is layers of w certificates of one name and key: every one of a layer is signed by the key
// all of the next layer share. It returns a leaf below the last layer and what is above it.
func lattice(t *testing.T, top *testpki.Authority, w, layers int) (*x509.Certificate, []*x509.Certificate) {
	var extra []*x509.Certificate
	cur := top
	for l := range layers {
		key := testpki.ECKey(t)
		var next *testpki.Authority
		for range w {
			next = cur.SubWith(t, key, fmt.Sprintf("Layer %d", l))
			extra = append(extra, next.Cert)
		}
		cur = next
	}
	return cur.Leaf(t, "dr@clinic.example").Cert, extra
}

func search(leaf *x509.Certificate, extra []*x509.Certificate, anchor *x509.Certificate, work *chain.Work) chain.Result {
	return chain.Build(context.Background(), chain.Request{Leaf: leaf, Extra: extra, Anchors: []*chain.Set{chain.NewSet([]*x509.Certificate{anchor})},
		Rules: chain.Rules{Time: testpki.Now}, Work: work}, nil)
}

// TestLatticeCostsItsEdges: a lattice that leads nowhere has w^8 paths and is left after w² steps a layer.
func TestLatticeCostsItsEdges(t *testing.T) {
	anchor := testpki.Root(t, "Anchor").Cert
	const layers = 8
	for _, w := range []int{1, 2, 3, 5} {
		leaf, extra := lattice(t, testpki.Root(t, "Top"), w, layers)
		r := search(leaf, extra, anchor, nil)
		if most := w + (layers-1)*w*w; r.Path != nil || r.Edges > most {
			t.Errorf("width %d: %d steps for %d certificates, want at most %d (path %v)", w, r.Edges, len(extra), most, r.Path != nil)
		}
		if r.Fault == nil || r.Fault.Reason != chain.Untrusted || len(r.DeadEnds) != w {
			t.Errorf("width %d: fault %v, %d dead ends", w, r.Fault, len(r.DeadEnds))
		}
	}
}

// TestWayThroughALattice: one certificate of the top layer is signed by the anchor, and it is found.
func TestWayThroughALattice(t *testing.T) {
	anchor := testpki.Root(t, "Anchor")
	key := testpki.ECKey(t)
	lost, known := testpki.Root(t, "Lost").SubWith(t, key, "Top"), anchor.SubWith(t, key, "Top")
	leaf, extra := lattice(t, known, 4, 7)
	for _, more := range [][]*x509.Certificate{{lost.Cert, known.Cert}, {known.Cert, lost.Cert}} {
		r := search(leaf, append(more, extra...), anchor.Cert, nil)
		if len(r.Path) != chain.MaxDepth || r.Edges > 8*16 {
			t.Errorf("%d certificates after %d steps: %v", len(r.Path), r.Edges, r.Fault)
		}
	}
}

// TestDeadEndOfALongPathOnly: a certificate that no anchor can be reached from at the end of a long
// path is tried again at the end of a short one.
func TestDeadEndOfALongPathOnly(t *testing.T) {
	anchor := testpki.Root(t, "Anchor")
	high := anchor.Sub(t, "High")
	shared := high.Sub(t, "Shared")
	// The detour comes first by its matching key identifier and makes the path too long.
	key := testpki.ECKey(t)
	cur := shared
	var extra []*x509.Certificate
	for i := range chain.MaxDepth - 4 {
		cur = cur.Sub(t, fmt.Sprintf("Detour %d", i))
		extra = append(extra, cur.Cert)
	}
	long := cur.SubWith(t, key, "Issuing")
	short := shared.SubWith(t, key, "Issuing", func(c *x509.Certificate) { c.SubjectKeyId = []byte("other") })
	leaf := long.Leaf(t, "dr@clinic.example").Cert
	for _, k := range []string{"detour first", "detour last"} {
		issuing := []*x509.Certificate{long.Cert, short.Cert}
		if k == "detour last" {
			issuing = []*x509.Certificate{short.Cert, long.Cert}
		}
		r := search(leaf, append(issuing, append(extra, shared.Cert, high.Cert)...), anchor.Cert, nil)
		if len(r.Path) != 5 {
			t.Errorf("%s: %d certificates, %v", k, len(r.Path), r.Fault)
		}
	}
}

// TestLoopsAreLeft: CAs that all have a certificate from each other, so that what was met depends on
// the way there, are given up at the limit, and the work of several searches is bounded together.
func TestLoopsAreLeft(t *testing.T) {
	const cas = 6
	anchor := testpki.Root(t, "Anchor").Cert
	keys := make([]crypto.Signer, cas)
	roots := make([]*testpki.Authority, cas)
	for i := range keys {
		keys[i] = testpki.ECKey(t)
		roots[i] = testpki.RootWith(t, keys[i], fmt.Sprintf("CA %d", i))
	}
	var extra []*x509.Certificate
	for i, by := range roots {
		for j := range roots {
			if i != j {
				extra = append(extra, by.SubWith(t, keys[j], fmt.Sprintf("CA %d", j)).Cert)
			}
		}
	}
	for range 3 {
		extra = append(extra, roots[1].SubWith(t, keys[0], "CA 0").Cert)
	}
	leaf := roots[0].Leaf(t, "dr@clinic.example").Cert
	var work chain.Work
	for n := 1; n <= 5; n++ {
		r := search(leaf, extra, anchor, &work)
		if r.Path != nil || r.Fault == nil {
			t.Fatalf("search %d: %v", n, r.Fault)
		}
		if n == 1 && r.Edges != chain.MaxEdges+1 || r.Edges > chain.MaxEdges+1 || work.Edges() > chain.MaxWorkEdges+n {
			t.Fatalf("search %d: %d steps, %d in all", n, r.Edges, work.Edges())
		}
	}
	if work.Edges() < chain.MaxWorkEdges {
		t.Errorf("%d steps in all: the bound was not met", work.Edges())
	}
}
