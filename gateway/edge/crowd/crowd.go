// Package crowd bounds the connections of a listening edge: how many in all, and how many from one peer. What is too
// many is closed at once, the newest first, so that a flood does not push out those who are being answered.
//
// A peer is an IPv4 address, or the /64 of an IPv6 address, which is what one site has. Peers without an IP address
// count as one. Nothing is read or written here.
package crowd

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits are a crowd's bounds.
type Limits struct {
	All     int                     // connections at a time
	PerPeer int                     // of them, from one peer; 0 is no bound of its own
	Many    func(a netip.Addr) bool // peers that speak for many (a proxy in front), not bounded by PerPeer; nil: none
}

// Crowd counts the connections of one or more listeners.
type Crowd struct {
	limits Limits

	mu    sync.Mutex
	all   int
	peers map[netip.Prefix]int
}

// New makes a crowd in which nobody is.
func New(l Limits) *Crowd { return &Crowd{limits: l, peers: map[netip.Prefix]int{}} }

// Peer is whom an address counts against.
func Peer(a netip.Addr) netip.Prefix {
	bits := 32
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Prefix for what is no address: all of these are one peer
	return p
}

// enter counts a connection; ok is false when it is one too many.
func (c *Crowd) enter(conn net.Conn) (leave func(), ok bool) {
	var from netip.Addr
	if a, tcp := conn.RemoteAddr().(*net.TCPAddr); tcp {
		from = a.AddrPort().Addr()
	}
	key := Peer(from)
	bounded := c.limits.PerPeer > 0 && (c.limits.Many == nil || !c.limits.Many(from.Unmap()))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.limits.All || bounded && c.peers[key] >= c.limits.PerPeer {
		return nil, false
	}
	c.all++
	if bounded {
		c.peers[key]++
	}
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if !bounded {
			return
		}
		if c.peers[key]--; c.peers[key] == 0 {
			delete(c.peers, key)
		}
	}), true
}

// Listen is l with the crowd's bounds: Accept gives only connections that are let in. They leave when they are closed.
func (c *Crowd) Listen(l net.Listener) net.Listener { return &listener{l, c} }

type listener struct {
	net.Listener
	crowd *Crowd
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if leave, ok := l.crowd.enter(conn); ok {
			return &member{conn, leave}, nil
		}
		conn.Close()
	}
}

type member struct {
	net.Conn
	leave func()
}

func (m *member) Close() error {
	defer m.leave()
	return m.Conn.Close()
}

// retry is how long nothing is accepted after a fault, such as having no file descriptor left: not to spin.
const retry = 100 * time.Millisecond

// Serve works on the connections that are let in, each in a goroutine of its own, until ctx ends or l is closed. Then
// it closes those under way, waits for their work, and returns nil, or the error of a listener that was closed before
// ctx ended. It closes neither l nor, while ctx lasts, a connection before its work is done. Faults of accepting are
// told to failed and do not end it.
func (c *Crowd) Serve(ctx context.Context, l net.Listener, failed func(error), work func(net.Conn)) error {
	var under sync.WaitGroup
	defer under.Wait()
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			failed(err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(retry):
			}
			continue
		}
		leave, ok := c.enter(conn)
		if !ok {
			conn.Close()
			continue
		}
		under.Go(func() {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer func() { stop(); conn.Close(); leave() }()
			work(conn)
		})
	}
}
