package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

func readResults(d *Document, act node) []Item {
	if act.Name() == "observation" {
		return []Item{readResult(d, act, chart.Time{}, "")}
	}
	if act.Name() != "organizer" && act.Name() != "battery" {
		return nil
	}
	when, _ := readInterval(act.Child("effectiveTime"))
	group := readCode(act.Child("code")).Words()
	var out []Item
	for c := range act.Elements("component") {
		for o := range c.Elements("observation") {
			if len(out) < maxInner {
				out = append(out, readResult(d, o, when, group))
			}
		}
	}
	return out
}

func readResult(d *Document, o node, when chart.Time, group string) Item {
	it := Item{Group: group}
	d.named(&it, o.Child("code"), o)
	var values []string
	for v := range o.Elements("value") {
		if q := quantity(v); q != "" && len(values) < maxIDs {
			values = append(values, q)
		}
	}
	it.Value = strings.Join(values, "; ")
	it.Flag = interpretation(o)
	it.Detail = ranges(o)
	it.Status = o.Child("statusCode").Attr("code")
	it.Negated = negated(o)
	it.Start, _ = readInterval(o.Child("effectiveTime"))
	if it.Start.Zero() {
		it.Start = when
	}
	return it
}

// quantity is the value of an observation of any data type, as text.
func quantity(v node) string {
	switch v.Attr("xsi:type") {
	case "PQ", "IVL_PQ", "INT", "REAL", "MO":
		return amount(v)
	case "RTO_PQ_PQ", "RTO":
		return amount(v.Child("numerator")) + " / " + amount(v.Child("denominator"))
	case "TS", "IVL_TS":
		return readTime(v).String()
	case "BL":
		return v.Attr("value")
	case "CD", "CE", "CV", "CO", "CS":
		return readCode(v).Words()
	}
	if s := squeeze(v.Text(maxWords)); s != "" {
		return s
	}
	if c := readCode(v).Words(); c != "" {
		return c
	}
	return amount(v)
}

// interpretation is the sender's own judgement of a result in words; "normal" says nothing and is "".
func interpretation(o node) string {
	var out []string
	for i := range o.Elements("interpretationCode") {
		if w := flagWord(i.Attr("code"), i.Attr("displayName")); w != "" && len(out) < 4 {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

func flagWord(code, display string) string {
	switch code {
	case "N", "":
		return ""
	case "H":
		return "high"
	case "L":
		return "low"
	case "HH":
		return "critically high"
	case "LL":
		return "critically low"
	case "A":
		return "abnormal"
	case "AA":
		return "critically abnormal"
	case "POS":
		return "positive"
	case "R":
		return "resistant"
	}
	if display != "" {
		return strings.ToLower(clip(display, 60))
	}
	return clip(code, 20)
}

func ranges(o node) string {
	var out []string
	for r := range o.Elements("referenceRange") {
		or := r.Child("observationRange")
		s := amount(or.Child("value"))
		if s == "" {
			s = squeeze(or.Child("text").Text(200))
		}
		if s != "" && len(out) < 4 {
			out = append(out, "usual "+s)
		}
	}
	return strings.Join(out, "; ")
}
