package document_test

import (
	"bytes"
	"strings"
	"testing"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/sample"
)

// Whatever comes in, the page holds only the fixed elements and attributes, is built by a browser as it
// was written, and says something.
func FuzzRender(f *testing.F) {
	f.Add(sample.Referral[:2000])
	for _, doc := range hostile() {
		if len(doc) < 2500 {
			f.Add([]byte(doc))
		}
	}
	for _, a := range attacks {
		f.Add([]byte(`<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody><component><section><text>` + a + `</text></section></component></structuredBody></component></ClinicalDocument>`))
	}
	f.Add([]byte("MSH|^~\\&|A|B|||2026||ORU^R01|1|P|2.5\rPID|||1||X^Y\rOBX|1|ED|a||^application^pdf^Base64^JVBERi0="))
	f.Add([]byte("Subject: x\r\nX-Direct-Context: <c>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-ID: <c>\r\n\r\nversion: 1.0\r\ntype: referral/order\r\n--b--"))
	f.Add([]byte(`{\rtf1 {\fonttbl x} hello \'e9 \par {\strike\u8364? {\header\v x}} \bin3 }}}`))
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"a"}},{"resource":{"resourceType":"Patient","id":"b"}},{"resource":{"resourceType":"Observation","status":"x","subject":{"reference":"Patient/b"},"component":[{"valueQuantity":{"value":1.0}}]}}]}`))
	f.Add([]byte("FHS|^~\\&|\rMSH|^~\\&|A|B|||2026||ADT^A40|1|P|2.5\rPID|||1||X^Y\rMRG|2\rPID|||3||Z\rAL1|1||NKDA\rMSH|^~\\&|A\r"))
	f.Add([]byte("From: a\r\nTo: b\r\nContent-Type: text/html\r\n\r\n<p style='text-decoration:line-through'>a<table><tr hidden><td>b"))
	f.Add([]byte(`<ClinicalDocument xmlns="urn:hl7-org:v3"><effectiveTime value="20200810"/><component><structuredBody><component><section><code code="10160-0"/><text><list><item ID="p">Metoprolol 2015-2018, d/c’d 3/4/2019, 04 Mar 2010, stopped last year</item></list></text><entry><substanceAdministration><text><reference value="#p"/></text><effectiveTime><low value="2021"/></effectiveTime></substanceAdministration></entry></section></component></structuredBody></component></ClinicalDocument>`))
	f.Add([]byte(`{"a":"PENsaW5pY2FsRG9jdW1lbnQgeG1sbnM9InVybjpobDctb3JnOnYzIj48dGl0bGU+eDwvdGl0bGU+PC9DbGluaWNhbERvY3VtZW50Pg=="}`))
	f.Add([]byte(`{"resourceType":"Patient","id":"a"}` + "\n" + `{"resourceType":"Condition","code":{"text":"x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := render(t, b, document.RenderOptions{})
		if err := checkPage(out); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if len(visible(t, out)) < 40 {
			t.Fatalf("an empty page of %.200q", b)
		}
	})
}

// Two documents of any kind can be compared without harm.
func FuzzCompare(f *testing.F) {
	f.Add(sample.Earlier, sample.Referral)
	f.Add([]byte(strings.Replace(string(sample.Earlier), "19581117", "19581118", 1)), sample.Referral)
	f.Add([]byte("MSH|^~\\&|A|B|||2026||ADT^A08|1|P|2.5\rPID|||1||X^Y\rAL1|1|DA|P^Penicillin\rDG1|1||I10^Hypertension||2019\r"),
		[]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"a","name":[{"family":"X"}]}},{"resource":{"resourceType":"MedicationRequest","status":"stopped","medicationCodeableConcept":{"text":"W"}}},{"resource":{"resourceType":"AllergyIntolerance","code":{"text":"No known food allergies"}}}]}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		older, err := document.OpenBytes(a, document.Hint{})
		if err != nil {
			t.Fatal(err)
		}
		newer, err := document.OpenBytes(b, document.Hint{})
		if err != nil {
			t.Fatal(err)
		}
		var w bytes.Buffer
		if err := newer.Render(&w, document.RenderOptions{Older: older}); err == nil {
			if err := checkPage(w.Bytes()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
