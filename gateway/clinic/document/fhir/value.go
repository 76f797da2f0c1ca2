package fhir

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"postern/gateway/clinic/document/chart"
)

// The limits of one line.
const (
	maxParts = 100 // components, notes, dosages of one resource
)

// concept is a CodeableConcept in words with its first coding.
func concept(e element) chart.Code {
	if e == nil {
		return chart.Code{}
	}
	return chart.Code{Text: str(e, "text"), Code: str(e, "coding", "code"), System: str(e, "coding", "system"), Display: str(e, "coding", "display")}
}

// codeWords are the words of a code: the sender's own, and the display name where it says more or other
// things: a side, another drug.
func codeWords(c chart.Code) string {
	switch {
	case c.Wordless() && c.System != "": // without a system it may well be the word itself
		return c.Plainly()
	case c.Text == "" || c.Display == "" || chart.NoneKnown(c) || holdsWords(c.Text, c.Display):
		return c.Words()
	case holdsWords(c.Display, c.Text):
		return c.Display
	}
	return c.Text + " (coded as " + c.Display + ")"
}

// holdsWords says whether every word of part stands in whole.
func holdsWords(whole, part string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	in := words(whole)
	for _, w := range words(part) {
		if !slices.Contains(in, w) {
			return false
		}
	}
	return true
}

// concepts are the words of a list of concepts.
func concepts(list []element) string {
	var out []string
	for i, c := range list {
		if i >= maxParts {
			out = append(out, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		if w := codeWords(concept(c)); w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

// quantity is a number as written, its comparator in front and its unit behind: "<5 ng/L" is not 5 ng/L.
func quantity(q element) string {
	if q == nil {
		return ""
	}
	return join(" ", str(q, "comparator")+str(q, "value"), chart.UnitWords(first(str(q, "unit"), str(q, "code"))))
}

func bounds(r element) string {
	low, high := quantity(at(r, "low")), quantity(at(r, "high"))
	switch {
	case low != "" && high != "":
		return low + " to " + high
	case low != "":
		return "from " + low
	case high != "":
		return "up to " + high
	}
	return ""
}

// observed is the value of an observation or component, its missing included: silence would read as a finding.
func observed(e element) string {
	v := value(e)
	if why := at(e, "dataAbsentReason"); why != nil {
		v = join(", ", v, "no value: "+first(concept(why).Words(), why.text(), "reason not given"))
	}
	return v
}

func value(e element) string {
	if q := at(e, "valueQuantity"); q != nil {
		return quantity(q)
	}
	if c := at(e, "valueCodeableConcept"); c != nil {
		return codeWords(concept(c))
	}
	for _, n := range []string{"valueString", "valueInteger", "valueTime"} {
		if v := str(e, n); v != "" {
			return v
		}
	}
	switch str(e, "valueBoolean") {
	case "true":
		return "yes"
	case "false":
		return "no"
	}
	if v := str(e, "valueDateTime"); v != "" {
		return chart.ParseTime(v).String()
	}
	if r := at(e, "valueRange"); r != nil {
		return bounds(r)
	}
	if r := at(e, "valueRatio"); r != nil {
		return join(" : ", quantity(at(r, "numerator")), quantity(at(r, "denominator")))
	}
	if r := at(e, "valuePeriod"); r != nil {
		return period(r)
	}
	for _, n := range []string{"valueSampledData", "valueAttachment", "valueReference"} {
		if at(e, n) != nil {
			return "(" + strings.ToLower(strings.TrimPrefix(n, "value")) + ", only in the data as sent)"
		}
	}
	return ""
}

func period(p element) string {
	return join(" to ", chart.ParseTime(str(p, "start")).String(), chart.ParseTime(str(p, "end")).String())
}

// components are the parts of an observation, each with its own value, absence and flag.
func components(e element) string {
	var out []string
	list := e.get("component")
	for i, c := range list {
		if i >= maxParts {
			out = append(out, fmt.Sprintf("and %d more parts, only in the data as sent", len(list)-i))
			break
		}
		out = append(out, join(" ", concept(at(c, "code")).Plainly(), first(observed(c), "(no value stated)"), label("", interpretation(c), "(", ")"), usual(c)))
	}
	return strings.Join(out, "; ")
}

// interpretation is every flag but "normal"; R4 has a list, STU3 one concept.
func interpretation(e element) string {
	var out []string
	for i, f := range e.get("interpretation") {
		c := concept(f)
		w := c.Words()
		if c.Wordless() && chart.FlagName(c.Code) != "" {
			w = chart.FlagName(c.Code)
		}
		if i < 10 && w != "" && c.Code != "N" && !strings.EqualFold(w, "normal") && w != "N" {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

func usual(e element) string {
	var out []string
	for i, r := range e.get("referenceRange") {
		if i >= 10 {
			break
		}
		if s := join(" ", first(str(r, "text"), bounds(r)), label("", join(", ", concept(at(r, "type")).Words(), concepts(r.get("appliesTo"))), "(", ")")); s != "" {
			out = append(out, s)
		}
	}
	return label("usual ", strings.Join(out, "; "), "", "")
}

func label(name, v, open, shut string) string {
	if v == "" {
		return ""
	}
	return name + open + v + shut
}

// notes are the remarks on a resource; a remark can turn its meaning.
func notes(e element) string {
	var out []string
	for _, name := range []string{"note", "comment", "comments"} {
		for i, n := range e.get(name) {
			if t := first(str(n, "text"), n.text()); t != "" && i < maxParts {
				out = append(out, t)
			}
		}
	}
	return strings.Join(out, " · ")
}

func first2(a, b element) element {
	if a != nil {
		return a
	}
	return b
}

func bounds2(r element) string {
	if r == nil {
		return ""
	}
	return bounds(r)
}
