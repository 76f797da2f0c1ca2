package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
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

// Lanes says how much room each lane has for more work: those named have what is given, all others
// have PerLane. The empty lane has no limit.
type Lanes struct {
	Busy    map[string]int // jobs of a lane under way
	PerLane int            // limit of each lane; 0 is none
}

func (l Lanes) room(lane string) int {
	if l.PerLane <= 0 || lane == "" {
		return math.MaxInt
	}
	return l.PerLane - l.Busy[lane]
}

// claimLook is how many due jobs are looked at, oldest first, before the lanes are gone through one by one.
const claimLook = 256

// Claim takes up to n due jobs of a class, oldest first, and no more of a lane than it has room for.
// Claimed jobs become due again when their lease ends. Its cost does not depend on how many jobs wait: only
// where the oldest 256 cannot fill the order does it grow, with the number of lanes.
func (s *Store) Claim(ctx context.Context, class queue.Class, n int, lanes Lanes) ([]queue.Job, error) {
	if err := s.giveBack(ctx); err != nil {
		return nil, err
	}
	tok := s.token()
	// Looking first costs no write: most claims find nothing.
	ids, err := s.claimable(ctx, class, n, lanes)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	var jobs []queue.Job
	err = s.do(ctx, func(tx *sql.Tx) error {
		jobs = nil
		now := s.now()
		until := now.Add(LeaseTime)
		args := []any{tok, stamp(until)}
		for _, id := range ids {
			args = append(args, id)
		}
		// What was seen may be gone or taken: only what is still due is claimed.
		rows, err := tx.Query("UPDATE job SET token=?, due=? WHERE id IN (?"+strings.Repeat(",?", len(ids)-1)+
			") AND parked='' AND due<=? RETURNING "+jobColumns, append(args, stamp(now))...)
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
	if err != nil {
		// What could not be committed was not claimed, and nobody may work on it. If it was written all the
		// same, the next claim gives it back.
		s.unsure.add(tok)
		return nil, err
	}
	return jobs, nil
}

// tokens are those of claims that may or may not have been written.
type tokens struct {
	mu   sync.Mutex
	list []string
}

func (t *tokens) add(tok string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, tok)
}

// giveBack frees what claims took that said they failed.
func (s *Store) giveBack(ctx context.Context) error {
	s.unsure.mu.Lock()
	defer s.unsure.mu.Unlock()
	if len(s.unsure.list) == 0 {
		return nil
	}
	err := s.do(ctx, func(tx *sql.Tx) error {
		for _, tok := range s.unsure.list {
			if _, err := tx.Exec("UPDATE job SET token='', due=? WHERE token=?", stamp(s.now()), tok); err != nil {
				return fmt.Errorf("store: claim: %w", err)
			}
		}
		return nil
	})
	if err == nil {
		s.unsure.list = nil
	}
	return err
}

// candidate is a due job as far as claiming needs it.
type candidate struct {
	id        int64
	lane, due string
}

// claimable picks the jobs to claim.
func (s *Store) claimable(ctx context.Context, class queue.Class, n int, lanes Lanes) ([]int64, error) {
	now := stamp(s.now())
	n = min(n, claimLook)
	oldest, err := list(ctx, s, "SELECT id, lane, due FROM job WHERE class=? AND parked='' AND due<=? ORDER BY due LIMIT ?",
		[]any{class, now, claimLook}, scanCandidate)
	if err != nil {
		return nil, err
	}
	ids := lanes.pick(oldest, n)
	if len(ids) == n || len(oldest) < claimLook {
		return ids, nil
	}
	// The head of the queue is full of lanes without room: look at the head of every lane.
	names, err := list(ctx, s, `WITH RECURSIVE l(lane) AS (SELECT min(lane) FROM job WHERE class=?1 AND parked=''
		UNION ALL SELECT (SELECT min(lane) FROM job WHERE class=?1 AND parked='' AND lane>l.lane) FROM l WHERE l.lane IS NOT NULL)
		SELECT lane FROM l WHERE lane IS NOT NULL`, []any{class}, func(r *sql.Rows) (l string, err error) { return l, r.Scan(&l) })
	if err != nil {
		return nil, err
	}
	var heads []candidate
	for _, lane := range names {
		room := min(n, lanes.room(lane))
		if room <= 0 {
			continue
		}
		of, err := list(ctx, s, "SELECT id, lane, due FROM job WHERE class=? AND parked='' AND lane=? AND due<=? ORDER BY due LIMIT ?",
			[]any{class, lane, now, room}, scanCandidate)
		if err != nil {
			return nil, err
		}
		heads = append(heads, of...)
	}
	slices.SortFunc(heads, func(a, b candidate) int { return cmp.Compare(a.due, b.due) })
	return lanes.pick(heads, n), nil
}

func scanCandidate(r *sql.Rows) (c candidate, err error) {
	err = r.Scan(&c.id, &c.lane, &c.due)
	return c, err
}

// pick takes up to n, in order, and of each lane no more than there is room for.
func (l Lanes) pick(from []candidate, n int) []int64 {
	var ids []int64
	taken := map[string]int{}
	for _, c := range from {
		if len(ids) == n {
			break
		}
		if taken[c.lane] < l.room(c.lane) {
			taken[c.lane]++
			ids = append(ids, c.id)
		}
	}
	return ids
}

// token is a lease's secret: it begins with the node that holds it.
func (s *Store) token() string { return s.node + "." + rand.Text() }

// FreeLeases gives back what this node held when it ended without saying so. It is called once, before
// this node claims anything: then no lease of its own can be alive.
func (s *Store) FreeLeases(ctx context.Context) (n int64, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		n = w.exec("UPDATE job SET token='', due=? WHERE token>? AND token<?", stamp(s.now()), s.node+".", s.node+"/") // '/' follows '.'
		return w.err
	})
	return n, err
}

const jobColumns = "id, org, message, kind, notice, lane, recipients, data, due, created, attempts, last_error, parked, token<>''"

func scanJob(rows *sql.Rows) (queue.Job, error) {
	var j queue.Job
	var rcpts, data, due, created, parked string
	if err := rows.Scan(&j.ID, &j.Org, &j.Message, &j.Kind, &j.Notice, &j.Lane, &rcpts, &data, &due, &created, &j.Attempts, &j.LastError, &parked, &j.Claimed); err != nil {
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
