package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"
)

func pieces(t *testing.T, files map[string]string) []migration {
	t.Helper()
	m := fstest.MapFS{}
	for name, text := range files {
		m["schema/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	all, err := migrations(m)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func numbers(t *testing.T, db *sql.DB) (n []int) {
	t.Helper()
	rows, err := db.Query("SELECT number FROM migration ORDER BY number")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			t.Fatal(err)
		}
		n = append(n, i)
	}
	return n
}

func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := open(filepath.Join(t.TempDir(), "d.db"), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

const firstPiece = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"

func TestMigrate(t *testing.T) {
	one := map[string]string{"0001_first.sql": firstPiece}
	two := map[string]string{"0001_first.sql": firstPiece, "0002_more.sql": "CREATE TABLE a (x TEXT); CREATE TABLE b (x TEXT)"}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

	t.Run("a new database gets every piece, once", func(t *testing.T) {
		db := database(t)
		for range 2 {
			if err := migrate(db, pieces(t, two), now); err != nil {
				t.Fatal(err)
			}
		}
		if n := numbers(t, db); len(n) != 2 || n[0] != 1 || n[1] != 2 {
			t.Fatalf("applied %v", n)
		}
	})
	t.Run("an older database gets what it lacks and keeps its rows", func(t *testing.T) {
		db := database(t)
		if err := migrate(db, pieces(t, one), now); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("INSERT INTO meta VALUES ('k','kept')"); err != nil {
			t.Fatal(err)
		}
		if err := migrate(db, pieces(t, two), now); err != nil {
			t.Fatal(err)
		}
		var v string
		if err := db.QueryRow("SELECT value FROM meta WHERE key='k'").Scan(&v); err != nil || v != "kept" {
			t.Fatalf("%q %v", v, err)
		}
	})
	t.Run("a database from before numbers were kept", func(t *testing.T) {
		db := database(t)
		if _, err := db.Exec(firstPiece + "; INSERT INTO meta VALUES ('schema','1')"); err != nil {
			t.Fatal(err)
		}
		if err := migrate(db, pieces(t, two), now); err != nil {
			t.Fatal(err)
		}
		if n := numbers(t, db); len(n) != 2 {
			t.Fatalf("applied %v", n)
		}
	})
	t.Run("a newer database is refused and not touched", func(t *testing.T) {
		db := database(t)
		if err := migrate(db, pieces(t, two), now); err != nil {
			t.Fatal(err)
		}
		if err := migrate(db, pieces(t, one), now); !errors.Is(err, ErrVersion) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a piece that fails leaves nothing of any", func(t *testing.T) {
		db := database(t)
		bad := map[string]string{"0001_first.sql": firstPiece, "0002_bad.sql": "CREATE TABLE a (x TEXT); CREATE TABLE a (y TEXT)"}
		if err := migrate(db, pieces(t, bad), now); err == nil {
			t.Fatal("no error")
		}
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM sqlite_schema").Scan(&n); err != nil || n != 0 {
			t.Fatalf("%d objects are left, %v", n, err)
		}
	})
}

func TestOpenRefusesAFileThatIsNoGateways(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path}); !errors.Is(err, ErrVersion) {
		t.Fatalf("got %v", err)
	}
}

func TestShippedSchemaIsWhole(t *testing.T) {
	all, err := migrations(schemaFiles)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "new.db")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := numbers(t, s.read); len(n) != len(all) {
		t.Fatalf("%v applied of %d", n, len(all))
	}
	if _, err := s.Orgs(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestMigrationNames(t *testing.T) {
	for name, file := range map[string]string{"no number": "x_y.sql", "short number": "01_x.sql", "no noun": "0001.sql"} {
		if _, err := migrations(fstest.MapFS{"schema/" + file: &fstest.MapFile{}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	same := fstest.MapFS{"schema/0002_a.sql": &fstest.MapFile{}, "schema/0002_b.sql": &fstest.MapFile{}}
	if _, err := migrations(same); err == nil {
		t.Error("one number twice: accepted")
	}
}
