package message

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Limits of one message header. The line limit is RFC 5322 §2.1.1, the Received limit RFC 5321 §6.3.
const (
	MaxHeader   = 256 << 10 // octets, the blank line included
	MaxFields   = 1000
	MaxReceived = 100
	MaxLine     = 998 // octets without CRLF; longer is noted, not refused
)

// Inspector is an io.Writer that a message is fed to while it streams elsewhere. It keeps at most one
// header, never the body. The zero Inspector is ready to use.
//
// Write returns an *Error as soon as the message must be refused whatever follows: a mail loop, or
// a header over its limits. The error stays.
type Inspector struct {
	facts  Facts
	err    *Error
	header []byte // the header so far, line ends as they came; nil once it is parsed
	inBody bool
	line   int  // octets of the current line so far, its line end excluded
	lastCR bool // the last octet seen was a CR
}

// Write takes the next octets of the message.
func (i *Inspector) Write(p []byte) (int, error) {
	if i.err != nil {
		return 0, i.err
	}
	i.facts.Size += int64(len(p))
	rest := p
	for len(rest) > 0 {
		if !i.inBody {
			n, err := i.headerLine(rest)
			if err != nil {
				i.err = err
				return len(p) - len(rest), err
			}
			rest = rest[n:]
			continue
		}
		i.scan(rest)
		break
	}
	return len(p), nil
}

// headerLine takes octets up to the end of the current header line and ends the header at a blank one.
func (i *Inspector) headerLine(p []byte) (int, *Error) {
	n := bytes.IndexByte(p, '\n') + 1
	whole := n > 0
	if !whole {
		n = len(p)
	}
	if len(i.header)+n > MaxHeader {
		return 0, &Error{ReasonHeaderSize, fmt.Sprintf("over %d octets", MaxHeader)}
	}
	i.scan(p[:n])
	i.header = append(i.header, p[:n]...)
	if !whole {
		return n, nil
	}
	if !blankEnd(i.header) {
		return n, nil
	}
	i.inBody = true
	return n, i.parse()
}

// blankEnd reports whether header ends with an empty line: CRLF or LF at the very start of a line.
func blankEnd(header []byte) bool {
	t := bytes.TrimSuffix(header[:len(header)-1], []byte("\r"))
	return len(t) == 0 || t[len(t)-1] == '\n'
}

func (i *Inspector) parse() *Error {
	i.facts.HeaderSize = int64(len(i.header))
	header := i.header
	i.header = nil
	return parseHeader(&i.facts, header)
}

// Facts is what is known of the message now; once its last octet was written, that is everything.
// A message without a body has no blank line: its header ends with it. Facts of a message that
// Write refused are incomplete.
func (i *Inspector) Facts() Facts {
	if !i.inBody && i.err == nil && len(i.header) > 0 {
		done := *i
		if done.err = done.parse(); done.err == nil {
			if done.lastCR {
				done.facts.BareCR = true
			}
			return done.facts
		}
		i.err = done.err
		return done.facts
	}
	f := i.facts
	f.BareCR = f.BareCR || i.lastCR
	return f
}

// Err is why the message must be refused whatever else it says, or nil. A header without a blank
// line is only judged by Facts, so ask after it.
func (i *Inspector) Err() error {
	if i.err == nil {
		return nil
	}
	return i.err
}

// scan looks at octets for what SMTP peers and mail readers trip over: line ends, long lines, NUL and
// 8-bit octets. It goes from line end to line end, so a body costs a few passes of memchr.
func (i *Inspector) scan(p []byte) {
	if !i.facts.EightBit {
		i.facts.EightBit = HasEightBit(p)
	}
	if !i.facts.NUL {
		i.facts.NUL = bytes.IndexByte(p, 0) >= 0
	}
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		text, ended := p, n >= 0
		if ended {
			text = p[:n]
		}
		i.scanLine(text, ended)
		if !ended {
			return
		}
		p = p[n+1:]
	}
}

// scanLine takes the rest of a line, or a piece of it; ended says that a LF follows the piece.
func (i *Inspector) scanLine(text []byte, ended bool) {
	if i.lastCR && len(text) > 0 { // the CR before this piece had no LF
		i.facts.BareCR = true
	}
	cr := len(text) > 0 && text[len(text)-1] == '\r'
	if len(text) == 0 {
		cr = i.lastCR
	} else {
		i.line += len(text)
		body := text
		if cr {
			body = text[:len(text)-1]
		}
		if !i.facts.BareCR && bytes.IndexByte(body, '\r') >= 0 {
			i.facts.BareCR = true
		}
	}
	length := i.line
	if cr {
		length--
	}
	if length > MaxLine {
		i.facts.LongLine = true
	}
	i.lastCR = cr
	if ended {
		if !cr {
			i.facts.BareLF = true
		}
		i.line, i.lastCR = 0, false
	}
}

// HasEightBit tells whether an octet of p is not ASCII.
func HasEightBit(p []byte) bool {
	for len(p) >= 8 {
		if binary.LittleEndian.Uint64(p)&0x8080808080808080 != 0 {
			return true
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
