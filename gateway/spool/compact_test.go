package spool_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"postern/gateway/lab/faultdisk"
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

// some is a row at random, if there is one.
func (d *table) some() (spool.Blob, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.rows { // in no order
		return b, true
	}
	return spool.Blob{}, false
}

// take removes a row at random; the caller then deletes the blob.
func (d *table) take() (spool.Blob, bool) {
	b, ok := d.some()
	if !ok {
		return b, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok = d.rows[b.ID]
	delete(d.rows, b.ID)
	return b, ok
}

func (d *table) has(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.rows[id]
	return ok
}

// Segments are compacted, freed and written again while others write, read and delete: a blob with a row
// is always whole, and one without is never said to be damaged.
func TestCompactWhileEverythingElseGoesOn(t *testing.T) {
	disk := faultdisk.New(1)
	ring := newRing(t)
	s := open(t, spool.Config{FS: disk.FS(), Keys: ring, Segment: 512 << 10})
	d := &table{rows: map[string]spool.Blob{}}
	ctx, cancel := context.WithCancel(t.Context())
	var writers, others sync.WaitGroup
	for g := range 4 {
		writers.Go(func() {
			for i := range 150 {
				n := (1 + (g*31+i*7)%60) << 10
				b, err := s.Put(t.Context(), org, bytes.NewReader(text(byte(n>>10), n)))
				if err != nil {
					t.Error(err)
					return
				}
				d.add(b)
				if i > 10 && rand.IntN(10) > 0 {
					if b, ok := d.take(); ok {
						if err := s.Delete(b); err != nil {
							t.Error(err)
						}
					}
				}
			}
		})
	}
	moved, segments, read := 0, 0, 0
	others.Go(func() {
		for last := false; !last; { // the last time when all is written: there is something to move then if there was nothing before
			last = ctx.Err() != nil
			done, err := s.Compact(t.Context(), d.move)
			if err != nil || done.Damaged > 0 {
				t.Errorf("compact: %+v %v", done, err)
				return
			}
			moved += done.Moved
			segments += done.Segments
		}
	})
	others.Go(func() {
		for ctx.Err() == nil || read == 0 {
			b, ok := d.some()
			if !ok {
				continue
			}
			got, err := get(s, b)
			for errors.Is(err, spool.ErrNotFound) && d.has(b.ID) { // moved since the row was read
				d.mu.Lock()
				now := d.rows[b.ID]
				d.mu.Unlock()
				if now.ID == "" {
					break
				}
				got, err = get(s, now)
			}
			if err == nil && !bytes.Equal(got, text(byte(b.Size>>10), int(b.Size))) {
				t.Errorf("%s is not what was put", b.ID)
			}
			if err != nil && (!errors.Is(err, spool.ErrNotFound) || d.has(b.ID)) {
				t.Errorf("read %s: %v", b.ID, err)
				return
			}
			read++
		}
	})
	writers.Wait()
	cancel()
	others.Wait()
	t.Logf("%d records moved out of %d segments, %d reads", moved, segments, read)
	if moved == 0 || read == 0 {
		t.Error("nothing was moved, or nothing read")
	}
	s.Close()
	disk.Crash()
	check(t, disk, spool.Config{Keys: ring, Segment: 512 << 10}, d)
}
