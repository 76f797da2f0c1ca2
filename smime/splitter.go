package smime

import (
	"bytes"
	"hash"
)

// maxPadding is how many blanks may stand behind a delimiter.
const maxPadding = 256

// maxBoundary is the longest boundary that is taken for one, as in package part; RFC 2046 §5.1.1 allows 70.
const maxBoundary = 998

// splitter finds the two parts of a multipart/signed in octets that stream by, digesting the first
// part on the way. Only a few octets are kept from one piece to the next. Every octet is looked at
// once, delimiter look-alikes included.
type splitter struct {
	delim  []byte // two hyphens and the boundary
	digest hash.Hash
	carry  []byte // the end of the last piece, not yet decided
	off    int64  // stream offset of the first octet of carry
	start  bool   // off stands at the start of a line
	skip   int64  // octets of a delimiter line still to pass over
	looked int64  // places that look like a delimiter: the work done, for tests of linear cost

	state  splitState
	first  span
	second span
	extra  bool // a third part
	behind bool // something but blanks after the closing delimiter
	closed bool
}

type span struct{ from, to int64 }

type splitState uint8

const (
	inPreamble splitState = iota
	inFirst
	inSecond
	inEpilogue
)

func newSplitter(boundary string, at int64, digest hash.Hash) *splitter {
	return &splitter{delim: []byte("--" + boundary), digest: digest, off: at, start: true}
}

// reach is how many octets a delimiter line may take, with the line end before it.
func (s *splitter) reach() int { return 2 + len(s.delim) + 2 + maxPadding + 2 }

// feed takes the next octets of the stream; they are not kept.
func (s *splitter) feed(b []byte) {
	k := s.reach()
	if len(s.carry) > 0 {
		seam := append(s.carry, b[:min(k, len(b))]...)
		if len(seam) < 2*k && len(b) <= k { // still too short to decide anything
			s.carry = seam
			if n := len(seam) - k; n > 0 {
				s.carry = s.keep(seam, n)
			}
			return
		}
		n := len(seam) - min(k, len(b))
		s.scan(seam, n)
		s.carry = s.carry[:0]
	}
	if len(b) <= k {
		s.carry = append(s.carry, b...)
		return
	}
	s.scan(b, len(b)-k)
	s.carry = append(s.carry, b[len(b)-k:]...)
}

// keep decides the first n octets of seam and returns the rest at the front.
func (s *splitter) keep(seam []byte, n int) []byte {
	s.scan(seam, n)
	return seam[:copy(seam, seam[n:])]
}

// finish decides what is left at the end of the stream.
func (s *splitter) finish() {
	s.scan(s.carry, len(s.carry))
	s.carry = nil
	switch s.state {
	case inFirst:
		s.first.to = s.off
	case inSecond:
		s.second.to = s.off
	}
}

// scan decides the first upto octets of b: which of them are content and which belong to
// delimiter lines. What follows them is there to look ahead.
func (s *splitter) scan(b []byte, upto int) {
	done := 0
	if s.skip > 0 {
		done = int(min(s.skip, int64(upto)))
		s.skip -= int64(done)
	}
	for pos := done; s.state != inEpilogue; {
		i := bytes.Index(b[pos:], s.delim)
		if i < 0 {
			break
		}
		i += pos
		s.looked++
		if !s.lineStart(b, i) {
			if pos = nextLine(b, i); pos < 0 {
				break
			}
			continue
		}
		from := i - lineEnd(b[:i])
		if from < done {
			from = i // the line end was that of the delimiter before
		}
		if from >= upto {
			break
		}
		next, closing, ok := s.delimiter(b, i)
		if !ok {
			if pos = nextLine(b, i); pos < 0 {
				break
			}
			continue
		}
		s.content(b[done:from])
		s.delimit(s.off+int64(from), s.off+int64(next), closing)
		if next > upto {
			s.skip = int64(next - upto)
			next = upto
		}
		done, pos = next, max(next, pos)
	}
	if done < upto {
		s.content(b[done:upto])
	}
	if upto > 0 {
		s.start = b[upto-1] == '\n'
		s.off += int64(upto)
	}
}

func (s *splitter) lineStart(b []byte, i int) bool {
	if i == 0 {
		return s.start
	}
	return b[i-1] == '\n'
}

// nextLine is where the line after the one at i begins; -1 when there is none. A delimiter stands at the start of a
// line, so what looks like one inside a line is passed over with the whole line, not octet by octet: a line of
// look-alikes would cost its length times the boundary's.
func nextLine(b []byte, i int) int {
	n := bytes.IndexByte(b[i:], '\n')
	if n < 0 {
		return -1
	}
	return i + n + 1
}

// lineEnd is the length of the line end at the end of b.
func lineEnd(b []byte) int {
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return 2
	case bytes.HasSuffix(b, []byte("\n")):
		return 1
	}
	return 0
}

// delimiter checks the rest of the line at i: nothing but blanks, after two hyphens if it closes.
func (s *splitter) delimiter(b []byte, i int) (next int, closing, ok bool) {
	p := i + len(s.delim)
	if bytes.HasPrefix(b[p:], []byte("--")) {
		closing = true
		p += 2
	}
	for n := 0; p < len(b); n, p = n+1, p+1 {
		switch b[p] {
		case ' ', '\t', '\r':
			if n > maxPadding {
				return 0, false, false
			}
		case '\n':
			return p + 1, closing, true
		default:
			return 0, false, false
		}
	}
	return p, closing, true // the stream ends here, or the look-ahead does
}

func (s *splitter) content(b []byte) {
	if s.state == inFirst && s.digest != nil && len(b) > 0 {
		s.digest.Write(b)
	}
	if s.state == inEpilogue && !s.behind {
		s.behind = len(bytes.Trim(b, " \t\r\n")) > 0
	}
}

// delimit moves to the next part: the last one ended at from, the next begins at next.
func (s *splitter) delimit(from, next int64, closing bool) {
	switch s.state {
	case inPreamble:
		if closing {
			s.state, s.closed = inEpilogue, true
			return
		}
		s.state, s.first.from = inFirst, next
	case inFirst:
		s.first.to = from
		s.state, s.second.from = inSecond, next
		if closing {
			s.state, s.closed = inEpilogue, true
			s.second = span{next, next}
		}
	case inSecond:
		s.second.to = from
		s.state = inEpilogue
		s.closed, s.extra = closing, !closing
	}
}
