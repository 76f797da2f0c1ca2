package discover

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"postern/smime/addr"
)

// maxCircuits bounds the domains whose silence is remembered; above it any one is forgotten.
const maxCircuits = 10000

// circuits remembers the domains whose servers keep askers waiting, so that the next search for anybody there does
// not wait as well. A domain's name servers and its directories are told apart. One search at a time tries them
// again. When the next place is asked instead is for each place's own count to say: one name that is never answered
// does not move its neighbours to another place.
type circuits struct {
	mu    sync.Mutex
	byKey map[string]*circuit
}

// circuit is one domain's silence.
type circuit struct {
	record  // what a search is told meanwhile
	probing bool
}

// Stats is how the Finder stands now: searches that wait for servers longer than Quick, and domains whose servers
// were silent when they were last asked.
type Stats struct{ Waiting, Silent int }

// Stats is how the Finder stands now.
func (f *Finder) Stats() Stats {
	f.circuits.mu.Lock()
	defer f.circuits.mu.Unlock()
	return Stats{Waiting: len(f.patience), Silent: len(f.circuits.byKey)}
}

func circuitKey(p place, a addr.Address) string {
	kind, _, _ := strings.Cut(string(p.location), "-")
	return kind + " " + a.Domain().String()
}

// enter says whether the servers may be asked now. When not, the record says so; when they may and have been silent
// before, probe is set: nobody else asks until settle.
func (c *circuits) enter(key string, now time.Time) (r record, open, probe bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.byKey[key]
	switch {
	case at == nil:
		return record{}, false, false
	case at.probing || now.Before(at.Retry):
		return at.record, true, false
	}
	at.probing = true
	return at.record, false, true
}

// leave ends a probe that came to nothing.
func (c *circuits) leave(key string, probe bool) {
	if !probe {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.byKey[key]; at != nil {
		at.probing = false
	}
}

// settle takes over what a search came to. Searches that were under way at the same time count once.
func (c *circuits) settle(key string, r record, silent bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.byKey[key]
	if at != nil {
		at.probing = false
	}
	switch {
	case r.Status != Unknown || !silent:
		delete(c.byKey, key)
		return
	case at != nil && now.Before(at.Retry):
		return
	case at == nil:
		for k := range c.byKey {
			if len(c.byKey) < maxCircuits {
				break
			}
			delete(c.byKey, k)
		}
		at = &circuit{}
		c.byKey[key] = at
	}
	at.record = record{Version: 1, Status: Unknown, Faults: at.Faults + 1, Since: at.Since, Silent: r.Silent, Retry: r.Retry, Asked: r.Asked}
	if at.Since.IsZero() {
		at.Since = now
	}
	at.Answer = fmt.Sprintf("its servers gave no answer at %s, tries so far: %d; they are not asked again before %s",
		now.UTC().Format(time.TimeOnly), at.Faults, at.Retry.UTC().Format(time.TimeOnly))
}
