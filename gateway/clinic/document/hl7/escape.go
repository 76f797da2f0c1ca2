package hl7

import (
	"strings"

	"postern/gateway/clinic/document/charset"
)

// unescape resolves the escape sequences of chapter 2.7; unknown ones stay as written.
func (s Segment) unescape(v string) string {
	e := s.sep.escape
	if strings.IndexByte(v, e) < 0 {
		return v
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(v, string(e))
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		seq, after, closed := strings.Cut(rest, string(e))
		if !closed || len(seq) > 80 {
			b.WriteByte(e)
			v = rest
			continue
		}
		b.WriteString(s.sequence(seq))
		v = after
	}
}

func (s Segment) sequence(seq string) string {
	switch seq {
	case "F":
		return string(s.sep.field)
	case "S":
		return string(s.sep.component)
	case "T":
		return string(s.sep.sub)
	case "R":
		return string(s.sep.repeat)
	case "E":
		return string(s.sep.escape)
	case "H", "N":
		return ""
	case "P":
		return "#"
	case ".br", ".BR", ".ce":
		return "\n"
	}
	if strings.HasPrefix(seq, ".sp") {
		return "\n"
	}
	if strings.HasPrefix(seq, "X") && len(seq)%2 == 1 {
		if out, ok := hexText(seq[1:]); ok {
			return out
		}
	}
	if strings.HasPrefix(seq, ".") {
		return " "
	}
	return string(s.sep.escape) + seq + string(s.sep.escape)
}

func hexText(h string) (string, bool) {
	var raw []byte
	for i := 0; i+1 < len(h); i += 2 {
		a, ok1 := hexDigit(h[i])
		b, ok2 := hexDigit(h[i+1])
		if !ok1 || !ok2 {
			return "", false
		}
		raw = append(raw, a<<4|b)
	}
	out, _ := charset.Append(nil, raw, false)
	return string(out), true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
