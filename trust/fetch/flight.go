package fetch

import (
	"context"
	"sync"
)

// Flight lets concurrent callers that want the same thing share one fetch. The zero Flight is ready.
type Flight[T any] struct {
	mu    sync.Mutex
	going map[string]*flown[T]
}

type flown[T any] struct {
	done  chan struct{}
	value T
	gone  bool // the leader's own context ended: nothing was learned
}

// Do runs fn, or waits for the caller that is already running it for the same key. A caller whose
// leader gave up because of the leader's own context takes the lead itself. The error is ctx's.
func (f *Flight[T]) Do(ctx context.Context, key string, fn func(context.Context) T) (T, error) {
	for {
		f.mu.Lock()
		c, busy := f.going[key]
		if !busy {
			c = &flown[T]{done: make(chan struct{})}
			if f.going == nil {
				f.going = map[string]*flown[T]{}
			}
			f.going[key] = c
		}
		f.mu.Unlock()
		if !busy {
			f.lead(ctx, key, c, fn)
			return c.value, ctx.Err()
		}
		select {
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		case <-c.done:
			if !c.gone {
				return c.value, nil
			}
		}
	}
}

func (f *Flight[T]) lead(ctx context.Context, key string, c *flown[T], fn func(context.Context) T) {
	c.gone = true // stays so if fn panics
	defer func() {
		f.mu.Lock()
		delete(f.going, key)
		f.mu.Unlock()
		close(c.done)
	}()
	c.value = fn(ctx)
	c.gone = ctx.Err() != nil
}
