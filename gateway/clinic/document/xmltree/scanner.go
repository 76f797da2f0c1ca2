package xmltree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// window is how much of the source is in memory at once, in bytes.
const window = 128 << 10

// scanner hands out the source through a sliding window and counts what it looks at.
type scanner struct {
	src  io.ReaderAt
	size int64
	buf  []byte
	base int64 // source offset of buf[0]
	pos  int   // next byte in buf
	work int64 // bytes looked at: the linear-work tests count it
	stop func() error
	err  error // the source's own error, or stop's
}

func newScanner(src io.ReaderAt, size int64, stop func() error) *scanner {
	return &scanner{src: src, size: size, stop: stop, buf: make([]byte, 0, min(size, window))}
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

func (s *scanner) rest() []byte { return s.buf[s.pos:] }

// last says whether the window reaches the end of the source.
func (s *scanner) last() bool { return s.err != nil || s.base+int64(len(s.buf)) >= s.size }

// fill makes at least n bytes available, if the source has them.
func (s *scanner) fill(n int) bool {
	if len(s.buf)-s.pos >= n {
		return true
	}
	if s.last() {
		return false
	}
	if s.stop != nil {
		if err := s.stop(); err != nil {
			s.err = fmt.Errorf("xmltree: stopped: %w", err)
			return false
		}
	}
	keep := copy(s.buf[:cap(s.buf)], s.buf[s.pos:])
	s.base += int64(s.pos)
	s.pos = 0
	if want := max(window, n); cap(s.buf) < want && int64(cap(s.buf)) < s.size {
		grown := make([]byte, keep, int(min(int64(want)*2, s.size)))
		copy(grown, s.buf[:keep])
		s.buf = grown
	}
	room := s.buf[keep:cap(s.buf)]
	if left := s.size - s.base - int64(keep); int64(len(room)) > left {
		room = room[:left]
	}
	got, err := s.src.ReadAt(room, s.base+int64(keep))
	s.buf = s.buf[:keep+got]
	if err != nil && !(errors.Is(err, io.EOF) && got == len(room)) {
		s.err = fmt.Errorf("xmltree: reading the source: %w", err)
	}
	return len(s.buf) >= n
}

func (s *scanner) advance(n int) { s.pos += n; s.work += int64(n) }

// through skips past the next occurrence of mark; at the end of the source it says false.
func (s *scanner) through(mark string) bool {
	for {
		if i := bytes.Index(s.rest(), []byte(mark)); i >= 0 {
			s.advance(i + len(mark))
			return true
		}
		s.advance(max(0, len(s.rest())-len(mark)+1))
		if !s.fill(len(mark)) {
			s.advance(len(s.rest()))
			return false
		}
	}
}

// prefix says whether the source goes on with mark.
func (s *scanner) prefix(mark string) bool {
	s.fill(len(mark))
	return bytes.HasPrefix(s.rest(), []byte(mark))
}

// tag finds the end of the tag that starts at pos: the index in rest() just behind '>'. A '<' inside
// ends the search (no attribute value may hold one, XML 1.0 §3.1), so no byte is searched twice.
func (s *scanner) tag(limit int) (n int, ok bool) {
	quote := byte(0)
	loose := 0 // behind the first '>' whatever the quotes
	rest := s.rest()
	for i := 1; ; i++ {
		if i >= len(rest) {
			if !s.fill(i + 1) {
				break
			}
			rest = s.rest()
		}
		if i > limit {
			break
		}
		switch c := rest[i]; {
		case c == '<':
			s.work += int64(i)
			return loose, loose > 0
		case c == '>':
			if quote == 0 {
				s.work += int64(i)
				return i + 1, true
			}
			if loose == 0 {
				loose = i + 1
			}
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	s.work += int64(len(s.rest()))
	return loose, loose > 0
}
