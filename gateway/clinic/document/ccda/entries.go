package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

type node = xmltree.Node

// refer fills in the narrative an act or its code points at.
func (d *Document) refer(it *Item, acts ...node) {
	for _, act := range acts {
		for _, at := range []node{act.Child("text", "reference"), act.Child("originalText", "reference"), act.Child("reference")} {
			id, ok := strings.CutPrefix(strings.TrimSpace(at.Attr("value")), "#")
			if !ok || id == "" {
				continue
			}
			if w, ok := d.wordsAt(id); ok {
				it.Anchor, it.Narrative = id, w.itself
				return
			}
		}
	}
}

// told is the text at a narrative anchor: of the element itself, and of the row or paragraph around it.
type told struct{ itself, row string }

// maxTold is how many of them are remembered, so that many lines that point at one text cost one reading.
const maxTold = 64

func (d *Document) wordsAt(id string) (told, bool) {
	if w, ok := d.told[id]; ok {
		return w, true
	}
	n, ok := d.ByID(id)
	if !ok {
		return told{}, false
	}
	if d.told == nil || len(d.told) >= maxTold {
		d.told = map[string]told{}
	}
	w := told{Plain(n, maxWords), Plain(rowOf(n), maxWords)}
	d.told[id] = w
	return w, true
}

// maxAnchors is how many narrative anchors are indexed.
const maxAnchors = 100000

// ByID is the narrative element with that ID.
func (d *Document) ByID(id string) (xmltree.Node, bool) {
	if d.ids == nil {
		d.ids = map[string]node{}
		for _, s := range d.Sections {
			s.Narrative.Walk(func(n node) bool {
				if v, ok := n.LookupAttr("ID"); ok && len(d.ids) < maxAnchors {
					if _, twice := d.ids[v]; !twice {
						d.ids[v] = n
					}
				}
				return true
			}, nil)
		}
	}
	n, ok := d.ids[id]
	return n, ok
}

// named sets code, name and narrative of an item: the display name, the sender's words, the narrative.
func (d *Document) named(it *Item, code node, acts ...node) {
	it.Code = readCode(code)
	d.refer(it, append([]node{code}, acts...)...)
	it.Name = it.Code.Display
	if it.Name == "" {
		it.Name = it.Code.Text
	}
	if it.Name == "" && it.Narrative != "" {
		it.Name = clip(it.Narrative, 160)
	}
}

func hasTemplate(n node, root string) bool {
	for t := range n.Elements("templateId") {
		if t.Attr("root") == root {
			return true
		}
	}
	return false
}

// negated reads the flag as xs:boolean is written: "true" or "1".
func negated(n node) bool {
	v := strings.TrimSpace(n.Attr("negationInd"))
	return v == "true" || v == "1"
}

// maxInner is how many observations of one entry are read.
const maxInner = 500

// concerns are the observations inside a concern act, or the observation itself.
func concerns(act node) []node {
	return inner(act, "observation", 0, nil)
}

// maxActs is how deep acts inside acts are looked through for what they are about.
const maxActs = 3

// inner are the elements of that name inside an act, through the acts and organizers between.
func inner(act node, name string, depth int, out []node) []node {
	if act.Name() == name {
		if len(out) < maxInner && (name != "observation" || !qualifying(act)) {
			out = append(out, act)
		}
		return out
	}
	if name := act.Name(); name != "act" && name != "organizer" || depth > maxActs {
		return out
	}
	for link := range act.Elements("") {
		if n := link.Name(); n == "entryRelationship" || n == "component" {
			for next := range link.Elements("") {
				out = inner(next, name, depth+1, out)
			}
		}
	}
	return out
}

// qualifying says whether an observation only qualifies what it hangs on: severity, reaction, status,
// criticality, age, priority. QUIRK: some senders hang them on the concern, beside what they qualify.
func qualifying(o node) bool {
	switch o.Child("code").Attr("code") {
	case "SEV", "33999-4", "11323-3", "82606-5", "445518008", "225773000":
		return true
	}
	for t := range o.Elements("templateId") {
		switch strings.TrimPrefix(t.Attr("root"), "2.16.840.1.113883.10.20.22.4.") {
		case "5", "6", "8", "9", "28", "31", "143", "145":
			return true
		}
	}
	return false
}

func readProblems(d *Document, act node) []Item {
	var out []Item
	for _, o := range concerns(act) {
		value := o.Child("value")
		if !value.OK() {
			continue
		}
		var it Item
		d.named(&it, value, o, act)
		it.Negated = negated(o) || it.Code.Code == "160245001"
		if it.Negated && (it.Code.Code == "55607006" || it.Code.Zero()) {
			it.Name = "No known problems"
		}
		it.Start, it.End = span(o.Child("effectiveTime"))
		it.Status = problemStatus(act, o, it.End)
		out = append(out, it)
	}
	return out
}

// span is an interval whose end is one. QUIRK: OpenVista writes the instant of recording as both ends,
// which must not make an allergy a thing of the past.
func span(n node) (start, end chart.Time) {
	if start, end = readInterval(n); start.Raw == end.Raw {
		end = chart.Time{}
	}
	return start, end
}

// problemStatus prefers what is said of the problem itself over what is said of the concern about it.
func problemStatus(act, o node, end chart.Time) string {
	for er := range o.Elements("entryRelationship") {
		s := er.Child("observation")
		if s.OK() && (s.Child("code").Attr("code") == "33999-4" || hasTemplate(s, "2.16.840.1.113883.10.20.22.4.6")) {
			if w := qualifier(s.Child("value")); w != "" {
				return w
			}
		}
	}
	if end.Precision > chart.Unknown {
		return "resolved"
	}
	if act.Name() == "act" {
		return act.Child("statusCode").Attr("code")
	}
	return ""
}

func readAllergies(d *Document, act node) []Item {
	var out []Item
	for _, o := range concerns(act) {
		var it Item
		var agent node
		for p := range o.Elements("participant") {
			if e := p.Child("participantRole", "playingEntity"); e.OK() {
				agent = e
				break
			}
		}
		d.named(&it, agent.Child("code"), o, act)
		if n := squeeze(agent.Child("name").Text(maxWords)); n != "" && it.Code.Zero() {
			it.Name = n
		}
		kind := readCode(o.Child("value"))
		it.Negated = negated(o)
		switch kind.Code {
		case "716186003", "409137002", "160244002", "428607008":
			it.Negated, it.Name = true, kind.Words()
		}
		if it.Negated && it.Code.Code == "" && it.Code.Text == "" && (it.Name == "" || it.Name == it.Narrative || it.Code.Null != "") {
			it.Name = noneKnown(kind)
		}
		if words := allergyKind(kind); it.Name == "" && words != "" {
			it.Name = words + ": substance not named"
		}
		it.Detail = reactions(o)
		it.Start, it.End = span(o.Child("effectiveTime"))
		it.Status = allergyStatus(act, o, it.End)
		out = append(out, it)
	}
	return out
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

func noneKnown(kind chart.Code) string {
	if strings.Contains(strings.ToLower(kind.Words()), "drug") {
		return "No known drug allergies"
	}
	return "No known allergies"
}

func allergyStatus(act, o node, end chart.Time) string {
	for er := range o.Elements("entryRelationship") {
		if s := er.Child("observation"); s.Child("code").Attr("code") == "33999-4" {
			return qualifier(s.Child("value"))
		}
	}
	if end.Precision > chart.Unknown {
		return "resolved"
	}
	return act.Child("statusCode").Attr("code")
}

// reactions are the manifestations with severity and criticality, as stated.
func reactions(o node) string {
	var out []string
	for er := range o.Elements("entryRelationship") {
		r := er.Child("observation")
		w := readCode(r.Child("value")).Words()
		if !r.OK() || w == "" || len(out) >= maxIDs {
			continue
		}
		switch {
		case er.Attr("typeCode") == "MFST":
			if sev := severity(r); sev != "" {
				w += " (" + sev + ")"
			}
			out = append(out, w)
		case hasTemplate(r, "2.16.840.1.113883.10.20.22.4.8"):
			out = append(out, "severity "+qualifier(r.Child("value")))
		case hasTemplate(r, "2.16.840.1.113883.10.20.22.4.145"):
			out = append(out, "criticality "+qualifier(r.Child("value")))
		}
	}
	return strings.Join(out, ", ")
}

func severity(r node) string {
	for er := range r.Elements("entryRelationship") {
		if s := er.Child("observation"); hasTemplate(s, "2.16.840.1.113883.10.20.22.4.8") || s.Child("code").Attr("code") == "SEV" {
			return qualifier(s.Child("value"))
		}
	}
	return ""
}

// readActsOf reads procedures, encounters, plans and referrals: whatever act stands in the entry.
func readActsOf(d *Document, act node) []Item {
	if act.Name() == "substanceAdministration" {
		return readMedicines(d, act)
	}
	if act.Name() == "organizer" {
		var out []Item
		for c := range act.Elements("component") {
			for inner := range c.Elements("") {
				if inner.Name() != "organizer" && len(out) < maxInner {
					out = append(out, readActsOf(d, inner)...)
				}
			}
		}
		return out
	}
	if act.Name() == "supply" && !act.Child("code").OK() {
		return nil
	}
	var it Item
	d.named(&it, act.Child("code"), act)
	if v := act.Child("value"); v.OK() && act.Name() == "observation" {
		it.Value = quantity(v)
		if it.Value == it.Name {
			it.Value = ""
		}
	}
	it.Negated = negated(act)
	it.Start, it.End = readInterval(act.Child("effectiveTime"))
	it.Status = act.Child("statusCode").Attr("code")
	var detail []string
	if p := readCode(act.Child("priorityCode")).Words(); p != "" {
		detail = append(detail, "priority "+strings.ToLower(p))
	}
	if who := performer(act); who != "" {
		detail = append(detail, who)
	}
	it.Detail = strings.Join(detail, " · ")
	if it.Name == "" && it.Value == "" && it.Code.Code == "" && it.Narrative == "" && it.Start.Precision == chart.Unknown {
		return nil
	}
	return []Item{it}
}

func performer(act node) string {
	if p := act.Child("performer", "assignedEntity"); p.OK() {
		return readPerson(p).String()
	}
	for p := range act.Elements("participant") {
		if r := p.Child("participantRole"); p.Attr("typeCode") == "LOC" && r.OK() {
			return squeeze(r.Child("playingEntity", "name").Text(maxWords))
		}
	}
	return ""
}

// qualifier is a coded status or severity in lower-case words, also where the sender left the words out.
func qualifier(v node) string {
	c := readCode(v)
	if c.Display == "" && c.Text == "" {
		switch c.Code {
		case "55561003":
			return "active"
		case "73425007":
			return "inactive"
		case "413322009":
			return "resolved"
		case "255604002":
			return "mild"
		case "371923003":
			return "mild to moderate"
		case "6736007":
			return "moderate"
		case "371924009":
			return "moderate to severe"
		case "24484000":
			return "severe"
		case "399166001":
			return "fatal"
		}
	}
	return strings.TrimRight(strings.ToLower(c.Words()), " -.")
}
