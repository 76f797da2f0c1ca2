package fhir

import (
	"strings"
	"unicode"

	"postern/gateway/clinic/document/chart"
)

// dosages are the instructions in words, or put together from their parts; where the words do not give
// the coded dose ("see below"), both stand.
func dosages(e element) string {
	var out []string
	for _, name := range []string{"dosageInstruction", "dosage"} {
		for i, d := range e.get(name) {
			if i >= maxParts {
				break
			}
			if s := dosage(d); s != "" {
				out = append(out, s)
			}
		}
	}
	return strings.Join(out, "; then ")
}

func dosage(d element) string {
	amount := doses(d)
	coded := join(" ", amount, concept(at(d, "route")).Words(), label("", concept(at(d, "site")).Words(), "at ", ""), timing(at(d, "timing")))
	s := str(d, "text")
	switch {
	case s == "":
		s = coded
	case amount != "" && !holdsNumbers(s, amount), amount == "" && coded != "" && !strings.ContainsFunc(s, unicode.IsDigit) && len(s) < 20:
		s += " (coded: " + coded + ")"
	}
	if str(d, "asNeededBoolean") == "true" || str(d, "asNeeded") == "true" {
		s = join(", ", s, "as needed")
	} else if c := first(concept(at(d, "asNeededCodeableConcept")).Words(), concepts(d.get("asNeededFor"))); c != "" {
		s = join(", ", s, "as needed for "+c)
	}
	for _, most := range []string{"maxDosePerPeriod", "maxDosePerAdministration", "maxDosePerLifetime"} {
		for i, m := range d.get(most) {
			q := quantity(m)
			if n := at(m, "numerator"); n != nil {
				q = join(" in ", quantity(n), quantity(at(m, "denominator")))
			}
			if q != "" && i < 10 {
				s = join(", ", s, "at most "+q+map[string]string{"maxDosePerAdministration": " at once", "maxDosePerLifetime": " in a lifetime"}[most])
			}
		}
	}
	return join(", ", s, concepts(d.get("additionalInstruction")), concepts(d.get("additionalInstructions")), str(d, "patientInstruction"))
}

// doses are the amounts of one taking and how fast they run: a list in R4 and R5, one before.
func doses(d element) string {
	var out []string
	list := d.get("doseAndRate")
	if len(list) == 0 {
		list = []element{d}
	}
	for i, x := range list {
		if i >= maxParts {
			break
		}
		rate := first(quantity(at(x, "rateQuantity")), bounds2(at(x, "rateRange")))
		if r := at(x, "rateRatio"); r != nil {
			rate = join(" in ", quantity(at(r, "numerator")), quantity(at(r, "denominator")))
		}
		one := quantity(first2(at(x, "doseQuantity"), at(x, "dose")))
		if !strings.ContainsFunc(one, unicode.IsLetter) && one != "" {
			one = "dose " + one // a bare number counts what the medicine comes in
		}
		if w := join(" ", one, bounds2(at(x, "doseRange")), label("", rate, "at ", "")); w != "" {
			if kind := concept(at(x, "type")).Words(); kind != "" && len(list) > 1 {
				w += " (" + kind + ")"
			}
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

// holdsNumbers says whether every number of a dose stands in a text.
func holdsNumbers(text, dose string) bool {
	numbers := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r != '.' && !unicode.IsDigit(r) })
	}
	in := map[string]bool{}
	for _, n := range numbers(text) {
		in[strings.Trim(n, ".")] = true
	}
	for _, n := range numbers(dose) {
		if n = strings.Trim(n, "."); n != "" && !in[n] {
			return false
		}
	}
	return true
}

// timing is when and how often: the words of its code, and every part of its repeat that is stated.
func timing(t element) string {
	if t == nil {
		return ""
	}
	r := at(t, "repeat")
	var out []string
	code := concept(at(t, "code")).Words()
	if r == nil {
		return code
	}
	if code != "" {
		out = append(out, code)
	} else if p := str(r, "period"); p != "" {
		often := first(str(r, "frequency"), "once")
		if m := str(r, "frequencyMax"); m != "" {
			often += " to " + m
		}
		if m := str(r, "periodMax"); m != "" {
			p += " to " + m
		}
		out = append(out, join(" ", often+"×", "per", span(p, first(str(r, "periodUnit"), str(r, "periodUnits")))))
	}
	for i, w := range r.get("when") {
		if i < maxParts {
			out = append(out, chart.TimingEvent(w.text()))
		}
	}
	for _, list := range []struct{ name, before string }{{"dayOfWeek", "on "}, {"timeOfDay", "at "}} {
		for i, w := range r.get(list.name) {
			if i < maxParts {
				out = append(out, list.before+w.text())
			}
		}
	}
	if n := str(r, "count"); n != "" {
		out = append(out, first(join(" to ", n, str(r, "countMax")), n)+" times in all")
	}
	if n := str(r, "duration"); n != "" {
		out = append(out, "over "+n+" "+str(r, "durationUnit"))
	}
	bound := first(quantity(first2(at(r, "boundsDuration"), at(r, "boundsQuantity"))), bounds2(at(r, "boundsRange")))
	out = append(out, label("", bound, "for ", ""))
	if p := at(r, "boundsPeriod"); p != nil {
		out = append(out, period(p))
	}
	return join(", ", out...)
}

// span is a period as people say it: "day" for one day, "8 hours" for eight.
func span(n, unit string) string {
	word := map[string]string{"s": "second", "min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}[unit]
	switch {
	case word == "":
		return join(" ", n, unit)
	case n == "1" || n == "1.0":
		return word
	}
	return n + " " + word + "s"
}
