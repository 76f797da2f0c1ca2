package dnsd

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"
)

// serveTCP answers on connections; it returns when all of them have ended.
func (s *Server) serveTCP(ctx context.Context, cancel context.CancelCauseFunc, l net.Listener) {
	failed := func(err error) { s.cfg.Log.Warn("dns: cannot accept", "error", err) }
	if err := s.crowd.Serve(ctx, l, failed, func(conn net.Conn) {
		s.converse(conn, peerOf(conn))
		linger(conn)
	}); err != nil {
		cancel(err)
	}
}

func peerOf(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// converse answers questions in order until the peer goes, is silent, or has asked enough.
func (s *Server) converse(conn net.Conn, peer netip.Addr) {
	var size [2]byte
	question := make([]byte, MaxTCPQuestion)
	var answer []byte
	var q query
	for range MaxPerTCP {
		if conn.SetDeadline(time.Now().Add(TCPIdle)) != nil {
			return
		}
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n > MaxTCPQuestion {
			s.counts.malformed.Add(1)
			return
		}
		if _, err := io.ReadFull(conn, question[:n]); err != nil {
			return
		}
		s.counts.tcp.Add(1)
		if q.wantsTransfer(question[:n]) {
			if s.transfer(conn, peer, question[:n]) != nil {
				return
			}
			continue
		}
		answer = s.respond(&q, append(answer[:0], 0, 0), question[:n], 0xffff)
		if len(answer) <= 2 {
			return
		}
		binary.BigEndian.PutUint16(answer, uint16(len(answer)-2))
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// linger lets the last answers arrive: closing with questions unread would reset the connection and
// take answers under way with it.
func linger(conn net.Conn) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || conn.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	io.CopyN(io.Discard, conn, MaxPerTCP*MaxTCPQuestion) // until the peer closes, a second, or this much
}

// wantsTransfer says whether the question is for a whole zone.
func (q *query) wantsTransfer(packet []byte) bool {
	return q.parse(packet) == parsed && (q.qtype == typeAXFR || q.qtype == typeIXFR)
}
