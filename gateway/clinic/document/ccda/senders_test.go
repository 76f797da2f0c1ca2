package ccda_test

import (
	"slices"
	"strings"
	"testing"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
)

// Ways of writing of many senders that are no faults of what they say: the line reads as they mean it.
func TestLinesReadAsTheirSendersMeanThem(t *testing.T) {
	allergy := func(text, value, agent, inner string) string {
		return section("48765-2", `<text>`+text+`</text><entry><act><statusCode code="active"/><entryRelationship><observation>`+value+`<participant typeCode="CSM"><participantRole><playingEntity>`+agent+`</playingEntity></participantRole></participant>`+inner+`</observation></entryRelationship></act></entry>`)
	}
	hives := func(value string) string {
		return `<entryRelationship typeCode="MFST"><observation>` + value + `</observation></entryRelationship>`
	}
	med := func(text, act, material string) string {
		return section("10160-0", `<text>`+text+`</text><entry><substanceAdministration>`+act+`<statusCode code="active"/><consumable><manufacturedProduct><manufacturedMaterial>`+material+`</manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)
	}
	problem := func(text, value string) string {
		return section("11450-4", `<text>`+text+`</text><entry><act><statusCode code="completed"/><entryRelationship><observation>`+value+`</observation></entryRelationship></act></entry>`)
	}
	vital := func(code string) string {
		return section("8716-3", `<text>x</text><entry><observation><code code="`+code+`"/><value xsi:type="PQ" value="80" unit="/min"/></observation></entry>`)
	}
	penicillin := `<code code="7980" displayName="Penicillin G"/>`
	drug := `<value code="416098002" displayName="Drug allergy"/>`
	for name, c := range map[string]struct {
		sections string
		want     []string
	}{
		"an allergy recorded within seconds is no past one": {allergy("x", `<effectiveTime><low value="20240724104317-0700"/><high value="20240724104321-0700"/></effectiveTime>`+drug, penicillin, ""), []string{"s1|Penicillin G|||active"}},
		"an allergy of one day is past":                     {allergy("x", `<effectiveTime><low value="20240724"/><high value="20240725"/></effectiveTime>`+drug, penicillin, ""), []string{"s1|Penicillin G|||resolved"}},
		"a reaction named only in the text":                 {allergy(`<content ID="r">Blisters</content>`, drug, penicillin, hives(`<value code="99999999"><originalText><reference value="#r"/></originalText></value>`)), []string{"s1|Penicillin G|||active|Blisters"}},
		"a common reaction without words":                   {allergy("x", drug, penicillin, hives(`<value code="247472004"/>`)), []string{"s1|Penicillin G|||active|Hives"}},
		"a rare reaction without words":                     {allergy("x", drug, penicillin, hives(`<value code="99999999"/>`)), []string{"s1|Penicillin G|||active|code 99999999, without words"}},
		"a substance named where its kind is":               {allergy(`<content ID="a">Ampicillin</content>`, `<value code="416098002"><originalText><reference value="#a"/></originalText></value>`, `<code code="733"/>`, ""), []string{"s1|Ampicillin|||active"}},
		"a kind named where the substance should be":        {allergy(`<content ID="a">Drug allergy</content>`, `<value code="416098002"><originalText><reference value="#a"/></originalText></value>`, `<code nullFlavor="UNK"/>`, ""), []string{"s1|Allergy to drug: substance not named (unknown)|||active"}},
		"a number as the sender's words":                    {allergy("x", drug, `<code code="7980" displayName="Penicillin G"><originalText>7980</originalText></code>`, ""), []string{"s1|Penicillin G|||active"}},
		"foods denied by code alone":                        {section("48765-2", `<text>x</text><entry><observation negationInd="true"><value code="414285001"/></observation></entry>`), []string{"not s1|No known food allergies"}},
		"drugs denied by code alone":                        {section("48765-2", `<text>x</text><entry><observation negationInd="true"><value code="416098002"/></observation></entry>`), []string{"not s1|No known drug allergies"}},
		"all denied":                                        {section("48765-2", `<text>x</text><entry><observation negationInd="true"><value code="419199007"/></observation></entry>`), []string{"not s1|No known allergies"}},
		"no known allergies as a substance":                 {allergy("x", drug, `<code code="1" displayName="NKDA"/>`, ""), []string{"not s1|NKDA|||active"}},
		"a shell beside a denial":                           {allergy("No Known Allergies", `<value code="419199007" displayName="Allergy to substance"/>`, `<code nullFlavor="NA"/>`, ""), []string{"not text s1|No Known Allergies"}},
		"a shell beside an allergy":                         {allergy("<list><item>Latex</item></list>", `<value code="419199007" displayName="Allergy to substance"/>`, `<code nullFlavor="NA"/>`, ""), []string{"s1|Allergy to substance: substance not named (not applicable)|||active", "text s1|Latex"}},
		"a problem that is only called one":                 {problem("No problems recorded", `<value code="55607006" displayName="Problem"/>`), []string{"not text s1|No problems recorded"}},
		"a reaction to no name beside a denial":             {allergy("No Known Allergies", `<value code="419199007" displayName="Allergy to substance"/>`, `<code nullFlavor="UNK"/>`, hives(`<value code="39579001" displayName="Anaphylaxis"/>`)), []string{"s1|Allergy to substance: substance not named (unknown)|||active|Anaphylaxis"}},
		"a medicine without a code beside a denial":         {med("No known medications", "", `<code nullFlavor="UNK"><originalText>Warfarin 5 mg tablet</originalText></code>`), []string{"s1|Warfarin 5 mg tablet|||active"}},
		"a problem without a code beside a denial":          {problem("No problems recorded", `<value nullFlavor="OTH"><originalText>Myasthenia gravis</originalText></value>`), []string{"s1|Myasthenia gravis|||completed"}},
		"a route coded twice, and another medicine":         {med("<table><tbody><tr><td>Warfarin 5 mg</td><td>Oral</td></tr></tbody></table>", `<routeCode code="C38288" displayName="Oral"><translation code="26643006" displayName="Oral"/></routeCode>`, `<code code="314076" displayName="lisinopril"/>`), []string{"s1|lisinopril|||active|oral", "text s1|Warfarin 5 mg||||Oral"}},
		"the class of another allergy":                      {allergy("<table><thead><tr><th>Allergen</th><th>Class</th></tr></thead><tbody><tr><td>Penicillin G</td><td>Antibiotic</td></tr><tr><td>Amoxicillin</td><td>Penicillin G</td></tr></tbody></table>", drug, penicillin, ""), []string{"s1|Penicillin G|||active", "text s1|Amoxicillin||||Class: Penicillin G"}},
		"a second dose of one medicine":                     {med("<table><thead><tr><th>Medication</th><th>Dose</th></tr></thead><tbody><tr><td>Insulin glargine</td><td>10 units</td></tr><tr><td>Insulin glargine</td><td>20 units</td></tr></tbody></table>", `<doseQuantity value="10" unit="[iU]"/>`, `<code code="261551" displayName="Insulin glargine"/>`), []string{"s1|Insulin glargine|||active|10 IU", "text s1|Insulin glargine||||Dose: 20 units"}},
		"a stain is no French denial":                       {section("11450-4", `<text><list><item>PAS positive disease</item><item>Pas de diabète</item></list></text><entry><observation negationInd="true"><value code="160245001" displayName="No current problems"/></observation></entry>`), []string{"not s1|No current problems", "text s1|PAS positive disease"}},
		"a name with a word of denial beside a denial":      {section("48765-2", `<text><list><item>Patient has no drug allergies to report</item><item>Non-steroidal anti-inflammatories</item><item>Penicillin (reaction not known)</item></list></text><entry><observation negationInd="true"><value code="416098002"/></observation></entry>`), []string{"not s1|No known drug allergies", "text s1|Non-steroidal anti-inflammatories", "text s1|Penicillin (reaction not known)"}},
		"a problem beside a denial":                         {problem("No problems recorded", `<value code="195967001" displayName="Asthma"/>`), []string{"s1|Asthma|||completed"}},
		"how often as the name":                             {med("x", "", `<code code="309090" displayName="ceftriaxone"><originalText>Two times daily</originalText></code>`), []string{"s1|ceftriaxone|||active|“Two times daily”"}},
		"a pointer as the name":                             {med("x", `<code code="408350003" displayName="Patient not on self-medications"/>`, `<code nullFlavor="NI"><originalText>#nomeds</originalText></code>`), []string{"s1|Patient not on self-medications|||active"}},
		"a part of a day":                                   {med("x", `<effectiveTime xsi:type="PIVL_TS"><period value="0.3333333333" unit="d"/></effectiveTime>`, `<code displayName="Aspirin"/>`), []string{"s1|Aspirin|||active|3 times a day"}},
		"a part of a week":                                  {med("x", `<effectiveTime xsi:type="PIVL_TS"><period value="0.5" unit="wk"/></effectiveTime>`, `<code displayName="Aspirin"/>`), []string{"s1|Aspirin|||active|2 times a week"}},
		"no even part of a day":                             {med("x", `<effectiveTime xsi:type="PIVL_TS"><period value="0.4" unit="d"/></effectiveTime>`, `<code displayName="Aspirin"/>`), []string{"s1|Aspirin|||active|every 0.4 days"}},
		"a route without words":                             {med("x", `<routeCode code="C38288"/>`, `<code displayName="Aspirin"/>`), []string{"s1|Aspirin|||active|oral"}},
		"a rare route without words":                        {med("x", `<routeCode code="C99999"/>`, `<code displayName="Aspirin"/>`), []string{"s1|Aspirin|||active|code c99999, without words"}},
		"a route that is a word":                            {med("x", `<routeCode code="PO"/>`, `<code displayName="Aspirin"/>`), []string{"s1|Aspirin|||active|po"}},
		"a vital sign without words":                        {vital("8867-4"), []string{"s1|Heart rate|80 /min"}},
		"another code without words":                        {vital("99999-9"), []string{"s1|code 99999-9, without words|80 /min"}},
		"no medicine, by the code of all":                   {section("10160-0", `<text>x</text><entry><substanceAdministration negationInd="true"><consumable><manufacturedProduct><manufacturedMaterial><code code="410942007" displayName="Drug or medicament"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`), []string{"not s1|No known medications"}},
		"a table of fields":                                 {allergy(`<table><tbody><tr><td>Allergen:</td><td>Penicillin G</td></tr><tr><td>Reactions:</td><td>Nausea</td></tr></tbody></table>`, drug, penicillin, ""), []string{"s1|Penicillin G|||active"}},
		"a field with another allergy":                      {allergy(`<table><tbody><tr><td>Reactions:</td><td>Nausea</td></tr><tr><td>Latex</td><td>Rash</td></tr></tbody></table>`, drug, penicillin, ""), []string{"s1|Penicillin G|||active", "text s1|Latex||||Rash"}},
		"an attempt that failed":                            {section("47519-4", `<text><content ID="w">Image unreadable</content></text><entry><procedure moodCode="EVN"><code displayName="X-ray"/><statusCode code="completed"/><entryRelationship typeCode="SUBJ"><act><code code="103709008"/><text><reference value="#w"/></text></act></entryRelationship></procedure></entry>`), []string{"s1|X-ray|||completed|attempted, failed: Image unreadable"}},
		"a denial with its patient":                         {section("10160-0", "<text>This patient has no known medications.</text>"), []string{"not text s1|This patient has no known medications."}},
		"no information, said first":                        {section("11450-4", "<text>Information is not available.</text>"), []string{"not text s1|Information is not available."}},
		"nothing documented":                                {section("48765-2", "<text>No documented allergies.</text>"), []string{"not text s1|No documented allergies."}},
		"a patient who has more than none":                  {section("10160-0", "<text>This patient has no known medications except aspirin.</text>"), []string{"text s1|This patient has no known medications except aspirin."}},
		"heads in cells":                                    {section("48765-2", "<text><table><tbody><tr><td>Code</td><td>Substance</td><td>Created On</td></tr><tr><td>733</td><td>Ampicillin</td><td>2026-01-02</td></tr></tbody></table></text>"), []string{"text s1|Ampicillin||||Code: 733 · Created On: 2026-01-02"}},
		"a code system before the name":                     {section("48765-2", "<text><table><thead><tr><th>System</th><th>Substance</th></tr></thead><tbody><tr><td>RxNorm</td><td>Ampicillin</td></tr></tbody></table></text>"), []string{"text s1|Ampicillin||||System: RxNorm"}},
		"only a code":                                       {section("48765-2", "<text><table><thead><tr><th>Code</th><th>Note</th></tr></thead><tbody><tr><td>RxNorm 733</td><td/></tr></tbody></table></text>"), []string{"text s1|RxNorm 733"}},
		"one row for each coding":                           {section("11450-4", `<text><table><thead><tr><th>System</th><th>Problem</th></tr></thead><tbody><tr><td>SNOMED</td><td>Asthma</td></tr><tr><td>ICD-10</td><td>Unspecified bronchial disease</td></tr></tbody></table></text><entry><observation><value code="195967001" displayName="Asthma"><translation code="J45.909" displayName="Unspecified bronchial disease"/></value></observation></entry>`), []string{"s1|Asthma"}},
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

// A heading ends what stands below it where it is one of a list that is over; one that speaks of something else only
// may.
func TestAHeadingEndsWhatItIsAbout(t *testing.T) {
	for heading, want := range map[string]string{
		"Discontinued medications":                         "discontinued",
		"Medications stopped during this visit (1/2/2020)": "stopped",
		"Stopped":                "stopped",
		"Current medications":    "",
		"Active or discontinued": "",
		"Cardiology follow-up: amiodarone discontinued 2019": "may be over: “Cardiology follow-up: amiodarone discontinued 2019”",
		"Stopped smoking program":                            "may be over: “Stopped smoking program”",
	} {
		for _, inner := range []string{"%s", "<item>Cardiac<list>%s</list></item>"} {
			list := "<item>" + heading + "<list>" + strings.Replace(inner, "%s", "<item>Warfarin 5 mg</item>", 1) + "</list></item>"
			items := read(t, doc("", section("10160-0", "<text><list>"+list+"</list></text>"))).Items()
			it := items[len(items)-1]
			if over := it.Status == want && it.Over(); it.Name != "Warfarin 5 mg" || over != (want != "" && !strings.HasPrefix(want, "may be")) || strings.HasPrefix(want, "may be") && !strings.Contains(it.Detail, strings.TrimSuffix(want, "”")) {
				t.Errorf("%s: %+v", heading, it)
			}
		}
	}
}

// The heads of a table above no row are not struck out; a row that is, is.
func TestHeadsAloneAreNotStruckOut(t *testing.T) {
	table := func(row string) *ccda.Section {
		return read(t, doc("", section("8716-3", `<text><table><tbody><tr><th>Weight</th><th>Height</th></tr>`+row+`</tbody></table></text>`))).Sections[0]
	}
	for row, want := range map[string]bool{
		"": false,
		`<tr styleCode="strikethrough"><td>80 kg</td><td>180 cm</td></tr>`: true,
		`<tr><td>80 kg</td><td><del>180 cm</del></td></tr>`:                false,
	} {
		if got := table(row).StruckOut(); got != want {
			t.Errorf("%q: %v", row, got)
		}
	}
}

// A list contradicts itself only where what it denies is of the class that it lists.
func TestADenialOfOneClassContradictsNoOther(t *testing.T) {
	entry := func(attrs, kind, agent string) string {
		return `<entry><act><entryRelationship><observation ` + attrs + `><value code="` + kind + `"/>` + agent + `</observation></entryRelationship></act></entry>`
	}
	to := func(name string) string {
		return `<participant typeCode="CSM"><participantRole><playingEntity><code code="1" displayName="` + name + `"/></playingEntity></participantRole></participant>`
	}
	const drug, food, any = "416098002", "414285001", "419199007"
	for name, c := range map[string]struct {
		entries string
		want    bool
	}{
		"all denied, one listed":         {entry(`negationInd="true"`, any, "") + entry("", any, to("Latex")), true},
		"drugs denied, a drug listed":    {entry(`negationInd="true"`, drug, "") + entry("", drug, to("Penicillin")), true},
		"drugs denied, a food listed":    {entry(`negationInd="true"`, drug, "") + entry("", food, to("Strawberry")), false},
		"drugs denied, one of no class":  {entry(`negationInd="true"`, drug, "") + entry("", any, to("Latex")), false},
		"a food denied by name, a drug":  {entry(`negationInd="true"`, food, to("No known food allergies")) + entry("", drug, to("Penicillin")), false},
		"drugs denied, a food and a one": {entry(`negationInd="true"`, drug, "") + entry("", food, to("Strawberry")) + entry("", drug, to("Penicillin")), true},
	} {
		d := read(t, doc("", section("48765-2", `<text>x</text>`+c.entries)))
		got := slices.ContainsFunc(ccda.Check(d, d.Time.At), func(f chart.Finding) bool { return f.Rule == "contradiction" })
		if got != c.want {
			t.Errorf("%s: %v %q", name, got, lines(d.Items()))
		}
	}
}

// A text that only denies contradicts an entry that lists, also where the entry points at no text.
func TestATextOfDenialsContradictsAnEntry(t *testing.T) {
	const asthma = `<entry><observation><value code="195967001" displayName="Asthma"/></observation></entry>`
	for text, want := range map[string]bool{"No known problems": true, "Asthma": false, "No known problems except asthma": false} {
		d := read(t, doc("", section("11450-4", `<text>`+text+`</text>`+asthma)))
		if got := slices.ContainsFunc(ccda.Check(d, d.Time.At), func(f chart.Finding) bool { return f.Rule == "contradiction" }); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// The parts of another person's name stay apart.
func TestTheNameOfAnotherPersonIsReadable(t *testing.T) {
	s := `<component><section><code code="11450-4"/><title>T</title><text>x</text><subject><relatedSubject><subject><name><given>Baby</given><given>Girl</given><family>Roe</family></name></subject></relatedSubject></subject><entry><observation><value code="1" displayName="Jaundice"/></observation></entry></section></component>`
	if it := read(t, doc("", s)).Items()[0]; it.Subject != "Baby Girl Roe" {
		t.Errorf("%q", it.Subject)
	}
}

// A brand that a translation names is no other medicine; a product's name does not outvote its code.
func TestABrandInATranslationIsTheSameMedicine(t *testing.T) {
	for inner, want := range map[string]bool{
		`<code code="1" displayName="sumatriptan 25 MG Oral Tablet"><translation code="2" displayName="Imitrex 25 MG Oral Tablet"/></code>`: false,
		`<code code="1" displayName="sumatriptan 25 MG Oral Tablet"><translation code="2" displayName="Zocor 25 MG"/></code>`:               true,
		`<code code="1" displayName="sumatriptan 25 MG Oral Tablet"/><name>Imitrex</name>`:                                                  true,
		`<code code="1" displayName="sumatriptan 25 MG Oral Tablet"/>`:                                                                      true,
	} {
		d := read(t, doc("", section("10160-0", `<text><content ID="m">Imitrex 25 mg tablets</content></text><entry><substanceAdministration><text><reference value="#m"/></text><consumable><manufacturedProduct><manufacturedMaterial>`+inner+`</manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)))
		if got := d.Items()[0].Conflict != ""; got != want {
			t.Errorf("%s: %q", inner, d.Items()[0].Conflict)
		}
	}
}
