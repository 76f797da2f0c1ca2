package crowd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"postern/gateway/edge/crowd"
)

// scripted is a listener whose peers come from where the test says; it fails as closed only when all have come.
type scripted struct {
	come chan any // a string: a peer's address and port; an error: Accept fails with it
	once sync.Once
	gone chan struct{}
}

func newScripted(from ...any) *scripted {
	s := &scripted{come: make(chan any, len(from)), gone: make(chan struct{})}
	for _, f := range from {
		s.come <- f
	}
	return s
}

func (s *scripted) Accept() (net.Conn, error) {
	if len(s.come) == 0 {
		<-s.gone
		return nil, net.ErrClosed
	}
	f := <-s.come
	if err, fails := f.(error); fails {
		return nil, err
	}
	near, far := net.Pipe()
	return &peer{Conn: near, far: far, from: f.(string)}, nil
}
func (s *scripted) Close() error   { s.once.Do(func() { close(s.gone) }); return nil }
func (s *scripted) Addr() net.Addr { return &net.TCPAddr{} }

type peer struct {
	net.Conn
	far  net.Conn
	from string
}

func (p *peer) RemoteAddr() net.Addr {
	a, err := netip.ParseAddrPort(p.from)
	if err != nil {
		return &net.UnixAddr{Name: p.from, Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(a)
}

func (p *peer) Close() error { return errors.Join(p.Conn.Close(), p.far.Close()) }

func TestWhoIsLetIn(t *testing.T) {
	proxy := func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.9") }
	for name, c := range map[string]struct {
		limits crowd.Limits
		from   []any
		in     []string
	}{
		"as many as fit":               {crowd.Limits{All: 2}, []any{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:3"}, []string{"10.0.0.1:1", "10.0.0.1:2"}},
		"one peer not too often":       {crowd.Limits{All: 9, PerPeer: 1}, []any{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:3"}, []string{"10.0.0.1:1", "10.0.0.2:3"}},
		"an IPv4 address in IPv6":      {crowd.Limits{All: 9, PerPeer: 1}, []any{"10.0.0.1:1", "[::ffff:10.0.0.1]:2"}, []string{"10.0.0.1:1"}},
		"a site's many IPv6 addresses": {crowd.Limits{All: 9, PerPeer: 1}, []any{"[2001:db8::1]:1", "[2001:db8::ffff:2]:2", "[2001:db8:0:1::1]:3"}, []string{"[2001:db8::1]:1", "[2001:db8:0:1::1]:3"}},
		"a proxy speaks for many":      {crowd.Limits{All: 3, PerPeer: 1, Many: proxy}, []any{"10.0.0.9:1", "[::ffff:10.0.0.9]:2", "10.0.0.1:3", "10.0.0.9:4"}, []string{"10.0.0.9:1", "[::ffff:10.0.0.9]:2", "10.0.0.1:3"}},
		"peers without an address":     {crowd.Limits{All: 9, PerPeer: 1}, []any{"@a", "@b", "10.0.0.1:1"}, []string{"@a", "10.0.0.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			source := newScripted(c.from...)
			l := crowd.New(c.limits).Listen(source)
			for _, want := range c.in {
				conn, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if got := conn.RemoteAddr().String(); netip.MustParseAddrPort(port(got)).Port() != netip.MustParseAddrPort(port(want)).Port() {
					t.Errorf("%s was let in, want %s", got, want)
				}
			}
			source.Close()
			if conn, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("more were let in: %v, %v", conn, err)
			}
		})
	}
}

// port gives peers without an address one.
func port(a string) string {
	if a[0] == '@' {
		return "0.0.0.0:0"
	}
	return a
}

func TestWhoLeavesMakesRoomOnce(t *testing.T) {
	c := crowd.New(crowd.Limits{All: 1, PerPeer: 1})
	l := c.Listen(newScripted("10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"))
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	first.Close() // again changes nothing
	second, err := l.Accept()
	if err != nil || second.RemoteAddr().String() != "10.0.0.1:2" {
		t.Fatalf("%v, %v", second, err)
	}
	closed := newScripted("10.0.0.1:4")
	closed.Close()
	if conn, err := c.Listen(closed).Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("let in beside another, through another listener: %v, %v", conn, err)
	}
	second.Close()
}

func TestServeGoesOnAfterFaultsAndEndsWithItsWork(t *testing.T) {
	defer goleak.VerifyNone(t)
	out := errors.New("no file descriptor left")
	source := newScripted("10.0.0.1:1", out, "10.0.0.1:2", "10.0.0.2:3")
	ctx, cancel := context.WithCancel(context.Background())
	faults, at := make(chan error, 4), make(chan string, 4)
	ended := make(chan error, 1)
	go func() {
		ended <- crowd.New(crowd.Limits{All: 9, PerPeer: 1}).Serve(ctx, source, func(err error) { faults <- err }, func(c net.Conn) {
			at <- c.RemoteAddr().String()
			_, _ = io.ReadAll(c) // until it is closed
		})
	}()
	if a, b := <-at, <-at; a != "10.0.0.1:1" || b != "10.0.0.2:3" {
		t.Errorf("worked on %s and %s", a, b)
	}
	if err := <-faults; !errors.Is(err, out) {
		t.Errorf("told of %v", err)
	}
	cancel()
	source.Close()
	if err := <-ended; err != nil {
		t.Errorf("an end that was asked for is the error %v", err)
	}
	lost := newScripted()
	lost.Close()
	if err := crowd.New(crowd.Limits{All: 1}).Serve(t.Context(), lost, func(error) {}, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that was lost: %v", err)
	}
}
