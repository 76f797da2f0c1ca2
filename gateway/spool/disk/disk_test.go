package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"postern/gateway/spool/disk"
)

func open(t *testing.T, dir string) disk.FS {
	t.Helper()
	d, err := disk.OS(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestFilesAreWrittenReadAndRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "opening")
	d := open(t, dir)
	for range 2 {
		if err := d.Mkdir("sub"); err != nil {
			t.Fatal(err)
		}
	}
	f, err := d.Create("sub/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("hello"), 3); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Reserve(1<<16), f.Sync(), d.SyncDir("sub")); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Size(); err != nil || n != 8 {
		t.Fatalf("size %d %v: Reserve must not change it", n, err)
	}
	if err := errors.Join(f.Truncate(5), f.Close()); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "sub", "a"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v %v", st.Mode(), err)
	}
	if _, err := d.Create("sub/a"); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("second Create: %v", err)
	}
	if err := d.Rename("sub/a", "sub/b"); err != nil {
		t.Fatal(err)
	}
	if l, err := d.List("sub"); err != nil || len(l) != 1 || l[0].Name() != "b" {
		t.Fatalf("list %v %v", l, err)
	}
	if n, err := d.Size("sub/b"); err != nil || n != 5 {
		t.Fatalf("size %d %v", n, err)
	}
	if _, err := d.Size("sub"); err == nil {
		t.Fatal("a directory has a size")
	}
	if err := d.Remove("sub/b"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Remove": d.Remove("sub/b"),
		"Open":   second(d.Open("sub/b")),
		"Edit":   second(d.Edit("sub/b")),
		"Size":   second(d.Size("sub/b")),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
	if n, err := d.Free(); err != nil || n <= 0 {
		t.Errorf("free %d %v", n, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestNamesCannotLeaveTheDirectory(t *testing.T) {
	top := t.TempDir()
	if err := os.WriteFile(filepath.Join(top, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(top, "d")
	d := open(t, dir)
	if err := os.Symlink(filepath.Join(top, "secret"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret", "link", "/etc/passwd"} {
		if _, err := d.Open(name); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}

func TestOneProcessHoldsTheLock(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	l, err := a.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Lock(); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("second lock: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := b.Lock()
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	again.Close()
}
