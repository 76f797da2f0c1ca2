package document

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"postern/gateway/clinic/document/charset"
)

// maxGroups is how deep the groups of rich text are followed; what lies deeper is read like the group around it.
const maxGroups = 500

// rtf is a reader of one pass over rich text (RTF 1.9.1): it keeps the words, says which of them are struck
// through or hidden, and counts what it leaves out. It is linear: each byte is looked at once.
type rtf struct {
	b        []byte
	out      strings.Builder
	raw      []byte // bytes in the document's code page, not yet decoded
	page     int    // code page
	high     rune   // first half of a surrogate pair
	state    rtfState
	stack    []rtfState
	deeper   int    // groups beyond maxGroups
	mark     string // the mark that is open in out
	fallback int    // characters still to be skipped behind \uN
	pictures int
	script   int // how the last word stands: raised 1, lowered -1
	fonts    map[int]rtfFont
	font     int // the one being described in the font table
	usual    int // \deff
}

// maxFonts is how many fonts of the table are told apart.
const maxFonts = 1000

// rtfFont is a font of the table: in one of signs, and in one of another script, bytes mean other letters.
type rtfFont struct {
	name string
	page int // code page, 0 = the document's
}

// rtfState is what a group's end sets back.
type rtfState struct {
	skip, struck, deleted, hidden, star bool
	table                               bool   // in the font table
	script, font                        int    // raised 1, lowered -1; \f
	uc                                  int    // how many characters stand in for one \uN
	close                               string // what is written at the group's end
}

// rtfWords is the text of RTF with its struck and hidden words marked, and how many pictures and objects
// were left out.
func rtfWords(b []byte) (words string, pictures int) {
	r := &rtf{b: b, page: 1252, state: rtfState{uc: 1}, fonts: map[int]rtfFont{}}
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '{':
			r.open()
			i++
		case '}':
			r.shut()
			i++
		case '\\':
			i = r.control(i)
		case '\r', '\n', 0:
			i++
		default:
			r.char(c)
			i++
		}
	}
	r.remark("")
	return strings.ToValidUTF8(r.out.String(), "\uFFFD"), r.pictures
}

func (r *rtf) open() {
	r.fallback = 0
	if len(r.stack) >= maxGroups {
		r.deeper++
		return
	}
	r.stack = append(r.stack, r.state)
	r.state.star, r.state.close = false, ""
}

func (r *rtf) shut() {
	r.fallback = 0
	if r.deeper > 0 {
		r.deeper--
		return
	}
	if len(r.stack) == 0 {
		return
	}
	if r.state.close != "" {
		r.remark("")
		r.out.WriteString(r.state.close)
	}
	r.flush()
	r.state, r.stack = r.stack[len(r.stack)-1], r.stack[:len(r.stack)-1]
}

// char is one byte of text in the code page.
func (r *rtf) char(c byte) {
	if r.fallback > 0 {
		r.fallback--
		return
	}
	if r.state.table {
		r.naming(c)
	}
	if r.state.skip {
		return
	}
	if m := r.state.mark(); len(r.raw) == 0 || m != r.mark {
		r.remark(m)
	}
	r.level(rune(c))
	r.raw = append(r.raw, c)
}

func (s rtfState) mark() string {
	switch {
	case s.struck || s.deleted:
		return "struck out"
	case s.hidden:
		return "hidden"
	}
	return ""
}

// remark closes the open mark and opens the one that holds for what follows.
func (r *rtf) remark(mark string) {
	r.flush()
	if r.mark == mark {
		return
	}
	if r.mark != "" {
		r.out.WriteByte(']')
	}
	if r.mark = mark; mark != "" {
		r.out.WriteString("[" + mark + ": ")
	}
}

// flush decodes the bytes gathered so far.
func (r *rtf) flush() {
	if len(r.raw) > 0 {
		f := r.fonts[r.state.font]
		page := r.page
		if f.page != 0 {
			page = f.page
		}
		if _, signs := charset.Sign("", f.name); signs {
			words := make([]rune, len(r.raw))
			for i, c := range r.raw {
				words[i] = rune(c)
			}
			s, _ := charset.Sign(string(words), f.name)
			r.out.WriteString(s)
		} else {
			r.out.WriteString(charset.CodePage(r.raw, page))
		}
		r.raw = r.raw[:0]
	}
}

func (r *rtf) text(s string) {
	if r.fallback > 0 {
		r.fallback--
		return
	}
	if !r.state.skip {
		r.remark(r.state.mark())
		if c, _ := utf8.DecodeRuneInString(s); c > ' ' {
			r.level(c)
			s, _ = charset.Sign(s, r.fonts[r.state.font].name)
		}
		r.out.WriteString(s)
	}
}

// control reads the control at i and returns where to go on.
func (r *rtf) control(i int) int {
	b := r.b
	i++
	if i >= len(b) {
		return i
	}
	if c := b[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
		return r.symbol(i)
	}
	start := i
	for i < len(b) && i-start < 40 && (b[i] >= 'a' && b[i] <= 'z' || b[i] >= 'A' && b[i] <= 'Z') {
		i++
	}
	word := string(b[start:i])
	n := i
	if n < len(b) && b[n] == '-' {
		n++
	}
	for n < len(b) && n-i < 12 && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	number, err := strconv.Atoi(string(b[i:n]))
	given := err == nil
	if i = n; i < len(b) && b[i] == ' ' {
		i++
	}
	if word == "bin" && given && number > 0 { // raw bytes follow
		return min(len(b), i+number)
	}
	r.word(word, number, given)
	return i
}

// symbol is a control of one character.
func (r *rtf) symbol(i int) int {
	b := r.b
	switch b[i] {
	case '\'':
		if i+2 < len(b) {
			r.char(unhex(b[i+1])<<4 | unhex(b[i+2]))
			return i + 3
		}
		return len(b)
	case '\\', '{', '}':
		r.char(b[i])
	case '~':
		r.text("\u00A0")
	case '_':
		r.text("\u2011")
	case '\r', '\n':
		r.text("\n")
	case '*':
		r.state.star = true
	}
	return i + 1
}

// word is a control word with its number.
func (r *rtf) word(word string, number int, given bool) {
	on := !given || number != 0
	star := r.state.star
	r.state.star = false
	if s, ok := rtfText(word); ok {
		r.text(s)
		return
	}
	switch word {
	case "u":
		r.unicode(number)
	case "uc":
		r.state.uc = max(0, min(number, 20))
	case "ansicpg":
		r.flush()
		r.page = number
	case "mac":
		r.page = 10000
	case "strike", "striked":
		r.state.struck = on
	case "deleted":
		r.state.deleted = on
	case "v":
		r.state.hidden = on
	case "plain":
		r.flush()
		r.state.struck, r.state.hidden, r.state.script, r.state.font = false, false, 0, r.usual
	case "deff":
		r.usual, r.state.font = number, number
	case "f":
		r.setFont(number)
	case "fcharset":
		r.describe(number)
	case "super", "up":
		r.state.script = raised(on, 1)
	case "sub", "dn":
		r.state.script = raised(on, -1)
	case "nosupersub":
		r.state.script = 0
	default:
		r.destination(word, star)
	}
}

// unicode is \uN: a UTF-16 unit, with characters behind it for readers that do not know it.
func (r *rtf) unicode(n int) {
	r.fallback = 0
	c := rune(uint16(n))
	switch {
	case utf16.IsSurrogate(c) && r.high == 0:
		r.high = c
	case utf16.IsSurrogate(c):
		r.text(string(utf16.DecodeRune(r.high, c)))
		r.high = 0
	default:
		r.high = 0
		r.text(string(c))
	}
	r.fallback = r.state.uc
}

// destination begins a group that is no plain text: left out, or told apart from the text around it.
func (r *rtf) destination(word string, star bool) {
	apart := func(name string) {
		if !r.state.skip {
			r.remark("")
			r.out.WriteString("\n[" + name + ": ")
			r.state.close = "]\n"
		}
	}
	switch word {
	case "header", "headerl", "headerr", "headerf":
		apart("page head")
	case "footer", "footerl", "footerr", "footerf":
		apart("page foot")
	case "footnote":
		apart("note")
	case "annotation":
		apart("comment")
	case "pict", "objdata":
		if !r.state.skip {
			r.pictures++
		}
		r.state.skip = true
	case "shpinst", "shptxt", "result", "shppict": // text boxes, what an object looks like, and the newer of two ways to hold a picture
	case "fonttbl":
		r.state.skip, r.state.table = true, true
	case "colortbl", "stylesheet", "info", "themedata", "listtable", "listoverridetable", "revtbl", "sp", "sn", "sv", "shprslt", "nonshppict", "objclass", "objname",
		"atnid", "atnauthor", "atntime", "atndate", "xe", "tc", "rxe", "bkmkstart", "bkmkend", "filetbl", "generator", "latentstyles", "datastore", "xmlnstbl", "rsidtbl", "mmathPr", "fldinst":
		r.state.skip = true
	default:
		if star {
			r.state.skip, r.state.table = true, false
		}
	}
}

// rtfText is the text a control word stands for.
func rtfText(word string) (string, bool) {
	switch word {
	case "par", "line", "row", "sect", "page", "nestrow", "column", "softline":
		return "\n", true
	case "tab", "cell", "nestcell":
		return "\t", true
	case "endash":
		return "\u2013", true
	case "emdash":
		return "\u2014", true
	case "bullet":
		return "\u2022", true
	case "lquote":
		return "\u2018", true
	case "rquote":
		return "\u2019", true
	case "ldblquote":
		return "\u201C", true
	case "rdblquote":
		return "\u201D", true
	case "emspace", "enspace", "qmspace":
		return " ", true
	}
	return "", false
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

// maxRTF is how much rich text is read, in bytes; most of a large one is pictures.
const maxRTF = 16 << 20

// richText is the words of RTF for a page, and what to say of them.
func richText(b []byte, size int64) (words string, notes []string) {
	words, pictures := rtfWords(bytes.TrimRight(b, "\x00"))
	words = strings.TrimSpace(words)
	if pictures > 0 {
		notes = append(notes, fmt.Sprintf("%d pictures or objects in the text are not shown", pictures))
	}
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "")
		notes = append(notes, fmt.Sprintf("only the first %d KiB of its words are shown", maxWords>>10))
	}
	if size > int64(len(b)) {
		notes = append(notes, fmt.Sprintf("only the first %d MiB of the file are read", maxRTF>>20))
	}
	return words, notes
}
