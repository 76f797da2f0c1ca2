package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

func readAllergies(d *Document, act node) []Item {
	var out []Item
	for _, o := range concerns(act) {
		out = append(out, d.readAllergy(act, o))
	}
	return out
}

func (d *Document) readAllergy(act, o node) Item {
	var it Item
	agents := agentsOf(o)
	var agent node
	if len(agents) > 0 {
		agent = agents[0]
	}
	d.named(&it, agent.Child("code"), o, act)
	if n := squeeze(agent.Child("name").Text(maxWords)); n != "" && it.Code.Zero() {
		it.Name = n
	}
	for _, more := range agents[min(1, len(agents)):] {
		w := codeWords(readCode(more.Child("code")))
		if w == "" {
			w = squeeze(more.Child("name").Text(maxWords))
		}
		it.Name = joined("; ", it.Name, w)
	}
	kind := readCode(o.Child("value"))
	it.Class = allergyClass(kind)
	it.Start, it.End = span(o.Child("effectiveTime"))
	it.Status = allergyStatus(act, o, it.End)
	it.byEnd = ownStatus(o) == ""
	it.stand(o)
	switch kind.Code {
	case "716186003", "409137002", "160244002", "428607008", "429625007", "716184000":
		it.Negated, it.Name = true, joined(" · ", kind.Words(), it.Name)
		if kind.Words() == kind.Code {
			it.Name = noneKnown(kind)
		}
	}
	if it.Negated && it.Code.Code == "" && it.Code.Text == "" && len(agents) < 2 && (it.Name == "" || it.Name == it.Narrative || it.Code.Null != "") {
		it.Name = noneKnown(kind)
	}
	if it.Negated && len(agents) == 1 && (it.Code.Text == "" || generic(it.Code.Text)) { // R2.1 asks for a substance also where none is meant
		switch it.Code.Code {
		case "105590001": // Substance
			it.Name = noneKnown(kind)
		case "410942007", "373873005": // Drug or medicament, Pharmaceutical product
			it.Name = "No known drug allergies"
		}
	}
	words := allergyKind(kind)
	d.namedByKind(&it, o.Child("value"), kind)
	if it.Name == "" && words != "" {
		it.Name = words + ": substance not named"
		if why := agent.Child("code").Attr("nullFlavor"); why != "" && why != "NI" {
			it.Name += " (" + chart.NullWords(why) + ")"
		}
	}
	intolerance := ""
	if low := strings.ToLower(words); strings.Contains(low, "intolerance") && !strings.Contains(low, "allerg") && !it.Negated {
		intolerance = "intolerance"
	}
	it.Detail = joined(" · ", it.Detail, intolerance, d.reactions(o), unknownEnd(o, it), d.comments(o), remarks(d, act, o))
	return it
}

// namedByKind names an allergy whose substance stands only in the words of its kind.
func (d *Document) namedByKind(it *Item, value node, kind chart.Code) {
	if it.Name != "" || it.Negated {
		return
	}
	if w := firstOf(kind.Text, d.original(value)); naming(w) && !generic(w) && !denies(w) && (kind.Text == "" || kind.Display != "") {
		it.Name = w
		d.refer(it, value)
	}
}

// agentsOf are the substances an allergy is to: the consumables, or what else takes part when none is.
func agentsOf(o node) []node {
	var consumed, others []node
	for p := range o.Elements("participant") {
		e := p.Child("participantRole", "playingEntity")
		switch {
		case !e.OK() || len(consumed)+len(others) >= maxIDs:
		case p.Attr("typeCode") == "CSM":
			consumed = append(consumed, e)
		default:
			others = append(others, e)
		}
	}
	if len(consumed) > 0 {
		return consumed
	}
	return others[:min(1, len(others))]
}

// allergyKind is the kind of an allergy in words, also where the sender left the words out.
func allergyKind(c chart.Code) string {
	if c.Display == "" && c.Text == "" {
		switch c.Code {
		case "419199007":
			return "Allergy to substance"
		case "416098002":
			return "Allergy to drug"
		case "414285001":
			return "Allergy to food"
		case "420134006", "418038007":
			return "Propensity to adverse reactions"
		case "419511003":
			return "Propensity to adverse reactions to drug"
		case "59037007":
			return "Drug intolerance"
		case "235719002":
			return "Food intolerance"
		}
	}
	return c.Words()
}

// allergyClass is what an allergy is to, by the code of its kind: "drug", "food" or not told.
func allergyClass(c chart.Code) string {
	switch c.Code {
	case "416098002", "419511003", "59037007":
		return "drug"
	case "414285001", "418471000", "235719002":
		return "food"
	}
	return ""
}

func noneKnown(kind chart.Code) string {
	switch {
	case allergyClass(kind) == "food":
		return "No known food allergies"
	case allergyClass(kind) == "drug" || strings.Contains(strings.ToLower(kind.Words()), "drug"):
		return "No known drug allergies"
	}
	return "No known allergies"
}

func allergyStatus(act, o node, end chart.Time) string {
	if w := ownStatus(o); w != "" {
		return w
	}
	if end.Precision > chart.Unknown {
		return "resolved"
	}
	return act.Child("statusCode").Attr("code")
}

// reactions are the manifestations with severity and criticality, as stated; one that is denied says so.
func (d *Document) reactions(o node) string {
	var out []string
	for er := range o.Elements("entryRelationship") {
		for r := range er.Elements("observation") {
			value := readCode(r.Child("value"))
			w := codeWords(value)
			if value.Wordless() {
				w = value.Plainly()
			}
			if manifest := er.Attr("typeCode") == "MFST" || hasTemplate(r, "2.16.840.1.113883.10.20.22.4.9"); manifest && (w == "" || generic(w) || value.Wordless()) {
				if told := firstOf(d.original(r.Child("value")), d.textOf(r.Child("text"))); told != "" {
					w = clip(told, 160)
				}
			}
			if w == "" || len(out) >= maxIDs {
				continue
			}
			no := ""
			if negated(r) || negated(er) {
				no = "no "
			}
			switch {
			case er.Attr("typeCode") == "MFST" || hasTemplate(r, "2.16.840.1.113883.10.20.22.4.9"):
				if sev := severity(r); sev != "" && no == "" {
					w += " (" + sev + ")"
				}
				out = append(out, no+w)
			case hasTemplate(r, "2.16.840.1.113883.10.20.22.4.8"):
				out = append(out, no+"severity "+qualifier(r.Child("value")))
			case hasTemplate(r, "2.16.840.1.113883.10.20.22.4.145"):
				out = append(out, no+"criticality "+qualifier(r.Child("value")))
			}
		}
	}
	return strings.Join(out, ", ")
}

func severity(r node) string {
	for er := range r.Elements("entryRelationship") {
		s := er.Child("observation")
		if (hasTemplate(s, "2.16.840.1.113883.10.20.22.4.8") || s.Child("code").Attr("code") == "SEV") && !negated(s) && !negated(er) {
			return qualifier(s.Child("value"))
		}
	}
	return ""
}
