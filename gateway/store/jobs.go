package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
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
	w.exec("INSERT INTO job(org, message, kind, class, notice, priority, lane, recipients, data, due, created) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
		j.Org, j.Message, j.Kind, j.Class(), j.Notice, j.Priority(), j.Lane, column(j.Recipients), data, stamp(due), stamp(now))
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

// claimLook is how many due jobs of each priority are looked at before the lanes are gone through one by one.
const claimLook = 64

// Claim takes up to n due jobs of a class, oldest first but for the head start of their priority, and no more of a
// lane than it has room for. Claimed jobs become due again when their lease ends. Its cost does not depend on how
// many jobs wait: only where the heads of the queue cannot fill the order does it grow, with the number of lanes.
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
	err = s.doLease(ctx, func(tx *sql.Tx) error {
		jobs = nil
		now := s.now()
		until := now.Add(LeaseTime)
		w := &writer{tx: tx, s: s}
		for _, id := range ids {
			// What was seen may be gone or taken: only what is still due is claimed.
			j, err := scanJob(w.row("UPDATE job SET token=?, due=? WHERE id=? AND parked='' AND due<=? RETURNING "+jobColumns, tok, stamp(until), id, stamp(now)))
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return fmt.Errorf("store: claim: %w", err)
			}
			j.Lease = queue.Lease{Job: j.ID, Token: tok, Until: until}
			jobs = append(jobs, j)
		}
		return nil
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
	err := s.doLease(ctx, func(tx *sql.Tx) error {
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
	id   int64
	lane string
	turn time.Time // when it is due, less its head start: the order of claiming
}

func scanCandidate(r *sql.Rows) (c candidate, err error) {
	var due string
	var p queue.Priority
	err = r.Scan(&c.id, &c.lane, &p, &due)
	c.turn = parseStamp(due).Add(-p.HeadStart())
	return c, err
}

// heads is a question for the first due jobs of each priority, by its own index. The limit stands in the text: SQLite
// plans by it, and would plan anew at each asking if it were a parameter.
func heads(where string, limit int) string {
	var q []string
	for _, p := range queue.Priorities() {
		q = append(q, fmt.Sprintf("SELECT * FROM (SELECT id, lane, priority, due FROM job WHERE class=? AND parked='' AND priority=%d AND due<=?%s ORDER BY due LIMIT %d) head", p, where, limit))
	}
	return strings.Join(q, " UNION ALL ")
}

// eachPriority is what a question that has a part for each priority is asked with: the same for all.
func eachPriority(args ...any) []any { return slices.Repeat(args, len(queue.Priorities())) }

// claimFew is how many due jobs of each priority are looked at first.
const claimFew = 8

var (
	fewHeads  = heads("", claimFew)
	manyHeads = heads("", claimLook)
	laneHeads = heads(" AND lane=?", claimLook)
)

// claimable picks the jobs to claim.
func (s *Store) claimable(ctx context.Context, class queue.Class, n int, lanes Lanes) ([]int64, error) {
	now := stamp(s.now())
	n = min(n, claimLook)
	for _, look := range []int{claimFew, claimLook} {
		question := manyHeads
		switch {
		case look == claimFew && n > claimFew:
			continue
		case look == claimFew:
			question = fewHeads
		}
		first, err := list(ctx, s, question, eachPriority(class, now), scanCandidate)
		if err != nil {
			return nil, err
		}
		// Fewer than were looked at are all there are.
		if ids := lanes.pick(first, n); len(ids) == n || len(first) < look {
			return ids, nil
		}
	}
	// The head of the queue is full of lanes without room: look at the head of every lane.
	names, err := list(ctx, s, `WITH RECURSIVE l(lane) AS (SELECT min(lane) FROM job WHERE class=? AND parked=''
		UNION ALL SELECT (SELECT min(lane) FROM job WHERE class=? AND parked='' AND lane>l.lane) FROM l WHERE l.lane IS NOT NULL)
		SELECT lane FROM l WHERE lane IS NOT NULL`, []any{class, class}, func(r *sql.Rows) (l string, err error) { return l, r.Scan(&l) })
	if err != nil {
		return nil, err
	}
	var found []candidate
	for _, lane := range names {
		if lanes.room(lane) <= 0 {
			continue
		}
		of, err := list(ctx, s, laneHeads, eachPriority(class, now, lane), scanCandidate)
		if err != nil {
			return nil, err
		}
		found = append(found, of...)
	}
	return lanes.pick(found, n), nil
}

// pick takes up to n, in their turn, and of each lane no more than there is room for.
func (l Lanes) pick(from []candidate, n int) []int64 {
	slices.SortStableFunc(from, func(a, b candidate) int { return a.turn.Compare(b.turn) })
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
	err = s.doLease(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		n = w.exec("UPDATE job SET token='', due=? WHERE token>? AND token<?", stamp(s.now()), s.node+".", s.node+"/") // '/' follows '.'
		return w.err
	})
	return n, err
}

const jobColumns = "id, org, message, kind, notice, priority=2, lane, recipients, data, due, created, attempts, last_error, parked, token<>''"

// row is a *sql.Row or the current one of *sql.Rows.
type row interface{ Scan(into ...any) error }

func scanJobs(r *sql.Rows) (queue.Job, error) { return scanJob(r) }

func scanJob(r row) (queue.Job, error) {
	var j queue.Job
	var rcpts, data, due, created, parked string
	if err := r.Scan(&j.ID, &j.Org, &j.Message, &j.Kind, &j.Notice, &j.Urgent, &j.Lane, &rcpts, &data, &due, &created, &j.Attempts, &j.LastError, &parked, &j.Claimed); err != nil {
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
	return s.doLease(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE job SET due=? WHERE id=? AND token=?", stamp(s.now().Add(LeaseTime)), l.Job, l.Token) != 1 && w.err == nil {
			return ErrLeaseLost
		}
		return w.err
	})
}

// Release gives claimed jobs back untouched, as a worker does that is told to stop.
func (s *Store) Release(ctx context.Context, leases []queue.Lease) error {
	return s.doLease(ctx, func(tx *sql.Tx) error {
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
	due, err := one(ctx, s, nextDue, eachPriority(class), func(r *sql.Rows) (due sql.NullString, err error) { return due, r.Scan(&due) })
	return parseStamp(due.String), err
}

// nextDue looks at the first of each priority.
var nextDue = func() string {
	var q []string
	for _, p := range queue.Priorities() {
		q = append(q, fmt.Sprintf("SELECT min(due) AS d FROM job WHERE class=? AND parked='' AND priority=%d", p))
	}
	return "SELECT min(d) FROM (" + strings.Join(q, " UNION ALL ") + ") head"
}()

// maxListed bounds a list of jobs.
const maxListed = 1000

// Jobs lists the jobs of a message, or of all (up to 1,000) when id is "": what is due first comes first, and clocks
// come last, so that thousands of them hide no work.
func (s *Store) Jobs(ctx context.Context, id message.ID) ([]queue.Job, error) {
	if id != "" {
		return list(ctx, s, "SELECT "+jobColumns+" FROM job WHERE message=? ORDER BY due LIMIT ?", []any{id, maxListed}, scanJobs)
	}
	var all []queue.Job
	for _, class := range queue.Classes() { // each by its own index, and clocks are the last
		if class == queue.Clerical && len(all) >= maxListed {
			break
		}
		jobs, err := list(ctx, s, "SELECT "+jobColumns+" FROM job WHERE class=? ORDER BY parked, priority, due LIMIT ?", []any{class, maxListed}, scanJobs)
		if err != nil {
			return nil, err
		}
		all = append(all, jobs...)
	}
	slices.SortStableFunc(all, func(a, b queue.Job) int {
		clock := func(j queue.Job) int {
			if j.Kind == queue.Timer {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(clock(a), clock(b)), a.Due.Compare(b.Due))
	})
	return all[:min(len(all), maxListed)], nil
}
