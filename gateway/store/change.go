package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrChangedSince says that a change cannot be undone because what it made was changed again.
var ErrChangedSince = errors.New("store: what the change made was changed again since")

// TrustChange is one change of trust: what a person, or the gateway by a setting of a person, did.
type TrustChange struct {
	Seq    int64      `json:"change"`
	Org    string     `json:"-"`
	At     time.Time  `json:"at"`
	Actor  string     `json:"actor"`
	Action string     `json:"action"`
	Object string     `json:"object"`
	Before []TrustRow `json:"before"` // rows it took away or altered
	After  []TrustRow `json:"after"`  // rows it put there or altered
	Undoes int64      `json:"undoes,omitempty"`
	Undone int64      `json:"undone_by,omitempty"`
}

// TrustRow is one row of a table that trust rests on, as it stood. Octets are base64 behind "base64:".
type TrustRow struct {
	Table  string         `json:"table"`
	Values map[string]any `json:"values"`
}

// trustTable is a table that trust rests on.
type trustTable struct{ name, key, columns string }

// credentialState is what changes of a credential. Its certificate and key are no part of a change: they stay, for
// mail may be under way to the key.
const credentialState = "id, org, domain, address, can_sign, can_decrypt, published, expires, retired, signs_from, replaces, decrypts_until"

// trustTables are the tables that make up trust, with their key columns, in the order rows are put back.
func trustTables() []trustTable {
	return []trustTable{
		{"bundle", "name", "*"}, {"bundle_anchor", "bundle, fingerprint", "*"}, {"subscription", "domain, bundle", "*"},
		{"anchor", "domain, fingerprint", "*"}, {"anchor_block", "domain, fingerprint", "*"}, {"policy", "domain, direction, use, name", "*"},
		{"static_certificate", "name, fingerprint", "*"}, {"credential", "id", credentialState},
	}
}

func tableOf(name string) trustTable {
	for _, t := range trustTables() {
		if t.name == name {
			return t
		}
	}
	return trustTable{name: name, columns: "*"}
}

func keyColumns(table string) []string { return strings.Split(tableOf(table).key, ", ") }

// id names the row, whatever it says.
func (r TrustRow) id() string {
	id := r.Table
	for _, k := range keyColumns(r.Table) {
		id += "\x00" + fmt.Sprint(r.Values[k])
	}
	return id
}

// words is the row for the audit: without its octets.
func (r TrustRow) words() map[string]any {
	out := map[string]any{"what": r.Table}
	for k, v := range r.Values {
		if k != "certificate" && k != "org" {
			out[k] = v
		}
	}
	return out
}

// scope names the rows a change may touch: those of one table by one column.
type scope struct{ table, column, value string }

// changeTrust does one change of trust: f's writes inside scope, the record of them with what was before and
// after, and its audit entry, all or nothing. A change that changes nothing is not recorded.
func (s *Store) changeTrust(ctx context.Context, entry AuditEntry, in []scope, f func(w *writer) error) (c TrustChange, err error) {
	defer s.cache.flush()
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		c = w.change(entry, in, func() error { return f(w) })
		return w.err
	})
	return c, err
}

// change is one change of trust inside a transaction.
func (w *writer) change(entry AuditEntry, in []scope, f func() error) TrustChange {
	before := w.trustRows(in)
	if w.err == nil {
		w.err = f()
	}
	after := w.trustRows(in)
	c := TrustChange{Org: entry.Org, At: w.s.Now(), Actor: entry.Actor, Action: entry.Action, Object: entry.Object}
	c.Before, c.After = differ(before, after)
	w.recordChange(&c, entry)
	return c
}

// recordChange writes a change and its audit entry.
func (w *writer) recordChange(c *TrustChange, entry AuditEntry) {
	if w.err != nil || len(c.Before)+len(c.After) == 0 {
		return
	}
	if err := w.row("INSERT INTO trust_change(org, at, actor, action, object, before, after, undoes) VALUES (?,?,?,?,?,?,?,?) RETURNING seq",
		c.Org, stamp(c.At), c.Actor, c.Action, c.Object, column(c.Before), column(c.After), c.Undoes).Scan(&c.Seq); err != nil {
		w.err = fmt.Errorf("store: %w", err)
		return
	}
	detail := map[string]any{"change": c.Seq, "before": auditRows(c.Before), "after": auditRows(c.After)}
	if entry.Detail != nil {
		detail["asked"] = entry.Detail
	}
	if c.Undoes != 0 {
		detail["undoes"] = c.Undoes
	}
	entry.Detail = detail
	w.audit(entry)
}

// maxAuditRows bounds the rows one audit entry tells of; all of them are in the change itself.
const maxAuditRows = 200

func auditRows(rows []TrustRow) any {
	out := []any{}
	for i, r := range rows {
		if i == maxAuditRows {
			return append(out, fmt.Sprintf("and %d more", len(rows)-i))
		}
		out = append(out, r.words())
	}
	return out
}

// trustRows reads the rows of a scope by their ids.
func (w *writer) trustRows(in []scope) map[string]TrustRow {
	out := map[string]TrustRow{}
	for _, sc := range in {
		if w.err != nil {
			return out
		}
		rows, err := w.tx.Query("SELECT "+tableOf(sc.table).columns+" FROM "+sc.table+" WHERE "+sc.column+"=?", sc.value)
		if err == nil {
			err = readRows(rows, sc.table, out)
		}
		if err != nil {
			w.err = fmt.Errorf("store: %w", err)
		}
	}
	return out
}

func readRows(rows *sql.Rows, table string, out map[string]TrustRow) error {
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	values, at := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		at[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(at...); err != nil {
			return err
		}
		r := TrustRow{table, map[string]any{}}
		for i, n := range names {
			if b, ok := values[i].([]byte); ok {
				r.Values[n] = octetsMark + base64.StdEncoding.EncodeToString(b)
			} else {
				r.Values[n] = values[i]
			}
		}
		out[r.id()] = r
	}
	return rows.Err()
}

const octetsMark = "base64:"

// differ is the rows that are only in one of two states, or not alike in both, in a steady order.
func differ(before, after map[string]TrustRow) (gone, come []TrustRow) {
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if n, ok := after[id]; !ok || column(n) != column(before[id]) {
			gone = append(gone, before[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(after)) {
		if o, ok := before[id]; !ok || column(o) != column(after[id]) {
			come = append(come, after[id])
		}
	}
	return gone, come
}

const changeColumns = "seq, org, at, actor, action, object, before, after, undoes, undone"

func scanChange(r *sql.Rows) (c TrustChange, err error) {
	var at, before, after string
	if err = r.Scan(&c.Seq, &c.Org, &at, &c.Actor, &c.Action, &c.Object, &before, &after, &c.Undoes, &c.Undone); err != nil {
		return c, err
	}
	c.At = parseStamp(at)
	err = errors.Join(json.Unmarshal([]byte(before), &c.Before), json.Unmarshal([]byte(after), &c.After))
	whole(c.Before)
	whole(c.After)
	return c, err
}

// whole gives the numbers of recorded rows the type of their columns, which hold no fractions.
func whole(rows []TrustRow) {
	for _, r := range rows {
		for name, v := range r.Values {
			if n, is := v.(float64); is {
				r.Values[name] = int64(n)
			}
		}
	}
}

// TrustChanges lists changes of trust since an instant, newest first, up to n.
func (s *Store) TrustChanges(ctx context.Context, since time.Time, n int) ([]TrustChange, error) {
	return list(ctx, s, "SELECT "+changeColumns+" FROM trust_change WHERE at>=? ORDER BY seq DESC LIMIT ?", []any{stamp(since), n}, scanChange)
}

// TrustChange is one change.
func (s *Store) TrustChange(ctx context.Context, seq int64) (TrustChange, error) {
	c, err := one(ctx, s, "SELECT "+changeColumns+" FROM trust_change WHERE seq=?", []any{seq}, scanChange)
	if err != nil {
		err = fmt.Errorf("change %d: %w", seq, err)
	}
	return c, err
}

// UndoTrust puts back what was before a change. It fails with ErrChangedSince, and changes nothing, when a row
// the change made is no longer as the change left it, or is there again though the change took it away.
func (s *Store) UndoTrust(ctx context.Context, seq int64, entry AuditEntry) (out TrustChange, err error) {
	old, err := s.TrustChange(ctx, seq)
	if err != nil {
		return out, err
	}
	if old.Undone != 0 {
		return out, fmt.Errorf("%w: change %d was undone by change %d", ErrChangedSince, seq, old.Undone)
	}
	defer s.cache.flush()
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.asLeft(old)
		both := slices.Concat(old.Before, old.After, w.successors(old))
		before := w.rowsNow(both)
		w.takeBack(old)
		out = TrustChange{Org: entry.Org, At: s.Now(), Actor: entry.Actor, Action: entry.Action, Object: old.Object, Undoes: seq}
		out.Before, out.After = differ(before, w.rowsNow(both))
		entry.Object = old.Object
		w.recordChange(&out, entry)
		w.exec("UPDATE trust_change SET undone=? WHERE seq=?", out.Seq, seq)
		w.exec("UPDATE bundle_look SET checksum='', etag='', modified='' WHERE bundle=?", old.Object) // what is published is no longer what is in force
		return w.err
	})
	return out, err
}

// takeBack puts the rows of a change back as they were.
func (w *writer) takeBack(c TrustChange) {
	for _, r := range slices.Backward(byTable(c.After)) {
		w.dropRow(r)
	}
	for _, r := range byTable(c.Before) {
		w.putRow(r)
	}
	for _, next := range w.rowsNow(w.successors(c)) { // one whose wait is over would at once take the place anew
		if from, _ := next.Values["signs_from"].(string); !parseStamp(from).After(w.s.now()) {
			w.dropRow(next)
		}
	}
}

// successors is the credentials in use that took the place of those a change retired.
func (w *writer) successors(c TrustChange) []TrustRow {
	out := map[string]TrustRow{}
	for _, r := range c.After {
		if r.Table == "credential" && r.Values["retired"] != "" {
			maps.Copy(out, w.trustRows([]scope{{"credential", "replaces", fmt.Sprint(r.Values["id"])}}))
		}
	}
	maps.DeleteFunc(out, func(_ string, r TrustRow) bool { return r.Values["retired"] != "" })
	return slices.Collect(maps.Values(out))
}

// LastUndone reports whether the last change of a bundle's anchors was undone.
func (s *Store) LastUndone(ctx context.Context, bundle string) (bool, error) {
	n, err := one(ctx, s, "SELECT undoes FROM trust_change WHERE object=? AND (action='bundle.apply' OR undoes<>0) ORDER BY seq DESC LIMIT 1", []any{bundle}, func(r *sql.Rows) (n int64, err error) {
		err = r.Scan(&n)
		return n, err
	})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return n != 0, err
}

// asLeft fails unless every row a change touched is as the change left it.
func (w *writer) asLeft(c TrustChange) {
	both := append(slices.Clone(c.Before), c.After...)
	now := w.rowsNow(both)
	left := map[string]string{}
	for _, r := range c.After {
		left[r.id()] = column(r)
	}
	for _, r := range both {
		is := ""
		if n, ok := now[r.id()]; ok {
			is = column(n)
		}
		if is != left[r.id()] && w.err == nil {
			w.err = fmt.Errorf("%w: %s", ErrChangedSince, column(r.words()))
		}
	}
	w.placesFree(c)
}

// placesFree fails when a credential that a change added has its place by now, because the one before it was retired
// since: without it there would be none.
func (w *writer) placesFree(c TrustChange) {
	back := map[string]bool{}
	for _, r := range c.Before {
		back[r.id()] = true
	}
	for _, r := range c.After {
		if r.Table != "credential" || back[r.id()] || r.Values["replaces"] == "" {
			continue
		}
		for id, old := range w.trustRows(credentialScope(fmt.Sprint(r.Values["replaces"]))) {
			if old.Values["retired"] != "" && !back[id] && w.err == nil {
				w.err = fmt.Errorf("%w: %s", ErrChangedSince, column(old.words()))
			}
		}
	}
}

// rowsNow reads the rows of those keys as they stand.
func (w *writer) rowsNow(rows []TrustRow) map[string]TrustRow {
	now := map[string]TrustRow{}
	for _, r := range rows {
		where, args := r.byKey()
		if w.err != nil {
			return now
		}
		rows, err := w.tx.Query("SELECT "+tableOf(r.Table).columns+" FROM "+r.Table+" WHERE "+where, args...)
		if err == nil {
			err = readRows(rows, r.Table, now)
		}
		if err != nil {
			w.err = fmt.Errorf("store: %w", err)
		}
	}
	return now
}

func (r TrustRow) byKey() (where string, args []any) {
	for i, k := range keyColumns(r.Table) {
		if i > 0 {
			where += " AND "
		}
		where += k + "=?"
		args = append(args, r.Values[k])
	}
	return where, args
}

func byTable(rows []TrustRow) []TrustRow {
	order := map[string]int{}
	for i, t := range trustTables() {
		order[t.name] = i
	}
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b TrustRow) int { return cmp.Compare(order[a.Table], order[b.Table]) })
	return out
}

// dropRow takes a row away. A credential is retired instead: mail may be under way to its key.
func (w *writer) dropRow(r TrustRow) {
	where, args := r.byKey()
	if r.Table == "credential" {
		w.exec("UPDATE credential SET retired=?, published=0 WHERE "+where, append([]any{stamp(w.s.now())}, args...)...)
		return
	}
	w.exec("DELETE FROM "+r.Table+" WHERE "+where, args...)
}

// putRow puts a row back by its own column names: they were read from the table, never from outside.
func (w *writer) putRow(r TrustRow) {
	names := slices.Sorted(maps.Keys(r.Values))
	args := make([]any, len(names))
	for i, n := range names {
		args[i] = r.Values[n]
		if text, ok := args[i].(string); ok && n == "certificate" && strings.HasPrefix(text, octetsMark) {
			b, err := base64.StdEncoding.DecodeString(text[len(octetsMark):])
			if err != nil {
				w.err = fmt.Errorf("store: a recorded row of %s: %w", r.Table, err)
			}
			args[i] = b
		}
	}
	if r.Table == "credential" {
		where, key := r.byKey()
		w.exec("UPDATE credential SET "+strings.Join(names, "=?, ")+"=? WHERE "+where, append(args, key...)...)
		return
	}
	w.exec("INSERT INTO "+r.Table+" ("+strings.Join(names, ", ")+") VALUES (?"+strings.Repeat(",?", len(names)-1)+")", args...)
}
