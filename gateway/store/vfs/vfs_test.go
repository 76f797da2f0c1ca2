package vfs_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"postern/gateway/store/vfs"

	_ "modernc.org/sqlite"
)

// openDB opens a database of one connection over a layer with that hook.
func openDB(t *testing.T, path string, hook vfs.Hook) *sql.DB {
	t.Helper()
	l, err := vfs.Register(hook)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?vfs="+l.Name+"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// What fails below is told above, is undone, and the database goes on when the disk does.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		op    vfs.Op
		fault vfs.Fault
		words string
	}{
		{"no space", vfs.Write, vfs.Fault{Err: syscall.ENOSPC}, "full"},
		{"write error", vfs.Write, vfs.Fault{Err: syscall.EIO}, "I/O"},
		{"short write", vfs.Write, vfs.Fault{Err: syscall.EIO, Short: 100}, "I/O"},
		{"short write, then no space", vfs.Write, vfs.Fault{Err: syscall.ENOSPC, Short: 2000}, "full"},
		{"sync error", vfs.Sync, vfs.Fault{Err: syscall.EIO}, "I/O"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sick atomic.Bool
			var met atomic.Int64
			path := filepath.Join(t.TempDir(), "d.db")
			db := openDB(t, path, func(op vfs.Op, at string) vfs.Fault {
				if !sick.Load() || op != c.op || !strings.HasPrefix(at, path) || strings.HasSuffix(at, "-shm") {
					return vfs.Fault{}
				}
				met.Add(1)
				return c.fault
			})
			for _, q := range []string{"CREATE TABLE a (x TEXT)", "INSERT INTO a VALUES ('before')"} {
				if _, err := db.Exec(q); err != nil {
					t.Fatal(err)
				}
			}
			sick.Store(true)
			if _, err := db.Exec("INSERT INTO a VALUES ('during')"); err == nil || !strings.Contains(err.Error(), c.words) || met.Load() == 0 {
				t.Errorf("a commit on a failing disk: %v, want words with %q; the fault was met %d times", err, c.words, met.Load())
			}
			sick.Store(false)
			if _, err := db.Exec("INSERT INTO a VALUES ('after')"); err != nil {
				t.Fatal(err)
			}
			var all string
			if err := db.QueryRow("SELECT group_concat(x) FROM a").Scan(&all); err != nil || all != "before,after" {
				t.Errorf("the table holds %q, %v", all, err)
			}
			// And so it is for whoever opens the files next.
			if err := openDB(t, path, nil).QueryRow("SELECT group_concat(x) FROM a").Scan(&all); err != nil || all != "before,after" {
				t.Errorf("opened again it holds %q, %v", all, err)
			}
		})
	}
}

// Every commit is synced, log and name.
func TestCommitsAreSynced(t *testing.T) {
	var syncs atomic.Int64
	db := openDB(t, filepath.Join(t.TempDir(), "d.db"), func(op vfs.Op, at string) vfs.Fault {
		if op == vfs.Sync && strings.HasSuffix(at, "-wal") {
			syncs.Add(1)
		}
		return vfs.Fault{}
	})
	if _, err := db.Exec("CREATE TABLE a (x TEXT)"); err != nil {
		t.Fatal(err)
	}
	before := syncs.Load()
	for range 10 {
		if _, err := db.Exec("INSERT INTO a VALUES ('x')"); err != nil {
			t.Fatal(err)
		}
	}
	if n := syncs.Load() - before; n < 10 {
		t.Errorf("10 commits, %d syncs of the log", n)
	}
}
