package faultdisk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"postern/gateway/lab/faultdisk"
	"postern/gateway/spool/disk"
)

func create(t *testing.T, f disk.FS, name string) disk.File {
	t.Helper()
	h, err := f.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func write(t *testing.T, h disk.File, b []byte, off int64) {
	t.Helper()
	if _, err := h.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func read(f disk.FS, name string) []byte {
	h, err := f.Open(name)
	if err != nil {
		return nil
	}
	n, _ := h.Size()
	b := make([]byte, n)
	h.ReadAt(b, 0)
	return b
}

func TestWhatWasSyncedSurvivesAndTheRestMayNot(t *testing.T) {
	var kept, dropped, mixed, named, unnamed int
	for seed := range uint64(40) {
		d := faultdisk.New(seed)
		f := d.FS()
		h := create(t, f, "a")
		old, young := bytes.Repeat([]byte{1}, 4096), bytes.Repeat([]byte{2}, 4096)
		write(t, h, old, 0)
		if err := errors.Join(h.Sync(), f.SyncDir(".")); err != nil {
			t.Fatal(err)
		}
		write(t, h, young, 0)
		create(t, f, "b")
		d.Crash()
		if _, err := f.Open("a"); !errors.Is(err, faultdisk.ErrPower) {
			t.Fatalf("a view outlives the crash: %v", err)
		}
		f = d.FS()
		b := read(f, "a")
		switch {
		case len(b) != 4096:
			t.Fatalf("%d octets of a synced file", len(b))
		case bytes.Equal(b, old):
			dropped++
		case bytes.Equal(b, young):
			kept++
		default:
			mixed++
		}
		if _, err := f.Size("b"); errors.Is(err, fs.ErrNotExist) {
			unnamed++
		} else {
			named++
		}
	}
	if mixed == 0 || named == 0 || unnamed == 0 {
		t.Errorf("crashes are too kind: kept %d, dropped %d, mixed %d, named %d, unnamed %d", kept, dropped, mixed, named, unnamed)
	}
}

func TestSyncAfterAFailedSyncWritesNothing(t *testing.T) {
	d := faultdisk.New(1)
	f := d.FS()
	h := create(t, f, "a")
	write(t, h, make([]byte, 2048), 0)
	if err := errors.Join(h.Sync(), f.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	write(t, h, bytes.Repeat([]byte{7}, 2048), 0)
	d.Hook(func(op faultdisk.Op, _ string) faultdisk.Fault {
		if op == faultdisk.Sync {
			return faultdisk.Fault{Err: syscall.EIO}
		}
		return faultdisk.Fault{}
	})
	if err := h.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	d.Hook(nil)
	if err := h.Sync(); err != nil {
		t.Fatal(err)
	}
	d.Crash()
	if b := read(d.FS(), "a"); !bytes.Equal(b, make([]byte, 2048)) {
		t.Errorf("octets a failed sync dropped came back: % x…", b[:8])
	}
}

func TestPartOfAWriteAndLock(t *testing.T) {
	d := faultdisk.New(1)
	f := d.FS()
	h := create(t, f, "a")
	d.Hook(func(op faultdisk.Op, _ string) faultdisk.Fault {
		return faultdisk.Fault{Err: syscall.ENOSPC, Part: 3}
	})
	if n, err := h.WriteAt([]byte("hello"), 0); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(n, err)
	}
	if d.Files()["a"] != 3 {
		t.Errorf("files %v", d.Files())
	}
	l, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock(); !errors.Is(err, disk.ErrLocked) {
		t.Error(err)
	}
	l.Close()
	if _, err := f.Lock(); err != nil {
		t.Error(err)
	}
	d.PowerOff()
	if _, err := f.Free(); !errors.Is(err, faultdisk.ErrPower) {
		t.Error(err)
	}
}
