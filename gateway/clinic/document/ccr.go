package document

import (
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/view"
	"postern/gateway/clinic/document/xmltree"
)

// readCCR reads an ASTM Continuity of Care Record as far as a reader needs it.
func (d *Document) readCCR(root xmltree.Node) {
	d.Kind, d.Type = CCR, "Continuity of Care Record"
	find := func(n xmltree.Node, names ...string) xmltree.Node {
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
	text := func(n xmltree.Node) string { return ccda.Plain(n, 2000) }
	d.ID = text(find(root, "CCRDocumentObjectID"))
	d.Date = chart.ParseTime(text(find(root, "DateTime", "ExactDateTime")))
	who := text(find(root, "Patient", "ActorID"))
	for actor := range find(root, "Actors").Elements("") {
		if text(find(actor, "ActorObjectID")) != who {
			continue
		}
		person := find(actor, "Person")
		name := find(person, "Name", "CurrentName")
		if !name.OK() {
			name = find(person, "Name", "BirthName")
		}
		p := &chart.Patient{Name: chart.Name{Given: text(find(name, "Given")), Family: text(find(name, "Family"))},
			Birth: chart.ParseTime(text(find(person, "DateOfBirth", "ExactDateTime"))), Sex: chart.Code{Text: text(find(person, "Gender", "Text"))}}
		if p.Name.Zero() {
			p.Name.Text = text(find(person, "Name"))
		}
		if id := text(find(actor, "IDs", "ID")); id != "" {
			p.IDs = []chart.ID{{Extension: id}}
		}
		d.Patient = p
	}
	d.sheet = view.Sheet{Kind: "Continuity of Care Record (ASTM CCR)", Title: d.title("Continuity of Care Record"), Patient: d.Patient, Date: d.Date}
	for section := range find(root, "Body").Elements("") {
		for entry := range section.Elements("") {
			name := text(find(entry, "Description", "Text"))
			if name == "" {
				name = text(find(entry, "Product", "ProductName", "Text"))
			}
			if name == "" {
				name = clip(text(entry), 200)
			}
			if len(d.sheet.Lines) < 5000 && name != "" {
				value := strings.TrimSpace(text(find(entry, "Test", "TestResult", "Value")) + " " + text(find(entry, "Test", "TestResult", "Units", "Unit")))
				if value == "" {
					value = clip(text(find(entry, "Test", "TestResult", "Description", "Text")), 400)
				}
				d.sheet.Lines = append(d.sheet.Lines, chart.Line{Group: localName(section.Name()), Name: name, Value: value, Note: text(find(entry, "Status", "Text")),
					Time: chart.ParseTime(text(find(entry, "DateTime", "ExactDateTime")))})
			}
		}
	}
	d.Lines = d.sheet.Lines
	d.raw("The document as it was sent (XML)")
}
