package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// Bounds of one reply.
const (
	maxReplyLine  = 2000
	maxReplyLines = 100
)

// reply is one answer of a peer.
type reply struct {
	code  int
	lines []string // their text, without codes; as received
}

var errProtocol = errors.New("relay: not an SMTP reply")

// readReply reads one reply (RFC 5321 §4.2). Lines may end in LF alone.
func readReply(r *bufio.Reader) (reply, error) {
	var a reply
	for range maxReplyLines {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) || len(line) > maxReplyLine {
			return reply{}, fmt.Errorf("%w: a line over %d octets", errProtocol, maxReplyLine)
		}
		if err == io.EOF && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return reply{}, err
		}
		code, text, more, err := replyLine(strings.TrimRight(string(line), "\r\n"))
		if err != nil {
			return reply{}, err
		}
		if a.code != 0 && code != a.code {
			return reply{}, fmt.Errorf("%w: codes %d and %d in one reply", errProtocol, a.code, code)
		}
		a.code = code
		a.lines = append(a.lines, text)
		if !more {
			return a, nil
		}
	}
	return reply{}, fmt.Errorf("%w: over %d lines", errProtocol, maxReplyLines)
}

func replyLine(line string) (code int, text string, more bool, err error) {
	if len(line) < 3 {
		return 0, "", false, fmt.Errorf("%w: %q", errProtocol, words(line, 40))
	}
	for _, c := range []byte(line[:3]) {
		if c < '0' || c > '9' {
			return 0, "", false, fmt.Errorf("%w: %q", errProtocol, words(line, 40))
		}
		code = code*10 + int(c-'0')
	}
	if code < 200 || code > 599 {
		return 0, "", false, fmt.Errorf("%w: code %d", errProtocol, code)
	}
	if len(line) == 3 {
		return code, "", false, nil
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, "", false, fmt.Errorf("%w: %q", errProtocol, words(line, 40))
	}
	return code, line[4:], line[3] == '-', nil
}

// enhanced is the reply's enhanced status code (RFC 2034), or "".
func (a reply) enhanced() string {
	if len(a.lines) == 0 {
		return ""
	}
	e, _ := splitEnhanced(a.lines[len(a.lines)-1], a.code)
	return e
}

func splitEnhanced(line string, code int) (enh, rest string) {
	field, rest, _ := strings.Cut(line, " ")
	parts := strings.Split(field, ".")
	if len(parts) != 3 || len(field) > len("5.999.999") {
		return "", line
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return "", line
		}
	}
	if len(parts[0]) != 1 || int(parts[0][0]-'0') != code/100 {
		return "", line
	}
	return field, rest
}

// text is the reply's words, without codes, fit to keep.
func (a reply) text() string {
	var out []string
	for _, l := range a.lines {
		_, rest := splitEnhanced(l, a.code)
		out = append(out, rest)
	}
	return words(strings.Join(out, " "), MaxWords)
}

// words makes text from a peer fit to keep: valid UTF-8, printable, at most n octets.
func words(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// outcome is what the reply means for whoever it is about.
func (a reply) outcome() *Outcome {
	o := &Outcome{Code: a.code, Enhanced: a.enhanced(), Text: a.text()}
	switch a.code / 100 {
	case 2:
		o.Status, o.Reason = Delivered, ReasonDelivered
	case 5:
		o.Status, o.Reason = Permanent, ReasonRefused
	case 4:
		o.Status, o.Reason = Temporary, ReasonDeferred
	default: // 3xx where none belongs
		o.Status, o.Reason = Temporary, ReasonProtocol
	}
	return o
}

// fault is an outcome of our own making: temporary or permanent by its reason.
func fault(r Reason, text string) *Outcome {
	o := &Outcome{Status: Temporary, Reason: r, Text: words(text, MaxWords)}
	switch r {
	case ReasonNoDomain:
		o.Status, o.Enhanced = Permanent, "5.1.2"
	case ReasonNullMX:
		o.Status, o.Code, o.Enhanced = Permanent, 556, "5.1.10" // RFC 7505 §4.2
	case ReasonForbidden:
		o.Status, o.Enhanced = Permanent, "5.4.4"
	case ReasonLoop:
		o.Status, o.Enhanced = Permanent, "5.4.6"
	case ReasonTooLarge:
		o.Status, o.Enhanced = Permanent, "5.3.4"
	case ReasonEightBit:
		o.Status, o.Enhanced = Permanent, "5.6.3"
	case ReasonBareLine:
		o.Status, o.Enhanced = Permanent, "5.6.0"
	case ReasonDNS:
		o.Enhanced = "4.4.3"
	case ReasonConnect:
		o.Enhanced = "4.4.1"
	case ReasonTimeout, ReasonUnknown:
		o.Enhanced = "4.4.2"
	case ReasonProtocol:
		o.Enhanced = "4.5.0"
	case ReasonTLS:
		o.Enhanced = "4.7.5"
	case ReasonLogin:
		o.Enhanced = "4.7.8"
	default:
		o.Enhanced = "4.3.0"
	}
	return o
}

// netFault is fault for an error of the connection.
func netFault(err error) *Outcome {
	switch {
	case errors.Is(err, errProtocol):
		return fault(ReasonProtocol, err.Error())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fault(ReasonTimeout, "the peer did not answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault(ReasonConnect, "the peer closed the connection")
	}
	return fault(ReasonConnect, err.Error())
}
