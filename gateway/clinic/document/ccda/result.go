package ccda

import (
	"regexp"
	"strconv"
	"strings"

	"postern/gateway/clinic/document/chart"
)

func readResults(d *Document, act node) []Item { return d.results(act, chart.Time{}, "", 0, nil) }

// results reads an observation, or those of a panel and of the panels inside it.
func (d *Document) results(act node, when chart.Time, group string, depth int, out []Item) []Item {
	switch act.Name() {
	case "observation":
		if len(out) < maxInner {
			out = append(out, readResult(d, act, when, group))
		}
		return out
	case "organizer", "battery", "act":
	default:
		return out
	}
	if depth > maxActs {
		return out
	}
	if w, _ := readInterval(act.Child("effectiveTime")); !w.Zero() {
		when = w
	}
	if g := readCode(act.Child("code")).Words(); g != "" && act.Name() != "act" {
		group = g
	}
	for link := range act.Elements("") {
		if n := link.Name(); n != "component" && (n != "entryRelationship" || act.Name() != "act") {
			continue
		}
		for o := range link.Elements("") {
			out = d.results(o, when, group, depth+1, out)
		}
	}
	return out
}

func readResult(d *Document, o node, when chart.Time, group string) Item {
	it := Item{Group: group}
	d.named(&it, o.Child("code"), o)
	it.Name = resultName(it.Code, it.Name)
	var values []string
	for v := range o.Elements("value") {
		if q := d.valueOf(v); q != "" && len(values) < maxIDs {
			values = append(values, joined(" ", q, parenthesis(qualifiers(v))))
		}
	}
	it.Value = strings.Join(values, "; ")
	it.Status = o.Child("statusCode").Attr("code")
	it.stand(o)
	it.Start, _ = readInterval(o.Child("effectiveTime"))
	if it.Start.Zero() {
		it.Start = when
	}
	if !it.Negated && it.Mood == "" {
		if it.Flag = interpretation(o); it.Flag == "" {
			it.Flag = outside(o)
		}
	}
	it.Site = joined(", ", sites(o), methods(o))
	it.Detail = joined(" · ", it.Detail, it.Site, ranges(o), d.comments(o))
	return it
}

// methods are how a result was come by (methodCode): sitting, standing, by cuff.
func methods(o node) string {
	var out []string
	for m := range o.Elements("methodCode") {
		if w := codeWords(readCode(m)); w != "" && len(out) < 4 {
			out = append(out, "method: "+clip(w, 120))
		}
	}
	return strings.Join(out, ", ")
}

// valueOf is a value in words: also one that stands in the narrative, and why there is none.
func (d *Document) valueOf(v node) string {
	if q := quantity(v); q != "" {
		return q
	}
	if w := firstOf(d.original(v), d.textOf(v)); w != "" {
		return clip(w, 400)
	}
	if why := v.Attr("nullFlavor"); why != "NI" && why != "NA" {
		return chart.NullWords(why)
	}
	return ""
}

// resultName is the sender's own name of a test where code and words name the same: a code's long name
// tells a reader no more.
func resultName(c chart.Code, otherwise string) string {
	display := component(c.Display)
	switch {
	case c.Text == "" && c.Display == "":
		return otherwise
	case c.Text != "" && !generic(c.Text) && share(c.Display, c.Text):
		return c.Text
	}
	return codeWords(chart.Code{Display: display, Text: c.Text})
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

// interpretation is the sender's own judgement of a result in words; "normal" says nothing and is "".
func interpretation(o node) string {
	var out []string
	for i := range o.Elements("interpretationCode") {
		c := readCode(i)
		w := flagWord(c.Code, c.Display)
		said := clip(c.Text, 80)
		switch low := strings.ToLower(said); {
		case len(said) < 4 && w != "" || said == "" || low == "normal" || low == "n" || strings.EqualFold(said, c.Code) || strings.EqualFold(said, c.Display) || holdsWords(w, said):
		case w == "":
			w = low
		default:
			w += " (“" + said + "”)"
		}
		if w != "" && len(out) < 4 {
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
	r := usualRange(o)
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
	if x, err := strconv.ParseFloat(trim(lowText), 64); err == nil && (value < x || value == x && open(low)) {
		return "below the stated range"
	}
	if x, err := strconv.ParseFloat(trim(highText), 64); err == nil && (value > x || value == x && open(high)) {
		return "above the stated range"
	}
	return ""
}

// usualRange is the reference range that is said to be the normal one, or the only one that is not said
// to be another; a range for "high" is no measure of what is usual.
func usualRange(o node) node {
	var found node
	for rr := range o.Elements("referenceRange") {
		r := rr.Child("observationRange")
		switch r.Child("interpretationCode").Attr("code") {
		case "N":
			return r
		case "":
			if found.OK() {
				return node{} // several, and nothing tells which holds for this patient
			}
			found = r
		}
	}
	return found
}

func flagWord(code, display string) string {
	switch code {
	case "N":
		return ""
	case "":
		if low := strings.ToLower(clip(display, 60)); low != "normal" {
			return low
		}
		return ""
	}
	if w := chart.FlagName(code); w != "" {
		return w
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
			if s = squeeze(or.Child("text").Text(200)); s == "" {
				s = codeWords(readCode(or.Child("value")))
			}
		}
		word := "usual"
		if i := readCode(or.Child("interpretationCode")); i.Code != "" && i.Code != "N" {
			word = "range for " + flagWord(i.Code, i.Display) + ":"
		}
		if s != "" && len(out) < 4 {
			out = append(out, word+" "+s)
		}
	}
	return strings.Join(out, "; ")
}
