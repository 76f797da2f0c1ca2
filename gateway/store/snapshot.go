package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
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

// restoredWords begins what is said of the jobs of a restored queue.
const restoredWords = "restored from the backup of "

// ParkAll keeps every job of a database restored from a backup made then out of work until a person resumes it, clocks
// included, and says how many: a restored queue is of the past, and what it would send or report as failed may long be
// settled. So nothing ends such a job by itself either (Kept).
func (s *Store) ParkAll(ctx context.Context, made time.Time, entry AuditEntry) (n int64, err error) {
	why := restoredWords + made.Format(time.RFC3339)
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("UPDATE job SET last_error=? || last_error WHERE parked<>''", why+": ")
		n = w.exec("UPDATE job SET parked=?, token='', last_error=? WHERE parked=''", stamp(s.now()), why)
		w.audit(entry)
		return w.err
	})
	return n, err
}
