package dnsd

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// canReusePort: the kernel spreads questions over several sockets of one port.
const canReusePort = true

// prepare lets several sockets share the port, and asks for the address each packet came to.
func prepare(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		if failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); failed != nil {
			return
		}
		// On a socket for both families the IPv6 message tells of IPv4 packets too; one message is enough.
		if unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) != nil {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	})
	if err != nil {
		return err
	}
	return failed
}

// infoSize is room for one control message of either family.
const infoSize = 64

// multihomed is a socket on all addresses of the machine: an answer must leave from the address that
// was asked, or the asker drops it. The control message that says where a packet came to, sent along
// with the answer, sets where it comes from.
type multihomed struct {
	*net.UDPConn
	info [infoSize]byte
	n    int
}

func (m *multihomed) read(p []byte) (int, netip.AddrPort, error) {
	n, oob, _, from, err := m.ReadMsgUDPAddrPort(p, m.info[:])
	m.n = oob
	return n, from, err
}

func (m *multihomed) write(p []byte, to netip.AddrPort) error {
	m.anyInterface()
	_, _, err := m.WriteMsgUDPAddrPort(p, m.info[:m.n], to)
	return err
}

// anyInterface clears the interface in the control message, so that only the address is kept and the
// answer goes by the routing table.
func (m *multihomed) anyInterface() {
	messages, err := unix.ParseSocketControlMessage(m.info[:m.n])
	if err != nil || len(messages) != 1 {
		m.n = 0
		return
	}
	h, data := messages[0].Header, messages[0].Data // data is a view of m.info
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		clear(data[:4])
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		clear(data[16:20])
	default:
		m.n = 0
	}
}
