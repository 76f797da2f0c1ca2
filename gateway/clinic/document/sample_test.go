package document_test

import (
	"testing"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/sample"
)

func TestSamplesAreWhatTheyAreSaidToBe(t *testing.T) {
	for _, c := range []struct {
		name, kind, date string
		b                []byte
		sections         int
	}{
		{"referral", "Referral Note", "2 Oct 2026, 10:45 -0700", sample.Referral, 14},
		{"earlier", "Continuity of Care Document", "1 Jul 2026, 11:30 -0700", sample.Earlier, 6},
	} {
		s := inspect(t, c.b, document.Hint{})
		if s.Kind != document.CCDA || s.Type != c.kind || s.Release != "R2.1" || s.Date.String() != c.date || len(s.Sections) != c.sections {
			t.Errorf("%s: kind %q type %q release %q date %q sections %d", c.name, s.Kind, s.Type, s.Release, s.Date, len(s.Sections))
		}
		if got := s.Patient.Name.String(); got != "Ottilie Maren Brandvold" {
			t.Errorf("%s: patient %q", c.name, got)
		}
		if len(s.Repairs) != 0 {
			t.Errorf("%s: repairs %q", c.name, s.Repairs)
		}
	}
}
