package dnsd

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// limiter bounds the UDP answers sent to one network, so that questions with a forged sender cannot
// turn this server on a victim. It has a fixed number of buckets: networks that share one share its
// rate, and no flood makes it grow.
type limiter struct {
	rate    float64
	seed    maphash.Seed
	buckets [limitShards]shard
}

const (
	limitShards   = 64
	limitPerShard = 1024
	limitBurst    = 2 // seconds of rate saved up
)

type shard struct {
	mu      sync.Mutex
	buckets [limitPerShard]bucket
}

type bucket struct {
	tokens float64
	last   time.Time
	slip   bool
}

type limitVerdict int

const (
	limitPass limitVerdict = iota
	limitSlip              // send a truncated answer: a real asker then comes by TCP
	limitDrop
)

func newLimiter(rate int) *limiter {
	if rate < 0 {
		return nil
	}
	return &limiter{rate: float64(rate), seed: maphash.MakeSeed()}
}

func (l *limiter) take(from netip.Addr, now time.Time) limitVerdict {
	from = from.Unmap()
	bits := 24
	if from.Is6() {
		bits = 56
	}
	network, err := from.WithZone("").Prefix(bits)
	if err != nil {
		return limitDrop
	}
	h := maphash.Comparable(l.seed, network)
	s := &l.buckets[h%limitShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.buckets[h/limitShards%limitPerShard]
	if b.last.IsZero() {
		b.tokens = l.rate * limitBurst
	} else if gone := now.Sub(b.last).Seconds(); gone > 0 {
		b.tokens = min(l.rate*limitBurst, b.tokens+gone*l.rate)
	}
	b.last = now
	if b.tokens >= 1 {
		b.tokens--
		return limitPass
	}
	b.slip = !b.slip
	if b.slip {
		return limitSlip
	}
	return limitDrop
}
