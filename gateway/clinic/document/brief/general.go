package brief

import (
	"strings"
	"unicode"

	"postern/gateway/clinic/document/ccda"
)

// denial is a statement that there is nothing of a kind, or of one class of it.
type denial struct {
	words string
	class string // "" = all; "drug", "food"; "other" for a class no line is told to belong to
}

// denials are those of a list that deny more than one thing: "No known allergies", "No known food allergies".
func denials(items []ccda.Item) []denial {
	var out []denial
	for _, it := range items {
		low := strings.ToLower(it.Name)
		if !it.Negated || it.Over() || strings.Contains(low, " to ") || !opensAll(low) && !atAll(it) {
			continue
		}
		d := denial{words: it.Name}
		switch {
		case atAll(it) || it.Kind != ccda.Allergies && low == "no known medical problems":
		case it.Kind == ccda.Allergies:
			d.class = classOf(low)
		default:
			d.class = "other" // "No known heart disease" says nothing of asthma
		}
		out = append(out, d)
	}
	return out
}

// opensAll says whether a text begins like a denial of more than one thing: "No known …", "None …", "NKDA".
func opensAll(low string) bool {
	word, rest, _ := strings.Cut(low, " ")
	switch strings.Trim(word, ".,;:()") {
	case "none", "nka", "nkda", "nkfa", "nkma", "nkmed":
		return true
	}
	return word == "no" && strings.HasPrefix(rest, "known ")
}

// unknowing says whether a line only says that nothing is known: "No information", "Not available".
func unknowing(name string) bool {
	low := strings.ToLower(name)
	return strings.Contains(low, "information") || strings.Contains(low, "available") || strings.HasPrefix(low, "no data") || strings.HasPrefix(low, "not on file")
}

// classOf is the class of allergies a denial is about.
func classOf(denied string) string {
	classes := map[string]bool{}
	for _, w := range strings.FieldsFunc(denied, func(r rune) bool { return !unicode.IsLetter(r) }) {
		switch strings.TrimSuffix(w, "s") {
		case "drug", "medication", "medicine", "medicament", "nkda", "nkma":
			classes["drug"] = true
		case "food", "nkfa":
			classes["food"] = true
		case "no", "known", "allergy", "allergie", "intolerance", "reaction", "adverse", "and", "or":
		default:
			classes["other"] = true
		}
	}
	if len(classes) == 1 {
		for c := range classes {
			return c
		}
	}
	return "other"
}

// covers says whether a denial is about the thing an item names. What is not known to be a food is not
// denied by a denial of food allergies; of a drug the sender need not have said that it is one.
func (d denial) covers(it ccda.Item) bool {
	switch d.class {
	case "":
		return true
	case "drug":
		return it.Class == "drug" || it.Class == "" && drugCode(it.Code.System)
	case "food":
		return it.Class == "food"
	}
	return false
}

// drugCode says whether a code system holds nothing but drugs.
func drugCode(system string) bool { return systemOf(system) == "rxnorm" || systemOf(system) == "ndc" }

// deny finds the denial that covers an item, and one that only might: of another class, or of a class that
// the item is not known to belong to.
func deny(list []denial, it ccda.Item) (covering, other string) {
	for _, d := range list {
		if d.covers(it) {
			return d.words, ""
		}
		other = d.words
	}
	return "", other
}
