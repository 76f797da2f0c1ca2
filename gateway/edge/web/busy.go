package web

import (
	"net/netip"
	"sync"

	"postern/gateway/edge/crowd"
)

// busy counts the requests at work, and those of each peer: a peer that sends many slowly takes its own share of
// places and not everybody's. Behind a proxy a peer is who the proxy names.
type busy struct {
	mu   sync.Mutex
	all  int
	each map[netip.Prefix]int
}

// enter takes a place; leave gives it back, once.
func (b *busy) enter(peer string) (leave func(), ok bool) {
	a, _ := netip.ParseAddr(peer) // the zero address for what is none: all of these are one peer
	key := crowd.Peer(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= MaxAtOnce || b.each[key] >= MaxAtOnceEach {
		return nil, false
	}
	b.all++
	b.each[key]++
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.all--
		if b.each[key]--; b.each[key] == 0 {
			delete(b.each, key)
		}
	}), true
}
