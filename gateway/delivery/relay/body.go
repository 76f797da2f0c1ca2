package relay

import (
	"bytes"
	"errors"
	"io"

	"postern/gateway/message"
)

// smallBody is up to how many octets a message is held in memory and sent in one flight; a larger one
// is read again for each host, in pieces of this size.
const smallBody = 64 << 10

var (
	errBareLine = errors.New("relay: the message has a bare CR or LF")
	errEightBit = errors.New("relay: the message has 8-bit octets and the peer lacks 8BITMIME")
	errSource   = errors.New("relay: the message cannot be read")
)

// lines judges the line ends of a message that passes in pieces, and its octets when they must be
// 7-bit. The zero value is ready.
type lines struct {
	sevenBit bool
	lastCR   bool // the piece before ended in CR
}

// check takes the next piece.
func (l *lines) check(b []byte) error {
	if l.sevenBit && message.HasEightBit(b) {
		return errEightBit
	}
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n')
		text := b
		if n >= 0 {
			text = b[:n]
		}
		if l.lastCR && len(text) > 0 {
			return errBareLine
		}
		cr := bytes.IndexByte(text, '\r')
		if cr >= 0 && cr != len(text)-1 {
			return errBareLine
		}
		l.lastCR = cr >= 0 || l.lastCR && len(text) == 0
		if n < 0 {
			return nil
		}
		if !l.lastCR {
			return errBareLine
		}
		l.lastCR = false
		b = b[n+1:]
	}
	return nil
}

// end is asked after the last piece.
func (l *lines) end() error {
	if l.lastCR {
		return errBareLine
	}
	return nil
}

// stuff writes one checked piece with a dot put before each line that begins with one (RFC 5321
// §4.5.2). start says whether the piece begins a line.
func stuff(w io.Writer, b []byte, start bool) error {
	if start && len(b) > 0 && b[0] == '.' {
		if _, err := w.Write(dot); err != nil {
			return err
		}
	}
	for {
		i := bytes.Index(b, lfDot)
		if i < 0 {
			_, err := w.Write(b)
			return err
		}
		if _, err := w.Write(b[:i+1]); err != nil {
			return err
		}
		if _, err := w.Write(dot); err != nil {
			return err
		}
		b = b[i+1:]
	}
}

var (
	dot   = []byte(".")
	lfDot = []byte("\n.")
)

// whole is a small message in memory.
type whole struct {
	octets   []byte
	eightBit bool
}

// load reads the message if it is small, and judges it. A nil whole without error means a large one.
func load(open func() (io.ReadCloser, error), buf []byte) (*whole, error) {
	src, err := open()
	if err != nil {
		return nil, errors.Join(errSource, err)
	}
	defer src.Close()
	n, err := io.ReadFull(src, buf)
	switch {
	case err == nil: // at least as much as the buffer holds
		return nil, nil
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return nil, errors.Join(errSource, err)
	}
	var l lines
	if err := l.check(buf[:n]); err != nil {
		return nil, err
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	return &whole{buf[:n], message.HasEightBit(buf[:n])}, nil
}
