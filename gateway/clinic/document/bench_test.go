package document_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/sample"
)

// grown is the sample referral with its sections repeated until it has about size bytes.
func grown(size int) []byte {
	open, end := []byte("<structuredBody>"), []byte("</structuredBody>")
	i, j := bytes.Index(sample.Referral, open)+len(open), bytes.Index(sample.Referral, end)
	out := append([]byte{}, sample.Referral[:j]...)
	for len(out) < size {
		out = append(out, sample.Referral[i:j]...)
	}
	return append(out, sample.Referral[j:]...)
}

var sizes = []int{50 << 10, 500 << 10, 5 << 20}

func BenchmarkInspect(b *testing.B) {
	for _, n := range sizes {
		doc := grown(n)
		b.Run(fmt.Sprintf("%dKB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if s, err := document.Inspect(bytes.NewReader(doc), int64(len(doc)), document.Hint{}); err != nil || s.Patient == nil {
					b.Fatal(s, err)
				}
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	for _, n := range sizes {
		doc := grown(n)
		b.Run(fmt.Sprintf("%dKB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if err := document.Render(io.Discard, bytes.NewReader(doc), int64(len(doc)), document.RenderOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
