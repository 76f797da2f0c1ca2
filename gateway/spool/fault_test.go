package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"postern/gateway/lab/faultdisk"
	"postern/gateway/spool"
)

// once fails the first operation of that kind on a name with that prefix that is not among those to skip.
func once(op faultdisk.Op, prefix string, f faultdisk.Fault, skip map[string]int64) func(faultdisk.Op, string) faultdisk.Fault {
	var mu sync.Mutex
	left := 1
	return func(o faultdisk.Op, name string) faultdisk.Fault {
		mu.Lock()
		defer mu.Unlock()
		if _, known := skip[name]; !known && o == op && strings.HasPrefix(name, prefix) && left > 0 {
			left--
			return f
		}
		return faultdisk.Fault{}
	}
}

// Whatever fails, and however: Commit says so, what was kept before stays, nothing half kept is
// left, and the next Commit succeeds without help. A power cut afterwards changes none of it.
func TestFaultsFailTheCommitAndNothingElse(t *testing.T) {
	const small, large = 30 << 10, 600 << 10
	const first, later = "the first segment", "a spare becomes the next"
	cases := []struct {
		name   string
		op     faultdisk.Op
		prefix string
		fault  faultdisk.Fault
		size   int
		want   error
		only   string
	}{
		{"disk full writing a record", faultdisk.Write, "log/", faultdisk.Fault{Err: syscall.ENOSPC}, small, spool.ErrNoSpace, ""},
		{"quota used up writing a record", faultdisk.Write, "log/", faultdisk.Fault{Err: syscall.EDQUOT}, small, spool.ErrNoSpace, ""},
		{"half a record written, then full", faultdisk.Write, "log/", faultdisk.Fault{Err: syscall.ENOSPC, Part: 15000}, small, spool.ErrNoSpace, ""},
		{"I/O error writing a record", faultdisk.Write, "log/", faultdisk.Fault{Err: syscall.EIO}, small, syscall.EIO, ""},
		{"short write of a record", faultdisk.Write, "log/", faultdisk.Fault{Err: io.ErrShortWrite, Part: 41}, small, io.ErrShortWrite, ""},
		{"sync of the log fails", faultdisk.Sync, "log/", faultdisk.Fault{Err: syscall.EIO}, small, syscall.EIO, ""},
		{"disk full at the sync", faultdisk.Sync, "log/", faultdisk.Fault{Err: syscall.ENOSPC}, small, spool.ErrNoSpace, ""},
		{"no new segment", faultdisk.Create, "log/", faultdisk.Fault{Err: syscall.ENOSPC}, small, spool.ErrNoSpace, first},
		{"no room for a segment", faultdisk.Reserve, "log/", faultdisk.Fault{Err: syscall.ENOSPC}, small, spool.ErrNoSpace, first},
		{"spare cannot become a segment", faultdisk.Rename, "log/", faultdisk.Fault{Err: syscall.EIO}, small, syscall.EIO, later},
		{"segment's name is not durable", faultdisk.SyncDir, "log", faultdisk.Fault{Err: syscall.EIO}, small, syscall.EIO, ""},
		{"no new file", faultdisk.Create, "tmp/b-", faultdisk.Fault{Err: syscall.EIO}, large, syscall.EIO, ""},
		{"disk full in a file", faultdisk.Write, "tmp/b-", faultdisk.Fault{Err: syscall.ENOSPC, Part: 100}, large, spool.ErrNoSpace, ""},
		{"short write in a file", faultdisk.Write, "tmp/b-", faultdisk.Fault{Err: io.ErrShortWrite, Part: 7}, large, io.ErrShortWrite, ""},
		{"sync of a file fails", faultdisk.Sync, "tmp/b-", faultdisk.Fault{Err: syscall.EIO}, large, syscall.EIO, ""},
		{"file cannot be named", faultdisk.Rename, "blob/", faultdisk.Fault{Err: syscall.ENOSPC}, large, spool.ErrNoSpace, ""},
		{"file's name is not durable", faultdisk.SyncDir, "blob/", faultdisk.Fault{Err: syscall.EIO}, large, syscall.EIO, ""},
	}
	for i, c := range cases {
		for _, when := range []string{first, later} {
			if c.only != "" && c.only != when {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", c.name, when), func(t *testing.T) {
				d, ring := faultdisk.New(uint64(i)), newRing(t)
				cfg := spool.Config{FS: d.FS(), Keys: ring, Segment: 300 << 10}
				s := open(t, cfg)
				var kept []spool.Blob
				if when == later { // fill the first segment, so that the next small blob needs another
					for range 9 {
						kept = append(kept, put(t, s, text(1, small)))
					}
					spool.WaitSpare(s)
				}
				d.Hook(once(c.op, c.prefix, c.fault, d.Files()))
				_, err := s.Put(t.Context(), org, bytes.NewReader(text(2, c.size)))
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
				for range 3 {
					kept = append(kept, put(t, s, text(1, small)))
				}
				for _, b := range kept {
					mustGet(t, s, b, text(1, small))
				}
				d.Crash()
				cfg.FS = d.FS()
				s = open(t, cfg)
				rep, err := s.Recover(t.Context(), rows(kept...))
				if err != nil || rep.Live != len(kept) || rep.Lost+rep.Damaged != 0 {
					t.Fatalf("report %+v %v", rep, err)
				}
				for _, b := range kept {
					mustGet(t, s, b, text(1, small))
				}
				for name := range d.Files() {
					if !strings.HasPrefix(name, "log/") && !strings.HasPrefix(name, "tmp/spare-") {
						t.Errorf("left: %s", name)
					}
				}
			})
		}
	}
}

func TestASegmentWhoseSyncFailedIsNeverWrittenNorSyncedAgain(t *testing.T) {
	d := faultdisk.New(1)
	s := open(t, spool.Config{FS: d.FS(), Keys: newRing(t)})
	put(t, s, text(1, 1000))
	var mu sync.Mutex
	poisoned, touched := "", 0
	d.Hook(func(op faultdisk.Op, name string) faultdisk.Fault {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case op == faultdisk.Sync && poisoned == "":
			poisoned = name
			return faultdisk.Fault{Err: syscall.EIO}
		case (op == faultdisk.Sync || op == faultdisk.Write) && name == poisoned:
			touched++
		}
		return faultdisk.Fault{}
	})
	if _, err := s.Put(t.Context(), org, bytes.NewReader(text(2, 1000))); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	put(t, s, text(3, 1000))
	if poisoned == "" || touched != 0 {
		t.Errorf("segment %q was touched %d times after its failed sync", poisoned, touched)
	}
}

func TestEveryWriterOfAFailedBatchIsTold(t *testing.T) {
	d := faultdisk.New(1)
	s := open(t, spool.Config{FS: d.FS(), Keys: newRing(t)})
	hold, entered := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	syncs := 0
	d.Hook(func(op faultdisk.Op, name string) faultdisk.Fault {
		mu.Lock()
		defer mu.Unlock()
		if op != faultdisk.Sync {
			return faultdisk.Fault{}
		}
		syncs++
		switch syncs {
		case 1: // the first batch waits, so that the others form one
			close(entered)
			return faultdisk.Fault{Wait: hold}
		case 2:
			return faultdisk.Fault{Err: syscall.EIO}
		}
		return faultdisk.Fault{}
	})
	results := make(chan error, 9)
	commit := func() {
		_, err := s.Put(context.Background(), org, bytes.NewReader(text(1, 1000)))
		results <- err
	}
	go commit()
	<-entered
	for range 8 {
		go commit()
	}
	spool.WaitQueued(s, 8)
	close(hold)
	ok, failed := 0, 0
	for range 9 {
		switch err := <-results; {
		case err == nil:
			ok++
		case errors.Is(err, syscall.EIO):
			failed++
		default:
			t.Error(err)
		}
	}
	if ok != 1 || failed != 8 || syncs != 2 {
		t.Errorf("%d kept, %d failed, %d syncs; want 1, 8, 2", ok, failed, syncs)
	}
	if rep := reopen(t, d, s); rep.Live != 0 {
		t.Errorf("report %+v", rep)
	}
}

// reopen closes the spool and recovers it without rows: everything must go.
func reopen(t *testing.T, d *faultdisk.Disk, s *spool.Store) spool.Report {
	t.Helper()
	d.Hook(nil)
	s.Close()
	again := open(t, spool.Config{FS: d.FS(), Keys: newRing(t)})
	rep, err := again.Recover(t.Context(), rows())
	if err != nil {
		t.Fatal(err)
	}
	if f := d.Files(); len(f) != 0 {
		t.Errorf("left: %v", f)
	}
	return rep
}

func TestSlowDisk(t *testing.T) {
	d := faultdisk.New(1)
	s := open(t, spool.Config{FS: d.FS(), Keys: newRing(t)})
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	d.Hook(func(op faultdisk.Op, name string) faultdisk.Fault {
		if op != faultdisk.Sync {
			return faultdisk.Fault{}
		}
		entered <- struct{}{}
		return faultdisk.Fault{Wait: hold}
	})
	ctx, cancel := context.WithCancel(t.Context())
	impatient, patient := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Put(ctx, org, bytes.NewReader(text(1, 1000)))
		impatient <- err
	}()
	<-entered // its record is written and being synced
	go func() {
		_, err := s.Put(t.Context(), org, bytes.NewReader(text(2, 1000)))
		patient <- err
	}()
	spool.WaitQueued(s, 1)
	select {
	case err := <-impatient:
		t.Fatalf("committed before the sync: %v", err)
	case err := <-patient:
		t.Fatalf("committed before the sync: %v", err)
	default:
	}
	cancel()
	if err := <-impatient; !errors.Is(err, context.Canceled) {
		t.Fatalf("a writer that gave up: %v", err)
	}
	close(hold)
	if err := <-patient; err != nil {
		t.Fatalf("a writer that waited: %v", err)
	}
	d.Hook(nil)
	if live := spool.LiveRecords(s); live != 1 {
		t.Errorf("%d records live, want only that of the writer that waited", live)
	}
}

func TestADiskThatHangsFillsNoMemory(t *testing.T) {
	d := faultdisk.New(1)
	s := open(t, spool.Config{FS: d.FS(), Keys: newRing(t)})
	hold := make(chan struct{})
	d.Hook(func(op faultdisk.Op, _ string) faultdisk.Fault {
		if op == faultdisk.Sync {
			return faultdisk.Fault{Wait: hold}
		}
		return faultdisk.Fault{}
	})
	const size = 250 << 10
	n := spool.MaxWaiting/size + 20
	results := make(chan error, n)
	for range n {
		go func() {
			_, err := s.Put(context.Background(), org, bytes.NewReader(text(1, size)))
			results <- err
		}()
	}
	if err := <-results; !errors.Is(err, spool.ErrBusy) { // the only ones that can end while the disk hangs
		t.Fatalf("got %v", err)
	}
	close(hold)
	ok := 0
	for range n - 1 {
		switch err := <-results; {
		case err == nil:
			ok++
		case !errors.Is(err, spool.ErrBusy):
			t.Error(err)
		}
	}
	if ok < spool.MaxWaiting/size-20 {
		t.Errorf("only %d of %d were kept", ok, n)
	}
	d.Hook(nil)
	put(t, s, text(1, 100))
}

// On a nearly full disk nothing new is taken, and what was accepted is finished, down to a quarter of the
// reserve.
func TestSpaceGuard(t *testing.T) {
	d := faultdisk.New(1)
	const reserve = 400 << 20
	s := open(t, spool.Config{FS: d.FS(), Keys: newRing(t), Reserve: reserve})
	kept, large := put(t, s, text(1, 1000)), put(t, s, text(3, 300<<10))
	long, err := s.Create(org)
	if err != nil {
		t.Fatal(err)
	}
	defer long.Abort()
	work := func() error {
		w, err := s.Continue(org)
		if err != nil {
			return err
		}
		defer w.Abort()
		if _, err := io.Copy(w, bytes.NewReader(text(1, 20<<20))); err != nil {
			return err
		}
		b, err := w.Commit(t.Context())
		if err != nil {
			return err
		}
		return s.Delete(b)
	}
	scratch := func() error {
		c, err := s.Scratch()
		if err != nil {
			return err
		}
		defer c.Discard()
		if _, err := io.Copy(c, bytes.NewReader(text(1, 2<<20))); err != nil {
			return err
		}
		b, err := c.Keep(t.Context(), org, 0, 1<<20)
		if err != nil {
			return err
		}
		return s.Delete(b)
	}

	d.SetFree(reserve - 1)
	if _, err := s.Create(org); !errors.Is(err, spool.ErrNoSpace) {
		t.Errorf("create: %v", err)
	}
	if _, err := io.Copy(long, bytes.NewReader(text(1, 20<<20))); !errors.Is(err, spool.ErrNoSpace) {
		t.Errorf("a long writer begun before: %v", err)
	}
	if _, err := long.Commit(t.Context()); !errors.Is(err, spool.ErrNoSpace) {
		t.Errorf("its commit: %v", err)
	}
	if err := errors.Join(work(), scratch()); err != nil {
		t.Errorf("accepted work: %v", err)
	}
	d.SetFree(reserve/4 - 1)
	if err := work(); !errors.Is(err, spool.ErrNoSpace) {
		t.Errorf("accepted work below a quarter: %v", err)
	}
	if err := scratch(); !errors.Is(err, spool.ErrNoSpace) {
		t.Errorf("scratch below a quarter: %v", err)
	}
	mustGet(t, s, kept, text(1, 1000)) // reading and deleting go on
	if err := s.Delete(large); err != nil {
		t.Error(err)
	}
	for name := range d.Files() {
		if !strings.HasPrefix(name, "log/") {
			t.Errorf("left: %s", name)
		}
	}
	d.SetFree(1 << 40)
	put(t, s, text(2, 300<<10))
}

func TestCompactUnderFaultsLosesNothingAndGoesOn(t *testing.T) {
	cases := []struct {
		name  string
		op    faultdisk.Op
		where string
		fault faultdisk.Fault
		want  error
	}{
		{"no new file", faultdisk.Create, "tmp/b-", faultdisk.Fault{Err: syscall.EIO}, syscall.EIO},
		{"disk full", faultdisk.Write, "tmp/b-", faultdisk.Fault{Err: syscall.ENOSPC, Part: 5000}, spool.ErrNoSpace},
		{"short write", faultdisk.Write, "tmp/b-", faultdisk.Fault{Err: io.ErrShortWrite, Part: 1}, io.ErrShortWrite},
		{"sync fails", faultdisk.Sync, "tmp/b-", faultdisk.Fault{Err: syscall.EIO}, syscall.EIO},
		{"cannot be named", faultdisk.Rename, "blob/", faultdisk.Fault{Err: syscall.EIO}, syscall.EIO},
		{"name is not durable", faultdisk.SyncDir, "blob/", faultdisk.Fault{Err: syscall.EIO}, syscall.EIO},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d, ring := faultdisk.New(uint64(i)), newRing(t)
			s, rowsOf, old := sparse(t, "", spool.Config{FS: d.FS(), Keys: ring})
			d.Hook(once(c.op, c.where, c.fault, nil))
			if _, err := s.Compact(t.Context(), rowsOf.move); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			for name := range d.Files() {
				if strings.HasPrefix(name, "tmp/b-") || strings.HasPrefix(name, "blob/") {
					t.Errorf("left: %s", name)
				}
			}
			done, err := s.Compact(t.Context(), rowsOf.move)
			if err != nil || done.Moved < 3 {
				t.Fatalf("the next run: %+v %v", done, err)
			}
			d.Crash()
			s = open(t, spool.Config{FS: d.FS(), Keys: ring, Segment: 1 << 20})
			rep, err := s.Recover(t.Context(), rows(rowsOf.all()...))
			if err != nil || rep.Live != len(old) || rep.Lost+rep.Damaged != 0 {
				t.Fatalf("report %+v %v", rep, err)
			}
			for i, b := range old {
				mustGet(t, s, rowsOf.rows[b.ID], text(byte(5*i+2), 200<<10))
			}
		})
	}
}

func TestCompactLeavesADamagedRecordWhereItIs(t *testing.T) {
	d := faultdisk.New(1)
	s, rowsOf, old := sparse(t, "", spool.Config{FS: d.FS(), Keys: newRing(t)})
	for i, at := range []int64{8, 60} { // a header, a payload
		segment, offset, _ := strings.Cut(strings.TrimPrefix(old[i].Place, "log/"), "/")
		off, err := strconv.ParseInt(offset, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		f, err := d.FS().Edit("log/" + segment)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt([]byte{0xff, 0xfe}, off+at)
	}
	done, err := s.Compact(t.Context(), rowsOf.move)
	if err != nil || done.Damaged != 2 || done.Moved < 1 {
		t.Fatalf("compacted %+v %v", done, err)
	}
	for _, b := range old[:2] {
		if rowsOf.rows[b.ID].Place != b.Place {
			t.Errorf("a damaged record was moved to %s", rowsOf.rows[b.ID].Place)
		}
		if err := s.Verify(t.Context(), b); !errors.Is(err, spool.ErrDamaged) {
			t.Errorf("verify: %v", err)
		}
	}
}

func TestScratchUnderFaults(t *testing.T) {
	d := faultdisk.New(1)
	s := open(t, spool.Config{FS: d.FS(), Keys: newRing(t)})
	for _, c := range []struct {
		op   faultdisk.Op
		err  error
		want error
	}{
		{faultdisk.Create, syscall.EMFILE, syscall.EMFILE},
		{faultdisk.Write, syscall.ENOSPC, spool.ErrNoSpace},
		{faultdisk.Write, io.ErrShortWrite, io.ErrShortWrite},
	} {
		sc, err := s.Scratch()
		if err != nil {
			t.Fatal(err)
		}
		d.Hook(once(c.op, "tmp/sb-", faultdisk.Fault{Err: c.err, Part: 9}, nil))
		if _, err := sc.Write(text(1, 3<<20)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.op, err, c.want)
		}
		if _, err := sc.ReadAt(make([]byte, 10), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: half a scratch was read: %v", c.op, err)
		}
		if err := sc.Discard(); err != nil {
			t.Error(err)
		}
	}
	// A system that cannot take the name of an open file away: Discard does.
	d.Hook(once(faultdisk.Remove, "tmp/sb-", faultdisk.Fault{Err: syscall.EACCES}, nil))
	sc, err := s.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sc.Write(text(1, 3<<20)); err != nil {
		t.Fatal(err)
	}
	if n := len(d.Files()); n != 1 {
		t.Fatalf("files %v", d.Files())
	}
	for name := range d.Files() {
		f, err := d.FS().Edit(name)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt([]byte("altered"), 100)
	}
	if _, err := sc.ReadAt(make([]byte, 10), 0); !errors.Is(err, spool.ErrDamaged) {
		t.Errorf("altered on disk: %v", err)
	}
	if err := sc.Discard(); err != nil || len(d.Files()) != 0 {
		t.Errorf("after Discard: %v %v", d.Files(), err)
	}
}
