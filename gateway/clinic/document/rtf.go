package document

import (
	"strings"

	"postern/gateway/clinic/document/charset"
)

// rtfWords is the text of RTF: a reader of one pass that keeps what is neither control word nor in a
// group of tables, pictures or other data.
func rtfWords(b []byte) string {
	var out strings.Builder
	depth, skip := 0, 0 // skip = depth of the outermost group left out, 0 = none
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '{':
			depth++
			i++
		case '}':
			if depth == skip {
				skip = 0
			}
			depth = max(0, depth-1)
			i++
		case '\\':
			word, next := rtfControl(b, i)
			i = next
			switch {
			case skip > 0:
			case word == "par" || word == "line" || word == "row":
				out.WriteByte('\n')
			case word == "tab" || word == "cell":
				out.WriteByte('\t')
			case len(word) == 3 && word[0] == '\'':
				text, _ := charset.Append(nil, []byte{unhex(word[1])<<4 | unhex(word[2])}, true)
				out.Write(text)
			case word == "\\" || word == "{" || word == "}":
				out.WriteString(word)
			case word == "*" || rtfData(word):
				skip = max(depth, 1)
			}
		default:
			if skip == 0 && c != '\r' && c != '\n' {
				out.WriteByte(c)
			}
			i++
		}
	}
	return strings.ToValidUTF8(out.String(), "\uFFFD")
}

// rtfControl reads the control at i: a word without its number, a symbol, or 'hh.
func rtfControl(b []byte, i int) (word string, next int) {
	i++
	if i >= len(b) {
		return "", i
	}
	if b[i] == '\'' && i+2 < len(b) {
		return string(b[i : i+3]), i + 3
	}
	start := i
	for i < len(b) && (b[i] >= 'a' && b[i] <= 'z' || b[i] >= 'A' && b[i] <= 'Z') {
		i++
	}
	if i == start {
		return string(b[i : i+1]), i + 1
	}
	word = string(b[start:i])
	for i < len(b) && (b[i] >= '0' && b[i] <= '9' || b[i] == '-') {
		i++
	}
	if i < len(b) && b[i] == ' ' {
		i++
	}
	return word, i
}

func rtfData(word string) bool {
	switch word {
	case "fonttbl", "colortbl", "stylesheet", "pict", "info", "object", "header", "footer", "themedata", "listtable":
		return true
	}
	return false
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}
