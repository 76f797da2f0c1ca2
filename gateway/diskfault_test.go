package gateway_test

import (
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/gateway/store/vfs"
)

// trouble is what a disk does to one kind of operation.
type trouble struct {
	op    vfs.Op
	fault vfs.Fault
	wait  time.Duration
}

// badDisk is what the files of a database lie on: it is in trouble some of the time.
type badDisk struct {
	trouble
	percent atomic.Int64 // of the operations
	met     atomic.Int64
}

func (d *badDisk) hook(op vfs.Op, path string) vfs.Fault {
	if op != d.op || strings.HasSuffix(path, "-shm") || rand.Int64N(100) >= d.percent.Load() {
		return vfs.Fault{}
	}
	d.met.Add(1)
	if d.wait > 0 {
		time.Sleep(d.wait) // what a slow disk does
	}
	return d.fault
}

// onBadDisk restarts a site with its database on a disk that will fail.
func (w *world) onBadDisk(s *lab.Site, of trouble) *badDisk {
	w.Helper()
	w.ok(s.Stop())
	d := &badDisk{trouble: of}
	s.Files = d.hook
	w.ok(s.Start(w.ctx))
	return d
}

// TestABadDiskBelowTheDatabase: below SQLite, in its files, the disks of both gateways fail. Nothing is answered 250
// that is not on disk, nothing is lost, nothing comes twice, and service goes on by itself when the disk does.
func TestABadDiskBelowTheDatabase(t *testing.T) {
	for _, c := range []struct {
		name string
		disk trouble
		most int64 // percent of operations while mail is submitted; before that all of them fail
	}{
		{"no space", trouble{op: vfs.Write, fault: vfs.Fault{Err: syscall.ENOSPC}}, 3},
		{"quota", trouble{op: vfs.Write, fault: vfs.Fault{Err: syscall.EDQUOT, Short: 512}}, 3},
		{"write error", trouble{op: vfs.Write, fault: vfs.Fault{Err: syscall.EIO}}, 3},
		{"short write", trouble{op: vfs.Write, fault: vfs.Fault{Err: syscall.EIO, Short: 1000}}, 3},
		{"sync error", trouble{op: vfs.Sync, fault: vfs.Fault{Err: syscall.EIO}}, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "")
			disks := []*badDisk{w.onBadDisk(w.hospital, c.disk), w.onBadDisk(w.clinic, c.disk)}
			set := func(percent int64) {
				for _, d := range disks {
					d.percent.Store(percent)
				}
			}
			set(100)
			for range 3 {
				if id, err := w.hospital.Send(w.ctx, w.note(w.dr, w.intake), w.dr, w.intake); err == nil {
					t.Errorf("%s was accepted by a database that cannot write", id)
				}
				if err := w.clinic.Deliver(w.ctx, w.dr.String(), []byte(w.note(w.dr, w.intake)), w.intake.String()); code(err)/100 != 4 {
					t.Errorf("the clinic answered %v, want 4xx", err)
				}
			}
			for _, s := range w.Sites {
				if why := s.NotReady(w.ctx); len(why) == 0 {
					t.Errorf("%s says it is ready", s.Name)
				}
			}
			set(c.most)
			var ids []message.ID
			for range 10 {
				if id, err := w.hospital.Send(w.ctx, w.referral(w.dr, w.intake), w.dr, w.intake); err == nil {
					ids = append(ids, id)
				}
			}
			time.Sleep(200 * time.Millisecond) // some of the work meets the fault
			set(0)
			rows, err := w.hospital.Store.Messages(w.ctx, store.Query{Direction: store.Out, Limit: 100})
			w.ok(err)
			if len(rows) != len(ids) {
				t.Errorf("%d were accepted, %d are there", len(ids), len(rows))
			}
			for range 5 { // attempts that failed come again
				w.quiet()
				w.ok(w.Advance(w.ctx, 2*time.Minute))
			}
			for _, id := range ids {
				w.reach(w.hospital, id, w.intake, track.StateDelivered)
			}
			w.items(w.clinic, "intake", len(ids))
			w.items(w.hospital, "dr", 0)
			if disks[0].met.Load() == 0 || disks[1].met.Load() == 0 {
				t.Errorf("the faults were met %d and %d times", disks[0].met.Load(), disks[1].met.Load())
			}
			for _, s := range w.Sites {
				if why := s.NotReady(w.ctx); len(why) > 0 {
					t.Errorf("%s is not ready again: %q", s.Name, why)
				}
				if _, err := s.Admin().AuditVerify(w.ctx, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestASlowDiskBelowTheDatabase: every sync takes long; mail takes longer, is there once, and nothing is refused.
func TestASlowDiskBelowTheDatabase(t *testing.T) {
	w := newWorld(t, "")
	slow := trouble{op: vfs.Sync, wait: 30 * time.Millisecond}
	for _, s := range w.Sites {
		w.onBadDisk(s, slow).percent.Store(100)
	}
	var ids []message.ID
	for range 5 {
		began := time.Now()
		ids = append(ids, w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake))
		if took := time.Since(began); took < slow.wait {
			t.Errorf("accepted after %s: before the disk had it", took)
		}
	}
	for _, id := range ids {
		w.reach(w.hospital, id, w.intake, track.StateDelivered)
	}
	w.items(w.clinic, "intake", 5)
	w.items(w.hospital, "dr", 0)
}
