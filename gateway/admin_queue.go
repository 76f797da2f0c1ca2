package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"postern/gateway/audit"
	"postern/gateway/backup"
	"postern/gateway/delivery/queue"
	"postern/gateway/store"
)

// metaMode is the database's own setting that keeps a Mode over restarts.
const metaMode = "queue_mode"

// Mode is what an operator asked of the queue as a whole. The zero Mode is normal work.
type Mode struct {
	Paused   bool      `json:"paused"`   // nothing is sealed, opened, relayed or delivered; mail is taken, clocks go on
	Draining bool      `json:"draining"` // no new mail is taken (SMTP 452); what waits is worked off
	Actor    string    `json:"actor,omitempty"`
	Since    time.Time `json:"since,omitzero"`
}

// mode is the Mode in force.
type mode struct{ atomic.Pointer[Mode] }

func (m *mode) get() Mode {
	if v := m.Load(); v != nil {
		return *v
	}
	return Mode{}
}

// loadMode takes up what was asked for before the last restart.
func (s *Site) loadMode(ctx context.Context) error {
	text, err := s.Store.Meta(ctx, metaMode)
	if err != nil || text == "" {
		return err
	}
	var m Mode
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return fmt.Errorf("gateway: the queue's mode in the database: %w", err)
	}
	s.mode.Store(&m)
	return nil
}

// Errors of admission; peers hear 452 and come back.
var (
	errDraining = errors.New("gateway: draining: no new mail is taken")
	errTooMuch  = errors.New("gateway: too much waits already")
)

// Copies is how many times its own size a message may need on disk until it is done: as submitted, sealed
// (a third more), and opened again where both sides are ours.
const Copies = 4

// Admit says whether new mail of a size (0: unknown) can be taken now: pressure is met before trouble.
func (s *Site) Admit(_ context.Context, size int64) error {
	if s.mode.get().Draining {
		return errDraining
	}
	if n, limit := s.waiting.Load(), s.Config.Queue.MaxWaiting; limit > 0 && n >= limit {
		return fmt.Errorf("%w: %d jobs, queue.max_waiting is %d", errTooMuch, n, limit)
	}
	return s.Spool.Room(Copies * size)
}

// watchEvery is how often the depth of the queue is counted.
const watchEvery = 5 * time.Second

// watch keeps the depth of the queue at hand.
func (s *Site) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	wall, began := s.now().Round(0), time.Now()
	for {
		elapsed := time.Since(began)
		now := s.now().Round(0)
		s.stepped(ctx, now.Sub(wall)-elapsed)
		wall, began = now, time.Now()
		if err := s.count(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("the queue cannot be counted", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// stepBack is the smallest step of the clock backwards that moves the queue along: below it the wait it
// causes is not worth a write.
const stepBack = 2 * time.Second

// stepped moves what is due along when the clock was set back, or all of it would wait until the clock is
// again where it was. A clock set forward needs nothing: what it makes due too early is claimed again by nobody
// whose lease has not ended, and settled by the one that comes first.
func (s *Site) stepped(ctx context.Context, by time.Duration) {
	if by > -stepBack {
		return
	}
	n, err := s.Store.ShiftDue(ctx, by)
	if err != nil {
		s.Log.Error("the clock was set back and the queue could not be moved along", "by", by, "error", err)
		return
	}
	s.Log.Warn("the clock was set back; the queue was moved along", "by", by, "jobs", n)
}

// count counts the jobs that wait for work; clocks are none.
func (s *Site) count(ctx context.Context) error {
	depths, err := s.Store.Depths(ctx)
	if err != nil {
		return err
	}
	var n int64
	for _, d := range depths {
		if d.Class != queue.Clerical {
			n += d.Jobs
		}
	}
	s.waiting.Store(n)
	return nil
}

// SetMode pauses, drains or resumes the queue as a whole; it lasts over restarts.
func (a Admin) SetMode(ctx context.Context, action string) (Mode, error) {
	m := a.s.mode.get()
	switch action {
	case "pause":
		m.Paused = true
	case "drain":
		m.Draining = true
	case "resume":
		m = Mode{}
	case "":
		return m, nil
	default:
		return m, fmt.Errorf("gateway: no queue action %q", action)
	}
	m.Actor, m.Since = a.actor, a.s.now().UTC()
	text, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	if err := a.s.Store.SetMeta(ctx, metaMode, string(text)); err != nil {
		return m, err
	}
	a.s.mode.Store(&m)
	_, err = a.s.Store.Commit(ctx, queue.Lease{}, store.Step{Audit: []store.AuditEntry{a.entry("queue."+action, "queue", nil)}}) // wakes the workers
	return m, err
}

// QueueArg is what `queue hold|resume|retry` do, and to which jobs.
type QueueArg struct {
	Action string `json:"action"`
	store.Selection
}

// OperateQueue holds, resumes or retries jobs and says how many.
func (a Admin) OperateQueue(ctx context.Context, in QueueArg) (int64, error) {
	e := a.entry("queue."+in.Action, in.object(), nil)
	switch in.Action {
	case "hold":
		return a.s.Store.HoldJobs(ctx, in.Selection, "held by "+a.actor, e)
	case "resume":
		return a.s.Store.ResumeJobs(ctx, in.Selection, e)
	case "retry":
		lanes, err := a.s.Store.LanesOf(ctx, in.Selection)
		if err != nil {
			return 0, err
		}
		for _, lane := range lanes {
			a.s.Pipeline.Retry(lane)
		}
		return a.s.Store.RetryJobs(ctx, in.Selection, e)
	}
	return 0, fmt.Errorf("gateway: no queue action %q", in.Action)
}

func (in QueueArg) object() string {
	switch {
	case in.Job > 0:
		return fmt.Sprintf("job %d", in.Job)
	case in.Message != "":
		return string(in.Message)
	case in.Lane != "":
		return in.Lane
	}
	return "all parked"
}

// DropJob gives one job up; whoever must hear of it does (pipeline.Drop).
func (a Admin) DropJob(ctx context.Context, id int64) (none, error) {
	return none{}, a.s.Pipeline.Drop(ctx, id, a.entry("queue.drop", fmt.Sprintf("job %d", id), nil))
}

// operatorVerbs are those of running the gateway, as opposed to those of its business.
func operatorVerbs() map[string]verb {
	return map[string]verb{
		"queue.mode":    with(func(ctx context.Context, a Admin, action string) (Mode, error) { return a.SetMode(ctx, action) }),
		"queue.operate": with(func(ctx context.Context, a Admin, in QueueArg) (int64, error) { return a.OperateQueue(ctx, in) }),
		"queue.drop":    with(func(ctx context.Context, a Admin, id int64) (none, error) { return a.DropJob(ctx, id) }),
		"backup":        with(func(ctx context.Context, a Admin, dir string) (backup.Manifest, error) { return a.Backup(ctx, dir) }),
		"audit.list":    with(func(ctx context.Context, a Admin, in AuditArg) ([]audit.Entry, error) { return a.AuditList(ctx, in) }),
		"audit.verify": with(func(ctx context.Context, a Admin, known []audit.Head) (Audited, error) {
			return a.AuditVerify(ctx, known)
		}),
		"retention.list": with(func(ctx context.Context, a Admin, _ none) ([]store.Leaving, error) { return a.s.Store.Leavings(ctx) }),
		"retention.set":  with(func(ctx context.Context, a Admin, in RetentionSet) (none, error) { return a.RetentionSet(ctx, in) }),
		"queue.unconfirmed": with(func(ctx context.Context, a Admin, _ none) (store.Unconfirmed, error) {
			return a.s.Store.Unconfirmed(ctx)
		}),
		"queue.depth": with(func(ctx context.Context, a Admin, _ none) ([]store.Depth, error) { return a.s.Store.Depths(ctx) }),
	}
}
