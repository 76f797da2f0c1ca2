package brief_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/sample"
)

func read(t testing.TB, s string) *ccda.Document {
	t.Helper()
	d, err := ccda.Read(strings.NewReader(s), int64(len(s)), ccda.Options())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func doc(sections string) string {
	return `<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><recordTarget><patientRole><id root="2.25.1" extension="7"/><patient><name><given>Ann</given><family>Lee</family></name><birthTime value="19700203"/></patient></patientRole></recordTarget><component><structuredBody>` +
		sections + `</structuredBody></component></ClinicalDocument>`
}

func meds(entries ...string) string {
	return `<component><section><code code="10160-0"/><title>Medications</title><text>see entries</text>` + strings.Join(entries, "") + `</section></component>`
}

func med(code, name, dose, rest string) string {
	return `<entry><substanceAdministration>` + rest + `<doseQuantity value="` + dose + `"/><consumable><manufacturedProduct><manufacturedMaterial><code code="` + code + `" codeSystem="rx" displayName="` + name + `"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`
}

func TestSilenceIsNamedAndNeverTakenForNone(t *testing.T) {
	for name, c := range map[string]struct {
		sections string
		want     brief.State
	}{
		"no section":     {"", brief.NotStated},
		"empty section":  {`<component><section><code code="48765-2"/><text/></section></component>`, brief.Blank},
		"no information": {`<component><section nullFlavor="NI"><code code="48765-2"/><text/></section></component>`, brief.Withheld},
		"none known":     {`<component><section><code code="48765-2"/><text>No known allergies</text></section></component>`, brief.NoneKnown},
		"only heads":     {`<component><section nullFlavor="NI"><code code="48765-2"/><text><table><tbody><tr><th>Substance</th><th>Reaction</th></tr></tbody></table></text></section></component>`, brief.Withheld},
		"heads, unsaid":  {`<component><section><code code="48765-2"/><text><table><tbody><tr><th>Substance</th><th>Reaction</th></tr></tbody></table></text></section></component>`, brief.Blank},
		"struck out":     {`<component><section><code code="48765-2"/><text><del>Penicillin</del></text></section></component>`, brief.Deleted},
		"stated":         {`<component><section><code code="48765-2"/><text><list><item>Penicillin</item></list></text></section></component>`, brief.Stated},
	} {
		b := brief.Of(read(t, doc(c.sections))).Block(brief.Allergies)
		if b.State != c.want {
			t.Errorf("%s: %s, want %s", name, b.State, c.want)
		}
		if said := b.State.Words() != ""; said == (len(b.Items) > 0) {
			t.Errorf("%s: words %q with %d lines", name, b.State.Words(), len(b.Items))
		}
	}
}

func TestFirstPageOfTheSample(t *testing.T) {
	b := brief.Of(read(t, string(sample.Referral)))
	if why := b.Block(brief.Why); len(why.Texts) != 1 || !strings.Contains(why.Texts[0].Words, "Asked of you: assessment within two weeks") || why.Items[0].Detail != "priority urgent" {
		t.Errorf("why %+v", why)
	}
	for subject, want := range map[brief.Subject][2]int{brief.Problems: {5, 1}, brief.Allergies: {2, 0}, brief.Medicines: {6, 1}, brief.Results: {5, 0}, brief.Plan: {3, 0}} {
		if x := b.Block(subject); len(x.Items) != want[0] || len(x.Past) != want[1] || x.State != brief.Stated {
			t.Errorf("%s: %d now, %d past, %s", subject, len(x.Items), len(x.Past), x.State)
		}
	}
	if r := b.Block(brief.Results).Items; r[0].Flag != "high" || r[1].Flag != "high" || r[2].Flag != "" {
		t.Errorf("flagged results do not come first: %+v", r)
	}
	for _, x := range b.Blocks {
		for _, it := range x.Items {
			if it.Section == "" {
				t.Errorf("%s: %q does not say its section", x.Subject, it.Name)
			}
		}
	}
}

func TestLongListsAreCutAndCounted(t *testing.T) {
	var entries []string
	for range 40 {
		entries = append(entries, med("", "Medicine "+strings.Repeat("x", len(entries)), "1", ""))
	}
	b := brief.Of(read(t, doc(meds(entries...)))).Block(brief.Medicines)
	if len(b.Items)+b.More != 40 || len(b.Items) > 14 {
		t.Errorf("%d lines and %d more", len(b.Items), b.More)
	}
}

// A medicine that one document codes and the other only writes is called unchanged only where both give
// the same amount.
func TestCodedMedicinesAreComparedWithWrittenOnes(t *testing.T) {
	dosed := strings.Replace(med("1", "Metformin", "500", `<effectiveTime xsi:type="PIVL_TS"><period value="12" unit="h"/></effectiveTime>`), `value="500"`, `value="500" unit="mg"`, 1)
	for name, c := range map[string]struct{ row, want string }{
		"another dose":   {`<td>Metformin</td><td>1000 mg twice daily</td>`, "changed Metformin was “Metformin 500 mg, every 12 h”"},
		"another rhythm": {`<td>Metformin</td><td>500 mg once daily</td>`, "changed Metformin was “Metformin 500 mg, every 12 h”"},
		"no dose":        {`<td>Metformin</td><td>as before</td>`, "changed Metformin was “Metformin 500 mg, every 12 h”; one of the two gives no dose to compare"},
		"the same":       {`<td>Metformin</td><td>0.5 g twice daily</td>`, ""},
	} {
		written := `<component><section><code code="10160-0"/><title>Medications</title><text><table><tbody><tr>` + c.row + `</tr></tbody></table></text></section></component>`
		got := brief.Compare(read(t, doc(meds(dosed))), read(t, doc(written)))
		var out []string
		for _, ch := range got.Sides[0].Changes {
			out = append(out, strings.TrimSpace(string(ch.Kind)+" "+ch.Item.Name+" "+ch.What))
		}
		if s := strings.Join(out, "; "); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
}

func TestMedicinesAreCompared(t *testing.T) {
	const ended = `<statusCode code="completed"/><effectiveTime xsi:type="IVL_TS"><low value="2020"/><high value="20260901"/></effectiveTime>`
	for name, c := range map[string]struct{ older, newer, want string }{
		"same":                         {med("1", "Aspirin 81 MG", "1", ""), med("1", "Aspirin 81 MG", "1", ""), ""},
		"new":                          {"", med("1", "Aspirin 81 MG", "1", ""), "new Aspirin 81 MG"},
		"stopped":                      {med("1", "Aspirin 81 MG", "1", ""), med("1", "Aspirin 81 MG", "1", ended), "stopped Aspirin 81 MG ended 1 Sep 2026"},
		"silent about it":              {med("1", "Aspirin 81 MG", "1", ""), "", "not-listed Aspirin 81 MG"},
		"other dose":                   {med("1", "Aspirin 81 MG", "1", ""), med("1", "Aspirin 81 MG", "2", ""), "changed Aspirin 81 MG dose was 1, is 2"},
		"other strength":               {med("1", "Aspirin 81 MG Oral Tablet", "1", ""), med("2", "Aspirin 325 MG Oral Tablet", "1", ""), "changed Aspirin 325 MG Oral Tablet was Aspirin 81 MG Oral Tablet"},
		"other code, a name":           {med("1", "Aspirin 81 MG", "1", ""), med("9", "ASPIRIN  81 mg", "1", ""), ""},
		"over in both":                 {med("1", "Aspirin 81 MG", "1", ended), med("1", "Aspirin 81 MG", "1", ended), ""},
		"an old course beside the new": {med("1", "Aspirin 81 MG", "1", ""), med("1", "Aspirin 81 MG", "1", ended) + med("1", "Aspirin 81 MG", "2", ""), "changed Aspirin 81 MG dose was 1, is 2"},
		"current again":                {med("1", "Aspirin 81 MG", "1", ended), med("1", "Aspirin 81 MG", "1", ""), "changed Aspirin 81 MG was over, is listed as current again"},
	} {
		filler := med("7", "Metformin 500 MG", "1", "")
		got := brief.Compare(read(t, doc(meds(c.older, filler))), read(t, doc(meds(c.newer, filler))))
		var out []string
		for _, ch := range got.Sides[0].Changes {
			out = append(out, strings.TrimSpace(string(ch.Kind)+" "+ch.Item.Name+" "+ch.What))
		}
		if s := strings.Join(out, "; "); s != c.want || got.Patient != brief.Same {
			t.Errorf("%s: %q (%s), want %q", name, s, got.Patient, c.want)
		}
	}
}

func TestASilentDocumentIsNotCompared(t *testing.T) {
	with, without := doc(meds(med("1", "Aspirin", "1", ""))), doc("")
	if s := brief.Compare(read(t, with), read(t, without)).Sides[0]; s.Silent != "this document does not state them" || len(s.Changes) != 0 {
		t.Errorf("%+v", s)
	}
	if s := brief.Compare(read(t, without), read(t, with)).Sides[0]; s.Silent != "the earlier document does not state them" || len(s.Changes) != 0 {
		t.Errorf("%+v", s)
	}
}

// A section that says that there is no information denies nothing and is silent.
func TestNoInformationIsNotCompared(t *testing.T) {
	unknown := doc(`<component><section><code code="10160-0"/><title>Medications</title><text>No information available</text></section></component>`)
	if s := brief.Compare(read(t, doc(meds(med("1", "Aspirin", "1", "")))), read(t, unknown)).Sides[0]; s.Silent != "this document does not state them" || len(s.Changes) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPatientsAreToldApart(t *testing.T) {
	p := func(given, family, birth, id string) chart.Patient {
		x := chart.Patient{Name: chart.Name{Given: given, Family: family}, Birth: chart.ParseTime(birth)}
		if id != "" {
			x.IDs = []chart.ID{{Root: "2.25.1", Extension: id}}
		}
		return x
	}
	ann := p("Ann Mary", "Lee", "19700203", "7")
	for name, c := range map[string]struct {
		other chart.Patient
		want  brief.Identity
	}{
		"same number":              {p("Ann", "Lee", "19700203", "7"), brief.Same},
		"same name and birth":      {p("ann", "LEE", "19700203", "9"), brief.Same},
		"other birth, same number": {p("Ann", "Lee", "19700204", "7"), brief.Differ},
		"other name, same birth":   {p("Bea", "Lee", "19700203", ""), brief.Unsure},
		"number only":              {p("", "", "", "7"), brief.Unsure},
		"name only":                {p("Ann", "Lee", "", ""), brief.Unsure},
		"nothing in common":        {p("Bea", "Fox", "", ""), brief.Differ},
		"hyphens do not count":     {p("Ann", "L-ee", "19700203", ""), brief.Same},
	} {
		if got, why := brief.SamePatient(ann, c.other); got != c.want || why == "" {
			t.Errorf("%s: %s (%s), want %s", name, got, why, c.want)
		}
	}
	different := strings.Replace(string(sample.Earlier), "19581117", "19600101", 1)
	if c := brief.Compare(read(t, different), read(t, string(sample.Referral))); c.Patient != brief.Differ || len(c.Sides) != 0 {
		t.Errorf("different patients were compared: %+v", c)
	}
	if c := brief.Compare(read(t, string(sample.Referral)), read(t, string(sample.Earlier))); !c.Reversed {
		t.Error("the order of dates is not noticed")
	}
}
