package fhir

import "strings"

// sites are where on the body, with their side.
func sites(e element) string {
	var out []string
	for _, name := range []string{"bodySite", "site"} {
		if w := concepts(e.get(name)); w != "" {
			out = append(out, "at: "+w)
		}
	}
	for i, r := range e.get("bodyStructure") { // R5: a reference, or a concept in one
		if w := first(codeWords(concept(at(r, "concept"))), str(r, "display"), str(r, "reference", "display")); w != "" && i < 10 {
			out = append(out, "at: "+w)
		}
	}
	return strings.Join(out, ", ")
}

// stages are the stages of a disease.
func stages(e element) string {
	var out []string
	for i, s := range e.get("stage") {
		if w := codeWords(concept(at(s, "summary"))); w != "" && i < 10 {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

// targets are what a goal is to reach, and by when.
func targets(e element) string {
	var out []string
	for i, t := range e.get("target") {
		if i >= maxParts {
			break
		}
		v := first(quantity(at(t, "detailQuantity")), bounds2(at(t, "detailRange")), codeWords(concept(at(t, "detailCodeableConcept"))), str(t, "detailString"), str(t, "detailInteger"))
		if r := at(t, "detailRatio"); r != nil {
			v = join(" : ", quantity(at(r, "numerator")), quantity(at(r, "denominator")))
		}
		if w := join(" ", concept(at(t, "measure")).Words(), v, label("", str(t, "dueDate"), "by ", "")); w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, "; ")
}

// activities are the steps of a plan written into it, each with its status.
func activities(e element) string {
	var out []string
	for i, a := range e.get("activity") {
		d := at(a, "detail")
		if d == nil || i >= maxParts {
			continue
		}
		what := join(", ", codeWords(concept(at(d, "code"))), str(d, "description"))
		if str(d, "doNotPerform") == "true" || str(d, "prohibited") == "true" {
			what = "not to be done: " + what
		}
		if s := str(d, "status"); what != "" {
			out = append(out, join(" ", what, label("", s, "(", ")")))
		}
	}
	return strings.Join(out, "; ")
}
