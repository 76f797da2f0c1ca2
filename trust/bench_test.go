package trust_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"testing"

	"postern/smime/addr"
	"postern/trust"
	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

// fixedSets is a store that keeps its sets, as a gateway's does.
type fixedSets struct{ set *trust.AnchorSet }

func (f fixedSets) Anchors(context.Context, addr.Domain, trust.Direction) (*trust.AnchorSet, error) {
	return f.set, nil
}

// benchCase is leaf, intermediate and anchor of RSA-2048 among n anchors, of one name or of many.
func benchCase(b *testing.B, n int, sameName bool) (trust.Config, trust.Question) {
	root := testpki.RootWith(b, testpki.RSAKey(b, 2048, 0), "Anchor")
	sub := root.SubWith(b, testpki.RSAKey(b, 2048, 1), "Sub")
	leaf := sub.LeafWith(b, testpki.RSAKey(b, 2048, 2), "dr@clinic.example")
	anchors := []*x509.Certificate{root.Cert}
	for i := 1; i < n; i++ {
		name := "Anchor"
		if !sameName {
			name = fmt.Sprintf("Anchor %d", i)
		}
		anchors = append([]*x509.Certificate{testpki.Root(b, name).Cert}, anchors...)
	}
	q := incoming(leaf.Cert, sub.Cert)
	return trust.Config{Anchors: fixedSets{trust.NewAnchorSet(anchors)}, Revocation: revoke.New(revoke.Config{}), Clock: clock}, q
}

func benchDecisions(b *testing.B, cold bool) {
	for _, n := range []int{1, 100, 2000} {
		for _, same := range []bool{false, true} {
			b.Run(fmt.Sprintf("anchors=%d/sameName=%v", n, same), func(b *testing.B) {
				cfg, q := benchCase(b, n, same)
				e := trust.New(cfg)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if cold {
						e = trust.New(cfg)
					}
					if d, err := e.Evaluate(context.Background(), q); err != nil || !d.OK() {
						b.Fatal(d.Reason, err)
					}
				}
			})
		}
	}
}

func BenchmarkWarmDecision(b *testing.B) { benchDecisions(b, false) }
func BenchmarkColdDecision(b *testing.B) { benchDecisions(b, true) }

func BenchmarkWarmDecisionParallel(b *testing.B) {
	cfg, q := benchCase(b, 100, false)
	e := trust.New(cfg)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d, err := e.Evaluate(context.Background(), q); err != nil || !d.OK() {
				b.Fatal(d.Reason, err)
			}
		}
	})
}

func BenchmarkNewAnchorSet(b *testing.B) {
	var anchors []*x509.Certificate
	for i := range 150 {
		anchors = append(anchors, testpki.Root(b, fmt.Sprintf("Anchor %d", i)).Cert)
	}
	b.ReportAllocs()
	for b.Loop() {
		if trust.NewAnchorSet(anchors).Len() != 150 {
			b.Fatal("anchors lost")
		}
	}
}

// BenchmarkHostileFlood is a message with 10,000 certificates of the leaf's issuer's name, none of
// which signed it.
func BenchmarkHostileFlood(b *testing.B) {
	root := testpki.Root(b, "Root")
	leaf := root.Sub(b, "Sub").Leaf(b, "dr@clinic.example")
	decoy := make([]*x509.Certificate, 10_000)
	for i := range decoy {
		decoy[i] = testpki.Root(b, "Sub").Cert
	}
	e := trust.New(trust.Config{Anchors: fixedSets{trust.NewAnchorSet([]*x509.Certificate{root.Cert})}, Clock: clock})
	q := incoming(leaf.Cert, decoy...)
	for b.Loop() {
		if d, err := e.Evaluate(context.Background(), q); err != nil || d.OK() {
			b.Fatal("a flood was believed", err)
		}
	}
}
