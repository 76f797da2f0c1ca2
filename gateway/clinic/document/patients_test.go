package document_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xdm"
)

func cdaOf(given, family, birth, words string) string {
	return `<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole><id root="2.25.9" extension="` + given + `"/><patient><name><given>` + given + `</given><family>` + family +
		`</family></name><birthTime value="` + birth + `"/></patient></patientRole></recordTarget><component><structuredBody><component><section><title>Reason</title><text>` + words + `</text></section></component></structuredBody></component></ClinicalDocument>`
}

func hasRule(s *document.Summary, severity, rule string) bool {
	for _, f := range s.Problems {
		if f.Rule == rule && string(f.Severity) == severity {
			return true
		}
	}
	for i := range s.Inside {
		if hasRule(&s.Inside[i], severity, rule) {
			return true
		}
	}
	return false
}

// A container lends itself the patient of its documents only when all are surely about one.
func TestAContainerHasOnlyASurePatient(t *testing.T) {
	ann := cdaOf("Ann", "Smith", "19600101", "a")
	for name, c := range map[string]struct {
		files   []string
		patient string
		rule    string
	}{
		"one document":              {[]string{"a.xml", ann}, "Ann", ""},
		"twice the same person":     {[]string{"a.xml", ann, "b.xml", cdaOf("Ann", "Smith", "19600101", "b")}, "Ann", ""},
		"different birth dates":     {[]string{"a.xml", ann, "b.xml", cdaOf("Ann", "Smith", "19600102", "b")}, "", "problem different-patients"},
		"the same name, no more":    {[]string{"a.xml", ann, "b.xml", strings.Replace(cdaOf("Ann", "Smith", "", "b"), `extension="Ann"`, "", 1)}, "", "warning unsure-patients"},
		"same birth, another name":  {[]string{"a.xml", ann, "b.xml", cdaOf("Bea", "Jones", "19600101", "b")}, "", "warning unsure-patients"},
		"one deeper, of another":    {[]string{"a.xml", ann, "b.zip", zipOf("b.xml", cdaOf("Bob", "Jones", "19700101", "b"))}, "", "problem different-patients"},
		"a picture beside it":       {[]string{"a.xml", ann, "b.png", picture(t)}, "Ann", ""},
		"several at odds in a zip":  {[]string{"b.zip", zipOf("a.xml", ann, "b.xml", cdaOf("Bob", "Jones", "19700101", "b"))}, "", "problem different-patients"},
		"two messages of two":       {[]string{"a.hl7", adt + strings.Replace(adt, "Ann", "Bob", 1)}, "", "problem different-patients"},
		"two messages of one":       {[]string{"a.hl7", strings.Replace(adt+adt, "Doe^Ann", "Doe^Ann||19600101", 2)}, "Ann", ""},
		"message around a document": {[]string{"a.hl7", adt + "OBX|1|ED|X||^text^xml^Base64^" + base64.StdEncoding.EncodeToString([]byte(ann)) + "||||||F\r"}, "", "problem different-patients"},
	} {
		s := inspect(t, []byte(zipOf(c.files...)), document.Hint{})
		got := ""
		if s.Patient != nil {
			got = s.Patient.Name.Given
		}
		if got != c.patient {
			t.Errorf("%s: patient %q, want %q (%s)", name, got, c.patient, remarks(s))
		}
		if sev, rule, ok := strings.Cut(c.rule, " "); ok && !hasRule(s, sev, rule) || !ok && (hasRule(s, "problem", "different-patients") || hasRule(s, "warning", "unsure-patients")) {
			t.Errorf("%s: remarks %q, want %q", name, remarks(s), c.rule)
		}
	}
}

// What the package or the context part says of the patient is compared with the document; a mismatch
// stands first.
func TestStatedPatientsAreComparedWithTheDocument(t *testing.T) {
	ann := []byte(cdaOf("Ann", "Smith", "19600101", "a"))
	for name, c := range map[string]struct {
		id   string
		info []string
		rule string
	}{
		"the same":          {"Ann^^^&2.25.9&ISO", []string{"PID-5|Smith^Ann", "PID-7|19600101"}, ""},
		"another person":    {"Bob^^^&2.25.9&ISO", []string{"PID-5|Jones^Bob", "PID-7|19700101"}, "problem stated-patient-differs"},
		"another birth":     {"Ann^^^&2.25.9&ISO", []string{"PID-5|Smith^Ann", "PID-7|19600201"}, "problem stated-patient-differs"},
		"its number alone":  {"Ann^^^&2.25.9&ISO", nil, ""},
		"a number alone":    {"77^^^&2.25.8&ISO", nil, "note stated-patient-unsure"},
		"nothing is stated": {"", nil, ""},
	} {
		var w bytes.Buffer
		err := xdm.Write(&w, xdm.Submission{SourceID: "2.25.77", From: "a@x.example", Recipients: []string{"b@x.example"}, Time: time.Unix(0, 0),
			Documents: []xdm.Part{{Content: bytes.NewReader(ann), Size: int64(len(ann)), MediaType: "text/xml", SourcePatientID: c.id, SourcePatient: c.info}}})
		if err != nil {
			t.Fatal(err)
		}
		s := inspect(t, w.Bytes(), document.Hint{})
		sev, rule, ok := strings.Cut(c.rule, " ")
		if ok != (hasRule(s, "problem", "stated-patient-differs") || hasRule(s, "note", "stated-patient-unsure")) || ok && !hasRule(s, sev, rule) {
			t.Errorf("%s: %q, want %q", name, remarks(s), c.rule)
		}
		if sev == "problem" && s.Inside[0].Problems[0].Rule != rule {
			t.Errorf("%s: the mismatch is not first: %+v", name, s.Inside[0].Problems)
		}
	}
	mail := "From: a@x.example\r\nX-Direct-Context: <c>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-ID: <c>\r\n\r\nversion: 1.1\r\nid: 1\r\npatient: givenName=%s; surname=Smith; dateOfBirth=1960-01-01\r\n\r\n--b\r\nContent-Type: text/xml; name=a.xml\r\n\r\n" + string(ann) + "\r\n--b--\r\n"
	for given, want := range map[string]bool{"Ann": false, "Bob": true} {
		s := inspect(t, fmt.Appendf(nil, mail, given), document.Hint{})
		if got := hasRule(s, "problem", "stated-patient-differs") || hasRule(s, "note", "stated-patient-unsure"); got != want {
			t.Errorf("context names %s: %q", given, remarks(s))
		}
	}
}

// Every clinical document of a wrapper is shown, each under its own patient.
func TestAllDocumentsOfAWrapperAreShown(t *testing.T) {
	in := "<envelope>" + cdaOf("Ann", "Smith", "19600101", "words of one") + cdaOf("Bob", "Jones", "19700101", "words of two") + "</envelope>"
	s := inspect(t, []byte(in), document.Hint{})
	if s.Kind != document.XML || len(s.Inside) != 2 || s.Patient != nil || !hasRule(s, "problem", "different-patients") || s.Inside[1].Patient.Name.Given != "Bob" {
		t.Errorf("kind %q, %d inside, patient %+v, %q", s.Kind, len(s.Inside), s.Patient, remarks(s))
	}
	out := render(t, []byte(in), document.RenderOptions{NoRaw: true})
	if err := checkPage(out); err != nil {
		t.Error(err)
	}
	shown := visible(t, out)
	one, two := strings.Index(shown, "words of one"), strings.Index(shown, "words of two")
	if bob := strings.LastIndex(shown[:max(two, 0)], "Bob Jones"); one < 0 || two < one || bob < one {
		t.Errorf("one at %d, two at %d, Bob at %d: %s", one, two, bob, shown)
	}
}

// The second patient's results stand under that patient's name and under no other.
func TestSecondPatientsOfAMessageAndBundleStandApart(t *testing.T) {
	hl7 := "MSH|^~\\&|L|H|C|H|202605010900||ORU^R01|1|P|2.5.1\rPID|1||1^^^H||SMITH^ANN||19600101|F\rOBX|1|NM|K^Potassium||6.1|mmol/L|||||F\r" +
		"PID|2||9^^^H||JONES^BOB||19700101|M\rOBX|1|NM|NA^Sodium||118|mmol/L||LL|||F\r"
	fhir := `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"a","name":[{"family":"SMITH","given":["ANN"]}]}},{"resource":{"resourceType":"Patient","id":"b","name":[{"family":"JONES","given":["BOB"]}]}},
		{"resource":{"resourceType":"Observation","code":{"text":"Potassium"},"subject":{"reference":"Patient/a"},"valueInteger":6}},{"resource":{"resourceType":"Observation","code":{"text":"Sodium"},"subject":{"reference":"Patient/b"},"valueInteger":118}}]}`
	for name, in := range map[string]string{"HL7 v2": hl7, "FHIR": fhir} {
		s := inspect(t, []byte(in), document.Hint{})
		if s.Patient != nil || len(s.Lines) != 0 || len(s.Inside) != 2 || !hasRule(s, "problem", "several-patients") {
			t.Errorf("%s: patient %+v lines %+v inside %d %q", name, s.Patient, s.Lines, len(s.Inside), remarks(s))
			continue
		}
		shown := visible(t, render(t, []byte(in), document.RenderOptions{NoRaw: true}))
		order := []string{"several patients", "ANN SMITH", "Potassium", "BOB JONES", "Sodium"}
		if name == "HL7 v2" {
			order[0] = "about 2 patients"
		}
		at := 0
		for _, w := range order {
			i := strings.Index(shown[at:], w)
			if i < 0 {
				t.Errorf("%s: %q does not follow: %s", name, w, shown)
				break
			}
			at += i
		}
		if strings.Count(shown, "Sodium") != 1 {
			t.Errorf("%s: %s", name, shown)
		}
	}
}

// Two files of one name, and what stands in front of an archive, are stated.
func TestOddArchivesAreStated(t *testing.T) {
	var w bytes.Buffer
	z := zip.NewWriter(&w)
	for _, words := range []string{"first words", "second words"} {
		f, err := z.Create("a.txt")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(words)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s := inspect(t, w.Bytes(), document.Hint{})
	if !hasRule(s, "problem", "duplicate-name") || len(s.Inside) != 2 {
		t.Errorf("%d inside, %q", len(s.Inside), remarks(s))
	}
	for name, junk := range map[string]string{"line ends": "\r\n\r\n", "text": "see attached:\n", "bytes": "\x00\x01\x02\xFF", "nothing": ""} {
		s := inspect(t, []byte(junk+zipOf("a/note.xml", smallCDA)), document.Hint{})
		if s.Kind != document.Zip || len(s.Inside) != 1 || s.Inside[0].Kind != document.CCDA || hasRule(s, "note", "leading-bytes") != (junk != "") {
			t.Errorf("%s in front: kind %q, %d inside, %q", name, s.Kind, len(s.Inside), remarks(s))
		}
	}
}

// A name that HTML knows does not make HTML; a body in UTF-16 does not unmake a mail.
func TestKindsThatLookLikeOthers(t *testing.T) {
	for name, c := range map[string]struct {
		in    string
		kind  document.Kind
		shown string
	}{
		"XML with a short root":       {"<a><b>some words</b></a>", document.XML, "some words"},
		"declared XML":                {`<?xml version="1.0"?><p>some words</p>`, document.XML, "some words"},
		"XML in a namespace":          {`<p xmlns="urn:x">some words</p>`, document.XML, "some words"},
		"a document in a division":    {"<div>" + smallCDA + "</div>", document.CCDA, "words of the sender"},
		"a link":                      {`<a href="https://x.example">some words</a>`, document.HTML, "text and tables only"},
		"a piece of HTML":             {"<p>some words<br>more</p>", document.HTML, "text and tables only"},
		"mail with a UTF-16 body":     {"From: a@x.example\r\nTo: b@x.example\r\nContent-Type: text/plain; charset=utf-16le\r\n\r\n" + widen("some words")[2:], document.Mail, "some words"},
		"mail in UTF-16":              {widen("From: a@x.example\r\nTo: b@x.example\r\n\r\nsome words\r\n"), document.Mail, "some words"},
		"FHIR in UTF-16":              {widen(`{"resourceType":"Condition","code":{"text":"some words"}}`), document.FHIRJSON, "some words"},
		"mail with a program as body": {"From: a@x.example\r\nTo: b@x.example\r\nContent-Type: application/octet-stream\r\n\r\nMZ\x90\x00\x03\x00\x00\x00", document.Mail, "never shown or run"},
	} {
		s := inspect(t, []byte(c.in), document.Hint{})
		if s.Kind != c.kind {
			t.Errorf("%s: kind %q, want %q", name, s.Kind, c.kind)
		}
		if shown := visible(t, render(t, []byte(c.in), document.RenderOptions{NoRaw: true})); !strings.Contains(shown, c.shown) {
			t.Errorf("%s: %s", name, shown)
		}
	}
}

// Only the record of a patient that is given up is a merge of patients; an account or a visit is not.
func TestAMergeOfAccountsIsNoMergeOfPatients(t *testing.T) {
	for merge, want := range map[string]bool{"MRG|77^^^X": true, "MRG|||||||Roe^Jane": true, "MRG|": true, "MRG|||ACC1": false, "MRG|||||V1": false} {
		d, err := document.OpenBytes([]byte("MSH|^~\\&|A|B|C|D|20260501||ADT^A06|1|P|2.5\rPID|||1^^^X||Doe^Ann||19600101\r"+merge+"\r"), document.Hint{})
		if err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(d.Problems, func(f chart.Finding) bool { return f.Rule == "patient-merged" })
		if got != want {
			t.Errorf("%s: %v, %+v", merge, got, d.Problems)
		}
	}
}
