package demo

import "syscall"

// endsWithParent makes a child end when the demo is killed, so that no gateway is left running.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
