package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/message"
)

func (w *writer) job(j queue.Job) {
	data := string(j.Data)
	if data == "" {
		data = "{}"
	}
	now := w.s.now()
	due := j.Due
	if due.IsZero() {
		due = now
	}
	w.exec("INSERT INTO job(org, message, kind, class, notice, lane, recipients, data, due, created) VALUES (?,?,?,?,?,?,?,?,?,?)",
		j.Org, j.Message, j.Kind, j.Class(), j.Notice, j.Lane, column(j.Recipients), data, stamp(due), stamp(now))
}

// LeaseTime is how long a claimed job is its worker's before it becomes due again. A worker that needs
// longer renews.
const LeaseTime = 10 * time.Minute

// Claim takes up to n due jobs of a class, oldest first, leaving out the lanes given (those at their
// concurrency limit). Claimed jobs become due again when their lease ends.
func (s *Store) Claim(ctx context.Context, class queue.Class, n int, without []string) ([]queue.Job, error) {
	// Looking first costs no write: most claims find nothing.
	if due, err := s.NextDue(ctx, class); err != nil || due.IsZero() || due.After(s.now()) {
		return nil, err
	}
	var jobs []queue.Job
	err := s.do(ctx, func(tx *sql.Tx) error {
		jobs = nil
		now := s.now()
		until := now.Add(LeaseTime)
		tok := token()
		args := []any{tok, stamp(until), class, stamp(now)}
		skip := ""
		if len(without) > 0 {
			skip = " AND lane NOT IN (?" + strings.Repeat(",?", len(without)-1) + ")"
			for _, l := range without {
				args = append(args, l)
			}
		}
		args = append(args, n)
		rows, err := tx.Query("UPDATE job SET token=?, due=? WHERE id IN (SELECT id FROM job WHERE class=? AND parked='' AND due<=?"+
			skip+" ORDER BY due LIMIT ?) RETURNING "+jobColumns, args...)
		if err != nil {
			return fmt.Errorf("store: claim: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			j, err := scanJob(rows)
			if err != nil {
				return err
			}
			j.Lease = queue.Lease{Job: j.ID, Token: tok, Until: until}
			jobs = append(jobs, j)
		}
		return rows.Err()
	})
	return jobs, err
}

const jobColumns = "id, org, message, kind, notice, lane, recipients, data, due, created, attempts, last_error, parked"

func scanJob(rows *sql.Rows) (queue.Job, error) {
	var j queue.Job
	var rcpts, data, due, created, parked string
	if err := rows.Scan(&j.ID, &j.Org, &j.Message, &j.Kind, &j.Notice, &j.Lane, &rcpts, &data, &due, &created, &j.Attempts, &j.LastError, &parked); err != nil {
		return j, fmt.Errorf("store: job: %w", err)
	}
	j.Data, j.Due, j.Created, j.Parked = json.RawMessage(data), parseStamp(due), parseStamp(created), parked != ""
	if err := json.Unmarshal([]byte(rcpts), &j.Recipients); err != nil {
		return j, fmt.Errorf("store: job %d: recipients: %w", j.ID, err)
	}
	return j, nil
}

// Renew lengthens a lease by LeaseTime from now; ErrLeaseLost when it is no longer ours.
func (s *Store) Renew(ctx context.Context, l queue.Lease) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE job SET due=? WHERE id=? AND token=?", stamp(s.now().Add(LeaseTime)), l.Job, l.Token) != 1 && w.err == nil {
			return ErrLeaseLost
		}
		return w.err
	})
}

// Release gives claimed jobs back untouched, as a worker does that is told to stop.
func (s *Store) Release(ctx context.Context, leases []queue.Lease) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		for _, l := range leases {
			if _, err := tx.Exec("UPDATE job SET token='', due=? WHERE id=? AND token=?", stamp(s.now()), l.Job, l.Token); err != nil {
				return fmt.Errorf("store: release: %w", err)
			}
		}
		return nil
	})
}

// NextDue is when the next unparked job of the class is due; zero when there is none.
func (s *Store) NextDue(ctx context.Context, class queue.Class) (time.Time, error) {
	var due sql.NullString
	err := s.read.QueryRowContext(ctx, "SELECT min(due) FROM job WHERE class=? AND parked=''", class).Scan(&due)
	return parseStamp(due.String), err
}

// Jobs lists the jobs of a message, or all (up to 1,000) when id is "".
func (s *Store) Jobs(ctx context.Context, id message.ID) ([]queue.Job, error) {
	return list(ctx, s, "SELECT "+jobColumns+" FROM job WHERE ?='' OR message=? ORDER BY due LIMIT 1000", []any{id, id}, scanJob)
}

// DropTimers removes the clocks of a message that nothing waits for any more.
func (s *Store) DropTimers(ctx context.Context, id message.ID) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM job WHERE message=? AND kind=? AND token=''", id, queue.Timer)
		return err
	})
}
