package part

import (
	"bufio"
	"errors"
	"io"
)

// QuotedReader decodes quoted-printable (RFC 2045 §6.7) leniently: malformed escapes stay as they
// are, lines may be of any length, and blanks in front of a soft line break are dropped.
type QuotedReader struct {
	src *bufio.Reader
	out []byte
	buf []byte
	err error
	odd int64
	ws  []byte // blanks seen, kept back until it is known whether the line ends
}

// maxBlanks is how many blanks are kept back in front of a possible line end; more are passed on.
const maxBlanks = 4 << 10

// NewQuotedReader decodes r.
func NewQuotedReader(r io.Reader) *QuotedReader {
	return &QuotedReader{src: bufio.NewReaderSize(r, 16<<10), buf: make([]byte, 0, 16<<10)}
}

// Odd is the number of malformed escapes so far.
func (d *QuotedReader) Odd() int64 { return d.odd }

func (d *QuotedReader) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.fill()
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

func (d *QuotedReader) fill() {
	d.buf = d.buf[:0]
	for len(d.buf) < 12<<10 {
		c, err := d.src.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				d.ws = d.ws[:0] // trailing blanks are transport padding
			}
			d.err = err
			break
		}
		switch c {
		case ' ', '\t':
			if d.ws = append(d.ws, c); len(d.ws) > maxBlanks {
				d.flush()
			}
		case '\r', '\n':
			if c == '\r' {
				if next, err := d.src.Peek(1); err != nil || next[0] != '\n' {
					d.flush()
					d.buf = append(d.buf, c)
					continue
				}
			}
			d.ws = d.ws[:0]
			d.buf = append(d.buf, c)
		case '=':
			d.flush()
			d.escape()
		default:
			d.flush()
			d.buf = append(d.buf, c)
		}
	}
	d.out = d.buf
}

func (d *QuotedReader) flush() {
	d.buf = append(d.buf, d.ws...)
	d.ws = d.ws[:0]
}

// escape decodes what follows an equals sign: two hex digits, or a soft line break.
func (d *QuotedReader) escape() {
	next, _ := d.src.Peek(2)
	if len(next) == 2 && hex(next[0]) >= 0 && hex(next[1]) >= 0 {
		d.buf = append(d.buf, byte(hex(next[0])<<4|hex(next[1])))
		_, _ = d.src.Discard(2)
		return
	}
	// Blanks may stand between the equals sign and the line end; look a little ahead for it.
	look, _ := d.src.Peek(64)
	for i, c := range look {
		switch {
		case c == ' ' || c == '\t':
			continue
		case c == '\n':
			_, _ = d.src.Discard(i + 1)
			return
		case c == '\r' && i+1 < len(look) && look[i+1] == '\n':
			_, _ = d.src.Discard(i + 2)
			return
		}
		d.odd++
		d.buf = append(d.buf, '=')
		return
	}
	if len(look) == 0 {
		return // an equals sign as the last octet: a soft line break
	}
	d.odd++
	d.buf = append(d.buf, '=')
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
