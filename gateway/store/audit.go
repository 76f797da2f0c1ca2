package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"postern/gateway/audit"
)

// AuditEntry is what the caller says of a change; number, time and hashes are given when it is written.
// The zero entry writes nothing.
type AuditEntry struct {
	Org    string
	Actor  string // "uid:1000", a login, or "gateway"
	Action string
	Object string
	Detail any // a JSON-able value without patient data or secrets
}

func (w *writer) audit(a AuditEntry) {
	if w.err != nil || a.Action == "" {
		return
	}
	var last audit.Entry
	err := w.row("SELECT seq, hash FROM audit WHERE node=? ORDER BY seq DESC LIMIT 1", w.s.node).Scan(&last.Seq, &last.Hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		w.err = fmt.Errorf("store: audit: %w", err)
		return
	}
	e := audit.Chain(last, audit.Entry{Node: w.s.node, Org: a.Org, Time: w.s.Now(), Actor: a.Actor, Action: a.Action,
		Object: a.Object, Detail: json.RawMessage(column(a.Detail))})
	w.exec("INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?,?)", e.Node, e.Seq, e.Org, stamp(e.Time), e.Actor, e.Action, e.Object,
		string(e.Detail), e.Prev, e.Hash)
}

// AuditAct writes one audit entry by itself, for an act that changes no row.
func (s *Store) AuditAct(ctx context.Context, a AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.audit(a)
		return w.err
	})
}

// Audit calls f for each entry of every node's chain, in order, from the first.
func (s *Store) Audit(ctx context.Context, f func(audit.Entry) error) error {
	rows, err := s.read.QueryContext(ctx, "SELECT node, seq, org, at, actor, action, object, detail, prev, hash FROM audit ORDER BY node, seq")
	if err != nil {
		return fmt.Errorf("store: audit: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e audit.Entry
		var at, detail string
		if err := rows.Scan(&e.Node, &e.Seq, &e.Org, &at, &e.Actor, &e.Action, &e.Object, &detail, &e.Prev, &e.Hash); err != nil {
			return fmt.Errorf("store: audit: %w", err)
		}
		e.Time, e.Detail = parseStamp(at), json.RawMessage(detail)
		if err := f(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// AuditEntries is every entry of every node's chain, as audit.Verify takes them.
func (s *Store) AuditEntries(ctx context.Context) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		stopped := errors.New("stopped")
		err := s.Audit(ctx, func(e audit.Entry) error {
			if !yield(e, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(audit.Entry{}, err)
		}
	}
}
