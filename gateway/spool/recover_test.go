package spool_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"postern/gateway/spool"
)

func TestRecoverFreesWhatNoRowNames(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s := open(t, spool.Config{Dir: dir, Keys: ring, Segment: 1 << 20})
	var blobs []spool.Blob
	for i := range 12 { // 3 segments of 4 or 5
		blobs = append(blobs, put(t, s, text(byte(i), 200<<10)))
	}
	for i := range 4 {
		blobs = append(blobs, put(t, s, text(byte(100+i), 300<<10)))
	}
	s.Close()
	os.WriteFile(filepath.Join(dir, "tmp", "left"), []byte("x"), 0o600)

	live := []spool.Blob{blobs[5], blobs[13]}
	s = open(t, spool.Config{Dir: dir, Keys: ring, Segment: 1 << 20})
	rep, err := s.Recover(t.Context(), rows(live...))
	if err != nil {
		t.Fatal(err)
	}
	if rep.Live != 2 || rep.Lost+rep.Damaged+rep.Torn != 0 || rep.Removed < 5 || rep.Cut == 0 {
		t.Errorf("report %+v", rep)
	}
	if f := files(t, dir); len(f) != 2 {
		t.Errorf("left: %v", f)
	}
	mustGet(t, s, blobs[5], text(5, 200<<10))
	mustGet(t, s, blobs[13], text(101, 300<<10))
	if err := s.Delete(blobs[5]); err != nil {
		t.Fatal(err)
	}
	if f := files(t, dir); len(f) != 1 {
		t.Errorf("a counted segment was not freed: %v", f)
	}
}

func TestRecoverRemovesNothingWhenTheRowsFail(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s := open(t, spool.Config{Dir: dir, Keys: ring})
	small, large := put(t, s, text(1, 100)), put(t, s, text(2, 300<<10))
	s.Close()
	s = open(t, spool.Config{Dir: dir, Keys: ring})
	broken := errors.New("database is gone")
	_, err := s.Recover(t.Context(), func(yield func(spool.Row, error) bool) { yield(spool.Row{}, broken) })
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Recover(ctx, rows(small)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	rep, err := s.Recover(t.Context(), rows(small, large))
	if err != nil || rep.Live != 2 {
		t.Fatalf("report %+v, %v", rep, err)
	}
}

func TestRecoverComesFirst(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir(), Keys: newRing(t)})
	b := put(t, s, text(1, 100))
	if _, err := s.Recover(t.Context(), rows()); !errors.Is(err, spool.ErrLate) {
		t.Fatalf("got %v", err)
	}
	mustGet(t, s, b, text(1, 100))
}

func TestRecoverNamesWhatIsLostAndDamaged(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s := open(t, spool.Config{Dir: dir, Keys: ring})
	var blobs []spool.Blob
	for i, n := range []int{5000, 5000, 5000, 300 << 10, 300 << 10, 300 << 10} {
		blobs = append(blobs, put(t, s, text(byte(i), n)))
	}
	s.Close()
	all := files(t, dir)
	flip := func(name string, at int64) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b := make([]byte, 1)
		f.ReadAt(b, at)
		b[0] ^= 1
		f.WriteAt(b, at)
	}
	seg := all[slices.IndexFunc(all, func(n string) bool { return filepath.Dir(n) == "log" })]
	flip(seg, 8192+20)   // the header of the second record
	flip(seg, 2*8192+60) // the payload of the third
	file := func(b spool.Blob) string {
		i := slices.IndexFunc(all, func(n string) bool { return filepath.Base(n) == b.ID })
		if i < 0 {
			t.Fatalf("no file of %s in %v", b.ID, all)
		}
		return filepath.Join(dir, all[i])
	}
	os.Remove(file(blobs[4]))
	os.Truncate(file(blobs[5]), 1000)
	gone := blobs[0]
	gone.Place = "log/0000000000000001/0"
	gone.ID = blobs[1].ID
	odd := spool.Blob{ID: "b-x", Place: "nowhere"}

	s = open(t, spool.Config{Dir: dir, Keys: ring})
	rep, err := s.Recover(t.Context(), rows(append(blobs, gone, odd)...))
	if err != nil {
		t.Fatal(err)
	}
	if rep.Live != 2 {
		t.Errorf("live: %+v", rep)
	}
	if want := []string{blobs[4].ID, gone.ID}; !slices.Equal(rep.LostIDs, want) || rep.Lost != 2 {
		t.Errorf("lost %v, want %v", rep.LostIDs, want)
	}
	want := []string{blobs[1].ID, blobs[5].ID, odd.ID, blobs[2].ID}
	if !slices.Equal(rep.BadIDs, want) || rep.Damaged != 4 {
		t.Errorf("damaged %v, want %v", rep.BadIDs, want)
	}
	for _, i := range []int{0, 3} {
		if _, err := get(s, blobs[i]); err != nil {
			t.Errorf("a whole blob beside damaged ones: %v", err)
		}
	}
	for _, i := range []int{1, 2, 5} {
		if _, err := get(s, blobs[i]); !errors.Is(err, spool.ErrDamaged) {
			t.Errorf("blob %d: %v, want ErrDamaged", i, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, seg)); err != nil {
		t.Errorf("a segment with damaged records was removed: %v", err)
	}
}

func TestTornTailIsRecognisedAndCutAndNothingElse(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s := open(t, spool.Config{Dir: dir, Keys: ring})
	a, b := put(t, s, text(1, 30000)), put(t, s, text(2, 30000))
	s.Close()
	seg := filepath.Join(dir, files(t, dir)[0])
	whole, err := os.ReadFile(seg)
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.LastIndex(whole, []byte("PSB1"))
	for _, cut := range []int{second + 39, second + 40, second + 41, second + 4096, len(whole) - 5} { // the last record is followed by four octets of padding
		torn := append(bytes.Clone(whole[:cut]), make([]byte, 5000)...) // zeros where the write did not arrive
		if err := os.WriteFile(seg, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		s = open(t, spool.Config{Dir: dir, Keys: ring})
		rep, err := s.Recover(t.Context(), rows(a)) // b's Commit did not return, so it has no row
		if err != nil {
			t.Fatal(err)
		}
		wantTorn := 1
		if cut < second+40 {
			wantTorn = 0 // not even its header arrived
		}
		if rep.Live != 1 || rep.Torn != wantTorn || rep.Cut != int64(len(torn)-30068) || rep.Damaged != 0 {
			t.Errorf("cut at %d: report %+v", cut, rep)
		}
		mustGet(t, s, a, text(1, 30000))
		if _, err := get(s, b); err == nil {
			t.Error("a torn record was read")
		}
		put(t, s, text(3, 100))
		mustGet(t, s, a, text(1, 30000))
		s.Close()
		for _, f := range files(t, dir) {
			if p := filepath.Join(dir, f); p != seg {
				os.Remove(p)
			}
		}
	}
}
