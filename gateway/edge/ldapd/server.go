// Package ldapd is the read-only LDAP face of the addresses and domains hosted here (CD-38): other
// gateways find it by SRV, bind anonymously, read the base DN from the RootDSE and search for
// mail=address or mail=domain (RFC 4511; RFC 4512 §5.1; RFC 4523).
//
// An entry is found by its mail value and in no other way: there is no listing, so the directory does
// not tell who has an account beyond what the asker already names. No passwords, no SASL, no StartTLS,
// no changes, no referrals, no paging. Publish swaps the directory between two searches.
// github.com/go-asn1-ber/asn1-ber takes messages apart after certs/ldapwire has bounded them; the
// server library jimlambrt/gldap was not taken because it opens its own sockets, which leaves no place
// for that check.
//
// Limits: 16 KiB and 200 elements a request, 256 connections, 32 from one address, 100 requests and
// 30 s of silence a connection.
package ldapd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postern/certs/ldapwire"
)

// Limits.
const (
	MaxRequest  = 16 << 10
	MaxElements = 200
	MaxConns    = 256
	MaxPerPeer  = 32
	MaxPerConn  = 100
	Idle        = 30 * time.Second
)

// Server answers. Make one with New, give it a directory with Publish and sockets with Serve.
type Server struct {
	log       *slog.Logger
	directory atomic.Pointer[Directory]
	searches  atomic.Uint64
	found     atomic.Uint64

	mu    sync.Mutex
	peers map[netip.Addr]int
}

// New makes a server that publishes nothing yet. A nil log is silent.
func New(log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{log: log, peers: map[netip.Addr]int{}}
	s.Publish(&Directory{base: DefaultBase})
	return s
}

// Publish answers from d from now on.
func (s *Server) Publish(d *Directory) { s.directory.Store(d) }

// Stats is how many searches were answered, and how many of them with an entry.
func (s *Server) Stats() (searches, found uint64) { return s.searches.Load(), s.found.Load() }

// Serve answers on the listeners until the context ends, and returns when all connections have ended:
// nil, or the error that ended it early.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	slots := make(chan struct{}, MaxConns)
	for _, l := range listeners {
		work.Go(func() { s.accept(ctx, cancel, l, slots) })
	}
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	work.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("ldapd: %w", err)
	}
	return nil
}

func (s *Server) accept(ctx context.Context, cancel context.CancelCauseFunc, l net.Listener, slots chan struct{}) {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				cancel(err)
				return
			}
			s.log.Warn("ldap: cannot accept", "error", err)
			select { // out of file descriptors: do not spin
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		peer := peerOf(conn)
		if !s.enter(peer, slots) {
			conn.Close()
			continue
		}
		work.Go(func() {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer func() { stop(); conn.Close(); s.leave(peer, slots) }()
			if err := s.converse(conn); errors.Is(err, ldapwire.ErrHostile) {
				s.log.Warn("ldap: connection cut", "peer", peer.String(), "error", err)
			}
		})
	}
}

func peerOf(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// enter takes a place for the connection, unless the peer or everybody together has too many.
func (s *Server) enter(peer netip.Addr, slots chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[peer] >= MaxPerPeer {
		return false
	}
	select {
	case slots <- struct{}{}:
		s.peers[peer]++
		return true
	default:
		return false
	}
}

func (s *Server) leave(peer netip.Addr, slots chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	<-slots
	if s.peers[peer]--; s.peers[peer] <= 0 {
		delete(s.peers, peer)
	}
}
