package view

import (
	"fmt"
	"io"
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/page"
)

// MaxRaw is how much of a document is shown as it was sent, in bytes.
const MaxRaw = 512 << 10

// WriteRaw shows the start of a document's bytes as text, folded.
func WriteRaw(p *page.Writer, src io.ReaderAt, size int64, label string) {
	p.Open(page.Section, page.Cls(page.Raw))
	p.Open(page.Details)
	if size > MaxRaw {
		label += fmt.Sprintf(", the first %d KB of %s", MaxRaw>>10, sizeText(size))
	}
	p.Elem(page.Summary, label)
	p.Open(page.Pre, page.Focusable())
	buf := make([]byte, min(size, MaxRaw))
	n, err := src.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		p.Text("(the document cannot be read: " + err.Error() + ")")
	}
	p.Text(strings.ToValidUTF8(string(buf[:n]), "\uFFFD"))
	p.CloseTo(p.Depth() - 3)
}

// writeFindings lists findings and repairs; problems are shown at once, the rest folded.
func writeFindings(p *page.Writer, findings []chart.Finding, repairs []string) {
	if len(findings) == 0 && len(repairs) == 0 {
		return
	}
	count := map[chart.Severity]int{}
	for _, f := range findings {
		count[f.Severity]++
	}
	p.Open(page.Section, page.ID("checks"))
	p.Open(page.Details, openIf(count[chart.Problem] > 0))
	p.Elem(page.Summary, "Checks: "+tally(count, len(repairs)))
	p.Open(page.Ul, page.Cls(page.ListPlain))
	for _, sev := range []chart.Severity{chart.Problem, chart.Warning, chart.Note} {
		for _, f := range findings {
			if f.Severity == sev {
				writeFinding(p, f)
			}
		}
	}
	for _, r := range repairs {
		p.Elem(page.Li, "Mended while reading: "+r+".", page.Cls(page.Note))
	}
	p.CloseTo(p.Depth() - 3)
}

func writeFinding(p *page.Writer, f chart.Finding) {
	cls := page.Note
	switch f.Severity {
	case chart.Problem:
		cls = page.Problem
	case chart.Warning:
		cls = page.Warning
	}
	p.Open(page.Li, page.Cls(cls))
	p.Text(f.Text)
	if f.Where != "" {
		p.Text(" ")
		p.Elem(page.A, "section", page.Link(f.Where), page.Cls(page.Source))
	}
	p.Close()
}

func openIf(b bool) page.Attr {
	if b {
		return page.Opened()
	}
	return page.Attr{}
}

func tally(count map[chart.Severity]int, repairs int) string {
	var out []string
	add := func(n int, word string) {
		switch {
		case n == 1:
			out = append(out, "1 "+word)
		case n > 1:
			out = append(out, fmt.Sprintf("%d %ss", n, word))
		}
	}
	add(count[chart.Problem], "problem")
	add(count[chart.Warning], "warning")
	add(count[chart.Note], "note")
	add(repairs, "repair")
	return strings.Join(out, ", ")
}

// writeHeaderFacts is everything the header says, folded.
func writeHeaderFacts(p *page.Writer, d *ccda.Document) {
	p.Open(page.Section, page.ID("header"))
	p.Open(page.Details)
	p.Elem(page.Summary, "About this document: people, identifiers, visit, history")
	p.Open(page.Dl, page.Cls(page.Facts))
	row(p, "Type", join(" · ", d.Type.Name, by(d.Type.By), d.Type.Release))
	row(p, "Document code", join(" ", systemName(d.Code.System), d.Code.Code, d.Code.Display))
	row(p, "Title", d.Title)
	row(p, "Document id", d.ID.String())
	row(p, "Set id, version", join(", version ", d.SetID.String(), d.Version))
	row(p, "Written", d.Time.String())
	row(p, "Confidentiality", join(" ", d.Confidentiality.Code, privacyWords(d.Confidentiality.Code)))
	row(p, "Language", d.Language)
	for _, pt := range d.Patients {
		patientRows(p, pt)
	}
	peopleRows(p, "Author", d.Authors)
	row(p, "Keeper of the original", orgText(d.Custodian))
	peopleRows(p, "Signed by", d.Authenticators)
	peopleRows(p, "Intended for", d.Recipients)
	peopleRows(p, "Entered by", d.Enterers)
	peopleRows(p, "Informant", d.Informants)
	peopleRows(p, "Other person", d.Participants)
	for _, e := range d.Encounters {
		row(p, "Visit", join(" · ", e.Code.Words(), period(e.Start, e.End), e.Place, idList(e.IDs), e.Disposition.Words()))
		peopleRows(p, "At the visit", e.People)
	}
	for _, s := range d.Services {
		row(p, "Care documented", join(" · ", s.Code.Words(), period(s.Start, s.End)))
		peopleRows(p, "Given by", s.Performers)
	}
	for _, o := range d.Orders {
		row(p, "Answers the order", o.String())
	}
	for _, r := range d.Related {
		row(p, relation(r.Type), join(" · ", idList(r.IDs), r.SetID.String(), r.Version))
	}
	for _, t := range d.Templates {
		row(p, "Template", join(":", t.Root, t.Extension))
	}
	p.CloseTo(p.Depth() - 3)
}

func by(b string) string {
	if b == "" {
		return ""
	}
	return "told by its " + b
}

func relation(t string) string {
	switch t {
	case "RPLC":
		return "Replaces"
	case "APND":
		return "Adds to"
	case "XFRM":
		return "Made from"
	}
	return "Related to"
}

func row(p *page.Writer, key, value string) {
	if strings.TrimSpace(value) == "" {
		return
	}
	p.Elem(page.Dt, key)
	p.Elem(page.Dd, value)
}

func patientRows(p *page.Writer, pt chart.Patient) {
	row(p, "Patient", join(" · ", pt.Name.String(), pt.Birth.Date(), sexWords(pt.Sex)))
	for _, n := range pt.Others {
		row(p, "Also named", n.String())
	}
	row(p, "Patient's numbers", idList(pt.IDs))
	for _, a := range pt.Addresses {
		row(p, "Patient's address", a.String())
	}
	for _, t := range pt.Telecoms {
		row(p, "Patient's phone or mail", t.Number())
	}
	row(p, "Race, ethnicity", join(", ", pt.Race.Words(), pt.Ethnicity.Words()))
	row(p, "Marital status", pt.Marital.Words())
	row(p, "Languages", strings.Join(pt.Languages, ", "))
	peopleRows(p, "Guardian", pt.Guardians)
	row(p, "Patient of", orgText(pt.Provider))
}

func peopleRows(p *page.Writer, key string, list []chart.Person) {
	for _, x := range list {
		row(p, key, join(" · ", x.String(), x.Role.Words(), contact(x.Telecoms, x.Organization.Telecoms), x.Time.String()))
	}
}

func orgText(o chart.Organization) string {
	var addr string
	if len(o.Addresses) > 0 {
		addr = o.Addresses[0].String()
	}
	return join(" · ", o.Name, contact(o.Telecoms, nil), addr)
}

func contact(a, b []chart.Telecom) string {
	var out []string
	for _, t := range append(append([]chart.Telecom{}, a...), b...) {
		if len(out) < 3 {
			out = append(out, t.Number())
		}
	}
	return strings.Join(out, ", ")
}

func idList(ids []chart.ID) string {
	var out []string
	for _, id := range ids {
		if !id.Zero() {
			out = append(out, join(" ", id.String(), parens(id.Authority)))
		}
	}
	return strings.Join(out, "; ")
}

func parens(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}
