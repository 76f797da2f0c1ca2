package spool_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"postern/gateway/spool"
	"postern/gateway/spool/disk"
	"postern/gateway/spool/keys"
)

const org = "o-1"

// text is n octets that do not repeat and start differently for each seed.
func text(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func newRing(t testing.TB) *keys.Ring {
	t.Helper()
	m := keys.New()
	r := keys.NewRing(m)
	for _, o := range []string{org, "o-2"} {
		w, err := m.NewOrg(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.AddOrg(o, w); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// open opens a spool that is closed when the test ends.
func open(t testing.TB, c spool.Config) *spool.Store {
	t.Helper()
	if c.Reserve == 0 {
		c.Reserve = -1 // the machine that tests may be full
	}
	s, err := spool.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *spool.Store, b []byte) spool.Blob {
	t.Helper()
	blob, err := s.Put(t.Context(), org, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func get(s *spool.Store, b spool.Blob) ([]byte, error) {
	r, err := s.Open(b)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r.Section())
}

func mustGet(t testing.TB, s *spool.Store, b spool.Blob, want []byte) {
	t.Helper()
	got, err := get(s, b)
	if err != nil {
		t.Fatalf("blob %s at %s: %v", b.ID, b.Place, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("blob %s at %s is not what was put", b.ID, b.Place)
	}
	if err := s.Verify(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// rows gives rows to Recover.
func rows(blobs ...spool.Blob) iter.Seq2[spool.Row, error] {
	return func(yield func(spool.Row, error) bool) {
		for _, b := range blobs {
			if !yield(spool.Row{ID: b.ID, Place: b.Place, Size: b.Size}, nil) {
				return
			}
		}
	}
}

// files is every regular file below dir but the lock.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != "lock" {
			rel, _ := filepath.Rel(dir, p)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var sizes = []int{0, 1, 4000, 30 << 10, 64 << 10, 64<<10 + 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1<<20 + 7}

func TestWhatIsPutIsReadAndSurvivesReopening(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s := open(t, spool.Config{Dir: dir, Keys: ring})
	var blobs []spool.Blob
	for i, n := range sizes {
		want := text(byte(i), n)
		b := put(t, s, want)
		if b.Size != int64(n) || b.SHA256 != sha256.Sum256(want) || b.Org != org {
			t.Fatalf("row %+v does not describe %d octets", b, n)
		}
		if inLog := strings.HasPrefix(b.Place, "log/"); inLog != (n <= spool.SmallBlob) {
			t.Errorf("%d octets went to %s", n, b.Place)
		}
		mustGet(t, s, b, want)
		blobs = append(blobs, b)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, spool.Config{Dir: dir, Keys: ring})
	rep, err := again.Recover(t.Context(), rows(blobs...))
	if err != nil || rep.Live != len(blobs) || rep.Removed+rep.Lost+rep.Damaged+rep.Torn != 0 {
		t.Fatalf("report %+v, %v", rep, err)
	}
	for i, b := range blobs {
		mustGet(t, again, b, text(byte(i), sizes[i]))
	}
}

func TestReaderSatisfiesReaderAt(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: newRing(t)})
	for _, n := range []int{0, 30 << 10, 200 << 10, 700 << 10} {
		want := text(1, n)
		r, err := s.Open(put(t, s, want))
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r.Section(), want); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
}

func TestNothingLiesClearOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, spool.Config{Dir: dir, Keys: newRing(t)})
	mark := []byte("Jane Doe, born 1970-01-01, diabetes")
	long := bytes.Repeat(append(mark, '\n'), 70000)
	put(t, s, mark)
	put(t, s, long)
	w, err := s.Create(org)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(long); err != nil { // half way, in tmp
		t.Fatal(err)
	}
	all := files(t, dir)
	if len(all) != 3 {
		t.Fatalf("files %v, want a segment, a file and a temporary one", all)
	}
	for _, f := range all {
		b, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, mark[:8]) {
			t.Errorf("%s holds plaintext", f)
		}
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, spool.Config{Dir: dir, Keys: newRing(t)})
	for _, n := range []int{10, 300 << 10} {
		w, err := s.Create(org)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text(1, n)); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		w.Abort()
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("write after Abort")
		}
		if _, err := w.Commit(t.Context()); err == nil {
			t.Error("commit after Abort")
		}
	}
	if f := files(t, dir); len(f) != 0 {
		t.Errorf("left: %v", f)
	}
}

func TestRowOfAnotherIsRefused(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: newRing(t)})
	a, b := put(t, s, text(1, 5000)), put(t, s, text(2, 5000))
	big := put(t, s, text(3, 300<<10))
	with := func(x spool.Blob, f func(*spool.Blob)) spool.Blob { f(&x); return x }
	cases := []struct {
		name string
		blob spool.Blob
		want error // nil: any error
	}{
		{"another's place", with(a, func(x *spool.Blob) { x.Place = b.Place }), spool.ErrDamaged},
		{"another's key", with(a, func(x *spool.Blob) { x.Key = b.Key }), keys.ErrDamaged},
		{"another organisation", with(a, func(x *spool.Blob) { x.Org = "o-2" }), keys.ErrDamaged},
		{"an unknown organisation", with(a, func(x *spool.Blob) { x.Org = "o-9" }), keys.ErrUnknownOrg},
		{"another size", with(a, func(x *spool.Blob) { x.Size-- }), spool.ErrDamaged},
		{"a size below zero", with(a, func(x *spool.Blob) { x.Size = -1 }), spool.ErrDamaged},
		{"an offset beyond the segment", with(a, func(x *spool.Blob) { x.Place = x.Place[:20] + "/4000000000" }), spool.ErrDamaged},
		{"a segment that is not there", with(a, func(x *spool.Blob) { x.Place = "log/0000000000000001/0" }), spool.ErrNotFound},
		{"another's file", with(a, func(x *spool.Blob) { x.Place = big.Place }), nil},
		{"a file elsewhere", with(big, func(x *spool.Blob) { x.Place = "file/../../../etc/passwd" }), nil},
		{"no place", with(a, func(x *spool.Blob) { x.Place = "" }), nil},
		{"no id", with(a, func(x *spool.Blob) { x.ID = "" }), nil},
		{"an id in other letters", with(a, func(x *spool.Blob) { x.ID = strings.ToUpper(x.ID) }), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := get(s, c.blob)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
	if err := s.Verify(t.Context(), with(a, func(x *spool.Blob) { x.SHA256[0]++ })); !errors.Is(err, spool.ErrDamaged) {
		t.Errorf("another digest: %v", err)
	}
}

func TestBlobIsJSON(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: newRing(t)})
	b := put(t, s, text(1, 100))
	j, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var back spool.Blob
	if err := json.Unmarshal(j, &back); err != nil || !reflect.DeepEqual(back, b) {
		t.Fatalf("%s: %v", j, err)
	}
	for _, bad := range []string{`{"sha256":"00"}`, `{"sha256":"zz"}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestBounds(t *testing.T) {
	ring := newRing(t)
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: ring, MaxBlob: 1000})
	if _, err := s.Put(t.Context(), org, bytes.NewReader(text(1, 1001))); !errors.Is(err, spool.ErrTooLarge) {
		t.Errorf("over MaxBlob: %v", err)
	}
	put(t, s, text(1, 1000))
	c, err := s.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(text(1, 1001)); !errors.Is(err, spool.ErrTooLarge) {
		t.Errorf("scratch over MaxBlob: %v", err)
	}
	if _, err := s.Create("o-9"); !errors.Is(err, keys.ErrUnknownOrg) {
		t.Errorf("unknown organisation: %v", err)
	}
	for name, bad := range map[string]spool.Config{
		"no keys":            {Dir: t.TempDir()},
		"no directory":       {Keys: ring},
		"segments too small": {Dir: t.TempDir(), Keys: ring, Segment: 1000},
		"segments too large": {Dir: t.TempDir(), Keys: ring, Segment: 1 << 40},
	} {
		if _, err := spool.Open(bad); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s := open(t, spool.Config{Dir: dir, Keys: ring})
	if _, err := spool.Open(spool.Config{Dir: dir, Keys: ring}); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("got %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	open(t, spool.Config{Dir: dir, Keys: ring})
}

func TestAfterCloseNothingIsTaken(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: newRing(t)})
	small, _ := s.Create(org)
	large, _ := s.Create(org)
	small.Write(text(1, 10))
	large.Write(text(1, 400<<10))
	s.Close()
	for name, w := range map[string]*spool.Writer{"small": small, "large": large} {
		if _, err := w.Commit(context.Background()); !errors.Is(err, spool.ErrClosed) {
			t.Errorf("commit of a %s blob: %v", name, err)
		}
	}
	if _, err := s.Create(org); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("create: %v", err)
	}
	if _, err := s.Scratch(); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("scratch: %v", err)
	}
	if _, err := s.Recover(t.Context(), rows()); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("recover: %v", err)
	}
}

func TestManyWritersAtOnce(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: newRing(t), Segment: 4 << 20})
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := range 10 {
				want := text(byte(g), 1000+i*7000)
				b, err := s.Put(t.Context(), org, bytes.NewReader(want))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := get(s, b)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("writer %d blob %d: %v", g, i, err)
				}
				if i%2 == 0 {
					if err := s.Delete(b); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestSegmentIsFreedWhenNothingLivesInIt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, spool.Config{Dir: dir, Keys: newRing(t), Segment: 1 << 20})
	var blobs []spool.Blob
	for i := range 20 { // 4 segments
		blobs = append(blobs, put(t, s, text(byte(i), 200<<10)))
	}
	full := len(files(t, dir))
	keep := blobs[7]
	r, err := s.Open(blobs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, b := range blobs {
		if b.ID == keep.ID {
			continue
		}
		for range 3 { // once is once
			if err := s.Delete(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := slices.DeleteFunc(files(t, dir), func(n string) bool { return strings.HasPrefix(n, "tmp/spare-") })
	if full < 4 || len(left) != 2 {
		t.Fatalf("%d files before, after %v: want the segment of the survivor and the one being written", full, left)
	}
	mustGet(t, s, keep, text(7, 200<<10))
	if _, err := get(s, blobs[0]); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("deleted blob: %v", err)
	}
	if got, err := io.ReadAll(r.Section()); err != nil || !bytes.Equal(got, text(0, 200<<10)) {
		t.Errorf("a reader opened before the deletion: %v", err)
	}
}

// A freed segment's file is written again as another segment, but never while someone reads from it, and
// what it held before is not taken for the new segment's.
func TestFreedSegmentBecomesTheNext(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s := open(t, spool.Config{Dir: dir, Keys: ring, Segment: 1 << 20})
	var all []spool.Blob
	for i := range 11 { // two full segments and the beginning of a third
		all = append(all, put(t, s, text(byte(i), 200<<10)))
	}
	spool.WaitSpare(s)
	r, err := s.Open(all[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		if err := s.Delete(b); err != nil {
			t.Fatal(err)
		}
	}
	if n := spool.Spares(s); n != 2 {
		t.Fatalf("%d spares, want the prepared one and the one freed without readers", n)
	}
	var young []spool.Blob
	for i := range 15 {
		young = append(young, put(t, s, text(byte(100+i), 200<<10)))
	}
	if got, err := io.ReadAll(r.Section()); err != nil || !bytes.Equal(got, text(0, 200<<10)) {
		t.Errorf("a reader of the freed segment: %v", err)
	}
	r.Close()
	for i, b := range young {
		mustGet(t, s, b, text(byte(100+i), 200<<10))
	}
	for _, b := range all[:10] { // the last one lies in the segment that is still being written
		if _, err := get(s, b); !errors.Is(err, spool.ErrNotFound) {
			t.Errorf("deleted blob: %v", err)
		}
	}
	s.Close()
	for _, f := range files(t, dir) {
		if strings.HasPrefix(f, "tmp/") {
			t.Errorf("left: %s", f)
		}
	}
	s = open(t, spool.Config{Dir: dir, Keys: ring, Segment: 1 << 20})
	rep, err := s.Recover(t.Context(), rows(young...))
	if err != nil || rep.Live != len(young) || rep.Torn+rep.Lost+rep.Damaged != 0 {
		t.Fatalf("report %+v %v", rep, err)
	}
	for i, b := range young {
		mustGet(t, s, b, text(byte(100+i), 200<<10))
	}
}

func TestDeleteOfAFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, spool.Config{Dir: dir, Keys: newRing(t)})
	b := put(t, s, text(1, 300<<10))
	if err := errors.Join(s.Delete(b), s.Delete(b)); err != nil {
		t.Fatal(err)
	}
	if f := files(t, dir); len(f) != 0 {
		t.Errorf("left: %v", f)
	}
}

func TestScratch(t *testing.T) {
	dir := t.TempDir()
	s := open(t, spool.Config{Dir: dir, Keys: newRing(t)})
	for _, n := range []int{0, 100, 1 << 20, 1<<20 + 1, 3<<20 + 4711} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c, err := s.Scratch()
			if err != nil {
				t.Fatal(err)
			}
			want := text(9, n)
			for rest := want; len(rest) > 0; {
				k := min(len(rest), 10007)
				if _, err := c.Write(rest[:k]); err != nil {
					t.Fatal(err)
				}
				rest = rest[k:]
			}
			if c.Size() != int64(n) {
				t.Fatalf("size %d", c.Size())
			}
			if err := iotest.TestReader(io.NewSectionReader(c, 0, c.Size()), want); err != nil {
				t.Fatal(err)
			}
			if f := files(t, dir); len(f) != 0 {
				t.Errorf("a scratch has a name: %v", f)
			}
			b, err := c.Keep(t.Context(), org, int64(n/3), int64(n/2))
			if err != nil {
				t.Fatal(err)
			}
			mustGet(t, s, b, want[n/3:n/3+n/2])
			if _, err := c.Keep(t.Context(), org, 1, int64(n)); err == nil {
				t.Error("kept more than there is")
			}
			if err := errors.Join(c.Discard(), c.Discard(), s.Delete(b)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.ReadAt(make([]byte, 1), 0); err == nil || err == io.EOF {
				t.Errorf("read after Discard: %v", err)
			}
			if _, err := c.Write([]byte("x")); err == nil {
				t.Error("write after Discard")
			}
		})
		for _, f := range files(t, dir) {
			if err := os.Remove(filepath.Join(dir, f)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		s = open(t, spool.Config{Dir: dir, Keys: newRing(t)})
	}
}
