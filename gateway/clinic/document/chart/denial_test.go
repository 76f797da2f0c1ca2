package chart_test

import (
	"testing"

	"postern/gateway/clinic/document/chart"
)

// A denial is one only when it says nothing else; anything else stays a line to be read.
func TestNoneKnownIsAPlainDenial(t *testing.T) {
	for _, c := range []struct {
		code chart.Code
		want bool
	}{
		{chart.Code{Text: "NKDA"}, true},
		{chart.Code{Display: "No Known Drug Allergies."}, true},
		{chart.Code{Code: "NKA", Display: "whatever it is called"}, true},
		{chart.Code{Code: "716186003", System: "http://snomed.info/sct"}, true},
		{chart.Code{Code: "716186003", System: "L", Display: "Penicillin"}, false},
		{chart.Code{Text: "No known allergies except penicillin"}, false},
		{chart.Code{Text: "No known drug allergies, latex"}, false},
		{chart.Code{Text: "Penicillin"}, false},
		{chart.Code{}, false},
	} {
		if got := chart.NoneKnown(c.code); got != c.want {
			t.Errorf("%+v: %v", c.code, got)
		}
	}
}

func TestALineSaysHowItStandsFirst(t *testing.T) {
	for want, l := range map[string]chart.Line{
		"Potassium 4.1 mmol/L":     {Name: "Potassium", Value: "4.1 mmol/L"},
		"REFUTED: Penicillin":      {Name: "Penicillin", Standing: chart.Denied, Status: "refuted"},
		"No known allergies":       {Name: "No known allergies", Standing: chart.Denied},
		"WITHDRAWN: Potassium 6.1": {Name: "Potassium", Value: "6.1", Standing: chart.Withdrawn},
		"CORRECTED: Potassium 4.1": {Name: "Potassium", Value: "4.1", Status: "corrected"},
	} {
		if got := l.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
