package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

// typeOf is the data type of an element: xsi:type without a prefix of its own, under whatever prefix
// the attribute's namespace is bound.
func typeOf(n node) string {
	t := n.Attr("xsi:type")
	for _, odd := range []string{"?:type", "type"} { // QUIRK: the attribute outside its namespace
		if t == "" {
			t = n.Attr(odd)
		}
	}
	t = strings.TrimSpace(t)
	return t[strings.LastIndexByte(t, ':')+1:]
}

// amount is a PQ or IVL_PQ with its unit, and what the sender gives as the same in another unit.
func amount(q node) string {
	if s := plainAmount(q); s != "" {
		if same := translated(q); same != "" && same != s {
			if chart.UnitWords(trim(q.Attr("unit"))) == "" && strings.HasPrefix(same, s+" ") {
				return same // only the translation has the unit
			}
			return s + " (= " + same + ")"
		}
		return s
	}
	if s := translated(q); s != "" {
		return s
	}
	low, high := q.Child("low"), q.Child("high")
	a, b := plainAmount(low), plainAmount(high)
	lowWord, highWord := "at least ", "at most "
	if open(low) {
		lowWord = "more than "
	}
	if open(high) {
		highWord = "less than "
	}
	switch {
	case a != "" && b != "":
		if low.Attr("unit") == high.Attr("unit") {
			a = trim(low.Attr("value")) // one unit is said once
		}
		if !open(low) && !open(high) {
			return squeeze(a + " to " + b)
		}
		return squeeze(opened(lowWord, low)+a) + ", " + squeeze(opened(highWord, high)+b)
	case a != "":
		return lowWord + a
	case b != "":
		return highWord + b
	}
	if c := plainAmount(q.Child("center")); c != "" {
		return "about " + c
	}
	return ""
}

// opened is the word of one end of a range of which at least one end does not belong to it.
func opened(word string, end node) string {
	if open(end) || word == "at most " || word == "at least " {
		return word
	}
	return ""
}

func plainAmount(q node) string {
	if v := trim(q.Attr("value")); v != "" {
		return squeeze(v + " " + chart.UnitWords(trim(q.Attr("unit"))))
	}
	return ""
}

// open says whether the end of an interval does not belong to it (IVXB inclusive="false").
func open(end node) bool {
	v := trim(end.Attr("inclusive"))
	return v == "false" || v == "0"
}

// translated is the first PQR of a PQ: the same in the unit the sender works with.
func translated(q node) string {
	for t := range q.Elements("translation") {
		if v := trim(t.Attr("value")); v != "" {
			unit := trim(t.Attr("code"))
			if c := readCode(t); c.Text != "" || c.Display != "" && unit == "" {
				unit = c.Words()
			}
			return squeeze(v + " " + chart.UnitWords(unit))
		}
	}
	return ""
}

// ratio is a RTO of two amounts.
func ratio(n node, between string) string {
	a, b := amount(n.Child("numerator")), amount(n.Child("denominator"))
	if a == "" || b == "" {
		return a + b
	}
	return a + between + b
}

// quantity is the value of an observation of any data type, as text; where there is none, why.
func quantity(v node) string {
	s := ""
	switch typeOf(v) {
	case "PQ", "IVL_PQ", "INT", "REAL", "MO", "IVL_INT", "IVL_REAL":
		s = amount(v)
	case "RTO_PQ_PQ", "RTO":
		s = ratio(v, " / ")
	case "TS":
		s = readTime(v).String()
	case "IVL_TS":
		start, end := readInterval(v)
		if s = start.String(); end.Precision > chart.Unknown && end.Raw != start.Raw {
			s = strings.TrimSpace(s + " to " + end.String())
		}
	case "BL":
		s = trim(v.Attr("value"))
	case "CD", "CE", "CV", "CO", "CS":
		s = codeWords(readCode(v))
	default:
		if s = squeeze(v.Text(maxWords)); s == "" {
			s = codeWords(readCode(v))
		}
		if s == "" {
			s = amount(v)
		}
	}
	if s == "" {
		s = squeeze(v.Child("originalText").Text(maxWords))
	}
	return s
}

// codeWords are the words of a code: the sender's own, and the display name where it says other things.
func codeWords(c chart.Code) string {
	switch {
	case c.Text == "":
		if c.Display == "" {
			return c.Code
		}
		return c.Display
	case c.Display == "" || holdsWords(c.Text, c.Display) || denies(c.Text):
		return c.Text
	case holdsWords(c.Display, c.Text):
		return c.Display
	}
	return c.Text + " (coded as " + c.Display + ")"
}

// holdsWords says whether every word of part stands in whole.
func holdsWords(whole, part string) bool {
	in := map[string]bool{}
	for _, w := range wordsOf(whole) {
		in[w] = true
	}
	for _, w := range wordsOf(part) {
		if !in[w] {
			return false
		}
	}
	return true
}

// qualifiers are what narrows a code: side, context, severity (CD.qualifier). "known absent" hides here.
func qualifiers(code node) string {
	var out []string
	for q := range code.Elements("qualifier") {
		name, value := readCode(q.Child("name")).Words(), readCode(q.Child("value")).Words()
		if value == "" || len(out) >= 4 {
			continue
		}
		if name == "" {
			out = append(out, value)
		} else {
			out = append(out, strings.ToLower(name)+": "+value)
		}
	}
	return strings.Join(out, ", ")
}

// sites are where on the body: target, approach and route sites, with their side.
func sites(act node) string {
	var out []string
	for _, name := range []string{"targetSiteCode", "approachSiteCode"} {
		for s := range act.Elements(name) {
			if w := codeWords(readCode(s)); w != "" && len(out) < 4 {
				out = append(out, joined(" ", "at: "+w, parenthesis(qualifiers(s))))
			}
		}
	}
	return strings.Join(out, ", ")
}

func parenthesis(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

// readInterval reads an IVL_TS; a plain value is both start and end. A width stands for the end or the
// start that is missing, and an end that does not belong to the interval is the day before it.
func readInterval(n xmltree.Node) (start, end chart.Time) {
	if v := n.Attr("value"); v != "" {
		t := chart.ParseTime(v)
		return t, t
	}
	low, high := n.Child("low"), n.Child("high")
	if low.OK() {
		start = readTime(low)
	} else if c := n.Child("center"); c.OK() {
		start = readTime(c)
	}
	if high.OK() {
		if end = readTime(high); open(high) {
			end = stepped(end, -1)
		}
	}
	if w := n.Child("width"); w.OK() {
		switch {
		case start.Precision > chart.Unknown && end.Precision == chart.Unknown:
			end = moved(start, w, 1)
		case end.Precision > chart.Unknown && start.Precision == chart.Unknown:
			start = moved(end, w, -1)
		}
	}
	return start, end
}
