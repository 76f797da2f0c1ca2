package lab

import (
	"sync"
	"time"
)

// Clock goes on like the machine's, from wherever it was moved to.
type Clock struct {
	mu  sync.Mutex
	off time.Duration
}

// Now is the lab's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

// move advances the clock.
func (c *Clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// Set sets the clock forward, or back, as an administrator or a time server does: nobody is told.
func (c *Clock) Set(by time.Duration) { c.move(by) }
