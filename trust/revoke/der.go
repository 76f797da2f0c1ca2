package revoke

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"io"
)

// maxElement bounds what is held of a list at once: a name, an entry, its extensions.
const maxElement = 64 << 10

// errMalformed is the cause of every refusal to read a list.
var errMalformed = errors.New("revoke: not a certificate revocation list")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// source reads DER as a stream. Everything that passes through goes into the whole-list digest and,
// while it is switched on, into tbs.
type source struct {
	r     *bufio.Reader
	off   int64
	whole hash.Hash
	tbs   io.Writer // nil = off
	head  [10]byte  // of the last header: kept here so that feeding it does not allocate
}

// header is the tag and length of one element, and its octets.
type header struct {
	tag  byte
	n    int64 // of the content
	raw  [10]byte
	size int // octets of raw in use
}

func (h *header) octets() []byte { return h.raw[:h.size] }

// next reads one header. Indefinite and needlessly long lengths are refused: the signed form is DER.
func (s *source) next() (header, error) {
	var raw [10]byte
	tag, err := s.octet()
	if err != nil {
		return header{}, err
	}
	if tag&0x1f == 0x1f {
		return header{}, malformed("tag in more than one octet at %d", s.off)
	}
	first, err := s.octet()
	if err != nil {
		return header{}, err
	}
	raw[0], raw[1] = tag, first
	n, size := int64(first), 2
	if first >= 0x80 {
		count := int(first & 0x7f)
		if count == 0 || count > 5 {
			return header{}, malformed("length form %#x at %d", first, s.off)
		}
		n = 0
		for range count {
			b, err := s.octet()
			if err != nil {
				return header{}, err
			}
			n = n<<8 | int64(b)
			raw[size] = b
			size++
		}
		if n < 0x80 || raw[2] == 0 {
			return header{}, malformed("length is not minimal at %d", s.off)
		}
	}
	s.head = raw
	s.feed(s.head[:size])
	return header{tag, n, raw, size}, nil
}

func (s *source) octet() (byte, error) {
	b, err := s.r.ReadByte()
	if err == io.EOF {
		return 0, malformed("ends at %d", s.off)
	}
	s.off++
	return b, err
}

func (s *source) feed(b []byte) {
	s.whole.Write(b)
	if s.tbs != nil {
		s.tbs.Write(b)
	}
}

// body reads the content of h into buf, which grows as needed up to maxElement.
func (s *source) body(h header, buf []byte) ([]byte, error) {
	if h.n > maxElement {
		return nil, malformed("an element of %d octets at %d, at most %d are read", h.n, s.off, maxElement)
	}
	if int64(cap(buf)) < h.n {
		buf = make([]byte, h.n, 2*h.n)
	}
	buf = buf[:h.n]
	n, err := io.ReadFull(s.r, buf)
	s.off += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, malformed("ends at %d", s.off)
	}
	if err != nil {
		return nil, err
	}
	s.feed(buf)
	return buf, nil
}

// element reads one whole element, header included.
func (s *source) element() ([]byte, byte, error) {
	h, err := s.next()
	if err != nil {
		return nil, 0, err
	}
	b, err := s.body(h, nil)
	return append(h.octets(), b...), h.tag, err
}
