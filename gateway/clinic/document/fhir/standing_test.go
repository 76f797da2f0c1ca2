package fhir_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/fhir"
	"postern/gateway/clinic/document/xmltree"
)

func readJSON(t testing.TB, s string) *fhir.Resource {
	t.Helper()
	r, err := fhir.ReadJSON(strings.NewReader(s), int64(len(s)))
	if err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	return r
}

func readXML(t testing.TB, s string) *fhir.Resource {
	t.Helper()
	tree, err := xmltree.Read(strings.NewReader(s), int64(len(s)), xmltree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.FromTree(tree)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What the source says is not so, no longer so, not done or taken back never comes out as a plain line.
func TestALineStandsAsItsResourceSays(t *testing.T) {
	const concept = `{"coding":[{"code":%q}]}`
	c := func(code string) string { return fmt.Sprintf(concept, code) }
	for name, x := range map[string]struct {
		in       string
		standing chart.Standing
		line     string // in plain words
	}{
		"active problem":      {`"Condition","code":{"text":"Asthma"},"clinicalStatus":` + c("active") + `,"verificationStatus":` + c("confirmed"), chart.Holds, "Asthma"},
		"refuted problem":     {`"Condition","code":{"text":"Asthma"},"verificationStatus":` + c("refuted"), chart.Denied, "REFUTED: Asthma"},
		"problem in error":    {`"Condition","code":{"text":"Asthma"},"clinicalStatus":` + c("active") + `,"verificationStatus":` + c("entered-in-error"), chart.Withdrawn, "ENTERED IN ERROR: Asthma"},
		"resolved problem":    {`"Condition","code":{"text":"Asthma"},"clinicalStatus":` + c("resolved"), chart.Over, "RESOLVED: Asthma"},
		"STU3 code":           {`"Condition","code":{"text":"Asthma"},"clinicalStatus":"inactive"`, chart.Over, "INACTIVE: Asthma"},
		"abated problem":      {`"Condition","code":{"text":"Asthma"},"abatementDateTime":"2020"`, chart.Over, "ENDED: Asthma ended 2020"},
		"suspected problem":   {`"Condition","code":{"text":"Asthma"},"verificationStatus":` + c("provisional"), chart.Unsettled, "PROVISIONAL: Asthma"},
		"status of no list":   {`"Condition","code":{"text":"Asthma"},"clinicalStatus":` + c("quiescent"), chart.Unsettled, "QUIESCENT: Asthma"},
		"refuted allergy":     {`"AllergyIntolerance","code":{"text":"Latex"},"verificationStatus":` + c("refuted"), chart.Denied, "REFUTED: Latex"},
		"no known allergy":    {`"AllergyIntolerance","code":{"coding":[{"system":"http://snomed.info/sct","code":"716186003","display":"No known allergy"}]},"clinicalStatus":` + c("active"), chart.Denied, "No known allergy"},
		"allergy unnamed":     {`"AllergyIntolerance","criticality":"high"`, chart.Holds, "not named high risk"},
		"medicine stopped":    {`"MedicationRequest","medicationCodeableConcept":{"text":"Warfarin"},"status":"stopped"`, chart.Over, "STOPPED: Warfarin"},
		"medicine completed":  {`"MedicationStatement","medicationCodeableConcept":{"text":"Amoxicillin"},"status":"completed"`, chart.Over, "COMPLETED: Amoxicillin"},
		"medicine not taken":  {`"MedicationStatement","medicationCodeableConcept":{"text":"Statin"},"status":"not-taken"`, chart.Denied, "NOT TAKEN: Statin"},
		"STU3 not taken":      {`"MedicationStatement","medicationCodeableConcept":{"text":"Statin"},"status":"active","taken":"n"`, chart.Denied, "NOT TAKEN: Statin"},
		"forbidden medicine":  {`"MedicationRequest","medicationCodeableConcept":{"text":"NSAID"},"status":"active","doNotPerform":true`, chart.Denied, "NOT TO BE DONE: NSAID"},
		"proposed medicine":   {`"MedicationRequest","medicationCodeableConcept":{"text":"NSAID"},"status":"active","intent":"proposal"`, chart.Unsettled, "PROPOSAL: NSAID"},
		"medicine on hold":    {`"MedicationRequest","medicationCodeableConcept":{"text":"NSAID"},"status":"on-hold"`, chart.Unsettled, "ON HOLD: NSAID"},
		"dose not given":      {`"MedicationAdministration","medicationCodeableConcept":{"text":"Heparin"},"status":"not-done"`, chart.Denied, "NOT DONE: Heparin"},
		"vaccine not given":   {`"Immunization","vaccineCode":{"text":"MMR"},"status":"not-done","statusReason":{"text":"refused"}`, chart.Denied, "NOT DONE: MMR refused"},
		"STU3 vaccine":        {`"Immunization","vaccineCode":{"text":"MMR"},"status":"completed","notGiven":true`, chart.Denied, "NOT GIVEN: MMR"},
		"procedure not done":  {`"Procedure","code":{"text":"Biopsy"},"status":"not-done"`, chart.Denied, "NOT DONE: Biopsy"},
		"procedure prepared":  {`"Procedure","code":{"text":"Biopsy"},"status":"preparation"`, chart.Unsettled, "PREPARATION: Biopsy"},
		"result in error":     {`"Observation","code":{"text":"K"},"status":"entered-in-error","valueString":"7"`, chart.Withdrawn, "ENTERED IN ERROR: K 7"},
		"preliminary result":  {`"Observation","code":{"text":"K"},"status":"preliminary","valueString":"7"`, chart.Unsettled, "PRELIMINARY: K 7"},
		"corrected result":    {`"Observation","code":{"text":"K"},"status":"corrected","valueString":"7"`, chart.Holds, "CORRECTED: K 7"},
		"cancelled result":    {`"Observation","code":{"text":"K"},"status":"cancelled"`, chart.Over, "CANCELLED: K (no value stated)"},
		"report":              {`"DiagnosticReport","code":{"text":"CT"},"status":"final","conclusion":"No bleeding"`, chart.Holds, "Report: CT No bleeding"},
		"revoked referral":    {`"ServiceRequest","code":{"text":"Cardiology"},"status":"revoked"`, chart.Over, "REVOKED: Cardiology"},
		"do not resuscitate":  {`"ServiceRequest","code":{"text":"CPR"},"status":"active","doNotPerform":true`, chart.Denied, "NOT TO BE DONE: CPR"},
		"cancelled visit":     {`"Appointment","description":"Cardiology","status":"cancelled"`, chart.Over, "CANCELLED: Cardiology"},
		"unknown modifier":    {`"Condition","code":{"text":"Asthma"},"modifierExtension":[{"url":"x","valueBoolean":true}]`, chart.Unsettled, "WITH A MODIFIER THIS PAGE CANNOT SHOW: Asthma"},
		"illness of a mother": {`"FamilyMemberHistory","status":"completed","relationship":{"text":"Mother"},"condition":[{"code":{"text":"Breast cancer"}}]`, chart.Holds, "Mother Breast cancer"},
		"empty by statement":  {`"List","title":"Allergies","status":"current","emptyReason":{"text":"Nil known"}`, chart.Denied, "Allergies empty, the sender states: Nil known"},
		"superseded document": {`"DocumentReference","status":"superseded","description":"Letter"`, chart.Over, "SUPERSEDED: Letter"},
	} {
		r := readJSON(t, `{"resourceType":`+x.in+`}`)
		if len(r.Lines) != 1 || r.Lines[0].Standing != x.standing || r.Lines[0].String() != x.line {
			t.Errorf("%s: %+v, want %q %q", name, r.Lines, x.standing, x.line)
		}
	}
	r := readXML(t, `<Condition xmlns="http://hl7.org/fhir"><text><div xmlns="http://www.w3.org/1999/xhtml">Asthma</div></text><verificationStatus><coding><code value="entered-in-error"/></coding></verificationStatus><code><text value="Asthma"/></code></Condition>`)
	if len(r.Lines) != 1 || r.Lines[0].Standing != chart.Withdrawn || len(r.Texts) != 1 || r.Texts[0] != "Condition (ENTERED IN ERROR): Asthma" {
		t.Errorf("XML: %+v %q", r.Lines, r.Texts)
	}
}

// A value is shown as it was written, with all that limits it.
func TestAValueKeepsWhatWasWritten(t *testing.T) {
	for name, x := range map[string]struct{ in, value, flag, note string }{
		"places":              {`"valueQuantity":{"value":1.10,"unit":"mmol/L"}`, "1.10 mmol/L", "", ""},
		"large":               {`"valueQuantity":{"value":12345678901234567890,"unit":"/L"}`, "12345678901234567890 /L", "", ""},
		"exponent":            {`"valueQuantity":{"value":1E5,"code":"{copies}/mL"}`, "1E5 copies/mL", "", ""},
		"no unit":             {`"valueQuantity":{"value":1.015,"unit":"1","code":"1"}`, "1.015", "", ""},
		"a flag by its code":  {`"valueInteger":3,"interpretation":[{"coding":[{"code":"LX"}]}]`, "3", "below low threshold", ""},
		"a value by its code": {`"valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"8517006"}]}`, "code 8517006, without words", "", ""},
		"a code of no system": {`"valueCodeableConcept":{"coding":[{"code":"160"}]}`, "160", "", ""},
		"below":               {`"valueQuantity":{"comparator":"<","value":5,"unit":"ng/L"}`, "<5 ng/L", "", ""},
		"at least":            {`"valueQuantity":{"comparator":">=","value":5,"unit":"ng/L"}`, ">=5 ng/L", "", ""},
		"absent":              {`"dataAbsentReason":{"text":"haemolysed"}`, "no value: haemolysed", "", ""},
		"nothing":             {`"status":"final"`, "(no value stated)", "", ""},
		"no":                  {`"valueBoolean":false`, "no", "", ""},
		"range":               {`"valueRange":{"low":{"value":1},"high":{"value":2,"unit":"g"}}`, "1 to 2 g", "", ""},
		"titre":               {`"valueRatio":{"numerator":{"value":1},"denominator":{"value":128}}`, "1 : 128", "", ""},
		"flags":               {`"valueInteger":3,"interpretation":[{"text":"High"},{"text":"Critical"}]`, "3", "High, Critical", ""},
		"normal":              {`"valueInteger":3,"interpretation":[{"coding":[{"code":"N","display":"Normal"}]}]`, "3", "", ""},
		"usual":               {`"valueInteger":3,"referenceRange":[{"low":{"value":1.0},"high":{"value":4.0}}]`, "3", "", "usual 1.0 to 4.0"},
		"remark":              {`"valueInteger":3,"note":[{"text":"wrong tube, repeat"}]`, "3", "", "wrong tube, repeat"},
		"of the fetus":        {`"valueInteger":150,"focus":[{"display":"Fetus A"}]`, "150", "", "about Fetus A, not the patient"},
		"parts":               {`"component":[{"code":{"text":"Systolic"},"valueQuantity":{"value":120,"unit":"mmHg"}},{"code":{"text":"Diastolic"},"dataAbsentReason":{"text":"not heard"}}]`, "Systolic 120 mmHg; Diastolic no value: not heard", "", ""},
		"a value and parts":   {`"valueInteger":15,"component":[{"code":{"text":"Eyes"},"valueInteger":4}]`, "15; Eyes 4", "", ""},
	} {
		r := readJSON(t, `{"resourceType":"Observation","code":{"text":"X"},`+x.in+`}`)
		if l := r.Lines[0]; l.Value != x.value || l.Flag != x.flag || l.Note != x.note {
			t.Errorf("%s: %+v, want %+v", name, l, x)
		}
	}
	r := readXML(t, `<Observation xmlns="http://hl7.org/fhir"><code><text value="X"/></code><component><code><text value="A"/></code><valueQuantity><value value="1.10"/><comparator value="&lt;"/><unit value="g"/></valueQuantity></component></Observation>`)
	if r.Lines[0].Value != "A <1.10 g" {
		t.Errorf("XML: %+v", r.Lines)
	}
}

// Struck-through words of a narrative are said to be struck.
func TestStruckNarrativeIsSaidToBe(t *testing.T) {
	r := readJSON(t, `{"resourceType":"Basic","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Take <s>warfarin</s> <span style=\"text-decoration: line-through\">aspirin</span> apixaban</p><ul><li>a</li><li>b</li></ul></div>"}}`)
	if want := "Basic: Take [struck out: warfarin] [struck out: aspirin] apixaban\na\nb"; len(r.Texts) != 1 || r.Texts[0] != want {
		t.Errorf("%q, want %q", r.Texts, want)
	}
}
