package document

import (
	"strings"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xdm"
)

// Entry is the document as part of an XDM submission, its metadata taken from the document itself and
// from nowhere else: what it does not say is left out (MP-51). mediaType is the type it is sent under.
func (d *Document) Entry(mediaType string) xdm.Part {
	p := xdm.Part{Content: d.src, Size: d.size, MediaType: mediaType, Title: d.Title}
	c := d.CDA
	if c == nil {
		if d.Patient != nil {
			p.SourcePatientID, p.SourcePatient = sourcePatient(*d.Patient)
		}
		if d.Kind == HL7v2 {
			p.UniqueID, p.Created = d.ID, d.Date
		}
		return p
	}
	p.UniqueID = strings.TrimSuffix(c.ID.String(), "^") // root^extension, as ITI TF-3 forms a uniqueId from a CDA id
	p.Type, p.Class = c.Code, c.Code
	p.Format = formatCode(d)
	p.Confidentiality = c.Confidentiality
	p.Created, p.Language = c.Time, c.Language
	p.SourcePatientID, p.SourcePatient = sourcePatient(c.Patient())
	if len(c.Services) > 0 {
		p.ServiceStart, p.ServiceStop = c.Services[0].Start, c.Services[0].End
	}
	for _, a := range c.Authors {
		if len(p.Authors) < 10 {
			p.Authors = append(p.Authors, entryAuthor(a))
		}
	}
	return p
}

// OfAnother says why two documents that would be sent together are about different people; "" where nothing says so.
func (d *Document) OfAnother(o *Document) string {
	if d.Patient == nil || o.Patient == nil {
		return ""
	}
	if same, why := agree(*d.Patient, *o.Patient); same == brief.Differ {
		return why
	}
	return ""
}

// formatCode is HL7's for C-CDA (MP-37); other documents are known by their media type.
func formatCode(d *Document) chart.Code {
	const system = "1.3.6.1.4.1.19376.1.2.3"
	switch {
	case d.Kind == CCDA && d.CDA.NonXML != nil:
		return chart.Code{Code: "urn:hl7-org:sdwg:ccda-nonXMLBody:" + releaseNumber(d.Release), System: system}
	case d.Kind == CCDA:
		return chart.Code{Code: "urn:hl7-org:sdwg:ccda-structuredBody:" + releaseNumber(d.Release), System: system}
	}
	return chart.Code{}
}

func releaseNumber(r string) string {
	if r == "R1.1" {
		return "1.1"
	}
	return "2.1"
}

func entryAuthor(a chart.Person) xdm.Author {
	out := xdm.Author{Person: person(a.Name)}
	for _, id := range a.IDs {
		if id.Extension != "" && out.Person != "" {
			out.Person = id.Extension + out.Person
			break
		}
	}
	if a.Organization.Name != "" {
		out.Institution = []string{hat(a.Organization.Name)}
	}
	if w := a.Role.Words(); w != "" {
		out.Specialty = []string{hat(w)}
	}
	return out
}

// person is the name part of an XCN: ^family^given.
func person(n chart.Name) string {
	if n.Zero() {
		return ""
	}
	if n.Family == "" && n.Given == "" {
		return "^" + hat(n.Text)
	}
	return strings.TrimRight("^"+hat(n.Family)+"^"+hat(n.Given)+"^^"+hat(n.Suffix)+"^"+hat(n.Prefix), "^")
}

// sourcePatient is the patient as the sender knows him: the first identifier as CX, and PID lines.
func sourcePatient(p chart.Patient) (id string, info []string) {
	for _, x := range p.IDs {
		if x.Root != "" && x.Extension != "" {
			cx := hat(x.Extension) + "^^^&" + hat(x.Root) + "&ISO"
			if id == "" {
				id = cx
			}
			info = append(info, "PID-3|"+cx)
		}
	}
	if n := person(p.Name); n != "" {
		info = append(info, "PID-5|"+strings.TrimPrefix(n, "^"))
	}
	if b := p.Birth.ISO(); b != "" {
		info = append(info, "PID-7|"+strings.ReplaceAll(b, "-", ""))
	}
	if sex := pidSex(p.Sex.Code); sex != "" {
		info = append(info, "PID-8|"+sex)
	}
	if len(p.Addresses) > 0 {
		a := p.Addresses[0]
		info = append(info, "PID-11|"+hat(strings.Join(a.Lines, ", "))+"^^"+hat(a.City)+"^"+hat(a.State)+"^"+hat(a.Postal)+"^"+hat(a.Country))
	}
	return id, info
}

// pidSex is the HL7 v2 code (table 0001) of a CDA one.
func pidSex(code string) string {
	switch code {
	case "M", "F", "O", "U":
		return code
	case "UN":
		return "U"
	}
	return ""
}

// hat takes the separators of HL7 v2 out of a text.
func hat(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '^', '&', '|', '~', '\\', '\r', '\n':
			return ' '
		}
		return r
	}, s)
}
