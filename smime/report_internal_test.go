package smime

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/rand/v2"
	"testing"
)

// Names in receipts are what crypto/x509 would print, whatever is in them.
func TestNamesAreWrittenAsTheLibraryDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	text := func() string {
		b := make([]rune, 1+r.IntN(6))
		for i := range b {
			b[i] = []rune(`ab ,+"\<>;#=é\x00`)[r.IntN(14)]
		}
		return string(b)
	}
	for range 3000 {
		var rdns pkix.RDNSequence
		for range r.IntN(6) {
			var set pkix.RelativeDistinguishedNameSET
			for range 1 + r.IntN(2) {
				typ := asn1.ObjectIdentifier{2, 5, 4, []int{3, 5, 6, 7, 8, 9, 10, 11, 17, 12}[r.IntN(10)]}
				if r.IntN(20) == 0 {
					typ = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
				}
				set = append(set, pkix.AttributeTypeAndValue{Type: typ, Value: text()})
			}
			rdns = append(rdns, set)
		}
		var n pkix.Name
		n.FillFromRDNSequence(&rdns)
		if got, want := nameOf(n), n.String(); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}
