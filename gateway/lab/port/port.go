// Package port gives loopback ports to what must know its ports before they are bound: gateways whose configurations
// name each other, and servers that are programs of their own.
//
// A port that the system chooses and that is let go again can be anybody's a moment later. These lie below the ports
// that systems give to outgoing connections and to listeners that ask for any. Processes that run side by side take
// from different ranges: whoever takes from one keeps a listener on its first port until the process ends. A process
// is given each port of its range in turn, and one again only when all others had theirs.
//
// Limits: 19 ranges of 1,000 ports from 13,000 on, one a process.
package port

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
)

const (
	first    = 13000
	ranges   = 19
	perRange = 1000
)

// mine is the range of this process.
var mine struct {
	sync.Mutex
	guard net.Listener // on its first port; never closed
	begin int
	given int
}

// Free is a port of 127.0.0.1 that nobody listens on now, on TCP or UDP.
func Free() (int, error) {
	mine.Lock()
	defer mine.Unlock()
	if err := claim(); err != nil {
		return 0, err
	}
	for range perRange {
		mine.given = mine.given%(perRange-1) + 1 // the first is the guard's
		if n := mine.begin + mine.given; unused(n) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("port: all of %d to %d on 127.0.0.1 are in use", mine.begin, mine.begin+perRange-1)
}

// claim takes a range that no other process has.
func claim() error {
	for i := 0; i < ranges && mine.guard == nil; i++ {
		begin := first + (os.Getpid()+i)%ranges*perRange
		if l, err := net.Listen("tcp", At(begin)); err == nil {
			mine.guard, mine.begin = l, begin
		}
	}
	if mine.guard == nil {
		return errors.New("port: every range of ports is another process's")
	}
	return nil
}

func unused(n int) bool {
	l, err := net.Listen("tcp", At(n))
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", At(n))
	if err != nil {
		return false
	}
	u.Close()
	return true
}

// At is "127.0.0.1:port".
func At(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n)) }
