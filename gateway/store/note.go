package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/message"
)

// maxNotes bounds the notes of one entry that are read at once.
const maxNotes = 500

// note writes a note and tells whom it names. People of other organisations are not named.
func (w *writer) note(n work.Note) {
	w.exec("INSERT INTO note SELECT ?,?,?,?,?,? WHERE EXISTS (SELECT 1 FROM work WHERE id=? AND org=?)", n.ID, n.Org, n.Work, n.By, stamp(n.At), n.Text, n.Work, n.Org)
	for _, p := range n.Mentions[:min(len(n.Mentions), work.MaxMentions)] {
		w.exec("INSERT INTO mention SELECT ?,?,?,?,?,'' WHERE EXISTS (SELECT 1 FROM person WHERE id=? AND org=?) ON CONFLICT DO NOTHING",
			n.Org, p, n.ID, n.Work, stamp(n.At), p, n.Org)
	}
}

// AddNote writes a note on an entry, with its audit entry.
func (s *Store) AddNote(ctx context.Context, n work.Note, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		if !w.exists("SELECT 1 FROM work WHERE id=? AND org=?", n.Work, n.Org) && w.err == nil {
			return fmt.Errorf("work %s: %w", n.Work, ErrNotFound)
		}
		w.note(n)
		w.audit(entry)
		return w.err
	})
}

// Notes lists the notes of an entry, oldest first.
func (s *Store) Notes(ctx context.Context, org string, id work.ID) ([]work.Note, error) {
	return list(ctx, s, "SELECT id, org, work, author, at, text FROM note WHERE work=? AND org=? ORDER BY at, id LIMIT ?", []any{id, org, maxNotes},
		func(r *sql.Rows) (n work.Note, err error) {
			var at string
			err = r.Scan(&n.ID, &n.Org, &n.Work, &n.By, &at, &n.Text)
			n.At = parseStamp(at)
			return n, err
		})
}

// Mention is a note that names somebody who has not opened its entry since.
type Mention struct {
	Work work.Entry
	By   staff.PersonID
	Text string
}

// Mentions lists the notes that name a person and are not seen yet, newest first, up to n.
func (s *Store) Mentions(ctx context.Context, org string, id staff.PersonID, n int) ([]Mention, error) {
	return list(ctx, s, "SELECT "+workColumns+", o.author, o.text FROM mention m JOIN note o ON o.id=m.note JOIN work k ON k.id=m.work JOIN item i ON i.inbox=k.inbox AND i.number=k.number "+
		"WHERE m.org=? AND m.person=? AND m.seen='' ORDER BY m.at DESC LIMIT ?", []any{org, id, n}, func(r *sql.Rows) (m Mention, err error) {
		m.Work, err = scanWork(r, &m.By, &m.Text)
		return m, err
	})
}

// SeeMentions says that a person has opened an entry on which others named him. Nothing is written when nobody did.
func (s *Store) SeeMentions(ctx context.Context, org string, id work.ID, who staff.PersonID) error {
	var n int
	if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM mention WHERE org=? AND person=? AND work=? AND seen=''", org, who, id).Scan(&n); err != nil || n == 0 {
		return err
	}
	return s.doDesk(ctx, func(w *writer) error {
		w.exec("UPDATE mention SET seen=? WHERE org=? AND person=? AND work=? AND seen=''", stamp(s.now()), org, who, id)
		return w.err
	})
}

// Writers lists who has begun an answer to an entry, the first first; those not heard of lately are left out.
func (s *Store) Writers(ctx context.Context, org string, id work.ID) ([]work.Writer, error) {
	return list(ctx, s, "SELECT person, since, seen FROM writing WHERE work=? AND org=? AND seen>? ORDER BY since", []any{id, org, stamp(s.now().Add(-work.WritingFor))}, scanWriter)
}

func scanWriter(r *sql.Rows) (v work.Writer, err error) {
	var since, seen string
	err = r.Scan(&v.Person, &since, &seen)
	v.Since, v.Seen = parseStamp(since), parseStamp(seen)
	return v, err
}

// AnswersTo lists what was sent in answer to an entry, oldest first.
func (s *Store) AnswersTo(ctx context.Context, org string, id work.ID) ([]work.Answer, error) {
	return list(ctx, s, "SELECT message, principal, at FROM answer WHERE work=? AND org=? ORDER BY at, message", []any{id, org}, scanAnswer)
}

func scanAnswer(r *sql.Rows) (a work.Answer, err error) {
	var at string
	err = r.Scan(&a.Message, &a.By, &at)
	a.At = parseStamp(at)
	return a, err
}

// BeginAnswer says that a person begins to answer an entry. When somebody else writes on it or has answered it,
// nothing is written and the error is a *work.Collision, unless the person was told and goes on (again).
func (s *Store) BeginAnswer(ctx context.Context, org string, id work.ID, who staff.Person, again bool) error {
	return s.doDesk(ctx, func(w *writer) error {
		if !w.exists("SELECT 1 FROM work WHERE id=? AND org=?", id, org) && w.err == nil {
			return fmt.Errorf("work %s: %w", id, ErrNotFound)
		}
		if c, err := w.collision(org, id, who.ID); err != nil || c != nil && !again {
			return errors.Join(err, asError(c))
		}
		w.writing(org, id, who.ID, again)
		return w.err
	})
}

// writing says that a person writes an answer; again is who was told of others and goes on, and begins to know from now.
func (w *writer) writing(org string, id work.ID, who staff.PersonID, again bool) {
	w.exec(`INSERT INTO writing VALUES (?,?,?,?,?) ON CONFLICT(work, person) DO UPDATE SET seen=excluded.seen,
		since=CASE WHEN ?<>0 THEN excluded.since ELSE writing.since END`, id, who, org, stamp(w.s.now()), stamp(w.s.now()), again)
}

// StillWriting keeps a person's begun answer alive.
func (s *Store) StillWriting(ctx context.Context, org string, id work.ID, who staff.PersonID) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("UPDATE writing SET seen=? WHERE work=? AND org=? AND person=?", stamp(s.now()), id, org, who)
		return w.err
	})
}

// EndAnswer says that a person writes no longer: the answer was sent or given up.
func (s *Store) EndAnswer(ctx context.Context, org string, id work.ID, who staff.PersonID) error {
	return s.doDesk(ctx, func(w *writer) error {
		w.exec("DELETE FROM writing WHERE work=? AND org=? AND person=?", id, org, who)
		return w.err
	})
}

// asError keeps a nil collision from becoming an error that is not nil.
func asError(c *work.Collision) error {
	if c == nil {
		return nil
	}
	return c
}

func (w *writer) collision(org string, id work.ID, who staff.PersonID) (*work.Collision, error) {
	writers, err := listTx(w, "SELECT person, since, seen FROM writing WHERE work=? AND org=? ORDER BY since", []any{id, org}, scanWriter)
	if err != nil {
		return nil, err
	}
	answers, err := listTx(w, "SELECT message, principal, at FROM answer WHERE work=? AND org=? ORDER BY at", []any{id, org}, scanAnswer)
	if err != nil {
		return nil, err
	}
	since := zeroTime
	for _, v := range writers {
		if v.Person == who {
			since = v.Since
		}
	}
	return work.Collides(who, since, w.s.now(), writers, answers), nil
}

func listTx[T any](w *writer, query string, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	rows, err := w.tx.Query(query, args...)
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

// Answered lists the entries a message of ours answers.
func (s *Store) Answered(ctx context.Context, org string, id message.ID) ([]work.Entry, error) {
	return list(ctx, s, "SELECT "+workColumns+" FROM answer a JOIN work k ON k.id=a.work JOIN item i ON i.inbox=k.inbox AND i.number=k.number WHERE a.message=? AND a.org=?", []any{id, org}, scanEntry)
}

// zeroTime stands for "before everything".
var zeroTime time.Time
