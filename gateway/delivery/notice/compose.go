package notice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"github.com/emersion/go-message/textproto"

	"postern/gateway/message"
	"postern/smime/addr"
)

// ErrIncomplete is the cause of every refusal to write a notice.
var ErrIncomplete = errors.New("notice: cannot be written")

func incomplete(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrIncomplete, fmt.Sprintf(format, args...))
}

// field is one header or report field; its value is one line.
type field struct{ name, value string }

// letter is the outer form both notices share.
type letter struct {
	from, to           addr.Address
	messageID, about   string // without brackets
	date               time.Time
	subject, report    string // report is the report-type
	text               string // for people, LF line ends
	partType, partName string
	part               []byte // the machine-readable part, CRLF
	original           []byte // header of the original message, or nil
}

func (l letter) check() error {
	switch {
	case l.from.IsZero() || l.to.IsZero():
		return incomplete("no sender or no addressee")
	case l.messageID == "" || !oneLine(l.messageID):
		return incomplete("no usable Message-ID of its own")
	case l.date.IsZero():
		return incomplete("no date")
	case !oneLine(l.about) || len(l.about) > message.MaxMessageID || strings.ContainsAny(l.about, "<>"):
		return incomplete("original Message-ID is not one id in one line of ASCII")
	}
	return nil
}

// write sends the whole message: header, human text, report, original header.
func (l letter) write(w io.Writer) error {
	// The boundary follows from the Message-ID, so that the same notice sent again is the same octets
	// (DN-63). Nobody who could put it into a part knows the Message-ID beforehand.
	sum := sha256.Sum256([]byte("notice boundary " + l.messageID))
	boundary := "notice-" + hex.EncodeToString(sum[:16])
	h := rawHeader(l.headerFields(boundary))
	if err := textproto.WriteHeader(w, h); err != nil {
		return fmt.Errorf("notice: write: %w", err)
	}
	mw := textproto.NewMultipartWriter(w)
	if err := mw.SetBoundary(boundary); err != nil {
		return fmt.Errorf("notice: write: %w", err)
	}
	parts := []struct {
		fields []field
		body   []byte
	}{
		textPart("text/plain; charset=utf-8", toCRLF(l.text)),
		{[]field{{"Content-Type", l.partType + "; name=" + l.partName}, {"Content-Transfer-Encoding", "7bit"},
			{"Content-Disposition", "attachment; filename=" + l.partName}}, l.part},
	}
	if len(l.original) > 0 {
		parts = append(parts, textPart("text/rfc822-headers", l.original))
	}
	for _, p := range parts {
		pw, err := mw.CreatePart(rawHeader(p.fields))
		if err == nil {
			_, err = pw.Write(p.body)
		}
		if err != nil {
			return fmt.Errorf("notice: write: %w", err)
		}
	}
	if err := mw.Close(); err != nil {
		return fmt.Errorf("notice: write: %w", err)
	}
	return nil
}

func (l letter) headerFields(boundary string) []field {
	fs := []field{
		{"Date", message.FormatDate(l.date)},
		{"From", "<" + l.from.String() + ">"},
		{"To", "<" + l.to.String() + ">"},
		{"Message-ID", "<" + l.messageID + ">"},
	}
	if l.about != "" { // AS-94, DN-33
		fs = append(fs, field{"In-Reply-To", "<" + l.about + ">"}, field{"References", "<" + l.about + ">"})
	}
	return append(fs,
		field{"Subject", encodeSubject(l.subject)},
		field{"Auto-Submitted", "auto-replied"}, // RFC 3834 §5
		field{"MIME-Version", "1.0"},
		field{"Content-Type", "multipart/report; report-type=" + l.report + ";\r\n boundary=\"" + boundary + "\""},
	)
}

// rawHeader gives the fields to textproto exactly as they are to stand; it keeps new fields on top.
func rawHeader(fs []field) textproto.Header {
	var h textproto.Header
	for i := len(fs) - 1; i >= 0; i-- {
		h.AddRaw(fs[i].line())
	}
	return h
}

// line is the whole field. A value too long for the line begins on the next (RFC 5322 §2.2.3).
func (f field) line() []byte {
	sep := ": "
	if first, _, _ := strings.Cut(f.value, "\r\n"); len(f.name)+2+len(first) > message.MaxLine {
		sep = ":\r\n "
	}
	return []byte(f.name + sep + f.value + "\r\n")
}

// textPart carries text for people as it is when every mail system passes it on unharmed, else as
// quoted-printable.
func textPart(mediaType string, body []byte) (p struct {
	fields []field
	body   []byte
}) {
	p.fields = []field{{"Content-Type", mediaType}, {"Content-Transfer-Encoding", "7bit"}}
	p.body = body
	if !sevenBit(body) {
		p.fields[1].value = "quoted-printable"
		var b bytes.Buffer
		q := quotedprintable.NewWriter(&b)
		q.Write(body) // a bytes.Buffer takes everything
		q.Close()
		p.body = b.Bytes()
	}
	return p
}

func sevenBit(b []byte) bool {
	for _, line := range bytes.Split(b, []byte("\r\n")) {
		if len(line) > message.MaxLine {
			return false
		}
		for _, c := range line {
			if c < ' ' && c != '\t' || c > '~' {
				return false
			}
		}
	}
	return true
}

// encodeSubject is one header value: encoded words (RFC 2047) where needed, folded between words. It
// is cut at MaxText, so that even a Subject without blanks fits in a line.
func encodeSubject(s string) string {
	words := strings.Fields(mime.QEncoding.Encode("utf-8", oneLineText(s, MaxText)))
	return foldWords(words, len("Subject: "))
}

// foldWords joins words with blanks, with a line end before a word that would pass column 76.
func foldWords(words []string, column int) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case column+1+len(w) > 76:
			b.WriteString("\r\n ")
			column = 1
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(w)
		column += len(w)
	}
	return b.String()
}

// wrap breaks a paragraph for people at 76 columns, each line with the indent.
func wrap(text, indent string) string {
	var b strings.Builder
	column := 0
	for _, w := range strings.Fields(text) {
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+len(w) > 76:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(w)
		column += len(w)
	}
	return b.String() + "\n"
}

func toCRLF(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

// oneLine reports whether s is printable ASCII.
func oneLine(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// oneLineText makes any text one line of at most limit octets: nothing in it can begin a field.
func oneLineText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if s = strings.Join(strings.Fields(s), " "); len(s) > limit {
		s = strings.ToValidUTF8(s[:limit-3], "") + "..."
	}
	return s
}

// asciiText is oneLineText for report fields, which are US-ASCII (RFC 3464 §2.1.1).
func asciiText(s string, limit int) string {
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, oneLineText(s, limit))
}
