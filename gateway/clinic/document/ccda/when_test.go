package ccda_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document/ccda"
)

// Where the date or the end an entry states cannot be that of its text, the line says so, and gravely where
// a year or the end itself differs; where both can be true, nothing is said.
func TestDatesAndEndsOfEntryAndText(t *testing.T) {
	const dated = `<effectiveTime value="20200810"/>`
	problem := func(text, times, inner string) string {
		return section("11450-4", `<text><list><item ID="p">`+text+`</item></list></text><entry><observation><text><reference value="#p"/></text>`+times+`<value code="1" displayName="Stroke"/>`+inner+`</observation></entry>`)
	}
	med := func(text, inner string) string {
		return section("10160-0", `<text><list><item ID="p">`+text+`</item></list></text><entry><substanceAdministration><text><reference value="#p"/></text>`+inner+
			`<consumable><manufacturedProduct><manufacturedMaterial><code displayName="Metoprolol"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)
	}
	from := func(low string) string {
		return `<effectiveTime xsi:type="IVL_TS"><low value="` + low + `"/></effectiveTime>`
	}
	for name, c := range map[string]struct {
		sections, want string // beginning of the conflict, "" = none
		grave          bool
	}{
		"another year":                   {problem("Stroke 2010", from("20200304"), ""), "the entry dates it from 4 Mar 2020, the text says “Stroke 2010”", true},
		"the same year":                  {problem("Stroke 2010", from("20100304"), ""), "", false},
		"another month":                  {problem("Stroke in May 2010", from("20100304"), ""), "the entry dates it from 4 Mar 2010", false},
		"the same month":                 {problem("Stroke (March 2010)", from("20100304"), ""), "", false},
		"another day":                    {problem("Stroke 3/24/2010", from("20100304"), ""), "the entry dates it from 4 Mar 2010", false},
		"a day of another time zone":     {problem("Stroke 2010-03-05", from("20100304"), ""), "", false},
		"day and month in either order":  {problem("Stroke 4/3/2010", from("20100304"), ""), "", false},
		"a result of another day":        {section("30954-2", `<text><table><tbody><tr ID="p"><td>K</td><td>4.1</td><td>8/6/2012</td></tr></tbody></table></text><entry><observation><code displayName="K"/><text><reference value="#p"/></text><effectiveTime value="20141015"/><value xsi:type="PQ" value="4.1"/></observation></entry>`), "the entry dates it from 15 Oct 2014", true},
		"one of several dates":           {problem("Stroke 2010, again 2020", from("20200304"), ""), "", false},
		"the date of the record":         {problem("Stroke, noted 2/1/2019", from("20100304"), `<author><time value="20190201"/></author>`), "", false},
		"the date in front of the name":  {problem("2010: stroke", from("20200304"), ""), "the entry dates it from 4 Mar 2020", true},
		"the date of an attack":          {problem("Stroke, last seizure 2019", from("20100304"), ""), "", false},
		"since when it is held":          {med("Metoprolol 50 mg, held since 7/2019", from("20150101")), "", false},
		"an earlier dose until":          {med("Metoprolol 50 mg; previously 25 mg until 2019", from("20150101")), "", false},
		"a curly apostrophe":             {med("Metoprolol 50 mg, d/c’d 1/2020", from("20150101")), "the entry goes on, the text says “d/c'd 1/2020”", true},
		"within the time":                {problem("Stroke 2011", `<effectiveTime><low value="2010"/><high value="2012"/></effectiveTime>`, ""), "", false},
		"an entry without a date":        {problem("Stroke 2010", "", ""), "", false},
		"an amount is no year":           {med("Metoprolol 2000 mg daily", from("20190101")), "", false},
		"taken until":                    {med("Metoprolol, taken until 3/2019", from("20150101")), "the entry goes on, the text says “until 3/2019”", true},
		"until a day to come":            {med("Metoprolol from 1/2020 until 12/2020", from("20200101")), "", false},
		"until the next visit":           {med("Metoprolol until next visit", from("20150101")), "", false},
		"stopped last year":              {med("Metoprolol 50 mg, stopped last year", ""), "the entry goes on, the text says “stopped last year”", true},
		"stopped two years ago":          {med("Metoprolol discontinued two years ago", ""), "the entry goes on, the text says “discontinued two years ago”", true},
		"stopped by a physician":         {med("Metoprolol, stopped on 2019-03-04", ""), "the entry goes on, the text says “stopped on 2019-03-04”", true},
		"not stopped":                    {med("Metoprolol, not stopped in 2019", ""), "", false},
		"a span of years":                {med("Metoprolol 2015-2018", ""), "the entry goes on, the text says “2015-2018”", true},
		"another end":                    {med("Metoprolol until 3/2019", `<effectiveTime xsi:type="IVL_TS"><low value="2015"/><high value="20201231"/></effectiveTime>`), "the entry says until 31 Dec 2020, the text says “until 3/2019”", true},
		"the entry ended too":            {med("Metoprolol until 3/2019", `<effectiveTime xsi:type="IVL_TS"><low value="2015"/><high value="20190301"/></effectiveTime>`), "", false},
		"a problem resolved":             {problem("Stroke, resolved 2018", "", ""), "the entry goes on, the text says “resolved 2018”", true},
		"resolved, and said to be again": {problem("Stroke, resolved 2018, active again", "", ""), "", false},
		"an end in the remarks":          {problem("Stroke", "", `<entryRelationship><act><code code="48767-8"/><text>deficit resolved in 2018</text></act></entryRelationship>`), "the entry goes on, the text says “resolved in 2018”", true},
	} {
		items := read(t, doc(dated, c.sections)).Items()
		if len(items) == 0 {
			t.Errorf("%s: no items", name)
			continue
		}
		if it := items[0]; !strings.HasPrefix(it.Conflict, c.want) || (c.want == "") != (it.Conflict == "") || it.Grave != c.grave {
			t.Errorf("%s: %q (grave %v), want %q", name, it.Conflict, it.Grave, c.want)
		}
	}
}

// A column headed as the end is one.
func TestAnEndInAColumn(t *testing.T) {
	table := section("10160-0", `<text><table><thead><tr><th>Drug</th><th>Start</th><th>Stop</th></tr></thead><tbody><tr><td>Digoxin</td><td>2015</td><td>3/2019</td></tr><tr><td>Furosemide</td><td>2018</td><td></td></tr><tr><td>Apixaban</td><td>2018</td><td>12/2020</td></tr></tbody></table></text>`)
	for i, want := range []string{"Start: 2015 · Stop: 3/2019 · may be over: “Stop: 3/2019”", "Start: 2018", "Start: 2018 · Stop: 12/2020"} {
		if it := read(t, doc(`<effectiveTime value="20200810"/>`, table)).Items()[i]; it.Detail != want {
			t.Errorf("%s: %q, want %q", it.Name, it.Detail, want)
		}
	}
}

// A list without entries cannot disagree with any; a line of it that says that it ended is marked all the same.
func TestAnEndInTheWordsOfAnUncodedLine(t *testing.T) {
	list := section("10160-0", `<text><list><item>Metoprolol, taken until 3/2019</item><item>Aspirin 81 mg since 2015</item></list></text>`)
	d := read(t, doc(`<effectiveTime value="20200810"/>`, list))
	items := d.Items()
	if len(items) != 2 || items[0].Detail != "may be over: “until 3/2019”" || items[1].Detail != "" {
		t.Fatalf("%+v", items)
	}
	found := 0
	for _, f := range ccda.Check(d, d.Time.At) {
		if f.Rule == "end-in-words" {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d findings of an end in words, want 1", found)
	}
}

// Loose words of an end are marked as they stand, and conclude nothing.
func TestLooseWordsOfAnEndAreMarked(t *testing.T) {
	entry := func(text, remark string) string {
		return section("48765-2", `<text><content ID="p">`+text+`</content></text><entry><act><statusCode code="active"/><entryRelationship><observation><text><reference value="#p"/></text><value code="414285001"/><participant typeCode="CSM"><participantRole><playingEntity><code displayName="Peanut"/></playingEntity></participantRole></participant>`+
			remark+`</observation></entryRelationship></act></entry>`)
	}
	remark := `<entryRelationship typeCode="SUBJ"><act><code code="48767-8"/><text>He outgrew it</text></act></entryRelationship>`
	list := func(code, line string) string {
		return section(code, `<text><list><item>`+line+`</item></list></text>`)
	}
	for name, c := range map[string]struct{ sections, want string }{
		"outgrown, in the text":     {entry("Peanut, outgrew it as a child", ""), "may be over: “outgrew it”"},
		"outgrown, in a remark":     {entry("Peanut", remark), "note: “He outgrew it” · may be over: “outgrew it”"},
		"not outgrown":              {entry("Peanut, has not outgrown it", ""), ""},
		"no longer allergic":        {list("48765-2", "Amoxicillin, no longer allergic"), "may be over: “no longer allergic”"},
		"of a medicine":             {list("48765-2", "Amoxicillin: rash, no longer taking antihistamines"), ""},
		"tolerated now":             {list("48765-2", "Amoxicillin - now tolerates"), "may be over: “now tolerates”"},
		"no longer a problem":       {list("11450-4", "Migraine, no longer a problem"), "may be over: “no longer a problem”"},
		"no longer taken":           {list("10160-0", "Aspirin 81 mg, no longer taking"), "may be over: “no longer taking”"},
		"no longer able to work":    {list("11450-4", "Back pain, no longer able to work"), ""},
		"in a section of a history": {list("10164-2", "He outgrew his asthma"), ""},
	} {
		d := read(t, doc("", c.sections))
		got := ""
		if len(d.Items()) > 0 {
			it := d.Items()[0]
			if got = it.Detail; it.Over() || it.Negated || it.Grave {
				t.Errorf("%s: concluded %+v", name, it)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		found := 0
		for _, f := range ccda.Check(d, d.Time.At) {
			if f.Rule == "end-in-words" {
				found++
			}
		}
		if (found > 0) != (c.want != "") {
			t.Errorf("%s: %d findings", name, found)
		}
	}
}
