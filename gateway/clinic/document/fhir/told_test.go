package fhir_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/gateway/clinic/document/chart"
)

// What asks, tells, weighs or allows something is a line too.
func TestWhatIsToldBesidesCare(t *testing.T) {
	for name, c := range map[string]struct {
		in       string
		standing chart.Standing
		line     string
	}{
		"answers": {`"QuestionnaireResponse","status":"completed","questionnaire":"http://x/phq","item":[{"text":"Mood","item":[{"text":"Down?","answer":[{"valueCoding":{"code":"2","display":"Often"}}]},{"text":"Since","answer":[{"valueDate":"2026-01-02"},{"valueBoolean":false}]},{"linkId":"9"}]},{"text":"Pain","answer":[{"valueDecimal":7.5,"item":[{"text":"Where","answer":[{"valueString":"back"}]}]}]}]`,
			chart.Holds, "Questionnaire Down?: Often; Since: 2 Jan 2026, no; 9: not answered; Pain: 7.5; Where: back"},
		"a message":           {`"Communication","status":"completed","payload":[{"contentString":"Please call the ward"},{"contentAttachment":{"title":"Letter"}}],"sent":"2026-01-02"`, chart.Holds, "Message Please call the ward · Letter 2 Jan 2026"},
		"a message not sent":  {`"Communication","status":"preparation","payload":[{"contentString":"x"}]`, chart.Unsettled, "PREPARATION: Message x"},
		"an impression":       {`"ClinicalImpression","status":"completed","description":"Abdomen","summary":"Appendicitis likely","finding":[{"itemCodeableConcept":{"text":"Rebound"}}]`, chart.Holds, "Abdomen Appendicitis likely · Rebound"},
		"a risk":              {`"RiskAssessment","status":"final","code":{"text":"Stroke"},"prediction":[{"outcome":{"text":"Stroke in a year"},"qualitativeRisk":{"text":"high"},"probabilityDecimal":0.04}],"mitigation":"Anticoagulation"`, chart.Holds, "Risk: Stroke Stroke in a year 0.04 high Anticoagulation"},
		"a harm":              {`"AdverseEvent","actuality":"actual","event":{"text":"Rash after amoxicillin"},"seriousness":{"text":"serious"}`, chart.Holds, "Adverse event: Rash after amoxicillin seriousness serious"},
		"a harm that was not": {`"AdverseEvent","actuality":"potential","event":{"text":"Wrong drug"}`, chart.Holds, "Adverse event: Wrong drug potential, did not reach the patient"},
		"an issue":            {`"DetectedIssue","status":"final","code":{"text":"Drug interaction"},"severity":"high","detail":"Warfarin with aspirin"`, chart.Holds, "Drug interaction severity high · Warfarin with aspirin"},
		"a diet":              {`"NutritionOrder","status":"active","intent":"order","oralDiet":{"type":[{"text":"Low salt"}]},"excludeFoodModifier":[{"text":"Nuts"}]`, chart.Holds, "Diet: Low salt not: Nuts"},
		"no diet in it":       {`"NutritionOrder","status":"active"`, chart.Holds, "Diet: as ordered"},
		"a device asked for":  {`"DeviceRequest","status":"active","intent":"order","codeCodeableConcept":{"text":"Walker"}`, chart.Holds, "Device: Walker"},
		"a device proposed":   {`"DeviceRequest","status":"active","intent":"proposal","codeCodeableConcept":{"text":"Walker"}`, chart.Unsettled, "PROPOSAL: Device: Walker"},
		"a study":             {`"ImagingStudy","status":"available","description":"CT head","started":"2026-01-02"`, chart.Holds, "Imaging study: CT head 2 Jan 2026"},
		"a consent":           {`"Consent","status":"active","category":[{"text":"Do not resuscitate"}],"provision":{"type":"deny"}`, chart.Holds, "Do not resuscitate deny"},
		"a partial consent":   {`"Consent","status":"active","category":[{"text":"Release"}],"provision":{"type":"permit","provision":[{"type":"deny"}]}`, chart.Holds, "Release permit, with exceptions that stand in the data as sent"},
		"a consent withdrawn": {`"Consent","status":"entered-in-error","category":[{"text":"Do not resuscitate"}]`, chart.Withdrawn, "ENTERED IN ERROR: Do not resuscitate"},
		"a team":              {`"CareTeam","status":"active","name":"Heart team","participant":[{"member":{"display":"Dr. Roe"},"role":[{"text":"Cardiology"}]}]`, chart.Holds, "Heart team Dr. Roe, Cardiology"},
		"an episode":          {`"EpisodeOfCare","status":"active","type":[{"text":"Home care"}]`, chart.Holds, "Home care"},
	} {
		r := readJSON(t, `{"resourceType":`+c.in+`}`)
		if len(r.Lines) != 1 || r.Lines[0].String() != c.line || r.Lines[0].Standing != c.standing {
			t.Errorf("%s: %+v, want %s %q", name, r.Lines, c.standing, c.line)
		}
	}
}

// However many questions there are, and however deep, the line ends and says so.
func TestAnswersAreBounded(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf(`{"text":"q%d","answer":[{"valueInteger":%d}]}`, i, i))
	}
	v := readJSON(t, `{"resourceType":"QuestionnaireResponse","item":[`+strings.Join(many, ",")+`]}`).Lines[0].Value
	if !strings.Contains(v, "q99: 99") || strings.Contains(v, "q101") || !strings.HasSuffix(v, "and more, only in the data as sent") {
		t.Errorf("%q", v)
	}
	deep := strings.Repeat(`{"text":"q","item":[`, 20) + `{"text":"end"}` + strings.Repeat(`]}`, 20)
	if v := readJSON(t, `{"resourceType":"QuestionnaireResponse","item":[`+deep+`]}`).Lines[0].Value; v != "questions inside it, only in the data as sent" {
		t.Errorf("%q", v)
	}
}
