package ccda_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document/ccda"
)

// entry builders: a statement of each kind with attributes and inner elements.
func problemOf(act, link, attrs, inner string) string {
	return section("11450-4", `<text>x</text><entry><act `+act+`><statusCode code="active"/><entryRelationship `+link+`><observation `+attrs+`>`+inner+`</observation></entryRelationship></act></entry>`)
}

const asthma = `<value code="1" displayName="Asthma"/>`

func allergyOf(attrs, inner string) string {
	return section("48765-2", `<text>x</text><entry><act><statusCode code="active"/><entryRelationship><observation `+attrs+`><value code="416098002" displayName="Allergy to drug"/>`+inner+`</observation></entryRelationship></act></entry>`)
}

const penicillin = `<participant typeCode="CSM"><participantRole><playingEntity><code code="7" displayName="Penicillin"/></playingEntity></participantRole></participant>`

func medOf(attrs, inner string) string {
	return section("10160-0", `<text>x</text><entry><substanceAdministration `+attrs+`>`+inner+`<consumable><manufacturedProduct><manufacturedMaterial><code code="1" displayName="Aspirin 81 MG"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)
}

func resultOf(organizer, attrs, inner string) string {
	return section("30954-2", `<text>x</text><entry><organizer>`+organizer+`<component><observation `+attrs+`><code displayName="K"/>`+inner+`</observation></component></organizer></entry>`)
}

// What a source does not state as a fact about the patient, now, is never current.
func TestOnlyWhatIsStatedOfThePatientIsCurrent(t *testing.T) {
	const at = `<effectiveTime value="20260810"/>`
	const actual = `<statusCode code="active"/><effectiveTime xsi:type="IVL_TS"><low value="2020"/>`
	for name, c := range map[string]struct {
		sections string
		current  bool
	}{
		"a plain problem":                   {problemOf("", "", "", asthma), true},
		"denied on the observation":         {problemOf("", "", `negationInd="true"`, asthma), false},
		"denied on the concern":             {problemOf(`negationInd="true"`, "", "", asthma), false},
		"denied on the relationship":        {problemOf("", `negationInd="1"`, "", asthma), false},
		"value denied by the extension":     {problemOf("", "", `sdtc:valueNegationInd="true"`, asthma), false},
		"not denied, said so":               {problemOf(`negationInd="false"`, `negationInd="0"`, `negationInd="false"`, asthma), true},
		"observation nullified":             {problemOf("", "", "", `<statusCode code="nullified"/>`+asthma), false},
		"observation aborted":               {problemOf("", "", "", `<statusCode code="aborted"/>`+asthma), false},
		"observation cancelled":             {problemOf("", "", "", `<statusCode code="cancelled"/>`+asthma), false},
		"observation completed":             {problemOf("", "", "", `<statusCode code="completed"/>`+asthma), true},
		"concern nullified":                 {strings.Replace(problemOf("", "", "", asthma), `code="active"`, `code="nullified"`, 1), false},
		"not known whether":                 {problemOf("", "", `nullFlavor="ASKU"`, asthma), false},
		"the father's":                      {problemOf("", "", "", asthma+`<subject><relatedSubject><code code="FTH"/></relatedSubject></subject>`), false},
		"the patient's own, said so":        {problemOf("", "", "", asthma+`<subject><relatedSubject><code code="SELF"/></relatedSubject></subject>`), true},
		"a newborn's section":               {strings.Replace(problemOf("", "", "", asthma), "<text>", `<subject><relatedSubject><code displayName="Newborn"/></relatedSubject></subject><text>`, 1), false},
		"an allergy denied on its concern":  {strings.Replace(allergyOf("", penicillin), "<act>", `<act negationInd="true">`, 1), false},
		"an allergy that nobody asked for":  {allergyOf(`nullFlavor="NASK"`, penicillin), false},
		"an allergy, plain":                 {allergyOf("", penicillin), true},
		"a medicine, plain":                 {medOf("", actual+`</effectiveTime>`), true},
		"a medicine not taken":              {medOf(`negationInd="true"`, actual+`</effectiveTime>`), false},
		"a medicine active, ended":          {medOf("", actual+`<high value="20260501"/></effectiveTime>`), false},
		"a medicine active, ends later":     {medOf("", actual+`<high value="20260901"/></effectiveTime>`), true},
		"a medicine active, ended by width": {medOf("", `<statusCode code="active"/><effectiveTime xsi:type="IVL_TS"><low value="20260101"/><width value="10" unit="d"/></effectiveTime>`), false},
		"a medicine up to but not today":    {medOf("", actual+`<high value="20260810" inclusive="false"/></effectiveTime>`), false},
		"a medicine up to today":            {medOf("", actual+`<high value="20260810"/></effectiveTime>`), true},
		"ended within a set of times":       {medOf("", `<statusCode code="active"/><effectiveTime xsi:type="SXPR_TS"><comp xsi:type="IVL_TS"><low value="2020"/><high value="2021"/></comp><comp xsi:type="PIVL_TS"><period value="8" unit="h"/></comp></effectiveTime>`), false},
		"a result, plain":                   {resultOf("", "", `<statusCode code="completed"/><value value="4"/>`), true},
		"a result nullified":                {resultOf("", "", `<statusCode code="nullified"/><value value="4"/>`), false},
		"a panel nullified":                 {resultOf(`<statusCode code="nullified"/>`, "", `<value value="4"/>`), false},
		"a panel denied":                    {strings.Replace(resultOf("", "", `<value value="4"/>`), "<organizer>", `<organizer negationInd="true">`, 1), false},
		"words in a status column":          {section("10160-0", `<text><table><thead><tr><th>Drug</th><th>Status</th></tr></thead><tbody><tr><td>Aspirin</td><td>Discontinued</td></tr></tbody></table></text>`), false},
		"words below a heading":             {section("10160-0", `<text><paragraph>Discontinued medications:</paragraph><list><item>Aspirin</item></list></text>`), false},
		"words below a row across":          {section("10160-0", `<text><table><tr><th>Drug</th><th>Dose</th></tr><tr><th colspan="2">Stopped</th></tr><tr><td>Aspirin</td><td>1</td></tr></table></text>`), false},
	} {
		items := read(t, doc(at, c.sections)).Items()
		if len(items) != 1 || items[0].Current() != c.current {
			t.Errorf("%s: %+v, want current %v", name, items, c.current)
		}
	}
}

// Everything a source says that changes how a line is read stands in the line.
func TestLinesSayWhatTheirEntrySays(t *testing.T) {
	for name, c := range map[string]struct{ sections, want string }{
		"own words behind a general code": {problemOf("", "", "", `<value code="64572001" displayName="Disease"><originalText>Marfan syndrome</originalText></value>`), "s1|Marfan syndrome (coded as Disease)|||active"},
		"own words say more":              {problemOf("", "", "", `<value code="1" displayName="Diabetes"><originalText>Diabetes type 2 with nephropathy</originalText></value>`), "s1|Diabetes type 2 with nephropathy|||active"},
		"own words say less":              {problemOf("", "", "", `<value code="1" displayName="Asthma, allergic"><originalText>asthma</originalText></value>`), "s1|Asthma, allergic|||active"},
		"own words in the text":           {section("11450-4", `<text><content ID="p">Marfan syndrome</content></text><entry><act><entryRelationship><observation><value code="64572001" displayName="Disease"><originalText><reference value="#p"/></originalText></value></observation></entryRelationship></act></entry>`), "s1|Marfan syndrome (coded as Disease)"},
		"side of the body":                {problemOf("", "", "", asthma+`<targetSiteCode displayName="Lung"><qualifier><name displayName="Laterality"/><value displayName="Left"/></qualifier></targetSiteCode>`), "s1|Asthma|||active|at: Lung (laterality: Left)"},
		"qualified code":                  {problemOf("", "", "", `<value code="1" displayName="Asthma"><qualifier><name displayName="Finding context"/><value displayName="Known absent"/></qualifier></value>`), "s1|Asthma|||active|finding context: Known absent"},
		"two values":                      {problemOf("", "", "", asthma+`<value displayName="Eczema"/>`), "s1|Asthma; Eczema|||active"},
		"a remark":                        {problemOf("", "", "", asthma+`<entryRelationship><act><code code="48767-8"/><text>entered for the wrong patient</text></act></entryRelationship>`), "s1|Asthma|||active|note: “entered for the wrong patient”"},
		"its end is stated as unknown":    {section("11450-4", `<text>x</text><entry><observation><effectiveTime><low value="2011"/><high nullFlavor="UNK"/></effectiveTime>`+asthma+`</observation></entry>`), "s1|Asthma||||may be over: its end is stated as unknown"},
		"substance masked":                {allergyOf("", `<participant typeCode="CSM"><participantRole><playingEntity><code nullFlavor="MSK"/></playingEntity></participantRole></participant>`), "s1|Allergy to drug: substance not named (masked: there is information, and it is withheld)|||active"},
		"a reaction in the text":          {strings.Replace(allergyOf("", penicillin+`<entryRelationship typeCode="MFST"><observation><text><reference value="#h"/></text><value nullFlavor="OTH"><originalText><reference value="#h"/></originalText></value></observation></entryRelationship>`), "<text>x", `<text><content ID="h">Hives</content>`, 1), "s1|Penicillin|||active|Hives"},
		"a unit only in translation":      {medOf("", `<doseQuantity value="30.0"><translation value="30.0"><originalText>units</originalText></translation></doseQuantity>`), "s1|Aspirin 81 MG||||30.0 units"},
		"an entry that states nothing":    {strings.Replace(allergyOf("", ""), `code="416098002" displayName="Allergy to drug"`, "", 1), "text s1|x"},
		"two substances":                  {allergyOf("", penicillin+strings.Replace(penicillin, "Penicillin", "Latex", 1)), "s1|Penicillin; Latex|||active"},
		"a reaction denied":               {allergyOf("", penicillin+`<entryRelationship typeCode="MFST"><observation negationInd="true"><value displayName="Hives"/></observation></entryRelationship><entryRelationship typeCode="MFST"><observation><value displayName="Rash"/></observation></entryRelationship>`), "s1|Penicillin|||active|no Hives, Rash"},
		"an intolerance":                  {strings.Replace(allergyOf("", penicillin), "Allergy to drug", "Drug intolerance", 1), "s1|Penicillin|||active|intolerance"},
		"unit beside the dose":            {medOf("", `<doseQuantity value="2"/><administrationUnitCode displayName="Puff"/>`), "s1|Aspirin 81 MG||||2 puff"},
		"a dose in two units":             {medOf("", `<doseQuantity><low value="500" unit="mg"/><high value="1" unit="g"/></doseQuantity>`), "s1|Aspirin 81 MG||||500 mg to 1 g"},
		"a dose below":                    {medOf("", `<doseQuantity><high value="5" unit="mg" inclusive="false"/></doseQuantity>`), "s1|Aspirin 81 MG||||less than 5 mg"},
		"a dose above":                    {medOf("", `<doseQuantity><low value="5" unit="mg" inclusive="false"/></doseQuantity>`), "s1|Aspirin 81 MG||||more than 5 mg"},
		"a dose between, ends left out":   {medOf("", `<doseQuantity><low value="1" unit="mg" inclusive="false"/><high value="5" unit="mg"/></doseQuantity>`), "s1|Aspirin 81 MG||||more than 1, at most 5 mg"},
		"a dose that is masked":           {medOf("", `<doseQuantity nullFlavor="MSK"/>`), "s1|Aspirin 81 MG||||dose masked: there is information, and it is withheld"},
		"a dose in another unit too":      {medOf("", `<doseQuantity value="1" unit="g"><translation value="1000" code="mg"/></doseQuantity>`), "s1|Aspirin 81 MG||||1 g (= 1000 mg)"},
		"at most":                         {medOf("", `<doseQuantity value="1" unit="g"/><maxDoseQuantity><numerator value="4" unit="g"/><denominator value="24" unit="h"/></maxDoseQuantity>`), "s1|Aspirin 81 MG||||1 g, at most 4 g in 24 h"},
		"no medicine at all":              {strings.Replace(medOf(`negationInd="true"`, ""), "Aspirin 81 MG", "drug or medication", 1), "not s1|No known medications"},
		"if needed, without a reason":     {medOf("", `<precondition><criterion/></precondition>`), "s1|Aspirin 81 MG||||if needed"},
		"rhythm with a prefixed type":     {medOf("", `<effectiveTime xmlns:v="urn:hl7-org:v3" xsi:type="v:PIVL_TS"><period value="12" unit="h"/></effectiveTime>`), "s1|Aspirin 81 MG||||every 12 h"},
		"type under another prefix":       {medOf("", `<effectiveTime xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="EIVL_TS"><event code="HS"/></effectiveTime>`), "s1|Aspirin 81 MG||||at bedtime"},
		"type left out":                   {medOf("", `<effectiveTime><period value="12" unit="h"/></effectiveTime>`), "s1|Aspirin 81 MG||||every 12 h"},
		"rhythm in a set of times":        {medOf("", `<effectiveTime xsi:type="SXPR_TS"><comp xsi:type="IVL_TS"><low value="2020"/></comp><comp xsi:type="PIVL_TS"><period value="8" unit="h"/></comp><comp operator="E" xsi:type="EIVL_TS"><event code="HS"/></comp></effectiveTime>`), "s1|Aspirin 81 MG||||every 8 h, except at bedtime"},
		"a period in two units":           {medOf("", `<effectiveTime xsi:type="PIVL_TS"><period><low value="12" unit="h"/><high value="1" unit="d"/></period></effectiveTime>`), "s1|Aspirin 81 MG||||every 12 h to 1 days"},
		"a dose that falls":               {medOf("", `<entryRelationship typeCode="COMP"><substanceAdministration><doseQuantity value="20" unit="mg"/><effectiveTime xsi:type="IVL_TS"><low value="20260101"/><high value="20260105"/></effectiveTime></substanceAdministration></entryRelationship><entryRelationship typeCode="COMP"><substanceAdministration><doseQuantity value="10" unit="mg"/></substanceAdministration></entryRelationship>`), "s1|Aspirin 81 MG||||in steps: 20 mg, 1 Jan 2026 to 5 Jan 2026; then 10 mg"},
		"instruction in words":            {medOf("", `<entryRelationship typeCode="COMP"><substanceAdministration><code code="76662-6"/><text>two on Monday, one on Friday</text></substanceAdministration></entryRelationship>`), "s1|Aspirin 81 MG||||“two on Monday, one on Friday”"},
		"only its supply":                 {section("10160-0", `<text>x</text><entry><supply><statusCode code="completed"/><quantity value="30" unit="{tablet}"/><product><manufacturedProduct><manufacturedMaterial><code displayName="Aspirin"/></manufacturedMaterial></manufacturedProduct></product></supply></entry>`), "s1|Aspirin||||supply of 30 tablet"},
		"result masked":                   {resultOf("", "", `<value xsi:type="PQ" nullFlavor="MSK"/>`), "s1|K|masked: there is information, and it is withheld"},
		"result of prefixed type":         {resultOf("", "", `<value xmlns:h="urn:hl7-org:v3" xsi:type="h:PQ" value="4" unit="g"/>`), "s1|K|4 g"},
		"result in another unit too":      {resultOf("", "", `<value xsi:type="PQ" value="180" unit="[lb_av]"><translation value="81.6" code="kg"/></value>`), "s1|K|180 lb (= 81.6 kg)"},
		"result below what is measured":   {resultOf("", "", `<value xsi:type="IVL_PQ"><high value="5" unit="ng/mL" inclusive="false"/></value>`), "s1|K|less than 5 ng/mL"},
		"result that stands in the text":  {strings.Replace(resultOf("", "", `<value xsi:type="ED"><reference value="#v"/></value>`), "<text>x", `<text><content ID="v">gram negative rods</content>`, 1), "s1|K|gram negative rods"},
		"judged in words":                 {resultOf("", "", `<value value="4"/><interpretationCode nullFlavor="OTH"><originalText>Critical, called</originalText></interpretationCode>`), "s1|K|4|critical, called"},
		"judged in other words":           {resultOf("", "", `<value value="4"/><interpretationCode code="N"><originalText>Borderline</originalText></interpretationCode>`), "s1|K|4|borderline"},
		"judged without a code":           {resultOf("", "", `<value value="4"/><interpretationCode displayName="Abnormal"/>`), "s1|K|4|abnormal"},
		"a range for high is not usual":   {resultOf("", "", `<value xsi:type="PQ" value="4" unit="g"/><referenceRange><observationRange><value><low value="5" unit="g"/></value><interpretationCode code="H"/></observationRange></referenceRange>`), "s1|K|4 g|||range for high: at least 5 g"},
		"on the open end of a range":      {resultOf("", "", `<value xsi:type="PQ" value="5" unit="g"/><referenceRange><observationRange><value><high value="5" unit="g" inclusive="false"/></value></observationRange></referenceRange>`), "s1|K|5 g|above the stated range||usual less than 5 g"},
		"a panel in a panel":              {section("30954-2", `<text>x</text><entry><organizer><component><organizer><component><observation><code displayName="K"/><value value="4"/></observation></component></organizer></component></organizer></entry>`), "s1|K|4"},
		"told by its title alone":         {`<component><section><title>Drug Allergies:</title><text><list><item>Penicillin</item></list></text></section></component>`, "text s1|Penicillin"},
		"inherits the kind of its parent": {section("48765-2", `<text/><component><section><code code="99999-9"/><title>Drugs</title><text><list><item>Penicillin</item></list></text></section></component>`), "text s2|Penicillin"},
	} {
		got := lines(read(t, doc("", c.sections)).Items())
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %q\nwant %q", name, got, c.want)
		}
	}
}

// What the text lists and no entry codes is listed too, and marked.
func TestLinesOnlyInTheTextAreListed(t *testing.T) {
	med := `<entry><substanceAdministration><consumable><manufacturedProduct><manufacturedMaterial><code displayName="Aspirin 81 MG"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`
	d := read(t, doc("", section("10160-0", `<text><table><thead><tr><th>Drug</th></tr></thead><tbody><tr><td>Aspirin</td></tr><tr><td>Warfarin 5 mg</td></tr></tbody></table></text>`+med)))
	items := d.Items()
	if len(items) != 2 || items[1].Name != "Warfarin 5 mg" || items[1].Source != ccda.FromNarrative || items[1].Conflict == "" {
		t.Errorf("%+v", items)
	}
}

// The name a patient bears now is the patient's name, wherever it stands.
func TestAFormerNameIsNotThePatients(t *testing.T) {
	for name, first := range map[string]string{
		"ended":     `<name><given>Ann</given><family>Fox</family><validTime><high value="2010"/></validTime></name>`,
		"birth":     `<name use="BR"><given>Ann</given><family>Fox</family></name>`,
		"pseudonym": `<name use="P"><given>Ann</given><family>Fox</family></name>`,
	} {
		p := read(t, doc(`<recordTarget><patientRole><patient>`+first+`<name use="L"><given>Ann</given><family>Lee</family></name></patient></patientRole></recordTarget>`, "")).Patient()
		if p.Name.Family != "Lee" || len(p.Others) != 1 || p.Others[0].Family != "Fox" {
			t.Errorf("%s: %+v, others %+v", name, p.Name, p.Others)
		}
	}
}
