package document_test

import (
	"context"
	"strings"
	"testing"

	"postern/gateway/clinic/document"
)

// TestABundleSaysWhatItBrings: its type names its composition, else that it is a report of results.
func TestABundleSaysWhatItBrings(t *testing.T) {
	report := `{"resource":{"resourceType":"DiagnosticReport","status":"final","code":{"text":"Basic metabolic panel"}}}`
	composition := `{"resource":{"resourceType":"Composition","title":"Hospital course","type":{"text":"Discharge summary"}}}`
	patient := `{"resource":{"resourceType":"Patient","name":[{"family":"Moe"}]}}`
	deleted := `{"fullUrl":"urn:uuid:1","request":{"method":"DELETE","url":"DiagnosticReport/1"}}`
	for situation, c := range map[string]struct{ entries, kind, title string }{
		"a report":                        {patient + "," + report, "Bundle (collection): diagnostic report", "Basic metabolic panel"},
		"two reports":                     {report + "," + strings.Replace(report, "Basic metabolic panel", "CT", 1), "Bundle (collection): diagnostic report", ""},
		"a composition that brings one":   {composition + "," + report, "Bundle (collection): Discharge summary", "Hospital course"},
		"a patient alone":                 {patient, "Bundle (collection)", ""},
		"a report that is taken back":     {patient + "," + deleted, "Bundle (collection)", ""},
		"a composition without a type":    {`{"resource":{"resourceType":"Composition","title":"Note"}},` + patient, "Bundle (collection)", "Note"},
		"an inner bundle with the report": {`{"resource":{"resourceType":"Bundle","type":"collection","entry":[` + report + `]}}`, "Bundle (collection): diagnostic report", "Basic metabolic panel"},
	} {
		t.Run(situation, func(t *testing.T) {
			body := `{"resourceType":"Bundle","type":"collection","entry":[` + c.entries + `]}`
			s, err := document.Inspect(strings.NewReader(body), int64(len(body)), document.Hint{Stop: context.Background().Err})
			if err != nil || s.Kind != document.FHIRJSON || s.Type != c.kind || s.Title != c.title {
				t.Errorf("%s %q titled %q, %v; want %q titled %q", s.Kind, s.Type, s.Title, err, c.kind, c.title)
			}
		})
	}
}
