package smtpd

import (
	"crypto/tls"
	"io"
	"net"
	"time"
)

func (w *wire) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopping
}

// stop tells the wire that the server shuts down: it says 421 at the next command.
func (w *wire) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopping = true
	if w.waiting {
		w.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// cut ends the connection at once.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn.SetDeadline(time.Unix(1, 0))
	if t, ok := w.conn.(*tls.Conn); ok {
		t.NetConn().Close()
		return
	}
	w.conn.Close()
}

// Close sends what is left to say and closes, or, after STARTTLS, hands the wire on.
func (w *wire) Close() error {
	w.mu.Lock()
	if w.handing {
		w.handing = false
		w.mu.Unlock()
		w.hushed, w.verb, w.inAuth, w.junk = true, "", false, 0
		w.srv.secreIn.put(w)
		return nil
	}
	if w.closed {
		w.mu.Unlock()
		return net.ErrClosed
	}
	w.closed = true
	w.mu.Unlock()
	w.flush() // best effort: the peer may be gone
	if w.hangup {
		w.linger()
	}
	err := w.conn.Close()
	if w.err == nil {
		w.err = net.ErrClosed
	}
	if w.pooled {
		w.srv.gate.buffers.Put((*[bigBuffer]byte)(w.buf))
		w.buf, w.pooled, w.pos, w.end = nil, false, 0, 0
	}
	w.srv.gate.leave(w)
	return err
}

// linger reads what the peer still has under way: closing on unread octets resets the connection, and
// the peer might never see why it was refused.
func (w *wire) linger() {
	const most, patience = 256 << 10, time.Second
	if w.err != nil || w.stopped() {
		return
	}
	switch c := w.conn.(type) {
	case *net.TCPConn:
		c.CloseWrite()
	case *tls.Conn:
		c.CloseWrite()
	}
	w.conn.SetReadDeadline(time.Now().Add(patience))
	io.CopyN(io.Discard, w.conn, most)
}
