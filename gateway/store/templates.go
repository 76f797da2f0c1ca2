package store

import (
	"context"
	"database/sql"
	"fmt"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/template"
)

const templateColumns = "id, org, name, category, subject, body, owner, review, changed"

func scanTemplate(r *sql.Rows) (t template.Template, err error) {
	var review, changed string
	err = r.Scan(&t.ID, &t.Org, &t.Name, &t.Category, &t.Subject, &t.Body, &t.Owner, &review, &changed)
	t.Review, t.Changed = parseStamp(review), parseStamp(changed)
	return t, err
}

// Templates lists an organisation's ready texts by name.
func (s *Store) Templates(ctx context.Context, org string) ([]template.Template, error) {
	return list(ctx, s, "SELECT "+templateColumns+" FROM template WHERE org=? ORDER BY lower(name)", []any{org}, scanTemplate)
}

// Template is one of them.
func (s *Store) Template(ctx context.Context, org, id string) (template.Template, error) {
	return one(ctx, s, "SELECT "+templateColumns+" FROM template WHERE id=? AND org=?", []any{id, org}, scanTemplate)
}

// SaveTemplate writes a template; one without an ID is new, and its ID is returned. A name that another has is ErrExists.
func (s *Store) SaveTemplate(ctx context.Context, t template.Template, entry AuditEntry) (id string, err error) {
	fresh := t.ID == ""
	if fresh {
		t.ID = newID("tp-")
	}
	return t.ID, s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exists("SELECT 1 FROM template WHERE org=? AND lower(name)=lower(?) AND id<>?", t.Org, t.Name, t.ID) {
			return fmt.Errorf("template %s: %w", t.Name, ErrExists)
		}
		if fresh {
			w.exec("INSERT INTO template VALUES (?,?,?,?,?,?,?,?,?)", t.ID, t.Org, t.Name, t.Category, t.Subject, t.Body, t.Owner, stamp(t.Review), stamp(s.now()))
		} else if w.exec("UPDATE template SET name=?, category=?, subject=?, body=?, owner=?, review=?, changed=? WHERE id=? AND org=?", t.Name, t.Category,
			t.Subject, t.Body, t.Owner, stamp(t.Review), stamp(s.now()), t.ID, t.Org) == 0 && w.err == nil {
			return fmt.Errorf("store: template %s: %w", t.ID, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// RemoveTemplate takes a template away.
func (s *Store) RemoveTemplate(ctx context.Context, org, id string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("DELETE FROM template WHERE id=? AND org=?", id, org) == 0 && w.err == nil {
			return fmt.Errorf("store: template %s: %w", id, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// FilePolicy is an organisation's rules for files.
func (s *Store) FilePolicy(ctx context.Context, org string) (letter.Policy, error) {
	return list(ctx, s, "SELECT direction, kind, action, max_size, reason FROM file_policy WHERE org=? ORDER BY direction, kind", []any{org},
		func(r *sql.Rows) (f letter.FileRule, err error) {
			return f, r.Scan(&f.Direction, &f.Kind, &f.Action, &f.MaxSize, &f.Reason)
		})
}

// SetFilePolicy puts rules in the place of those there were.
func (s *Store) SetFilePolicy(ctx context.Context, org string, p letter.Policy, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("DELETE FROM file_policy WHERE org=?", org)
		for _, f := range p {
			w.exec("INSERT INTO file_policy VALUES (?,?,?,?,?,?)", org, f.Direction, f.Kind, f.Action, f.MaxSize, f.Reason)
		}
		w.audit(entry)
		return w.err
	})
}
