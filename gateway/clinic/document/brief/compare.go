package brief

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
)

// Kind is what happened to a line between two documents.
type Kind string

// The kinds of change. NotListed is not Stopped: the newer document does not mention it.
const (
	New       Kind = "new"
	Changed   Kind = "changed"
	Stopped   Kind = "stopped"    // the newer document says it is over
	Denied    Kind = "denied"     // the newer document says there is none; What is the whole sentence
	NotListed Kind = "not-listed" // the older one had it, the newer one is silent about it
)

// Change is one difference.
type Change struct {
	Kind Kind       `json:"kind"`
	Item ccda.Item  `json:"item"`          // as the newer document has it; for NotListed as the older has it
	Was  *ccda.Item `json:"was,omitempty"` // as the older document has it
	What string     `json:"what,omitempty"`
}

// Side is the comparison of one subject.
type Side struct {
	Subject Subject  `json:"subject"`
	Title   string   `json:"title"`
	Silent  string   `json:"silent,omitempty"` // why nothing can be compared
	Changes []Change `json:"changes,omitempty"`
	Same    int      `json:"same"` // lines that did not change
}

// Comparison is what changed from an earlier document to this one.
type Comparison struct {
	OlderType string     `json:"older_type"`
	OlderDate chart.Time `json:"older_date,omitzero"`
	Patient   Identity   `json:"patient"`
	Evidence  string     `json:"evidence"`
	Reversed  bool       `json:"reversed,omitempty"` // the "older" document is the newer one by its date
	Sides     []Side     `json:"sides,omitempty"`    // empty when the patients differ
}

// Identity is whether two documents are about one person.
type Identity string

// The answers; only Same and Unsure are compared.
const (
	Same   Identity = "same"
	Unsure Identity = "unsure"
	Differ Identity = "different"
)

// Compare says what changed from older to newer: medicines, problems and allergies. Documents about
// different people are not compared.
func Compare(older, newer *ccda.Document) Comparison {
	return CompareLists(ListsOf(older), ListsOf(newer))
}

// CompareLists is Compare for documents of any kinds.
func CompareLists(older, newer Lists) Comparison {
	c := Comparison{OlderType: older.Type, OlderDate: older.Date}
	c.Patient, c.Evidence = SamePatient(older.Patient, newer.Patient)
	c.Reversed = older.Date.Precision > chart.Unknown && newer.Date.Precision > chart.Unknown && older.Date.At.After(newer.Date.At)
	if c.Patient == Differ {
		return c
	}
	a, b := older.blocks, newer.blocks
	for _, s := range []struct {
		subject Subject
		title   string
	}{{Medicines, "Medicines"}, {Problems, "Problems"}, {Allergies, "Allergies"}} {
		c.Sides = append(c.Sides, side(s.subject, s.title, a[s.subject], b[s.subject]))
	}
	return c
}

// full is the uncut blocks that are compared.
func full(d *ccda.Document) map[Subject]Block {
	out := map[Subject]Block{}
	for s, kinds := range map[Subject][]ccda.Kind{
		Medicines: {ccda.Medications, ccda.DischargeRx}, Problems: {ccda.Problems, ccda.DischargeDx, ccda.AdmissionDx}, Allergies: {ccda.Allergies},
	} {
		b := Block{Subject: s}
		each(d, &b, kinds, func(sec *ccda.Section) {
			for _, it := range d.SectionItems(sec) {
				if it.Subject != "" || it.Null != "" || it.Status == "nullified" {
					continue // not of this patient, not known, or entered in error
				}
				if it.Negated && unknowing(it.Name) {
					continue // that there is no information denies nothing
				}
				b.State = Stated
				b.Items = append(b.Items, it)
			}
		})
		out[s] = b
	}
	return out
}

func side(subject Subject, title string, older, newer Block) Side {
	s := Side{Subject: subject, Title: title}
	switch {
	case newer.State != Stated:
		s.Silent = "this document does not state them"
		return s
	case older.State != Stated:
		s.Silent = "the earlier document does not state them"
		return s
	}
	was, used := pair(subject, older.Items, newer.Items)
	none, noneBefore := denials(newer.Items), denials(older.Items)
	for j, it := range newer.Items {
		if i, ok := was[j]; ok {
			s.matched(older.Items[i], it)
		} else if it.Current() {
			ch := Change{Kind: New, Item: it}
			if words, _ := deny(noneBefore, it); words != "" {
				ch.What = "the earlier document said “" + words + "”"
			}
			s.Changes = append(s.Changes, ch)
		}
	}
	for i, it := range older.Items {
		if used[i] || !it.Current() {
			continue
		}
		ch := Change{Kind: NotListed, Item: it, Was: &older.Items[i]}
		switch words, other := deny(none, it); {
		case words != "":
			ch.Kind, ch.What = Denied, it.Name+s.noun(it)+": the new document says “"+words+"”"
		case other != "":
			ch.What = "the new document says only “" + other + "”"
		}
		s.Changes = append(s.Changes, ch)
	}
	return s
}

// pair finds which line of the newer list is about the same as which of the older: by code and all that
// is said of it, by code, by name, and for medicines by ingredient; each time what is current in both
// first, so that an old course listed beside the new one is not taken for its end.
func pair(subject Subject, older, newer []ccda.Item) (was map[int]int, used []bool) {
	was = map[int]int{} // index in newer → index in older
	used = make([]bool, len(older))
	exact := func(it ccda.Item) string { return fmt.Sprint(key(it), "|", it.Detail, "|", it.Negated, it.Over()) }
	current := func(name func(ccda.Item) string) func(ccda.Item) string {
		return func(it ccda.Item) string {
			if !it.Current() {
				return ""
			}
			return name(it)
		}
	}
	ingredient := ingredientOf(subject)
	for _, name := range []func(ccda.Item) string{exact, current(key), current(plainName), key, plainName, current(ingredient), ingredient} {
		index := map[string][]int{}
		for i, it := range older {
			if k := name(it); !used[i] && k != "" {
				index[k] = append(index[k], i)
			}
		}
		for j, it := range newer {
			k := name(it)
			if _, done := was[j]; done || k == "" || len(index[k]) == 0 {
				continue
			}
			was[j] = index[k][0]
			used[index[k][0]] = true
			index[k] = index[k][1:]
		}
	}
	return was, used
}

// matched notes what changed between two lines about the same thing.
func (s *Side) matched(was, is ccda.Item) {
	ch := Change{Kind: Changed, Item: is, Was: &was}
	switch {
	case is.Negated && !was.Negated && was.Over():
		s.Same++ // it was over, and is said not to be
		return
	case is.Negated && !was.Negated:
		ch.Kind, ch.What = Denied, was.Name+s.noun(was)+": the new document says there is none"
		if s.Subject == Medicines {
			ch.What = was.Name + ": the new document says it is not taken"
		}
	case was.Negated && !is.Negated && is.Over():
		ch.What = "the earlier document said there was none; it is listed as over"
	case was.Negated && !is.Negated:
		ch.Kind, ch.What = New, "the earlier document said there was none"
	case is.Over() && !was.Over():
		ch.Kind = Stopped
		if is.End.Precision > chart.Unknown {
			ch.What = "ended " + is.End.Date()
		} else {
			ch.What = is.Status
		}
	case !is.Over() && was.Over():
		ch.What = "was over, is listed as current again"
	case is.Over() || is.Negated:
		s.Same++
		return
	default:
		if ch.What = s.differences(was, is); ch.What == "" {
			s.Same++
			return
		}
	}
	s.Changes = append(s.Changes, ch)
}

// noun makes a substance an allergy and leaves what says so itself.
func (s *Side) noun(it ccda.Item) string {
	if low := strings.ToLower(it.Name); s.Subject != Allergies || strings.Contains(low, "allerg") || strings.Contains(low, "intolerance") {
		return ""
	}
	return " allergy"
}

// differences are what two current lines about the same thing say apart, in words.
func (s *Side) differences(was, is ccda.Item) string {
	var out []string
	apart := func(what, a, b string) {
		switch {
		case strings.EqualFold(a, b):
		case a == "":
			out = append(out, what+" was not stated, is "+b)
		case b == "":
			out = append(out, what+" was "+a+", is not stated now")
		default:
			out = append(out, what+" was "+a+", is "+b)
		}
	}
	coded := was.Source == ccda.FromEntry && is.Source == ccda.FromEntry
	if s.Subject == Medicines && was.Source != is.Source {
		return amounts(was, is)
	}
	same := was.Code.Code != "" && was.Code.Code == is.Code.Code && systemOf(was.Code.System) == systemOf(is.Code.System)
	if s.Subject == Medicines && plainName(was) != plainName(is) && (!same || numbers(was.Name) != numbers(is.Name)) {
		out = append(out, "was "+was.Name)
	}
	if s.Subject == Medicines && coded {
		apart("dose", strings.TrimPrefix(was.Dose, "dose "), strings.TrimPrefix(is.Dose, "dose "))
		apart("route", was.Route, is.Route)
		apart("frequency", was.Frequency, is.Frequency)
	}
	if status(was) != status(is) {
		apart("status", status(was), status(is))
	}
	if s.Subject != Medicines && otherTime(was.Start, is.Start) { // a medicine's start is that of its last order
		apart("since", was.Start.Date(), is.Start.Date())
	}
	if len(out) == 0 && was.Source == is.Source && was.Detail != is.Detail {
		apart("it", was.Detail, is.Detail)
	}
	return strings.Join(out, "; ")
}

// otherTime says whether two times are both known and cannot be the same, each as finely as it is known.
func otherTime(a, b chart.Time) bool {
	return a.Precision > chart.Unknown && b.Precision > chart.Unknown && (a.Last().Before(b.At) || b.Last().Before(a.At))
}

// amounts compares a medicine that one document codes and the other only writes: what cannot be told to
// be the same is given in both ways, never called unchanged.
func amounts(was, is ccda.Item) string {
	words := func(it ccda.Item) string { return strings.Trim(it.Name+" "+it.Detail, " ") }
	same, told := ccda.SameAmounts(words(was), words(is))
	switch {
	case told && same:
		return ""
	case told:
		return "was “" + words(was) + "”"
	}
	return "was “" + words(was) + "”; one of the two gives no dose to compare"
}

// status leaves out what goes without saying of a current line.
func status(it ccda.Item) string {
	switch it.Status {
	case "active", "completed":
		return ""
	}
	return it.Status
}

// plainName is an item's name without case, punctuation and spacing.
func plainName(it ccda.Item) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(it.Name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}

// ingredientOf names a medicine by its ingredients alone, so that another strength or form is a change
// and not a new medicine; another salt or another insulin is another medicine. Other subjects have no
// such name.
func ingredientOf(s Subject) func(ccda.Item) string {
	return func(it ccda.Item) string {
		name := it.Code.Display
		if name == "" {
			name = it.Name
		}
		if s != Medicines || it.Negated {
			return ""
		}
		name, _, _ = strings.Cut(strings.ToLower(name), "[") // a brand in brackets
		var out []string
		for _, w := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if len(w) > 2 && !strings.ContainsAny(w, "0123456789") && !formWord(w) && !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
}

// formWord says whether a word of a medicine's name is its form, unit or way, not what is in it.
func formWord(w string) bool {
	switch w {
	case "tablet", "tablets", "tab", "tabs", "capsule", "capsules", "cap", "caps", "oral", "solution", "suspension", "injection", "injectable", "inhaler", "inhalation", "inhalant", "metered", "dose",
		"actuat", "actuation", "unt", "mcg", "meq", "units", "unit", "hour", "extended", "release", "delayed", "chewable", "film", "coated", "enteric", "disintegrating", "topical", "cream", "ointment",
		"gel", "patch", "transdermal", "spray", "nasal", "ophthalmic", "drops", "powder", "syrup", "liquid", "pen", "pack", "for", "and", "per", "product", "the", "daily", "day", "mouth", "take", "aerosol", "hfa", "prefilled", "syringe":
		return true
	}
	return false
}

func numbers(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r != '.' && !unicode.IsDigit(r) }), " ")
}

// SamePatient says whether two patients are one person by what the documents state: an identifier they
// share, or name and birth date. A contradicting birth date means different people whatever the name.
func SamePatient(a, b chart.Patient) (Identity, string) {
	known := a.Birth.Precision >= chart.Day && b.Birth.Precision >= chart.Day
	born := known && a.Birth.At.Equal(b.Birth.At)
	shared := ""
	for _, x := range a.IDs {
		for _, y := range b.IDs {
			if !x.Zero() && x.Root != "" && x.Extension != "" && x.Root == y.Root && x.Extension == y.Extension {
				shared = x.Extension
			}
		}
	}
	name := fold(a.Name.Family) != "" && fold(a.Name.Family) == fold(b.Name.Family) && fold(first(a.Name.Given)) == fold(first(b.Name.Given))
	switch {
	case known && !born:
		return Differ, fmt.Sprintf("the birth dates differ: %s here, %s in the earlier document", b.Birth, a.Birth)
	case shared != "" && (born || name):
		return Same, "same identifier " + shared + " and same name or birth date"
	case born && name:
		return Same, "same name and birth date"
	case shared != "":
		return Unsure, "same identifier " + shared + ", but name and birth date do not confirm it"
	case born:
		return Unsure, fmt.Sprintf("same birth date, but the names differ: %s here, %s in the earlier document", b.Name, a.Name)
	}
	if !name {
		return Differ, fmt.Sprintf("the names differ: %s here, %s in the earlier document", b.Name, a.Name)
	}
	return Unsure, "the same name, but nothing else confirms it"
}

func first(given string) string {
	w, _, _ := strings.Cut(given, " ")
	return w
}

// fold drops case and everything but letters.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
