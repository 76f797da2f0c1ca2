package chart_test

import (
	"testing"

	"postern/gateway/clinic/document/chart"
)

// A code without words is named where it is common, said to be a code where it is not, and never a bare number.
func TestCodesAreSaidPlainly(t *testing.T) {
	for name, c := range map[string]struct {
		code chart.Code
		want string
	}{
		"with words":         {chart.Code{Code: "8480-6", Display: "BP"}, "BP"},
		"the sender's words": {chart.Code{Code: "8480-6", Text: "upper"}, "upper"},
		"a vital sign":       {chart.Code{Code: "8480-6"}, "Systolic blood pressure"},
		"a reaction":         {chart.Code{Code: "247472004"}, "Hives"},
		"a rare code":        {chart.Code{Code: "999999"}, "code 999999, without words"},
		"letters":            {chart.Code{Code: "po"}, "po"},
		"nothing":            {chart.Code{}, ""},
	} {
		if got := c.code.Plainly(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for u, want := range map[string]string{"1": "", "{copies}/mL": "copies/mL", "mm[Hg]": "mmHg", "mg/dL": "mg/dL", "Cel": "°C", "": ""} {
		if got := chart.UnitWords(u); got != want {
			t.Errorf("unit %q: %q, want %q", u, got, want)
		}
	}
	for f, want := range map[string]string{"H": "high", " lx ": "below low threshold", "N": "", "?": ""} {
		if got := chart.FlagName(f); got != want {
			t.Errorf("flag %q: %q, want %q", f, got, want)
		}
	}
}

func TestTimingEvents(t *testing.T) {
	for code, want := range map[string]string{"HS": "at bedtime", " ACM ": "before breakfast", "ICV": "between dinner and bedtime", "MORN": "in the morning", "hs": "hs", "QQ": "QQ", "": ""} {
		if got := chart.TimingEvent(code); got != want {
			t.Errorf("%q is %q, want %q", code, got, want)
		}
	}
}
