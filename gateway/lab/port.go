package lab

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePort is host:port on loopback where nobody listens now, on TCP or UDP, and which this lab has not
// given away yet. It lies below the ports that systems give to outgoing connections, so that it stays free
// until it is bound, and while a site is stopped.
func (l *Lab) freePort() (string, error) {
	for range 200 {
		at := net.JoinHostPort("127.0.0.1", strconv.Itoa(10000+rand.IntN(20000)))
		if l.given[at] {
			continue
		}
		t, err := net.Listen("tcp", at)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", at)
		t.Close()
		if err != nil {
			continue
		}
		u.Close()
		l.given[at] = true
		return at, nil
	}
	return "", errors.New("lab: no free port on loopback")
}
