package ldapd

import (
	"io"
	"net"
	"time"
)

// given is a connection from which fixed octets come.
type given struct{ io.Reader }

func (given) Write(p []byte) (int, error)      { return len(p), nil }
func (given) Close() error                     { return nil }
func (given) LocalAddr() net.Addr              { return nil }
func (given) RemoteAddr() net.Addr             { return nil }
func (given) SetDeadline(time.Time) error      { return nil }
func (given) SetReadDeadline(time.Time) error  { return nil }
func (given) SetWriteDeadline(time.Time) error { return nil }
