package brief

import (
	"fmt"
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
)

// Lists are what a document of any kind is compared by: whose it is, of when, and its medicines, problems
// and allergies.
type Lists struct {
	Type    string // what the document is, in words
	Date    chart.Time
	Patient chart.Patient
	blocks  map[Subject]Block
}

// ListsOf are the lists of a CDA document.
func ListsOf(d *ccda.Document) Lists {
	return Lists{Type: d.Type.Name, Date: d.Time, Patient: d.Patient(), blocks: full(d)}
}

// WithLines are the lists that the lines of a message or resource make: what holds, is over or is denied.
// What the sender took back is left out.
func (l Lists) WithLines(lines []chart.Line) Lists {
	l.blocks = map[Subject]Block{}
	for _, s := range []Subject{Medicines, Problems, Allergies} {
		b := Block{Subject: s, State: NotStated}
		for _, x := range lines {
			if subjectOf(x.Group) != s || x.Standing == chart.Withdrawn {
				continue
			}
			b.State = Stated
			b.Items = append(b.Items, itemOf(x, s))
		}
		b.Items = dropRepeats(b.Items)
		l.blocks[s] = b
	}
	return l
}

// Any says whether there is anything to compare.
func (l Lists) Any() bool {
	for _, b := range l.blocks {
		if b.State == Stated {
			return true
		}
	}
	return false
}

// subjectOf is what the lines of a group are about, "" for what is not compared.
func subjectOf(group string) Subject {
	switch group {
	case "Diagnoses", "Problems":
		return Problems
	case "Allergies":
		return Allergies
	case "Medicines", "Medications":
		return Medicines
	}
	return ""
}

// itemOf is a line as an item.
func itemOf(l chart.Line, s Subject) ccda.Item {
	it := ccda.Item{Kind: map[Subject]ccda.Kind{Medicines: ccda.Medications, Problems: ccda.Problems, Allergies: ccda.Allergies}[s],
		Name: l.Name, Code: l.Code, Detail: joinParts(l.Value, l.Flag, l.Note), Status: l.Status, Start: l.Time, Source: ccda.FromLine}
	switch l.Standing {
	case chart.Denied:
		it.Negated, it.Status = true, ""
	case chart.Over:
		if !it.Over() {
			it.Status, it.Detail = "ended", joinParts(l.Status, it.Detail)
		}
	default:
		if it.Over() { // a status whose words are those of an end, of what has not ended
			it.Status, it.Detail = "", joinParts(l.Status, it.Detail)
		}
	}
	return it
}

func joinParts(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, " · ")
}

// dropRepeats drops a line that says nothing of its own beside another of the same name: an order and its
// dispensing are one medicine.
func dropRepeats(items []ccda.Item) []ccda.Item {
	name := func(it ccda.Item) string { return fmt.Sprint(key(it), "|", it.Negated, it.Over()) }
	longest := map[string]int{} // name → the item that says most, the first of several
	for i, it := range items {
		k := name(it)
		if j, ok := longest[k]; !ok || len(it.Detail) > len(items[j].Detail) {
			longest[k] = i
		}
	}
	var out []ccda.Item
	for i, it := range items {
		if bare := it.Detail == "" || strings.HasPrefix(it.Detail, "dispensed"); !bare || longest[name(it)] == i {
			out = append(out, it)
		}
	}
	return out
}
