package crash_test

import "syscall"

// endsWithParent makes a gateway end when the test is killed.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
