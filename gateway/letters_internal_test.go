package gateway

import (
	"encoding/json"
	"testing"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
)

// TestSeveralPatients: a ready text is filled from documents only where all of them are about one person.
func TestSeveralPatients(t *testing.T) {
	doc := func(given, family string) (d inbox.Document) {
		if family != "" {
			d.Patient, _ = json.Marshal(chart.Patient{Name: chart.Name{Given: given, Family: family}}) // plain values
		}
		return d
	}
	for situation, c := range map[string]struct {
		docs []inbox.Document
		want bool
	}{
		"no document":              {nil, false},
		"one":                      {[]inbox.Document{doc("Ana", "Ruiz")}, false},
		"one, and one of nobody":   {[]inbox.Document{doc("", ""), doc("Ana", "Ruiz")}, false},
		"twice the same":           {[]inbox.Document{doc("Ana", "Ruiz"), doc("ANA", "RUIZ")}, false},
		"two":                      {[]inbox.Document{doc("Ana", "Ruiz"), doc("Berta", "Ruiz")}, true},
		"two behind one of nobody": {[]inbox.Document{doc("", ""), doc("Ana", "Ruiz"), doc("Ana", "Lee")}, true},
	} {
		if got := several(c.docs); got != c.want {
			t.Errorf("%s: %v, want %v", situation, got, c.want)
		}
	}
}
