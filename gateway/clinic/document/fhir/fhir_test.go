package fhir_test

import (
	"errors"
	"strings"
	"testing"

	"postern/gateway/clinic/document/fhir"
	"postern/gateway/clinic/document/xmltree"
)

const bundleJSON = `{"resourceType":"Bundle","type":"collection","timestamp":"2026-10-02T10:45:00-07:00","entry":[
{"resource":{"resourceType":"Patient","name":[{"family":"Brandvold","given":["Ottilie","Maren"]}],"birthDate":"1958-11-17","gender":"female",
 "identifier":[{"system":"urn:oid:2.25.77","value":"LV-1"}],"text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>alert(1)</script>Ottilie <b>Brandvold</b></div>"}}},
{"resource":{"resourceType":"Practitioner","name":[{"family":"Okonjo","given":["Hanna"]}]}},
{"resource":{"resourceType":"ServiceRequest","code":{"text":"Cardiology referral"},"priority":"urgent","authoredOn":"2026-10-02"}},
{"resource":{"resourceType":"Observation","code":{"coding":[{"code":"33762-6","display":"NT-proBNP"}]},"valueQuantity":{"value":412,"unit":"pg/mL"},"interpretation":[{"coding":[{"code":"H","display":"High"}]}]}},
{"resource":{"resourceType":"Binary","data":"AAAA"}}]}`

const bundleXML = `<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/><timestamp value="2026-10-02T10:45:00-07:00"/>
<entry><resource><Patient><identifier><system value="urn:oid:2.25.77"/><value value="LV-1"/></identifier><name><family value="Brandvold"/><given value="Ottilie"/><given value="Maren"/></name><gender value="female"/><birthDate value="1958-11-17"/></Patient></resource></entry>
<entry><resource><Practitioner><name><family value="Okonjo"/><given value="Hanna"/></name></Practitioner></resource></entry>
<entry><resource><ServiceRequest><priority value="urgent"/><code><text value="Cardiology referral"/></code><authoredOn value="2026-10-02"/></ServiceRequest></resource></entry>
<entry><resource><Observation><code><coding><code value="33762-6"/><display value="NT-proBNP"/></coding></code><valueQuantity><value value="412"/><unit value="pg/mL"/></valueQuantity><interpretation><coding><code value="H"/><display value="High"/></coding></interpretation></Observation></resource></entry>
</Bundle>`

func TestBothSyntaxesSayTheSame(t *testing.T) {
	j, err := fhir.ReadJSON(strings.NewReader(bundleJSON), int64(len(bundleJSON)))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := xmltree.Read(strings.NewReader(bundleXML), int64(len(bundleXML)), xmltree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := fhir.FromTree(tree)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*fhir.Resource{"json": j, "xml": x} {
		if r.Type != "Bundle" || r.Kind != "collection" || r.Date.String() != "2 Oct 2026, 10:45 -0700" || r.Patient == nil || r.Patient.Name.String() != "Ottilie Maren Brandvold" ||
			r.Patient.IDs[0].Root != "2.25.77" || r.Patient.Birth.String() != "17 Nov 1958" || r.Author.Name.Family != "Okonjo" {
			t.Errorf("%s: %+v patient %+v", name, r, r.Patient)
		}
		if len(r.Lines) != 2 || r.Lines[0].Name != "Cardiology referral" || r.Lines[0].Note != "urgent" || r.Lines[1].Value != "412 pg/mL" || r.Lines[1].Flag != "High" {
			t.Errorf("%s: lines %+v", name, r.Lines)
		}
	}
	if len(j.Texts) != 1 || strings.Contains(j.Texts[0], "<") {
		t.Errorf("narrative %q", j.Texts)
	}
}

func TestWhatIsNoResourceIsNamed(t *testing.T) {
	for name, s := range map[string]string{"other JSON": `{"a":1}`, "a list": `[1]`} {
		if _, err := fhir.ReadJSON(strings.NewReader(s), int64(len(s))); !errors.Is(err, fhir.ErrNotFHIR) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]string{"broken": `{"resourceType":`, "deep": strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		if _, err := fhir.ReadJSON(strings.NewReader(s), int64(len(s))); err == nil || errors.Is(err, fhir.ErrNotFHIR) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
