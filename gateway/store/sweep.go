package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"postern/gateway/spool"
)

// SettledFor is how long the bytes of a message with nothing left to do are kept by default, besides those in an inbox.
const SettledFor = 7 * 24 * time.Hour

// Unreferenced lists blobs that no row needs any more: not an inbox, not a held message, not the queue,
// not a draft and not what people sent, and no message younger than the retention of the spool. Up to n.
func (s *Store) Unreferenced(ctx context.Context, n int) ([]spool.Blob, error) {
	keep, err := s.Retention(ctx)
	if err != nil || keep[KeptSpool] <= 0 {
		return nil, err
	}
	before := stamp(s.now().Add(-keep[KeptSpool]))
	return list(ctx, s, `SELECT b.id, b.org, b.size, b.sha256, b.wrapped_key, b.place FROM blob b
		WHERE b.created<=? AND NOT EXISTS (SELECT 1 FROM item i WHERE i.blob=b.id)
		AND NOT EXISTS (SELECT 1 FROM held h WHERE h.blob=b.id AND h.state='held')
		AND NOT EXISTS (SELECT 1 FROM message m WHERE m.blob=b.id AND (m.received>? OR EXISTS (SELECT 1 FROM job j WHERE j.message=m.id)))
		AND NOT EXISTS (SELECT 1 FROM message m WHERE m.sealed_blob<>'' AND m.sealed_blob=b.id AND (m.received>? OR EXISTS (SELECT 1 FROM job j WHERE j.message=m.id)))
		AND NOT EXISTS (SELECT 1 FROM sealed f JOIN message m ON m.id=f.message WHERE f.blob=b.id AND (m.received>? OR EXISTS (SELECT 1 FROM job j WHERE j.message=m.id)))
		AND NOT EXISTS (SELECT 1 FROM message m WHERE m.opened_blob<>'' AND m.opened_blob=b.id AND (m.received>? OR EXISTS (SELECT 1 FROM job j WHERE j.message=m.id)))
		AND NOT EXISTS (SELECT 1 FROM draft d WHERE d.blob=b.id) AND NOT EXISTS (SELECT 1 FROM draft_file f WHERE f.blob=b.id)
		AND NOT EXISTS (SELECT 1 FROM sent x WHERE x.blob=b.id)
		LIMIT ?`, []any{before, before, before, before, before, n}, scanBlob)
}

// ForgetBlob removes a blob's row and with it its key: from then on its bytes are unreadable everywhere.
func (s *Store) ForgetBlob(ctx context.Context, id string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM sealed WHERE blob=?", id); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM blob WHERE id=?", id)
		return err
	})
}

// MoveBlob records that a blob's bytes were moved to another place in the spool (spool.Move). It reports
// false, and changes nothing, when the row is gone or names another place than from.
func (s *Store) MoveBlob(ctx context.Context, id, from, to string) (moved bool, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec("UPDATE blob SET place=? WHERE id=? AND place=?", to, id, from)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		moved = n == 1
		return err
	})
	return moved && err == nil, err
}

// BlobRows is every blob named by a row: what the spool must keep.
func (s *Store) BlobRows(ctx context.Context) iter.Seq2[spool.Row, error] {
	return func(yield func(spool.Row, error) bool) {
		rows, err := s.read.QueryContext(ctx, "SELECT id, place, size FROM blob")
		if err != nil {
			yield(spool.Row{}, fmt.Errorf("store: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var r spool.Row
			err := rows.Scan(&r.ID, &r.Place, &r.Size)
			if !yield(r, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(spool.Row{}, fmt.Errorf("store: %w", err))
		}
	}
}
