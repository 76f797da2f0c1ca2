package smtpd

import (
	"bytes"
	"io"
	"time"
)

const bigBuffer = 64 << 10 // octets read at a time while a message comes in

// pace is how far a transfer has come since it began.
type pace struct {
	start  time.Time
	octets int64
}

func (p *pace) begin() {
	if p.start.IsZero() {
		p.start = time.Now()
	}
}

// deadline is when the next octets must be here: a slow but steady peer gets as long as it needs, one
// that keeps a connection busy with next to nothing does not.
func (p *pace) deadline(l Limits) time.Time {
	block := time.Now().Add(l.DataBlock)
	earned := time.Duration(float64(p.octets) / float64(l.DataRate) * float64(time.Second))
	if whole := p.start.Add(l.DataSlack + earned); whole.Before(block) {
		return whole
	}
	return block
}

// body is a message on its way in: pieces of it, each valid until the next call, then io.EOF.
type body interface {
	next() ([]byte, error)
	flaw() Reason // what was wrong with its lines so far; "" is nothing
}

// dataReader reads what follows DATA, straight from the wire. Only CRLF "." CRLF ends it; every
// other line that begins with a dot loses that dot (RFC 5321 §4.5.2) and nothing else. It goes from
// line end to line end with memchr instead of octet by octet.
type dataReader struct {
	w     *wire
	mid   bool // inside a line that is already handed on in part
	ended bool
	found Reason
}

// data begins the transfer after DATA.
func (w *wire) data() *dataReader {
	w.pace = pace{}
	w.pace.begin()
	if !w.pooled {
		big := w.srv.gate.buffers.Get().(*[bigBuffer]byte)
		if w.end-w.pos > len(big) { // cannot be: command buffers stay below AuthLine
			w.buf = append(w.buf, make([]byte, bigBuffer)...)
			return &dataReader{w: w}
		}
		w.end = copy(big[:], w.buf[w.pos:w.end])
		w.pos, w.buf, w.pooled = 0, big[:], true
	}
	return &dataReader{w: w}
}

func (d *dataReader) flaw() Reason { return d.found }

// next is the next piece of the message. At its end the library is shown an end of data too.
func (d *dataReader) next() ([]byte, error) {
	w := d.w
	for !d.ended {
		b := w.buf[w.pos:w.end]
		from, to := d.span(b)
		if d.ended {
			w.pos += len(endOfData)
			w.fake = endOfData
			break
		}
		if to > 0 {
			w.pos += to
			return b[from:to], nil
		}
		if err := d.fill(); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

const endOfData = ".\r\n"

// span is the longest piece at the start of b that can be handed on as it is, b[from:to]; 0, 0 when
// more octets are needed. It sets ended when b begins with the end of the data.
func (d *dataReader) span(b []byte) (from, to int) {
	i := 0
	for {
		n := bytes.IndexByte(b[i:], '\n') + 1
		if n == 0 {
			break
		}
		line := b[i : i+n]
		if line[0] == '.' && !d.mid {
			if i > 0 {
				return from, i
			}
			if string(line) == endOfData {
				d.ended = true
				return 0, 0
			}
			from = 1
		}
		d.judge(line)
		i += n
	}
	if i > from {
		return from, i
	}
	if len(b) < len(d.w.buf) {
		return 0, 0
	}
	return d.part(b)
}

// part is span for a line longer than the buffer.
func (d *dataReader) part(b []byte) (from, to int) {
	to = len(b)
	if b[to-1] == '\r' { // its LF may come next
		to--
	}
	if b[0] == '.' && !d.mid {
		from = 1
	}
	if bytes.IndexByte(b[:to], '\r') >= 0 {
		d.found = ReasonBareLine
	}
	d.mid = true
	return from, to
}

// judge looks at the end of one line: a bare CR or LF is where two servers may disagree what is one
// message and what is two (EP-26).
func (d *dataReader) judge(line []byte) {
	n := len(line)
	cr := bytes.IndexByte(line, '\r')
	d.mid = n < 2 || line[n-2] != '\r'
	if cr != n-2 || d.mid {
		d.found = ReasonBareLine
		return
	}
	if n <= maxFalseEnd && d.found == "" && falseEnd(line[:n-2]) {
		d.found = ReasonFalseEnd
	}
}

const maxFalseEnd = 8

// falseEnd recognises a line of one dot and control characters: an end of data to somebody.
func falseEnd(text []byte) bool {
	dots, controls := 0, 0
	for _, c := range text {
		switch {
		case c == '.':
			dots++
		case c < ' ' && c != '\t', c == 0x7f:
			controls++
		default:
			return false
		}
	}
	return dots == 1 && controls > 0
}

// fill reads more behind what is left of the buffer.
func (d *dataReader) fill() error {
	w := d.w
	if w.pos > 0 {
		w.end = copy(w.buf, w.buf[w.pos:w.end])
		w.pos = 0
	}
	n, err := w.receive(w.buf[w.end:], w.pace.deadline(w.srv.limits))
	w.end += n
	w.pace.octets += int64(n)
	if err == io.EOF { // io.EOF of next is the end of a message: the end of a connection is none
		return io.ErrUnexpectedEOF
	}
	return err
}

// chunkReader reads what BDAT carries: the library's reader, in large pieces. Nothing is stuffed
// there, and lines are judged all the same (BINARYMIME is not offered).
type chunkReader struct {
	r      io.Reader
	buf    []byte
	lastCR bool
	found  Reason
	err    error
}

func (c *chunkReader) flaw() Reason {
	if c.lastCR && c.err == io.EOF {
		return ReasonBareLine
	}
	return c.found
}

func (c *chunkReader) next() ([]byte, error) {
	for c.err == nil {
		n, err := c.r.Read(c.buf)
		c.err = err
		if n > 0 {
			c.judge(c.buf[:n])
			return c.buf[:n], nil
		}
	}
	return nil, c.err
}

func (c *chunkReader) judge(b []byte) {
	for len(b) > 0 && c.found == "" {
		n := bytes.IndexByte(b, '\n')
		text := b
		if n >= 0 {
			text = b[:n]
		}
		cr := bytes.IndexByte(text, '\r')
		if c.lastCR && len(text) > 0 || cr >= 0 && cr != len(text)-1 {
			c.found = ReasonBareLine
			return
		}
		c.lastCR = cr >= 0 || c.lastCR && len(text) == 0
		if n < 0 {
			return
		}
		if !c.lastCR {
			c.found = ReasonBareLine
			return
		}
		c.lastCR = false
		b = b[n+1:]
	}
}
