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
	stop context.CancelFunc // nil: it is open, and does not run yet
	done chan error
}

// Run opens the site of a configuration file and runs its gateway until Stop.
func Run(ctx context.Context, file string, clock *Clock, log *slog.Logger) (*Running, error) {
	r, err := open(ctx, file, clock, log)
	if err != nil {
		return nil, err
	}
	if err := r.run(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// open opens a site, which does nothing by itself.
func open(ctx context.Context, file string, clock *Clock, log *slog.Logger) (*Running, error) {
	c, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	s, err := gateway.Open(ctx, c, gateway.Options{Now: clock.Now, Log: log})
	if err != nil {
		return nil, err
	}
	return &Running{Site: s}, nil
}

// run runs an open site.
func (r *Running) run(ctx context.Context) error {
	g, err := gateway.New(ctx, r.Site)
	if err != nil {
		return err
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.done = make(chan error, 1)
	go func() { r.done <- g.Run(ctx) }()
	return nil
}

// Stop stops the gateway and closes its site.
func (r *Running) Stop() error {
	if r.stop == nil {
		return r.Close()
	}
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
		var changed []<-chan struct{}
		for _, s := range sites {
			changed = append(changed, s.Store.Changed())
		}
		busy, err := anyBusy(ctx, clock, sites)
		if err != nil {
			return err
		}
		for _, c := range changed { // a commit between the looks makes them worthless: the work may be at the other one now
			select {
			case <-c:
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

func anyBusy(ctx context.Context, clock *Clock, sites []*Running) (bool, error) {
	for _, s := range sites {
		jobs, err := s.Store.Jobs(ctx, "")
		if err != nil {
			return false, err
		}
		for _, j := range jobs {
			if !j.Parked && (j.Claimed || !j.Due.After(clock.Now())) {
				return true, nil
			}
		}
	}
	return false, nil
}
