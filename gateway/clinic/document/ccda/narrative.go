package ccda

import (
	"fmt"
	"strings"
	"unicode"
)

// narrativeItems turns the lines of a section's text into items, where nothing is coded: table rows
// with their column heads, list items, or the paragraphs. Nothing is interpreted.
func (d *Document) narrativeItems(s *Section) []Item {
	var out []Item
	for _, line := range Lines(s, maxRows) {
		out = append(out, Item{Kind: s.Kind, Section: s.Anchor, Name: line.Name, Detail: line.Rest,
			Negated: denies(line.Name + " " + line.Rest), Source: FromNarrative, Anchor: line.ID})
	}
	return out
}

// Line is one line of a narrative: a table row, a list item or a paragraph.
type Line struct {
	Name string // the first cell that holds words, or the whole item
	Rest string // the other cells with their column heads
	ID   string
	Row  bool // a table row
}

// Lines are at most max lines of the section's narrative.
func Lines(s *Section, max int) []Line {
	var out []Line
	var heads []string
	s.Narrative.Walk(func(n node) bool {
		if len(out) >= max {
			return false
		}
		switch n.Name() {
		case "table":
			heads = nil
		case "tr":
			if n.Parent().Name() == "thead" || !n.Child("td").OK() {
				heads = cells(n, nil)
				return false
			}
			if l := rowLine(n, heads); l.Name != "" {
				out = append(out, l)
			}
			return false
		case "item", "paragraph":
			// A block that holds a table or a list is opened, not taken as one line.
			if n.Child("table").OK() || n.Child("list").OK() {
				return true
			}
			if t := Plain(n, maxWords); t != "" {
				out = append(out, Line{Name: t, ID: n.Attr("ID")})
			}
			return false
		}
		return true
	}, nil)
	if len(out) == 0 {
		if t := Plain(s.Narrative, maxWords); t != "" {
			out = append(out, Line{Name: t})
		}
	}
	return out
}

func cells(tr node, out []string) []string {
	for c := range tr.Elements("") {
		if len(out) < 40 {
			out = append(out, Plain(c, 400))
		}
	}
	return out
}

func rowLine(tr node, heads []string) Line {
	l := Line{ID: tr.Attr("ID"), Row: true}
	var rest []string
	all := cells(tr, nil)
	named := firstWords(all)
	for i, c := range all {
		switch {
		case c == "":
		case i == named:
			l.Name = c
		case i < len(heads) && heads[i] != "":
			rest = append(rest, heads[i]+": "+c)
		default:
			rest = append(rest, c)
		}
	}
	l.Rest = strings.Join(rest, " · ")
	return l
}

// firstWords is the first cell that says what the row is about: not empty and not only a date or number;
// if there is none, the first that is not empty.
func firstWords(cells []string) int {
	first := -1
	for i, c := range cells {
		if c == "" {
			continue
		}
		if first < 0 {
			first = i
		}
		letters, digits := 0, 0
		for _, r := range c {
			if unicode.IsLetter(r) {
				letters++
			} else if unicode.IsDigit(r) {
				digits++
			}
		}
		if letters > 3 && letters > digits || letters > 0 && digits == 0 {
			return i
		}
	}
	return first
}

// denies says whether a line states that there is nothing: "No known allergies", "None".
func denies(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, p := range []string{"no known ", "none", "no allerg", "no current ", "no active ", "no medication", "nka", "nkda", "no data", "no information", "not on file", "no recorded", "denies "} {
		if strings.HasPrefix(s, p) {
			return len(s) < 120 && !qualified(s)
		}
	}
	return false
}

// qualified says that a denial goes on to say something else: "except penicillin", "stopping", "; takes …". Then
// it is no plain denial, and it is shown as it stands.
func qualified(s string) bool {
	if strings.ContainsAny(strings.TrimRight(s, ".;, "), ";.") {
		return true
	}
	for _, w := range []string{"except", "but ", "other than", "besides", "apart from", "however", "stopping", "were refused", "none of"} {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// disagreement compares an entry with the narrative it points at: name, status and value.
func disagreement(d *Document, it Item) string {
	if it.Anchor == "" || it.Narrative == "" {
		return ""
	}
	w, _ := d.wordsAt(it.Anchor)
	row := w.row
	if it.Value != "" && len(row) < 400 {
		if num := number(it.Value); num != "" && hasDigit(row) && !holdsNumber(row, num) {
			return fmt.Sprintf("the entry says %s, the text says “%s”", it.Value, clip(row, 120))
		}
	}
	if over, active := statusWords(row); it.Kind == Problems || it.Kind == Allergies || it.Kind == Medications {
		switch {
		case it.Status == "active" && over != "" && active == "":
			return "the entry says active, the text says “" + over + "”"
		case it.Over() && active != "" && over == "":
			return "the entry says " + endWord(it) + ", the text says “" + active + "”"
		}
	}
	if namedInText(it.Kind) && it.Code.Display != "" && len(row) < 300 && !share(it.Code.Display+" "+it.Code.Text, row) {
		return fmt.Sprintf("the entry says “%s”, the text says “%s”", clip(it.Code.Display, 120), clip(it.Narrative, 120))
	}
	return ""
}

// namedInText says whether an entry of that kind points at the text that names it. Those of results,
// vital signs and visits point at a value or a reason, and cannot be compared by name.
func namedInText(k Kind) bool {
	switch k {
	case Problems, PastHistory, DischargeDx, AdmissionDx, Allergies, Medications, DischargeRx, AdmissionRx, Immunization, Procedures:
		return true
	}
	return false
}

// Plain is the text of a node on one line, at most limit bytes, with a blank between cells, lines and blocks.
func Plain(n node, limit int) string {
	var b strings.Builder
	looked := 0
	n.Walk(func(c node) bool {
		if looked++; looked > limit {
			return false // a thicket of empty elements is not walked once for every line that points at it
		}
		if c.IsText() {
			t := c.Bytes()
			b.Write(t[:min(len(t), max(0, limit-b.Len()))])
		} else if block(c.Name()) {
			b.WriteByte(' ')
		}
		return b.Len() < limit
	}, func(c node) {
		if block(c.Name()) {
			b.WriteByte(' ')
		}
	})
	return squeeze(strings.ToValidUTF8(b.String(), ""))
}

func block(name string) bool {
	switch name {
	case "td", "th", "tr", "item", "br", "paragraph", "list", "table", "caption", "text", "footnote":
		return true
	}
	return false
}

func endWord(it Item) string {
	if it.Status != "" {
		return it.Status
	}
	return "ended " + it.End.Date()
}

// rowOf is the table row, list item or paragraph around a narrative element, or the element itself.
func rowOf(n node) node {
	for p, i := n, 0; p.OK() && i < 12 && p.Name() != "text"; p, i = p.Parent(), i+1 {
		switch p.Name() {
		case "tr", "item", "paragraph":
			return p
		}
	}
	return n
}

// statusWords finds words that say a thing is over or going on.
func statusWords(row string) (over, active string) {
	for _, w := range wordsOf(row) {
		switch w {
		case "resolved", "inactive", "discontinued", "stopped", "ended":
			over = w
		case "active", "ongoing", "current", "chronic":
			active = w
		}
	}
	return over, active
}

func wordsOf(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// share says whether two texts have a word of four letters or its stem in common, or the one is an
// abbreviation too short to judge.
func share(a, b string) bool {
	stems := map[string]bool{}
	for _, w := range wordsOf(a) {
		if len(w) >= 4 {
			stems[w[:4]] = true
		}
	}
	judged := false
	for _, w := range wordsOf(b) {
		if len(w) >= 4 {
			if judged = true; stems[w[:4]] {
				return true
			}
		}
	}
	return !judged || len(stems) == 0
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// number is the first number of a value, "" when it does not begin with one.
func number(v string) string {
	end := 0
	for end < len(v) && (v[end] >= '0' && v[end] <= '9' || v[end] == '.' || v[end] == '-' && end == 0) {
		end++
	}
	if end == 0 || v[:end] == "-" {
		return ""
	}
	return normal(v[:end])
}

// normal drops leading and trailing zeros: "04.50" is "4.5".
func normal(n string) string {
	n = strings.TrimLeft(strings.TrimPrefix(n, "-"), "0")
	if strings.Contains(n, ".") {
		n = strings.TrimRight(strings.TrimRight(n, "0"), ".")
	}
	if n == "" {
		return "0"
	}
	return n
}

func holdsNumber(text, num string) bool {
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		if normal(strings.TrimRight(f, ".")) == num {
			return true
		}
	}
	return false
}
