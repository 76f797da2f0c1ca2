package message

import (
	"mime"
	"strings"
	"unicode"

	"github.com/emersion/go-message/charset"
)

// idList reads the ids of References or In-Reply-To: what stands in angle brackets. Phrases beside
// them (RFC 5322 §4.5.4) are passed over; a value without brackets is one id (a common fault).
func idList(v string) []string {
	var out []string
	if !strings.Contains(v, "<") {
		if id := NormalID(v); id != "" && len(id) <= MaxMessageID && printable(id) {
			out = append(out, id)
		}
		return out
	}
	for {
		_, after, ok := strings.Cut(v, "<")
		if !ok {
			break
		}
		id, rest, closed := strings.Cut(after, ">")
		if !closed {
			break
		}
		if id = NormalID(id); id != "" && len(id) <= MaxMessageID && printable(id) {
			out = append(out, id)
		}
		v = rest
	}
	if len(out) > MaxReferences {
		out = out[len(out)-MaxReferences:]
	}
	return out
}

// DecodeWords decodes the encoded words of a Subject or display text (RFC 2047) to at most limit
// octets of printable UTF-8. What cannot be decoded is shown as it stands.
func DecodeWords(v string, limit int) string {
	if len(v) > 8*limit {
		v = v[:8*limit]
	}
	d := mime.WordDecoder{CharsetReader: charset.Reader}
	s, err := d.DecodeHeader(v)
	if err != nil {
		s = v
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return clip(strings.TrimSpace(s), limit)
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
