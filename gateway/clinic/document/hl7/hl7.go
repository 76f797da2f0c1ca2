// Package hl7 reads HL7 version 2 messages (ER7, "pipes and hats") as far as a clinic must see them:
// segments, fields, patient, sender, and the lines of referrals, orders, results, appointments and
// documents (REF, OMG, ORM, OML, ORU, SIU, MDM, ADT, VXU and any other by its segments).
//
// Read gives every message of a file or batch, and ByPatient what a message says of each patient apart:
// results under a second PID are never the first one's. A line carries how it stands (OBX-11, OBR-25,
// ORC-1, RXA-20, action codes, the trigger event): what was deleted, cancelled, refused or denied is no
// plain fact.
//
// It is lenient in form: LF or CRLF for CR, line ends inside a field, a byte-order mark, MLLP framing,
// batch headers, custom separators; what was mended is stated. It writes nothing, checks no conformance
// profile and invents no field. Limits: MaxBytes, MaxMessages, MaxSegments, MaxFields, MaxLines.
package hl7

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
)

// The limits of a message; what lies beyond is not read and Message.Repairs says so.
const (
	MaxBytes    = 16 << 20 // bytes read
	MaxMessages = 150      // messages of a file
	MaxSegments = 20000    // segments of a file
	MaxFields   = 500      // fields of a segment
	maxRepeats  = 200      // repetitions of a field
)

// ErrNotHL7 means there is no MSH segment.
var ErrNotHL7 = errors.New("hl7: no MSH segment")

// File is all messages of a file or batch.
type File struct {
	Messages []*Message
	Encoding string
	Repairs  []string
	Left     int // further messages that were not read
	segments int
}

// Message is one message.
type Message struct {
	Segments []Segment
	Encoding string
	Repairs  []string
	More     int // further messages in the same file
	sep      separators
}

type separators struct{ field, component, repeat, escape, sub byte }

// Segment is one segment, its fields as written.
type Segment struct {
	Name   string
	line   string   // as written
	more   []string // what belongs to it of the lines behind it, until they are joined
	fields []string // fields[0] is the name; for MSH fields[1] is the separator itself
	sep    separators
}

// Parse reads the first message in the size bytes of src.
func Parse(src io.ReaderAt, size int64) (*Message, error) {
	f, err := Read(src, size)
	if err != nil {
		return nil, err
	}
	m := f.Messages[0]
	m.Encoding, m.Repairs, m.More = f.Encoding, f.Repairs, len(f.Messages)-1+f.Left
	return m, nil
}

// Read reads all messages in the size bytes of src. ErrNotHL7 is for a text without any.
func Read(src io.ReaderAt, size int64) (*File, error) {
	text, err := charset.Open(src, size, "")
	if err != nil {
		return nil, fmt.Errorf("hl7: %w", err)
	}
	f := &File{Encoding: text.Name, Repairs: text.Repairs}
	raw := make([]byte, min(text.Size, MaxBytes))
	n, err := text.Src.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("hl7: %w", err)
	}
	body, bad := charset.Append(make([]byte, 0, n), raw[:n], text.Single)
	if bad > 0 {
		f.repair("bytes that are no UTF-8 are read as Windows-1252 (Latin-1)")
	}
	if text.Size > MaxBytes {
		f.repair(fmt.Sprintf("only the first %d MiB are read", MaxBytes>>20))
	}
	return f, f.split(string(body))
}

func (f *File) repair(s string) {
	if len(f.Repairs) < 20 && !slices.Contains(f.Repairs, s) {
		f.Repairs = append(f.Repairs, s)
	}
}

// split cuts the text into segments. The standard ends a segment with CR alone; LF and CRLF are taken.
func (f *File) split(body string) error {
	body = strings.Trim(body, "\x0B\x1C\r\n \t\x00")
	if strings.Contains(body, "\n") {
		if strings.Contains(body, "\r") {
			body = strings.ReplaceAll(body, "\r\n", "\r")
		}
		body = strings.ReplaceAll(body, "\n", "\r")
		f.repair("segments end with a line feed instead of a carriage return")
	}
	var m *Message
	for line := range strings.SplitSeq(body, "\r") {
		line = strings.Trim(line, "\x0B\x1C\x00")
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "MSH"):
			next := &Message{}
			if !next.separators(line) {
				if len(f.Messages) == 0 {
					return fmt.Errorf("%w: its separators are missing", ErrNotHL7)
				}
				f.Left++ // never joined to the message before it: it may be another patient's
				m = nil
				continue
			}
			if m = nil; len(f.Messages) >= MaxMessages || f.segments >= MaxSegments {
				f.Left++
				continue
			}
			m = next
			f.Messages = append(f.Messages, m)
			f.take(m, line)
		case m != nil:
			f.take(m, line)
		}
	}
	if len(f.Messages) == 0 {
		return ErrNotHL7
	}
	for _, m := range f.Messages {
		f.cut(m)
	}
	return nil
}

// take adds a line to a message: a segment, the rest of a field that had a line end in it, or a
// continuation (ADD, chapter 2.10.2).
func (f *File) take(m *Message, line string) {
	name := line[:min(3, len(line))]
	if name == "FHS" || name == "BHS" || name == "BTS" || name == "FTS" {
		return
	}
	n := len(m.Segments)
	if !m.begins(line) && n > 0 {
		m.Segments[n-1].more = append(m.Segments[n-1].more, "\n", line)
		f.repair("a line end stood inside a field; the line belongs to the segment before it")
		return
	}
	if name == "ADD" && n > 0 && len(line) > 4 {
		m.Segments[n-1].more = append(m.Segments[n-1].more, line[4:])
		return
	}
	if f.segments >= MaxSegments {
		f.repair(fmt.Sprintf("only the first %d segments are read", MaxSegments))
		return
	}
	f.segments++
	m.Segments = append(m.Segments, Segment{Name: name, line: line})
}

// cut takes the segments apart, once all that belongs to each is there.
func (f *File) cut(m *Message) {
	for i, s := range m.Segments {
		line := s.line
		if len(s.more) > 0 {
			line += strings.Join(s.more, "")
		}
		var long bool
		if m.Segments[i], long = m.segment(line); long {
			f.repair(fmt.Sprintf("a segment has more than %d fields; the rest of them is only in the message as sent", MaxFields))
		}
	}
}

// begins says whether a line begins a segment: three capitals or digits, then the field separator.
func (m *Message) begins(line string) bool {
	if len(line) < 3 || len(line) > 3 && line[3] != m.sep.field {
		return false
	}
	for i := range 3 {
		if c := line[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9' || i == 0) {
			return false
		}
	}
	return true
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

func (m *Message) segment(line string) (s Segment, long bool) {
	s = Segment{Name: line[:3], line: line, sep: m.sep}
	rest := line
	if s.Name == "MSH" {
		s.fields = []string{"MSH", string(m.sep.field)}
		rest = line[4:]
	}
	for f := range strings.SplitSeq(rest, string(m.sep.field)) {
		if len(s.fields) >= MaxFields {
			return s, true
		}
		s.fields = append(s.fields, f)
	}
	return s, false
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
