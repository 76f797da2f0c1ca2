package page

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// Attr is an attribute. Only the functions of this package make one, so that no attribute can carry a
// script, a style, a remote address or a name that was not foreseen.
type Attr struct{ name, value string }

// Class is one of the classes of style.css.
type Class uint8

// The classes.
const (
	Plain Class = iota
	Added       // words of the renderer inside the sender's text
	Address
	Answer
	Asked
	Badge
	BadgeAlert
	Bold
	Block
	Card
	Changes
	Conflict
	Detail
	Empty
	Facts
	Flag
	Footnote
	Grid
	Heading
	Italic
	Key
	Level2
	Level3
	Line
	Meta
	Muted
	Narrative
	NewMark
	OverMark
	Patient
	Picture
	Problem
	Note
	Raw
	Row
	Scroll
	Skip
	Source
	Toc
	Underline
	Value
	Warning
	Wide
	Banner
	Who
	Past
	Frame
	Mono
	ListPlain
	Card2
	Lines // line ends of plain text are kept
	Column
	Columns
	Inside
	Others
	classes
)

func (c Class) name() string {
	return [classes]string{"", "added", "address", "answer", "asked", "badge", "badge-alert", "bold", "block", "card", "changes", "conflict", "detail",
		"empty", "facts", "flag", "footnote", "grid", "heading", "italic", "key", "level2", "level3", "line", "meta", "muted", "narrative", "new-mark",
		"over-mark", "patient", "picture", "problem", "note", "raw", "row", "scroll", "skip", "source", "toc", "underline", "value", "warning", "wide",
		"banner", "who", "past", "frame", "mono", "list-plain", "card2", "lines", "column", "columns", "inside", "others"}[c]
}

// Cls gives the element one or more classes.
func Cls(list ...Class) Attr {
	var out []string
	for _, c := range list {
		if c != Plain && c < classes && !slices.Contains(out, c.name()) {
			out = append(out, c.name())
		}
	}
	return Attr{"class", strings.Join(out, " ")}
}

// ID names the element; the name is made safe by Ident.
func ID(s string) Attr { return Attr{"id", Ident(s)} }

// Link points at an element of this page by its ID. There are no other links.
func Link(id string) Attr { return Attr{"href", "#" + Ident(id)} }

// maxIdent is the longest ID, in bytes.
const maxIdent = 200

// Ident turns any text into an ID: letters, digits, '-', '.' and '_' stay, others become _xHEX_. No two
// texts in UTF-8 share one: a "_x" of the text's own is written _x5F_x, and what would be longer than maxIdent
// ends in a digest of the whole behind _xH_, which no text can write.
func Ident(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '_' && strings.HasPrefix(s[i+1:], "x"):
			b.WriteString("_x5F_")
		case r < 0x80 && (isWord(byte(r)) || r == '-' || r == '.'):
			b.WriteByte(byte(r))
		default:
			fmt.Fprintf(&b, "_x%X_", r)
		}
		if b.Len() > maxIdent {
			sum := sha256.Sum256([]byte(s))
			return b.String()[:maxIdent-40] + "_xH_" + hex.EncodeToString(sum[:16])
		}
	}
	return b.String()
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// maxSpan is the widest cell, as in HTML's own limit for colspan.
const maxSpan = 1000

// ColSpan and RowSpan widen a cell; numbers outside 2 … 1000 are left out.
func ColSpan(s string) Attr { return span("colspan", s) }

// RowSpan is ColSpan for rows.
func RowSpan(s string) Attr { return span("rowspan", s) }

func span(name, s string) Attr {
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil && n > 1 && n <= maxSpan {
		return Attr{name, strconv.Itoa(n)}
	}
	return Attr{}
}

// ScopeCol and ScopeRow say what a heading cell heads.
func ScopeCol() Attr { return Attr{"scope", "col"} }

// ScopeRow is ScopeCol for rows.
func ScopeRow() Attr { return Attr{"scope", "row"} }

// Opened shows a details element unfolded.
func Opened() Attr { return Attr{"open", "open"} }

// Focusable lets the keyboard reach a scrolling region.
func Focusable() Attr { return Attr{"tabindex", "0"} }

// Label names a region for those who cannot see it.
func Label(s string) Attr { return Attr{"aria-label", OneLine(s)} }

// Hover is a longer word for a short one.
func Hover(s string) Attr { return Attr{"title", OneLine(s)} }

// DateTime is the machine form of a time.
func DateTime(t chart.Time) Attr {
	if iso := t.ISO(); iso != "" {
		return Attr{"datetime", iso}
	}
	return Attr{}
}

// Lang is a language code; anything that is none is left out.
func Lang(code string) Attr {
	if code == "" || len(code) > 12 || strings.ContainsFunc(code, func(r rune) bool { return r >= 0x80 || !isWord(byte(r)) && r != '-' || r == '_' }) {
		return Attr{}
	}
	return Attr{"lang", code}
}

// OneLine is text for a title or a file name: one line, without control and direction characters, at
// most 300 bytes.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7F || r >= 0x80 && r < 0xA0:
			return ' '
		case r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0xFEFF, r == 0x061C:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
