package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Counts is how much of everything there is, by table.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	for _, table := range []string{"message", "blob", "item", "held", "event", "audit", "job", "delivered", "document"} {
		var n int64
		if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			return nil, fmt.Errorf("store: count %s: %w", table, err)
		}
		out[table] = n
	}
	return out, nil
}

// ParkAll keeps every job, clocks included, out of work until a person resumes it, and says how many: a
// restored queue is of the past, and what it would send or report as failed may long be settled.
func (s *Store) ParkAll(ctx context.Context, why string, entry AuditEntry) (n int64, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		n = w.exec("UPDATE job SET parked=?, token='', last_error=? WHERE parked=''", stamp(s.now()), why)
		w.audit(entry)
		return w.err
	})
	return n, err
}
