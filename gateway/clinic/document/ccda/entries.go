package ccda

import (
	"strings"
	"time"

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
// struck: it is struck out, and both are empty.
type told struct {
	itself, row string
	around      string // the group of rows around the row, where the sender made one of each thing
	struck      bool
	filler      bool // it is struck out and only says that there is no text; filled is what it says
	filled      string
	long        bool // the anchor is on a row, table or list: its text is more than a name
	whole       bool // the anchor is on a table, list or the whole text: it is about more than one thing
}

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
	w := told{struck: struckWithin(n)}
	if !w.struck {
		w.itself, w.row = Plain(n, maxWords), d.rowWords(rowOf(n))
		if group := rowOf(n).Parent(); group.Name() == "tbody" && group.Attr("ID") != "" && severalGroups(group.Parent()) {
			w.around = Plain(group, maxCell)
		}
	} else if text := strings.ToLower(squeeze(n.Text(maxCell))); fills(text) {
		w.filler, w.filled = true, text // QUIRK: VA strikes out the text its entries must point at
	}
	switch n.Name() {
	case "table", "list", "text", "tbody":
		w.long, w.whole = true, true
	case "tr":
		w.long = true
	}
	d.told[id] = w
	return w, true
}

// fills says whether a text only says that there is none: "Problem type: not available". One that names anything, as
// "warfarin - not used", says something of that.
func fills(text string) bool {
	if !strings.Contains(text, "not available") && !strings.Contains(text, "not used") {
		return false
	}
	for _, w := range wordsOf(text) {
		switch w {
		case "used", "type", "severity", "provider", "name", "text", "comment", "comments", "source", "facility", "code", "coded", "value", "here":
			continue
		}
		if !onlyDenial(w) && !generic(w) && !slight(w) {
			return false
		}
	}
	return true
}

// severalGroups says whether a table has more than one group of rows.
func severalGroups(table node) bool {
	n := 0
	for range table.Elements("tbody") {
		if n++; n > 1 {
			return true
		}
	}
	return false
}

// rowWords is the text of a row; that of the last one is kept, for many lines may point into one row.
func (d *Document) rowWords(row node) string {
	if !row.OK() || d.row.words == "" || d.row.of != row.ID() {
		d.row.of, d.row.words = row.ID(), Plain(row, maxWords)
	}
	return d.row.words
}

// maxAnchors is how many narrative anchors are indexed.
const maxAnchors = 100000

// ByID is the narrative element with that ID, the first one if there are several.
func (d *Document) ByID(id string) (xmltree.Node, bool) {
	if d.ids == nil {
		d.ids, d.twice = map[string]node{}, map[string]bool{}
		for _, s := range d.Sections {
			for _, text := range s.texts() {
				text.Walk(func(n node) bool {
					if v, ok := n.LookupAttr("ID"); ok && len(d.ids) < maxAnchors {
						if _, twice := d.ids[v]; twice {
							d.twice[v] = true
						} else {
							d.ids[v] = n
						}
					}
					return true
				}, nil)
			}
		}
	}
	n, ok := d.ids[id]
	return n, ok
}

// named sets code, name and narrative of an item: the sender's words and the display name where they say
// different things, or the narrative; and what qualifies the code.
func (d *Document) named(it *Item, code node, acts ...node) {
	if it.Code = readCode(code); !naming(it.Code.Text) {
		it.Code.Text = "" // a number or a pointer that was written as text
	}
	d.refer(it, append([]node{code}, acts...)...)
	it.Name = codeWords(chart.Code{Display: it.Code.Display, Text: it.Code.Text})
	if w := d.original(code); w != "" && it.Name != "" && generic(it.Name) && !holdsWords(it.Name, w) {
		if denies(w) {
			it.Name = w
		} else {
			it.Name = clip(w, 160) + " (coded as " + it.Name + ")"
		}
	}
	if it.Name == "" && it.Narrative != "" {
		it.Name = clip(it.Narrative, 160)
	}
	it.Detail = qualifiers(code)
}

// original are the sender's own words for a code where they stand in the narrative and are a name, not a row.
func (d *Document) original(code node) string {
	id, ok := strings.CutPrefix(trim(code.Child("originalText", "reference").Attr("value")), "#")
	if !ok || id == "" {
		return ""
	}
	if w, ok := d.wordsAt(id); ok && !w.long && len(w.itself) <= 160 {
		return w.itself
	}
	return ""
}

// generic says whether a display name names only a class of things, so that it would hide what the
// sender's own words say: "Disease", "Allergy to substance".
func generic(name string) bool {
	for _, w := range wordsOf(name) {
		switch w {
		case "to", "of", "the", "a", "for", "and", "or", "substance", "drug", "drugs", "food", "finding", "findings", "problem", "disease", "disorder", "condition", "diagnosis", "symptom",
			"complaint", "allergy", "allergic", "intolerance", "propensity", "adverse", "reaction", "reactions", "medication", "medicine", "medicament", "product", "procedure", "observation", "other",
			"unspecified", "not", "otherwise", "specified", "nos", "unknown", "clinical", "event", "situation", "treatment", "therapy", "test", "result", "assertion", "environmental", "agent", "material":
		default:
			return false
		}
	}
	return true
}

func hasTemplate(n node, root string) bool {
	for t := range n.Elements("templateId") {
		if t.Attr("root") == root {
			return true
		}
	}
	return false
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
		for v := range o.Elements("value") { // no profile allows a second one; none may be lost
			if w := codeWords(readCode(v)); v.ID() != value.ID() && w != "" && len(it.Name) < maxWords {
				it.Name = joined("; ", it.Name, w)
			}
		}
		it.Start, it.End = span(o.Child("effectiveTime"))
		it.Status = problemStatus(act, o, it.End)
		it.byEnd = ownStatus(o) == ""
		it.stand(o)
		if none := it.Code.Code == "160245001"; none || it.Negated && (it.Code.Code == "55607006" || it.Code.Zero() && (it.Narrative == "" || denies(it.Narrative))) && (it.Code.Text == "" || denies(it.Code.Text)) {
			it.Negated = true
			if it.Name = "No known problems"; none && it.Code.Display != "" {
				it.Name = it.Code.Display
			}
		}
		it.Detail = joined(" · ", it.Detail, sites(o), unknownEnd(o, it), d.comments(o), remarks(d, act, o))
		out = append(out, it)
	}
	return out
}

// remarks are the comments on the act around an observation.
func remarks(d *Document, act, o node) string {
	if act.ID() == o.ID() {
		return ""
	}
	return d.comments(act)
}

// unknownEnd says that an end is stated but not known. C-CDA R2.1 (Problem Observation) reads it as
// resolved; QUIRK: many exporters write it for every problem, so nothing is concluded, and it is said.
func unknownEnd(o node, it Item) string {
	high := o.Child("effectiveTime", "high")
	if high.OK() && high.Attr("nullFlavor") == "UNK" && it.Status == "" {
		return mayBeOver + ": its end is stated as unknown"
	}
	return ""
}

// span is an interval whose end is one. QUIRK: OpenVista writes the instant of recording as both ends,
// MediTouch the seconds it took, which must not make an allergy a thing of the past.
func span(n node) (start, end chart.Time) {
	start, end = readInterval(n)
	if start.Raw == end.Raw || start.Precision > chart.Day && end.Precision > chart.Day && end.At.Sub(start.At).Abs() < time.Minute {
		end = chart.Time{}
	}
	return start, end
}

// problemStatus prefers what is said of the problem itself over what is said of the concern about it.
// The statusCode of the observation is that of the record, not of the problem.
func problemStatus(act, o node, end chart.Time) string {
	if w := ownStatus(o); w != "" {
		return w
	}
	if end.Precision > chart.Unknown {
		return "resolved"
	}
	if act.Name() == "act" {
		return act.Child("statusCode").Attr("code")
	}
	return ""
}

// ownStatus is the status observation of a problem, allergy or medicine.
func ownStatus(o node) string {
	for er := range o.Elements("entryRelationship") {
		for s := range er.Elements("observation") {
			if s.Child("code").Attr("code") == "33999-4" || hasTemplate(s, "2.16.840.1.113883.10.20.22.4.6") {
				if w := qualifier(s.Child("value")); w != "" && !negated(s) && !negated(er) {
					return w
				}
			}
		}
	}
	return ""
}

// qualifier is a coded status or severity in lower-case words, also where the sender left the words out
// or gave them more of them.
func qualifier(v node) string {
	c := readCode(v)
	known := ""
	switch c.Code {
	case "55561003":
		known = "active"
	case "73425007":
		known = "inactive"
	case "413322009", "723506003":
		known = "resolved"
	case "277022003":
		known = "in remission"
	case "255604002":
		known = "mild"
	case "371923003":
		known = "mild to moderate"
	case "6736007":
		known = "moderate"
	case "371924009":
		known = "moderate to severe"
	case "24484000":
		known = "severe"
	case "399166001":
		known = "fatal"
	}
	said := strings.TrimRight(strings.ToLower(c.Text), " -.")
	if said == "" {
		said = strings.TrimRight(strings.ToLower(c.Display), " -.")
	}
	switch {
	case said == "" && known == "":
		return strings.TrimRight(strings.ToLower(c.Code), " -.")
	case said == "" || known != "" && strings.HasPrefix(said, known+" "):
		return known
	case said == "no longer active" && known == "":
		return "inactive"
	}
	if over, active := statusWords(said); known != "" && (over != "" && known == "active" || active != "" && over == "" && (known == "inactive" || known == "resolved")) {
		return said + " (coded as " + known + ")"
	}
	return said
}
