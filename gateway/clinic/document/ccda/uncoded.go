package ccda

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// uncoded are the lines of the text that no coded entry of the section speaks of: an entry list that is
// shorter than the text must not hide what only the text says. An entry speaks of a line when it holds
// all of the line's telling words; one that shares only some speaks of one line, so that an insulin that
// is coded does not hide another that is not, nor a shared reaction another allergy.
func (d *Document) uncoded(s *Section, coded []Item) []Item {
	if !decided(s.Kind) && s.Kind != Results {
		return nil
	}
	c := claims{words: map[string][]int{}, cells: map[string]int{}, also: codings(s, coded), taken: make([]bool, len(coded))}
	none := true // the entries only deny, or say that nothing is known
	for i, it := range coded {
		none = none && (it.Negated || it.Null != "")
		c.index(i, it.Name, it.Code.Display, it.Code.Text, it.Detail)
		for _, cell := range []string{it.Code.Code, it.Code.Display, it.Code.Text, it.Name} {
			if len(cell) >= 4 && !generic(cell) {
				c.cells[strings.ToLower(cell)] = i
			}
		}
		if w, ok := d.wordsAt(it.Anchor); ok && !w.whole {
			c.index(i, it.Narrative, w.row)
		}
	}
	var lines, others []Line
	for _, line := range Lines(s, maxRows) {
		if s.Kind == Results && !measured(line) {
			continue // heads of panels and remarks
		}
		switch {
		case !line.Row && !line.Item || denies(line.Name) || fieldName(line) || none && opensWithDenial(line.Name):
		case c.otherDose(coded, line):
			others = append(others, line)
		case !c.cell(line) && !c.whole(line.Name):
			lines = append(lines, line)
		}
	}
	var out []Item
	for _, line := range others {
		it := d.lineItem(s, line)
		it.Conflict = "only the text says this, the coded entries of this name say otherwise"
		out = append(out, it)
	}
	for _, line := range lines {
		if c.part(line.Name) {
			continue
		}
		it := d.lineItem(s, line)
		it.Conflict = "only the text says this, no coded entry does"
		out = append(out, it)
	}
	return out
}

// otherDose says whether a line names a medicine that entries name, and each of these gives another dose of it: an
// insulin of the morning that is coded does not hide that of the evening. What an entry's own conflict tells is told.
func (c *claims) otherDose(coded []Item, line Line) bool {
	tell := telling(line.Name)
	if len(tell) == 0 || len(c.words[stem(tell[0])]) > maxSame {
		return false
	}
	apart := false
	for _, i := range c.words[stem(tell[0])] {
		it := &coded[i]
		if it.Dose == "" || it.Negated || !holdsAll(it.Name+" "+it.Code.Display+" "+it.Code.Text, tell) {
			continue
		}
		if it.Conflict != "" || doseApart(it, line.Name+" "+line.Rest) == "" {
			return false
		}
		apart = true
	}
	return apart
}

// maxSame is how many entries that share a word are held against the dose of a line.
const maxSame = 20

// holdsAll says whether a text holds all those words.
func holdsAll(text string, list []string) bool {
	held := map[string]bool{}
	for _, w := range wordsOf(clip(text, maxCell)) {
		held[stem(w)] = true
	}
	for _, w := range list {
		if !held[stem(w)] {
			return false
		}
	}
	return true
}

// codings are the other codes of what the entries name, and their words: a text may give a row to each coding of one
// thing. Translations of anything else, a route or a reaction, name nothing that a row is about.
func codings(s *Section, coded []Item) map[string]bool {
	own := map[string]bool{}
	for _, it := range coded {
		for _, w := range []string{it.Code.Code, it.Code.Display} {
			own[strings.ToLower(squeeze(w))] = true
		}
	}
	delete(own, "")
	out := map[string]bool{}
	for e := range s.Node.Elements("entry") {
		e.Walk(func(n node) bool {
			if n.Name() != "translation" || len(out) >= maxPostings {
				return true
			}
			of := n.Parent()
			if !own[strings.ToLower(squeeze(of.Attr("code")))] && !own[strings.ToLower(squeeze(of.Attr("displayName")))] {
				return true
			}
			for _, cell := range []string{n.Attr("code"), n.Attr("displayName")} {
				if cell = strings.ToLower(squeeze(cell)); len(cell) >= 4 && !generic(cell) {
					out[cell] = true
				}
			}
			return true
		}, nil)
	}
	return out
}

// fieldName says whether a row is named by what heads columns, as in a table of fields: "Reaction: | Hives".
func fieldName(line Line) bool {
	return line.Row && headWords([]cell{{text: line.Name}}) && strings.HasSuffix(strings.TrimSpace(line.Name), ":")
}

var measuredText = regexp.MustCompile(`^[<>]?=? ?[0-9]{1,5}([.,][0-9]+)?( ?[^0-9\-/:., ][^0-9:-]*)?$`)

// measured says whether a row of a table has a number for a value: neither a date nor a long code.
func measured(line Line) bool {
	return line.Row && slices.ContainsFunc(line.others, measuredText.MatchString)
}

// maxPostings is how many entries are remembered for one word.
const maxPostings = 500

// claims are the words of the entries of a section, and which entries speak of a line already.
type claims struct {
	words map[string][]int // stem → the entries that hold it
	cells map[string]int   // code or its words → the entry
	taken []bool
	also  map[string]bool // other codes of the entries, and their words
}

func (c *claims) index(i int, texts ...string) {
	for _, text := range texts {
		for _, w := range wordsOf(clip(text, maxCell)) {
			k := stem(w)
			if list := c.words[k]; len(list) < maxPostings && (len(list) == 0 || list[len(list)-1] != i) {
				c.words[k] = append(list, i)
			}
		}
	}
}

// cell says whether a cell of a row is the code of an entry, or its words.
func (c *claims) cell(line Line) bool {
	for _, text := range append(slices.Clip(line.others), line.Name) {
		if text != line.Name && aside(line.Rest, text) {
			continue
		}
		if c.also[strings.ToLower(text)] {
			return true
		}
		if i, ok := c.cells[strings.ToLower(text)]; ok {
			c.taken[i] = true
			return true
		}
	}
	return false
}

// aside says whether a cell stands in a column of what a row's thing belongs to or is for: a row of amoxicillin, of the
// class penicillin, is no row of penicillin.
func aside(rest, cell string) bool {
	for part := range strings.SplitSeq(rest, " · ") {
		if head, ok := strings.CutSuffix(part, ": "+cell); ok {
			for _, w := range wordsOf(head) {
				switch strings.TrimSuffix(w, "s") {
				case "clas", "category", "group", "cause", "due", "indication", "reason", "for", "reaction", "manifestation", "comment", "note", "replace", "related", "secondary", "route", "form":
					return true
				}
			}
		}
	}
	return false
}

// whole says whether one entry holds every telling word of a line, or the line has none.
func (c *claims) whole(line string) bool {
	tell := telling(line)
	held := map[int]int{}
	for _, w := range tell {
		for _, i := range c.words[stem(w)] {
			held[i]++
		}
	}
	found := len(tell) == 0
	for i, n := range held {
		if n == len(tell) {
			c.taken[i], found = true, true
		}
	}
	return found
}

// part takes the entry that shares most words with a line and speaks of no other line yet.
func (c *claims) part(line string) bool {
	held := map[int]int{}
	best, most := -1, 0
	for _, w := range telling(line) {
		for _, i := range c.words[stem(w)] {
			if c.taken[i] || shared(w) {
				continue
			}
			if held[i]++; held[i] > most || held[i] == most && i < best {
				best, most = i, held[i]
			}
		}
	}
	if best < 0 {
		return false
	}
	c.taken[best] = true
	return true
}

// telling are the words that say what a line is about, those of one stem once.
func telling(line string) []string {
	var out []string
	seen := map[string]bool{}
	for _, w := range wordsOf(line) {
		if k := stem(w); len(w) >= 4 && !strings.ContainsFunc(w, unicode.IsDigit) && !slight(w) && !seen[k] {
			seen[k] = true
			out = append(out, w)
		}
	}
	return out
}

// shared says whether a word is one that different things have in common: a salt, a form, a reaction.
func shared(w string) bool {
	switch w {
	case "sodium", "potassium", "calcium", "magnesium", "chloride", "hydrochloride", "succinate", "tartrate", "sulfate", "sulphate", "acetate", "maleate", "phosphate", "citrate", "acid", "besylate",
		"mesylate", "fumarate", "bromide", "nitrate", "extended", "release", "delayed", "solution", "injection", "injectable", "suspension", "inhaler", "inhalation", "cream", "ointment", "patch",
		"spray", "drops", "unit", "units", "dose", "every", "twice", "needed", "mouth", "rash", "hives", "nausea", "vomiting", "anaphylaxis", "swelling", "itching", "pruritus", "urticaria",
		"diarrhea", "severe", "moderate", "mild", "left", "right", "acute", "chronic", "type", "stage", "unspecified", "since":
		return true
	}
	return false
}
