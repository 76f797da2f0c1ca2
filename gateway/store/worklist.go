package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
)

// Reach is one pool with the categories a person may see there; All is every one.
type Reach struct {
	Pool  string
	All   bool
	Only  []staff.Category // where All is false; "" is what has no category yet
	Owner bool             // the person belongs to the pool by membership
}

// ReachOf is what a person may read, pool by pool, in the order of pools.
func ReachOf(r staff.Rights, pools []string) []Reach {
	var out []Reach
	for _, p := range pools {
		reach := Reach{Pool: p, All: true, Owner: r.Member(p)}
		for _, c := range append([]staff.Category{""}, staff.Categories()...) {
			if r.On(p, c) >= staff.Read {
				reach.Only = append(reach.Only, c)
			} else {
				reach.All = false
			}
		}
		if len(reach.Only) > 0 {
			out = append(out, reach)
		}
	}
	return out
}

// where is the reach as a condition on scope.
func (r Reach) where() (string, []any) {
	if r.All {
		return "", nil
	}
	args := make([]any, len(r.Only))
	for i, c := range r.Only {
		args[i] = c
	}
	return " AND k.scope IN (?" + strings.Repeat(",?", len(r.Only)-1) + ")", args
}

// View is a list of work.
type View string

// The views. Everything open is in ViewOpen, everything finished in ViewFinished.
const (
	ViewOpen     View = "open"
	ViewUnworked View = "new"      // nobody has it, oldest first
	ViewMine     View = "mine"     // open, of one person
	ViewWaiting  View = "waiting"  // waits for a day, nearest first
	ViewOverdue  View = "overdue"  // the day has come
	ViewUrgent   View = "urgent"   // open and urgent
	ViewFailures View = "failures" // something of ours did not arrive
	ViewUnruled  View = "unruled"  // open, and no rule but the last wanted it
	ViewFinished View = "done"
)

// Views lists them all.
func Views() []View {
	return []View{ViewOpen, ViewUnworked, ViewMine, ViewWaiting, ViewOverdue, ViewUrgent, ViewFailures, ViewUnruled, ViewFinished}
}

// conditions is what a view asks of a row, and its order; the first column of the order is what a cursor holds.
func (v View) conditions() (where, order string) {
	const byRank = "k.rank, k.received, k.id"
	switch v {
	case ViewUnworked:
		return "k.state='new'", "k.received, k.id"
	case ViewMine:
		return "k.state<>'done' AND k.owner=?", byRank
	case ViewWaiting:
		return "k.state='waiting'", "k.due, k.id"
	case ViewOverdue:
		return "k.state='waiting' AND k.due<=?", "k.due, k.id"
	case ViewUrgent:
		return "k.state<>'done' AND k.rank<2", byRank
	case ViewFailures:
		return "k.kind='failure' AND k.state<>'done'", byRank
	case ViewUnruled:
		return "k.rule='' AND k.state<>'done'", byRank
	case ViewFinished:
		return "k.state='done'", "k.finished DESC, k.id DESC"
	}
	return "k.state<>'done'", byRank
}

// WorkQuery asks for a part of a list.
type WorkQuery struct {
	Org   string
	Reach []Reach        // what may be seen; none is an empty list
	View  View           //
	Owner staff.PersonID // Mine: whose
	After work.ID        // the last entry of the part before; "" is the beginning
	N     int            // at most MaxLines
}

// MaxLines bounds one part of a list.
const MaxLines = 200

// Line is one entry in a list, with what is shown of its item.
type Line struct {
	work.Entry
	Subject   string
	Documents []inbox.Document // kind, type, title, patient, author and date; without references
	Notes     int
	Writing   staff.PersonID // somebody who writes an answer now, or ""
	SameID    bool
}

// WorkList is one part of a list, in its order: the head of each pool's part of it, merged.
func (s *Store) WorkList(ctx context.Context, q WorkQuery) ([]Line, error) {
	if len(q.Reach) == 0 {
		return nil, nil
	}
	n := min(max(q.N, 1), MaxLines)
	where, order := q.View.conditions()
	cond, after, err := s.cursor(ctx, q, order)
	if err != nil {
		return nil, err
	}
	var parts []string
	var args []any
	for _, r := range q.Reach {
		scope, scoped := r.where()
		parts = append(parts, "SELECT * FROM (SELECT k.* FROM work k WHERE k.org=? AND k.pool=? AND "+where+scope+cond+" ORDER BY "+order+" LIMIT ?) head")
		args = append(args, q.Org, r.Pool)
		if q.View == ViewMine {
			args = append(args, q.Owner)
		}
		if q.View == ViewOverdue {
			args = append(args, stamp(s.now()))
		}
		args = append(append(append(args, scoped...), after...), n)
	}
	query := "SELECT " + workColumns + `, i.subject, i.flags LIKE '%"same\_id":true%' ESCAPE '\' FROM (` + strings.Join(parts, " UNION ALL ") +
		") k JOIN item i ON i.inbox=k.inbox AND i.number=k.number ORDER BY " + order + " LIMIT ?"
	lines, err := list(ctx, s, query, append(args, n), func(r *sql.Rows) (l Line, err error) {
		l.Entry, err = scanWork(r, &l.Subject, &l.SameID)
		return l, err
	})
	if err != nil {
		return nil, err
	}
	return lines, s.furnish(ctx, lines)
}

// cursor is the condition by which a list goes on after an entry. One that moved meanwhile is where it is now.
func (s *Store) cursor(ctx context.Context, q WorkQuery, order string) (string, []any, error) {
	if q.After == "" {
		return "", nil, nil
	}
	columns := strings.ReplaceAll(order, " DESC", "")
	op := ">"
	if strings.Contains(order, "DESC") {
		op = "<"
	}
	names := strings.Split(columns, ", ")
	values := make([]any, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	err := s.read.QueryRowContext(ctx, "SELECT "+columns+" FROM work k WHERE k.id=? AND k.org=?", q.After, q.Org).Scan(into...)
	if err == sql.ErrNoRows {
		return "", nil, fmt.Errorf("work %s: %w", q.After, ErrNotFound)
	}
	if err != nil {
		return "", nil, fmt.Errorf("store: %w", err)
	}
	return " AND (" + columns + ") " + op + " (?" + strings.Repeat(",?", len(names)-1) + ")", values, nil
}

// Lines are entries, at most MaxLines of them, with what a list shows of their items; one whose item went is left out.
func (s *Store) Lines(ctx context.Context, entries []work.Entry) ([]Line, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	entries = entries[:min(len(entries), MaxLines)]
	var keys []any
	for _, e := range entries {
		keys = append(keys, e.Inbox, e.Number)
	}
	subjects := map[string]string{}
	_, err := list(ctx, s, "SELECT inbox, number, subject FROM item WHERE (inbox, number) IN "+pairs(len(entries)), keys, func(r *sql.Rows) (none struct{}, err error) {
		var box, subject string
		var number int64
		err = r.Scan(&box, &number, &subject)
		subjects[fmt.Sprint(box, " ", number)] = subject
		return none, err
	})
	if err != nil {
		return nil, err
	}
	var out []Line
	for _, e := range entries {
		if subject, ok := subjects[fmt.Sprint(e.Inbox, " ", e.Number)]; ok {
			out = append(out, Line{Entry: e, Subject: subject})
		}
	}
	return out, s.furnish(ctx, out)
}

// pairs is a list of n inboxes with numbers in them. Elsewhere than in a comparison a parameter is text, but for what
// the first line says.
func pairs(n int) string {
	return "(VALUES (?,CAST(? AS BIGINT))" + strings.Repeat(",(?,?)", n-1) + ")"
}

// furnish adds documents, notes and writers to the lines of one part, with one question each.
func (s *Store) furnish(ctx context.Context, lines []Line) error {
	if len(lines) == 0 {
		return nil
	}
	at := map[work.ID]int{}
	items := map[string]int{}
	var keys, ids []any
	for i, l := range lines {
		at[l.ID] = i
		items[fmt.Sprint(l.Inbox, " ", l.Number)] = i
		keys, ids = append(keys, l.Inbox, l.Number), append(ids, l.ID)
	}
	marks := "(?" + strings.Repeat(",?", len(ids)-1) + ")"
	values := pairs(len(ids))
	_, err := list(ctx, s, "SELECT inbox, number, id, path, kind, type, title, patient, author, date FROM document WHERE (inbox, number) IN "+values+" ORDER BY inbox, number, path LIMIT 1000",
		keys, func(r *sql.Rows) (none struct{}, err error) {
			var box, patient, date string
			var number int64
			var d inbox.Document
			if err = r.Scan(&box, &number, &d.ID, &d.Path, &d.Kind, &d.Type, &d.Title, &patient, &d.Author, &date); err != nil {
				return none, err
			}
			d.Patient, d.Date = rawOrNil(patient), parseStamp(date)
			i := items[fmt.Sprint(box, " ", number)]
			lines[i].Documents = append(lines[i].Documents, d)
			return none, nil
		})
	if err != nil {
		return err
	}
	if _, err = list(ctx, s, "SELECT work, count(*) FROM note WHERE work IN "+marks+" GROUP BY work", ids, func(r *sql.Rows) (none struct{}, err error) {
		var id work.ID
		var n int
		err = r.Scan(&id, &n)
		lines[at[id]].Notes = n
		return none, err
	}); err != nil {
		return err
	}
	_, err = list(ctx, s, "SELECT work, person FROM writing WHERE work IN "+marks+" AND seen>? ORDER BY since DESC", append(slices.Clone(ids), stamp(s.now().Add(-work.WritingFor))),
		func(r *sql.Rows) (none struct{}, err error) {
			var id work.ID
			var who staff.PersonID
			err = r.Scan(&id, &who)
			lines[at[id]].Writing = who
			return none, err
		})
	return err
}

// MaxCount is where counting stops: a list of more is "1,000 or more".
const MaxCount = 1000

// Count is how much is in a view of one pool, as far as MaxCount, and since when its oldest waits.
type Count struct {
	Pool   string
	N      int
	Oldest time.Time
}

// WorkCounts counts a view pool by pool.
func (s *Store) WorkCounts(ctx context.Context, q WorkQuery) ([]Count, error) {
	var parts []string
	var args []any
	where, _ := q.View.conditions()
	for _, r := range q.Reach {
		scope, scoped := r.where()
		parts = append(parts, "SELECT ? AS pool, count(*) AS n, coalesce(min(received), '') FROM (SELECT k.received FROM work k WHERE k.org=? AND k.pool=? AND "+where+scope+" LIMIT ?) part")
		args = append(args, r.Pool, q.Org, r.Pool)
		if q.View == ViewMine {
			args = append(args, q.Owner)
		}
		if q.View == ViewOverdue {
			args = append(args, stamp(s.now()))
		}
		args = append(append(args, scoped...), MaxCount)
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return list(ctx, s, strings.Join(parts, " UNION ALL "), args, func(r *sql.Rows) (c Count, err error) {
		var oldest string
		err = r.Scan(&c.Pool, &c.N, &oldest)
		c.Oldest = parseStamp(oldest)
		return c, err
	})
}

// Hidden is a sensitive entry as those see it who may not open it: whose it is and since when, and nothing else (B14).
type Hidden struct {
	Pool     string
	Owner    staff.PersonID
	Received time.Time
}

// maxHidden bounds the hidden lines of one pool.
const maxHidden = 20

// HiddenWork lists what is open and sensitive in the pools a person belongs to without seeing such messages.
func (s *Store) HiddenWork(ctx context.Context, org string, reach []Reach) ([]Hidden, error) {
	var out []Hidden
	for _, r := range reach {
		if r.All || slices.Contains(r.Only, staff.Sensitive) {
			continue
		}
		hs, err := list(ctx, s, "SELECT pool, owner, received FROM work WHERE org=? AND pool=? AND scope='sensitive' AND state<>'done' ORDER BY received LIMIT ?",
			[]any{org, r.Pool, maxHidden}, func(r *sql.Rows) (h Hidden, err error) {
				var received string
				err = r.Scan(&h.Pool, &h.Owner, &received)
				h.Received = parseStamp(received)
				return h, err
			})
		if err != nil {
			return nil, err
		}
		out = append(out, hs...)
	}
	return out, nil
}

// ThreadWork lists the entries of one conversation in an inbox, oldest first, up to maxNotes.
func (s *Store) ThreadWork(ctx context.Context, org, inboxID, thread string) ([]Line, error) {
	lines, err := list(ctx, s, "SELECT "+workColumns+", i.subject, 0"+workFrom+"WHERE k.inbox=? AND k.thread=? AND k.org=? ORDER BY k.number LIMIT ?",
		[]any{inboxID, thread, org, maxNotes}, func(r *sql.Rows) (l Line, err error) {
			l.Entry, err = scanWork(r, &l.Subject, &l.SameID)
			return l, err
		})
	if err != nil || len(lines) > MaxLines {
		return lines, err
	}
	return lines, s.furnish(ctx, lines)
}

// WorkByRFC is the entry in an inbox whose message has that Message-ID.
func (s *Store) WorkByRFC(ctx context.Context, org, inboxID, rfcID string) (work.Entry, error) {
	return one(ctx, s, "SELECT "+workColumns+workFrom+"WHERE i.inbox=? AND i.rfc_id=? AND k.org=? ORDER BY i.number LIMIT 1", []any{inboxID, rfcID, org}, scanEntry)
}

// OldestOf is the entry of a view that waits longest, with its item; false when there is none.
func (s *Store) OldestOf(ctx context.Context, q WorkQuery) (Line, bool, error) {
	q.N = 1
	lines, err := s.WorkList(ctx, q)
	if err != nil || len(lines) == 0 {
		return Line{}, false, err
	}
	return lines[0], true, nil
}
