package week

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"postern/gateway"
	"postern/gateway/config"
	"postern/gateway/delivery/queue"
	"postern/gateway/store"
)

// Clock goes on like the machine's, from wherever it was set. Both gateways of a week share one.
type Clock struct {
	mu  sync.Mutex
	off time.Duration
}

// At makes a clock that shows t now.
func At(t time.Time) *Clock {
	c := &Clock{}
	c.Set(t)
	return c
}

// Now is its time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

// Set sets it.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = time.Until(t)
}

// Running is a gateway that runs in this process.
type Running struct {
	*gateway.Site
	stop context.CancelFunc
	done chan error
}

// Run opens the site of a configuration file and runs its gateway until Stop.
func Run(ctx context.Context, file string, clock *Clock, log *slog.Logger) (*Running, error) {
	c, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	s, err := gateway.Open(ctx, c, gateway.Options{Now: clock.Now, Log: log})
	if err != nil {
		return nil, err
	}
	g, err := gateway.New(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &Running{Site: s, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- g.Run(run) }()
	return r, nil
}

// Stop stops the gateway and closes its site.
func (r *Running) Stop() error {
	r.stop()
	return errors.Join(<-r.done, r.Close())
}

// wake has a gateway look at the clock.
func (r *Running) wake(ctx context.Context) error {
	_, err := r.Store.Commit(ctx, queue.Lease{}, store.Step{})
	return err
}

// quiet waits until neither gateway has anything to do at the time the clock shows.
func quiet(ctx context.Context, clock *Clock, sites ...*Running) error {
	for {
		busy := false
		for _, s := range sites {
			changed := s.Store.Changed()
			jobs, err := s.Store.Jobs(ctx, "")
			if err != nil {
				return err
			}
			for _, j := range jobs {
				busy = busy || !j.Parked && (j.Claimed || !j.Due.After(clock.Now()))
			}
			select {
			case <-changed:
				busy = true
			default:
			}
		}
		if !busy {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("week: the gateways do not come to rest: %w", context.Cause(ctx))
		case <-time.After(3 * time.Millisecond): // a commit that is under way shows itself by then
		}
	}
}
