package xmltree

import (
	"bytes"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"postern/gateway/clinic/document/charset"
)

// maxEntity is the longest reference looked for behind an '&', in bytes.
const maxEntity = 40

// decodeText adds raw character data to dst: encoding mended, references resolved. Only the five XML
// entities, character references and HTML's own names are known; a document's own are left as written.
func (b *builder) decodeText(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '&')
		if i < 0 {
			return b.decodeRaw(dst, raw)
		}
		dst = b.decodeRaw(dst, raw[:i])
		raw = raw[i:]
		end := bytes.IndexByte(raw[:min(len(raw), maxEntity)], ';')
		if end < 2 {
			b.damage("a bare & stands for itself")
			dst = append(dst, '&')
			raw = raw[1:]
			continue
		}
		dst = b.reference(dst, raw[1:end], raw[:end+1])
		raw = raw[end+1:]
	}
}

func (b *builder) reference(dst, name, whole []byte) []byte {
	switch string(name) {
	case "amp":
		return append(dst, '&')
	case "lt":
		return append(dst, '<')
	case "gt":
		return append(dst, '>')
	case "quot":
		return append(dst, '"')
	case "apos":
		return append(dst, '\'')
	}
	if name[0] == '#' {
		if r, ok := character(name[1:]); ok {
			return utf8.AppendRune(dst, r)
		}
		b.damage("a character reference names no character")
		return utf8.AppendRune(dst, utf8.RuneError)
	}
	// HTML names such as &nbsp; are written without being declared by several exporters. What the
	// document declares itself may mean anything, and "&notes;" is not the sign &not; and "es;".
	if s := html.UnescapeString(string(whole)); s != string(whole) && !b.own[string(name)] && (string(name) == "semi" || s[len(s)-1] != ';') {
		b.repair("HTML entities such as &" + string(name) + "; are read though XML does not know them")
		return append(dst, s...)
	}
	b.repair("an entity of the document's own is not resolved and shown as written")
	if e := strings.ToValidUTF8(string(name), "\uFFFD"); len(b.t.Entities) < maxEntities && !slices.Contains(b.t.Entities, e) {
		b.t.Entities = append(b.t.Entities, e)
	}
	return b.decodeRaw(dst, whole)
}

// The limits of what is remembered about a document's own entities.
const (
	maxEntities = 8    // names of Tree.Entities
	maxDeclared = 1000 // declarations that are looked at
)

// declared remembers the names of the entities a document type declaration declares, never their values.
func (b *builder) declared(dtd []byte) {
	b.own = map[string]bool{}
	for range maxDeclared {
		i := bytes.Index(dtd, []byte("<!ENTITY"))
		if i < 0 {
			return
		}
		dtd = bytes.TrimLeft(dtd[i+len("<!ENTITY"):], " \t\r\n")
		b.own[string(dtd[:min(nameEnd(dtd), maxEntity)])] = true
	}
}

func character(digits []byte) (rune, bool) {
	base := 10
	if len(digits) > 1 && (digits[0] == 'x' || digits[0] == 'X') {
		base, digits = 16, digits[1:]
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || n > utf8.MaxRune || n == 0 || n >= 0xD800 && n <= 0xDFFF {
		return 0, false
	}
	return rune(n), true
}

func (b *builder) decodeRaw(dst, raw []byte) []byte {
	dst, bad := charset.Append(dst, raw, b.single)
	if bad > 0 {
		b.repair("bytes that are no UTF-8 are read as Windows-1252 (Latin-1)")
	}
	return dst
}
