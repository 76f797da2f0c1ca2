package ccda

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// readMedicines reads the medicines in an entry: directly, or inside the act that says they are for
// admission or discharge, or only their supply.
func readMedicines(d *Document, act node) []Item {
	var out []Item
	for _, m := range inner(act, "substanceAdministration", 0, nil) {
		out = append(out, readMedicine(d, m))
	}
	if len(out) == 0 {
		for _, supply := range inner(act, "supply", 0, nil) {
			out = append(out, readSupply(d, supply))
		}
	}
	return out
}

// indications are what a medicine is for (Indication, 2.16.840.1.113883.10.20.22.4.19).
func (d *Document) indications(act node) string {
	var out []string
	for er := range act.Elements("entryRelationship") {
		o := er.Child("observation")
		if trim(er.Attr("typeCode")) != "RSON" || len(out) >= 4 || negated(o) || negated(er) {
			continue
		}
		w := codeWords(readCode(o.Child("value")))
		if w == "" || generic(w) {
			w = firstOf(d.original(o.Child("value")), d.textOf(o.Child("text")), w)
		}
		if w != "" {
			out = append(out, clip(w, 120))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "for: " + strings.Join(out, ", ")
}

func readMedicine(d *Document, act node) Item {
	var it Item
	material := act.Child("consumable", "manufacturedProduct", "manufacturedMaterial")
	d.named(&it, material.Child("code"), act)
	if n := squeeze(material.Child("name").Text(maxWords)); n != "" && it.Code.Display == "" && it.Code.Text == "" {
		it.Name = n
	}
	how := ""
	if it.Code.Display != "" && directions(it.Code.Text) {
		how, it.Name = "“"+clip(it.Code.Text, 160)+"”", it.Code.Display
	}
	if it.Name == "" { // the act may say what the product does not: that none is taken
		if w := readCode(act.Child("code")).Display; !generic(w) {
			it.Name = w
		}
	}
	times(act, &it)
	it.Status = act.Child("statusCode").Attr("code")
	if w := ownStatus(act); w != "" {
		it.Status = w
	}
	if it.Status == "completed" && it.End.Precision == chart.Unknown {
		it.Status = d.unended(it)
	}
	it.stand(act)
	if it.Negated && (it.Code.Zero() || generic(it.Name)) && (it.Narrative == "" || denies(it.Narrative)) {
		it.Name = "No known medications"
	}
	it.Detail = joined(" · ", it.Detail, d.sig(&it, act), how, d.freeSig(act), d.parts(act), d.indications(act), d.comments(act))
	return it
}

// readSupply reads a medicine of which only the dispensing or the order is stated.
func readSupply(d *Document, act node) Item {
	var it Item
	material := act.Child("product", "manufacturedProduct", "manufacturedMaterial")
	d.named(&it, material.Child("code"), act)
	if n := squeeze(material.Child("name").Text(maxWords)); n != "" && it.Code.Display == "" && it.Code.Text == "" {
		it.Name = n
	}
	it.Start, _ = readInterval(act.Child("effectiveTime"))
	it.Status = act.Child("statusCode").Attr("code")
	if it.Status == "completed" {
		it.Status = "" // the supply is, not the taking
	}
	it.stand(act)
	what := "supply"
	if q := amount(act.Child("quantity")); q != "" {
		what += " of " + q
	}
	it.Detail = joined(" · ", it.Detail, what, d.comments(act))
	return it
}

// unended judges a medicine that is "completed" but has no end. QUIRK: R1.1 exporters (NextGen, Kareo)
// call every medicine completed, meaning that the act of recording it is; only the text can tell.
func (d *Document) unended(it Item) string {
	w, _ := d.wordsAt(it.Anchor)
	switch over, active := statusWords(w.row); {
	case active != "" && over == "":
		return "active"
	case over != "":
		return over
	}
	return ""
}

// maxTimings is how many times of one medicine are read.
const maxTimings = 40

// timings are the times of a medicine, those inside a parenthetic set (SXPR_TS) taken out of it.
func timings(act node) []node {
	var out []node
	var add func(t node, depth int)
	add = func(t node, depth int) {
		if depth > 4 || len(out) >= maxTimings {
			return
		}
		if kind := timingType(t); kind != "SXPR_TS" {
			out = append(out, t)
			return
		}
		for c := range t.Elements("comp") {
			add(c, depth+1)
		}
	}
	for t := range act.Elements("effectiveTime") {
		add(t, 0)
	}
	return out
}

// timingType is the data type of a time, by what is inside it where the type was left out.
func timingType(t node) string {
	switch kind := typeOf(t); {
	case kind != "" && kind != "GTS" && kind != "ANY":
		return kind
	case t.Child("comp").OK():
		return "SXPR_TS"
	case t.Child("period").OK():
		return "PIVL_TS"
	case t.Child("event").OK():
		return "EIVL_TS"
	}
	return "IVL_TS"
}

// times reads when a medicine is taken: the interval of use, from its first start to its last end. The
// rhythm is sig's.
func times(act node, it *Item) {
	found, open := false, false
	for _, t := range timings(act) {
		if k := timingType(t); k == "PIVL_TS" || k == "EIVL_TS" || t.Attr("operator") == "E" {
			continue
		}
		start, end := readInterval(t)
		if t.Attr("value") != "" {
			end = chart.Time{} // a point in time is not an end
		}
		if start.IsZero() && end.IsZero() {
			continue
		}
		if !found || start.Precision > chart.Unknown && (it.Start.Precision == chart.Unknown || start.At.Before(it.Start.At)) {
			it.Start = start
		}
		if !found || end.Precision > chart.Unknown && end.At.After(it.End.At) {
			it.End = end
		}
		open = open || end.Precision == chart.Unknown
		found = true
	}
	if open && it.End.Precision > chart.Unknown {
		it.End = chart.Time{}
	}
}

// sig is dose, route and rhythm in words, only from what is coded; nothing is guessed. It fills in the
// parts of the item too.
func (d *Document) sig(it *Item, act node) string {
	it.Dose = dose(act)
	var rate, often []string
	if q := amount(act.Child("rateQuantity")); q != "" {
		rate = append(rate, "at "+q)
	}
	it.Route = strings.ToLower(route(readCode(act.Child("routeCode"))))
	for _, t := range timings(act) {
		if r := rhythm(t); r != "" {
			often = append(often, r)
		}
	}
	it.Frequency = strings.Join(often, ", ")
	out := []string{it.Dose, strings.Join(rate, ", "), it.Route, sites(act), it.Frequency, d.needed(act)}
	for m := range act.Elements("maxDoseQuantity") {
		if q := ratio(m, " in "); q != "" && len(out) < maxIDs {
			out = append(out, "at most "+q)
		}
	}
	return joined(", ", out...)
}

// dose is the amount of one taking.
func dose(act node) string {
	n := act.Child("doseQuantity")
	q := amount(n)
	if q == "" {
		if why := n.Attr("nullFlavor"); why != "" && why != "NI" && why != "NA" {
			return "dose " + chart.NullWords(why)
		}
		return ""
	}
	if number(q) == normal(q) { // a bare number: the unit stands beside it, or in the medicine's name
		if unit := codeWords(readCode(act.Child("administrationUnitCode"))); unit != "" {
			return q + " " + strings.ToLower(unit)
		}
		return "dose " + q
	}
	return q
}

// needed says when a medicine is taken that is not taken always.
func (d *Document) needed(act node) string {
	var out []string
	for p := range act.Elements("precondition") {
		c := p.Child("criterion")
		w := codeWords(readCode(c.Child("value")))
		if w == "" {
			w = d.textOf(c.Child("text"))
		}
		switch {
		case len(out) >= 4:
		case negated(p) || negated(c):
			out = append(out, joined(": ", "not if", w))
		case w != "":
			out = append(out, "if needed: "+w)
		default:
			out = append(out, "if needed")
		}
	}
	return strings.Join(out, ", ")
}

// freeSig is the sender's own instruction to the patient, which may say what no code does.
func (d *Document) freeSig(act node) string {
	var out []string
	for er := range act.Elements("entryRelationship") {
		for _, name := range []string{"substanceAdministration", "act"} {
			s := er.Child(name)
			if code := s.Child("code").Attr("code"); !s.OK() || code != "76662-6" && !hasTemplate(s, "2.16.840.1.113883.10.20.22.4.147") && !hasTemplate(s, "2.16.840.1.113883.10.20.22.4.20") || len(out) >= 3 {
				continue
			}
			if w := d.textOf(s.Child("text")); w != "" {
				if w = "“" + clip(w, 300) + "”"; !slices.Contains(out, w) {
					out = append(out, w)
				}
			}
		}
	}
	return strings.Join(out, ", ")
}

// parts are the steps of a medicine whose dose changes: subordinate administrations in their order.
func (d *Document) parts(act node) string {
	var out []string
	for er := range act.Elements("entryRelationship") {
		s := er.Child("substanceAdministration")
		if !s.OK() || len(out) >= maxIDs || s.Child("code").Attr("code") == "76662-6" || hasTemplate(s, "2.16.840.1.113883.10.20.22.4.147") {
			continue
		}
		var step Item
		times(s, &step)
		when := step.Start.Date()
		if e := step.End.Date(); e != "" {
			when = joined(" to ", when, e)
		}
		if w := joined(", ", d.sig(&step, s), when); w != "" {
			if negated(s) || negated(er) {
				w = "not: " + w
			}
			out = append(out, w)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "in steps: " + strings.Join(out, "; then ")
}

func rhythm(t node) string {
	w := ""
	switch timingType(t) {
	case "PIVL_TS":
		p := t.Child("period")
		low, high := p.Child("low"), p.Child("high")
		switch v := trim(p.Attr("value")); {
		case v != "":
			w = every(v, trim(p.Attr("unit")))
		case low.OK() && high.OK() && low.Attr("unit") == high.Attr("unit"):
			w = "every " + trim(low.Attr("value")) + " to " + trim(high.Attr("value")) + " " + unitWord(high.Attr("unit"))
		case low.Attr("value") != "" && high.Attr("value") != "":
			w = "every " + trim(low.Attr("value")) + " " + unitWord(low.Attr("unit")) + " to " + trim(high.Attr("value")) + " " + unitWord(high.Attr("unit"))
		case low.Attr("value") != "":
			w = "not more often than every " + trim(low.Attr("value")) + " " + unitWord(low.Attr("unit"))
		case high.Attr("value") != "":
			w = "at least every " + trim(high.Attr("value")) + " " + unitWord(high.Attr("unit"))
		}
	case "EIVL_TS":
		w = chart.TimingEvent(clip(t.Child("event").Attr("code"), maxWords))
		if o := t.Child("offset"); w != "" && o.OK() {
			if q := firstOf(amount(o), amount(o.Child("low"))); q != "" {
				w += " (offset " + q + ")"
			}
		}
	}
	if w != "" && t.Attr("operator") == "E" {
		return "except " + w
	}
	return w
}

// every is a period as people say it: "every day" for one day, "every 8 h" for eight hours.
func every(n, unit string) string {
	if n == "1" || normal(n) == "1" {
		switch unit {
		case "h":
			return "every hour"
		case "d", "wk", "mo", "min":
			return "every " + strings.TrimSuffix(unitWord(unit), "s")
		case "a":
			return "every year"
		}
	}
	// QUIRK: Allscripts and Epic divide the day: a period of 0.3333 d is three times a day.
	if v, err := strconv.ParseFloat(n, 64); err == nil && v > 0 && v < 0.6 && (unit == "d" || unit == "wk") {
		if times := math.Round(1 / v); times < 25 && math.Abs(times*v-1) < 0.011 {
			return fmt.Sprintf("%.0f times a %s", times, strings.TrimSuffix(unitWord(unit), "s"))
		}
	}
	return joined(" ", "every", n, unitWord(unit))
}

func unitWord(u string) string {
	switch u {
	case "h":
		return "h"
	case "d":
		return "days"
	case "wk":
		return "weeks"
	case "mo":
		return "months"
	case "min":
		return "minutes"
	case "a":
		return "years"
	}
	return trim(u)
}

func readImmunizations(d *Document, act node) []Item {
	if act.Name() != "substanceAdministration" {
		return nil
	}
	var it Item
	material := act.Child("consumable", "manufacturedProduct", "manufacturedMaterial")
	d.named(&it, material.Child("code"), act)
	if n := squeeze(material.Child("name").Text(maxWords)); n != "" && it.Name == "" {
		it.Name = n
	}
	it.Start, _ = readInterval(act.Child("effectiveTime"))
	it.Status = act.Child("statusCode").Attr("code")
	it.stand(act)
	if it.Negated {
		if it.Status != "nullified" {
			it.Status = "not given"
		}
		for er := range act.Elements("entryRelationship") {
			if er.Attr("typeCode") == "RSON" {
				o := er.Child("observation")
				it.Detail = joined(" · ", it.Detail, joined(": ", codeWords(readCode(o.Child("code"))), codeWords(readCode(o.Child("value")))))
			}
		}
	} else if lot := squeeze(material.Child("lotNumberText").Text(maxWords)); lot != "" {
		it.Detail = joined(" · ", it.Detail, "lot "+lot)
	}
	it.Detail = joined(" · ", it.Detail, d.comments(act))
	return []Item{it}
}
