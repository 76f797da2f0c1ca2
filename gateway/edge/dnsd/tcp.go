package dnsd

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// peers counts TCP connections by address.
type peers struct {
	mu sync.Mutex
	n  map[netip.Addr]int
}

func (p *peers) enter(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n[a] >= MaxTCPPerPeer {
		return false
	}
	p.n[a]++
	return true
}

func (p *peers) leave(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n[a]--; p.n[a] <= 0 {
		delete(p.n, a)
	}
}

// serveTCP accepts connections; it returns when all of them have ended.
func (s *Server) serveTCP(ctx context.Context, cancel context.CancelCauseFunc, l net.Listener) {
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, MaxTCP)
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
			s.cfg.Log.Warn("dns: cannot accept", "error", err)
			select { // out of file descriptors: do not spin
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		peer := peerOf(conn)
		if !s.perPeer.enter(peer) {
			conn.Close()
			continue
		}
		select {
		case slots <- struct{}{}:
		default: // full: the newest goes, so that a flood does not push out those being answered
			s.perPeer.leave(peer)
			conn.Close()
			continue
		}
		work.Go(func() {
			defer func() { <-slots; s.perPeer.leave(peer); conn.Close() }()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			s.converse(conn, peer)
			linger(conn)
		})
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
