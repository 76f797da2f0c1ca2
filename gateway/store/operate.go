package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/message"
)

// Selection names jobs: by number, by message, by lane (a destination domain, for what is not sealed yet as well), or
// all that are parked.
// Exactly one is set.
type Selection struct {
	Job     int64      `json:"job,omitempty"`
	Message message.ID `json:"message,omitempty"`
	Lane    string     `json:"lane,omitempty"`
	Parked  bool       `json:"parked,omitempty"`
}

// where is the selection as a condition. Jobs under way are never selected: their worker settles them.
func (c Selection) where(now string) (string, []any, error) {
	const idle = " AND (token='' OR due<=?)"
	switch {
	case c.Job > 0:
		return "id=?" + idle, []any{c.Job, now}, nil
	case c.Message != "":
		return "message=?" + idle, []any{c.Message, now}, nil
	case c.Lane != "": // what is not sealed yet has no lane, but recipients there
		return "(lane=? OR kind='seal' AND recipients" + holds + ")" + idle, []any{c.Lane, holding("@" + c.Lane + `"`), now}, nil
	case c.Parked:
		return "parked<>''" + idle, []any{now}, nil
	}
	return "", nil, errors.New("store: no jobs are named")
}

// HoldJobs keeps jobs out of work until a person resumes them, and says how many. Clocks go on.
func (s *Store) HoldJobs(ctx context.Context, c Selection, why string, entry AuditEntry) (int64, error) {
	return s.operate(ctx, c, entry, "UPDATE job SET parked=?, token='', last_error=? WHERE parked='' AND kind<>'timer' AND ",
		func(now string) []any { return []any{now, why} })
}

// ResumeJobs puts parked jobs back to work, each when it is due, with its attempts forgotten.
func (s *Store) ResumeJobs(ctx context.Context, c Selection, entry AuditEntry) (int64, error) {
	return s.operate(ctx, c, entry, "UPDATE job SET parked='', token='', attempts=0 WHERE parked<>'' AND ", func(string) []any { return nil })
}

// RetryJobs makes jobs due now, parked ones included, with their attempts forgotten. Clocks are left alone:
// a clock that is hurried would say "failed" too early.
func (s *Store) RetryJobs(ctx context.Context, c Selection, entry AuditEntry) (int64, error) {
	return s.operate(ctx, c, entry, "UPDATE job SET parked='', token='', attempts=0, due=? WHERE kind<>'timer' AND ",
		func(now string) []any { return []any{now} })
}

// LanesOf lists the lanes of the jobs selected, up to 1,000.
func (s *Store) LanesOf(ctx context.Context, c Selection) ([]string, error) {
	cond, args, err := c.where(stamp(s.now()))
	if err != nil {
		return nil, err
	}
	return list(ctx, s, "SELECT DISTINCT lane FROM job WHERE kind<>'timer' AND "+cond+" LIMIT ?", append(args, maxListed), func(r *sql.Rows) (lane string, err error) { return lane, r.Scan(&lane) })
}

// freeAtOnce bounds the jobs that one transaction of FreeLane makes due, so that nobody waits long behind it.
const freeAtOnce = 1000

// FreeLane makes the waiting jobs of a lane due now, and says how many: their destination was met again.
func (s *Store) FreeLane(ctx context.Context, lane string) (total int64, err error) {
	for _, class := range []queue.Class{queue.Network, queue.Notices} {
		for n := int64(freeAtOnce); n == freeAtOnce; total += n {
			err = s.enqueue(ctx, &change{wakes: true, work: []queue.Class{class}, reply: make(chan error, 1), apply: func(tx *sql.Tx) error {
				w := &writer{tx: tx, s: s}
				now := stamp(s.now())
				n = w.exec("UPDATE job SET due=? WHERE id IN (SELECT id FROM job WHERE class=? AND parked='' AND lane=? AND token='' AND due>? LIMIT ?)",
					now, class, lane, now, freeAtOnce)
				return w.err
			}})
			if err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// FreeWaiting makes the jobs of a class due now that wait with the same words, and says how many: what they wait for
// is there.
func (s *Store) FreeWaiting(ctx context.Context, class queue.Class, words string) (total int64, err error) {
	for n := int64(freeAtOnce); n == freeAtOnce; total += n {
		err = s.enqueue(ctx, &change{wakes: true, work: []queue.Class{class}, reply: make(chan error, 1), apply: func(tx *sql.Tx) error {
			w := &writer{tx: tx, s: s}
			now := stamp(s.now())
			n = w.exec("UPDATE job SET due=? WHERE id IN (SELECT id FROM job WHERE class=? AND parked='' AND token='' AND due>? AND last_error=? LIMIT ?)",
				now, class, now, words, freeAtOnce)
			return w.err
		}})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// operate runs one update of the selected jobs; nothing is audited when there were none.
func (s *Store) operate(ctx context.Context, c Selection, entry AuditEntry, update string, first func(now string) []any) (n int64, err error) {
	err = s.enqueue(ctx, &change{wakes: true, reply: make(chan error, 1), apply: func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		now := stamp(s.now())
		cond, args, err := c.where(now)
		if err != nil {
			return err
		}
		if n = w.exec(update+cond, append(first(now), args...)...); n > 0 {
			w.audit(entry)
		}
		return w.err
	}})
	return n, err
}

// Kept lists jobs of mail of one class that wait by a person's will, the parked ones and, where all is paused, the
// others, of messages that came before an instant: up to n after skip, those of the oldest messages first. What a
// restored database keeps is not among them (ParkAll).
func (s *Store) Kept(ctx context.Context, class queue.Class, paused bool, before time.Time, skip, n int) ([]queue.Job, error) {
	parked := "parked>''"
	if paused {
		parked = "parked>=''"
	}
	return list(ctx, s, "SELECT "+jobColumns+" FROM job WHERE class=? AND "+parked+" AND notice=0 AND NOT (parked>'' AND last_error LIKE '"+restoredWords+"%') AND EXISTS (SELECT 1 FROM message m WHERE m.id=job.message AND m.received<? AND m.kind='mail')"+
		" ORDER BY created, id LIMIT ? OFFSET ?", []any{class, stamp(before), n, skip}, scanJobs)
}

// Take claims one job by its number, whatever its due time, so that it can be settled by hand. It fails
// with ErrNotFound when there is no such job and ErrLeaseLost when a worker has it.
func (s *Store) Take(ctx context.Context, id int64) (j queue.Job, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if !w.exists("SELECT 1 FROM job WHERE id=?", id) && w.err == nil {
			return fmt.Errorf("job %d: %w", id, ErrNotFound)
		}
		now, tok := s.now(), s.token()
		rows, err := tx.Query("UPDATE job SET token=?, due=? WHERE id=? AND (token='' OR due<=?) RETURNING "+jobColumns, tok, stamp(now.Add(LeaseTime)), id, stamp(now))
		if err != nil {
			return fmt.Errorf("store: take: %w", err)
		}
		defer rows.Close()
		if !rows.Next() {
			return errors.Join(rows.Err(), fmt.Errorf("job %d is under way: %w", id, ErrLeaseLost))
		}
		if j, err = scanJob(rows); err != nil {
			return err
		}
		j.Lease = queue.Lease{Job: id, Token: tok, Until: now.Add(LeaseTime)}
		return rows.Err()
	})
	return j, err
}

// Depth is how many jobs of one class wait or are under way.
type Depth struct {
	Class  queue.Class `json:"class"`
	Parked bool        `json:"parked"`
	Jobs   int64       `json:"jobs"`
}

// Depths counts the queue. It reads an index of every job: ask now and then, not for each message.
func (s *Store) Depths(ctx context.Context) ([]Depth, error) {
	return list(ctx, s, "SELECT class, parked<>'', count(*) FROM job GROUP BY class, parked<>''", nil, func(r *sql.Rows) (d Depth, err error) {
		return d, r.Scan(&d.Class, &d.Parked, &d.Jobs)
	})
}

// LastEvent is the cursor behind all events committed so far.
func (s *Store) LastEvent(ctx context.Context) (seq int64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM event").Scan(&seq)
	return seq, err
}

// HeldCount is how many messages are held.
func (s *Store) HeldCount(ctx context.Context) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT count(*) FROM held WHERE state='held'").Scan(&n)
	return n, err
}

// Writable says whether the database can commit now: an error names why not.
func (s *Store) Writable(ctx context.Context) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO meta VALUES ('written', ?) ON CONFLICT(key) DO UPDATE SET value=excluded.value", stamp(s.now()))
		return err
	})
}

// ShiftDue moves the due time of every job, leases included, by so much: the clock was set.
func (s *Store) ShiftDue(ctx context.Context, by time.Duration) (n int64, err error) {
	err = s.enqueue(ctx, &change{wakes: true, reply: make(chan error, 1), apply: func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		n = w.exec(moveDue, by.Seconds())
		return w.err
	}})
	return n, err
}
