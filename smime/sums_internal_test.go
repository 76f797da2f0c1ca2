package smime

import (
	"bytes"
	"crypto"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// octetCRLF is what crlfWriter does, octet by octet.
func octetCRLF(b []byte) []byte {
	var out []byte
	for i, c := range b {
		if c == '\n' && (i == 0 || b[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

func randomLines(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "\r\n\nab"[r.IntN(5)]
	}
	return b
}

// writes counts what arrives.
type writes struct {
	bytes.Buffer
	n int
}

func (w *writes) Write(p []byte) (int, error) { w.n++; return w.Buffer.Write(p) }

func TestLineEndsAreTheSameInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := randomLines(r, r.IntN(40))
		var got writes
		c := newCRLFWriter(&got)
		for rest := b; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := c.flush(); err != nil {
			t.Fatal(err)
		}
		if want := octetCRLF(b); !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%q became %q, want %q", b, got.Bytes(), want)
		}
	}
}

// A flood of line feeds costs as few writes as any other text of its length.
func TestLineFeedFloodsAreFewWrites(t *testing.T) {
	for name, b := range map[string][]byte{"LF": bytes.Repeat([]byte("\n"), 3<<20), "CRLF": bytes.Repeat([]byte("\r\n"), 3<<20), "short lines": bytes.Repeat([]byte("a\n"), 3<<20)} {
		var got writes
		c := newCRLFWriter(&got)
		for rest := b; len(rest) > 0; rest = rest[min(copyChunk, len(rest)):] {
			if _, err := c.Write(rest[:min(copyChunk, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.flush(); err != nil {
			t.Fatal(err)
		}
		if most := got.Len()/copyChunk + got.Len()/copyChunk/8 + 2; got.n > most {
			t.Errorf("%s: %d writes for %d octets, at most %d", name, got.n, got.Len(), most)
		}
	}
}

// Every form's digest is that of the form as it would be written.
func TestSumsAreThoseOfTheForms(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	hashes := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA1}
	for n := range 400 {
		b := randomLines(r, n%23)
		place, _ := NewMemory()
		fmt.Fprintf(place, "front%sback", b)
		c := &candidate{src: place, span: span{5, 5 + int64(len(b))}}
		s := newSums(c, hashes)
		for _, f := range append([]form{{}}, forms()...) {
			c.form = f
			var written bytes.Buffer
			if err := c.copy(&written); err != nil {
				t.Fatal(err)
			}
			for _, h := range hashes {
				want := h.New()
				want.Write(written.Bytes())
				if got, err := s.of(f, h); err != nil || !bytes.Equal(got, want.Sum(nil)) {
					t.Fatalf("%q as %+v by %s: %x, %v", b, f, h, got, err)
				}
			}
		}
	}
}

// reads counts the octets read of a scratch.
type reads struct {
	Scratch
	n int64
}

func (r *reads) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Scratch.ReadAt(p, off)
	r.n += int64(n)
	return n, err
}

// However many digests and forms are asked for, the content is read twice.
func TestContentIsReadTwiceAtMost(t *testing.T) {
	memory, _ := NewMemory()
	size, _ := memory.Write([]byte(strings.Repeat("line\n", 200_000)))
	place := &reads{Scratch: memory}
	hashes := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	s := newSums(&candidate{src: place, span: span{0, int64(size)}}, hashes)
	for _, f := range append([]form{{}}, forms()...) {
		for _, h := range hashes {
			if _, err := s.of(f, h); err != nil {
				t.Fatal(err)
			}
		}
	}
	if place.n > 2*int64(size)+100 {
		t.Errorf("%d octets read of %d", place.n, size)
	}
	if _, err := s.of(form{}, crypto.SHA1); err == nil {
		t.Error("a digest that no signer may use was given")
	}
}
