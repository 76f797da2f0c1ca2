package smime_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"github.com/segmentio/asm/base64"

	"postern/smime"
)

// sizes are the message sizes of the benchmarks.
func sizes() []int { return []int{4 << 10, 30 << 10, 1 << 20, 25_000_000, 100_000_000} }

func sizeName(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%dMB", n/1_000_000)
	}
	return fmt.Sprintf("%dKB", n>>10)
}

func BenchmarkSeal(b *testing.B) {
	from, to := someone(b, "hospital", "rsa2048"), someone(b, "clinic", "rsa2048")
	for _, n := range sizes() {
		inner := bulky(b, n)
		b.Run(sizeName(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := smime.Seal(io.Discard, content(inner), smime.SealOptions{Signer: from.identity(), Now: testTime(), Recipients: []smime.Recipient{{Cert: to.cert}}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// resident is a scratch whose memory is reused, so that the benchmark measures the engine.
type resident struct{ b []byte }

func (r *resident) Write(p []byte) (int, error) { r.b = append(r.b, p...); return len(p), nil }
func (r *resident) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(r.b).ReadAt(p, off)
}
func (r *resident) Size() int64    { return int64(len(r.b)) }
func (r *resident) Discard() error { r.b = r.b[:0]; return nil }

func BenchmarkOpen(b *testing.B) {
	from, to := someone(b, "hospital", "rsa2048"), someone(b, "clinic", "rsa2048")
	for _, n := range sizes() {
		msg := sealed(b, bulky(b, n), smime.SealOptions{Signer: from.identity(), Recipients: []smime.Recipient{{Cert: to.cert}}})
		place := &resident{b: make([]byte, 0, n+64<<10)}
		o := smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Scratch: func() (smime.Scratch, error) { return place, nil }}
		b.Run(sizeName(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				got, err := smime.Open(bytes.NewReader(msg), o)
				if err != nil {
					b.Fatal(err)
				}
				if err := got.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// primitives is the arithmetic a message of n octets cannot avoid, one pass each over pieces that
// stay in cache: the floor that Seal and Open are measured against.
type primitives struct {
	from, to  *rsa.PrivateKey
	block     cipher.Block
	piece     []byte
	encoded   []byte
	decoded   []byte
	lines     []byte
	wrapped   []byte
	signature []byte
}

func newPrimitives(t testing.TB) *primitives {
	p := &primitives{from: someone(t, "hospital", "rsa2048").key.(*rsa.PrivateKey), to: someone(t, "clinic", "rsa2048").key.(*rsa.PrivateKey)}
	var err error
	if p.block, err = aes.NewCipher(cek()); err != nil {
		t.Fatal(err)
	}
	p.piece = bytes.Repeat([]byte("0123456789abcdef"), 4104)
	p.encoded = make([]byte, base64.StdEncoding.EncodedLen(len(p.piece)))
	base64.StdEncoding.Encode(p.encoded, p.piece)
	p.decoded = make([]byte, len(p.piece)+64)
	for e := p.encoded; len(e) > 0; {
		n := min(76, len(e))
		p.lines = append(append(p.lines, e[:n]...), '\r', '\n')
		e = e[n:]
	}
	sum := sha256.Sum256(nil)
	if p.signature, err = rsa.SignPKCS1v15(nil, p.from, 5, sum[:]); err != nil {
		t.Fatal(err)
	}
	if p.wrapped, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &p.to.PublicKey, cek(), nil); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *primitives) seal(t testing.TB, n int) {
	h := sha256.New()
	mode := cipher.NewCBCEncrypter(p.block, iv())
	out := make([]byte, 0, 2*len(p.piece))
	for left := n; left > 0; left -= len(p.piece) {
		b := p.piece[:min(left, len(p.piece))]
		h.Write(b)
		whole := p.decoded[:(len(b)+15)/16*16]
		mode.CryptBlocks(whole, p.piece[:len(whole)])
		text := p.encoded[:base64.StdEncoding.EncodedLen(len(whole))]
		base64.StdEncoding.Encode(text, whole)
		out = out[:0]
		for len(text) > 0 {
			k := min(76, len(text))
			out = append(append(out, text[:k]...), '\r', '\n')
			text = text[k:]
		}
	}
	if _, err := rsa.SignPKCS1v15(nil, p.from, 5, h.Sum(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &p.to.PublicKey, cek(), nil); err != nil {
		t.Fatal(err)
	}
}

func (p *primitives) open(t testing.TB, n int) {
	if _, err := rsa.DecryptOAEP(sha256.New(), nil, p.to, p.wrapped, nil); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	mode := cipher.NewCBCDecrypter(p.block, iv())
	text := make([]byte, len(p.encoded))
	for left := n; left > 0; left -= len(p.piece) {
		size := min(left, len(p.piece))
		lines := p.lines[:min(len(p.lines), (size+2)/3*4*78/76)]
		k := 0
		for len(lines) > 0 {
			i := bytes.IndexByte(lines, '\n')
			if i < 0 {
				break
			}
			k += copy(text[k:], lines[:i-1])
			lines = lines[i+1:]
		}
		if _, err := base64.StdEncoding.Decode(p.decoded, text[:k/4*4]); err != nil {
			t.Fatal(err)
		}
		whole := p.decoded[:size/16*16]
		mode.CryptBlocks(whole, whole)
		h.Write(whole)
	}
	sum := sha256.Sum256(nil)
	if err := rsa.VerifyPKCS1v15(&p.from.PublicKey, 5, sum[:], p.signature); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkPrimitives(b *testing.B) {
	p := newPrimitives(b)
	for _, n := range sizes() {
		b.Run("Seal/"+sizeName(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				p.seal(b, n)
			}
		})
		b.Run("Open/"+sizeName(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				p.open(b, n)
			}
		})
	}
}
