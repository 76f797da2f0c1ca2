package ccda_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/lab/corpus"
)

func read(t testing.TB, s string) *ccda.Document {
	t.Helper()
	d, err := ccda.Read(strings.NewReader(s), int64(len(s)), ccda.Options())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// doc wraps a header and sections into a ClinicalDocument that is otherwise without fault.
func doc(header, sections string) string {
	return `<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:sdtc="urn:hl7-org:sdtc"><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>` +
		header + `<component><structuredBody>` + sections + `</structuredBody></component></ClinicalDocument>`
}

const goodHeader = `<templateId root="2.16.840.1.113883.10.20.22.1.9"/><code code="11506-3" codeSystem="2.16.840.1.113883.6.1"/><effectiveTime value="20261002"/>
<recordTarget><patientRole><id root="2.25.1" extension="7"/><patient><name><given>Ann</given><family>Lee</family></name><administrativeGenderCode code="F"/><birthTime value="19700203"/></patient></patientRole></recordTarget>
<author><assignedAuthor><assignedPerson><name>Dr Who</name></assignedPerson></assignedAuthor></author><custodian><assignedCustodian><representedCustodianOrganization><name>Clinic</name></representedCustodianOrganization></assignedCustodian></custodian>`

const goodSection = `<component><section><code code="51848-0"/><title>Assessment</title><text>well</text></section></component>`

func TestTypeIsToldByTemplateThenCodeThenTitle(t *testing.T) {
	for name, c := range map[string]struct{ header, want, by, release string }{
		"template":                       {`<templateId root="2.16.840.1.113883.10.20.22.1.1"/><templateId root="2.16.840.1.113883.10.20.22.1.14"/><code code="57113-1"/>`, "Referral Note", "template", "R1.1"},
		"template of 2.1":                {`<templateId root="2.16.840.1.113883.10.20.22.1.8" extension="2015-08-01"/><code code="34133-9"/>`, "Discharge Summary", "template", "R2.1"},
		"template of 2.0":                {`<templateId root="2.16.840.1.113883.10.20.22.1.15" extension="2014-06-09"/>`, "Care Plan", "template", "R2.0"},
		"template of a later release":    {`<templateId root="2.16.840.1.113883.10.20.22.1.2" extension="2024-05-01"/>`, "Continuity of Care Document", "template", "R4"},
		"code, only the header template": {`<templateId root="2.16.840.1.113883.10.20.22.1.1"/><code code="18842-5"/>`, "Discharge Summary", "code", "R1.1"},
		"title":                          {`<code code="99999-9"/><title>Letter of thanks</title>`, "Letter of thanks", "title", ""},
		"nothing":                        {``, "", "", ""},
		"C32":                            {`<templateId root="2.16.840.1.113883.3.88.11.32.1"/>`, "Patient Summary (HITSP C32)", "template", ""},
	} {
		d := read(t, doc(c.header, ""))
		if d.Type.Name != c.want || d.Type.By != c.by || d.Type.Release != c.release {
			t.Errorf("%s: %+v, want %q by %q release %q", name, d.Type, c.want, c.by, c.release)
		}
	}
}

func TestOtherXMLIsNoCDA(t *testing.T) {
	_, err := ccda.Read(strings.NewReader("<a/>"), 4, ccda.Options())
	if !errors.Is(err, ccda.ErrNotCDA) {
		t.Error(err)
	}
}

// lines writes items as "section|name|value|flag|status|detail".
func lines(items []ccda.Item) []string {
	var out []string
	for _, it := range items {
		s := fmt.Sprintf("%s|%s|%s|%s|%s|%s", it.Section, it.Name, it.Value, it.Flag, it.Status, it.Detail)
		if it.Negated {
			s = "not " + s
		}
		if it.Source == ccda.FromNarrative {
			s = "text " + s
		}
		out = append(out, strings.TrimRight(s, "|"))
	}
	return out
}

func section(code, body string) string {
	return `<component><section><code code="` + code + `"/><title>T</title>` + body + `</section></component>`
}

func TestEntriesBecomeLines(t *testing.T) {
	problem := func(attrs, inner string) string {
		return section("11450-4", `<text>x</text><entry><act classCode="ACT"><statusCode code="active"/><entryRelationship><observation `+attrs+`>`+inner+`</observation></entryRelationship></act></entry>`)
	}
	med := func(inner string) string {
		return section("10160-0", `<text><table><tbody><tr ID="row"><td ID="m">Aspirin</td><td>active</td></tr></tbody></table></text><entry><substanceAdministration>`+inner+
			`<consumable><manufacturedProduct><manufacturedMaterial><code code="1" displayName="Aspirin 81 MG"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)
	}
	result := func(inner string) string {
		return section("30954-2", `<text>x</text><entry><organizer><code displayName="Panel"/><effectiveTime value="20260101"/><component><observation><code displayName="K"/>`+inner+`</observation></component></organizer></entry>`)
	}
	for name, c := range map[string]struct {
		sections string
		want     []string
	}{
		"problem":                       {problem("", `<effectiveTime><low value="2011"/></effectiveTime><value code="1" displayName="Asthma"/>`), []string{"s1|Asthma|||active"}},
		"problem with an end":           {problem("", `<effectiveTime><low value="2011"/><high value="2012"/></effectiveTime><value code="1" displayName="Asthma"/>`), []string{"s1|Asthma|||resolved"}},
		"problem, status by code":       {problem("", `<value code="1" displayName="Asthma"/><entryRelationship><observation><code code="33999-4"/><value code="413322009"/></observation></entryRelationship>`), []string{"s1|Asthma|||resolved"}},
		"negation written as 1":         {problem(`negationInd=" 1 "`, `<value code="55607006"/>`), []string{"not s1|No known problems|||active"}},
		"no known problems":             {problem(`negationInd="true"`, `<value code="55607006"/>`), []string{"not s1|No known problems|||active"}},
		"words instead of a code":       {problem("", `<value nullFlavor="OTH"><originalText>sore knee</originalText></value>`), []string{"s1|sore knee|||active"}},
		"only a translation":            {problem("", `<value nullFlavor="UNK"><translation code="J45" displayName="Asthma, ICD"/></value>`), []string{"s1|Asthma, ICD|||active"}},
		"only a code":                   {problem("", `<value code="195967001"/>`), []string{"s1|code 195967001, without words|||active"}},
		"severity on the concern":       {problem("", `<templateId root="2.16.840.1.113883.10.20.22.4.8"/><code code="SEV"/><value displayName="Severe"/>`), []string{"text s1|x"}},
		"medicine":                      {med(`<text><reference value="#m"/></text><statusCode code="active"/><effectiveTime xsi:type="IVL_TS"><low value="2020"/></effectiveTime><effectiveTime xsi:type="PIVL_TS"><period value="12" unit="h"/></effectiveTime><routeCode displayName="Oral"/><doseQuantity value="1" unit="{tablet}"/>`), []string{"s1|Aspirin 81 MG|||active|1 tablet, oral, every 12 h"}},
		"medicine at bedtime":           {med(`<effectiveTime xsi:type="EIVL_TS"><event code="HS"/></effectiveTime><doseQuantity value="2"/><precondition><criterion><value displayName="pain"/></criterion></precondition>`), []string{"s1|Aspirin 81 MG||||dose 2, at bedtime, if needed: pain"}},
		"completed means recorded":      {med(`<text><reference value="#m"/></text><statusCode code="completed"/><effectiveTime xsi:type="IVL_TS"><low value="2020"/></effectiveTime>`), []string{"s1|Aspirin 81 MG|||active"}},
		"completed with an end":         {med(`<statusCode code="completed"/><effectiveTime xsi:type="IVL_TS"><low value="2020"/><high value="2021"/></effectiveTime>`), []string{"s1|Aspirin 81 MG|||completed"}},
		"result, flagged":               {result(`<value xsi:type="PQ" value="5.9" unit="mmol/L"/><interpretationCode code="H"/>`), []string{"s1|K|5.9 mmol/L|high"}},
		"result outside its range":      {result(`<value xsi:type="PQ" value="5.9" unit="mmol/L"/><referenceRange><observationRange><value xsi:type="IVL_PQ"><low value="3.5" unit="mmol/L"/><high value="5.1" unit="mmol/L"/></value></observationRange></referenceRange>`), []string{"s1|K|5.9 mmol/L|above the stated range||usual 3.5 to 5.1 mmol/L"}},
		"range in words":                {result(`<value xsi:type="PQ" value="2.9" unit="mmol/L"/><referenceRange><observationRange><text>3.5 - 5.1</text></observationRange></referenceRange>`), []string{"s1|K|2.9 mmol/L|below the stated range||usual 3.5 - 5.1"}},
		"range in other units":          {result(`<value xsi:type="PQ" value="90" unit="mg/dL"/><referenceRange><observationRange><value><low value="3" unit="mmol/L"/><high value="6" unit="mmol/L"/></value></observationRange></referenceRange>`), []string{"s1|K|90 mg/dL|||usual 3 to 6 mmol/L"}},
		"coded and text results":        {result(`<value xsi:type="CD" displayName="Positive"/><value xsi:type="ST">twice</value>`), []string{"s1|K|Positive; twice"}},
		"immunization refused":          {section("11369-6", `<text>x</text><entry><substanceAdministration negationInd="true"><consumable><manufacturedProduct><manufacturedMaterial><code displayName="Influenza"/></manufacturedMaterial></manufacturedProduct></consumable><entryRelationship typeCode="RSON"><observation><code displayName="objection"/></observation></entryRelationship></substanceAdministration></entry>`), []string{"not s1|Influenza|||not given|objection"}},
		"allergy without a substance":   {section("48765-2", `<text>x</text><entry><act><statusCode code="active"/><entryRelationship><observation><value code="416098002"/></observation></entryRelationship></act></entry>`), []string{"s1|Allergy to drug: substance not named|||active"}},
		"no known allergies":            {section("48765-2", `<text>x</text><entry><act><statusCode code="active"/><entryRelationship><observation negationInd="true"><value code="416098002" displayName="Allergy to drug"/><participant><participantRole><playingEntity><code nullFlavor="NA"/></playingEntity></participantRole></participant></observation></entryRelationship></act></entry>`), []string{"not s1|No known drug allergies|||active"}},
		"rows when nothing is coded":    {section("10160-0", `<text><table><thead><tr><th>Drug</th><th>Dose</th></tr></thead><tbody><tr><td>Aspirin</td><td>81 mg</td></tr><tr><td>02/03/2014</td><td>Metformin</td></tr></tbody></table></text>`), []string{"text s1|Aspirin||||Dose: 81 mg", "text s1|Metformin||||Drug: 02/03/2014"}},
		"a statement of none":           {section("48765-2", `<text><paragraph>No known allergies</paragraph></text>`), []string{"not text s1|No known allergies"}},
		"discharge medicine in its act": {section("10183-2", `<text>x</text><entry><act><entryRelationship><substanceAdministration><statusCode code="active"/><consumable><manufacturedProduct><manufacturedMaterial><code displayName="Aspirin"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entryRelationship></act></entry>`), []string{"s1|Aspirin|||active"}},
		"the word null for a name":      {result(`<code displayName="null"/><value xsi:type="PQ" value="5" unit="g"/>`), []string{"s1|K|5 g"}},
		"an entry of null flavours":     {section("11450-4", `<text>No Information</text><entry><act><entryRelationship><observation><value nullFlavor="UNK"/></observation></entryRelationship></act></entry>`), []string{"not text s1|No Information"}},
		"one instant is no end":         {problem("", `<effectiveTime><low value="20161201"/><high value="20161201"/></effectiveTime><value code="1" displayName="Asthma"/>`), []string{"s1|Asthma|||active"}},
		"a section of another kind":     {section("10157-6", `<text>Mother well</text><entry><observation><value displayName="x"/></observation></entry>`), nil},
	} {
		got := lines(read(t, doc("", c.sections)).Items())
		for i := range got {
			got[i] = strings.Replace(got[i], "text not ", "not text ", 1)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q\nwant %q", name, got, c.want)
		}
	}
}

func TestDisagreementsAreShown(t *testing.T) {
	entry := func(text, value string) string {
		return section("11450-4", `<text>`+text+`</text><entry><act><statusCode code="active"/><entryRelationship><observation><text><reference value="#p"/></text>`+value+`</observation></entryRelationship></act></entry>`)
	}
	for name, c := range map[string]struct{ sections, want string }{
		"other words":       {entry(`<content ID="p">Broken wrist</content>`, `<value code="1" displayName="Asthma"/>`), "the entry says “Asthma”, the text says “Broken wrist”"},
		"other status":      {entry(`<table><tr><td ID="p">Asthma</td><td>Resolved</td></tr></table>`, `<value code="1" displayName="Asthma"/>`), "the entry says active, the text says “resolved”"},
		"same in substance": {entry(`<table><tr><td ID="p">Asthma, allergic</td><td>Active</td></tr></table>`, `<value code="1" displayName="Allergic asthma"/>`), ""},
		"abbreviation":      {entry(`<content ID="p">HTN</content>`, `<value code="1" displayName="Hypertension"/>`), ""},
		"other number": {section("30954-2", `<text><table><tr><td>K</td><td ID="r">4.9</td></tr></table></text><entry><observation><code displayName="K"/><text><reference value="#r"/></text><value xsi:type="PQ" value="9.4" unit="mmol/L"/></observation></entry>`),
			"the entry says 9.4 mmol/L, the text says “K 4.9”"},
		"same number, other zeros": {section("30954-2", `<text><content ID="r">K .50 low</content></text><entry><observation><code displayName="K"/><text><reference value="#r"/></text><value xsi:type="PQ" value="0.5" unit="mmol/L"/></observation></entry>`), ""},
	} {
		items := read(t, doc("", c.sections)).Items()
		if len(items) != 1 || items[0].Conflict != c.want {
			t.Errorf("%s: %+v, want %q", name, items, c.want)
		}
	}
}

func TestChecksFindEachFaultAndNothingElse(t *testing.T) {
	now := time.Date(2026, 10, 10, 0, 0, 0, 0, time.UTC)
	if f := ccda.Check(read(t, doc(goodHeader, goodSection)), now); len(f) != 0 {
		t.Fatalf("findings in a good document: %+v", f)
	}
	without := func(old, new string) string { return strings.Replace(goodHeader, old, new, 1) }
	for rule, in := range map[string]string{
		"not-well-formed":             strings.Replace(doc(goodHeader, goodSection), "</title>", "</titel>", 1),
		"incomplete":                  strings.TrimSuffix(doc(goodHeader, goodSection), "</ClinicalDocument>"),
		"wrong-type-id":               strings.Replace(doc(goodHeader, goodSection), "POCD_HD000040", "X", 1),
		"restricted":                  doc(goodHeader+`<confidentialityCode code="R"/>`, goodSection),
		"no-body":                     doc(goodHeader, ""),
		"no-patient":                  doc(without("recordTarget", "target"), goodSection),
		"several-patients":            doc(goodHeader+goodHeader[strings.Index(goodHeader, "<recordTarget"):], goodSection),
		"patient-without-name":        doc(without("<given>Ann</given><family>Lee</family>", ""), goodSection),
		"patient-without-id":          doc(without(`<id root="2.25.1" extension="7"/>`, `<id nullFlavor="UNK"/>`), goodSection),
		"no-birth-date":               doc(without(`<birthTime value="19700203"/>`, ""), goodSection),
		"bad-birth-date":              doc(without("19700203", "soon"), goodSection),
		"birth-in-future":             doc(without("19700203", "20991231"), goodSection),
		"birth-after-document":        doc(without("19700203", "20261005"), goodSection),
		"no-sex":                      doc(without(`<administrativeGenderCode code="F"/>`, ""), goodSection),
		"no-date":                     doc(without(`<effectiveTime value="20261002"/>`, ""), goodSection),
		"bad-date":                    doc(without("20261002", "20261399"), goodSection),
		"date-in-future":              doc(without("20261002", "20271002"), goodSection),
		"no-code":                     doc(without(`code="11506-3"`, ""), goodSection),
		"bad-code":                    doc(without(`code="11506-3"`, `code="note"`), goodSection),
		"wrong-code":                  doc(strings.NewReplacer("22.1.9", "22.1.14").Replace(goodHeader), goodSection),
		"no-author":                   doc(without("author", "writer"), goodSection),
		"no-custodian":                doc(without("custodian", "keeper"), goodSection),
		"missing-section":             doc(goodHeader, section("10157-6", "<text>x</text>")),
		"empty-section":               doc(goodHeader, section("51848-0", "<text/>")),
		"no-title":                    doc(goodHeader, goodSection+`<component><section><text>x</text></section></component>`),
		"entries-without-text":        doc(goodHeader, goodSection+section("10157-6", `<entry><observation/></entry>`)),
		"text-without-entries":        doc(goodHeader, goodSection+section("10160-0", `<text><list><item>Aspirin</item></list></text>`)),
		"broken-reference":            doc(goodHeader, goodSection+section("10157-6", `<text>x</text><entry><observation><text><reference value="#gone"/></text></observation></entry>`)),
		"later-than-document":         doc(goodHeader, goodSection+section("30954-2", `<text>K 4</text><entry><observation><code displayName="K"/><effectiveTime value="20261009"/><value value="4"/></observation></entry>`)),
		"entry-contradicts-text":      doc(goodHeader, goodSection+section("30954-2", `<text><content ID="r">K 5</content></text><entry><observation><code displayName="K"/><text><reference value="#r"/></text><value value="4"/></observation></entry>`)),
		"entry-differs-from-text":     doc(goodHeader, goodSection+section("11450-4", `<text><table><tr><td ID="r">Asthma</td><td>Resolved</td></tr></table></text><entry><observation><text><reference value="#r"/></text><statusCode code="active"/><value displayName="Asthma"/><entryRelationship><observation><code code="33999-4"/><value code="55561003"/></observation></entryRelationship></observation></entry>`)),
		"text-says-more":              doc(goodHeader, goodSection+section("10160-0", `<text><list><item>Aspirin</item><item>Warfarin</item></list></text><entry><substanceAdministration><consumable><manufacturedProduct><manufacturedMaterial><code displayName="Aspirin"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)),
		"words-missing":               `<!DOCTYPE ClinicalDocument [<!ENTITY drug "penicillin">]>` + doc(goodHeader, goodSection+section("48765-2", `<text>Allergic to &drug;</text>`)),
		"withdrawn":                   doc(goodHeader+`<sdtc:statusCode code="nullified"/>`, goodSection),
		"not-in-force":                doc(goodHeader+`<sdtc:statusCode code="aborted"/>`, goodSection),
		"another-person":              doc(goodHeader, goodSection+section("10164-2", `<text>x</text><subject><relatedSubject><code code="MTH"/></relatedSubject></subject>`)),
		"restricted-section":          doc(goodHeader, goodSection+section("10164-2", `<confidentialityCode code="R"/><text>x</text>`)),
		"text-struck-out":             doc(goodHeader, goodSection+section("10164-2", `<text><content revised="delete">x</content></text>`)),
		"no-information-with-entries": doc(goodHeader, goodSection+strings.Replace(section("10164-2", `<text>x</text><entry><observation/></entry>`), "<section>", `<section nullFlavor="NI">`, 1)),
		"unsure-reference":            doc(goodHeader, goodSection+section("10164-2", `<text><content ID="a">x</content><content ID="a">y</content></text><entry><observation><text><reference value="#a"/></text></observation></entry>`)),
		"contradiction": doc(goodHeader, goodSection+section("48765-2", `<text>x</text><entry><act><entryRelationship><observation negationInd="true"><value code="416098002"/></observation></entryRelationship></act></entry>
			<entry><act><entryRelationship><observation><value code="416098002"/><participant><participantRole><playingEntity><code displayName="Penicillin"/></playingEntity></participantRole></participant></observation></entryRelationship></act></entry>`)),
		"body-elsewhere": strings.Replace(doc(goodHeader, ""), "<structuredBody></structuredBody>", `<nonXMLBody><text><reference value="a.pdf"/></text></nonXMLBody>`, 1),
		"no-type":        doc(strings.NewReplacer("2.16.840.1.113883.10.20.22.1.9", "2.25.9", "11506-3", "99999-9").Replace(goodHeader), goodSection),
	} {
		found := ccda.Check(read(t, in), now)
		if !slices.ContainsFunc(found, func(f chart.Finding) bool { return f.Rule == rule }) {
			t.Errorf("%s is not found: %+v", rule, found)
		}
		for _, f := range found {
			if f.Text == "" || f.Severity == "" || strings.Contains(f.Text, "%!") {
				t.Errorf("%s: a finding without words: %+v", rule, f)
			}
		}
	}
}

// Times are not judged when no clock is given.
func TestFutureIsNotJudgedWithoutAClock(t *testing.T) {
	for _, f := range ccda.Check(read(t, doc(strings.Replace(goodHeader, "20261002", "29991002", 1), goodSection)), time.Time{}) {
		t.Errorf("%+v", f)
	}
}

// The negative files of the certification tests each have their fault found.
func TestNegativeCorpusFilesHaveTheirFaultFound(t *testing.T) {
	want := map[string]string{
		"NT_BadXml_r11_v2.xml": "not-well-formed", "NT_Bad_DocCode_r11_v2.xml": "bad-code", "NT_Bad_DocEffectiveTime_r11_v2.xml": "bad-date",
		"NT_Bad_DocTypeId_r11_v2.xml": "wrong-type-id", "NT_Missing_PatientName_r11_v2.xml": "patient-without-name",
	}
	seen := 0
	for _, e := range corpus.Walk(t, "ccda") {
		rule := want[e.File[strings.LastIndexByte(e.File, '/')+1:]]
		if rule == "" {
			continue
		}
		seen++
		found := ccda.Check(read(t, string(e.Read(t))), time.Time{})
		if !slices.ContainsFunc(found, func(f chart.Finding) bool { return f.Rule == rule }) {
			t.Errorf("%s: %s is not found: %+v", e.File, rule, found)
		}
	}
	if seen != len(want) {
		t.Errorf("%d of %d files were there", seen, len(want))
	}
}

func TestSampleHasNoFault(t *testing.T) {
	for name, b := range map[string][]byte{"referral": sample.Referral, "earlier": sample.Earlier} {
		for _, f := range ccda.Check(read(t, string(b)), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// What a record of an allergy being "completed" means is not that the allergy is over.
func TestACompletedRecordIsNotAnEndedAllergy(t *testing.T) {
	allergy := func(status, time string) ccda.Item {
		return read(t, doc("", section("48765-2", `<text>x</text><entry><act><statusCode code="`+status+`"/><entryRelationship><observation>`+time+
			`<value code="416098002"/><participant><participantRole><playingEntity><code displayName="Penicillin"/></playingEntity></participantRole></participant></observation></entryRelationship></act></entry>`))).Items()[0]
	}
	for name, c := range map[string]struct {
		item ccda.Item
		over bool
	}{
		"completed":              {allergy("completed", ""), false},
		"completed, one instant": {allergy("completed", `<effectiveTime><low value="2016"/><high value="2016"/></effectiveTime>`), false},
		"completed, with an end": {allergy("completed", `<effectiveTime><low value="2016"/><high value="2017"/></effectiveTime>`), true},
		"active":                 {allergy("active", ""), false},
		"resolved by its status": {allergy("active", `<entryRelationship><observation><code code="33999-4"/><value displayName="Resolved"/></observation></entryRelationship>`), true},
	} {
		if c.item.Over() != c.over {
			t.Errorf("%s: over %v (%+v)", name, !c.over, c.item)
		}
	}
}

func TestACourseThatEndsAfterTheDocumentIsNotOver(t *testing.T) {
	med := func(high string) ccda.Item {
		return read(t, doc(`<effectiveTime value="20260810"/>`, section("10160-0", `<text>x</text><entry><substanceAdministration><statusCode code="completed"/><effectiveTime xsi:type="IVL_TS"><low value="20260806"/><high value="`+high+
			`"/></effectiveTime><consumable><manufacturedProduct><manufacturedMaterial><code displayName="Azithromycin"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`))).Items()[0]
	}
	for high, over := range map[string]bool{"20260809": true, "20260810": false, "20260816": false, "202608": false, "2026": false, "2025": true} {
		if it := med(high); it.Over() != over {
			t.Errorf("until %s, written 10 Aug 2026: over %v", high, !over)
		}
	}
}
