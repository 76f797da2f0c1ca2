package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// readMedicines reads the medicines in an entry: directly, or inside the act that says they are for
// admission or discharge.
func readMedicines(d *Document, act node) []Item {
	var out []Item
	for _, m := range inner(act, "substanceAdministration", 0, nil) {
		out = append(out, readMedicine(d, m))
	}
	return out
}

func readMedicine(d *Document, act node) Item {
	var it Item
	material := act.Child("consumable", "manufacturedProduct", "manufacturedMaterial")
	d.named(&it, material.Child("code"), act)
	if n := squeeze(material.Child("name").Text(maxWords)); n != "" && it.Code.Display == "" && it.Code.Text == "" {
		it.Name = n
	}
	it.Negated = negated(act)
	if it.Negated && it.Code.Zero() {
		it.Name = "No known medications"
	}
	times(act, &it)
	it.Status = act.Child("statusCode").Attr("code")
	for er := range act.Elements("entryRelationship") {
		if s := er.Child("observation"); s.Child("code").Attr("code") == "33999-4" {
			if w := qualifier(s.Child("value")); w != "" {
				it.Status = w
			}
		}
	}
	if it.Status == "completed" && it.End.Precision == chart.Unknown {
		it.Status = d.unended(it)
	}
	it.Detail = sig(act)
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

// times reads when a medicine is taken: the interval of use. The rhythm is sig's.
func times(act node, it *Item) {
	for t := range act.Elements("effectiveTime") {
		switch t.Attr("xsi:type") {
		case "PIVL_TS", "EIVL_TS":
			continue
		}
		if it.Start.IsZero() && it.End.IsZero() {
			it.Start, it.End = readInterval(t)
			if t.Attr("value") != "" {
				it.End = chart.Time{} // a point in time is not an end
			}
		}
	}
}

// sig is dose, route and rhythm in words, only from what is coded; nothing is guessed.
func sig(act node) string {
	var out []string
	if q := amount(act.Child("doseQuantity")); q != "" {
		if number(q) == normal(q) {
			q = "dose " + q // a bare number: the unit is in the medicine's name
		}
		out = append(out, q)
	}
	if q := amount(act.Child("rateQuantity")); q != "" {
		out = append(out, "at "+q)
	}
	if r := readCode(act.Child("routeCode")).Words(); r != "" {
		out = append(out, strings.ToLower(r))
	}
	for t := range act.Elements("effectiveTime") {
		if r := rhythm(t); r != "" {
			out = append(out, r)
		}
	}
	for p := range act.Elements("precondition") {
		if w := readCode(p.Child("criterion", "value")).Words(); w != "" {
			out = append(out, "if needed: "+w)
		}
	}
	return strings.Join(out, ", ")
}

func rhythm(t node) string {
	switch t.Attr("xsi:type") {
	case "PIVL_TS":
		p := t.Child("period")
		if v := p.Attr("value"); v != "" {
			return "every " + trim(v) + " " + unitWord(p.Attr("unit"))
		}
		low, high := p.Child("low"), p.Child("high")
		if low.OK() && high.OK() {
			return "every " + trim(low.Attr("value")) + " to " + trim(high.Attr("value")) + " " + unitWord(high.Attr("unit"))
		}
	case "EIVL_TS":
		return eventWord(t.Child("event").Attr("code"))
	}
	return ""
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
	}
	return trim(u)
}

// eventWord is HL7's TimingEvent in words.
func eventWord(code string) string {
	switch code {
	case "HS":
		return "at bedtime"
	case "AC":
		return "before meals"
	case "PC":
		return "after meals"
	case "C":
		return "with meals"
	case "ACM":
		return "before breakfast"
	case "ACD":
		return "before lunch"
	case "ACV":
		return "before dinner"
	case "PCM":
		return "after breakfast"
	case "PCD":
		return "after lunch"
	case "PCV":
		return "after dinner"
	case "WAKE":
		return "on waking"
	}
	return trim(code)
}

// amount is a PQ or IVL_PQ with its unit. Curly braces around an annotation are left out: "{tbl}".
func amount(q node) string {
	unit := unitText(trim(q.Attr("unit")))
	if v := trim(q.Attr("value")); v != "" {
		return squeeze(v + " " + unit)
	}
	low, high := q.Child("low"), q.Child("high")
	switch {
	case low.Attr("value") != "" && high.Attr("value") != "":
		return squeeze(trim(low.Attr("value")) + " to " + amount(high))
	case low.Attr("value") != "":
		return "at least " + amount(low)
	case high.Attr("value") != "":
		return "at most " + amount(high)
	}
	return ""
}

func readImmunizations(d *Document, act node) []Item {
	if act.Name() != "substanceAdministration" {
		return nil
	}
	var it Item
	material := act.Child("consumable", "manufacturedProduct", "manufacturedMaterial")
	d.named(&it, material.Child("code"), act)
	it.Start, _ = readInterval(act.Child("effectiveTime"))
	it.Negated = negated(act)
	it.Status = act.Child("statusCode").Attr("code")
	if it.Negated {
		it.Status = "not given"
		for er := range act.Elements("entryRelationship") {
			if er.Attr("typeCode") == "RSON" {
				it.Detail = readCode(er.Child("observation", "code")).Words()
			}
		}
	} else if lot := squeeze(material.Child("lotNumberText").Text(maxWords)); lot != "" {
		it.Detail = "lot " + lot
	}
	return []Item{it}
}

// unitText is a UCUM unit as people write it. Curly braces hold annotations: "{tbl}".
func unitText(u string) string {
	switch u {
	case "1", "[pH]", "{}":
		return ""
	case "mm[Hg]":
		return "mmHg"
	case "[in_us]", "[in_i]":
		return "in"
	case "[lb_av]":
		return "lb"
	case "[oz_av]":
		return "oz"
	case "[degF]":
		return "°F"
	case "Cel":
		return "°C"
	case "[iU]":
		return "IU"
	case "[iU]/mL":
		return "IU/mL"
	}
	return strings.Trim(u, "{}")
}
