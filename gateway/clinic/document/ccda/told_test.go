package ccda_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document/ccda"
)

// What only the text says is listed, though a coded line shares a word with it.
func TestACodedLineDoesNotHideAnotherOfTheText(t *testing.T) {
	list := func(items ...string) string {
		return `<text><list><item>` + strings.Join(items, `</item><item>`) + `</item></list></text>`
	}
	coded := func(code, text string, names ...string) string {
		out := text
		for _, n := range names {
			switch code {
			case "10160-0":
				out += `<entry><substanceAdministration><consumable><manufacturedProduct><manufacturedMaterial><code code="1" displayName="` + n + `"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`
			case "48765-2":
				out += `<entry><act><entryRelationship><observation><value code="416098002" displayName="Allergy to drug"/><participant typeCode="CSM"><participantRole><playingEntity><code code="7" displayName="` + n + `"/></playingEntity></participantRole></participant>
<entryRelationship typeCode="MFST"><observation><value code="1" displayName="Rash"/></observation></entryRelationship></observation></entryRelationship></act></entry>`
			case "30954-2":
				out += `<entry><observation><code code="1" displayName="` + n + `"/><value xsi:type="PQ" value="4" unit="mmol/L"/></observation></entry>`
			default:
				out += `<entry><observation><value code="1" displayName="` + n + `"/></observation></entry>`
			}
		}
		return section(code, out)
	}
	for name, c := range map[string]struct {
		sections string
		want     string // the lines only the text has
	}{
		"another insulin":                   {coded("10160-0", list("Insulin glargine 10 units", "Insulin lispro 5 units"), "Insulin glargine"), "Insulin lispro 5 units"},
		"another drug with the same salt":   {coded("10160-0", list("Sumatriptan succinate 50 mg"), "Metoprolol succinate"), "Sumatriptan succinate 50 mg"},
		"the same reaction":                 {coded("48765-2", list("Penicillin - rash", "Codeine - rash"), "Penicillin"), "Codeine - rash"},
		"another cancer":                    {coded("11450-4", list("Breast cancer", "Lung cancer"), "Breast cancer"), "Lung cancer"},
		"the same in more words":            {coded("10160-0", list("Lisinopril (Prinivil) 10 mg by mouth"), "Lisinopril 10 MG Oral Tablet"), ""},
		"the same twice":                    {coded("10160-0", list("Lisinopril 10 mg", "Lisinopril 10 mg"), "Lisinopril 10 MG Oral Tablet"), ""},
		"a row that gives the code's words": {coded("30954-2", `<text><table><tbody><tr><td>High density lipoprotein</td><td>HDLc SerPl-sCnc</td><td>55</td></tr></tbody></table></text>`, "HDLc SerPl-sCnc"), ""},
		"a result that is not coded":        {coded("30954-2", `<text><table><tbody><tr><td colspan="2">Chemistries</td></tr><tr><td>Potassium</td><td>4</td></tr><tr><td>Troponin</td><td>9000 ng/L</td></tr><tr><td>Taken</td><td>2026-08-01</td></tr></tbody></table></text>`, "Potassium"), "Troponin"},
		"a denial of others":                {coded("48765-2", list("Penicillin - rash", "No known food allergies"), "Penicillin"), ""},
	} {
		var got []string
		for _, it := range read(t, doc("", c.sections)).Items() {
			if it.Source == ccda.FromNarrative {
				got = append(got, it.Name)
			}
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
}

// A status in the sender's own words counts as much as a coded one; an end that is still to come ends nothing.
func TestStatusesInWords(t *testing.T) {
	status := func(w string) string {
		return `<entryRelationship typeCode="REFR"><observation><code code="33999-4"/><value displayName="` + w + `"/></observation></entryRelationship>`
	}
	row := func(w string) string {
		return section("10160-0", `<text><table><thead><tr><th>Medication</th><th>Status</th></tr></thead><tbody><tr><td>Aspirin</td><td>`+w+`</td></tr></tbody></table></text>`)
	}
	const dated = `<effectiveTime value="20260810"/>`
	for name, c := range map[string]struct {
		sections string
		over     bool
	}{
		"discontinued by the patient":     {medOf("", status("Discontinued by patient")), true},
		"not taking":                      {medOf("", status("Not Taking")), true},
		"on hold is not over":             {medOf("", status("On hold")), false},
		"no longer active":                {problemOf("", "", "", asthma+status("No longer present")), true},
		"ruled out":                       {problemOf("", "", "", asthma+status("Ruled out")), true},
		"an allergy entered in error":     {allergyOf("", penicillin+status("Entered in error")), true},
		"chronic":                         {problemOf("", "", "", asthma+status("Chronic")), false},
		"a row that says D/C":             {row("D/C"), true},
		"a row entered in error":          {row("Entered in Error"), true},
		"a row no longer taken":           {row("No longer taking"), true},
		"an active row":                   {row("Active"), false},
		"a problem whose end is to come":  {problemOf("", "", "", `<effectiveTime><low value="2020"/><high value="2030"/></effectiveTime>`+asthma), false},
		"a problem whose end is past":     {problemOf("", "", "", `<effectiveTime><low value="2020"/><high value="2021"/></effectiveTime>`+asthma), true},
		"an allergy whose end is to come": {allergyOf("", `<effectiveTime><low value="2020"/><high value="2030"/></effectiveTime>`+penicillin), false},
	} {
		items := read(t, doc(dated, c.sections)).Items()
		if len(items) != 1 {
			t.Fatalf("%s: %d items", name, len(items))
		}
		if it := items[0]; it.Over() != c.over {
			t.Errorf("%s: over %v, status %q", name, it.Over(), it.Status)
		}
	}
}

// Sides, types and names that look alike are compared with the text an entry points at.
func TestSidesTypesAndNamesThatDiffer(t *testing.T) {
	problem := func(text, name string) string {
		return section("11450-4", `<text><list><item ID="p">`+text+`</item></list></text><entry><observation><text><reference value="#p"/></text><value code="1" displayName="`+name+`"/></observation></entry>`)
	}
	med := func(text, name string) string {
		return section("10160-0", `<text><list><item ID="p">`+text+`</item></list></text><entry><substanceAdministration><text><reference value="#p"/></text><consumable><manufacturedProduct><manufacturedMaterial><code displayName="`+name+`"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)
	}
	for name, c := range map[string]struct {
		sections, want string
		grave          bool
	}{
		"the other breast":           {problem("Cancer of right breast", "Malignant neoplasm of left breast, cancer"), "the entry says left", true},
		"the same side":              {problem("Cancer of left breast", "Cancer of left breast"), "", false},
		"both sides in the text":     {problem("Left breast cancer, right side free", "Cancer of left breast"), "", false},
		"no side in the text":        {problem("Breast cancer", "Cancer of left breast"), "", false},
		"another type":               {problem("Type 1 diabetes", "Type 2 diabetes"), "the entry says type 2", true},
		"the same type in Roman":     {problem("Diabetes mellitus type II", "Type 2 diabetes mellitus"), "", false},
		"another stage":              {problem("CKD stage 4", "Chronic kidney disease stage 3 CKD"), "the entry says stage 3", true},
		"a drug that looks alike":    {med("Hydroxyzine hydrochloride 25 mg", "Hydralazine Hydrochloride 25 MG"), "the entry says “Hydralazine", false},
		"a steroid that looks alike": {med("Prednisolone 10 mg", "Prednisone 10 MG"), "the entry says “Prednisone", false},
		"a shortened drug name":      {med("Levothyrox 50 mcg", "Levothyroxine"), "", false},
		"only salts to compare":      {med("Potassium chloride 20 mEq", "Potassium Chloride 20 MEQ"), "", false},
	} {
		it := read(t, doc("", c.sections)).Items()[0]
		if !strings.HasPrefix(it.Conflict, c.want) || (c.want == "") != (it.Conflict == "") || it.Grave != c.grave {
			t.Errorf("%s: %q (grave %v), want %q", name, it.Conflict, it.Grave, c.want)
		}
	}
}

// A medicine that is only supplied, inside another act, is a medicine; what one is for is told.
func TestSuppliesAndIndications(t *testing.T) {
	const product = `<manufacturedProduct><manufacturedMaterial><code code="1" displayName="Aspirin"/></manufacturedMaterial></manufacturedProduct>`
	for name, c := range map[string]struct{ entry, want string }{
		"a supply in an act": {`<act><entryRelationship><supply moodCode="INT"><quantity value="30"/><product>` + product + `</product></supply></entryRelationship></act>`, "Aspirin supply of 30"},
		"an indication":      {`<substanceAdministration><consumable>` + product + `</consumable><entryRelationship typeCode="RSON"><observation><value code="2" displayName="Atrial fibrillation"/></observation></entryRelationship></substanceAdministration>`, "Aspirin for: Atrial fibrillation"},
		"not for this":       {`<substanceAdministration><consumable>` + product + `</consumable><entryRelationship typeCode="RSON"><observation negationInd="true"><value code="2" displayName="Atrial fibrillation"/></observation></entryRelationship></substanceAdministration>`, "Aspirin "},
	} {
		items := read(t, doc("", section("10160-0", `<text>x</text><entry>`+c.entry+`</entry>`))).Items()
		if len(items) != 1 || items[0].Name+" "+items[0].Detail != c.want {
			t.Errorf("%s: %+v, want %q", name, items, c.want)
		}
	}
}

// A substance that stands for any, because a participant is asked for, makes the denial a general one.
func TestADeniedSubstanceThatNamesNone(t *testing.T) {
	denied := func(kind, code, name string) string {
		return section("48765-2", `<text>x</text><entry><act><entryRelationship><observation negationInd="true"><value code="`+kind+`" displayName="Allergy"/><participant typeCode="CSM"><participantRole><playingEntity><code code="`+code+`" displayName="`+name+`"/></playingEntity></participantRole></participant></observation></entryRelationship></act></entry>`)
	}
	for name, c := range map[string]struct{ sections, want string }{
		"any substance": {denied("419199007", "105590001", "Substance"), "No known allergies"},
		"any drug":      {denied("416098002", "410942007", "Drug or medicament"), "No known drug allergies"},
		"one drug":      {denied("416098002", "7980", "Penicillin"), "Penicillin"},
	} {
		if it := read(t, doc("", c.sections)).Items()[0]; !it.Negated || it.Name != c.want {
			t.Errorf("%s: %q, negated %v", name, it.Name, it.Negated)
		}
	}
}
