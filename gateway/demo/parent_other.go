//go:build !linux

package demo

import "syscall"

// endsWithParent is not offered by this system: a killed demo leaves its gateways to be stopped by hand.
func endsWithParent() *syscall.SysProcAttr { return nil }
