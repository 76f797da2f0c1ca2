package ber

import (
	"fmt"
	"io"
)

// Octets reads the content of the pending OCTET STRING: one primitive, or the concatenation of the
// segments of a constructed one (X.690 §8.7). The element may carry an implicit tag; its segments
// are universal OCTET STRINGs. After io.EOF the scanner stands behind the element.
func (s *Scanner) Octets() (io.Reader, error) {
	if s.state != pending {
		return nil, fmt.Errorf("%w: octet string expected before octet %d", ErrSyntax, s.off)
	}
	o := &octets{s: s, base: len(s.ends)}
	if !s.cur.Constructed {
		o.left, o.primitive = s.cur.Length, true
		s.state = inOctets
		return o, nil
	}
	if err := s.Enter(); err != nil {
		return nil, err
	}
	s.state = inOctets
	return o, nil
}

type octets struct {
	s         *Scanner
	base      int
	left      int64 // of the current segment
	primitive bool
	done      bool
}

func (o *octets) Read(p []byte) (int, error) {
	if o.done {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	for o.left == 0 {
		if o.primitive {
			return 0, o.finish()
		}
		if err := o.segment(); err != nil {
			return 0, err
		}
		if o.done {
			return 0, io.EOF
		}
	}
	return o.take(p)
}

func (o *octets) finish() error {
	o.done = true
	o.s.state = between
	return io.EOF
}

// segment moves to the next segment, entering and leaving nested ones.
func (o *octets) segment() error {
	s := o.s
	s.state = between
	h, ok, err := s.Next()
	if err != nil {
		return err
	}
	if !ok {
		if err := s.Leave(); err != nil {
			return err
		}
		if len(s.ends) == o.base {
			o.done = true
			return nil
		}
		s.state = inOctets
		return nil
	}
	if !h.Is(Universal, TagOctetString) {
		return fmt.Errorf("%w: segment of an octet string has another type", ErrSyntax)
	}
	if h.Constructed {
		if err := s.Enter(); err != nil {
			return err
		}
	} else {
		o.left = h.Length
	}
	s.state = inOctets
	return nil
}

// take copies from the buffer, or reads straight into p when the buffer is empty.
func (o *octets) take(p []byte) (int, error) {
	s := o.s
	if int64(len(p)) > o.left {
		p = p[:o.left]
	}
	if s.r == s.w && len(p) >= bufferSize && s.err == nil {
		n, err := s.src.Read(p)
		if err != nil {
			s.err = err
		}
		if n > 0 || err == nil {
			s.off += int64(n)
			o.left -= int64(n)
			return n, nil
		}
	}
	if s.r == s.w {
		if err := s.fill(); err != nil {
			return 0, truncated(err)
		}
	}
	n := copy(p, s.buf[s.r:s.w])
	s.r += n
	s.off += int64(n)
	o.left -= int64(n)
	return n, nil
}
