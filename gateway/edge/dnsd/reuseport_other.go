//go:build !linux

package dnsd

import "syscall"

// canReusePort: elsewhere several sockets on one port do not share the questions.
const canReusePort = false

func reusePort(_, _ string, _ syscall.RawConn) error { return nil }
