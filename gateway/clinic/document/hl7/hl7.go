// Package hl7 reads HL7 version 2 messages (ER7, "pipes and hats") as far as a clinic must see them:
// segments, fields, patient, sender, and the lines of referrals, orders, results, appointments and
// documents (REF, OMG, ORM, OML, ORU, SIU, MDM, ADT, VXU and any other by its segments).
//
// It is lenient in form: LF or CRLF for CR, a byte-order mark, MLLP framing, batch headers, custom
// separators; what was mended is stated. It writes nothing, checks no conformance profile and invents
// no field. Limits: MaxBytes, MaxSegments, MaxFields.
package hl7

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
)

// The limits of a message; what lies beyond is not read and Message.Repairs says so.
const (
	MaxBytes    = 16 << 20 // bytes read
	MaxSegments = 20000    // segments
	MaxFields   = 500      // fields of a segment
	maxRepeats  = 200      // repetitions of a field
)

// ErrNotHL7 means there is no MSH segment.
var ErrNotHL7 = errors.New("hl7: no MSH segment")

// Message is one message.
type Message struct {
	Segments []Segment
	Encoding string
	Repairs  []string
	More     int // further messages in the same file, not read
	sep      separators
}

type separators struct{ field, component, repeat, escape, sub byte }

// Segment is one segment, its fields as written.
type Segment struct {
	Name   string
	fields []string // fields[0] is the name; for MSH fields[1] is the separator itself
	sep    separators
}

// Parse reads the first message in the size bytes of src.
func Parse(src io.ReaderAt, size int64) (*Message, error) {
	text, err := charset.Open(src, size, "")
	if err != nil {
		return nil, fmt.Errorf("hl7: %w", err)
	}
	m := &Message{Encoding: text.Name, Repairs: text.Repairs}
	raw := make([]byte, min(text.Size, MaxBytes))
	n, err := text.Src.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("hl7: %w", err)
	}
	body, bad := charset.Append(make([]byte, 0, n), raw[:n], text.Single)
	if bad > 0 {
		m.Repairs = append(m.Repairs, "bytes that are no UTF-8 are read as Windows-1252 (Latin-1)")
	}
	if text.Size > MaxBytes {
		m.Repairs = append(m.Repairs, fmt.Sprintf("only the first %d MiB are read", MaxBytes>>20))
	}
	return m, m.split(string(body))
}

// split cuts the text into segments. The standard ends a segment with CR alone; LF and CRLF are taken.
func (m *Message) split(body string) error {
	body = strings.Trim(body, "\x0B\x1C\r\n \t\x00")
	if strings.Contains(body, "\n") {
		if strings.Contains(body, "\r") {
			body = strings.ReplaceAll(body, "\r\n", "\r")
		}
		body = strings.ReplaceAll(body, "\n", "\r")
		m.Repairs = append(m.Repairs, "segments end with a line feed instead of a carriage return")
	}
	started := false
	for line := range strings.SplitSeq(body, "\r") {
		line = strings.Trim(line, "\x0B\x1C\x00")
		if len(line) < 3 {
			continue
		}
		switch {
		case strings.HasPrefix(line, "MSH") && started:
			m.More++
			continue
		case strings.HasPrefix(line, "MSH"):
			if !m.separators(line) {
				return fmt.Errorf("%w: its separators are missing", ErrNotHL7)
			}
			started = true
		case !started || m.More > 0:
			continue // batch headers
		}
		if len(m.Segments) >= MaxSegments {
			m.Repairs = append(m.Repairs, fmt.Sprintf("only the first %d segments are read", MaxSegments))
			break
		}
		m.Segments = append(m.Segments, m.segment(line))
	}
	if !started {
		return ErrNotHL7
	}
	return nil
}

func (m *Message) separators(line string) bool {
	if len(line) < 8 {
		return false
	}
	m.sep = separators{line[3], '^', '~', '\\', '&'}
	enc, _, _ := strings.Cut(line[4:], line[3:4])
	for i, to := range []*byte{&m.sep.component, &m.sep.repeat, &m.sep.escape, &m.sep.sub} {
		if i < len(enc) {
			*to = enc[i]
		}
	}
	return m.sep.field > ' ' && m.sep.field < 0x7F
}

func (m *Message) segment(line string) Segment {
	s := Segment{Name: line[:3], sep: m.sep}
	rest := line
	if s.Name == "MSH" {
		s.fields = []string{"MSH", string(m.sep.field)}
		rest = line[4:]
	}
	for f := range strings.SplitSeq(rest, string(m.sep.field)) {
		if len(s.fields) >= MaxFields {
			break
		}
		s.fields = append(s.fields, f)
	}
	return s
}

// Len is the number of the last field.
func (s Segment) Len() int { return len(s.fields) - 1 }

// Raw is field n as written, "" when absent.
func (s Segment) Raw(n int) string {
	if n <= 0 || n >= len(s.fields) {
		return ""
	}
	return s.fields[n]
}

// Repeats are the repetitions of field n as written.
func (s Segment) Repeats(n int) []string {
	raw := s.Raw(n)
	if raw == "" {
		return nil
	}
	if s.Name == "MSH" && n <= 2 {
		return []string{raw}
	}
	return splitMax(raw, s.sep.repeat, maxRepeats)
}

// Get is component c (from 1) of the first repetition of field n, unescaped; its first subcomponent.
func (s Segment) Get(n, c int) string {
	r := s.Repeats(n)
	if len(r) == 0 {
		return ""
	}
	return s.Component(r[0], c)
}

// Component is component c (from 1) of one repetition, its first subcomponent, unescaped.
func (s Segment) Component(rep string, c int) string {
	parts := splitMax(rep, s.sep.component, 100)
	if c > len(parts) {
		return ""
	}
	sub, _, _ := strings.Cut(parts[c-1], string(s.sep.sub))
	if sub == `""` {
		return "" // explicit null: delete this value
	}
	return s.unescape(sub)
}

// Text is field n for a reader: components joined by a blank, repetitions by a line end, unescaped.
func (s Segment) Text(n int) string {
	var out []string
	for _, r := range s.Repeats(n) {
		if s.Name == "MSH" && n <= 2 {
			return r
		}
		var parts []string
		for _, c := range splitMax(r, s.sep.component, 100) {
			c = strings.ReplaceAll(c, string(s.sep.sub), " ")
			if c = strings.TrimSpace(s.unescape(c)); c != "" && c != `""` {
				parts = append(parts, c)
			}
		}
		if len(parts) > 0 {
			out = append(out, strings.Join(parts, " "))
		}
	}
	return strings.Join(out, "\n")
}

func splitMax(s string, sep byte, n int) []string {
	parts := strings.SplitN(s, string(sep), n+1)
	if len(parts) > n {
		parts = parts[:n]
	}
	return parts
}

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
	case ".br", ".BR", ".sp":
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

// First is the first segment of that name.
func (m *Message) First(name string) (Segment, bool) {
	for _, s := range m.Segments {
		if s.Name == name {
			return s, true
		}
	}
	return Segment{}, false
}

// All are all segments of that name.
func (m *Message) All(name string) []Segment {
	var out []Segment
	for _, s := range m.Segments {
		if s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

// Type is MSH-9's code and trigger event: "REF", "I12".
func (m *Message) Type() (code, event string) {
	h, _ := m.First("MSH")
	code, event = h.Get(9, 1), h.Get(9, 2)
	if code == "" && len(h.Raw(9)) >= 3 {
		code = h.Raw(9)[:3]
	}
	return code, event
}

// ControlID is MSH-10.
func (m *Message) ControlID() string { h, _ := m.First("MSH"); return h.Get(10, 1) }

// Time is when the message was made (MSH-7).
func (m *Message) Time() chart.Time {
	h, _ := m.First("MSH")
	return chart.ParseTime(h.Get(7, 1))
}
