package fhir

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// told is the line of a resource that tells, asks or weighs something: answers to a questionnaire, a message,
// an impression, a risk, a harm, a consent. false is for what gives no line.
func (s *sorting) told(l chart.Line, x entry) (chart.Line, bool) {
	e := x.e
	switch e.kind() {
	case "QuestionnaireResponse":
		l.Group, l.Time = "Answers", when(e, "authored")
		l.Name = first(str(e, "questionnaire", "display"), "Questionnaire")
		all := answers(e, 0, nil)
		if len(all) > maxParts {
			all[maxParts] = "and more, only in the data as sent"
			all = all[:maxParts+1]
		}
		l.Value = strings.Join(all, "; ")
	case "Communication", "CommunicationRequest":
		l.Group, l.Time = "Messages", when(e, "sent", "authoredOn", "requestedOn", "occurrenceDateTime")
		l.Name = first(concept(at(e, "topic")).Words(), concepts(e.get("category")), "Message")
		var out []string
		for i, p := range e.get("payload") {
			if w := first(str(p, "contentString"), str(p, "contentAttachment", "title"), concept(at(p, "contentCodeableConcept")).Words()); w != "" && i < maxParts {
				out = append(out, w)
			}
		}
		l.Value, l.Note = strings.Join(out, " · "), join(" · ", str(e, "priority"), reason(e), notes(e))
	case "ClinicalImpression":
		l.Group, l.Time = "Assessment", when(e, "date", "effectiveDateTime", "effectivePeriod", "assessmentDate")
		l.Name = first(join(", ", l.Name, str(e, "description")), "Impression")
		var out []string
		for i, f := range e.get("finding") {
			if w := first(concept(at(f, "itemCodeableConcept")).Words(), concept(at(f, "item", "concept")).Words(), str(f, "itemReference", "display")); w != "" && i < maxParts {
				out = append(out, w)
			}
		}
		l.Value, l.Note = join(" · ", str(e, "summary"), strings.Join(out, ", ")), notes(e)
	case "RiskAssessment":
		l.Group, l.Time = "Assessment", when(e, "occurrenceDateTime", "occurrencePeriod", "date")
		l.Name = "Risk: " + first(concept(at(e, "code")).Words(), concept(at(e, "method")).Words(), "not named")
		var out []string
		for i, p := range e.get("prediction") {
			if i < maxParts {
				out = append(out, join(" ", concept(at(p, "outcome")).Words(), str(p, "probabilityDecimal"), bounds2(at(p, "probabilityRange")), concept(at(p, "qualitativeRisk")).Words(), str(p, "rationale")))
			}
		}
		l.Value, l.Note = strings.Join(out, "; "), join(" · ", str(e, "mitigation"), str(e, "comment"), notes(e))
	case "AdverseEvent":
		l.Group, l.Time = "Alerts", when(e, "date", "occurrenceDateTime", "detected", "recordedDate")
		l.Name = "Adverse event: " + first(concept(at(e, "event")).Words(), concept(at(e, "code")).Words(), concept(at(e, "type")).Words(), str(e, "description"), "not named")
		if str(e, "actuality") == "potential" {
			l.Flag = "potential, did not reach the patient"
		}
		l.Note = join(" · ", label("seriousness ", concept(at(e, "seriousness")).Words(), "", ""), label("outcome ", concepts(e.get("outcome")), "", ""), notes(e))
	case "DetectedIssue":
		l.Group, l.Time = "Alerts", when(e, "identifiedDateTime", "identifiedPeriod", "date")
		l.Name = first(concept(at(e, "code")).Words(), concept(at(e, "category")).Words(), "Issue")
		l.Note = join(" · ", label("severity ", str(e, "severity"), "", ""), str(e, "detail"))
	default:
		return s.provided(l, e)
	}
	return named(l), true
}

// provided is the line of what is ordered, used or allowed besides treatment: a diet, a device, a study, a
// consent, a team.
func (s *sorting) provided(l chart.Line, e element) (chart.Line, bool) {
	switch e.kind() {
	case "NutritionOrder":
		l.Group, l.Time = "Orders", when(e, "dateTime")
		l.Name = "Diet: " + first(concepts(at2(e, "oralDiet").get("type")), str(e, "oralDiet", "instruction"), "as ordered")
		l.Note = join(" · ", concepts(e.get("foodPreferenceModifier")), label("not: ", concepts(e.get("excludeFoodModifier")), "", ""), notes(e))
	case "DeviceRequest", "DeviceUseRequest":
		l.Group, l.Time = "Orders", when(e, "authoredOn", "occurrenceDateTime", "occurrencePeriod")
		l.Name = "Device: " + first(concept(at(e, "codeCodeableConcept")).Words(), str(e, "codeReference", "display"), l.Name, "not named")
		l.Note = join(" · ", str(e, "priority"), reason(e), notes(e))
	case "DeviceUseStatement", "DeviceUsage":
		l.Group, l.Time = "Devices", when(e, "timingDateTime", "timingPeriod", "whenUsed", "recordedOn")
		l.Name = first(str(e, "device", "display"), concept(at(e, "device", "concept")).Words(), "Device")
		l.Note = join(" · ", sites(e), reason(e), notes(e))
	case "ImagingStudy":
		l.Group, l.Time = "Results", when(e, "started")
		l.Name = join(": ", "Imaging study", first(str(e, "description"), concepts(e.get("procedureCode")), concepts(e.get("modality"))))
		l.Note = join(" · ", reason(e), notes(e))
	case "Consent":
		l.Group, l.Time = "Consent", when(e, "dateTime", "date")
		l.Name = first(concepts(e.get("category")), concept(at(e, "scope")).Words(), "Consent")
		l.Value = first(str(e, "provision", "type"), str(e, "decision"))
		if l.Value != "" && len(e.get("provision"))+len(at2(e, "provision").get("provision")) > 1 || str(e, "decision") != "" && len(e.get("provision")) > 0 {
			l.Value += ", with exceptions that stand in the data as sent"
		}
	case "CareTeam":
		l.Group, l.Name = "People", first(str(e, "name"), "Care team")
		var out []string
		for i, p := range e.get("participant") {
			if w := join(", ", str(p, "member", "display"), concepts(p.get("role"))); w != "" && i < maxParts {
				out = append(out, w)
			}
		}
		l.Value = strings.Join(out, "; ")
	case "EpisodeOfCare":
		l.Group, l.Name, l.Time = "Visit", first(concepts(e.get("type")), "Episode of care"), when(e, "period")
	default:
		return l, false
	}
	return named(l), true
}

// at2 is at, with an element that holds nothing where there is none.
func at2(e element, name string) element {
	if c := at(e, name); c != nil {
		return c
	}
	return nothing{}
}

// nothing is an element without content.
type nothing struct{ element }

func (nothing) get(string) []element { return nil }

// maxQuestions is how deep questions stand inside questions.
const maxQuestions = 8

// answers are the questions of a response with what was answered, in their order.
func answers(e element, depth int, out []string) []string {
	for _, q := range e.get("item") {
		if len(out) > maxParts {
			return out
		}
		if depth > maxQuestions {
			return append(out, "questions inside it, only in the data as sent")
		}
		var said []string
		replies := q.get("answer")
		for j, a := range replies {
			if v := answered(a); v != "" && j < maxParts {
				said = append(said, v)
			}
		}
		ask := first(str(q, "text"), str(q, "linkId"))
		switch {
		case len(said) > 0:
			out = append(out, ask+": "+strings.Join(said, ", "))
		case len(q.get("item")) == 0 && len(replies) == 0:
			out = append(out, ask+": not answered")
		}
		out = answers(q, depth+1, out)
		for j, a := range replies {
			if j < maxParts {
				out = answers(a, depth+1, out)
			}
		}
	}
	return out
}

// answered is one answer of any type.
func answered(a element) string {
	if v := value(a); v != "" {
		return v
	}
	return first(str(a, "valueCoding", "display"), str(a, "valueCoding", "code"), str(a, "valueDecimal"), str(a, "valueUri"), chart.ParseTime(str(a, "valueDate")).String(), str(a, "valueReference", "display"))
}
