package desk

import "testing"

func TestSubjectsForPeople(t *testing.T) {
	for _, c := range []struct{ subject, plain, organization string }{
		{"CN=direct.lakeview.example", "direct.lakeview.example", ""},
		{"CN=dr@x.example,O=Riverside Family Medicine,C=US", "dr@x.example, Riverside Family Medicine", "Riverside Family Medicine"},
		{`CN=a,O=Smith\, Jones \+ Co`, "a, Smith, Jones + Co", "Smith, Jones + Co"},
		{"O=Clinic", "Clinic", "Clinic"},
		{"OU=x", "OU=x", ""},
		{`CN=a\`, `a\`, ""},
		{"", "", ""},
	} {
		if got := plain(c.subject); got != c.plain || organization(c.subject) != c.organization {
			t.Errorf("%q is %q of %q, want %q of %q", c.subject, got, organization(c.subject), c.plain, c.organization)
		}
	}
}
