package lab

import (
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// Sites choose their ports before they bind them, because their configurations name each other's. So a
// port is given once in a process, and processes that run side by side take from different ranges, all of
// them below the ports that systems give to outgoing connections.
const (
	firstPort = 13000
	ranges    = 16
	perRange  = 1000
)

// given counts the ports handed out by this process.
var given atomic.Uint32

// freePort is host:port on loopback that nobody listens on now, on TCP or UDP, and that this process was
// not given before, so that it stays free until it is bound and while a site is stopped.
func (*Lab) freePort() (string, error) {
	for range perRange {
		n := int(given.Add(1))
		port := firstPort + os.Getpid()%ranges*perRange + n%perRange
		at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", at)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", at)
		l.Close()
		if err != nil {
			continue
		}
		u.Close()
		return at, nil
	}
	return "", errors.New("lab: no free port on loopback")
}
