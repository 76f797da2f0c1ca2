package auth

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of the throttle.
const (
	maxNames = 10000          // counted at once
	forget   = time.Hour      // after the end of a wait, its failures no longer count
	goodFor  = 24 * time.Hour // a pair that was right is trusted so long
)

// rule is how one way of counting waits.
type rule struct {
	free int           // failures without a wait
	most time.Duration // the longest wait; the first is a second, each further one twice as long
}

var (
	pairRule = rule{5, 15 * time.Minute}
	peerRule = rule{20, 15 * time.Minute}
	// A login alone waits shortly: who knows a login could else keep its owner out.
	loginRule = rule{50, time.Minute}
)

// wait is how long to wait after n failures.
func (r rule) wait(n int) time.Duration {
	if n < r.free {
		return 0
	}
	return min(time.Second<<min(n-r.free, 20), r.most)
}

// Throttle counts failed logins and says who must wait. Several goroutines may use it at once.
type Throttle struct {
	clock func() time.Time
	mu    sync.Mutex
	names map[string]*tries
}

// tries is what is known of one name.
type tries struct {
	failed int
	until  time.Time // nobody of that name is heard before
	good   time.Time // last success; pairs only
}

// NewThrottle is a throttle that has seen nothing.
func NewThrottle(clock func() time.Time) *Throttle {
	return &Throttle{clock: clock, names: map[string]*tries{}}
}

// who is one attempt's names.
type who struct{ pair, login, peer string }

func names(login, peer string) who {
	l, p := strings.ToLower(login), network(peer)
	return who{"pair " + p + " " + l, "login " + l, "peer " + p}
}

// network is what of a peer's address one attacker has many of.
func network(peer string) string {
	a, err := netip.ParseAddr(peer)
	if err != nil {
		return peer[:min(len(peer), 64)]
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// Wait is how long a login from a peer must wait before it is heard; 0 is not at all.
func (t *Throttle) Wait(login, peer string) time.Duration {
	w := names(login, peer)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	pair := t.names[w.pair]
	wait := pair.left(now)
	if pair != nil && now.Sub(pair.good) < goodFor {
		return wait // its own failures only
	}
	return max(wait, t.names[w.login].left(now), t.names[w.peer].left(now))
}

func (f *tries) left(now time.Time) time.Duration {
	if f == nil {
		return 0
	}
	return max(0, f.until.Sub(now))
}

// Failed counts a failure.
func (t *Throttle) Failed(login, peer string) {
	w := names(login, peer)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	for name, r := range map[string]rule{w.pair: pairRule, w.login: loginRule, w.peer: peerRule} {
		f := t.name(name, now)
		if now.Sub(f.until) > forget {
			f.failed = 0
		}
		f.failed++
		f.until = now.Add(r.wait(f.failed))
	}
}

// Succeeded forgets the pair's failures. Those of the login and of the network stay until their time is
// over: an attacker who has one good account must not clear his guesses at others.
func (t *Throttle) Succeeded(login, peer string) {
	w := names(login, peer)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	*t.name(w.pair, now) = tries{until: now, good: now}
}

// name finds or makes an entry. When there are too many, those whose time is over go, else a tenth: those
// that wait the shortest. The caller holds the lock.
func (t *Throttle) name(name string, now time.Time) *tries {
	if f := t.names[name]; f != nil {
		return f
	}
	if len(t.names) >= maxNames {
		t.evict(now)
	}
	f := &tries{until: now}
	t.names[name] = f
	return f
}

func (t *Throttle) evict(now time.Time) {
	ends := make([]time.Time, 0, len(t.names))
	for n, f := range t.names {
		if now.Sub(f.until) > forget && now.Sub(f.good) > goodFor {
			delete(t.names, n)
			continue
		}
		ends = append(ends, f.until)
	}
	if len(ends) < maxNames {
		return
	}
	slices.SortFunc(ends, time.Time.Compare)
	left := maxNames / 10
	for n, f := range t.names {
		if left > 0 && !f.until.After(ends[maxNames/10-1]) {
			delete(t.names, n)
			left--
		}
	}
}
