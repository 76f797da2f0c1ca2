package dnsclient

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// key is a question.
type key struct {
	name  string
	qtype uint16
}

// reply is an answer as kept: the records at the end of the CNAME chain, or a not-found error.
type reply struct {
	name      string
	records   []dns.RR // read only
	expires   time.Time
	server    string
	tcp       bool
	cached    bool
	authority bool
	trace     []Step
	notFound  *Error
}

func (r *reply) left(now time.Time) time.Duration { return max(0, r.expires.Sub(now)) }

// cache keeps replies until they expire, the least recently used leaving first when it is full.
type cache struct {
	mu     sync.Mutex
	max    int
	octets int // of all records
	byKey  map[key]*list.Element
	order  list.List // of entry, most recently used in front
}

type entry struct {
	key   key
	reply *reply
}

func newCache(n int) *cache { return &cache{max: n, byKey: map[key]*list.Element{}} }

func (c *cache) get(k key, now time.Time) (*reply, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[k]
	if !ok {
		return nil, false
	}
	r := e.Value.(entry).reply
	if !now.Before(r.expires) {
		c.forget(e)
		return nil, false
	}
	c.order.MoveToFront(e)
	return r, true
}

func (c *cache) put(k key, r *reply, now time.Time) {
	if c.max <= 0 || !now.Before(r.expires) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[k]; ok {
		c.forget(e)
	}
	c.byKey[k] = c.order.PushFront(entry{k, r})
	c.octets += r.size()
	for c.order.Len() > c.max || c.octets > MaxCacheOctets && c.order.Len() > 1 {
		c.forget(c.order.Back())
	}
}

func (c *cache) forget(e *list.Element) {
	old := e.Value.(entry)
	c.order.Remove(e)
	delete(c.byKey, old.key)
	c.octets -= old.reply.size()
}

// size is about the octets of the reply's records.
func (r *reply) size() int {
	n := 0
	for _, rr := range r.records {
		n += dns.Len(rr)
	}
	return n
}

// flights lets equal questions share one answer. The first asker asks under its own context; when
// that context ends first, one of the waiting askers asks again, so nobody inherits another's deadline.
type flights struct {
	mu      sync.Mutex
	running map[key]*flight
}

type flight struct {
	done  chan struct{}
	reply *reply
	err   error
}

func (f *flights) do(ctx context.Context, k key, ask func() (*reply, error)) (*reply, error) {
	for {
		f.mu.Lock()
		running, ok := f.running[k]
		if !ok {
			running = &flight{done: make(chan struct{})}
			f.running[k] = running
			f.mu.Unlock()
			running.reply, running.err = ask()
			f.mu.Lock()
			delete(f.running, k)
			f.mu.Unlock()
			close(running.done)
			return running.reply, running.err
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-running.done:
		}
		if !errors.Is(running.err, context.Canceled) && !errors.Is(running.err, context.DeadlineExceeded) {
			return running.reply, running.err
		}
	}
}
