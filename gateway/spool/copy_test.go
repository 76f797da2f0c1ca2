package spool_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"postern/gateway/lab/faultdisk"
	"postern/gateway/spool"
	"postern/gateway/spool/keys"
)

// A backup takes sealed bytes and rows, a restore gives them to an empty spool with the same keys.
func TestSealedCopiesRestoreElsewhere(t *testing.T) {
	ring := newRing(t)
	from := open(t, spool.Config{Dir: t.TempDir(), Keys: ring})
	to := open(t, spool.Config{Dir: t.TempDir(), Keys: ring})
	for i, n := range sizes {
		want := text(byte(i), n)
		b := put(t, from, want)
		src, err := from.Sealed(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := from.Delete(b); err != nil { // retention goes on while a backup runs
			t.Fatal(err)
		}
		got, err := to.Import(t.Context(), b, src)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(src.Close(), src.Close()); err != nil {
			t.Fatal(err)
		}
		if got.Place == b.Place {
			t.Errorf("%d octets: the place is not its own", n)
		}
		mustGet(t, to, got, want)
	}
}

func TestImportRefusesWhatIsNotTheBlob(t *testing.T) {
	ring := newRing(t)
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: ring})
	b := put(t, s, text(1, 100<<10))
	src, err := s.Sealed(b)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	good, err := io.ReadAll(src)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[70000] ^= 1
	other := b
	other.SHA256[0] ^= 1
	foreign := b
	foreign.Org = "o-2"
	broken := errors.New("tape is torn")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := []struct {
		name string
		ctx  context.Context
		blob spool.Blob
		src  io.Reader
		want error
	}{
		{"altered", t.Context(), b, bytes.NewReader(flipped), spool.ErrDamaged},
		{"cut off", t.Context(), b, bytes.NewReader(good[:len(good)-1]), spool.ErrDamaged},
		{"nothing", t.Context(), b, bytes.NewReader(nil), spool.ErrDamaged},
		{"another digest", t.Context(), other, bytes.NewReader(good), spool.ErrDamaged},
		{"another organisation", t.Context(), foreign, bytes.NewReader(good), keys.ErrDamaged},
		{"the source fails", t.Context(), b, io.MultiReader(bytes.NewReader(good[:100]), errReader{broken}), broken},
		{"given up", canceled, b, bytes.NewReader(good), context.Canceled},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			to := open(t, spool.Config{Dir: dir, Keys: ring})
			if _, err := to.Import(c.ctx, c.blob, c.src); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if f := files(t, dir); len(f) != 0 {
				t.Errorf("left: %v", f)
			}
		})
	}
	small := open(t, spool.Config{Dir: t.TempDir(), Keys: ring, MaxBlob: 1000})
	if _, err := small.Import(t.Context(), b, bytes.NewReader(good)); !errors.Is(err, spool.ErrTooLarge) {
		t.Errorf("over MaxBlob: %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestSpoolOfAnotherSiteIsNotOpened(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s := open(t, spool.Config{Dir: dir, Keys: ring, Site: "site-1"})
	b := put(t, s, text(1, 1000))
	s.Close()
	if _, err := spool.Open(spool.Config{Dir: dir, Keys: ring, Site: "site-2"}); !errors.Is(err, spool.ErrOtherSite) {
		t.Fatalf("got %v", err)
	}
	if _, err := spool.Open(spool.Config{Dir: dir, Keys: ring, Site: strings.Repeat("x", spool.MaxSite+1)}); err == nil {
		t.Error("a site over the limit was taken")
	}
	s = open(t, spool.Config{Dir: dir, Keys: ring, Site: "site-1"})
	mustGet(t, s, b, text(1, 1000))
	st, err := os.Stat(filepath.Join(dir, "site"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
}

func TestStats(t *testing.T) {
	d := faultdisk.New(1)
	s := open(t, spool.Config{FS: d.FS(), Keys: newRing(t)})
	d.SetFree(12345)
	a := put(t, s, text(1, 1000))
	put(t, s, text(1, 2000))
	put(t, s, text(1, 300<<10))
	d.Hook(once(faultdisk.Sync, "log/", faultdisk.Fault{Err: io.ErrUnexpectedEOF}, nil))
	if _, err := s.Put(t.Context(), org, bytes.NewReader(text(1, 10))); err == nil {
		t.Fatal("a failed sync was not told")
	}
	s.Delete(a)
	want := spool.Stats{Records: 2, Batches: 2, Failures: 1, Files: 1, Segments: 1, Live: 1, Octets: 2068, Free: 12345}
	if got := s.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.Close()
	if got := s.Stats(); got.Free != -1 {
		t.Errorf("closed: %+v", got)
	}
}

// The heap does not grow with the blob: 64 MB need what 1 MB needs.
func TestLargeBlobsNeedNoMoreMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 64 MB")
	}
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: newRing(t)})
	most := func(size int64) int64 {
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		b, peak := putWatched(t, s, size)
		if err := s.Verify(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		return int64(peak) - int64(before.HeapAlloc)
	}
	small, large := most(1<<20), most(64<<20)
	t.Logf("heap over the start: %d KB for 1 MB, %d KB for 64 MB", small>>10, large>>10)
	if large > 4<<20 {
		t.Errorf("64 MB needed %d KB of heap", large>>10)
	}
}
