package brief

import (
	"fmt"
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
	c := Comparison{OlderType: older.Type.Name, OlderDate: older.Time}
	c.Patient, c.Evidence = SamePatient(older.Patient(), newer.Patient())
	c.Reversed = older.Time.Precision > chart.Unknown && newer.Time.Precision > chart.Unknown && older.Time.At.After(newer.Time.At)
	if c.Patient == Differ {
		return c
	}
	a, b := full(older), full(newer)
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
	was := map[int]int{} // index in newer → index in older
	used := make([]bool, len(older.Items))
	for _, name := range []func(ccda.Item) string{key, plainName, ingredientOf(subject)} {
		index := map[string][]int{}
		for i, it := range older.Items {
			if k := name(it); !used[i] && k != "" {
				index[k] = append(index[k], i)
			}
		}
		for j, it := range newer.Items {
			k := name(it)
			if _, done := was[j]; done || k == "" || len(index[k]) == 0 {
				continue
			}
			was[j] = index[k][0]
			used[index[k][0]] = true
			index[k] = index[k][1:]
		}
	}
	for j, it := range newer.Items {
		if i, ok := was[j]; ok {
			s.matched(older.Items[i], it)
		} else if !it.Over() && !it.Negated {
			s.Changes = append(s.Changes, Change{Kind: New, Item: it})
		}
	}
	for i, it := range older.Items {
		if !used[i] && !it.Over() && !it.Negated {
			s.Changes = append(s.Changes, Change{Kind: NotListed, Item: it, Was: &older.Items[i]})
		}
	}
	return s
}

// matched notes what changed between two lines about the same thing.
func (s *Side) matched(was, is ccda.Item) {
	ch := Change{Item: is, Was: &was}
	switch {
	case is.Negated != was.Negated:
		ch.Kind, ch.What = Changed, fmt.Sprintf("was “%s”, is “%s”", was.Name, is.Name)
	case is.Over() && !was.Over():
		ch.Kind = Stopped
		if is.End.Precision > chart.Unknown {
			ch.What = "ended " + is.End.Date()
		} else {
			ch.What = is.Status
		}
	case !is.Over() && was.Over():
		ch.Kind, ch.What = Changed, "was over, is listed as current again"
	case plainName(was) != plainName(is) && s.Subject == Medicines && numbers(was.Name) != numbers(is.Name):
		ch.Kind, ch.What = Changed, fmt.Sprintf("was %s", was.Name)
	case was.Detail != "" && is.Detail != "" && was.Detail != is.Detail:
		ch.Kind, ch.What = Changed, "was "+was.Detail
	default:
		s.Same++
		return
	}
	s.Changes = append(s.Changes, ch)
}

// plainName is an item's name without case, punctuation and spacing.
func plainName(it ccda.Item) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(it.Name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}

// ingredientOf names a medicine by its first long word, so that another strength is a change and not
// a new medicine; other subjects have no such name.
func ingredientOf(s Subject) func(ccda.Item) string {
	return func(it ccda.Item) string {
		if s != Medicines {
			return ""
		}
		for _, w := range strings.Fields(plainName(it)) {
			if len(w) >= 5 && !strings.ContainsAny(w, "0123456789") && w != "actuat" && w != "tablet" && w != "capsule" {
				return w
			}
		}
		return ""
	}
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
