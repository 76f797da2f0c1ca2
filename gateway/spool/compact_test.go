package spool_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"postern/gateway/spool"
)

// table is the caller's rows.
type table struct {
	mu   sync.Mutex
	rows map[string]spool.Blob
	err  error // what the next move says, after doing it if done
	done bool
}

func (d *table) add(b spool.Blob) { d.mu.Lock(); d.rows[b.ID] = b; d.mu.Unlock() }

func (d *table) move(_ context.Context, id, from, to string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil && !d.done {
		return false, d.err
	}
	b, ok := d.rows[id]
	if !ok || b.Place != from {
		return false, d.err
	}
	b.Place = to
	d.rows[id] = b
	return true, d.err
}

func (d *table) all() []spool.Blob {
	var out []spool.Blob
	for _, b := range d.rows {
		out = append(out, b)
	}
	return out
}

// sparse is a spool of four full segments with one survivor in each, and the survivors' old rows.
func sparse(t *testing.T, dir string, c spool.Config) (*spool.Store, *table, []spool.Blob) {
	t.Helper()
	c.Dir, c.Segment = dir, 1<<20
	s := open(t, c)
	d := &table{rows: map[string]spool.Blob{}}
	var old []spool.Blob
	for i := range 20 {
		b := put(t, s, text(byte(i), 200<<10))
		if i%5 != 2 {
			if err := s.Delete(b); err != nil {
				t.Fatal(err)
			}
			continue
		}
		d.add(b)
		old = append(old, b)
	}
	return s, d, old
}

func TestCompactMovesSurvivorsAndFreesSegments(t *testing.T) {
	dir, ring := t.TempDir(), newRing(t)
	s, d, old := sparse(t, dir, spool.Config{Keys: ring})
	r, err := s.Open(old[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := s.Compact(t.Context(), d.move)
	if err != nil {
		t.Fatal(err)
	}
	if got.Moved < 3 || got.Segments != got.Moved || got.Damaged != 0 {
		t.Fatalf("compacted %+v", got)
	}
	for i, b := range old {
		want := text(byte(5*i+2), 200<<10)
		mustGet(t, s, d.rows[b.ID], want)
		mustGet(t, s, b, want) // the row as read before the move
	}
	p := make([]byte, 100)
	if _, err := r.ReadAt(p, 0); err != nil {
		t.Errorf("reader opened before the move: %v", err)
	}
	again, err := s.Compact(t.Context(), d.move)
	if err != nil || again.Moved != 0 {
		t.Fatalf("second run: %+v %v", again, err)
	}
	s.Close()
	s = open(t, spool.Config{Dir: dir, Keys: ring, Segment: 1 << 20})
	rep, err := s.Recover(t.Context(), rows(d.all()...))
	if err != nil || rep.Live != len(old) || rep.Removed != 0 {
		t.Fatalf("report %+v %v", rep, err)
	}
	for i, b := range old {
		mustGet(t, s, d.rows[b.ID], text(byte(5*i+2), 200<<10))
		if err := s.Delete(d.rows[b.ID]); err != nil {
			t.Fatal(err)
		}
	}
	if f := files(t, dir); len(f) != 0 {
		t.Errorf("left: %v", f)
	}
}

func TestCompactMeetsARowThatIsGoneOrElsewhere(t *testing.T) {
	dir := t.TempDir()
	s, d, old := sparse(t, dir, spool.Config{Keys: newRing(t)})
	delete(d.rows, old[0].ID)
	before := len(files(t, dir))
	if _, err := s.Compact(t.Context(), d.move); err != nil {
		t.Fatal(err)
	}
	for _, f := range files(t, dir) {
		if strings.Contains(f, old[0].ID) {
			t.Errorf("the copy of a deleted blob stayed: %s (%d files before)", f, before)
		}
	}
	if err := s.Delete(old[0]); err != nil {
		t.Fatal(err)
	}
	// A delete that races the move, with the row as it was: it finds the file.
	if err := s.Delete(old[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := get(s, d.rows[old[1].ID]); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("deleted by its old row: %v", err)
	}
}

func TestCrashBeforeAndAfterAMoveLosesNothing(t *testing.T) {
	for _, done := range []bool{false, true} {
		dir, ring := t.TempDir(), newRing(t)
		s, d, old := sparse(t, dir, spool.Config{Keys: ring})
		d.err, d.done = errors.New("connection lost"), done
		if _, err := s.Compact(t.Context(), d.move); !errors.Is(err, d.err) {
			t.Fatalf("got %v", err)
		}
		for i, b := range old {
			mustGet(t, s, d.rows[b.ID], text(byte(5*i+2), 200<<10))
		}
		s.Close() // both copies are there; the row decides
		s = open(t, spool.Config{Dir: dir, Keys: ring, Segment: 1 << 20})
		rep, err := s.Recover(t.Context(), rows(d.all()...))
		if err != nil || rep.Live != len(old) || rep.Removed != 1 || rep.Lost+rep.Damaged != 0 {
			t.Fatalf("moved %v: report %+v %v", done, rep, err)
		}
		for i, b := range old {
			mustGet(t, s, d.rows[b.ID], text(byte(5*i+2), 200<<10))
		}
		d.err = nil
		if _, err := s.Compact(t.Context(), d.move); err != nil {
			t.Fatal(err)
		}
		for i, b := range old {
			mustGet(t, s, d.rows[b.ID], text(byte(5*i+2), 200<<10))
		}
	}
}
