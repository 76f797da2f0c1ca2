package message

import (
	"strings"
)

// The request for a notice of final delivery, as Direct spells it (DN-10).
const (
	OptionsField    = "Disposition-Notification-Options"
	FinalDelivery   = "X-DIRECT-FINAL-DESTINATION-DELIVERY"
	finalDeliveryOn = FinalDelivery + "=optional,true"
)

// readOptions judges every value of Disposition-Notification-Options by RFC 8098 §2.2:
//
//	parameter *(";" parameter)   parameter = attribute "=" importance "," value *("," value)
//
// White space and comments are free around every part; an empty parameter is passed over. Several
// requests are one when all of them say true. Malformed is as good as absent (DN-14), and so is any
// request beside a parameter that must be understood and is not (DN-15).
func readOptions(values []string) (requested, malformed bool, note string) {
	for _, value := range values {
		for _, text := range splitQuoted(WithoutComments(value), ';') {
			if strings.TrimSpace(text) == "" {
				continue
			}
			o, ok := readOption(text)
			switch {
			case !ok:
				return false, true, "the delivery request is not of the form attribute=importance,value"
			case !strings.EqualFold(o.attribute, FinalDelivery):
				if o.required {
					note = "another option is required and not understood"
				}
			case strings.EqualFold(o.value, "true"):
				requested = true
			case strings.EqualFold(o.value, "false"):
				if note == "" {
					note = "the delivery request says false"
				}
			default:
				return false, true, "the delivery request's value is not true"
			}
		}
	}
	return requested && note == "", false, note
}

type option struct {
	attribute string
	required  bool
	value     string // all values with commas, quotes taken off
}

func readOption(text string) (option, bool) {
	attribute, rest, ok := strings.Cut(text, "=")
	attribute = strings.TrimSpace(attribute)
	if !ok || !isAtom(attribute) {
		return option{}, false
	}
	parts := splitQuoted(rest, ',')
	importance := strings.ToLower(strings.TrimSpace(parts[0]))
	if len(parts) < 2 || importance != "optional" && importance != "required" {
		return option{}, false
	}
	for i, v := range parts[1:] {
		word, ok := readWord(strings.TrimSpace(v))
		if !ok {
			return option{}, false
		}
		parts[i+1] = word
	}
	return option{attribute, importance == "required", strings.Join(parts[1:], ",")}, true
}

// readWord is RFC 5322 §3.2.5: an atom or a quoted string.
func readWord(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		in := strings.ReplaceAll(strings.ReplaceAll(s[1:len(s)-1], `\\`, "\x00"), `\"`, "\x01")
		if strings.ContainsAny(in, `"\`) {
			return "", false
		}
		return strings.NewReplacer("\x00", `\`, "\x01", `"`).Replace(in), true
	}
	return s, isAtom(s)
}

// isAtom is RFC 5322 §3.2.3.
func isAtom(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c > '~' || strings.IndexByte(`()<>[]:;@\,."`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// splitQuoted splits at sep outside quoted strings.
func splitQuoted(s string, sep byte) []string {
	var out []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

// WithoutComments replaces RFC 5322 §3.2.2 comments outside quoted strings by a space. A parenthesis
// that is not closed stays as it is, for the caller's grammar to refuse.
func WithoutComments(s string) string {
	if !strings.Contains(s, "(") {
		return s
	}
	var b strings.Builder
	depth, quoted, open := 0, false, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && (quoted || depth > 0) && i+1 < len(s):
			if depth == 0 {
				b.WriteString(s[i : i+2])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			if depth == 0 {
				open = i
			}
			depth++
			continue
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				b.WriteByte(' ')
			}
			continue
		}
		if depth == 0 {
			b.WriteByte(c)
		}
	}
	if depth > 0 {
		b.WriteString(s[open:])
	}
	return b.String()
}
