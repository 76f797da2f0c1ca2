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
// Limits: 16 KiB and 200 elements a request, 256 connections, 32 from one peer (crowd.Peer), 100 requests and
// 30 s of silence a connection.
package ldapd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"postern/certs/ldapwire"
	"postern/gateway/edge/crowd"
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
	crowd     *crowd.Crowd
}

// New makes a server that publishes nothing yet. A nil log is silent.
func New(log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{log: log, crowd: crowd.New(crowd.Limits{All: MaxConns, PerPeer: MaxPerPeer})}
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
	for _, l := range listeners {
		work.Go(func() {
			if err := s.crowd.Serve(ctx, l, func(err error) { s.log.Warn("ldap: cannot accept", "error", err) }, s.attend); err != nil {
				cancel(err)
			}
		})
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

func (s *Server) attend(conn net.Conn) {
	if err := s.converse(conn); errors.Is(err, ldapwire.ErrHostile) {
		s.log.Warn("ldap: connection cut", "peer", conn.RemoteAddr().String(), "error", err)
	}
}
