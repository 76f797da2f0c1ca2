package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Meta reads one of the database's own settings; "" when it was never set.
func (s *Store) Meta(ctx context.Context, key string) (string, error) {
	var v string
	err := s.read.QueryRowContext(ctx, "SELECT value FROM meta WHERE key=?", key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, err
}

// SetMeta writes one of the database's own settings.
func (s *Store) SetMeta(ctx context.Context, key, value string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO meta VALUES (?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value", key, value)
		return err
	})
}

// Org is an organisation: the owner of every business row.
type Org struct {
	ID, Name   string
	WrappedKey []byte // its key, wrapped by the master key
}

// AddOrg makes an organisation.
func (s *Store) AddOrg(ctx context.Context, o Org) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO org VALUES (?,?,?,?)", o.ID, o.Name, o.WrappedKey, stamp(s.now()))
		if err != nil {
			return fmt.Errorf("store: organisation %s: %w", o.ID, err)
		}
		return nil
	})
}

// RenameOrg gives an organisation another name.
func (s *Store) RenameOrg(ctx context.Context, id, name string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE org SET name=? WHERE id=?", name, id) == 0 && w.err == nil {
			return fmt.Errorf("organisation %s: %w", id, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// Orgs lists the organisations.
func (s *Store) Orgs(ctx context.Context) ([]Org, error) {
	return list(ctx, s, "SELECT id, name, wrapped_key FROM org ORDER BY created", nil, func(r *sql.Rows) (o Org, err error) {
		err = r.Scan(&o.ID, &o.Name, &o.WrappedKey)
		return o, err
	})
}

// Org is one organisation.
func (s *Store) Org(ctx context.Context, id string) (Org, error) {
	return one(ctx, s, "SELECT id, name, wrapped_key FROM org WHERE id=?", []any{id}, func(r *sql.Rows) (o Org, err error) {
		err = r.Scan(&o.ID, &o.Name, &o.WrappedKey)
		return o, err
	})
}

// list runs one query and reads each row.
func list[T any](ctx context.Context, s *Store, query string, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one is the first row of list, or ErrNotFound.
func one[T any](ctx context.Context, s *Store, query string, args []any, scan func(*sql.Rows) (T, error)) (T, error) {
	all, err := list(ctx, s, query, args, scan)
	if err != nil || len(all) == 0 {
		var zero T
		if err == nil {
			err = ErrNotFound
		}
		return zero, err
	}
	return all[0], nil
}

// Load is what was remembered of a look-up or an OCSP answer and is not expired (discover.Memory, revoke.Answers).
func (s *Store) Load(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT value FROM lookup_memory WHERE key=? AND expires>?", key, stamp(s.now())).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return value, err == nil, err
}

// Save remembers a look-up until it expires, and forgets those that are.
func (s *Store) Save(ctx context.Context, key string, value []byte, expires time.Time) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("INSERT INTO lookup_memory VALUES (?,?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value, expires=excluded.expires",
			key, value, stamp(expires))
		w.exec("DELETE FROM lookup_memory WHERE expires<=?", stamp(s.now()))
		return w.err
	})
}
