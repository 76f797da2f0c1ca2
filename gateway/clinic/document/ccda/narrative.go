package ccda

import (
	"strings"
	"unicode"

	"postern/gateway/clinic/document/chart"
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
	it.Status = overStatus(line.Status)
	if over, sure := overHeading(line.Under); over != "" && it.Status == "" {
		if sure {
			it.Status = over
		} else if decided(s.Kind) {
			it.Detail = joined(" · ", it.Detail, mayBeOver+": “"+clip(line.Under, 120)+"”")
		}
	}
	if d.Time.Precision >= chart.Day && decided(s.Kind) && !it.Negated && !it.Over() {
		if words, _ := endedIn(joined(" · ", it.Name, line.Rest), d.Time.At); words != "" {
			it.Detail = joined(" · ", it.Detail, mayBeOver+": “"+clip(words, 120)+"”")
		}
	}
	d.markLoose(&it)
	return it
}

// overHeading is the word by which one of the headings says that what stands below is over, and whether it says so of
// all of it: "Discontinued medications" does, "Follow-up: amiodarone discontinued 2019" speaks of something else.
func overHeading(under string) (over string, sure bool) {
	over, active := statusWords(under)
	if over == "" || active != "" {
		return "", false
	}
	for heading := range strings.SplitSeq(under, ": ") {
		if word, _ := statusWords(heading); word != "" && !namesOther(heading) {
			return word, true
		}
	}
	return over, false
}

// namesOther says whether a heading has words besides those that say what kind of list it is, and since when.
func namesOther(heading string) bool {
	for _, w := range wordsOf(heading) {
		switch w {
		case "resolved", "inactive", "discontinued", "stopped", "ended", "past", "previous", "previously", "prior", "former", "formerly", "old", "completed", "closed", "removed", "expired", "list", "lists", "lines", "items",
			"entries", "during", "upon", "from", "by", "after", "before", "until", "visit", "visits", "encounter", "admission", "hospital", "hospitalization", "stay", "clinic", "home", "outpatient", "date", "dates", "do", "take", "taking",
			"taken", "these", "those", "following", "your", "you", "were", "was", "been", "have", "we", "which", "that", "longer", "changed", "orders", "order", "issue", "diagnosed", "with", "per", "provider", "physician", "recently", "last",
			"year", "years", "months", "days", "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december", "status", "oral", "topical", "started", "over", "counter", "otc", "all":
			continue
		}
		if !onlyDenial(w) && !generic(w) && !slight(w) && strings.Trim(w, "0123456789") != "" {
			return true
		}
	}
	return false
}

// mayBeOver marks a line that is listed as holding though something of it says that it ended.
const mayBeOver = "may be over"

// decided says whether a section lists what a clinician decides on.
func decided(k Kind) bool {
	switch k {
	case Problems, DischargeDx, Allergies, Medications, DischargeRx:
		return true
	}
	return false
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

// overWords are phrases of a status, without punctuation, that say the thing does not hold now.
var overWords = []string{"no longer", "not taking", "not taken", "not current", "not active", "entered in error", "erroneous", "ruled out", "refuted", "disproven", "past", "d c", "dc", "dcd", "expired", "obsolete", "voided", "removed", "deleted", "cancelled", "canceled", "aborted", "nullified"}

// overStatus is the whole of a status in words when it says that a thing does not hold now, else "". It
// is for what stands in the place of a status; in a sentence such words may be about something else.
func overStatus(s string) string {
	if over, active := statusWords(s); over != "" && active == "" {
		return over
	}
	list := wordsOf(clip(s, 120))
	said := " " + strings.Join(list, " ") + " "
	for _, w := range overWords {
		if strings.Contains(said, " "+w+" ") && len(list) <= 8 {
			return tidy(strings.ToLower(clip(s, 120)))
		}
	}
	return ""
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
