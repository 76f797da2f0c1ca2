// Package ldapwire reads LDAP messages (RFC 4511 §5.1) from strangers, one whole and checked message
// at a time, for the libraries that make an object of each element: size, depth, number of elements
// and the sum of all messages of a connection are bounded before anything is decoded.
//
// It knows nothing of what a message says. A message is a SEQUENCE of definite length; indefinite and
// long-tag forms, which LDAP forbids, are refused.
package ldapwire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// ErrHostile is why a connection was cut: the peer's own doing.
var ErrHostile = errors.New("ldapwire: peer sends what no LDAP program sends")

// MaxDepth is how deep a message may be nested: filters and attribute lists need 6.
const MaxDepth = 16

// Limits of a connection.
type Limits struct {
	Message  int   // octets of one message
	Elements int   // in one message
	Total    int64 // octets of all messages; 0 = no limit
}

// Conn is a connection whose Read gives only octets of checked messages. One goroutine may read.
type Conn struct {
	net.Conn
	limits Limits
	in     *bufio.Reader
	spent  int64  // octets of messages so far
	out    []byte // of a checked message, not yet read
	cut    atomic.Pointer[error]
}

// NewConn puts the checks before conn.
func NewConn(conn net.Conn, limits Limits) *Conn {
	return &Conn{Conn: conn, limits: limits, in: bufio.NewReaderSize(conn, 4096)}
}

// Cut is the ErrHostile that ended reading, nil when none did. It may be asked from any goroutine.
func (c *Conn) Cut() error {
	if e := c.cut.Load(); e != nil {
		return *e
	}
	return nil
}

// Read gives octets of the current message, or checks the next.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.out) == 0 {
		if err := c.next(); err != nil {
			if errors.Is(err, ErrHostile) {
				c.cut.Store(&err)
			}
			return 0, err
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

func (c *Conn) next() error {
	if cut := c.Cut(); cut != nil {
		return cut // nothing after a hostile message is read
	}
	message, err := c.Message()
	if err == nil {
		c.out = message
	}
	return err
}

// Message is the next whole message, checked. It must not be mixed with Read within a message.
func (c *Conn) Message() ([]byte, error) {
	head, err := c.head()
	if err != nil {
		return nil, err
	}
	if head[0] != 0x30 {
		return nil, fmt.Errorf("%w: message begins with %#x", ErrHostile, head[0])
	}
	_, size, n, err := header(head)
	if err != nil {
		return nil, err
	}
	total := n + size
	if total > c.limits.Message {
		return nil, fmt.Errorf("%w: message of %d octets, at most %d", ErrHostile, total, c.limits.Message)
	}
	if c.spent += int64(total); c.limits.Total > 0 && c.spent > c.limits.Total {
		return nil, fmt.Errorf("%w: more than %d octets in all", ErrHostile, c.limits.Total)
	}
	message := make([]byte, total)
	if _, err := io.ReadFull(c.in, message); err != nil {
		return nil, err
	}
	elements := 0
	if err := scan(message[n:], 1, c.limits.Elements, &elements); err != nil {
		return nil, err
	}
	return message, nil
}

// head looks at the identifier and length octets, which are 2 to 6.
func (c *Conn) head() ([]byte, error) {
	head, err := c.in.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[1] > 0x80 && head[1] <= 0x84 {
		return c.in.Peek(2 + int(head[1]&0x7f))
	}
	return head, nil
}

// header reads one identifier and definite length; n is the octets of both.
func header(p []byte) (constructed bool, size, n int, err error) {
	if len(p) < 2 || p[0]&0x1f == 0x1f {
		return false, 0, 0, fmt.Errorf("%w: element with a long tag or cut off", ErrHostile)
	}
	constructed = p[0]&0x20 != 0
	if p[1] < 0x80 {
		return constructed, int(p[1]), 2, nil
	}
	octets := int(p[1] & 0x7f)
	if octets == 0 || octets > 4 || len(p) < 2+octets {
		return false, 0, 0, fmt.Errorf("%w: element of indefinite or overlong length", ErrHostile)
	}
	for _, b := range p[2 : 2+octets] {
		size = size<<8 | int(b)
	}
	if size < 0 { // where int has 32 bits
		return false, 0, 0, fmt.Errorf("%w: element of indefinite or overlong length", ErrHostile)
	}
	return constructed, size, 2 + octets, nil
}

// scan counts the elements of a constructed element's content.
func scan(p []byte, depth, most int, elements *int) error {
	if depth > MaxDepth {
		return fmt.Errorf("%w: message deeper than %d", ErrHostile, MaxDepth)
	}
	for len(p) > 0 {
		if *elements++; *elements > most {
			return fmt.Errorf("%w: message of more than %d elements", ErrHostile, most)
		}
		constructed, size, n, err := header(p)
		if err != nil {
			return err
		}
		if size > len(p)-n {
			return fmt.Errorf("%w: element longer than its message", ErrHostile)
		}
		if constructed {
			if err := scan(p[n:n+size], depth+1, most, elements); err != nil {
				return err
			}
		}
		p = p[n+size:]
	}
	return nil
}
