package fhir_test

import "testing"

// Nothing that changes what is taken, or where, is left out; where words and code differ, both stand.
func TestDosesSidesAndCodesAreWhole(t *testing.T) {
	med := func(dosage string) string {
		return `"MedicationRequest","status":"active","medicationCodeableConcept":{"text":"X"},"dosageInstruction":[{` + dosage + `}]`
	}
	const dose = `"doseAndRate":[{"doseQuantity":{"value":10,"unit":"mg"}}]`
	for name, c := range map[string]struct{ in, line string }{
		"weekly, on a day, with a limit": {med(dose + `,"timing":{"repeat":{"frequency":1,"period":1,"periodUnit":"wk","dayOfWeek":["mon"]}},"maxDosePerPeriod":{"numerator":{"value":10,"unit":"mg"},"denominator":{"value":1,"unit":"wk"}},"additionalInstruction":[{"text":"never daily"}]`),
			"X 10 mg 1× per week, on mon, at most 10 mg in 1 wk, never daily"},
		"from three to four times":           {med(`"doseAndRate":[{"doseRange":{"low":{"value":1,"unit":"tab"},"high":{"value":2,"unit":"tab"}}}],"timing":{"repeat":{"frequency":3,"frequencyMax":4,"period":1,"periodUnit":"d"}}`), "X 1 tab to 2 tab 3 to 4× per day"},
		"at bedtime, until a day":            {med(dose + `,"timing":{"repeat":{"when":["HS"],"boundsPeriod":{"start":"2026-01-01","end":"2026-02-01"}}}`), "X 10 mg at bedtime, 1 Jan 2026 to 1 Feb 2026"},
		"a rate":                             {med(`"doseAndRate":[{"rateQuantity":{"value":50,"unit":"mL/h"}}]`), "X at 50 mL/h"},
		"words that give no dose":            {med(`"text":"see below",` + dose), "X see below (coded: 10 mg)"},
		"words that give it":                 {med(`"text":"take 10 mg at night",` + dose), "X take 10 mg at night"},
		"words that give another":            {med(`"text":"take 100 mg at night",` + dose), "X take 100 mg at night (coded: 10 mg)"},
		"another drug in the code":           {`"MedicationRequest","status":"active","medicationCodeableConcept":{"text":"Heparin","coding":[{"code":"1","display":"Warfarin 5 MG"}]}`, "Heparin (coded as Warfarin 5 MG)"},
		"a side only in the code":            {`"Condition","code":{"text":"Fracture","coding":[{"code":"1","display":"Fracture of left femur"}]}`, "Fracture of left femur"},
		"a procedure's side":                 {`"Procedure","status":"completed","code":{"text":"Arthroplasty"},"bodySite":[{"text":"Left knee"}]`, "Arthroplasty at: Left knee"},
		"an order's side":                    {`"ServiceRequest","status":"active","intent":"order","priority":"urgent","code":{"text":"MRI"},"bodySite":[{"text":"Left knee"}]`, "MRI urgent · at: Left knee"},
		"a stage and an age":                 {`"Condition","code":{"text":"Cancer"},"onsetAge":{"value":40,"unit":"a"},"stage":[{"summary":{"text":"Stage IV"}}]`, "Cancer since the age of 40 a · Stage IV"},
		"what a goal is to reach":            {`"Goal","lifecycleStatus":"active","description":{"text":"Sugar"},"target":[{"measure":{"text":"A1c"},"detailQuantity":{"value":7,"unit":"%"},"dueDate":"2026-12-01"}]`, "Sugar A1c 7 % by 2026-12-01"},
		"a plan's steps":                     {`"CarePlan","status":"active","intent":"plan","title":"Plan","activity":[{"detail":{"status":"in-progress","description":"walk daily"}},{"detail":{"doNotPerform":true,"status":"scheduled","description":"lifting"}}]`, "Plan walk daily (in-progress); not to be done: lifting (scheduled)"},
		"a bare number":                      {med(`"doseAndRate":[{"doseQuantity":{"value":2}}]`), "X dose 2"},
		"a substance with its reaction only": {`"AllergyIntolerance","reaction":[{"substance":{"text":"Amoxicillin"},"manifestation":[{"coding":[{"system":"http://snomed.info/sct","code":"247472004"}]}]}]`, "Amoxicillin Hives"},
		"a vital sign by its code":           {`"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8302-2"}]},"valueQuantity":{"value":170,"code":"cm"}`, "Body height 170 cm"},
		"a medicine by its code":             {`"MedicationRequest","status":"active","medicationCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"18531000168109"}]}`, "code 18531000168109, without words"},
		"a visit by its class":               {`"Encounter","status":"finished","class":{"code":"AMB"}`, "Outpatient visit"},
		"what a reaction came from":          {`"AllergyIntolerance","code":{"text":"Penicillins"},"reaction":[{"substance":{"text":"Amoxicillin"},"manifestation":[{"text":"Hives"}]}]`, "Penicillins to Amoxicillin: Hives"},
	} {
		r := readJSON(t, `{"resourceType":`+c.in+`}`)
		if len(r.Lines) != 1 || r.Lines[0].String() != c.line {
			t.Errorf("%s: %v, want %q", name, r.Lines, c.line)
		}
	}
}
