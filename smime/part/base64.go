package part

import (
	"bytes"
	"errors"
	"io"

	"github.com/segmentio/asm/base64" // SIMD, ten times the standard library; MIT, pure Go where there is no SIMD
)

// base64Chunk is how much text is read at once, and firstChunk how much at first: most texts are short.
const (
	base64Chunk = 32 << 10
	firstChunk  = 16 << 10
)

// Base64Reader decodes base64 text (RFC 2045 §6.8) leniently: any line length or none, characters
// outside the alphabet are skipped, and data after padding goes on (QUIRK: encoders that pad each
// line). Odd counts what had no place.
type Base64Reader struct {
	src  io.Reader
	text []byte // as read, then compacted in place; text[:have] waits for its quantum
	have int
	size int64 // of the whole text, about
	buf  []byte
	out  []byte // decoded, not yet read: a view of buf
	odd  int64
	err  error
}

// NewBase64Reader decodes r.
func NewBase64Reader(r io.Reader) *Base64Reader { return NewBase64ReaderSize(r, base64Chunk) }

// NewBase64ReaderSize decodes r, whose text has about size octets: a short one needs little memory.
func NewBase64ReaderSize(r io.Reader, size int64) *Base64Reader {
	d := &Base64Reader{src: r, size: size}
	d.chunk(int(max(min(size, firstChunk), 512)))
	return d
}

// chunk makes room for n octets of text at once; what waits is kept.
func (d *Base64Reader) chunk(n int) {
	text := make([]byte, n+4)
	copy(text, d.text[:d.have])
	d.text, d.buf = text, make([]byte, (n+4)/4*3+64)
}

// Odd is the number of characters that had no place in base64 so far.
func (d *Base64Reader) Odd() int64 { return d.odd }

func (d *Base64Reader) Read(p []byte) (int, error) {
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

// fill reads and decodes one chunk of text.
func (d *Base64Reader) fill() {
	n, err := io.ReadFull(d.src, d.text[d.have:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	d.err = err
	total := d.compact(d.text[d.have : d.have+n])
	whole := total - total%4
	decoded, derr := base64.StdEncoding.Decode(d.buf, d.text[:whole])
	if derr != nil {
		decoded, whole = d.careful(total)
	}
	d.have = copy(d.text, d.text[whole:total])
	if errors.Is(err, io.EOF) && d.have > 0 {
		decoded += d.rest(d.buf[decoded:])
	}
	d.out = d.buf[:decoded]
	if len(d.text) < base64Chunk && err == nil && d.size > firstChunk { // longer than most
		d.chunk(base64Chunk)
	}
}

// compact moves raw, which stands behind the waiting text, up to it without its line ends.
func (d *Base64Reader) compact(raw []byte) int {
	at := d.have
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i], raw[i+1:]
			if i > 0 && line[i-1] == '\r' {
				line = line[:i-1]
			}
		} else {
			raw = nil
		}
		at += copy(d.text[at:], line)
	}
	return at
}

// careful decodes text[:total] character by character: blanks, strange characters and padding in
// the middle. It returns the octets decoded and the characters used up.
func (d *Base64Reader) careful(total int) (decoded, used int) {
	var quantum [4]byte
	n := 0
	for _, c := range d.text[:total] {
		switch {
		case value64(c) >= 0:
			quantum[n] = c
			if n++; n == 4 {
				decoded += quad(d.buf[decoded:], quantum[:])
				n = 0
			}
		case c == '=':
			if n >= 2 {
				decoded += quad(d.buf[decoded:], quantum[:n])
			} else if n == 1 {
				d.odd++
			}
			n = 0
		case c != ' ' && c != '\t' && c != '\r':
			d.odd++
		}
	}
	copy(d.text[total-n:total], quantum[:n])
	return decoded, total - n
}

// rest decodes what is left at the end when padding is missing.
func (d *Base64Reader) rest(dst []byte) int {
	var quantum [4]byte
	n := 0
	for _, c := range d.text[:d.have] {
		if value64(c) >= 0 {
			quantum[n] = c
			n++
		}
	}
	d.have = 0
	if n < 2 {
		d.odd += int64(n)
		return 0
	}
	return quad(dst, quantum[:n])
}

// quad decodes two to four characters.
func quad(dst, q []byte) int {
	var v uint32
	for i := range 4 {
		v <<= 6
		if i < len(q) {
			v |= uint32(value64(q[i]))
		}
	}
	b := [3]byte{byte(v >> 16), byte(v >> 8), byte(v)}
	return copy(dst, b[:len(q)-1])
}

func value64(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}
