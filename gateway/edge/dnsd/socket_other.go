//go:build !linux

package dnsd

import (
	"net"
	"net/netip"
	"syscall"
)

// canReusePort: elsewhere several sockets on one port do not share the questions.
const canReusePort = false

func prepare(_, _ string, _ syscall.RawConn) error { return nil }

// multihomed: elsewhere the system chooses the address an answer leaves from; machines with several
// addresses should list them in the configuration instead of listening on all.
type multihomed struct{ *net.UDPConn }

func (m *multihomed) read(p []byte) (int, netip.AddrPort, error) { return m.ReadFromUDPAddrPort(p) }

func (m *multihomed) write(p []byte, to netip.AddrPort) error {
	_, err := m.WriteToUDPAddrPort(p, to)
	return err
}
