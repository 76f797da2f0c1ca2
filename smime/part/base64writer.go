package part

import (
	"io"

	"github.com/segmentio/asm/base64"
)

// Base64Line is the number of octets on one line of base64: 76 characters (RFC 2045 §6.8, CMS-48).
const (
	Base64Line   = 57
	writerLines  = 1152 // lines encoded at once
	encodedLine  = 76
	encodedBreak = encodedLine + 2
)

// Base64Size is the length of n octets in base64 with CRLF after every line.
func Base64Size(n int64) int64 {
	full, rest := n/Base64Line, n%Base64Line
	size := full * encodedBreak
	if rest > 0 {
		size += (rest+2)/3*4 + 2
	}
	return size
}

// Base64Writer encodes into lines of 76 characters that end in CRLF. Close writes the last line.
type Base64Writer struct {
	w   io.Writer
	in  []byte // octets of an unfinished line
	out []byte
	max int // lines encoded at once
}

// NewBase64Writer encodes to w.
func NewBase64Writer(w io.Writer) *Base64Writer {
	return NewBase64WriterSize(w, writerLines*Base64Line)
}

// NewBase64WriterSize encodes about size octets to w: a short text needs little memory.
func NewBase64WriterSize(w io.Writer, size int64) *Base64Writer {
	n := int(min(size/Base64Line+1, writerLines))
	b := make([]byte, Base64Line+n*encodedBreak)
	return &Base64Writer{w: w, in: b[:0:Base64Line], out: b[Base64Line:], max: n}
}

func (e *Base64Writer) Write(p []byte) (int, error) {
	done := len(p)
	if len(e.in) > 0 {
		n := copy(e.in[len(e.in):Base64Line], p)
		e.in, p = e.in[:len(e.in)+n], p[n:]
		if len(e.in) < Base64Line {
			return done, nil
		}
		if err := e.lines(e.in); err != nil {
			return 0, err
		}
		e.in = e.in[:0]
	}
	for len(p) >= Base64Line {
		n := min(len(p)/Base64Line, e.max) * Base64Line
		if err := e.lines(p[:n]); err != nil {
			return 0, err
		}
		p = p[n:]
	}
	e.in = append(e.in, p...)
	return done, nil
}

// lines encodes whole lines, or the last short one.
func (e *Base64Writer) lines(p []byte) error {
	n := (len(p) + 2) / 3 * 4
	from := (n + encodedLine - 1) / encodedLine * 2 // the text stands behind the room its line ends take
	text := e.out[from : from+n]
	base64.StdEncoding.Encode(text, p)
	at := 0
	for len(text) > 0 {
		k := copy(e.out[at:], text[:min(len(text), encodedLine)]) // never past what was copied
		text = text[k:]
		e.out[at+k], e.out[at+k+1] = '\r', '\n'
		at += k + 2
	}
	_, err := e.w.Write(e.out[:at])
	return err
}

// Close writes what is left; it does not close the writer beneath.
func (e *Base64Writer) Close() error {
	if len(e.in) == 0 {
		return nil
	}
	err := e.lines(e.in)
	e.in = e.in[:0]
	return err
}
