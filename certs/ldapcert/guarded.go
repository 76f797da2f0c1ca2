package ldapcert

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// errHostile is why a connection was cut: the server's own doing.
var errHostile = errors.New("server sends what no directory sends")

// guarded hands the library one whole, checked message at a time. An LDAP message is a SEQUENCE of
// definite length (RFC 4511 §5.1); its size, depth and number of elements are bounded before the
// library makes an object of each element.
type guarded struct {
	net.Conn
	in   *bufio.Reader
	left int64  // octets that this server may still send
	out  []byte // of a checked message, not yet read by the library
	cut  atomic.Pointer[error]
}

func (g *guarded) reason() error {
	if e := g.cut.Load(); e != nil {
		return *e
	}
	return nil
}

// Read is called by the library's one reader.
func (g *guarded) Read(p []byte) (int, error) {
	if len(g.out) == 0 {
		if err := g.next(); err != nil {
			if errors.Is(err, errHostile) {
				g.cut.Store(&err)
			}
			return 0, err
		}
	}
	n := copy(p, g.out)
	g.out = g.out[n:]
	return n, nil
}

func (g *guarded) next() error {
	if g.in == nil {
		g.in = bufio.NewReaderSize(g.Conn, 4096)
	}
	head, err := g.head()
	if err != nil {
		return err
	}
	_, size, n, err := header(head)
	if err != nil {
		return err
	}
	if head[0] != 0x30 {
		return fmt.Errorf("%w: message begins with %#x", errHostile, head[0])
	}
	total := n + size
	if total > MaxMessage {
		return fmt.Errorf("%w: message of %d octets, at most %d", errHostile, total, MaxMessage)
	}
	if g.left -= int64(total); g.left < 0 {
		return fmt.Errorf("%w: more than %d octets in all", errHostile, MaxBytes)
	}
	message := make([]byte, total)
	if _, err := io.ReadFull(g.in, message); err != nil {
		return err
	}
	elements := 0
	if err := scan(message[n:], 1, &elements); err != nil {
		return err
	}
	g.out = message
	return nil
}

// head looks at the identifier and length octets, which are 2 to 6.
func (g *guarded) head() ([]byte, error) {
	head, err := g.in.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[1] > 0x80 && head[1] <= 0x84 {
		return g.in.Peek(2 + int(head[1]&0x7f))
	}
	return head, nil
}

// header reads one identifier and definite length; n is the octets of both.
func header(p []byte) (constructed bool, size, n int, err error) {
	if len(p) < 2 || p[0]&0x1f == 0x1f {
		return false, 0, 0, fmt.Errorf("%w: element with a long tag or cut off", errHostile)
	}
	constructed = p[0]&0x20 != 0
	if p[1] < 0x80 {
		return constructed, int(p[1]), 2, nil
	}
	octets := int(p[1] & 0x7f)
	if octets == 0 || octets > 4 || len(p) < 2+octets {
		return false, 0, 0, fmt.Errorf("%w: element of indefinite or overlong length", errHostile)
	}
	for _, b := range p[2 : 2+octets] {
		size = size<<8 | int(b)
	}
	if size > MaxMessage {
		return false, 0, 0, fmt.Errorf("%w: message of %d octets, at most %d", errHostile, size, MaxMessage)
	}
	return constructed, size, 2 + octets, nil
}

// scan counts the elements of a constructed element's content.
func scan(p []byte, depth int, elements *int) error {
	if depth > MaxDepth {
		return fmt.Errorf("%w: message deeper than %d", errHostile, MaxDepth)
	}
	for len(p) > 0 {
		if *elements++; *elements > MaxElements {
			return fmt.Errorf("%w: message of more than %d elements", errHostile, MaxElements)
		}
		constructed, size, n, err := header(p)
		if err != nil {
			return err
		}
		if n+size > len(p) {
			return fmt.Errorf("%w: element longer than its message", errHostile)
		}
		if constructed {
			if err := scan(p[n:n+size], depth+1, elements); err != nil {
				return err
			}
		}
		p = p[n+size:]
	}
	return nil
}
