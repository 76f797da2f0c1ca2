package document

import (
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/view"
	"postern/gateway/clinic/document/xmltree"
)

// maxCCRLines is how many lines of a CCR are shown.
const maxCCRLines = 5000

// ccrFind is the element at a path of local names.
func ccrFind(n xmltree.Node, names ...string) xmltree.Node {
	for _, name := range names {
		var next xmltree.Node
		for c := range n.Elements("") {
			if localName(c.Name()) == name {
				next = c
				break
			}
		}
		n = next
	}
	return n
}

func ccrText(n xmltree.Node, names ...string) string {
	return ccda.Plain(ccrFind(n, names...), 2000)
}

// readCCR reads an ASTM Continuity of Care Record as far as a reader needs it.
func (d *Document) readCCR(root xmltree.Node) {
	d.Kind, d.Type = CCR, "Continuity of Care Record"
	d.ID = ccrText(root, "CCRDocumentObjectID")
	d.Date = chart.ParseTime(ccrText(root, "DateTime", "ExactDateTime"))
	patients := 0
	for c := range root.Elements("") {
		if localName(c.Name()) == "Patient" {
			patients++
		}
	}
	if patients > 1 {
		d.finding(chart.Problem, "several-patients", "The record names %d patients and does not say which entries are whose; only the first is named above.", patients)
	}
	d.Patient = ccrPatient(root)
	d.sheet = view.Sheet{Kind: "Continuity of Care Record (ASTM CCR)", Title: d.title("Continuity of Care Record"), Patient: d.Patient, Date: d.Date}
	left := 0
	for section := range ccrFind(root, "Body").Elements("") {
		for entry := range section.Elements("") {
			for _, l := range ccrLines(localName(section.Name()), entry) {
				if len(d.sheet.Lines) < maxCCRLines {
					d.sheet.Lines = append(d.sheet.Lines, l)
				} else {
					left++
				}
			}
		}
	}
	if left > 0 {
		d.finding(chart.Problem, "lines-cut", "%d more lines are only in the document as sent.", left)
	}
	d.Lines = d.sheet.Lines
	d.raw("The document as it was sent (XML)")
}

// ccrPatient is the actor the record names as its patient.
func ccrPatient(root xmltree.Node) *chart.Patient {
	who := ccrText(root, "Patient", "ActorID")
	for actor := range ccrFind(root, "Actors").Elements("") {
		if who == "" || ccrText(actor, "ActorObjectID") != who {
			continue
		}
		person := ccrFind(actor, "Person")
		name := ccrFind(person, "Name", "CurrentName")
		if !name.OK() {
			name = ccrFind(person, "Name", "BirthName")
		}
		p := &chart.Patient{Name: chart.Name{Given: ccrText(name, "Given"), Family: ccrText(name, "Family")},
			Birth: chart.ParseTime(ccrText(person, "DateOfBirth", "ExactDateTime")), Sex: chart.Code{Text: ccrText(person, "Gender", "Text")}}
		if p.Name.Zero() {
			p.Name.Text = ccrText(person, "Name")
		}
		if id := ccrText(actor, "IDs", "ID"); id != "" {
			p.IDs = []chart.ID{{Extension: id}}
		}
		return p
	}
	return nil
}

// ccrLines are the lines of one entry: a result gives one for each of its tests.
func ccrLines(group string, entry xmltree.Node) []chart.Line {
	var out []chart.Line
	for test := range entry.Elements("") {
		if localName(test.Name()) == "Test" && len(out) < 500 {
			out = append(out, ccrTest(group, entry, test))
		}
	}
	if len(out) > 0 {
		return out
	}
	l := chart.Line{Group: group, Name: ccrText(entry, "Description", "Text"), Time: ccrTime(entry)}
	if product := ccrFind(entry, "Product"); product.OK() {
		brand := ccrText(product, "BrandName", "Text")
		if brand != "" {
			brand = "(" + brand + ")"
		}
		l.Name = joined(" ", ccrText(product, "ProductName", "Text"), brand, ccrText(product, "Strength", "Value"), ccrText(product, "Strength", "Units", "Unit"), ccrText(product, "Form", "Text"))
	}
	if l.Name == "" {
		l.Name = clip(ccda.Plain(entry, 2000), 200)
	}
	if l.Name == "" {
		return nil
	}
	status := ccrText(entry, "Status", "Text")
	l.Note = joined(" · ", ccda.Plain(ccrFind(entry, "Directions"), 400), ccda.Plain(ccrFind(entry, "PatientInstructions"), 400), ccrText(entry, "Reaction", "Description", "Text"), ccrText(entry, "Reaction", "Severity", "Text"))
	ccrStanding(&l, status, entry)
	return []chart.Line{l}
}

func ccrTest(group string, entry, test xmltree.Node) chart.Line {
	l := chart.Line{Group: group, Name: ccrText(test, "Description", "Text"), Time: ccrTime(test), Flag: ccrText(test, "Flag", "Text")}
	if panel := ccrText(entry, "Description", "Text"); l.Name == "" {
		l.Name = panel
	} else if panel != "" && panel != l.Name {
		l.Name = panel + ": " + l.Name
	}
	if l.Name == "" {
		l.Name = "not named"
	}
	if l.Time.Zero() {
		l.Time = ccrTime(entry)
	}
	l.Value = joined(" ", ccrText(test, "TestResult", "Value"), ccrText(test, "TestResult", "Units", "Unit"))
	if l.Value == "" {
		l.Value = clip(ccrText(test, "TestResult", "Description", "Text"), 400)
	}
	if l.Value == "" {
		l.Value = "(no value stated)"
	}
	if usual := joined(" ", ccrText(test, "NormalResult", "Normal", "Value"), ccrText(test, "NormalResult", "Normal", "Units", "Unit")); usual != "" {
		l.Note = "usual " + usual
	}
	status := ccrText(test, "Status", "Text")
	if status == "" {
		status = ccrText(entry, "Status", "Text")
	}
	ccrStanding(&l, status, test)
	return l
}

// ccrTime is the first date of an entry that does not say it is its end.
func ccrTime(n xmltree.Node) chart.Time {
	for c := range n.Elements("") {
		if localName(c.Name()) != "DateTime" || ccrEnd(c) {
			continue
		}
		if t := ccrText(c, "ExactDateTime"); t != "" {
			return chart.ParseTime(t)
		}
		return chart.ParseTime(ccrText(c, "ApproximateDateTime", "Text"))
	}
	return chart.Time{}
}

func ccrEnd(date xmltree.Node) bool {
	t := strings.ToLower(ccrText(date, "Type", "Text"))
	return strings.Contains(t, "resol") || strings.Contains(t, "end") || strings.Contains(t, "stop")
}

// ccrStanding reads the status, which a CCR writes in free words, and an end date. Words that are not
// known are shown with the line.
func ccrStanding(l *chart.Line, status string, n xmltree.Node) {
	w := strings.ToLower(strings.TrimSpace(status))
	has := func(list ...string) bool {
		for _, x := range list {
			if strings.Contains(w, x) {
				return true
			}
		}
		return false
	}
	switch {
	case has("error", "retract", "void"):
		l.Standing, l.Status = chart.Withdrawn, w
	case has("ruled out", "rule out", "denied", "refuted", "not done", "not performed", "not taking", "refused"):
		l.Standing, l.Status = chart.Denied, w
	case has("inactive", "resolved", "no longer", "discontinued", "stopped", "cancel", "prior history"), has("completed") && (l.Group == "Medications" || l.Group == "PlanOfCare"):
		l.Standing, l.Status = chart.Over, w
	case has("prelim", "pending", "suspect", "possible", "provisional", "on hold", "unconfirmed", "planned", "ordered"):
		l.Standing, l.Status = chart.Unsettled, w
	case w != "active" && w != "current" && w != "final result" && w != "final" && w != "completed":
		l.Note = joined(" · ", l.Note, status)
	}
	for c := range n.Elements("") {
		if localName(c.Name()) == "DateTime" && ccrEnd(c) && l.Standing == chart.Holds {
			l.Standing, l.Status = chart.Over, "ended "+joined("", ccrText(c, "ExactDateTime"), ccrText(c, "ApproximateDateTime", "Text"))
		}
	}
	if l.Standing == chart.Holds && l.Group == "Alerts" && chart.NoneKnown(chart.Code{Text: l.Name}) {
		l.Standing = chart.Denied
	}
}

func joined(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}
