package smtpd

import (
	"crypto/tls"
	"io"
	"net"
	"time"
)

// upgrade is STARTTLS (RFC 3207): what the peer sent after it in clear is dropped, TLS is made, and
// the library starts anew, knowing nothing of before (EP-21).
func (w *wire) upgrade(n int) error {
	w.pos, w.end = 0, 0
	w.say("220 2.0.0 Ready to start TLS")
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.handshake(); err != nil {
		return err
	}
	w.mu.Lock()
	w.handing = true
	w.mu.Unlock()
	return io.EOF
}

// handshake puts TLS over the connection. After a failure nothing can be said to the peer any more.
func (w *wire) handshake() error {
	c := tls.Server(w.conn, w.srv.tls)
	c.SetDeadline(time.Now().Add(w.srv.limits.Handshake))
	if err := c.HandshakeContext(w.srv.ctx); err != nil {
		w.srv.cfg.Metrics.Refused(w.srv.cfg.Mode, ReasonHandshake)
		w.srv.log.Info("tls handshake failed", "peer", w.remote, "session", w.id, "error", clean(err.Error(), 200))
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.conn.Close()
		w.srv.gate.leave(w)
		w.err = net.ErrClosed
		return w.err
	}
	c.SetDeadline(time.Time{})
	st := c.ConnectionState()
	w.mu.Lock()
	w.conn, w.secure = c, true
	w.mu.Unlock()
	w.tls = tls.VersionName(st.Version) + " " + tls.CipherSuiteName(st.CipherSuite)
	return nil
}
