package brief_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document/brief"
)

func allergies(entries ...string) string {
	return `<component><section><code code="48765-2"/><title>Allergies</title><text>see entries</text>` + strings.Join(entries, "") + `</section></component>`
}

func allergy(attrs, name string) string {
	agent := `<participant typeCode="CSM"><participantRole><playingEntity><code code="` + strings.ToLower(name) + `" displayName="` + name + `"/></playingEntity></participantRole></participant>`
	if name == "" {
		agent = ""
	}
	return `<entry><act><statusCode code="active"/><entryRelationship><observation ` + attrs + `><value code="416098002" displayName="Allergy to drug"/>` + agent + `</observation></entryRelationship></act></entry>`
}

// What one document states and the next denies is said the way a clinician would say it.
func TestDenialsAreComparedInWords(t *testing.T) {
	pen, notPen, none := allergy("", "Penicillin"), allergy(`negationInd="true"`, "Penicillin"), allergy(`negationInd="true"`, "")
	latex := allergy("", "Latex")
	peanut := strings.Replace(allergy("", "Peanut"), "416098002", "414285001", 1)
	foods := strings.Replace(allergy(`negationInd="true"`, "No known food allergies"), "416098002", "414285001", 1)
	for name, c := range map[string]struct{ older, newer, want string }{
		"denied":                  {pen, notPen, "denied Penicillin allergy: the new document says there is none"},
		"all denied":              {pen, none, "denied Penicillin allergy: the new document says “No known drug allergies”"},
		"foods denied":            {pen, foods, "not-listed the new document says only “No known food allergies”"},
		"a food and foods denied": {peanut + pen, foods, "denied Peanut allergy: the new document says “No known food allergies”; not-listed the new document says only “No known food allergies”"},
		"drugs denied, a food":    {peanut, none, "not-listed the new document says only “No known drug allergies”"},
		"foods denied before":     {foods, pen, "new"},
		"stated after a denial":   {notPen, pen, "new the earlier document said there was none"},
		"stated after none known": {none, pen, "new the earlier document said “No known drug allergies”"},
		"denied in both":          {notPen + latex, notPen + latex, ""},
		"only silent about it":    {pen + latex, latex, "not-listed"},
		"of another person":       {pen + latex, strings.Replace(pen, "<value", `<subject><relatedSubject><code code="MTH"/></relatedSubject></subject><value`, 1) + latex, "not-listed"},
		"entered in error":        {pen + latex, strings.Replace(pen, "<observation >", `<observation ><statusCode code="nullified"/>`, 1) + latex, "not-listed"},
	} {
		got := brief.Compare(read(t, doc(allergies(c.older))), read(t, doc(allergies(c.newer))))
		var out []string
		for _, ch := range got.Sides[2].Changes {
			out = append(out, strings.TrimSpace(string(ch.Kind)+" "+ch.What))
		}
		if s := strings.Join(out, "; "); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
}

// A denial of some problems denies no other, and nothing is gone because its name begins like a denial.
func TestADenialOfSomeProblemsDeniesNoOther(t *testing.T) {
	problem := func(attrs, code, name string) string {
		return `<component><section><code code="11450-4"/><title>P</title><text>see entries</text><entry><act><statusCode code="active"/><entryRelationship><observation ` + attrs + `><value code="` + code + `" displayName="` + name + `"/></observation></entryRelationship></act></entry></section></component>`
	}
	older := read(t, doc(problem("", "195967001", "Asthma")))
	for name, want := range map[string]string{
		"No known heart disease":    "not-listed the new document says only “No known heart disease”",
		"NK-cell lymphoma":          "not-listed",
		"No known problems":         "denied Asthma: the new document says “No known problems”",
		"No known medical problems": "denied Asthma: the new document says “No known medical problems”",
	} {
		ch := brief.Compare(older, read(t, doc(problem(`negationInd="true"`, "1", name)))).Sides[1].Changes
		if len(ch) != 1 || strings.TrimSpace(string(ch[0].Kind)+" "+ch[0].What) != want {
			t.Errorf("%s: %+v, want %q", name, ch, want)
		}
	}
}

// Two things under one general code are two things: an allergy to penicillin is not one to latex.
func TestAGeneralCodeNamesNothing(t *testing.T) {
	of := func(name string) string {
		return strings.Replace(allergy("", "x"), `<code code="x" displayName="x"/>`, `<code code="105590001" displayName="Substance"><originalText>`+name+`</originalText></code>`, 1)
	}
	changes := func(older, newer string) (out []string) {
		for _, ch := range brief.Compare(read(t, doc(allergies(older))), read(t, doc(allergies(newer)))).Sides[2].Changes {
			out = append(out, string(ch.Kind)+" "+ch.Item.Name)
		}
		return out
	}
	if got := strings.Join(changes(of("Penicillin"), of("Latex")), "; "); got != "new Latex (coded as Substance); not-listed Penicillin (coded as Substance)" {
		t.Errorf("%q", got)
	}
	if got := changes(of("Penicillin"), of("Penicillin")); got != nil {
		t.Errorf("%q", got)
	}
}

// A change of dose, frequency, route, strength or form is a change, by name; another substance is
// another medicine.
func TestEveryChangeOfAMedicineIsNamed(t *testing.T) {
	sig := func(dose, route, hours string) string {
		return `<routeCode displayName="` + route + `"/><effectiveTime xsi:type="PIVL_TS"><period value="` + hours + `" unit="h"/></effectiveTime><doseQuantity value="` + dose + `" unit="mg"/>`
	}
	m := func(code, name, inner string) string {
		return strings.Replace(med(code, name, "0", inner), `<doseQuantity value="0"/>`, "", 1)
	}
	old := m("1", "Metoprolol 50 MG Oral Tablet", sig("50", "Oral", "12"))
	for name, c := range map[string]struct{ older, newer, want string }{
		"nothing":             {old, old, ""},
		"dose":                {old, m("1", "Metoprolol 50 MG Oral Tablet", sig("100", "Oral", "12")), "changed dose was 50 mg, is 100 mg"},
		"frequency":           {old, m("1", "Metoprolol 50 MG Oral Tablet", sig("50", "Oral", "24")), "changed frequency was every 12 h, is every 24 h"},
		"route":               {old, m("1", "Metoprolol 50 MG Oral Tablet", sig("50", "Rectal", "12")), "changed route was oral, is rectal"},
		"all of them":         {old, m("1", "Metoprolol 50 MG Oral Tablet", sig("25", "Rectal", "24")), "changed dose was 50 mg, is 25 mg; route was oral, is rectal; frequency was every 12 h, is every 24 h"},
		"dose no longer said": {old, m("1", "Metoprolol 50 MG Oral Tablet", ""), "changed dose was 50 mg, is not stated now; route was oral, is not stated now; frequency was every 12 h, is not stated now"},
		"dose only now":       {m("1", "Aspirin", ""), m("1", "Aspirin", `<doseQuantity value="81" unit="mg"/>`), "changed dose was not stated, is 81 mg"},
		"form":                {m("1", "Metoprolol 50 MG Oral Tablet", ""), m("2", "Metoprolol 50 MG Extended Release Oral Tablet", ""), "changed was Metoprolol 50 MG Oral Tablet"},
		"another insulin":     {m("1", "Insulin Glargine 100 UNT/ML", ""), m("2", "Insulin Lispro 100 UNT/ML", ""), "new ; not-listed"},
		"another salt":        {m("1", "Metoprolol Tartrate 50 MG", ""), m("2", "Metoprolol Succinate 50 MG", ""), "new ; not-listed"},
		"brand left out":      {m("1", "Atorvastatin 20 MG Oral Tablet [Lipitor]", ""), m("1", "Atorvastatin 20 MG Oral Tablet", ""), ""},
		"on hold":             {m("1", "Aspirin", `<statusCode code="active"/>`), m("1", "Aspirin", `<statusCode code="suspended"/>`), "changed status was not stated, is suspended"},
		"two doses of one":    {m("1", "Aspirin", sig("1", "Oral", "12")) + m("1", "Aspirin", sig("2", "Oral", "24")), m("1", "Aspirin", sig("2", "Oral", "24")) + m("1", "Aspirin", sig("1", "Oral", "12")), ""},
	} {
		got := brief.Compare(read(t, doc(meds(c.older))), read(t, doc(meds(c.newer))))
		var out []string
		for _, ch := range got.Sides[0].Changes {
			out = append(out, string(ch.Kind)+" "+ch.What)
		}
		if s := strings.TrimSpace(strings.Join(out, "; ")); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
}

// The first page keeps apart what holds, what is over, what is another's, and what is not known.
func TestFirstPageKeepsStandingsApart(t *testing.T) {
	mothers := strings.Replace(allergy("", "Latex"), "<value", `<subject><relatedSubject><code code="MTH"/></relatedSubject></subject><value`, 1)
	wrong := strings.Replace(allergy("", "Sulfa"), "<observation >", `<observation ><statusCode code="nullified"/>`, 1)
	b := brief.Of(read(t, doc(allergies(allergy("", "Penicillin"), mothers, wrong)))).Block(brief.Allergies)
	if len(b.Items) != 1 || b.Items[0].Name != "Penicillin" || len(b.Others) != 1 || b.Others[0].Subject != "mother" || len(b.Past) != 1 || b.Past[0].Name != "Sulfa" {
		t.Errorf("%+v", b)
	}
	b = brief.Of(read(t, doc(allergies(allergy(`nullFlavor="NASK"`, ""))))).Block(brief.Allergies)
	if b.State != brief.Withheld || b.Words() != "The sender states: not asked" {
		t.Errorf("%s %q", b.State, b.Words())
	}
	b = brief.Of(read(t, doc(strings.Replace(allergies(), "see entries", `<content revised="delete">Penicillin</content>`, 1)))).Block(brief.Allergies)
	if b.State != brief.Deleted || !strings.Contains(b.Words(), "struck out") || len(b.Items) != 0 {
		t.Errorf("%s %q %+v", b.State, b.Words(), b.Items)
	}
	results := `<component><section><code code="30954-2"/><text>x</text><entry><observation><code displayName="K"/><statusCode code="nullified"/><value value="9"/><interpretationCode code="HH"/></observation></entry><entry><observation><code displayName="Na"/><statusCode code="active"/><value value="140"/></observation></entry></section></component>`
	if b = brief.Of(read(t, doc(results))).Block(brief.Results); len(b.Items) != 1 || b.Items[0].Name != "Na" || len(b.Past) != 1 {
		t.Errorf("a withdrawn result: %+v", b)
	}
	vitals := `<component><section><code code="8716-3"/><text>x</text><entry><observation><code code="1" displayName="Pulse"/><effectiveTime value="2020"/><value value="70"/></observation></entry><entry><observation negationInd="true"><code code="1" displayName="Pulse"/><effectiveTime value="2021"/></observation></entry></section></component>`
	if b = brief.Of(read(t, doc(vitals))).Block(brief.Vitals); len(b.Items) == 0 || !strings.Contains(b.Items[len(b.Items)-1].Value, "70") {
		t.Errorf("a pulse that was not taken hides the one that was: %+v", b.Items)
	}
	history := `<component><section><code code="42349-1"/><title>Reason</title><subject><relatedSubject><code displayName="Newborn"/></relatedSubject></subject><text>Jaundice</text></section></component>`
	if b = brief.Of(read(t, doc(history))).Block(brief.Why); len(b.Texts) != 1 || b.Texts[0].Of != "newborn" {
		t.Errorf("a section about another person: %+v", b)
	}
}
