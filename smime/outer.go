package smime

import (
	"strings"
	"time"

	"postern/smime/addr"
	"postern/smime/part"
)

// maxOuterLine is where address and id lists are folded.
const maxOuterLine = 76

// outerHeader is the clear header of a sealed message: routing data from the inner header and
// nothing else; no Subject, no display names (AS-33).
func outerHeader(h part.Header, now time.Time) ([]byte, error) {
	var b strings.Builder
	b.WriteString("MIME-Version: 1.0\r\n")
	date := printable(h.Get("Date"))
	if date == "" {
		date = now.Format(time.RFC1123Z)
	}
	b.WriteString("Date: " + date + "\r\n")
	for _, name := range []string{"From", "To", "Cc"} {
		values := h.All(name)
		if name == "From" && len(values) != 1 {
			return nil, fail(ReasonHeader, "the message must have exactly one From field")
		}
		if len(values) == 0 {
			continue
		}
		list, err := addr.ParseList(strings.Join(values, ", "))
		if err != nil {
			return nil, &Error{Reason: ReasonHeader, Detail: name + ": " + err.Error(), Err: err}
		}
		words := make([]string, len(list))
		for i, a := range list {
			words[i] = a.String()
		}
		if len(words) > 0 {
			fold(&b, name, words, ",")
		}
	}
	for _, name := range []string{"Message-ID", "In-Reply-To", "References"} {
		if v := printable(h.Get(name)); v != "" {
			fold(&b, name, strings.Fields(v), "")
		}
	}
	return []byte(b.String()), nil
}

// printable drops everything that is not printable ASCII, so that nothing can break out of a field.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s))
}

// fold writes words separated by sep and a blank, in lines of about maxOuterLine characters.
func fold(b *strings.Builder, name string, words []string, sep string) {
	b.WriteString(name + ":")
	length := len(name) + 1
	for i, w := range words {
		if i < len(words)-1 {
			w += sep
		}
		if length+1+len(w) > maxOuterLine && i > 0 {
			b.WriteString("\r\n")
			length = 0
		}
		b.WriteString(" " + w)
		length += 1 + len(w)
	}
	b.WriteString("\r\n")
}
