package gateway_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/gateway/store"

	_ "modernc.org/sqlite"
)

// sick is a database that fails on demand.
type sick struct{ before, after atomic.Int64 } // percent of transactions that fail, undone or on disk all the same

var errSick = errors.New("database or disk is full (13)")

func (s *sick) fault(committed bool) error {
	percent := &s.before
	if committed {
		percent = &s.after
	}
	if rand.Int64N(100) < percent.Load() {
		return errSick
	}
	return nil
}

// onSick restarts a site over a database that can fail.
func (w *world) onSick(s *lab.Site) *sick {
	w.Helper()
	w.ok(s.Stop())
	d := &sick{}
	s.Fault = d.fault
	w.ok(s.Start(w.ctx))
	return d
}

// TestNo250WithoutTheDatabase: while it cannot commit nothing is accepted; then service resumes by itself.
func TestNo250WithoutTheDatabase(t *testing.T) {
	w := newWorld(t, "")
	d := w.onSick(w.hospital)
	d.before.Store(100)
	for range 3 {
		if id, err := w.hospital.Send(w.ctx, w.note(w.dr, w.intake), w.dr, w.intake); err == nil {
			t.Errorf("%s was accepted by a database that cannot commit", id)
		}
	}
	d.before.Store(0)
	if list, err := w.hospital.Store.Messages(w.ctx, store.Query{}); err != nil || len(list) != 0 {
		t.Errorf("%d messages of those refused are there, %v", len(list), err)
	}
	w.reach(w.hospital, w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake), w.intake, track.StateDone)
	w.items(w.clinic, "intake", 1)
}

// TestASickDatabaseLosesAndDoublesNothing: on both sides transactions fail at random, undone or written
// with the error said all the same.
func TestASickDatabaseLosesAndDoublesNothing(t *testing.T) {
	for name, rate := range map[string][2]int64{"undone": {25, 0}, "written, and an error said": {0, 25}, "both": {15, 15}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			dbs := []*sick{w.onSick(w.hospital), w.onSick(w.clinic)}
			for _, d := range dbs {
				d.before.Store(rate[0])
				d.after.Store(rate[1])
			}
			accepted := 0
			var ids []message.ID
			for range 10 {
				id, err := w.hospital.Send(w.ctx, w.referral(w.dr, w.intake), w.dr, w.intake)
				if err == nil {
					accepted++
					ids = append(ids, id)
				}
			}
			time.Sleep(300 * time.Millisecond) // some of the work meets the fault
			for _, d := range dbs {
				d.before.Store(0)
				d.after.Store(0)
			}
			rows, err := w.hospital.Store.Messages(w.ctx, store.Query{Direction: store.Out, Limit: 100})
			w.ok(err)
			for range 5 { // attempts that failed come again
				w.quiet()
				w.ok(w.Advance(w.ctx, 2*time.Minute))
			}
			for _, id := range ids {
				w.reach(w.hospital, id, w.intake, track.StateDelivered)
			}
			if len(rows) < accepted {
				t.Errorf("%d were accepted, %d are there", accepted, len(rows))
			}
			// Each row is in the inbox once: an error said of a row that is on disk may be a letter more, never one twice.
			w.items(w.clinic, "intake", len(rows))
			w.items(w.hospital, "dr", 0)
		})
	}
}

// TestALockedDatabase: another process holds the database's lock for longer than a writer waits for it.
func TestALockedDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("waits out the lock")
	}
	w := newWorld(t, "")
	release := w.lockedElsewhere(w.clinic.Config.Database())
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	began := time.Now()
	if err := w.clinic.Deliver(w.ctx, w.dr.String(), []byte(w.note(w.dr, w.intake)), w.intake.String()); code(err)/100 != 4 {
		t.Errorf("while the database is locked: %v, want 4xx", err)
	}
	if time.Since(began) < 4*time.Second {
		t.Errorf("refused after %s: the lock was not met", time.Since(began))
	}
	release()
	w.ok(w.Advance(w.ctx, 2*time.Minute))
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	w.items(w.clinic, "intake", 1)
}

// lockFile names, for a process made by lockedElsewhere, the database that it is to lock.
const lockFile = "POSTERN_TEST_LOCK"

// lockedElsewhere starts another process of this test that takes the write lock of a database. release ends it.
func (w *world) lockedElsewhere(path string) (release func()) {
	w.Helper()
	child := exec.CommandContext(w.ctx, os.Args[0], "-test.run", "^TestHoldsALock$", "-test.v")
	child.Env = append(os.Environ(), lockFile+"="+path)
	in, err := child.StdinPipe()
	w.ok(err)
	out, err := child.StdoutPipe()
	w.ok(err)
	w.ok(child.Start())
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			w.Fatalf("the other process does not take the lock: %v", child.Wait())
		}
		if lines.Text() == "locked" {
			break
		}
	}
	return sync.OnceFunc(func() {
		w.ok(in.Close())
		_, err := io.Copy(io.Discard, out)
		w.ok(errors.Join(err, child.Wait()))
	})
}

// TestHoldsALock is the other process of lockedElsewhere; by itself it takes and gives back the lock of a database of
// its own.
func TestHoldsALock(t *testing.T) {
	path := os.Getenv(lockFile)
	if path == "" {
		path = filepath.Join(t.TempDir(), "d.db")
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("locked")
	if os.Getenv(lockFile) != "" {
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	if err := errors.Join(err, tx.Rollback()); err != nil {
		t.Fatal(err)
	}
}

// TestTheClockIsSet: what is under way is neither lost nor doubled, and waits no longer than before.
func TestTheClockIsSet(t *testing.T) {
	for name, by := range map[string]time.Duration{"back by a day": -24 * time.Hour, "forward by half an hour": 30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			for _, s := range w.Sites {
				w.ok(s.Stop())
			}
			w.Clock.Set(48 * time.Hour) // certificates are older than the step
			for _, s := range w.Sites {
				w.ok(s.Start(w.ctx))
			}
			w.mode(w.clinic, "pause")
			w.mode(w.hospital, "pause")
			ids := []message.ID{}
			for range 5 {
				ids = append(ids, w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake))
			}
			w.Clock.Set(by)
			w.mode(w.hospital, "resume")
			w.mode(w.clinic, "resume")
			for _, id := range ids {
				w.reach(w.hospital, id, w.intake, track.StateDelivered)
			}
			w.items(w.clinic, "intake", 5)
			w.items(w.hospital, "dr", 0)
		})
	}
}
