package ccda

import (
	"strings"
	"unicode/utf8"
)

// Plain is the text of a node that holds: on one line, at most limit bytes, with a blank between cells,
// lines and blocks. What the sender struck out is left out; raised and lowered digits stay apart from
// those beside them, so that ten to the ninth never reads 109.
func Plain(n node, limit int) string { return plain(n, limit, " ") }

// plain is Plain with what a line break becomes.
func plain(n node, limit int, lineBreak string) string {
	return squeeze(spread(n, limit, lineBreak, ""))
}

// spread is the text with its white space as it stands; before is what stands in front of it.
func spread(n node, limit int, lineBreak, before string) string {
	var b strings.Builder
	looked := 0
	n.Walk(func(c node) bool {
		if looked++; looked > limit {
			return false // a thicket of empty elements is not walked once for every line that points at it
		}
		switch name := c.Name(); {
		case c.IsText():
			t := c.Bytes()
			b.Write(t[:min(len(t), max(0, limit-b.Len()))])
		case Struck(c):
			return false
		case name == "sup" || name == "sub":
			if b.Len() > 0 {
				before = b.String()[max(0, b.Len()-8):]
			}
			if w, ok := script(c, name == "sup", before); ok {
				b.WriteString(w)
				return false
			}
		case name == "br":
			b.WriteString(lineBreak)
		case block(name) || division(c):
			b.WriteByte(' ')
		}
		return b.Len() < limit
	}, func(c node) {
		if block(c.Name()) || division(c) {
			b.WriteByte(' ')
		}
	})
	return strings.ToValidUTF8(b.String(), "")
}

// division says whether a sender's style makes lines of what CDA calls inline. QUIRK: Allscripts.
func division(c node) bool { return c.Name() == "content" && c.Attr("styleCode") == "xdiv" }

func block(name string) bool {
	switch name {
	case "td", "th", "tr", "item", "br", "paragraph", "list", "table", "caption", "text", "footnote", "p", "div", "li", "ul", "ol":
		return true
	}
	return false
}

// Struck says whether the sender marks an element as struck out: revised="delete" (CDA R2, 4.3.5.1), a
// style that strikes through, or the elements HTML has for it. What is struck no longer holds.
func Struck(n node) bool {
	switch n.Name() {
	case "":
		return false
	case "del", "s", "strike":
		return true
	}
	for name, v := range n.Attrs() {
		switch name {
		case "revised":
			if strings.HasPrefix(strings.ToLower(strings.TrimSpace(v)), "delete") {
				return true
			}
		case "styleCode", "style", "class":
			v = strings.ToLower(v)
			if strings.Contains(v, "strike") || strings.Contains(v, "line-through") || strings.Contains(v, "linethrough") {
				return true
			}
		}
	}
	return false
}

// struckWithin says whether the element or one around it, up to the section's text, is struck out.
func struckWithin(n node) bool {
	for ; n.OK() && n.Name() != "section"; n = n.Parent() {
		if Struck(n) {
			return true
		}
	}
	return false
}

// maxScript is the longest raised or lowered text that is turned into characters of that kind, in bytes.
const maxScript = 24

// script is a raised or lowered text as characters that keep its place; before is what stands in front.
// Not ok: it is not short, and stands as ordinary words.
func script(n node, raised bool, before string) (string, bool) {
	t := squeeze(n.Text(maxScript + 1))
	if t == "" || len(t) > maxScript || struckInside(n) {
		return "", false
	}
	digits := "₀₁₂₃₄₅₆₇₈₉₊₋₍₎"
	if raised {
		digits = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾"
	}
	table := []rune(digits)
	var b strings.Builder
	for _, r := range strings.ReplaceAll(t, "−", "-") {
		i := strings.IndexRune("0123456789+-()", r)
		if i < 0 {
			return scriptWords(t, raised, before)
		}
		b.WriteRune(table[i])
	}
	return b.String(), true
}

// scriptWords is a raised text that is no number: "1st" stays, "10^n" gets a sign.
func scriptWords(t string, raised bool, before string) (string, bool) {
	last, _ := utf8.DecodeLastRuneInString(before)
	if !raised || last < '0' || last > '9' {
		return "", false
	}
	switch strings.ToLower(t) {
	case "st", "nd", "rd", "th", "o", "a", "®", "™", "tm", "°":
		return "", false
	}
	return "^" + t, true
}

func struckInside(n node) bool {
	found := false
	n.Walk(func(c node) bool {
		found = found || Struck(c)
		return !found
	}, nil)
	return found
}
