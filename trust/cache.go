package trust

import (
	"sync"
	"time"

	"postern/smime/addr"
)

// MaxCached is how many approvals the decision cache holds at most; it forgets the older half first.
const MaxCached = 20_000

// cacheKey is everything an approval depends on but for the clock and revocation.
type cacheKey struct {
	cert      [32]byte
	peer      string
	local     addr.Domain
	direction Direction
	purpose   Purpose
	use       Use
	anchors   string // version of the sets asked
	settings  Settings
	policies  string // version of the domain's own rules
}

// cached is an approval with the span in which asking again would give it again: inside every
// certificate's dates, before the next revocation answer is due, and while no newer one has come.
type cached struct {
	decision    Decision
	from, until time.Time
	generation  uint64 // of the revocation answers
}

// decisionCache keeps approvals in two halves; when the young half is full it becomes the old one.
// Refusals are not kept: they are cheap, or wait for something to change.
type decisionCache struct {
	mu         sync.RWMutex
	young, old map[cacheKey]*cached
}

func newDecisionCache() *decisionCache {
	return &decisionCache{young: map[cacheKey]*cached{}, old: map[cacheKey]*cached{}}
}

func (c *decisionCache) get(k cacheKey, at time.Time, generation uint64) (*cached, bool) {
	c.mu.RLock()
	e, ok := c.young[k]
	fromOld := false
	if !ok {
		e, fromOld = c.old[k]
	}
	c.mu.RUnlock()
	if e == nil || e.generation != generation || at.Before(e.from) || at.After(e.until) {
		return nil, false
	}
	if fromOld {
		c.put(k, e)
	}
	return e, true
}

func (c *decisionCache) put(k cacheKey, e *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= MaxCached/2 {
		c.old, c.young = c.young, make(map[cacheKey]*cached, MaxCached/2)
	}
	c.young[k] = e
}
