package smtpd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"postern/gateway/edge/crowd"
)

// acceptFrom takes connections from l and hands each to one of the library's servers.
func (s *Server) acceptFrom(l net.Listener) error {
	pause := 5 * time.Millisecond
	for {
		c, err := l.Accept()
		if err != nil {
			if s.isDown() {
				return nil
			}
			var temporary interface{ Temporary() bool }
			if !errors.As(err, &temporary) || !temporary.Temporary() {
				return fmt.Errorf("smtpd: accept on %s: %w", l.Addr(), err)
			}
			s.log.Warn("accept failed, trying again", "error", err) // out of file descriptors, mostly
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		s.admit(c)
	}
}

func (s *Server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// admit starts a session, or turns the connection away.
func (s *Server) admit(c net.Conn) {
	w := &wire{
		srv: s, conn: c, remote: c.RemoteAddr().String(), peer: peerAddr(c.RemoteAddr()),
		id: rand.Text()[:10], began: time.Now(), ready: s.cfg.Mode != SubmissionTLS,
	}
	if reason := s.gate.enter(w); reason != "" {
		s.refused(w, reason)
		if s.cfg.Mode != SubmissionTLS { // words in clear mean nothing before a TLS handshake
			a := reason.reply()
			c.SetWriteDeadline(time.Now().Add(time.Second)) // never waits: the socket's buffer is empty
			fmt.Fprintf(c, "%d %d.%d.%d %s\r\n", a.code, a.enh[0], a.enh[1], a.enh[2], a.text)
		}
		c.Close()
		return
	}
	s.cfg.Metrics.Connections(s.cfg.Mode, 1)
	s.log.Debug("connection", "peer", w.remote, "session", w.id)
	if s.cfg.Mode == SubmissionTLS {
		s.secreIn.put(w)
		return
	}
	s.clearIn.put(w)
}

func peerAddr(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// refused logs and counts a refusal. What the peer said is not part of it.
func (s *Server) refused(w *wire, r Reason) {
	s.cfg.Metrics.Refused(s.cfg.Mode, r)
	s.log.Info("refused", "peer", w.remote, "session", w.id, "reason", string(r))
}

// gate counts connections, in all and for each peer, and knows every open one.
type gate struct {
	limits  Limits
	buffers sync.Pool // *[bigBuffer]byte

	mu    sync.Mutex
	empty *sync.Cond
	wires map[*wire]bool
	peers map[netip.Prefix]int
	login map[string]int
	down  bool
}

func newGate(l Limits) *gate {
	g := &gate{limits: l, wires: map[*wire]bool{}, peers: map[netip.Prefix]int{}, login: map[string]int{}}
	g.buffers.New = func() any { return new([bigBuffer]byte) }
	g.empty = sync.NewCond(&g.mu)
	return g
}

func (g *gate) enter(w *wire) Reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := crowd.Peer(w.peer)
	switch {
	case g.down, len(g.wires) >= g.limits.Connections:
		return ReasonConnections
	case g.peers[key] >= g.limits.PerPeer:
		return ReasonPeerConnections
	}
	g.wires[w] = true
	g.peers[key]++
	return ""
}

// loggedIn counts a connection against its login.
func (g *gate) loggedIn(w *wire, principal string) Reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.login[principal] >= g.limits.PerLogin {
		return ReasonLoginSessions
	}
	g.login[principal]++
	w.login = principal
	return ""
}

func (g *gate) leave(w *wire) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.wires[w] {
		return
	}
	delete(g.wires, w)
	key := crowd.Peer(w.peer)
	if g.peers[key]--; g.peers[key] <= 0 {
		delete(g.peers, key)
	}
	if w.login != "" {
		if g.login[w.login]--; g.login[w.login] <= 0 {
			delete(g.login, w.login)
		}
	}
	w.srv.cfg.Metrics.Connections(w.srv.cfg.Mode, -1)
	if len(g.wires) == 0 {
		g.empty.Broadcast()
	}
}

// shutdown lets nobody in any more and tells who is in to end.
func (g *gate) shutdown() {
	for _, w := range g.all(true) {
		w.stop()
	}
}

// cut closes every connection.
func (g *gate) cut() {
	for _, w := range g.all(true) {
		w.cut()
	}
}

func (g *gate) all(down bool) []*wire {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = g.down || down
	out := make([]*wire, 0, len(g.wires))
	for w := range g.wires {
		out = append(out, w)
	}
	return out
}

// wait returns when nobody is in any more.
func (g *gate) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.wires) > 0 {
		g.empty.Wait()
	}
}

// handoff is a net.Listener whose connections are wires made elsewhere.
type handoff struct {
	in   chan *wire
	once sync.Once
	done chan struct{}
}

func newHandoff() *handoff { return &handoff{in: make(chan *wire), done: make(chan struct{})} }

// put hands the wire on, or closes it when nobody takes wires any more.
func (h *handoff) put(w *wire) {
	select {
	case h.in <- w:
	case <-h.done:
		w.Close()
	}
}

// Accept waits for the next wire.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case w := <-h.in:
		return w, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is no address: wires come from several listeners.
func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }

// counter counts what is going on, and waits for its end.
type counter struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // made by wait, closed at 0
}

func (c *counter) begin() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

func (c *counter) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

func (c *counter) wait() {
	c.mu.Lock()
	if c.n == 0 {
		c.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	c.idle = idle
	c.mu.Unlock()
	<-idle
}
