// Package view writes the pages a clinician reads: a CDA document with its first page, and plain pages
// for everything else. It is the only user of page, and page can write nothing that runs or calls out.
//
// A CDA page holds, in this order: who and what (banner), the first page, what changed against an
// earlier document, the checks, the contents, every section with its narrative (empty ones folded), the
// facts of the header, and the XML as it was sent, escaped. Nothing of the document decides about
// elements, attributes, style or addresses.
//
// It does not read formats and does not decide what is important. Limits: maxNested elements in a
// narrative, maxPictures pictures, MaxRaw bytes of XML.
package view

import (
	"fmt"
	"io"
	"strings"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/page"
)

// CDA is what a page of a CDA document is made of.
type CDA struct {
	Doc      *ccda.Document
	Brief    brief.Brief
	Compared *brief.Comparison // nil = nothing to compare with
	Findings []chart.Finding
	Repairs  []string
	Raw      io.ReaderAt // the document as it was sent, nil = leave it out
	RawSize  int64
	Inside   func(*page.Writer) // shows the body of an unstructured document, nil = none
}

// Write writes a page around body and finishes it.
func Write(w io.Writer, title, lang string, body func(*page.Writer)) error {
	p := page.New(w, title, lang)
	p.Open(page.A, page.Cls(page.Skip), page.Link("content"))
	p.Text("Skip to the content")
	p.Close()
	p.Open(page.Main, page.ID("content"))
	body(p)
	p.Close()
	p.Open(page.Footer)
	p.Elem(page.P, "Shown by Postern from the document's own text and entries. Nothing in it was run, fetched or followed.")
	p.Close()
	return p.Finish()
}

// Body writes the document into a page.
func (v CDA) Body(p *page.Writer) {
	v.banner(p)
	if len(v.Doc.Sections) > 0 {
		writeBrief(p, v.Brief, v.Compared, v.sectionNames())
	} else if v.Compared != nil {
		p.Open(page.Div, page.Cls(page.Grid))
		writeComparison(p, v.Compared)
		p.Close()
	}
	v.checks(p)
	v.contents(p)
	v.sections(p)
	if v.Inside != nil {
		v.Inside(p)
	}
	v.silentBody(p)
	writeHeaderFacts(p, v.Doc)
	if v.Raw != nil {
		WriteRaw(p, v.Raw, v.RawSize, "The document as it was sent (XML)")
	}
}

// Title is what the page is called.
func (v CDA) Title() string {
	return join(" · ", v.Doc.Type.Name, v.Doc.Patient().Name.Sort(), v.Doc.Time.Date())
}

func (v CDA) sectionNames() map[string]string {
	out := map[string]string{}
	for _, s := range v.Doc.Sections {
		out[s.Anchor] = s.Name()
	}
	return out
}

func (v CDA) banner(p *page.Writer) {
	d := v.Doc
	p.Open(page.Header, page.Cls(page.Banner))
	p.Open(page.P, page.Cls(page.Meta))
	name := d.Type.Name
	if name == "" {
		name = "Clinical document without a stated type"
	}
	p.Elem(page.Span, name, page.Cls(page.Badge))
	if words := privacyWords(d.Confidentiality.Code); words != "" {
		p.Elem(page.Span, words, page.Cls(page.BadgeAlert))
	}
	if words := documentStatus(d.Status); words != "" {
		p.Elem(page.Span, words, page.Cls(page.BadgeAlert))
	}
	if t := d.Title; t != "" && !strings.EqualFold(t, name) {
		p.Text(t)
	}
	p.Close()
	writePatient(p, d.Patient(), d.Time)
	for i, other := range d.Patients {
		if i > 0 {
			p.Elem(page.P, "Also about: "+join(", ", other.Name.String(), other.Birth.Date()), page.Cls(page.Meta))
		}
	}
	v.provenance(p)
	p.Close()
}

// provenance is from whom, to whom, when, and what the document replaces.
func (v CDA) provenance(p *page.Writer) {
	d := v.Doc
	p.Open(page.Ul, page.Cls(page.Who, page.Meta))
	fact(p, "From", first(d.Authors, "not stated"))
	if len(d.Recipients) > 0 {
		fact(p, "To", d.Recipients[0].String())
	}
	written := d.Time.String()
	if written == "" {
		written = "date not stated"
	}
	fact(p, "Written", written)
	if len(d.Encounters) > 0 {
		e := d.Encounters[0]
		fact(p, "Visit", join(", ", e.Code.Words(), period(e.Start, e.End), e.Place))
	}
	for _, r := range d.Related {
		switch r.Type {
		case "RPLC":
			fact(p, "Replaces", "an earlier version")
		case "APND":
			fact(p, "Adds to", "an earlier document")
		}
	}
	p.Close()
}

func first(people []chart.Person, none string) string {
	for _, a := range people {
		if s := a.String(); s != "" {
			if n := len(people) - 1; n > 0 {
				return fmt.Sprintf("%s and %d more", s, n)
			}
			return s
		}
	}
	return none
}

func fact(p *page.Writer, key, value string) {
	if value == "" {
		return
	}
	p.Open(page.Li)
	p.Elem(page.Span, key+" ", page.Cls(page.Key))
	p.Text(value)
	p.Close()
}

// writePatient is the name large, and what tells the person from others.
func writePatient(p *page.Writer, pt chart.Patient, at chart.Time) {
	name := pt.Name.String()
	if name == "" {
		name = "Patient's name not stated"
	}
	p.Elem(page.H1, name)
	p.Open(page.Ul, page.Cls(page.Who))
	born := "not stated"
	if !pt.Birth.Zero() {
		born = pt.Birth.Date()
		if years, ok := pt.Birth.Age(at.At); ok && at.Precision >= chart.Day && pt.Deceased == "" {
			born += fmt.Sprintf(" (%d %s when this was written)", years, map[bool]string{true: "year", false: "years"}[years == 1])
		}
	}
	fact(p, "Born", born)
	fact(p, "Sex", sexWords(pt.Sex))
	fact(p, "Died", pt.Deceased)
	ids := 0
	for _, id := range pt.IDs {
		if id.Extension != "" && ids < 3 && !isSocialSecurity(id) {
			fact(p, idLabel(id), id.Extension)
			ids++
		}
	}
	if ids == 0 {
		fact(p, "Record number", "not stated"+socialSecurity(pt.IDs))
	}
	for i, t := range pt.Telecoms {
		if i < 1 {
			fact(p, "Phone", t.Number())
		}
	}
	p.Close()
}

func sexWords(c chart.Code) string {
	switch c.Code {
	case "F":
		return "female"
	case "M":
		return "male"
	case "UN":
		return "undifferentiated"
	}
	if w := c.Words(); w != "" {
		return strings.ToLower(w)
	}
	return "not stated"
}

// ssn is the naming system of social security numbers, which stay folded away.
const ssn = "2.16.840.1.113883.4.1"

// isSocialSecurity says whether an identifier is a social security number: by CDA's OID, FHIR's URI, or the
// type SS of table 0203.
func isSocialSecurity(id chart.ID) bool {
	return id.Root == ssn || id.Root == "http://hl7.org/fhir/sid/us-ssn" || id.Type == "SS"
}

// socialSecurity is the end of a social security number, where that is all there is.
func socialSecurity(ids []chart.ID) string {
	for _, id := range ids {
		n := len(id.Extension)
		if isSocialSecurity(id) && n >= 4 && strings.Trim(id.Extension[n-4:], "0123456789") == "" { // "Unknown" is none
			return ", social security number ending " + id.Extension[n-4:]
		}
	}
	return ""
}

func idLabel(id chart.ID) string {
	switch {
	case id.Authority != "":
		return "Number at " + id.Authority
	}
	return "Record number"
}

// privacyWords are for confidentiality codes beyond normal.
func privacyWords(code string) string {
	switch code {
	case "R":
		return "Restricted: specially protected information"
	case "V":
		return "Very restricted"
	}
	return ""
}

// documentStatus is for a document that is not simply in force (sdtc:statusCode).
func documentStatus(code string) string {
	switch code {
	case "", "completed", "active":
		return ""
	case "nullified":
		return "Withdrawn by its sender: entered in error"
	case "aborted", "cancelled":
		return "Not finished: " + code
	case "obsolete":
		return "Obsolete"
	}
	return "Status: " + code
}

// checks are the findings and repairs, the grave ones unfolded.
func (v CDA) checks(p *page.Writer) {
	writeFindings(p, v.Findings, v.Repairs)
}

func (v CDA) contents(p *page.Writer) {
	if len(v.Doc.Sections) < 2 {
		return
	}
	p.Open(page.Nav, page.Cls(page.Toc), page.Label("Contents"))
	p.Open(page.Details)
	p.Elem(page.Summary, fmt.Sprintf("Contents: %d sections", len(v.Doc.Sections)))
	p.Open(page.Ol)
	for i, s := range v.Doc.Sections {
		if i >= maxContents {
			p.Elem(page.Li, fmt.Sprintf("and %d more", len(v.Doc.Sections)-maxContents))
			break
		}
		p.Open(page.Li)
		p.Elem(page.A, s.Name(), page.Link(s.Anchor))
		if s.Empty() {
			p.Elem(page.Span, " (empty)", page.Cls(page.Muted))
		}
		p.Close()
	}
	p.CloseTo(p.Depth() - 3)
}

// maxContents is how many sections the contents list.
const maxContents = 500

func (v CDA) sections(p *page.Writer) {
	p.Open(page.Div)
	m := findMedia(v.Doc.Root)
	for _, s := range v.Doc.Sections {
		if s.Empty() && s.Entries == 0 {
			v.emptySection(p, s)
			continue
		}
		v.section(p, s, m)
	}
	p.Close()
}

func (v CDA) emptySection(p *page.Writer, s *ccda.Section) {
	p.Open(page.Details, page.Cls(page.Empty), page.ID(s.Anchor))
	p.Elem(page.Summary, s.Name()+": empty")
	words := "The section is in the document and holds no text."
	if s.Null != "" {
		words = "The sender states: " + chart.NullWords(s.Null) + "."
	}
	p.Elem(page.P, words)
	if s.Subject != "" {
		p.Elem(page.P, "About another person: "+s.Subject, page.Cls(page.BadgeAlert))
	}
	writeNarrative(p, s.Narrative, findMedia(s.Node))
	p.Close()
}

func (v CDA) section(p *page.Writer, s *ccda.Section, m *media) {
	level, tag := page.Plain, page.H2
	switch {
	case s.Level == 2:
		level, tag = page.Level2, page.H3
	case s.Level > 2:
		level, tag = page.Level3, page.H4
	}
	p.Open(page.Section, page.ID(s.Anchor), page.Cls(level))
	p.Elem(tag, s.Name())
	if words := privacyWords(s.Privacy.Code); words != "" {
		p.Elem(page.P, words, page.Cls(page.BadgeAlert))
	}
	if s.Subject != "" {
		p.Elem(page.P, "About another person, not the patient: "+s.Subject, page.Cls(page.BadgeAlert))
	}
	if s.Null != "" {
		p.Elem(page.P, "The sender marks this section: "+chart.NullWords(s.Null)+".", page.Cls(page.Answer))
	}
	if s.Empty() {
		p.Elem(page.P, "The section has coded entries but no text for people; a sender should write both.", page.Cls(page.Answer))
	} else if s.Narrative.OK() {
		writeNarrative(p, s.Narrative, m)
	}
	for _, text := range s.More {
		writeNarrative(p, text, m)
	}
	m.leftOver(p, s)
	v.entries(p, s)
	p.Close()
}

// leftOver shows the pictures in a section's entries that its text does not refer to.
func (m *media) leftOver(p *page.Writer, s *ccda.Section) {
	for e := range s.Node.Elements("entry") {
		for o := range e.Elements("observationMedia") {
			if !m.shown[o.ID()] {
				p.Open(page.P)
				m.object(p, o)
				p.Close()
			}
		}
	}
}

// entries lists the coded lines of a section, folded, and unfolded where they contradict its text.
func (v CDA) entries(p *page.Writer, s *ccda.Section) {
	items := v.Doc.SectionItems(s)
	coded, conflicts := 0, 0
	for _, it := range items {
		if it.Source == ccda.FromEntry {
			coded++
		}
		if it.Conflict != "" && it.Source == ccda.FromEntry {
			conflicts++
		}
	}
	if coded == 0 {
		return
	}
	label := fmt.Sprintf("Coded entries: %d", coded)
	p.Open(page.Details, page.Cls(page.Source), openIf(conflicts > 0))
	if conflicts > 0 {
		label += fmt.Sprintf(", %d of them differ from the text", conflicts)
	}
	p.Elem(page.Summary, label)
	p.Open(page.Ul, page.Cls(page.Line))
	for i, it := range items {
		if i >= maxEntryLines {
			p.Elem(page.Li, fmt.Sprintf("and %d more", len(items)-maxEntryLines))
			break
		}
		if it.Source != ccda.FromEntry {
			continue
		}
		writeItem(p, it, itemOptions{link: true, codes: true})
	}
	p.Close()
	p.Close()
}

// maxEntryLines is how many coded lines of one section are listed.
const maxEntryLines = 300

// silentBody says what to make of a document without sections.
func (v CDA) silentBody(p *page.Writer) {
	if len(v.Doc.Sections) > 0 || v.Inside != nil {
		return
	}
	p.Open(page.Section)
	p.Elem(page.H2, "No body")
	p.Elem(page.P, "The document has a header but neither sections nor an embedded file. What the header says is below.")
	p.Close()
}

func join(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}

func period(a, b chart.Time) string {
	switch {
	case a.Zero() && b.Zero():
		return ""
	case b.Zero() || a.Date() == b.Date():
		return a.Date()
	case a.Zero():
		return "until " + b.Date()
	}
	return a.Date() + " to " + b.Date()
}
