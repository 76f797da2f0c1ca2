package desk

import (
	"encoding/json"
	"testing"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
)

func TestSeveralPatientsOfOneMessage(t *testing.T) {
	doc := func(family string) inbox.Document {
		d := inbox.Document{Type: "Referral Note"}
		if family != "" {
			d.Patient, _ = json.Marshal(chart.Patient{Name: chart.Name{Given: "Ana", Family: family}}) // plain values
		}
		return d
	}
	for situation, c := range map[string]struct {
		docs []inbox.Document
		want string
	}{
		"none":       {[]inbox.Document{doc("")}, ""},
		"one":        {[]inbox.Document{doc("Ruiz")}, doc("Ruiz").PatientName()},
		"one, twice": {[]inbox.Document{doc(""), doc("Ruiz"), doc("Ruiz")}, doc("Ruiz").PatientName()},
		"two":        {[]inbox.Document{doc("Ruiz"), doc("Abara")}, doc("Ruiz").PatientName() + " and another patient"},
		"three":      {[]inbox.Document{doc("Ruiz"), doc(""), doc("Abara"), doc("Lee")}, doc("Ruiz").PatientName() + " and 2 other patients"},
	} {
		got, _ := about(c.docs)
		if head, _ := statedPatient(c.docs); got != c.want || head != c.want {
			t.Errorf("%s: %q in lists and %q on its page, want %q", situation, got, head, c.want)
		}
	}
	if doc("Ruiz").PatientName() == "" {
		t.Error("the test's documents name nobody")
	}
}
