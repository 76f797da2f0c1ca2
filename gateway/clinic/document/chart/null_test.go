package chart_test

import (
	"testing"

	"postern/gateway/clinic/document/chart"
)

// Why there is no value is said, and no two reasons that differ for a clinician read the same.
func TestNullFlavoursAreSaidApart(t *testing.T) {
	seen := map[string]string{}
	for _, f := range []string{"NI", "UNK", "ASKU", "NASK", "NAV", "MSK", "NA", "OTH", "QS", "TRC", "PINF", "NINF", "INV", "XYZ"} {
		w := chart.NullWords(f)
		if w == "" || seen[w] != "" {
			t.Errorf("%s: %q, as %s", f, w, seen[w])
		}
		seen[w] = f
	}
	if chart.NullWords("") != "" {
		t.Error("a value that is there has a reason to be missing")
	}
}
