package ber

import (
	"errors"
	"fmt"
	"io"
)

// bufferSize is how much the scanner reads ahead; large contents bypass the buffer.
const bufferSize = 4 << 10

// Scanner walks the elements of a BER stream, one header at a time, forwards only. Next reads a
// header inside the current container; then exactly one of Enter, Skip, Raw or Octets handles it.
type Scanner struct {
	src   io.Reader
	buf   []byte
	r, w  int
	err   error
	off   int64   // stream offset of buf[r]
	ends  []int64 // ends of the open containers, -1 when indefinite
	room  [MaxDepth]int64
	count int64
	cur   Header
	raw   []byte // octets of the current header
	state state
}

type state uint8

const (
	between  state = iota // no element pending
	pending               // cur was read, its content was not touched
	inOctets              // an Octets reader is running
)

// NewScanner reads from src, which it buffers.
func NewScanner(src io.Reader) *Scanner {
	b := make([]byte, bufferSize+16)
	s := &Scanner{src: src, buf: b[:bufferSize:bufferSize], raw: b[bufferSize:bufferSize]}
	s.ends = s.room[:0]
	return s
}

// Count is the number of headers read so far: the work done, for tests of linear cost.
func (s *Scanner) Count() int64 { return s.count }

// Offset is the position in the stream, in octets.
func (s *Scanner) Offset() int64 { return s.off }

// Depth is the number of open containers.
func (s *Scanner) Depth() int { return len(s.ends) }

// fill makes at least one more octet available, or reports the end.
func (s *Scanner) fill() error {
	if s.err != nil {
		return s.err
	}
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	for range 100 {
		n, err := s.src.Read(s.buf[s.w:])
		s.w += n
		if err != nil {
			s.err = err
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}

// Next reads the header of the next element of the current container. ok is false at the
// container's end (Leave it then), and at the end of the stream when no container is open.
func (s *Scanner) Next() (h Header, ok bool, err error) {
	if s.state != between {
		return h, false, errors.New("ber: Next before the previous element was handled")
	}
	end := int64(-1)
	if len(s.ends) > 0 {
		end = s.ends[len(s.ends)-1]
		if end == s.off {
			return h, false, nil
		}
	}
	h, n, err := s.header()
	if err != nil || n == 0 {
		return h, false, err
	}
	if s.count++; s.count > MaxElements {
		return h, false, fmt.Errorf("%w: more than %d elements", ErrLimit, MaxElements)
	}
	limit := s.limit()
	if limit >= 0 && (s.off+int64(n) > limit || h.Length > limit-s.off-int64(n)) {
		return h, false, fmt.Errorf("%w: element at octet %d is longer than its container", ErrSyntax, s.off)
	}
	if h.endOfContents() {
		if len(s.ends) == 0 || end != -1 {
			return h, false, fmt.Errorf("%w: stray end-of-contents at octet %d", ErrSyntax, s.off)
		}
		return h, false, nil // left in the buffer: Leave takes it
	}
	s.raw = append(s.raw[:0], s.buf[s.r:s.r+n]...)
	s.r += n
	s.off += int64(n)
	s.cur, s.state = h, pending
	return h, true, nil
}

// limit is the innermost definite end, -1 when there is none.
func (s *Scanner) limit() int64 {
	for i := len(s.ends) - 1; i >= 0; i-- {
		if s.ends[i] >= 0 {
			return s.ends[i]
		}
	}
	return -1
}

// header parses the header at the front of the buffer without consuming it; n is 0 at a clean end
// of the stream outside any container.
func (s *Scanner) header() (Header, int, error) {
	for {
		h, n, err := parseHeader(s.buf[s.r:s.w])
		if err != nil {
			return h, 0, fmt.Errorf("at octet %d: %w", s.off, err)
		}
		if n > 0 {
			return h, n, nil
		}
		if s.w-s.r > maxHeader {
			return h, 0, fmt.Errorf("at octet %d: %w: header", s.off, ErrLimit)
		}
		if err := s.fill(); err != nil {
			if errors.Is(err, io.EOF) && s.w == s.r && len(s.ends) == 0 {
				return h, 0, nil
			}
			return h, 0, truncated(err)
		}
	}
}

// Enter opens the pending constructed element.
func (s *Scanner) Enter() error {
	if s.state != pending || !s.cur.Constructed {
		return fmt.Errorf("%w: constructed element expected before octet %d", ErrSyntax, s.off)
	}
	if len(s.ends) >= MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrLimit, MaxDepth)
	}
	end := int64(-1)
	if s.cur.Length >= 0 {
		end = s.off + s.cur.Length
	}
	s.ends = append(s.ends, end)
	s.state = between
	return nil
}

// Leave closes the current container, skipping what is left of it.
func (s *Scanner) Leave() error {
	if len(s.ends) == 0 {
		return errors.New("ber: Leave outside any container")
	}
	end := s.ends[len(s.ends)-1]
	if end >= 0 {
		if s.state == pending {
			s.state = between
		}
		if err := s.discard(end - s.off); err != nil {
			return err
		}
		s.ends = s.ends[:len(s.ends)-1]
		return nil
	}
	if s.state == pending {
		if err := s.Skip(); err != nil {
			return err
		}
	}
	for {
		_, ok, err := s.Next()
		if err != nil {
			return err
		}
		if !ok {
			return s.closeIndefinite()
		}
		if err := s.Skip(); err != nil {
			return err
		}
	}
}

// closeIndefinite consumes the end-of-contents that Next saw.
func (s *Scanner) closeIndefinite() error {
	_, n, err := s.header()
	if err != nil {
		return err
	}
	s.r += n
	s.off += int64(n)
	s.ends = s.ends[:len(s.ends)-1]
	return nil
}

// Skip passes over the content of the pending element, whatever its form.
func (s *Scanner) Skip() error { return s.walk(func([]byte) error { return nil }) }

// Raw is the whole pending element, header included, exactly as received; an element of more than
// limit octets is refused.
func (s *Scanner) Raw(limit int) ([]byte, error) {
	// Room for what is announced, but for no more than an honest certificate takes.
	out := make([]byte, 0, len(s.raw)+int(min(max(s.cur.Length, 0), int64(limit), 4<<10)))
	out = append(out, s.raw...)
	err := s.walk(func(b []byte) error {
		if len(out)+len(b) > limit {
			return fmt.Errorf("%w: element longer than %d octets", ErrLimit, limit)
		}
		out = append(out, b...)
		return nil
	})
	return out, err
}

// walk passes all content octets of the pending element to f, end-of-contents and inner headers
// included. A definite element is not looked into.
func (s *Scanner) walk(f func([]byte) error) error {
	if s.state != pending {
		return errors.New("ber: no element pending")
	}
	base := len(s.ends)
	if s.cur.Length >= 0 {
		s.state = between
		return s.pass(s.cur.Length, f)
	}
	if err := s.Enter(); err != nil {
		return err
	}
	for len(s.ends) > base {
		h, ok, err := s.Next()
		if err != nil {
			return err
		}
		if !ok {
			if err := f([]byte{0, 0}); err != nil {
				return err
			}
			if err := s.closeIndefinite(); err != nil {
				return err
			}
			continue
		}
		if err := f(s.raw); err != nil {
			return err
		}
		if h.Length < 0 {
			err = s.Enter()
		} else {
			s.state = between
			err = s.pass(h.Length, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Scanner) pass(n int64, f func([]byte) error) error {
	for n > 0 {
		if s.r == s.w {
			if err := s.fill(); err != nil {
				return truncated(err)
			}
		}
		take := int(min(n, int64(s.w-s.r)))
		if err := f(s.buf[s.r : s.r+take]); err != nil {
			return err
		}
		s.r += take
		s.off += int64(take)
		n -= int64(take)
	}
	return nil
}

func (s *Scanner) discard(n int64) error {
	return s.pass(n, func([]byte) error { return nil })
}

// Rest returns a reader over what follows in the stream after the last element, for checks of
// trailing data; only outside any container.
func (s *Scanner) Rest() io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if s.r == s.w {
			if err := s.fill(); err != nil {
				return 0, err
			}
		}
		n := copy(p, s.buf[s.r:s.w])
		s.r += n
		s.off += int64(n)
		return n, nil
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
