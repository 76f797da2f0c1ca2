//go:build !linux

package crash_test

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
