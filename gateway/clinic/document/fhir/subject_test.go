package fhir_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/fhir"
)

func bundle(kind string, entries ...string) string {
	return fmt.Sprintf(`{"resourceType":"Bundle","type":%q,"entry":[%s]}`, kind, strings.Join(entries, ","))
}

func person(url, id, name string) string {
	return fmt.Sprintf(`{"fullUrl":%q,"resource":{"resourceType":"Patient","id":%q,"birthDate":"1970-01-01","identifier":[{"system":"urn:oid:2.25.1","value":%q}],"name":[{"family":%q}]}}`, url, id, "n"+id, name)
}

func result(url, subject, name string) string {
	return fmt.Sprintf(`{"fullUrl":%q,"resource":{"resourceType":"Observation","id":"o","code":{"text":%q},"valueInteger":1,"subject":%s}}`, url, name, subject)
}

func ref(s string) string { return fmt.Sprintf(`{"reference":%q}`, s) }

func names(lines []chart.Line) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Name)
	}
	return strings.Join(out, ",")
}

// Whose a line is follows from the resource's own subject; a second patient's never stands on the first
// one's page, and what cannot be told stands under nobody.
func TestEachLineStandsUnderItsOwnPatient(t *testing.T) {
	ann, bob := person("urn:uuid:a", "a", "Ann"), person("urn:uuid:b", "b", "Bob")
	composition := `{"resource":{"resourceType":"Composition","subject":` + ref("urn:uuid:a") + `}}`
	for name, c := range map[string]struct {
		in      string
		patient string // "" = none
		lines   string
		others  string // "title: lines; …"
	}{
		"one patient, no subjects":       {bundle("collection", ann, result("", "null", "K")), "Ann", "K", ""},
		"two patients":                   {bundle("collection", ann, bob, result("", ref("urn:uuid:a"), "K"), result("", ref("urn:uuid:b"), "Na")), "", "", "Ann: K; Bob: Na"},
		"a document about the first":     {bundle("document", composition, ann, bob, result("", ref("Patient/a"), "K"), result("", ref("Patient/b"), "Na")), "Ann", "K", "Bob: Na"},
		"a document about the second":    {bundle("document", strings.Replace(composition, "uuid:a", "uuid:b", 1), ann, bob, result("", ref("Patient/a"), "K")), "Bob", "", "Ann: K"},
		"somebody who is not there":      {bundle("collection", ann, result("", ref("Patient/zz"), "K")), "", "", "Ann: ; known only as Patient/zz: K"},
		"no subject among several":       {bundle("collection", ann, bob, result("", ref("Patient/a"), "K"), result("", "null", "Na")), "", "", "Ann: K; Bob: ; Entries that name no patient, in data about several: Na"},
		"a patient of whom nothing said": {bundle("collection", ann, bob, result("", ref("Patient/b"), "K")), "Bob", "K", ""},
		"same id on two servers":         {bundle("collection", person("http://x/Patient/1", "1", "Ann"), person("http://y/Patient/1", "1", "Bob"), result("http://y/Observation/o", ref("Patient/1"), "K")), "Bob", "K", ""},
		"same id, cannot be told":        {bundle("collection", person("http://x/Patient/1", "1", "Ann"), person("http://y/Patient/1", "1", "Bob"), result("", ref("Patient/1"), "K")), "", "", "Ann: ; Bob: ; known only as Patient/1: K"},
		"another server's patient":       {bundle("collection", person("http://x/Patient/1", "1", "Ann"), result("", ref("http://z/Patient/1"), "K")), "", "", "Ann: ; known only as http://z/Patient/1: K"},
		"a version of the patient":       {bundle("collection", ann, result("", ref("Patient/a/_history/3"), "K")), "Ann", "K", ""},
		"by number":                      {bundle("collection", ann, bob, result("", `{"identifier":{"system":"urn:oid:2.25.1","value":"nb"}}`, "K")), "Bob", "K", ""},
		"by name alone":                  {bundle("collection", ann, result("", `{"display":"Ann"}`, "K")), "Ann", "K", ""},
		"another name alone":             {bundle("collection", ann, result("", `{"display":"Cid"}`, "K")), "", "", "Ann: ; Cid: K"},
		"a device, not a person":         {bundle("collection", ann, result("", ref("Device/1"), "K"), `{"resource":{"resourceType":"Device","id":"1"}}`), "", "", "Ann: ; Device/1 (Device): K"},
		"a contained patient": {`{"resourceType":"Observation","code":{"text":"K"},"valueInteger":1,"contained":[{"resourceType":"Patient","id":"p","name":[{"family":"Ann"}]}],"subject":{"reference":"#p"}}`,
			"Ann", "K", ""},
		"contained in an entry, another": {bundle("collection", ann, `{"resource":{"resourceType":"Observation","code":{"text":"K"},"contained":[{"resourceType":"Patient","id":"p","name":[{"family":"Bob"}]}],"subject":{"reference":"#p"}}}`),
			"Bob", "K", ""},
		"contained in an entry, the same": {bundle("collection", ann, `{"resource":{"resourceType":"Observation","code":{"text":"K"},"contained":[{"resourceType":"Patient","id":"p","birthDate":"1970-01-01","identifier":[{"system":"urn:oid:2.25.1","value":"na"}],"name":[{"family":"Ann"}]}],"subject":{"reference":"#p"}}}`),
			"Ann", "K", ""},
		"a bundle in a bundle": {bundle("collection", ann, `{"resource":`+bundle("collection", bob, result("", ref("Patient/b"), "K"))+`}`, result("", ref("Patient/a"), "Na")), "", "", "Ann: Na; Bob: K"},
	} {
		r := readJSON(t, c.in)
		patient := ""
		if r.Patient != nil {
			patient = r.Patient.Name.Family
		}
		var others []string
		for _, o := range r.Others {
			others = append(others, o.Title+": "+names(o.Lines))
		}
		if got := strings.Join(others, "; "); patient != c.patient || names(r.Lines) != c.lines || got != c.others {
			t.Errorf("%s: patient %q lines %q others %q, want %q %q %q", name, patient, names(r.Lines), got, c.patient, c.lines, c.others)
		}
		if said := rules(r); (c.others != "") != strings.Contains(said, "problem several-patients") {
			t.Errorf("%s: findings %q", name, said)
		}
	}
}

func rules(r *fhir.Resource) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+f.Rule)
	}
	return strings.Join(out, ",")
}

// The narrative of a section or resource goes where its subject goes.
func TestTextsGoWithTheirPatient(t *testing.T) {
	div := func(s string) string { return `"text":{"div":"<div>` + s + `</div>"}` }
	r := readJSON(t, bundle("document", `{"resource":{"resourceType":"Composition","subject":`+ref("Patient/a")+`,"section":[{"title":"Plan",`+div("rest")+`},{"title":"Baby","focus":`+ref("Patient/b")+`,`+div("jaundice")+
		`},{"title":"Allergies","emptyReason":{"text":"Nil known"}}]}}`, person("urn:uuid:a", "a", "Ann"), person("urn:uuid:b", "b", "Bob")))
	if got := strings.Join(r.Texts, "|"); got != "Plan: rest|Allergies: empty, the sender states: Nil known" || len(r.Others) != 1 || r.Others[0].Texts[0] != "Baby: jaundice" {
		t.Errorf("%q, others %+v", got, r.Others)
	}
}

// A history lists every state of a resource; only the newest is its present one.
func TestOlderVersionsAreOver(t *testing.T) {
	version := func(method, status string) string {
		return `{"request":{"method":"` + method + `","url":"Condition/1"},"resource":{"resourceType":"Condition","id":"1","code":{"text":"` + status + `"}}}`
	}
	r := readJSON(t, bundle("history", version("PUT", "new"), version("POST", "old")))
	if len(r.Lines) != 2 || r.Lines[0].String() != "new" || r.Lines[1].String() != "OLDER VERSION: old" {
		t.Errorf("%+v", r.Lines)
	}
	r = readJSON(t, bundle("history", `{"request":{"method":"DELETE","url":"Condition/1"}}`, version("POST", "gone")))
	if len(r.Lines) != 1 || r.Lines[0].Standing != chart.Over || !strings.Contains(rules(r), "deletion") {
		t.Errorf("%+v %s", r.Lines, rules(r))
	}
}

func TestThePersonIsToldAsNow(t *testing.T) {
	r := readJSON(t, `{"resourceType":"Patient","active":false,"deceasedDateTime":"2026-01-02","name":[{"use":"maiden","family":"Before"},{"use":"official","family":"Now"}],
		"identifier":[{"use":"old","value":"1"},{"value":"2"}],"link":[{"type":"replaced-by","other":{"reference":"Patient/9"}}]}`)
	p := r.Patient
	if p.Name.Family != "Now" || len(p.Others) != 1 || p.Others[0].Family != "Before" || p.Deceased != "2 Jan 2026" || len(p.IDs) != 1 || p.IDs[0].Extension != "2" {
		t.Errorf("%+v", p)
	}
	if got := rules(r); !strings.Contains(got, "problem patient-replaced") || !strings.Contains(got, "warning patient-inactive") {
		t.Errorf("%s", got)
	}
}

// Of two practitioners neither is the author unless the composition says so.
func TestTheAuthorIsWhoTheDataNames(t *testing.T) {
	doc := func(id string) string {
		return `{"resource":{"resourceType":"Practitioner","id":"` + id + `","name":[{"family":"` + id + `"}]}}`
	}
	if r := readJSON(t, bundle("collection", doc("one"), doc("two"))); r.Author.String() != "" {
		t.Errorf("author %q", r.Author.String())
	}
	if r := readJSON(t, bundle("document", `{"resource":{"resourceType":"Composition","author":[`+ref("Practitioner/two")+`]}}`, doc("one"), doc("two"))); r.Author.String() != "two" {
		t.Errorf("author %q", r.Author.String())
	}
}

func TestMedicinesAreFoundByReference(t *testing.T) {
	r := readJSON(t, bundle("collection", `{"fullUrl":"urn:uuid:m","resource":{"resourceType":"Medication","code":{"text":"Apixaban 5 mg"}}}`,
		`{"resource":{"resourceType":"MedicationRequest","status":"active","medicationReference":`+ref("urn:uuid:m")+`,"dosageInstruction":[{"doseAndRate":[{"doseQuantity":{"value":5.0,"unit":"mg"}}],"timing":{"repeat":{"frequency":2,"period":1,"periodUnit":"d"}},"asNeededBoolean":true}]}}`,
		`{"resource":{"resourceType":"MedicationRequest","status":"active","contained":[{"resourceType":"Medication","id":"x","code":{"text":"Metoprolol"}}],"medicationReference":`+ref("#x")+`}}`))
	if len(r.Lines) != 2 || r.Lines[0].String() != "Apixaban 5 mg 5.0 mg 2× per day, as needed" || r.Lines[1].Name != "Metoprolol" {
		t.Errorf("%+v", r.Lines)
	}
}

// What the page cannot show is said, with the limits.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	r := readJSON(t, bundle("collection", `{"resource":{"resourceType":"Coverage"}}`))
	if got := rules(r); got != "note not-shown" {
		t.Errorf("%s", got)
	}
	many := make([]string, fhir.MaxEntries+1)
	for i := range many {
		many[i] = person("", fmt.Sprint(i), fmt.Sprint("P", i))
	}
	r = readJSON(t, bundle("collection", many...))
	if got := rules(r); !r.Cut || len(r.Others) > fhir.MaxPatients+2 || !strings.Contains(got, "too-many-resources") || !strings.Contains(got, "too-many-patients") {
		t.Errorf("%d others, %s", len(r.Others), got)
	}
	file := `{"resource":{"resourceType":"Binary","contentType":"text/plain","data":"aGVsbG8="}}`
	r = readJSON(t, bundle("collection", strings.Split(strings.Repeat(file+"\n", fhir.MaxFiles+1), "\n")[:fhir.MaxFiles+1]...))
	if len(r.Files) != fhir.MaxFiles || !strings.Contains(rules(r), "files-cut") {
		t.Errorf("%d files, %s", len(r.Files), rules(r))
	}
}

// Names are cut, so that comparing them costs no more than the data is long; two that were cut are not one.
func TestNamesAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	r := readJSON(t, bundle("collection", person("urn:uuid:a", "a", long), result("", `{"display":"`+long+`"}`, "K")))
	if r.Patient != nil || len(r.Others) != 2 || len(r.Others[0].Patient.Name.Family) > 200 || names(r.Others[1].Lines) != "K" {
		t.Errorf("patient %v, %d others", r.Patient != nil, len(r.Others))
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(bundleJSON))
	f.Add([]byte(bundle("document", `{"resource":{"resourceType":"Composition","subject":`+ref("Patient/a")+`}}`, person("urn:uuid:a", "a", "Ann"), result("", ref("Patient/b"), "K"))))
	f.Add([]byte(`{"resourceType":"MedicationRequest","contained":[{"resourceType":"Medication","id":"x"}],"medicationReference":{"reference":"#x"},"subject":[{"display":"a"},{"display":"b"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fhir.ReadJSON(strings.NewReader(string(b)), int64(len(b)))
		if err != nil {
			return
		}
		lines := len(r.Lines)
		for _, o := range r.Others {
			lines += len(o.Lines)
		}
		if lines > fhir.MaxLines || lines > len(b) {
			t.Fatalf("%d lines of %d bytes", lines, len(b))
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}
