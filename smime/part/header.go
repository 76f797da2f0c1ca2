package part

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Field is one header field with all its octets: name, colon, value, folds and final line end.
type Field struct {
	Name string // as written, without blanks around it
	Raw  []byte
}

// Value is the unfolded value without surrounding blanks (RFC 5322 §2.2.3); line ends become nothing.
func (f Field) Value() string {
	i := bytes.IndexByte(f.Raw, ':')
	if i < 0 {
		return ""
	}
	v := f.Raw[i+1:]
	v = bytes.Trim(v, " \t\r\n")
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return string(v)
	}
	var out strings.Builder
	out.Grow(len(v))
	for _, c := range v {
		if c != '\r' && c != '\n' {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// Header is a block of fields. Size counts its octets including the blank line.
type Header struct {
	Fields  []Field
	Size    int64
	Repairs []string
}

// Get is the value of the first field of that name, without regard to case; "" when there is none.
func (h Header) Get(name string) string {
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value()
		}
	}
	return ""
}

// All is the values of every field of that name.
func (h Header) All(name string) []string {
	var out []string
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f.Value())
		}
	}
	return out
}

// Has reports whether a field of that name is present.
func (h Header) Has(name string) bool {
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// ReadHeader reads the header at the front of src, of which size octets exist. A header without an
// ending blank line extends to the end, or to the first line that cannot be a field.
func ReadHeader(src io.ReaderAt, size int64, lim Limits) (Header, error) {
	lim = lim.orDefault()
	var buf []byte
	for want := int64(4 << 10); ; want *= 4 {
		n := min(want, lim.Header+1, size)
		buf = make([]byte, n)
		if got, err := src.ReadAt(buf, 0); err != nil && (err != io.EOF || int64(got) < n) {
			return Header{}, fmt.Errorf("part: read header: %w", err)
		}
		whole := n == size
		h, ok, err := ParseHeader(buf, whole, lim)
		if err != nil || ok {
			return h, err
		}
		if n > lim.Header {
			return Header{}, fmt.Errorf("%w: header longer than %d octets", ErrLimit, lim.Header)
		}
	}
}

// ParseHeader reads a header from the front of b. ok is false when b ends before the header does
// and whole says that more octets exist. The fields are views of b.
func ParseHeader(b []byte, whole bool, lim Limits) (h Header, ok bool, err error) {
	lim = lim.orDefault()
	pos := 0
	for {
		if int64(pos) > lim.Header {
			return h, false, fmt.Errorf("%w: header longer than %d octets", ErrLimit, lim.Header)
		}
		line, complete := nextLine(b[pos:])
		if !complete && !whole {
			return h, false, nil
		}
		switch {
		case len(line) == 0: // the source ends without a blank line
			h.Size = int64(pos)
			h.repair("header without a blank line at its end")
			return h, true, nil
		case isBlank(line):
			h.Size = int64(pos + len(line))
			return h, true, nil
		case (line[0] == ' ' || line[0] == '\t') && len(h.Fields) > 0:
			last := &h.Fields[len(h.Fields)-1]
			last.Raw = b[pos-len(last.Raw) : pos+len(line)]
		case pos == 0 && bytes.HasPrefix(line, []byte("From ")):
			h.repair("mbox separator line in front of the header") // QUIRK: files saved by Unix mailers
			h.Fields = append(h.Fields, Field{"", line})
		default:
			name, good := fieldName(line)
			if !good {
				// QUIRK: senders that forget the blank line; the body begins here.
				h.Size = int64(pos)
				h.repair("body begins without a blank line")
				return h, true, nil
			}
			if len(h.Fields) >= lim.Fields {
				return h, false, fmt.Errorf("%w: more than %d header fields", ErrLimit, lim.Fields)
			}
			if h.Fields == nil {
				h.Fields = make([]Field, 0, 12)
			}
			h.Fields = append(h.Fields, Field{name, line})
		}
		pos += len(line)
	}
}

func (h *Header) repair(what string) { h.Repairs = append(h.Repairs, what) }

// nextLine is the first line of b with its line end; complete is false when b ends inside it.
func nextLine(b []byte) (line []byte, complete bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, false
	}
	return b[: i+1 : i+1], true
}

func isBlank(line []byte) bool {
	return len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

// fieldName is the name before the colon: printable ASCII, blanks before the colon tolerated
// (RFC 5322 §4.5 obs-optional).
func fieldName(line []byte) (string, bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return "", false
	}
	name := bytes.TrimRight(line[:i], " \t")
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return "", false
		}
	}
	return usual(name), len(name) > 0
}

// usual is the name as a string; the names that nearly every message has cost no memory.
func usual(name []byte) string {
	for _, s := range [...]string{"From", "To", "Cc", "Date", "Subject", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
		"Content-Disposition", "Received", "Return-Path", "In-Reply-To", "References", "Disposition-Notification-To", "Disposition-Notification-Options"} {
		if string(name) == s {
			return s
		}
	}
	return string(name)
}
