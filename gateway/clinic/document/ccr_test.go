package document_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document"
)

// A record's lines stand as their status says, and every test of a result is there.
func TestCCRLinesStandAsTheirStatusSays(t *testing.T) {
	entry := func(kind, in string) string {
		return "<" + kind + "s><" + kind + ">" + in + "</" + kind + "></" + kind + "s>"
	}
	named := func(name, status string) string {
		return "<Description><Text>" + name + "</Text></Description><Status><Text>" + status + "</Text></Status>"
	}
	for name, c := range map[string]struct{ in, want string }{
		"active":        {entry("Problem", named("Asthma", "Active")), "Asthma"},
		"chronic":       {entry("Problem", named("Asthma", "Chronic")), "Asthma Chronic"},
		"resolved":      {entry("Problem", named("Asthma", "Resolved")), "RESOLVED: Asthma"},
		"ruled out":     {entry("Problem", named("Asthma", "Ruled Out")), "RULED OUT: Asthma"},
		"in error":      {entry("Problem", named("Asthma", "Entered in Error")), "ENTERED IN ERROR: Asthma"},
		"with an end":   {entry("Problem", "<DateTime><Type><Text>End date</Text></Type><ExactDateTime>2020</ExactDateTime></DateTime>"+named("Asthma", "")), "ENDED 2020: Asthma"},
		"denied":        {entry("Alert", named("No known allergies", "Active")), "No known allergies"},
		"a dose":        {entry("Medication", "<Status><Text>Discontinued</Text></Status><Product><ProductName><Text>Warfarin</Text></ProductName><Strength><Value>5.0</Value><Units><Unit>mg</Unit></Units></Strength></Product>"), "DISCONTINUED: Warfarin 5.0 mg"},
		"several tests": {entry("Result", named("Panel", "")+"<Test>"+named("K", "Preliminary")+"<TestResult><Value>4.10</Value></TestResult></Test><Test>"+named("Na", "final result")+"</Test>"), "PRELIMINARY: Panel: K 4.10|Panel: Na (no value stated)"},
	} {
		s := inspect(t, []byte(`<ContinuityOfCareRecord xmlns="urn:astm-org:CCR"><Patient><ActorID>1</ActorID></Patient><Body>`+c.in+`</Body></ContinuityOfCareRecord>`), document.Hint{})
		var got []string
		for _, l := range s.Lines {
			got = append(got, l.String())
		}
		if s.Kind != document.CCR || strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	s := inspect(t, []byte(`<ContinuityOfCareRecord xmlns="urn:astm-org:CCR"><Patient><ActorID>1</ActorID></Patient><Patient><ActorID>2</ActorID></Patient></ContinuityOfCareRecord>`), document.Hint{})
	if !hasRule(s, "problem", "several-patients") {
		t.Errorf("%q", remarks(s))
	}
}
