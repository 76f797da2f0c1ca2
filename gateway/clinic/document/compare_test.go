package document_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"postern/gateway/clinic/document"
)

// changesOf is the text of what changed from an older document to a newer one.
func changesOf(t *testing.T, older, newer string) string {
	t.Helper()
	open := func(s string) *document.Document {
		d, err := document.OpenBytes([]byte(s), document.Hint{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	var page bytes.Buffer
	if err := open(newer).Render(&page, document.RenderOptions{Older: open(older), NoRaw: true}); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(&page)
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "id" && a.Val == "changes" {
				var words []string
				for c := range n.Descendants() {
					if c.Type == html.TextNode {
						words = append(words, strings.Fields(c.Data)...)
					}
				}
				return strings.Join(words, " ")
			}
		}
	}
	return ""
}

// Messages and resources are compared like C-CDA, also one kind with the other.
func TestDocumentsOfAllKindsAreCompared(t *testing.T) {
	message := func(date string, segments ...string) string {
		return "MSH|^~\\&|A|B|C|D|" + date + "||ADT^A08|1|P|2.5\rPID|||7^^^X||Lee^Ann||19700203\r" + strings.Join(segments, "\r") + "\r"
	}
	bundle := func(resources ...string) string {
		out := `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient","id":"p","identifier":[{"system":"X","value":"7"}],"name":[{"family":"Lee","given":["Ann"]}],"birthDate":"1970-02-03"}}`
		for _, r := range resources {
			out += `,{"resource":{"subject":{"reference":"urn:uuid:p"},"patient":{"reference":"urn:uuid:p"},` + r + `}}`
		}
		return out + `]}`
	}
	warfarin := func(dose, status string) string {
		return `"resourceType":"MedicationRequest","status":"` + status + `","intent":"order","medicationCodeableConcept":{"text":"Warfarin"},"dosageInstruction":[{"text":"` + dose + `"}]`
	}
	penicillin := `"resourceType":"AllergyIntolerance","verificationStatus":{"coding":[{"code":"confirmed"}]},"code":{"text":"Penicillin"}`
	refuted := strings.Replace(penicillin, "confirmed", "refuted", 1)
	asthma := func(since string) string {
		return `"resourceType":"Condition","code":{"text":"Asthma"},"onsetDateTime":"` + since + `"`
	}
	for name, c := range map[string]struct{ older, newer, want string }{
		"a new diagnosis":           {message("20260101", "DG1|1||J45^Asthma"), message("20260601", "DG1|1||J45^Asthma", "DG1|2||I10^Hypertension"), "Problems New Hypertension 1 unchanged."},
		"an allergy left out":       {message("20260101", "AL1|1|DA|P^Penicillin", "AL1|2|DA|L^Latex"), message("20260601", "AL1|1|DA|L^Latex"), "Allergies Not listed Penicillin 1 unchanged."},
		"an allergy denied":         {message("20260101", "AL1|1|DA|P^Penicillin"), message("20260601", "AL1|1|DA|NKA"), "Allergies Denied Penicillin allergy: the new document says “NKA”"},
		"foods denied":              {message("20260101", "AL1|1|DA|P^Penicillin"), message("20260601", "AL1|1|FA|0^No known food allergies"), "Allergies Not listed Penicillin (the new document says only “No known food allergies”)"},
		"a diagnosis taken back":    {message("20260101", "DG1|1||J45^Asthma"), message("20260601", "DG1|1||J45^Asthma||||||||||||||||||D", "DG1|2||I10^Hypertension"), "Problems New Hypertension Not listed Asthma"},
		"another date":              {message("20260101", "DG1|1||J45^Asthma||2011"), message("20260601", "DG1|1||J45^Asthma||2019"), "Problems Changed Asthma since 2019 (since was 2011, is 2019)"},
		"a finer date":              {message("20260101", "DG1|1||J45^Asthma||2011"), message("20260601", "DG1|1||J45^Asthma||20110304"), "Problems No change in 1."},
		"nothing of the kind":       {message("20260101", "AL1|1|DA|P^Penicillin"), message("20260601", "DG1|1||J45^Asthma"), "Allergies Not compared: this document does not state them."},
		"a dose in FHIR":            {bundle(warfarin("5 mg daily", "active")), bundle(warfarin("2.5 mg daily", "active")), "Medicines Changed Warfarin 2.5 mg daily (it was 5 mg daily, is 2.5 mg daily)"},
		"a stop in FHIR":            {bundle(warfarin("5 mg daily", "active")), bundle(warfarin("5 mg daily", "stopped")), "Medicines Stopped Warfarin 5 mg daily · stopped (stopped)"},
		"refuted in FHIR":           {bundle(penicillin), bundle(refuted), "Allergies Denied Penicillin allergy: the new document says there is none"},
		"an onset in FHIR":          {bundle(asthma("2011")), bundle(asthma("2012-05-01")), "Problems Changed Asthma since 1 May 2012 (since was 2011, is 1 May 2012)"},
		"a message, then FHIR":      {message("20260101", "AL1|1|DA|P^Penicillin"), bundle(penicillin), "Allergies No change in 1."},
		"a C-CDA, then a message":   {carriedCDA, message("20260601", "DG1|1||I10^Hypertension"), "Problems New Hypertension Not listed Asthma"},
		"one code, two ways":        {message("20260101", "DG1|1||195967001^Asthma^SCT"), bundle(`"resourceType":"Condition","code":{"coding":[{"system":"http://snomed.info/sct","code":"195967001","display":"Bronchial asthma"}]}`), "Problems No change in 1."},
		"one number, two systems":   {message("20260101", "DG1|1||493^Asthma^I9"), bundle(`"resourceType":"Condition","code":{"coding":[{"system":"http://snomed.info/sct","code":"493","display":"Other"}]}`), "Problems New Other Not listed Asthma"},
		"a message in a mail":       {"From: a@x.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/hl7-v2\r\n\r\n" + message("20260101", "DG1|1||J45^Asthma"), message("20260601", "DG1|1||I10^Hypertension"), "Problems New Hypertension Not listed Asthma"},
		"the order and its supply":  {bundle(warfarin("5 mg daily", "active")), bundle(warfarin("5 mg daily", "active"), `"resourceType":"MedicationDispense","status":"completed","medicationCodeableConcept":{"text":"Warfarin"}`), "Medicines No change in 1."},
		"what is only proposed":     {bundle(warfarin("5 mg daily", "active")), bundle(warfarin("5 mg daily", "active"), `"resourceType":"MedicationRequest","status":"active","intent":"proposal","medicationCodeableConcept":{"text":"Apixaban"}`), "Medicines New Apixaban proposal 1 unchanged."},
		"an Alert of FHIR is apart": {bundle(penicillin, `"resourceType":"Flag","status":"active","code":{"text":"Falls"}`), bundle(penicillin), "Allergies No change in 1."},
	} {
		if got := changesOf(t, c.older, c.newer); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	other := strings.ReplaceAll(message("20260101", "DG1|1||J45^Asthma"), "19700203", "19800203")
	if got := changesOf(t, other, message("20260601", "DG1|1||J45^Asthma")); !strings.Contains(got, "Not compared: the birth dates differ") {
		t.Errorf("another patient: %q", got)
	}
}

const carriedCDA = `<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><effectiveTime value="20260101"/><recordTarget><patientRole><id root="X" extension="7"/><patient><name><given>Ann</given><family>Lee</family></name><birthTime value="19700203"/></patient></patientRole></recordTarget>
<component><structuredBody><component><section><code code="11450-4"/><title>Problems</title><text>Asthma</text><entry><observation><value code="J45" displayName="Asthma"/></observation></entry></section></component></structuredBody></component></ClinicalDocument>`
