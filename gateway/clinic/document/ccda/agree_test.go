package ccda_test

import (
	"strings"
	"testing"
)

// Where entry and text cannot both be true, the line says so, and gravely where harm may come of it;
// where they say the same in other ways, nothing is said.
func TestContradictionsOfEntryAndText(t *testing.T) {
	problem := func(attrs, text, name string) string {
		return section("11450-4", `<text>`+text+`</text><entry><observation `+attrs+`><text><reference value="#p"/></text><value code="1" displayName="`+name+`"/></observation></entry>`)
	}
	med := func(text, name, inner string) string {
		return section("10160-0", `<text><list><item ID="p">`+text+`</item></list></text><entry><substanceAdministration><text><reference value="#p"/></text>`+inner+
			`<consumable><manufacturedProduct><manufacturedMaterial><code displayName="`+name+`"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)
	}
	result := func(value, text string) string {
		return section("30954-2", `<text><content ID="p">`+text+`</content></text><entry><observation><code displayName="K"/><text><reference value="#p"/></text>`+value+`</observation></entry>`)
	}
	vital := func(value, text string) string {
		return strings.Replace(result(value, text), "30954-2", "8716-3", 1)
	}
	every := func(n, unit string) string {
		return `<effectiveTime xsi:type="PIVL_TS"><period value="` + n + `" unit="` + unit + `"/></effectiveTime>`
	}
	for name, c := range map[string]struct {
		sections string
		want     string // beginning of the conflict, "" = none
	}{
		"coded as so, text denies all":       {problem("", `<content ID="p">No known problems</content>`, "Asthma"), "the entry lists “Asthma”, the text says"},
		"coded as so, text denies it":        {problem("", `<paragraph ID="p">Denies any asthma</paragraph>`, "Asthma"), "the entry lists “Asthma”, the text says"},
		"coded as so, text denies it late":   {problem("", `<paragraph ID="p">Well, without any asthma</paragraph>`, "Asthma"), "the entry lists “Asthma” as so, the text denies it"},
		"coded as so, text rules it out":     {problem("", `<paragraph ID="p">Asthma was ruled out</paragraph>`, "Asthma"), "the entry lists “Asthma” as so, the text denies it"},
		"coded as not so, text lists it":     {problem(`negationInd="true"`, `<content ID="p">Asthma</content>`, "Asthma"), "the entry says that this is not so"},
		"not so, objected to":                {problem(`negationInd="true"`, `<content ID="p">Objected to asthma treatment</content>`, "Asthma"), ""},
		"not so, without in its name":        {problem(`negationInd="true"`, `<content ID="p">Migraine without aura</content>`, "Migraine without aura"), "the entry says that this is not so"},
		"not so, said in its group of rows":  {problem(`negationInd="true"`, `<table><tbody ID="g"><tr><th>Declined</th><td>by the patient</td></tr><tr><td ID="p">Asthma</td></tr></tbody><tbody ID="h"><tr><td>Gout</td></tr></tbody></table>`, "Asthma"), ""},
		"not so, denied is another row":      {problem(`negationInd="true"`, `<table><tbody ID="g"><tr><th>Declined</th><td>Gout</td></tr><tr><td ID="p">Asthma</td></tr></tbody></table>`, "Asthma"), "the entry says that this is not so"},
		"not so, without another":            {problem(`negationInd="true"`, `<content ID="p">Well without migraine</content>`, "Migraine"), ""},
		"denied in French":                   {problem(`negationInd="true"`, `<content ID="p">Aucune pathologie en cours</content>`, "Asthma"), ""},
		"denied in both":                     {problem(`negationInd="true"`, `<content ID="p">No asthma</content>`, "Asthma"), ""},
		"a denial that is part of the name":  {problem("", `<content ID="p">Diabetes without complication</content>`, "Diabetes without complication"), ""},
		"a denial behind the name":           {problem("", `<content ID="p">Asthma, no attack this year</content>`, "Asthma"), ""},
		"other dose":                         {med("Metformin 500 mg twice daily", "Metformin", `<doseQuantity value="850" unit="mg"/>`), "the entry says 850 mg"},
		"the same dose in grams":             {med("Metformin 0.5 g", "Metformin", `<doseQuantity value="500" unit="mg"/>`), ""},
		"two tablets make the dose":          {med("Metformin 500 mg, take two tablets", "Metformin", `<doseQuantity value="1000" unit="mg"/>`), ""},
		"other count":                        {med("Aspirin 81 mg, take 2 tablets", "Aspirin", `<doseQuantity value="1" unit="{tablet}"/>`), "the entry says 1 tablet"},
		"other count, a bare number":         {med("Aspirin 81 mg, take 2 tablets", "Aspirin", `<doseQuantity value="1"/>`), "the entry says dose 1"},
		"the same count":                     {med("Aspirin 81 mg, one tablet", "Aspirin", `<doseQuantity value="1"/>`), ""},
		"a dose the text does not give":      {med("Aspirin as told", "Aspirin", `<doseQuantity value="81" unit="mg"/>`), ""},
		"a concentration is no dose":         {med("Morphine 10 mg/mL solution", "Morphine", `<doseQuantity value="5" unit="mg"/>`), ""},
		"other strength":                     {med("Aspirin 325 mg", "Aspirin 81 MG Oral Tablet", ""), "the entry says Aspirin 81 MG Oral Tablet"},
		"other rhythm":                       {med("Metformin once daily", "Metformin", every("12", "h")), "the entry says every 12 h"},
		"the same rhythm":                    {med("Metformin twice daily", "Metformin", every("12", "h")), ""},
		"weekly is not daily":                {med("Methotrexate daily", "Methotrexate", every("1", "wk")), "the entry says every week"},
		"daily is not twice daily":           {med("Metformin twice daily", "Metformin", every("1", "d")), "the entry says every day,"},
		"hourly is not every four hours":     {med("Morphine every 4 hours", "Morphine", every("1.0", "h")), "the entry says every hour,"},
		"every hour in both":                 {med("Morphine every hour", "Morphine", every("1", "h")), ""},
		"weekly in both":                     {med("Methotrexate once a week", "Methotrexate", every("7", "d")), ""},
		"other number":                       {result(`<value xsi:type="PQ" value="9.4" unit="mmol/L"/>`, "4.9"), "the entry says 9.4"},
		"a rounded number":                   {result(`<value xsi:type="PQ" value="108.863" unit="kg"/>`, "108.8 kg"), "the entry says 108.863 kg"},
		"the same in inches":                 {vital(`<value xsi:type="PQ" value="177.00" unit="cm"/>`, "69.69 in, 194 lb"), ""},
		"the same in feet and inches":        {vital(`<value xsi:type="PQ" value="177" unit="cm"/>`, "5 ft 9.7 in"), ""},
		"the same in pounds":                 {vital(`<value xsi:type="PQ" value="110.000" unit="kg"/>`, "242.51 lbs"), ""},
		"the same in Fahrenheit":             {vital(`<value xsi:type="PQ" value="39.44" unit="Cel"/>`, "103.00 F"), ""},
		"the same in grams":                  {vital(`<value xsi:type="PQ" value="3.2" unit="kg"/>`, "3200 g"), ""},
		"a length of less than half":         {vital(`<value xsi:type="PQ" value="1" unit="cm"/>`, "4 mm"), "the entry says 1 cm"},
		"another height in whole feet":       {vital(`<value xsi:type="PQ" value="165" unit="cm"/>`, "6 ft"), "the entry says 165 cm"},
		"another weight, the same in pounds": {vital(`<value xsi:type="PQ" value="70" unit="kg"/>`, "90 kg (154.3 lb)"), "the entry says 70 kg"},
		"another weight in pounds":           {vital(`<value xsi:type="PQ" value="110" unit="kg"/>`, "224 lbs"), "the entry says 110 kg"},
		"another fever in Fahrenheit":        {vital(`<value xsi:type="PQ" value="39.4" unit="Cel"/>`, "101.0 F"), "the entry says 39.4"},
		"a vital sign with fewer decimals":   {vital(`<value xsi:type="PQ" value="36.44" unit="Cel"/>`, "36.4 °C"), ""},
		"a dose of none":                     {med("Aspirin 81 mg, one tablet", "Aspirin", `<doseQuantity value="0"/>`), ""},
		"half of what the tablet holds":      {med("warfarin (COUMADIN) 5 mg tablet", "Warfarin 5 MG Tablet", `<doseQuantity value="2.5" unit="mg"/>`), ""},
		"ten times what the tablet holds":    {med("Methotrexate 2.5 mg tablet", "Methotrexate 2.5 MG Tablet", `<doseQuantity value="25" unit="mg"/>`), "the entry says 25 mg"},
		"half of it, the text says all":      {med("warfarin 5 mg tablet daily", "Warfarin 5 MG Tablet", `<doseQuantity value="2.5" unit="mg"/>`), "the entry says 2.5 mg"},
		"a thousand with its comma":          {med("Omega-3 1,000 mg daily", "Omega-3", `<doseQuantity value="1000" unit="mg"/>`), ""},
		"a decimal comma":                    {med("Digoxin 0,125 mg daily", "Digoxin", `<doseQuantity value="0.125" unit="mg"/>`), ""},
		"a No in another cell":               {med("Torsemide 20mg 2015-06-30 No 20mg", "Torsemide 20mg", ""), ""},
		"with or without":                    {problem("", `<content ID="p">Asthma with or without asthma attacks</content>`, "Asthma attacks"), ""},
		"other sign":                         {result(`<value xsi:type="PQ" value="-2.5"/>`, "2.5"), "the entry says -2.5"},
		"the same sign":                      {result(`<value xsi:type="PQ" value="-2.5"/>`, "−2.5"), ""},
		"thousands set apart":                {result(`<value xsi:type="PQ" value="1200"/>`, "1,200"), ""},
		"thousands set apart by a blank":     {result(`<value xsi:type="PQ" value="100000"/>`, "100 000"), ""},
		"two numbers are no thousands":       {result(`<value xsi:type="PQ" value="5110"/>`, "51 100"), "the entry says 5110"},
		"other unit":                         {result(`<value xsi:type="PQ" value="5.9" unit="mmol/L"/>`, "5.9 mg/dL"), "the entry says 5.9 mmol/L"},
		"positive against negative":          {result(`<value xsi:type="CD" displayName="Positive"/>`, "negative"), "the entry says Positive"},
		"not detected in both":               {result(`<value xsi:type="ST">Not detected</value>`, "none detected"), ""},
	} {
		items := read(t, doc("", c.sections)).Items()
		if len(items) == 0 {
			t.Errorf("%s: no items", name)
			continue
		}
		if it := items[0]; !strings.HasPrefix(it.Conflict, c.want) || (c.want == "") != (it.Conflict == "") || it.Grave != (c.want != "" && !strings.Contains(name, "rounded")) {
			t.Errorf("%s: %q (grave %v), want %q", name, it.Conflict, it.Grave, c.want)
		}
	}
}
