package fhir

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

func read(root element) *Resource {
	r := &Resource{Type: root.kind(), ID: str(root, "id"), Counts: map[string]int{}}
	r.Kind = str(root, "type")
	r.Date = when(root, "timestamp", "date", "authoredOn", "issued", "effectiveDateTime", "recordedDate")
	r.Title = str(root, "title")
	all := []element{root}
	if r.Type == "Bundle" {
		all = nil
		for _, e := range root.get("entry") {
			for _, res := range e.get("resource") {
				if len(all) >= MaxEntries {
					r.Cut = true
					break
				}
				all = append(all, res)
			}
		}
	} else {
		r.Kind = ""
		all = append(all, root.get("contained")...)
	}
	for _, res := range all {
		r.take(res)
	}
	return r
}

// take adds what one resource says.
func (r *Resource) take(res element) {
	kind := res.kind()
	r.Counts[kind]++
	switch kind {
	case "Patient":
		if r.Patient == nil {
			p := patient(res)
			r.Patient = &p
		}
	case "Practitioner":
		if r.Author.Name.Zero() {
			r.Author.Name = humanName(at(res, "name"))
		}
	case "Organization":
		if r.Author.Organization.Zero() {
			r.Author.Organization.Name = str(res, "name")
		}
	case "Composition":
		if r.Title == "" {
			r.Title = str(res, "title")
		}
		for _, s := range res.get("section") {
			r.section(s, 0)
		}
	case "List", "DocumentReference":
		if r.Title == "" {
			r.Title = str(res, "title")
		}
	}
	if l, ok := line(res); ok && len(r.Lines) < MaxLines {
		r.Lines = append(r.Lines, l)
	}
	if d := at(res, "text", "div"); d != nil && len(r.Texts) < 200 {
		if t := d.narrative(maxText); t != "" {
			r.Texts = append(r.Texts, kind+": "+t)
		}
	}
}

func (r *Resource) section(s element, depth int) {
	if d := at(s, "text", "div"); d != nil && len(r.Texts) < 200 {
		if t := d.narrative(maxText); t != "" {
			r.Texts = append(r.Texts, join(": ", str(s, "title"), t))
		}
	}
	if depth < 10 {
		for _, inner := range s.get("section") {
			r.section(inner, depth+1)
		}
	}
}

func when(e element, names ...string) chart.Time {
	for _, n := range names {
		if v := str(e, n); v != "" {
			return chart.ParseTime(v)
		}
	}
	return chart.Time{}
}

func patient(e element) chart.Patient {
	p := chart.Patient{Name: humanName(at(e, "name")), Birth: chart.ParseTime(str(e, "birthDate"))}
	if g := str(e, "gender"); g != "" {
		p.Sex = chart.Code{Code: map[string]string{"male": "M", "female": "F"}[g], Display: g}
	}
	for _, id := range e.get("identifier") {
		if v := str(id, "value"); v != "" && len(p.IDs) < 20 {
			p.IDs = append(p.IDs, chart.ID{Root: strings.TrimPrefix(str(id, "system"), "urn:oid:"), Extension: v, Authority: str(id, "assigner", "display"), Type: str(id, "type", "coding", "code")})
		}
	}
	for _, t := range e.get("telecom") {
		if v := str(t, "value"); v != "" && len(p.Telecoms) < 20 {
			p.Telecoms = append(p.Telecoms, chart.Telecom{Value: v, Use: str(t, "use")})
		}
	}
	for _, a := range e.get("address") {
		addr := chart.Address{City: str(a, "city"), State: str(a, "state"), Postal: str(a, "postalCode"), Country: str(a, "country"), Use: str(a, "use")}
		for _, l := range a.get("line") {
			addr.Lines = append(addr.Lines, l.text())
		}
		if !addr.Zero() && len(p.Addresses) < 20 {
			p.Addresses = append(p.Addresses, addr)
		}
	}
	return p
}

func humanName(e element) chart.Name {
	if e == nil {
		return chart.Name{}
	}
	n := chart.Name{Family: str(e, "family"), Text: str(e, "text"), Use: str(e, "use"), Prefix: str(e, "prefix"), Suffix: str(e, "suffix")}
	var given []string
	for _, g := range e.get("given") {
		given = append(given, g.text())
	}
	n.Given = strings.Join(given, " ")
	return n
}

// concept is a CodeableConcept in words with its first coding.
func concept(e element) chart.Code {
	if e == nil {
		return chart.Code{}
	}
	return chart.Code{Text: str(e, "text"), Code: str(e, "coding", "code"), System: str(e, "coding", "system"), Display: str(e, "coding", "display")}
}

// line is the one line a resource gives, by its type.
func line(e element) (chart.Line, bool) {
	l := chart.Line{Name: concept(at(e, "code")).Words(), Code: concept(at(e, "code"))}
	switch e.kind() {
	case "Condition":
		l.Group, l.Note, l.Time = "Diagnoses", concept(at(e, "clinicalStatus")).Words(), when(e, "onsetDateTime", "recordedDate")
	case "AllergyIntolerance":
		l.Group, l.Time = "Allergies", when(e, "onsetDateTime", "recordedDate")
		l.Note = concept(at(e, "reaction", "manifestation")).Words()
	case "MedicationRequest", "MedicationStatement", "MedicationAdministration":
		l.Group, l.Code = "Medicines", concept(at(e, "medicationCodeableConcept"))
		if l.Name = l.Code.Words(); l.Name == "" {
			l.Name = str(e, "medicationReference", "display")
		}
		l.Note = join(" · ", str(e, "dosageInstruction", "text"), str(e, "dosage", "text"), str(e, "status"))
		l.Time = when(e, "authoredOn", "effectiveDateTime")
	case "Observation":
		l.Group, l.Value, l.Time = "Results", observed(e), when(e, "effectiveDateTime", "issued")
		if f := concept(at(e, "interpretation")).Words(); !strings.EqualFold(f, "normal") && f != "N" {
			l.Flag = f
		}
	case "Procedure":
		l.Group, l.Time = "Procedures", when(e, "performedDateTime")
	case "Immunization":
		l.Group, l.Code, l.Time = "Immunizations", concept(at(e, "vaccineCode")), when(e, "occurrenceDateTime")
		l.Name = l.Code.Words()
	case "ServiceRequest":
		l.Group, l.Time = "Referral", when(e, "authoredOn", "occurrenceDateTime")
		l.Note = join(" · ", str(e, "priority"), concept(at(e, "reasonCode")).Words(), str(e, "note", "text"))
	case "Task":
		l.Group, l.Value, l.Time = "Referral", str(e, "status"), when(e, "lastModified", "authoredOn")
		l.Name = join(", ", l.Name, str(e, "description"))
		l.Note = join(" · ", concept(at(e, "businessStatus")).Words(), concept(at(e, "statusReason")).Words())
		if l.Name == "" {
			l.Name = "Task"
		}
	case "Appointment":
		l.Group, l.Name, l.Value, l.Time = "Appointment", join(", ", concept(at(e, "appointmentType")).Words(), str(e, "description")), str(e, "status"), when(e, "start")
		if l.Name == "" {
			l.Name = "Appointment"
		}
	case "DocumentReference":
		l.Group, l.Name = "Document", join(", ", concept(at(e, "type")).Words(), str(e, "description"), str(e, "content", "attachment", "title"))
		l.Note, l.Time = str(e, "content", "attachment", "contentType"), when(e, "date")
	case "Encounter":
		l.Group, l.Name, l.Value = "Visit", concept(at(e, "type")).Words(), str(e, "status")
		l.Time = when(e, "period")
	case "OperationOutcome":
		l.Group, l.Name = "Notes", join(": ", str(e, "issue", "severity"), str(e, "issue", "diagnostics"))
	default:
		return l, false
	}
	return l, l.Name != "" || l.Value != ""
}

func observed(e element) string { return observedAt(e, 0) }

func observedAt(e element, depth int) string {
	if q := at(e, "valueQuantity"); q != nil {
		return join(" ", str(q, "value"), str(q, "unit"))
	}
	for _, n := range []string{"valueString", "valueInteger", "valueBoolean", "valueDateTime"} {
		if v := str(e, n); v != "" {
			return v
		}
	}
	if c := at(e, "valueCodeableConcept"); c != nil {
		return concept(c).Words()
	}
	var parts []string
	for i, c := range e.get("component") {
		if i < 20 && depth < 3 {
			parts = append(parts, join(" ", concept(at(c, "code")).Words(), observedAt(c, depth+1)))
		}
	}
	return strings.Join(parts, ", ")
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
