package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Kind names what is kept for a time.
const (
	KeptSpool = "spool" // the bytes of messages with nothing left to do, besides those in an inbox or held
	KeptHeld  = "held"  // refused inbound messages
	KeptInbox = "inbox" // items of inboxes; what remains is the tombstone that stops a repetition, and the ladder
)

// metaRetention is the database's own setting that keeps the Retention.
const metaRetention = "retention"

// Retention is how long each kind is kept; zero is for ever.
type Retention map[string]time.Duration

// DefaultRetention keeps inboxes for ever.
func DefaultRetention() Retention {
	return Retention{KeptSpool: SettledFor, KeptHeld: HeldFor, KeptInbox: 0}
}

// Retention is what is in force.
func (s *Store) Retention(ctx context.Context) (Retention, error) {
	r := DefaultRetention()
	text, err := s.Meta(ctx, metaRetention)
	if err != nil || text == "" {
		return r, err
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fmt.Errorf("store: retention: %w", err)
	}
	return r, nil
}

// SetRetention changes how long one kind is kept. What is held already gets its new day.
func (s *Store) SetRetention(ctx context.Context, kind string, d time.Duration, entry AuditEntry) error {
	r, err := s.Retention(ctx)
	if err != nil {
		return err
	}
	if _, known := r[kind]; !known {
		return fmt.Errorf("store: retention %q: %w", kind, ErrNotFound)
	}
	r[kind] = d
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("INSERT INTO meta VALUES (?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value", metaRetention, column(r))
		if kind == KeptHeld && d > 0 {
			w.exec(moveExpiry, d.Seconds())
		} else if kind == KeptHeld {
			w.exec("UPDATE held SET expires=? WHERE state='held'", stamp(forEver))
		}
		w.audit(entry)
		return w.err
	})
}

// forEver stands in the column of a day that does not come.
var forEver = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// maxExpired bounds the items one change removes, so that nobody waits long for it.
const maxExpired = 500

// ExpireItems removes inbox items older than their time, up to 500, and what people sent as long ago, and says how many. Tombstones and
// ladders stay, so that a repetition is still known and the fate of every message is.
func (s *Store) ExpireItems(ctx context.Context, older time.Duration, entry AuditEntry) (n int64, err error) {
	if older <= 0 {
		return 0, nil
	}
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		rows, err := tx.Query("SELECT inbox, number FROM item WHERE received<? LIMIT ?", stamp(s.now().Add(-older)), maxExpired)
		if err != nil {
			return fmt.Errorf("store: expire items: %w", err)
		}
		type key struct {
			inbox  string
			number int64
		}
		var gone []key
		for rows.Next() {
			var k key
			if err := rows.Scan(&k.inbox, &k.number); err != nil {
				rows.Close()
				return err
			}
			gone = append(gone, k)
		}
		if err := rows.Close(); err != nil {
			return err
		}
		for _, k := range gone {
			w.forgetWork(k.inbox, k.number)
			for _, table := range []string{"part_scan", "part", "document", "item"} {
				w.exec("DELETE FROM "+table+" WHERE inbox=? AND number=?", k.inbox, k.number)
			}
		}
		n = int64(len(gone)) + w.exec("DELETE FROM sent WHERE at<?", stamp(s.now().Add(-older)))
		if n > 0 {
			entry.Detail = map[string]any{"items": n}
			w.audit(entry)
		}
		return w.err
	})
	return n, err
}

// Leaving says when the next of a kind goes, and how many are kept.
type Leaving struct {
	Kind string        `json:"kind"`
	Keep time.Duration `json:"keep"` // 0 is for ever
	Kept int64         `json:"kept"`
	Next time.Time     `json:"next,omitzero"` // will be deleted on; zero: none will
}

// Leavings says of each kind how long it is kept, how much there is, and when the oldest goes.
func (s *Store) Leavings(ctx context.Context) ([]Leaving, error) {
	r, err := s.Retention(ctx)
	if err != nil {
		return nil, err
	}
	var out []Leaving
	for _, q := range []struct{ kind, query string }{
		{KeptInbox, "SELECT count(*), coalesce(min(received), '') FROM item"},
		{KeptHeld, "SELECT count(*), coalesce(min(expires), '') FROM held WHERE state='held'"},
		{KeptSpool, `SELECT count(*), coalesce(min(b.created), '') FROM blob b WHERE NOT EXISTS (SELECT 1 FROM item i WHERE i.blob=b.id)
			AND NOT EXISTS (SELECT 1 FROM held h WHERE h.blob=b.id AND h.state='held')`},
	} {
		l := Leaving{Kind: q.kind, Keep: r[q.kind]}
		var oldest string
		if err := s.read.QueryRowContext(ctx, q.query).Scan(&l.Kept, &oldest); err != nil {
			return nil, fmt.Errorf("store: retention: %w", err)
		}
		if l.Next = parseStamp(oldest); !l.Next.IsZero() && q.kind != KeptHeld {
			l.Next = l.Next.Add(l.Keep)
		}
		if l.Keep == 0 && q.kind != KeptHeld {
			l.Next = time.Time{}
		}
		out = append(out, l)
	}
	return out, nil
}
