package relay

import (
	"sync"
	"time"
)

// pool keeps a few sessions open between messages, so that a busy next hop is greeted once.
type pool struct {
	limits Limits

	mu     sync.Mutex
	idle   map[hop][]*idle
	count  int
	closed bool
	ending sync.WaitGroup // QUITs under way
}

type idle struct {
	s     *session
	timer *time.Timer
}

func newPool(l Limits) *pool { return &pool{limits: l, idle: map[hop][]*idle{}} }

// get is an idle session of that hop, the one used last, or nil.
func (p *pool) get(h hop) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[h]
	for len(list) > 0 {
		i := list[len(list)-1]
		list = list[:len(list)-1]
		p.keep(h, list)
		p.count--
		if i.timer.Stop() {
			i.s.reused = true
			p.ending.Done()
			return i.s
		}
		p.count++ // its timer runs already and takes it away itself
	}
	return nil
}

func (p *pool) keep(h hop, list []*idle) {
	if len(list) == 0 {
		delete(p.idle, h)
		return
	}
	p.idle[h] = list
}

// put gives a session back, or ends it when it may not be used again or there is no room.
func (p *pool) put(s *session) {
	fit := !s.broken && !s.spent && s.sent < p.limits.Reuse && time.Since(s.began) < p.limits.Age && s.r.Buffered() == 0
	p.mu.Lock()
	if !fit || p.closed || p.count >= p.limits.Idle || len(p.idle[s.hop]) >= p.limits.IdlePerHop {
		p.mu.Unlock()
		s.quit()
		return
	}
	p.count++
	p.ending.Add(1)
	i := &idle{s: s}
	i.timer = time.AfterFunc(p.limits.IdleFor, func() { p.expire(i) })
	p.idle[s.hop] = append(p.idle[s.hop], i)
	p.mu.Unlock()
}

// expire ends a session nobody wanted.
func (p *pool) expire(i *idle) {
	defer p.ending.Done()
	p.mu.Lock()
	list := p.idle[i.s.hop]
	for n := range list {
		if list[n] == i {
			p.keep(i.s.hop, append(list[:n:n], list[n+1:]...))
			break
		}
	}
	p.count--
	p.mu.Unlock()
	i.s.quit()
}

// close ends all idle sessions and waits for that.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var all []*idle
	for h, list := range p.idle {
		all = append(all, list...)
		delete(p.idle, h)
	}
	p.mu.Unlock()
	for _, i := range all {
		if i.timer.Stop() {
			p.mu.Lock()
			p.count--
			p.mu.Unlock()
			i.s.quit()
			p.ending.Done()
		}
	}
	p.ending.Wait()
}
