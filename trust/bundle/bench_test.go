package bundle_test

import (
	"fmt"
	"testing"
	"time"

	"postern/trust/bundle"
	"postern/trust/internal/testpki"
)

// BenchmarkDiff150 compares 150 anchors with those in force.
func BenchmarkDiff150(b *testing.B) {
	var raws [][]byte
	for i := range 150 {
		raws = append(raws, testpki.Root(b, fmt.Sprintf("CA %d", i)).Cert.Raw)
	}
	have, err := bundle.Parse(p7b(b, raws...), bundle.Options{Time: testpki.Now})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if d := bundle.Diff(have.Certs, have.Certs[10:], testpki.Now.Add(90*24*time.Hour)); len(d.Removed) != 10 {
			b.Fatal(len(d.Removed))
		}
	}
}
