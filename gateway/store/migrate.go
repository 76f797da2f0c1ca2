package store

import (
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// The schema grows by numbered migrations, schema/NNNN_noun.sql, each applied once and never changed after a
// release. A database is brought forward when it is opened; it is never taken back, so a newer one is refused.
//
//go:embed schema/*.sql
var schemaFiles embed.FS

// migration is one numbered piece of the schema.
type migration struct {
	number int
	name   string // "trust" of 0002_trust.sql
	sql    string
}

// migrations lists the pieces in their order.
func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "schema/*.sql") // sorted, and the numbers have four digits
	if err != nil {
		return nil, fmt.Errorf("store: schema: %w", err)
	}
	var all []migration
	for _, name := range names {
		digits, noun, ok := strings.Cut(strings.TrimSuffix(path.Base(name), ".sql"), "_")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || len(digits) != 4 || len(all) > 0 && all[len(all)-1].number == n {
			return nil, fmt.Errorf("store: schema: %s is not named NNNN_noun.sql with a number of its own", name)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("store: schema: %w", err)
		}
		all = append(all, migration{n, noun, string(text)})
	}
	return all, nil
}

// forward brings an open database to the schema of this program. A file that holds no gateway's database is
// refused: only Create begins one.
func forward(db *sql.DB, now time.Time) error {
	all, err := migrations(schemaFiles)
	if err != nil {
		return err
	}
	var n int
	if err := db.QueryRow(hasMeta).Scan(&n); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("%w: it holds no gateway's tables", ErrVersion))
	}
	return migrate(db, all, now)
}

// migrate brings the database to this program's schema: all that is missing in one transaction, or nothing.
// A database that holds a piece this program does not know fails with ErrVersion and is not touched.
func migrate(db *sql.DB, all []migration, now time.Time) error {
	tx, err := db.Begin()
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to undo after Commit
	applied, err := appliedMigrations(tx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if applied[m.number] {
			delete(applied, m.number)
			continue
		}
		if _, err := tx.Exec(m.sql); err != nil {
			return fmt.Errorf("store: migration %04d_%s: %w", m.number, m.name, err)
		}
		if _, err := tx.Exec("INSERT INTO migration (number, name, at) VALUES (?,?,?)", m.number, m.name, stamp(now)); err != nil {
			return fmt.Errorf("store: migration %04d_%s: %w", m.number, m.name, err)
		}
	}
	for n := range applied {
		return fmt.Errorf("%w: it holds schema %04d, which this program does not know", ErrVersion, n)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	return nil
}

// appliedMigrations is the numbers the database has. The table that names them came with the second schema:
// a database with only the first names its version in meta.
func appliedMigrations(tx *sql.Tx) (map[int]bool, error) {
	if _, err := tx.Exec("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, at TEXT NOT NULL)"); err != nil {
		return nil, fmt.Errorf("store: migrate: %w", err)
	}
	rows, err := tx.Query("SELECT number FROM migration")
	if err != nil {
		return nil, fmt.Errorf("store: migrate: %w", err)
	}
	defer rows.Close()
	applied := map[int]bool{}
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return nil, fmt.Errorf("store: migrate: %w", err)
		}
		applied[n] = true
	}
	if err := rows.Err(); err != nil || len(applied) > 0 {
		return applied, errors.Join(err)
	}
	return applied, adoptFirst(tx, applied)
}

// adoptFirst records the first schema of a database that was made before migrations were numbered.
func adoptFirst(tx *sql.Tx, applied map[int]bool) error {
	var n int
	if err := tx.QueryRow(hasMeta).Scan(&n); err != nil || n == 0 {
		return errors.Join(err)
	}
	if _, err := tx.Exec("INSERT INTO migration (number, name, at) SELECT 1, 'first', '' FROM meta WHERE key='schema' AND value='1'"); err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	if err := tx.QueryRow("SELECT COUNT(*) FROM migration").Scan(&n); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("%w: it names no schema", ErrVersion))
	}
	applied[1] = true
	return nil
}
