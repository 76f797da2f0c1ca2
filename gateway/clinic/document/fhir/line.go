package fhir

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// line is the one line a resource gives, by its type; how it stands is added by the caller, save for a
// line that denies by its own name.
func (s *sorting) line(x entry) (chart.Line, bool) {
	e := x.e
	l := chart.Line{Name: codeWords(concept(at(e, "code"))), Code: concept(at(e, "code"))}
	switch e.kind() {
	case "Condition":
		l.Group, l.Time = "Diagnoses", when(e, "onsetDateTime", "onsetPeriod", "recordedDate", "dateRecorded")
		l.Note = join(" · ", label("", str(e, "onsetString"), "since ", ""), label("", quantity(at(e, "onsetAge")), "since the age of ", ""), concepts(e.get("severity")), sites(e), stages(e), ended(e), notes(e))
		denial(&l)
	case "AllergyIntolerance":
		allergy(&l, e)
	case "MedicationRequest", "MedicationOrder", "MedicationStatement", "MedicationUsage", "MedicationAdministration", "MedicationDispense":
		s.medicine(&l, x)
	case "Observation":
		observation(&l, e)
	case "DiagnosticReport":
		l.Group, l.Time = "Results", when(e, "effectiveDateTime", "effectivePeriod", "issued")
		l.Name = join(": ", "Report", l.Name)
		l.Value, l.Note = first(str(e, "conclusion"), concepts(e.get("conclusionCode")), concepts(e.get("codedDiagnosis"))), notes(e)
	case "Procedure":
		l.Group, l.Time = "Procedures", when(e, "performedDateTime", "performedPeriod", "performedString", "occurrenceDateTime", "occurrencePeriod")
		l.Note = join(" · ", sites(e), reason(e), label("complication ", concepts(e.get("complication")), "", ""), label("outcome ", concept(at(e, "outcome")).Words(), "", ""), notes(e))
	case "Immunization":
		l.Group, l.Code, l.Time = "Immunizations", concept(at(e, "vaccineCode")), when(e, "occurrenceDateTime", "occurrenceString", "date")
		l.Name, l.Note = codeWords(l.Code), join(" · ", quantity(at(e, "doseQuantity")), sites(e), label("lot ", str(e, "lotNumber"), "", ""), reason(e), notes(e))
		if str(e, "isSubpotent") == "true" {
			l.Flag = "subpotent dose"
		}
	case "FamilyMemberHistory":
		s.relative(&l, e)
	default:
		return s.affair(l, x)
	}
	return named(l), true
}

// affair is a line of what is asked for, planned or arranged.
func (s *sorting) affair(l chart.Line, x entry) (chart.Line, bool) {
	e := x.e
	switch e.kind() {
	case "ServiceRequest", "ProcedureRequest", "ReferralRequest":
		l.Group, l.Time = "Referral", when(e, "authoredOn", "occurrenceDateTime", "occurrencePeriod")
		if e.kind() == "ReferralRequest" {
			l.Name = first(concepts(e.get("serviceRequested")), concept(at(e, "type")).Words())
		}
		if l.Name == "" {
			l.Name = concept(at(e, "code", "concept")).Words()
		}
		l.Note = join(" · ", str(e, "priority"), sites(e), concepts(e.get("orderDetail")), str(e, "patientInstruction"), reason(e), str(e, "description"), notes(e))
	case "Task":
		l.Group, l.Time = "Referral", when(e, "lastModified", "authoredOn")
		l.Name = first(join(", ", l.Name, str(e, "description")), "Task")
		l.Value = str(e, "status")
		l.Note = join(" · ", concept(at(e, "businessStatus")).Words(), reason(e), notes(e))
	case "Appointment":
		l.Group, l.Time = "Appointment", when(e, "start")
		l.Name = first(join(", ", concept(at(e, "appointmentType")).Words(), str(e, "description")), "Appointment")
		l.Note = join(" · ", label("", concept(at(e, "cancelationReason")).Words(), "because ", ""), notes(e))
	case "DocumentReference":
		l.Group, l.Time = "Document", when(e, "date", "created", "indexed")
		l.Name = join(", ", concept(at(e, "type")).Words(), str(e, "description"), str(e, "content", "attachment", "title"))
		l.Note = str(e, "content", "attachment", "contentType")
	case "Encounter":
		l.Group, l.Time = "Visit", when(e, "period", "actualPeriod")
		l.Name = first(concept(at(e, "type")).Words(), str(e, "class", "display"), visitClass(first(str(e, "class", "code"), str(e, "class"))))
		l.Note = join(" · ", reason(e), label("until ", chart.ParseTime(str(e, "period", "end")).String(), "", ""))
	case "Goal":
		l.Group, l.Name, l.Time = "Goals", concept(at(e, "description")).Words(), when(e, "startDate")
		l.Value = targets(e)
		l.Note = join(" · ", concept(at(e, "achievementStatus")).Words(), notes(e))
	case "CarePlan":
		l.Group, l.Name, l.Time = "Plan", first(str(e, "title"), str(e, "description"), concepts(e.get("category"))), when(e, "period", "created")
		l.Note = join(" · ", activities(e), notes(e))
	case "Flag":
		l.Group, l.Time = "Alerts", when(e, "period")
	case "List":
		if e.get("emptyReason") == nil {
			return l, false
		}
		l.Group, l.Name, l.Standing = "Lists", first(str(e, "title"), l.Name), chart.Denied
		l.Value = "empty, the sender states: " + first(concept(at(e, "emptyReason")).Words(), "no reason")
	case "OperationOutcome":
		l.Group, l.Name = "Notes", join(": ", str(e, "issue", "severity"), first(str(e, "issue", "diagnostics"), concept(at(e, "issue", "details")).Words()))
	default:
		return s.told(l, x)
	}
	return named(l), true
}

// visitClass is a code of the class of an encounter (ActCode) in words.
func visitClass(c string) string {
	if w := map[string]string{"AMB": "Outpatient visit", "IMP": "Inpatient stay", "ACUTE": "Inpatient stay", "EMER": "Emergency visit", "HH": "Home visit", "VR": "Virtual visit", "OBSENC": "Observation", "SS": "Short stay"}[c]; w != "" {
		return w
	}
	return c
}

// named keeps a line without a name in sight: an allergy nobody named is still an allergy.
func named(l chart.Line) chart.Line {
	if l.Name == "" {
		l.Name = "not named"
	}
	return l
}

func denial(l *chart.Line) {
	if chart.NoneKnown(l.Code) {
		l.Standing = chart.Denied
	}
}

func ended(e element) string {
	if t := when(e, "abatementDateTime", "abatementPeriod"); !t.Zero() {
		return "ended " + t.String()
	}
	return label("ended ", str(e, "abatementString"), "", "")
}

// reason is why something is done, or why it was not.
func reason(e element) string {
	var out []string
	for _, name := range []string{"statusReason", "reasonCode", "reasonNotGiven", "reasonNotTaken", "notDoneReason", "reason", "explanation"} {
		for i, r := range e.get(name) {
			if w := first(concept(r).Words(), concept(at(r, "concept")).Words(), concepts(r.get("reasonNotGiven"))); w != "" && i < 10 {
				out = append(out, w)
			}
		}
	}
	return strings.Join(out, ", ")
}

func allergy(l *chart.Line, e element) {
	l.Group, l.Time = "Allergies", when(e, "onsetDateTime", "recordedDate", "assertedDate")
	if l.Name == "" { // DSTU2
		l.Code = concept(at(e, "substance"))
		l.Name = l.Code.Words()
	}
	if l.Name == "" { // the substance stands only with the reaction
		l.Code = concept(at(e, "reaction", "substance"))
		l.Name = l.Code.Words()
	}
	if c := str(e, "criticality"); c == "high" || c == "CRITH" {
		l.Flag = "high risk"
	}
	var out []string
	if first(str(e, "type"), concept(at(e, "type")).Code) == "intolerance" {
		out = append(out, "intolerance")
	}
	for i, r := range e.get("reaction") {
		if i >= maxParts {
			break
		}
		w := concepts(r.get("manifestation"))
		if w == "" {
			w = concept(at(r, "manifestation", "concept")).Words()
		}
		to := concept(at(r, "substance")).Words()
		if strings.EqualFold(to, l.Name) {
			to = ""
		}
		out = append(out, join(" ", label("", to, "to ", ":"), w, label("", str(r, "severity"), "(", ")"), str(r, "description")))
	}
	l.Note = join(" · ", strings.Join(out, ", "), notes(e))
	denial(l)
}

func (s *sorting) medicine(l *chart.Line, x entry) {
	e := x.e
	l.Group = "Medicines"
	l.Code = concept(first2(at(e, "medicationCodeableConcept"), at(e, "medication", "concept")))
	if l.Name = codeWords(l.Code); l.Name == "" {
		ref := first2(at(e, "medicationReference"), at(e, "medication", "reference"))
		if med := s.follow(ref, x); med != nil {
			l.Code = concept(at(med, "code"))
			l.Name = codeWords(l.Code)
		}
		if l.Name == "" && ref != nil {
			l.Name = first(str(ref, "display"), str(ref, "reference"))
		}
	}
	until := str(e, "effectivePeriod", "end")
	l.Note = join(" · ", dosages(e), reason(e), label("until ", chart.ParseTime(until).String(), "", ""), notes(e))
	l.Time = when(e, "authoredOn", "dateWritten", "effectiveDateTime", "effectivePeriod", "effectiveTimeDateTime", "whenHandedOver", "dateAsserted")
	denial(l)
}

func observation(l *chart.Line, e element) {
	l.Group, l.Time = "Results", when(e, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")
	l.Value = join("; ", observed(e), components(e))
	if l.Value == "" && len(e.get("hasMember"))+len(e.get("related")) == 0 {
		l.Value = "(no value stated)"
	}
	l.Flag = interpretation(e)
	about := ""
	if f := at(e, "focus"); f != nil { // R4: what was observed when it is not the subject: a fetus, a donor
		about = "about " + first(str(f, "display"), str(f, "reference"), "somebody or something else") + ", not the patient"
	}
	l.Note = join(" · ", about, usual(e), sites(e), label("by ", concept(at(e, "method")).Words(), "", ""), notes(e))
}

// relative is the illness of a relative, whose name stands first so that nobody takes it for the patient's.
func (s *sorting) relative(l *chart.Line, e element) {
	l.Group, l.Time = "Family history", when(e, "date")
	l.Name = first(concept(at(e, "relationship")).Words(), "A relative")
	var out []string
	for i, c := range e.get("condition") {
		if i < maxParts {
			out = append(out, join(", ", codeWords(concept(at(c, "code"))), label("", quantity(at(c, "onsetAge")), "at the age of ", ""), str(c, "onsetString"), concept(at(c, "outcome")).Words(), notes(c)))
		}
	}
	l.Value, l.Note = strings.Join(out, "; "), notes(e)
}

// when is the first of the times that is stated; of a period its start.
func when(e element, names ...string) chart.Time {
	for _, n := range names {
		x := at(e, n)
		if x == nil {
			continue
		}
		if v := first(strings.TrimSpace(x.text()), str(x, "start"), str(x, "end")); v != "" {
			return chart.ParseTime(v)
		}
	}
	return chart.Time{}
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
