// Package dnsd is the authoritative name server of the health domains hosted here: it answers from a
// zone.Snapshot over UDP and TCP (RFC 1035, RFC 7766), with EDNS0 (RFC 6891), and from nothing else.
//
// It never recurses and never asks anybody: a name outside its zones is REFUSED. An answer larger
// than 1,232 octets, or than the asker can take, is truncated over UDP and given whole over TCP
// (CD-18, CD-19). A name without the type asked for is NODATA and one that does not exist NXDOMAIN,
// both with the SOA (RFC 2308); the case of the question is given back as it came (0x20). ANY gets the
// short answer of RFC 8482. Zones are handed over whole to named secondaries (AXFR, RFC 5936) that
// sign with TSIG, and who are told of a change at once (NOTIFY, RFC 1996). Publish swaps the snapshot between two
// questions.
//
// There is no DNSSEC signing, no dynamic update, no views. Answers are laid out once per
// snapshot; a question costs a table look-up and a copy. github.com/miekg/dns serves the transfers,
// where its TSIG and record formats matter; the loop for plain questions is ours because the
// library's own costs more than twice the time.
//
// Limits: UDP questions 1,500 octets, TCP questions 4,096, 256 TCP connections, 100 questions and 10 s
// of silence a connection, 200 UDP answers a second to one /24 or /56 (then every second one is
// truncated, so that a real asker comes by TCP, and the other is dropped), 16 secondaries, each told of a change
// up to 5 times within a minute.
package dnsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"postern/certs/zone"
	"postern/gateway/edge/crowd"
)

// Limits and defaults.
const (
	MaxUDPQuestion = 1500
	MaxUDPAnswer   = 1232
	MaxTCPQuestion = 4096
	MaxTCP         = 256 // connections at a time
	MaxTCPPerPeer  = 32  // of them, from one peer (crowd.Peer)
	MaxPerTCP      = 100 // questions on one connection
	TCPIdle        = 10 * time.Second
	DefaultRate    = 200 // UDP answers a second to one network
	maxSockets     = 8   // UDP sockets on one port
	MaxSecondaries = 16  // named in a Config
	MinSecret      = 16  // octets of a TSIG key
)

// Config of a server; the zero value answers everybody and transfers to nobody.
type Config struct {
	Rate     int // UDP answers a second to one network; 0 = DefaultRate, negative = no limit
	Clock    func() time.Time
	Log      *slog.Logger // nil = silent
	Transfer []Secondary
}

// Secondary is a name server that may copy whole zones. Both its address and its TSIG key must be right.
type Secondary struct {
	From   []netip.Prefix // where it asks from
	Key    string         // name of the TSIG key
	Secret string         // base64; HMAC-SHA256 or HMAC-SHA512
	Notify []string       // host:port told of changes, at most 4
	Hash   string         // of what we sign ourselves: HMACSHA256 (also when it is empty) or HMACSHA512
}

// The algorithms of a Secondary's key.
const (
	HMACSHA256 = "hmac-sha256"
	HMACSHA512 = "hmac-sha512"
)

// Stats counts questions since the start, by what became of them.
type Stats struct {
	UDP, TCP, Answered, NoData, NXDomain, Refused, Malformed, Truncated, Limited, Transfers, Notified uint64
}

// Server answers. Make one with New, give it a snapshot with Publish, sockets with Listen.
type Server struct {
	cfg    Config
	index  atomic.Pointer[index]
	limit  *limiter
	counts counts
	crowd  *crowd.Crowd
	tell   []*teller
}

type counts struct {
	udp, tcp, answered, noData, nxDomain, refused, malformed, truncated, limited, transfers, notified atomic.Uint64
}

// New makes a server that publishes nothing yet.
func New(cfg Config) *Server {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rate == 0 {
		cfg.Rate = DefaultRate
	}
	s := &Server{cfg: cfg, limit: newLimiter(cfg.Rate), crowd: crowd.New(crowd.Limits{All: MaxTCP, PerPeer: MaxTCPPerPeer})}
	s.tell = newTellers(cfg)
	s.Publish(&zone.Snapshot{})
	return s
}

// Publish answers from the snapshot from now on.
func (s *Server) Publish(snap *zone.Snapshot) {
	s.index.Store(newIndex(snap))
	for _, t := range s.tell {
		t.wake()
	}
}

// Stats is the counts so far.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{c.udp.Load(), c.tcp.Load(), c.answered.Load(), c.noData.Load(), c.nxDomain.Load(), c.refused.Load(),
		c.malformed.Load(), c.truncated.Load(), c.limited.Load(), c.transfers.Load(), c.notified.Load()}
}

// Listener is a pair of sockets, UDP and TCP, on the same address and port.
type Listener struct {
	tcp net.Listener
	udp []*net.UDPConn
}

// Listen binds address ("host:port"; port 0 finds one free for both protocols).
func Listen(ctx context.Context, address string) (*Listener, error) {
	const attempts = 20 // a port free for TCP may be taken for UDP
	var err error
	for range attempts {
		var l *Listener
		if l, err = listenOnce(ctx, address); err == nil {
			return l, nil
		}
		if _, port, e := net.SplitHostPort(address); e != nil || port != "0" {
			break
		}
	}
	return nil, fmt.Errorf("dnsd: %w", err)
}

func listenOnce(ctx context.Context, address string) (*Listener, error) {
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address) // without SO_REUSEPORT: says when the port is in use
	if err != nil {
		return nil, err
	}
	l := &Listener{tcp: tcp}
	bound := tcp.Addr().String()
	for range udpSockets() {
		conn, err := (&net.ListenConfig{Control: prepare}).ListenPacket(ctx, "udp", bound)
		if err != nil {
			l.Close()
			return nil, err
		}
		l.udp = append(l.udp, conn.(*net.UDPConn))
	}
	return l, nil
}

func udpSockets() int {
	if !canReusePort {
		return 1
	}
	return min(runtime.GOMAXPROCS(0), maxSockets)
}

// Addr is "host:port" as bound.
func (l *Listener) Addr() string { return l.tcp.Addr().String() }

// Close ends listening; Serve does it by itself.
func (l *Listener) Close() error {
	errs := []error{l.tcp.Close()}
	for _, u := range l.udp {
		errs = append(errs, u.Close())
	}
	return errors.Join(errs...)
}

// Serve answers on the listeners until the context ends, and returns when all work has ended: nil, or
// the error that ended it early.
func (s *Server) Serve(ctx context.Context, listeners ...*Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	for _, l := range listeners {
		for _, conn := range l.udp {
			work.Go(func() { s.serveUDP(ctx, cancel, conn) })
		}
		work.Go(func() { s.serveTCP(ctx, cancel, l.tcp) })
	}
	for _, t := range s.tell {
		work.Go(func() { t.run(ctx, s) })
	}
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	work.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("dnsd: %w", err)
	}
	return nil
}

// socket is a UDP socket as the loop uses it.
type socket interface {
	read(p []byte) (int, netip.AddrPort, error)
	write(p []byte, to netip.AddrPort) error
}

// plain is a socket bound to one address.
type plain struct{ *net.UDPConn }

func (c plain) read(p []byte) (int, netip.AddrPort, error) { return c.ReadFromUDPAddrPort(p) }

func (c plain) write(p []byte, to netip.AddrPort) error {
	_, err := c.WriteToUDPAddrPort(p, to)
	return err
}

// socketOf chooses by whether the socket is bound to one address or to all of the machine.
func socketOf(conn *net.UDPConn) socket {
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok && a.IP.IsUnspecified() {
		return &multihomed{UDPConn: conn}
	}
	return plain{conn}
}

// serveUDP is the loop of one socket: no allocation a question.
func (s *Server) serveUDP(ctx context.Context, cancel context.CancelCauseFunc, conn *net.UDPConn) {
	socket := socketOf(conn)
	question := make([]byte, MaxUDPQuestion+1)
	answer := make([]byte, 0, MaxUDPAnswer)
	var q query
	for {
		n, from, err := socket.read(question)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				cancel(err)
				return
			}
			continue // an ICMP error of an earlier answer
		}
		s.counts.udp.Add(1)
		if n > MaxUDPQuestion || from.Port() == 0 {
			s.counts.malformed.Add(1)
			continue
		}
		answer = s.respond(&q, answer[:0], question[:n], MaxUDPAnswer)
		if len(answer) == 0 {
			continue
		}
		switch s.take(from.Addr()) {
		case limitDrop:
			continue
		case limitSlip:
			answer = q.truncate(answer, question[:n])
		}
		if err := socket.write(answer, from); err != nil && ctx.Err() != nil {
			return
		}
	}
}

// take asks the limiter, and counts.
func (s *Server) take(from netip.Addr) limitVerdict {
	if s.limit == nil {
		return limitPass
	}
	v := s.limit.take(from, s.cfg.Clock())
	if v != limitPass {
		s.counts.limited.Add(1)
	}
	return v
}
