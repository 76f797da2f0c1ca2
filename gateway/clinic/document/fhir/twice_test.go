package fhir_test

import (
	"strings"
	"testing"
)

// Data that means one thing to one program and another to the next is called out.
func TestANameGivenTwiceIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		in    string
		twice string
	}{
		"a status":            {`{"resourceType":"Observation","status":"entered-in-error","status"` + strings.Repeat(" ", 200) + `: "final","code":{"text":"K"}}`, "status"},
		"deeper":              {`{"resourceType":"Observation","status":"final","code":{"text":"K","text":"Na"}}`, "text"},
		"written by escapes":  {`{"resourceType":"Observation","status":"entered-in-error","st\u0061tus":"final","code":{"text":"K"}}`, "status"},
		"in two objects":      {`{"resourceType":"Observation","status":"final","code":{"text":"K"},"note":[{"text":"a"},{"text":"text"}]}`, ""},
		"a value like a name": {`{"resourceType":"Observation","status":"final","code":{"text":"status"},"valueString":"a\": \"status"}`, ""},
	} {
		told := ""
		for _, f := range readJSON(t, c.in).Findings {
			if f.Rule == "named-twice" {
				told = f.Text
			}
		}
		if (c.twice == "") != (told == "") || !strings.Contains(told, c.twice) {
			t.Errorf("%s: %q, want %q", name, told, c.twice)
		}
	}
}
