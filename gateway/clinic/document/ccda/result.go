package ccda

import (
	"regexp"
	"strconv"
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
	it.Name = component(it.Name)
	var values []string
	for v := range o.Elements("value") {
		if q := quantity(v); q != "" && len(values) < maxIDs {
			values = append(values, q)
		}
	}
	it.Value = strings.Join(values, "; ")
	it.Flag = interpretation(o)
	it.Detail = ranges(o)
	if it.Flag == "" {
		it.Flag = outside(o)
	}
	it.Status = o.Child("statusCode").Attr("code")
	it.Negated = negated(o)
	it.Start, _ = readInterval(o.Child("effectiveTime"))
	if it.Start.Zero() {
		it.Start = when
	}
	return it
}

// component makes a LOINC name in parts readable: "GLUCOSE:MCNC:PT:BLD:QN:" is "GLUCOSE, BLD". The whole
// name stays in the item's code.
func component(name string) string {
	parts := strings.Split(name, ":")
	if len(parts) < 5 || strings.Contains(name, " - ") {
		return name
	}
	if parts[3] == "" || parts[3] == "XXX" {
		return parts[0]
	}
	return parts[0] + ", " + parts[3]
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

// textRange is a range written as "0.50-1.20 mg/dL", its unit in the third group.
var textRange = regexp.MustCompile(`^\s*([0-9.]+)\s*-\s*([0-9.]+)\s*(\S*)\s*$`)

// outside compares a number with the range the sender states beside it; the words say that it is a
// comparison and not the sender's judgement. Different units are not compared.
func outside(o node) string {
	v := o.Child("value")
	value, err := strconv.ParseFloat(trim(v.Attr("value")), 64)
	r := o.Child("referenceRange", "observationRange")
	if err != nil || !r.OK() {
		return ""
	}
	low, high := r.Child("value", "low"), r.Child("value", "high")
	lowText, highText := low.Attr("value"), high.Attr("value")
	for _, side := range []node{low, high} {
		if u := side.Attr("unit"); u != "" && u != v.Attr("unit") {
			return ""
		}
	}
	if lowText == "" && highText == "" {
		m := textRange.FindStringSubmatch(r.Child("text").Text(100))
		if m == nil || m[3] != "" && m[3] != v.Attr("unit") {
			return ""
		}
		lowText, highText = m[1], m[2]
	}
	if x, err := strconv.ParseFloat(trim(lowText), 64); err == nil && value < x {
		return "below the stated range"
	}
	if x, err := strconv.ParseFloat(trim(highText), 64); err == nil && value > x {
		return "above the stated range"
	}
	return ""
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
