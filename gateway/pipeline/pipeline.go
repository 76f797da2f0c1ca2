// Package pipeline puts the gateway's stages in order: what a message does between being accepted and
// being filed, handed on or refused.
//
//	OUT  accept ─▶ seal ─▶ relay (or, for a recipient of ours, the same sealed bytes enter at IN: AS-74)
//	IN   accept ─▶ open ─▶ inbox, or deliver to an SMTP edge; notices fall due on the way
//
// A stage reads rows and bytes, acts, and returns its effects as one store.Step, which is committed with
// the settlement of the job that caused it: all of it or none (one step, one commit). Before an act on the
// network its job is committed; after it the outcome is. A crash between the two repeats the act: at least
// once to the network, exactly once into an inbox (by tombstone).
//
// Limits: workers a class in Config; a job is parked as poison after queue.MaxAttempts internal faults.
package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Sender hands bytes to another mail server.
type Sender interface {
	Send(ctx context.Context, r relay.Route, e relay.Envelope, open func() (io.ReadCloser, error)) (relay.Result, error)
}

// Router says where mail for a domain elsewhere goes next.
type Router interface {
	NextHop(d addr.Domain) relay.Route
}

// Secrets opens what was sealed at rest (an SMTP edge's password).
type Secrets interface {
	OpenSecret(org, purpose string, sealed []byte) ([]byte, error)
}

// Clocks are the gateway's patience. T1 and T2 are DN-42's.
type Clocks struct {
	T1     time.Duration // sent → processed; also how long an outbound message is tried
	T2     time.Duration // processed → dispatched, where final delivery was asked for
	Inside time.Duration // how long delivery to an SMTP edge is tried: below the peers' T1 (DN-60)
}

// DefaultClocks are 60 minutes for the peer and 50 for ourselves.
func DefaultClocks() Clocks {
	return Clocks{T1: time.Hour, T2: time.Hour, Inside: 50 * time.Minute}
}

// Config is what a pipeline is made of.
type Config struct {
	Store    *store.Store
	Spool    *spool.Store
	Agent    *agent.Agent
	Sender   Sender
	Router   Router
	Secrets  Secrets
	Clocks   Clocks
	Hostname string // Reporting-MTA and Reporting-UA
	Log      *slog.Logger
	Now      func() time.Time
	Final    bool                                                 // ask for final delivery on every message of ours (DN-11)
	Workers  map[queue.Class]int                                  // zero entries get defaults
	Watch    func(k queue.Kind, f queue.Fate, took time.Duration) // nil: nobody counts; set before Run
	Scan     bool                                                 // files that come in are to be shown to a scanner
	Paused   func() bool                                          // nil: never; while true only clocks are worked
}

// Pipeline runs the stages. Run it once.
type Pipeline struct {
	Config
	lanes lanes
	away  destinations
	seeks destinations // the same of the domains whose certificates are looked for

	silent silences
}

// New makes a pipeline.
func New(c Config) *Pipeline {
	if c.Workers == nil {
		c.Workers = map[queue.Class]int{}
	}
	for class, n := range map[queue.Class]int{queue.Lookups: 32, queue.Crypto: runtime.GOMAXPROCS(0) + 6, queue.Network: 32, queue.Notices: 16, queue.Clerical: 1} {
		if c.Workers[class] == 0 {
			c.Workers[class] = n
		}
	}
	return &Pipeline{Config: c}
}

// Run works until ctx ends, then gives back what it holds and returns.
//
// What this node had claimed when it was last ended by force is due again at once, not after its lease.
func (p *Pipeline) Run(ctx context.Context) error {
	for wait := commitWait; ; wait = min(2*wait, idle) {
		n, err := p.Store.FreeLeases(ctx)
		if err == nil {
			if n > 0 {
				p.Log.Info("work that was under way when the gateway last ended is taken up again", "jobs", n)
			}
			break
		}
		p.Log.Error("cannot take up work", "error", err)
		if !pause(ctx, wait) {
			return nil
		}
	}
	var wg sync.WaitGroup
	for _, class := range queue.Classes() {
		wg.Go(func() { p.dispatch(ctx, class) })
	}
	wg.Go(func() { p.overstay(ctx) })
	wg.Wait()
	return nil
}

// idle bounds how long a dispatcher sleeps when nothing is announced.
const idle = 30 * time.Second

// dispatch claims jobs of one class as its workers become free.
func (p *Pipeline) dispatch(ctx context.Context, class queue.Class) {
	n := p.Workers[class]
	free := make(chan struct{}, n)
	for range n {
		free <- struct{}{}
	}
	ended := make(chan struct{}, 1) // a job was settled: its lane has room, or it is due again
	var wg sync.WaitGroup
	defer wg.Wait()
	trouble := commitWait
	for {
		select {
		case <-ctx.Done():
			return
		case <-free:
		}
		slots := 1
		for more := true; more && slots < n; {
			select {
			case <-free:
				slots++
			default:
				more = false
			}
		}
		work := p.Store.Ready(class)
		select {
		case <-ended:
		default:
		}
		var jobs []queue.Job
		var err error
		paused := class != queue.Clerical && p.Paused != nil && p.Paused()
		if !paused {
			jobs, err = p.Store.Claim(ctx, class, slots, store.Lanes{Busy: p.lanes.busy(), PerLane: MaxPerLane})
		}
		for range slots - len(jobs) {
			free <- struct{}{}
		}
		for _, j := range jobs {
			p.lanes.enter(j.Lane)
			wg.Go(func() {
				defer func() {
					p.lanes.leave(j.Lane)
					free <- struct{}{}
					select {
					case ended <- struct{}{}:
					default:
					}
				}()
				p.work(ctx, j)
			})
		}
		switch {
		case err != nil && ctx.Err() == nil:
			p.Log.Error("no work can be taken; it is tried again", "class", class, "error", err)
			pause(ctx, trouble)
			trouble = min(2*trouble, idle)
			continue
		case len(jobs) == 0:
			p.wait(ctx, class, wakes{work, ended}, paused)
		}
		trouble = commitWait
	}
}

// wakes is what may bring work to a class.
type wakes struct{ work, ended <-chan struct{} }

// wait returns when there may be work: some was committed, a job was settled or falls due, or a while has passed.
func (p *Pipeline) wait(ctx context.Context, class queue.Class, w wakes, paused bool) {
	d := idle
	if paused {
		// resuming is a commit
	} else if due, err := p.Store.NextDue(ctx, class); err == nil && !due.IsZero() {
		d = min(max(due.Sub(p.Now()), 50*time.Millisecond), idle)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.work:
	case <-w.ended:
	case <-t.C:
	}
}

// work does one job and commits what came of it.
func (p *Pipeline) work(ctx context.Context, j queue.Job) {
	log := p.Log.With("message", j.Message, "job", j.ID, "kind", j.Kind)
	alive, end := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { p.renew(alive, log, j.Lease) })
	began := time.Now()
	step, err := p.stage(ctx, j)
	end()
	renewing.Wait()
	if ctx.Err() != nil && err != nil {
		// Told to stop in the middle: the job goes back untouched.
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if e := p.Store.Release(release, []queue.Lease{j.Lease}); e != nil {
			log.Error("job not given back; it falls due when its lease ends", "error", e)
		}
		return
	}
	if err != nil {
		step = p.fault(ctx, log, j, err)
	}
	p.place(context.WithoutCancel(ctx), &step)
	p.commit(ctx, log, j, step)
	if p.Watch != nil && step.Settle != nil {
		p.Watch(j.Kind, step.Settle.Fate, time.Since(began))
	}
}

// commitWait is the first wait before a step is committed again; it doubles up to idle.
const commitWait = 100 * time.Millisecond

// commitTries is how often a step is offered before the job is settled as failed instead: a step that
// can never be written must end as poison, not go round for ever.
const commitTries = 6

// commit writes what came of a job. What was done may not be undone (a peer said 250), so a database
// that is locked, busy or full is asked again while the lease lasts or until told to stop. Repeating is
// safe: a step that was written after all has ended the lease.
func (p *Pipeline) commit(ctx context.Context, log *slog.Logger, j queue.Job, step store.Step) {
	until := time.Now().Add(store.LeaseTime / 2)
	for try, wait := 1, commitWait; ; try, wait = try+1, min(2*wait, idle) {
		_, err := p.Store.Commit(context.WithoutCancel(ctx), j.Lease, step)
		if err != nil && try >= commitTries && !errors.Is(err, store.ErrLeaseLost) {
			log.Error("step not committed; the job is settled as failed", "error", err)
			given := p.fault(ctx, log, j, giveUpWriting(step, err))
			p.place(context.WithoutCancel(ctx), &given)
			_, err = p.Store.Commit(context.WithoutCancel(ctx), j.Lease, given)
		}
		switch {
		case err == nil:
			return
		case errors.Is(err, store.ErrLeaseLost):
			log.Warn("another worker settled this job; nothing of this attempt was written")
			return
		}
		log.Error("step not committed", "try", try, "error", err)
		if time.Now().After(until) || !pause(ctx, wait) {
			log.Error("the job falls due again when its lease ends")
			return
		}
	}
}

// pause waits; it is false when told to stop.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// renew keeps a job's lease while its stage works, however slow the peer.
func (p *Pipeline) renew(ctx context.Context, log *slog.Logger, l queue.Lease) {
	t := time.NewTicker(store.LeaseTime / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := p.Store.Renew(ctx, l); err != nil && ctx.Err() == nil {
				log.Error("lease not renewed", "error", err)
			}
		}
	}
}

// fault settles a job that met an internal fault: again later, or parked once it is poison. It is tried on
// while not even that can be told.
func (p *Pipeline) fault(ctx context.Context, log *slog.Logger, j queue.Job, err error) store.Step {
	s := &queue.Settlement{Fate: queue.Retry, Due: p.Now().Add(queue.Backoff(j.Attempts + 1)), Error: err.Error()}
	again := store.Step{Settle: s}
	p.remember(&again, err)
	// A clock is never given up, or its message's sender would wait for ever; and a full disk is no fault of
	// the job, which goes on when there is room.
	if errors.Is(err, spool.ErrNoSpace) || j.Kind == queue.Timer {
		log.Warn("job failed and will be tried again", "attempts", j.Attempts+1, "error", err)
		return again
	}
	end := p.ends(context.WithoutCancel(ctx), j)
	over := !end.IsZero() && !p.Now().Before(end)
	if !end.IsZero() && !over && end.Before(s.Due) {
		s.Due = end
	}
	if over || j.Attempts+1 >= queue.MaxAttempts {
		step, told := p.poison(context.WithoutCancel(ctx), j, err)
		if told == nil {
			log.Error("job parked: it failed too often; see `postern queue`", "attempts", j.Attempts+1, "error", err)
			return step
		}
		log.Error("a job that failed too often cannot be given up yet", "error", told)
	}
	log.Warn("job failed and will be tried again", "attempts", j.Attempts+1, "error", err)
	return again
}

// ends is when somebody who waits for a job's message must be told, however often it was tried; zero is never.
func (p *Pipeline) ends(ctx context.Context, j queue.Job) time.Time {
	switch j.Kind {
	case queue.Seal, queue.Relay, queue.Deliver:
	default:
		return time.Time{}
	}
	m, err := p.Store.Message(ctx, j.Message)
	if err != nil || m.Kind != message.Mail {
		return time.Time{}
	}
	return p.endOf(j, m)
}

func (p *Pipeline) stage(ctx context.Context, j queue.Job) (step store.Step, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pipeline: panic in %s: %v\n%s", j.Kind, r, debug.Stack())
		}
	}()
	m, err := p.Store.Message(ctx, j.Message)
	if err != nil {
		return step, err
	}
	switch j.Kind {
	case queue.Seal:
		return p.seal(ctx, j, m)
	case queue.Open:
		return p.open(ctx, j, m)
	case queue.Relay:
		return p.relay(ctx, j, m)
	case queue.Deliver:
		return p.deliver(ctx, j, m)
	case queue.Notice:
		return p.notice(ctx, j, m)
	case queue.Timer:
		return p.timer(ctx, j, m)
	}
	return step, fmt.Errorf("pipeline: no stage for %q", j.Kind)
}

func done() *queue.Settlement { return &queue.Settlement{Fate: queue.Done} }

// newID is a fresh message id of ours.
func (p *Pipeline) newID() message.ID { return message.NewID(p.Now(), rand.Reader) }

// lanes counts the jobs under way for each destination domain.
type lanes struct {
	mu sync.Mutex
	n  map[string]int
}

// MaxPerLane is how many jobs of one destination domain run at the same time.
const MaxPerLane = 8

func (l *lanes) enter(lane string) {
	if lane == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == nil {
		l.n = map[string]int{}
	}
	l.n[lane]++
}

func (l *lanes) leave(lane string) {
	if lane == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n[lane]--; l.n[lane] <= 0 {
		delete(l.n, lane)
	}
}

// busy is how many jobs of each lane are under way.
func (l *lanes) busy() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.n)
}

// errNoBlob means a row names bytes that are not there: a fault to be seen by people.
var errNoBlob = errors.New("pipeline: the message's bytes are missing")
