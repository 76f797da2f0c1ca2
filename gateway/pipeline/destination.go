package pipeline

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
)

// destinations remembers which lanes could not be met lately, so that a dead one is asked by one job at a time and not
// by all that wait for it. It is this process's memory only: after a restart each lane is asked anew.
type destinations struct {
	mu   sync.Mutex
	away map[string]*away
}

// away is a lane that could not be met.
type away struct {
	failures int       // in a row
	until    time.Time // nobody is sent there before
	probing  bool      // somebody is there now
	epoch    int       // rises with each failure that counts: attempts begun before it tell nothing new
	words    string    // what it said, or what went wrong
}

// maxAway bounds the lanes remembered; beyond it those whose rest is over are forgotten.
const maxAway = 4096

// longestRest is the longest wait of queue.Backoff, its jitter included.
const longestRest = 18 * time.Minute

// turn is the right to go to a lane, or until when and why not.
type turn struct {
	ok    bool
	probe bool
	epoch int
	until time.Time
	words string
}

// ask says whether a job may go to its lane now. Whoever may, says what came of it (settle).
func (d *destinations) ask(lane string, now time.Time) turn {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.away[lane]
	switch {
	case a == nil:
		return turn{ok: true}
	case now.Before(a.until) && a.until.Sub(now) <= longestRest: // further off, the clock was set back
		return turn{until: a.until, words: a.words}
	case a.probing:
		return turn{until: now.Add(queue.Backoff(1)), words: a.words}
	}
	a.probing = true
	return turn{ok: true, probe: true, epoch: a.epoch}
}

// finding is what an attempt found out about a lane.
type finding int

const (
	nothing finding = iota
	answers
	silent
)

// settle takes what an attempt found out; freed says that the lane was away and is back.
func (d *destinations) settle(lane string, t turn, f finding, words string, now time.Time) (freed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.away[lane]
	if a != nil && t.probe && t.epoch == a.epoch {
		a.probing = false
	}
	switch {
	case lane == "" || f == nothing:
		return false
	case f == answers:
		delete(d.away, lane)
		return a != nil
	case a == nil:
		d.forget(now)
		a = &away{epoch: t.epoch}
		d.away[lane] = a
	case t.epoch != a.epoch: // begun before the failure that counted
		return false
	}
	a.failures++
	a.epoch++
	a.until, a.words = now.Add(queue.Backoff(a.failures)), words
	return false
}

// forget makes room.
func (d *destinations) forget(now time.Time) {
	if d.away == nil {
		d.away = map[string]*away{}
	}
	if len(d.away) < maxAway {
		return
	}
	for lane, a := range d.away {
		if !a.probing && now.After(a.until) {
			delete(d.away, lane)
		}
	}
}

// retry forgets that a lane was away: a person wants it tried now.
func (d *destinations) retry(lane string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.away, lane)
}

// Retry lets the next job go to a lane, though it could not be met lately.
func (p *Pipeline) Retry(lane string) { p.away.retry(lane) }

// visit sends one job to its lane, unless the lane rests: then it returns the settlement by which the job waits, which
// is no attempt of its own, or, when it is too late to wait, the outcome of those who went before. A lane that is met
// again has all its jobs due at once.
func (p *Pipeline) visit(ctx context.Context, j queue.Job, end time.Time, send func() (relay.Result, error)) (res relay.Result, wait *queue.Settlement, err error) {
	t := p.away.ask(j.Lane, p.Now())
	if !t.ok {
		if now := p.Now(); !now.Before(end) {
			for _, r := range j.Recipients {
				res.Outcomes = append(res.Outcomes, relay.Outcome{To: r, Status: relay.Temporary, Reason: relay.ReasonConnect, Text: t.words})
			}
			return res, nil, nil
		}
		return res, &queue.Settlement{Fate: queue.Retry, Waited: true, Due: spread(t.until, p.Now(), end), Error: "waits for its destination, which could not be met: " + t.words}, nil
	}
	found, words := nothing, ""
	defer func() {
		if p.away.settle(j.Lane, t, found, words, p.Now()) {
			p.freed(ctx, j.Lane)
		}
	}()
	if res, err = send(); err != nil {
		return res, nil, err
	}
	switch {
	case res.Reached():
		found = answers
	case res.Unmet():
		found, words = silent, res.Outcomes[0].Text
	}
	return res, nil, nil
}

// freed makes everything due that waits for a lane that was met again.
func (p *Pipeline) freed(ctx context.Context, lane string) {
	n, err := p.Store.FreeLane(context.WithoutCancel(ctx), lane)
	if err != nil {
		p.Log.Error("a destination is back, and its messages could not be told so: each goes when its wait ends", "lane", lane, "error", err)
		return
	}
	p.Log.Info("a destination that could not be met is back", "lane", lane, "jobs", n)
}

// spread is an instant behind a rest, so that not all who wait come at its end, and not behind the end of trying.
func spread(until, now, end time.Time) time.Time {
	d := max(until.Sub(now), time.Second)
	if due := until.Add(time.Duration(rand.Float64() * 0.25 * float64(d))); due.Before(end) {
		return due
	}
	return end
}
