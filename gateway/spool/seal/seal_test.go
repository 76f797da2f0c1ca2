package seal_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"postern/gateway/spool/seal"
)

// text is n octets that differ from place to place.
func text(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(b)
	return b
}

// sealAll is the sealed form of plain.
func sealAll(t testing.TB, key seal.Key, id string, plain []byte) []byte {
	t.Helper()
	box, err := seal.NewBox(key, id)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for i := int64(0); ; i++ {
		n := min(len(plain), seal.ChunkSize)
		last := n == len(plain)
		out = box.Seal(out, plain[:n], i, last)
		plain = plain[n:]
		if last {
			return out
		}
	}
}

func openAll(t testing.TB, key seal.Key, id string, sealed []byte, size int) ([]byte, error) {
	t.Helper()
	box, err := seal.NewBox(key, id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := seal.NewReader(bytes.NewReader(sealed), int64(size), box)
	if err != nil {
		return nil, err
	}
	var out []byte
	err = r.Verify(func(p []byte) error { out = append(out, p...); return nil })
	return out, err
}

func TestSizesRoundTripAtEveryEdgeOfAChunk(t *testing.T) {
	const c = seal.ChunkSize
	for _, n := range []int{0, 1, 2, c - 1, c, c + 1, 2*c - 1, 2 * c, 2*c + 1, 5*c + 17} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			key, plain := seal.NewKey(), text(n)
			sealed := sealAll(t, key, "b-1", plain)
			if int64(len(sealed)) != seal.SealedSize(int64(n)) {
				t.Fatalf("sealed length %d, SealedSize says %d", len(sealed), seal.SealedSize(int64(n)))
			}
			got, err := openAll(t, key, "b-1", sealed, n)
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("not what was sealed: %v", err)
			}
			if n > 64 && bytes.Contains(sealed, plain[:32]) {
				t.Fatal("plaintext is visible in the sealed form")
			}
		})
	}
}

func TestReaderSatisfiesReaderAt(t *testing.T) {
	key, plain := seal.NewKey(), text(3*seal.ChunkSize+100)
	box, _ := seal.NewBox(key, "x")
	r, err := seal.NewReader(bytes.NewReader(sealAll(t, key, "x", plain)), int64(len(plain)), box)
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), plain); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 300; i++ {
		off := rand.IntN(len(plain))
		n := rand.IntN(len(plain) - off + 1)
		got := make([]byte, n)
		if _, err := r.ReadAt(got, int64(off)); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(got, plain[off:off+n]) {
			t.Fatalf("read of %d at %d differs", n, off)
		}
	}
	sealed, used := r.Close()
	if bytes.Contains(used[:cap(used)], plain[len(plain)-50:]) {
		t.Error("Close gives plaintext back")
	}
	if _, err := r.ReadAt(make([]byte, 1), 0); !errors.Is(err, seal.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if a, b := r.Close(); a != nil || b != nil {
		t.Error("memory is given back twice")
	}
	again, err := seal.NewReader(bytes.NewReader(sealAll(t, key, "x", plain)), int64(len(plain)), box)
	if err != nil {
		t.Fatal(err)
	}
	again.Lend(sealed, used)
	if got, err := io.ReadAll(io.NewSectionReader(again, 0, again.Size())); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("in lent memory: %v", err)
	}
}

func TestWhatIsNotWhatWasSealedIsRefused(t *testing.T) {
	const c, s = seal.ChunkSize, seal.ChunkSize + seal.Overhead
	key := seal.NewKey()
	plain := text(3*c + 10)
	good := sealAll(t, key, "b-1", plain)
	swap := func(b []byte) []byte {
		out := bytes.Clone(b)
		copy(out[:s], b[s:2*s])
		copy(out[s:2*s], b[:s])
		return out
	}
	flip := func(at int) []byte { out := bytes.Clone(good); out[at] ^= 1; return out }
	whole := sealAll(t, key, "b-1", plain[:2*c]) // another string's first two chunks, the second its last
	cases := []struct {
		name   string
		key    seal.Key
		id     string
		sealed []byte
		size   int
	}{
		{"one bit of a nonce", key, "b-1", flip(3), len(plain)},
		{"one bit of the content", key, "b-1", flip(s + 100), len(plain)},
		{"one bit of the last tag", key, "b-1", flip(len(good) - 1), len(plain)},
		{"another key", seal.NewKey(), "b-1", good, len(plain)},
		{"another id", key, "b-2", good, len(plain)},
		{"two chunks exchanged", key, "b-1", swap(good), len(plain)},
		{"last chunk missing, size as before", key, "b-1", good[:3*s], len(plain)},
		{"last chunk missing, size made to match", key, "b-1", good[:3*s], 3 * c},
		{"last chunk short by one, size as before", key, "b-1", good[:len(good)-1], len(plain)},
		{"last chunk short by one, size made to match", key, "b-1", good[:len(good)-1], len(plain) - 1},
		{"a last chunk in the middle", key, "b-1", append(bytes.Clone(whole), good[2*s:]...), len(plain)},
		{"nothing at all", key, "b-1", nil, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := openAll(t, tc.key, tc.id, tc.sealed, tc.size)
			if !errors.Is(err, seal.ErrDamaged) {
				t.Fatalf("got %v, want ErrDamaged", err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	if _, err := seal.NewBox(seal.NewKey(), ""); err == nil {
		t.Error("an empty id was taken")
	}
	if _, err := seal.NewBox(seal.NewKey(), string(make([]byte, seal.MaxID+1))); err == nil {
		t.Error("an id over MaxID was taken")
	}
	box, _ := seal.NewBox(seal.NewKey(), "x")
	for _, size := range []int64{-1, 1<<48 + 1} {
		if _, err := seal.NewReader(bytes.NewReader(nil), size, box); err == nil {
			t.Errorf("size %d was taken", size)
		}
	}
	if _, err := box.Open(nil, make([]byte, seal.ChunkSize+seal.Overhead+1), 0, true); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("oversize chunk: %v", err)
	}
	k := seal.NewKey()
	if s := fmt.Sprintf("%v %s %#v", k, k, k); bytes.Contains([]byte(s), fmt.Appendf(nil, "%d", k[0])) && len(s) > 100 {
		t.Errorf("a key prints: %s", s)
	}
}

func FuzzReader(f *testing.F) {
	key := seal.Key(sha256.Sum256([]byte("fuzz")))
	f.Add(sealAll(f, key, "x", text(50)), int64(50))
	f.Add(sealAll(f, key, "x", nil), int64(0))
	f.Add([]byte("short"), int64(70000))
	f.Fuzz(func(t *testing.T, sealed []byte, size int64) {
		box, err := seal.NewBox(key, "x")
		if err != nil {
			t.Fatal(err)
		}
		r, err := seal.NewReader(bytes.NewReader(sealed), size, box)
		if err != nil {
			return
		}
		got := int64(0)
		if err := r.Verify(func(p []byte) error { got += int64(len(p)); return nil }); err == nil {
			if got != size || int64(len(sealed)) < seal.SealedSize(size) {
				t.Fatalf("accepted %d octets for size %d from %d sealed", got, size, len(sealed))
			}
		} else if !errors.Is(err, seal.ErrDamaged) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
