package smtpd_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"postern/gateway/edge/smtpd"
)

// bubble runs a test in a time of its own (testing/synctest), in which a server is reached over connections in memory:
// waiting costs nothing, and nobody comes late because the machine has much else to do.
func bubble(t *testing.T, s *site, mode smtpd.Mode, change func(*smtpd.Config), f func(t *testing.T, dial func() *peer)) {
	testCert() // made in the machine's time
	synctest.Test(t, func(t *testing.T) {
		l := newMemoryListener()
		serveOn(t, l, s, mode, change)
		f(t, func() *peer { return l.dial(t) })
	})
}

// memoryListener gives what is called to whoever accepts.
type memoryListener struct {
	calls chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{calls: make(chan net.Conn), ended: make(chan struct{})}
}

func (l *memoryListener) dial(t *testing.T) *peer {
	ours, theirs := newLine()
	l.calls <- theirs
	t.Cleanup(func() { ours.Close() })
	return &peer{t, ours, bufio.NewReader(ours)}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error   { l.once.Do(func() { close(l.ended) }); return nil }
func (l *memoryListener) Addr() net.Addr { return here }

var here = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25}

// line is one end of a connection. What is written never waits for a reader.
type line struct{ in, out *direction }

func newLine() (a, b net.Conn) {
	x, y := newDirection(), newDirection()
	return line{x, y}, line{y, x}
}

// direction is the octets on their way from one end to the other.
type direction struct {
	mu     sync.Mutex
	news   *sync.Cond
	octets []byte
	ended  bool // by the writer
	gone   bool // the reader
	late   bool // the reader's deadline is over
	timer  *time.Timer
}

func newDirection() *direction {
	d := &direction{}
	d.news = sync.NewCond(&d.mu)
	return d
}

func (d *direction) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.news.Broadcast()
}

func (c line) Read(b []byte) (int, error) {
	d := c.in
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.gone:
			return 0, net.ErrClosed
		case d.late:
			return 0, os.ErrDeadlineExceeded
		case len(d.octets) > 0:
			n := copy(b, d.octets)
			d.octets = d.octets[n:]
			return n, nil
		case d.ended:
			return 0, io.EOF
		}
		d.news.Wait()
	}
}

func (c line) Write(b []byte) (n int, err error) {
	c.out.set(func() {
		switch {
		case c.out.ended:
			err = net.ErrClosed
		case c.out.gone:
			err = syscall.EPIPE
		default:
			c.out.octets, n = append(c.out.octets, b...), len(b)
		}
	})
	return n, err
}

func (c line) Close() error {
	c.in.set(func() { c.in.gone = true })
	c.out.set(func() { c.out.ended = true })
	return nil
}

func (c line) SetReadDeadline(t time.Time) error {
	d := c.in
	d.set(func() {
		if d.timer != nil {
			d.timer.Stop()
		}
		if d.late, d.timer = false, nil; t.IsZero() {
			return
		}
		var timer *time.Timer
		timer = time.AfterFunc(time.Until(t), func() {
			d.set(func() { d.late = d.late || d.timer == timer })
		})
		d.timer = timer
	})
	return nil
}

func (c line) SetDeadline(t time.Time) error  { return c.SetReadDeadline(t) }
func (line) SetWriteDeadline(time.Time) error { return nil } // no write waits
func (line) LocalAddr() net.Addr              { return here }
func (line) RemoteAddr() net.Addr             { return here }
