package dnsd

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// canReusePort: the kernel spreads questions over several sockets of one port.
const canReusePort = true

func reusePort(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if err != nil {
		return err
	}
	return failed
}
