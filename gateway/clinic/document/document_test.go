package document_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"postern/gateway/clinic/document"
	"postern/gateway/lab/corpus"
)

func inspect(t testing.TB, b []byte, h document.Hint) *document.Summary {
	t.Helper()
	s, err := document.Inspect(bytes.NewReader(b), int64(len(b)), h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func field(expected, name string) string {
	m := regexp.MustCompile(`(?:^|[; ])` + name + `=([^;]*)`).FindStringSubmatch(expected)
	if m == nil {
		return ""
	}
	return m[1]
}

func TestInspectTellsTypePatientAndDateOfEveryCorpusDocument(t *testing.T) {
	names := map[string]string{
		"2": "Continuity of Care Document", "3": "History and Physical", "4": "Consultation Note", "5": "Diagnostic Imaging Report",
		"7": "Operative Note", "8": "Discharge Summary", "10": "Unstructured Document", "14": "Referral Note", "15": "Care Plan",
	}
	for _, e := range corpus.Walk(t, "ccda") {
		t.Run(e.File, func(t *testing.T) {
			s := inspect(t, e.Read(t), document.Hint{Filename: e.File})
			want := document.CCDA
			if field(e.Expected, "tmpl") == "-" {
				want = document.C32 // Kareo: a CCD 1.0 without any C-CDA template
			}
			if s.Kind != want {
				t.Fatalf("kind %q, want %q", s.Kind, want)
			}
			if strings.Contains(e.Expected, "xml=not-well-formed") {
				if len(s.Repairs) == 0 {
					t.Error("a document that is not well-formed came without a stated repair")
				}
				return
			}
			if got, want := s.TypeCode, field(e.Expected, "docCode"); got != want {
				t.Errorf("document code %q, want %q", got, want)
			}
			for _, arc := range strings.Split(field(e.Expected, "tmpl"), "+") {
				arc, _, _ = strings.Cut(arc, "/")
				if want, ok := names[arc]; ok && s.Type != want {
					t.Errorf("type %q, want %q by template %s", s.Type, want, arc)
				}
			}
			given, family, _ := strings.Cut(field(e.Expected, "patient"), "|")
			given = strings.TrimSpace(strings.ReplaceAll(given, "null", ""))
			if s.Patient == nil || !strings.HasPrefix(given, strings.TrimSpace(s.Patient.Name.Given)) || s.Patient.Name.Family != family {
				t.Errorf("patient %+v, want %q %q", s.Patient, given, family)
			} else if dob := field(e.Expected, "dob"); !strings.HasPrefix(dob, s.Patient.Birth.Raw) || len(s.Patient.Birth.Raw) < 8 {
				t.Errorf("birth %q, want %q", s.Patient.Birth.Raw, dob)
			}
			if len(s.Authors) == 0 && !strings.Contains(e.File, "fragment") {
				t.Error("no author")
			}
			if s.Date.Precision == 0 && !strings.Contains(e.File, "BadDocEffective") && !strings.Contains(e.File, "Bad_DocEffective") {
				t.Errorf("no date: %+v", s.Date)
			}
			if want := field(e.Expected, "sections"); want != "" && len(s.Sections) != atoi(want) {
				t.Errorf("%d sections, want %s", len(s.Sections), want)
			}
		})
	}
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}
