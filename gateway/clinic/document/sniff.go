package document

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// sniffLen is how much of a document is looked at to tell its format, in bytes.
const sniffLen = 64 << 10

// sniff tells the format from the first bytes. XML, JSON and zip are told apart further by reading them.
func sniff(head []byte) Kind {
	if len(head) == 0 {
		return Empty
	}
	if _, _, ok := unopened(head); ok { // before the rest: UTF-32 begins like UTF-16
		return Unknown
	}
	if k, ok := magic(head); ok {
		return k
	}
	text := trimLead(head)
	if len(text) == 0 {
		return Empty
	}
	switch {
	case isHL7(text):
		return HL7v2
	case isJSON(text):
		return JSON
	case text[0] == '<':
		return sniffMarkup(text)
	case isMail(text): // before the zeros: a body may be UTF-16 or binary
		return Mail
	case bytes.Contains(head, []byte("PK\x03\x04")) && !wide(head): // something stands in front of the archive
		return Zip
	case bytes.IndexByte(text[:min(len(text), 2048)], 0) >= 0 && !wide(head):
		return Unknown
	}
	if wide(head) {
		narrow := trimLead(trimMark(bytes.ReplaceAll(head, []byte{0}, nil)))
		if len(narrow) > 0 && narrow[0] == '<' {
			return sniffMarkup(narrow)
		}
		switch {
		case isHL7(narrow):
			return HL7v2
		case len(narrow) > 0 && isJSON(narrow):
			return JSON
		case isMail(narrow):
			return Mail
		}
	}
	if i := bytes.Index(text, []byte("ClinicalDocument")); i > 0 && bytes.IndexByte(text[:i], '<') >= 0 {
		return XML // text in front of the first tag: a wrapper, or a paste
	}
	if !textual(text) {
		return Unknown
	}
	return Text
}

// magic tells the binary formats by their first bytes.
func magic(b []byte) (Kind, bool) {
	for _, m := range []struct {
		at    int
		bytes string
		kind  Kind
	}{
		{0, "%PDF-", PDF}, {0, "\x89PNG\r\n\x1a\n", PNG}, {0, "\xFF\xD8\xFF", JPEG}, {0, "GIF87a", GIF}, {0, "GIF89a", GIF},
		{0, "II*\x00", TIFF}, {0, "MM\x00*", TIFF}, {128, "DICM", DICOM}, {0, "{\\rtf", RTF}, {0, "PK\x03\x04", Zip},
		{0, "PK\x05\x06", Zip}, {0, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Office}, {0, "MZ", Program}, {0, "\x7FELF", Program},
		{0, "#!", Program}, {0, "\xCF\xFA\xED\xFE", Program}, {0, "\xCA\xFE\xBA\xBE", Program},
	} {
		if len(b) >= m.at+len(m.bytes) && string(b[m.at:m.at+len(m.bytes)]) == m.bytes {
			if m.bytes == "MZ" && textual(b[:min(len(b), 64)]) {
				continue
			}
			return m.kind, true
		}
	}
	switch {
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return WebP, true
	case len(b) >= 30 && string(b[:2]) == "BM" && b[6] == 0 && b[7] == 0 && b[8] == 0 && b[9] == 0:
		return BMP, true
	}
	// A PDF may have junk in front of its mark (ISO 32000-1, annex H.3.4.1: within the first 1024 bytes).
	if i := bytes.Index(b[:min(len(b), 1024)], []byte("%PDF-")); i > 0 && !bytes.ContainsAny(b[:i], "<{") && !isMail(trimLead(b)) && !isHL7(trimLead(b)) {
		return PDF, true
	}
	return "", false
}

func trimLead(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))
	b = bytes.TrimPrefix(b, []byte("\x0B")) // MLLP start block
	return bytes.TrimLeft(b, " \t\r\n\x00\x0B")
}

// isHL7 says whether the text is an HL7 v2 message: MSH or a batch, and separators that make sense.
func isHL7(b []byte) bool {
	if len(b) < 8 || !bytes.HasPrefix(b, []byte("MSH")) && !bytes.HasPrefix(b, []byte("FHS")) && !bytes.HasPrefix(b, []byte("BHS")) {
		return false
	}
	sep := b[3]
	return sep > ' ' && sep < 0x7F && !isWordByte(sep) && bytes.IndexByte(b[4:min(len(b), 10)], sep) >= 0
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// sniffMarkup tells HTML and SVG from other XML by the first element, comments and declarations aside.
func sniffMarkup(b []byte) Kind {
	declared := false
	for {
		b = bytes.TrimLeft(b, " \t\r\n\x00")
		switch {
		case bytes.HasPrefix(b, []byte("<!--")):
			i := bytes.Index(b, []byte("-->"))
			if i < 0 {
				return XML
			}
			b = b[i+3:]
		case bytes.HasPrefix(b, []byte("<?")):
			i := bytes.IndexByte(b, '>')
			if i < 0 {
				return XML
			}
			declared = declared || bytes.HasPrefix(b, []byte("<?xml"))
			b = b[i+1:]
		case len(b) > 9 && strings.EqualFold(string(b[:9]), "<!DOCTYPE"):
			if name := bytes.TrimLeft(b[9:], " \t\r\n"); len(name) > 4 && strings.EqualFold(string(name[:4]), "html") {
				return HTML
			}
			i := doctypeEnd(b)
			if i <= 0 {
				return XML
			}
			b = b[i:]
		default:
			return sniffElement(b, declared)
		}
	}
}

func doctypeEnd(b []byte) int {
	i := bytes.IndexByte(b, '>')
	if j := bytes.IndexByte(b, '['); j >= 0 && j < i {
		if k := bytes.Index(b, []byte("]>")); k > 0 {
			return k + 2
		}
	}
	return i + 1
}

// sniffElement tells by the first element. A name that HTML knows is not enough: a document of another
// kind may begin with <a> or <p>, and shown as HTML it would lose what only its own reader finds.
func sniffElement(b []byte, declared bool) Kind {
	if len(b) < 2 || b[0] != '<' {
		return XML
	}
	end := 1
	for end < len(b) && (isWordByte(b[end]) || b[end] == ':' || b[end] == '_' || b[end] == '-') {
		end++
	}
	tag, _, _ := bytes.Cut(b, []byte(">"))
	switch strings.ToLower(string(b[1:end])) {
	case "html":
		return HTML
	case "head", "body", "div", "p", "table", "span", "script", "br", "font", "img", "center", "h1", "h2", "h3", "style", "meta", "iframe":
		if declared || foreign(tag) || bytes.Contains(b, []byte("ClinicalDocument")) {
			return XML
		}
		return HTML
	case "b", "i", "a":
		if declared || foreign(tag) || bytes.Contains(b, []byte("ClinicalDocument")) || !likeHTML(b) {
			return XML
		}
		return HTML
	case "svg", "svg:svg":
		return SVG
	}
	return XML
}

// foreign says whether a start tag names a namespace other than that of XHTML.
func foreign(tag []byte) bool {
	return bytes.Contains(tag, []byte("xmlns")) && !bytes.Contains(tag, []byte("http://www.w3.org/1999/xhtml"))
}

// likeHTML says whether a text has a mark that hardly anything but HTML has.
func likeHTML(b []byte) bool {
	b = bytes.ToLower(b[:min(len(b), 4096)])
	for _, mark := range []string{"href=", "<br", "<p>", "<p ", "<div", "<font", "<html", "<table", "<img", "&nbsp;"} {
		if bytes.Contains(b, []byte(mark)) {
			return true
		}
	}
	return false
}

// isMail says whether the text begins with a mail header: a field only mail has, or a sender together
// with a receiver, subject or date. "Date: … / Patient: …" is a note and no mail.
func isMail(b []byte) bool {
	seen := map[string]bool{}
	for line := range bytes.Lines(b[:min(len(b), 8<<10)]) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			continue
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t<>|") {
			if len(seen) == 0 && bytes.HasPrefix(line, []byte("From ")) {
				continue // mbox line
			}
			break
		}
		seen[strings.ToLower(string(name))] = true
	}
	for _, only := range []string{"received", "message-id", "mime-version", "content-type", "return-path", "content-transfer-encoding", "delivered-to", "x-direct-context"} {
		if seen[only] {
			return true
		}
	}
	return seen["from"] && (seen["to"] || seen["subject"] || seen["date"]) || seen["subject"] && seen["to"]
}

// wide says whether the text looks like UTF-16: a mark, or every second byte zero at the start.
func wide(b []byte) bool {
	if len(b) >= 2 && (b[0] == 0xFF && b[1] == 0xFE || b[0] == 0xFE && b[1] == 0xFF) {
		return true
	}
	return len(b) >= 8 && (b[0] == 0 && b[2] == 0 && b[4] == 0 && b[1] != 0 && b[3] != 0 || b[1] == 0 && b[3] == 0 && b[5] == 0 && b[0] != 0 && b[2] != 0)
}

// textual says whether the bytes pass for text: hardly any control characters.
func textual(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1B || c == 0x7F {
			odd++
		}
	}
	if odd*50 > len(b) {
		return false
	}
	return utf8.Valid(b[:len(b)-min(3, len(b))]) || odd == 0
}

// isJSON says whether the text begins like a JSON object or list, and not like "[Note] Dear colleague"; or
// like a JSON string that holds a document.
func isJSON(b []byte) bool {
	if b[0] == '"' {
		low := strings.ToLower(string(b[1:min(len(b), 16)]))
		return strings.HasPrefix(low, "<?xml") || strings.HasPrefix(low, "<clinicaldoc") || strings.HasPrefix(low, `\u003c`) || strings.HasPrefix(low, `{\"`) || strings.HasPrefix(low, "msh|") ||
			len(b) > 1+minCarried && inBase64(b[1:max(2, bytes.IndexByte(b[1:], '"')+1)])
	}
	if b[0] != '{' && b[0] != '[' {
		return false
	}
	next := bytes.TrimLeft(b[1:], " \t\r\n")
	if len(next) == 0 {
		return false
	}
	if b[0] == '{' {
		return next[0] == '"' || next[0] == '}'
	}
	return strings.IndexByte(`{["]-0123456789`, next[0]) >= 0 || bytes.HasPrefix(next, []byte("true")) || bytes.HasPrefix(next, []byte("false")) || bytes.HasPrefix(next, []byte("null"))
}

// trimMark drops a UTF-16 byte-order mark.
func trimMark(b []byte) []byte {
	if len(b) >= 2 && (b[0] == 0xFF && b[1] == 0xFE || b[0] == 0xFE && b[1] == 0xFF) {
		return b[2:]
	}
	return b
}
