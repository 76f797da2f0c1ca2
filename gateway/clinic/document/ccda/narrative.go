package ccda

import (
	"strings"
	"unicode"
)

// narrativeItems turns the lines of a section's text into items, where nothing is coded: table rows
// with their column heads, list items, or the paragraphs. Nothing is interpreted but a plain denial and
// a column or heading that says the thing is over.
func (d *Document) narrativeItems(s *Section) []Item {
	var out []Item
	for _, line := range Lines(s, maxRows) {
		out = append(out, d.lineItem(s, line))
	}
	return out
}

func (d *Document) lineItem(s *Section, line Line) Item {
	it := Item{Kind: s.Kind, Section: s.Anchor, Subject: s.Subject, Name: line.Name, Detail: line.Rest,
		Negated: denies(line.Name) && bare(line.others), Source: FromNarrative, Anchor: line.ID}
	if line.Under != "" && !covered(line.Under, s.Name()) {
		it.Detail = joined(" · ", it.Detail, "under “"+clip(line.Under, 120)+"”")
	}
	for _, words := range []string{line.Status, line.Under} {
		if over, active := statusWords(words); over != "" && active == "" && it.Status == "" {
			it.Status = over
		}
	}
	return it
}

// uncoded are the lines of the text that no coded entry of the section speaks of: an entry list that is
// shorter than the text must not hide what only the text says.
func (d *Document) uncoded(s *Section, coded []Item) []Item {
	if !decided(s.Kind) {
		return nil
	}
	known := map[string]bool{}
	none := true // the entries only deny, or say that nothing is known
	for _, it := range coded {
		none = none && (it.Negated || it.Null != "")
		for _, words := range []string{it.Name, it.Code.Display, it.Code.Text, it.Narrative, it.Detail} {
			for _, w := range wordsOf(clip(words, maxCell)) {
				known[stem(w)] = true
			}
		}
		if w, ok := d.wordsAt(it.Anchor); ok {
			for _, x := range wordsOf(clip(w.row, maxCell)) {
				known[stem(x)] = true
			}
		}
	}
	var out []Item
	for _, line := range Lines(s, maxRows) {
		if !line.Row && !line.Item || denies(line.Name) || spokenOf(line.Name, known) || none && negates(line.Name) {
			continue
		}
		it := d.lineItem(s, line)
		it.Conflict = "only the text says this, no coded entry does"
		out = append(out, it)
	}
	return out
}

// decided says whether a section lists what a clinician decides on.
func decided(k Kind) bool {
	switch k {
	case Problems, DischargeDx, Allergies, Medications, DischargeRx:
		return true
	}
	return false
}

// spokenOf says whether the first telling word of a line is among those known, or none is telling.
func spokenOf(line string, known map[string]bool) bool {
	judged := false
	for _, w := range wordsOf(line) {
		if len(w) < 4 || strings.ContainsFunc(w, unicode.IsDigit) || slight(w) {
			continue
		}
		if known[stem(w)] {
			return true
		}
		judged = true
	}
	return !judged
}

// slight says whether a word tells nothing of what a line is about.
func slight(w string) bool {
	switch w {
	case "oral", "tablet", "tablets", "capsule", "capsules", "with", "without", "take", "daily", "drug", "allergy", "allergies", "allergic", "reaction", "known", "active", "inactive",
		"resolved", "disease", "disorder", "medication", "medications", "problem", "problems", "date", "status", "unknown", "none", "information", "history", "other":
		return true
	}
	return false
}

// stem is the beginning of a word by which its forms are known.
func stem(w string) string {
	if r := []rune(w); len(r) > 5 {
		return string(r[:5])
	}
	return w
}

// covered says whether every word of a heading stands in the title of its section.
func covered(heading, title string) bool {
	in := map[string]bool{}
	for _, w := range wordsOf(title) {
		in[stem(w)] = true
	}
	for _, w := range wordsOf(heading) {
		if !in[stem(w)] {
			return false
		}
	}
	return true
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

// joined are the parts that say something.
func joined(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}

// firstOf is the first of the parts that says something.
func firstOf(parts ...string) string {
	for _, p := range parts {
		if p != "" {
			return p
		}
	}
	return ""
}
