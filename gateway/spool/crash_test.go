package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"postern/gateway/lab/faultdisk"
	"postern/gateway/spool"
)

// life is a day of a spool: blobs of both kinds come and go, segments fill up, Compact runs. d holds
// its rows: each is added after its Commit and removed before its Delete, as a database would. The
// first error ends it.
func life(t *testing.T, s *spool.Store, d *table) error {
	if _, err := s.Recover(t.Context(), rows(d.all()...)); err != nil {
		return err
	}
	for i, n := range []int{100 << 10, 20 << 10, 300 << 10, 250 << 10, 30 << 10, 200 << 10, 250 << 10, 300 << 10, 90 << 10} {
		b, err := s.Put(t.Context(), org, bytes.NewReader(text(byte(n>>10), n)))
		if err != nil {
			return err
		}
		d.add(b)
		if i%3 == 1 {
			continue
		}
		d.drop(b.ID)
		if err := s.Delete(b); err != nil {
			return err
		}
	}
	c, err := s.Scratch()
	if err != nil {
		return err
	}
	defer c.Discard()
	if _, err := io.Copy(c, bytes.NewReader(text(4, 1<<20+1000))); err != nil {
		return err
	}
	done, err := s.Compact(t.Context(), d.move)
	if err != nil {
		return err
	}
	if done.Moved != 2 || done.Segments != 1 {
		t.Errorf("a whole life compacts %+v, want 2 moves out of 1 segment", done)
	}
	return s.Close()
}

func (d *table) drop(id string) { d.mu.Lock(); delete(d.rows, id); d.mu.Unlock() }

// check holds a spool to its rows after a crash: all there, nothing else there.
func check(t *testing.T, disk *faultdisk.Disk, cfg spool.Config, d *table) {
	t.Helper()
	cfg.FS = disk.FS()
	s := open(t, cfg)
	rep, err := s.Recover(t.Context(), rows(d.all()...))
	if err != nil || rep.Live != len(d.rows) || rep.Lost+rep.Damaged != 0 {
		t.Fatalf("report %+v %v, rows %d", rep, err, len(d.rows))
	}
	segments := map[string]bool{}
	for _, b := range d.rows {
		mustGet(t, s, b, text(byte(b.Size>>10), int(b.Size)))
		segments[b.Place[:20]] = true
	}
	if f := disk.Files(); len(f) != len(segments) {
		t.Fatalf("%d files for %d places: %v", len(f), len(segments), f)
	}
	for _, b := range d.all() {
		d.drop(b.ID)
		if err := s.Delete(b); err != nil {
			t.Fatal(err)
		}
	}
	if f := disk.Files(); len(f) != 0 {
		t.Fatalf("left when every row is gone: %v", f)
	}
	s.Close()
}

// The power goes at every single operation of a life, and once more at every third operation of the
// recovery after it; what the disk keeps of unsynced data is random each time.
func TestPowerCutAtEveryOperation(t *testing.T) {
	cfg := spool.Config{Keys: newRing(t), Segment: 600 << 10}
	run := func(disk *faultdisk.Disk, d *table, at int64) int64 {
		var ops atomic.Int64
		disk.Hook(func(faultdisk.Op, string) faultdisk.Fault {
			if ops.Add(1) == at {
				disk.PowerOff()
			}
			return faultdisk.Fault{}
		})
		c := cfg
		c.FS, c.Reserve = disk.FS(), -1
		s, err := spool.Open(c)
		if err == nil {
			err = life(t, s, d)
			s.Close()
		}
		if at == 0 && err != nil {
			t.Fatal(err)
		}
		if at > 0 && err != nil && !errors.Is(err, faultdisk.ErrPower) {
			t.Fatalf("power cut at %d: %v", at, err)
		}
		return ops.Load()
	}
	d := &table{rows: map[string]spool.Blob{}}
	total := run(faultdisk.New(0), d, 0)
	if total < 50 || len(d.rows) != 3 {
		t.Fatalf("a life of %d operations leaves %d rows", total, len(d.rows))
	}
	for at := int64(1); at <= total; at++ {
		for seed := range uint64(3) {
			disk, d := faultdisk.New(seed<<32|uint64(at)), &table{rows: map[string]spool.Blob{}}
			run(disk, d, at)
			disk.Crash()
			if seed == 2 { // and again, in a second life on what is left
				run(disk, d, at/2+1)
				disk.Crash()
			}
			check(t, disk, cfg, d)
		}
	}
}

func TestPowerCutUnderManyWriters(t *testing.T) {
	ring := newRing(t)
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			disk, d := faultdisk.New(seed), &table{rows: map[string]spool.Blob{}}
			cfg := spool.Config{Keys: ring, Segment: 400 << 10}
			c := cfg
			c.FS = disk.FS()
			s := open(t, c)
			var ops atomic.Int64
			disk.Hook(func(faultdisk.Op, string) faultdisk.Fault {
				if ops.Add(1) == int64(20+seed*7) {
					disk.PowerOff()
				}
				return faultdisk.Fault{}
			})
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for i := range 20 {
						n := (1 + (g*20+i)*7%250) << 10
						if i == 10 {
							n = 300 << 10
						}
						b, err := s.Put(t.Context(), org, bytes.NewReader(text(byte(n>>10), n)))
						if err != nil {
							return
						}
						d.add(b)
						if i%3 == 0 {
							d.drop(b.ID)
							s.Delete(b)
						}
					}
				})
			}
			wg.Wait()
			s.Close()
			disk.Crash()
			check(t, disk, cfg, d)
		})
	}
}
