package store

import (
	"context"
	"database/sql"
	"time"
)

// Told is an end that came near and was told of, at a threshold before it.
type Told struct {
	Item      string
	Threshold time.Duration
}

// ToldEnds is what was told, by item.
func (s *Store) ToldEnds(ctx context.Context) (map[string]time.Duration, error) {
	rows, err := list(ctx, s, "SELECT item, threshold FROM expiry_told", nil, func(r *sql.Rows) (t Told, err error) {
		var seconds int64
		err = r.Scan(&t.Item, &seconds)
		t.Threshold = time.Duration(seconds) * time.Second
		return t, err
	})
	out := map[string]time.Duration{}
	for _, t := range rows {
		out[t.Item] = t.Threshold
	}
	return out, err
}

// ForgetTold forgets items that are watched no more.
func (s *Store) ForgetTold(ctx context.Context, items []string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		for _, i := range items {
			w.exec("DELETE FROM expiry_told WHERE item=?", i)
		}
		return w.err
	})
}
