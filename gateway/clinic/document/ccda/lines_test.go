package ccda_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"postern/gateway/clinic/document/ccda"
)

// Every word of a narrative that holds comes out as a line or a part of one; none that is struck does.
func TestLinesHoldAllThatHolds(t *testing.T) {
	row := func(cells ...string) string {
		return "<tr><td>" + strings.Join(cells, "</td><td>") + "</td></tr>"
	}
	for name, c := range map[string]struct {
		text string
		want []string // Name|Rest|Under|Status
	}{
		"items":                           {`<list><item>a1</item><item>b1</item></list>`, []string{"a1", "b1"}},
		"an item with a list inside":      {`<list><item>Warfarin<list><item>5 mg Monday</item><item>2.5 mg else</item></list></item></list>`, []string{"Warfarin", "5 mg Monday||Warfarin", "2.5 mg else||Warfarin"}},
		"words behind the inner list":     {`<list><item>Warfarin<list><item>5 mg</item></list>as told</item></list>`, []string{"Warfarin", "5 mg||Warfarin", "as told"}},
		"a heading item":                  {`<list><item>Drugs:<list><item>Penicillin</item></list></item></list>`, []string{"Penicillin||Drugs"}},
		"a heading above nothing":         {`<list><item>Drugs:<list/></item></list>`, []string{"Drugs:"}},
		"words before a list":             {`Takes warfarin. <list><item>Aspirin</item></list> And oxygen.`, []string{"Takes warfarin.", "Aspirin", "And oxygen."}},
		"words in a table":                {`<table>stray<tr>` + `<td>a1</td></tr><paragraph>p</paragraph></table>`, []string{"stray", "a1", "p"}},
		"words in a list":                 {`<list>stray<item>a1</item></list>`, []string{"stray", "a1"}},
		"a paragraph with a table":        {`<paragraph>See: <table>` + row("a1") + `</table></paragraph>`, []string{"a1||See"}},
		"content across blocks":           {`<content>one<list><item>two</item></list></content>`, []string{"one", "two"}},
		"line breaks":                     {`Penicillin<br/>Latex: rash,<br/>hives`, []string{"Penicillin; Latex: rash, hives"}},
		"two texts":                       {`first</text><text>second`, []string{"first", "second"}},
		"rows with heads":                 {`<table><thead><tr><th>Drug</th><th>Dose</th></tr></thead><tbody>` + row("Aspirin", "81") + `</tbody></table>`, []string{"Aspirin|Dose: 81"}},
		"rows of heads alone":             {`<table><thead><tr><th>Drug</th></tr></thead><tbody><tr><th>Aspirin</th></tr><tr><th>Warfarin</th></tr></tbody></table>`, []string{"Aspirin", "Warfarin"}},
		"only one cell, a head":           {`<table><tr><th>Penicillin</th></tr></table>`, []string{"Penicillin"}},
		"heads and nothing":               {`<table><thead><tr><th>Drug</th><th>Dose</th></tr></thead><tbody/></table>`, nil},
		"two rows of heads":               {`<table><thead><tr><th rowspan="2">Drug</th><th colspan="2">Dose</th></tr><tr><th>am</th><th>pm</th></tr></thead>` + row("Aspirin", "81", "0") + `</table>`, []string{"Aspirin|Dose / am: 81 · Dose / pm: 0"}},
		"a cell over two rows":            {`<table><tr><th>Drug</th><th>Dose</th></tr><tr><td rowspan="2">Warfarin</td><td>5</td></tr>` + row("2.5") + `</table>`, []string{"Warfarin|Dose: 5", "Warfarin|Dose: 2.5"}},
		"a cell over two columns":         {`<table><tr><th>Drug</th><th>a</th><th>b</th></tr><tr><td colspan="2">Aspirin</td><td>1</td></tr></table>`, []string{"Aspirin|b: 1"}},
		"a span beyond measure":           {`<table><tr><td rowspan="99999" colspan="99999">Aspirin</td></tr>` + row("late") + `</table>`, []string{"Aspirin", "Aspirin|late"}},
		"a heading across the table":      {`<table><tr><th>Drug</th><th>Dose</th></tr><tr><th colspan="2">Stopped</th></tr>` + row("Aspirin", "81") + `</table>`, []string{"Aspirin|Dose: 81|Stopped"}},
		"a heading across, nothing below": {`<table><tr><th>Drug</th><th>Dose</th></tr>` + row("Aspirin", "81") + `<tr><th colspan="2">See note</th></tr></table>`, []string{"Aspirin|Dose: 81", "See note"}},
		"a denial across the table":       {`<table><tr><th>Drug</th><th>Dose</th></tr><tr><td colspan="2">No known medications</td></tr></table>`, []string{"No known medications"}},
		"a caption":                       {`<table><caption>Past</caption>` + row("Aspirin") + `</table>`, []string{"Aspirin||Past"}},
		"a second caption":                {`<list><caption>Past</caption><caption>also</caption><item>a1</item></list>`, []string{"also||Past", "a1||Past"}},
		"a caption that denies":           {`<list><caption>No known allergies</caption></list>`, []string{"No known allergies"}},
		"a status column":                 {`<table><tr><th>Drug</th><th>Status</th></tr>` + row("Aspirin", "Discontinued") + `</table>`, []string{"Aspirin|Status: Discontinued||Discontinued"}},
		"struck words":                    {`Takes <content revised="delete">warfarin</content><content styleCode="xStrikeThrough">heparin</content><del>digoxin</del> aspirin`, []string{"Takes aspirin"}},
		"struck item":                     {`<list><item revised="delete">Warfarin</item><item>Aspirin</item></list>`, []string{"Aspirin"}},
		"struck row":                      {`<table><tr revised="delete"><td>Warfarin</td></tr>` + row("Aspirin") + `</table>`, []string{"Aspirin"}},
		"struck cell":                     {`<table><tr><th>Drug</th><th>Dose</th></tr><tr><td>Aspirin</td><td revised="delete">81</td></tr></table>`, []string{"Aspirin"}},
		"struck table, list, paragraph":   {`<table styleCode="Strikethrough">` + row("a1") + `</table><list revised="deleted"><item>b1</item></list><paragraph revised="delete">c1</paragraph>`, nil},
		"inserted words":                  {`Takes <content revised="insert">aspirin</content>`, []string{"Takes aspirin"}},
		"a power of ten":                  {`WBC 4 x 10<sup>9</sup>/L, 10<content><sup>-3</sup></content>`, []string{"WBC 4 x 10⁹/L, 10⁻³"}},
		"lowered digits, and words":       {`H<sub>2</sub>O, 1<sup>st</sup>, 10<sup>n</sup>, CO<sub>2</sub>`, []string{"H₂O, 1st, 10^n, CO₂"}},
		"a mark behind a number":          {`<paragraph>5.2<sup>1</sup> mmol</paragraph>`, []string{"5.2¹ mmol"}},
		"blanks around marked words":      {`no <content>known</content> <content> allergies </content>at all`, []string{"no known allergies at all"}},
		"marked letters inside a word":    {`<content styleCode="Bold">P</content>enicillin`, []string{"Penicillin"}},
	} {
		d := read(t, doc("", `<component><section><code code="1"/><text>`+c.text+`</text></section></component>`))
		var got []string
		for _, l := range ccda.Lines(d.Sections[0], 100) {
			got = append(got, strings.TrimRight(fmt.Sprintf("%s|%s|%s|%s", l.Name, l.Rest, l.Under, l.Status), "|"))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q\nwant %q", name, got, c.want)
		}
	}
}

// Struck text that names something is no filler: "warfarin - not used" says that it is struck out.
func TestStruckTextThatOnlySaysThereIsNone(t *testing.T) {
	for text, want := range map[string]bool{"Problem type: not available": false, "Not used": false, "warfarin - not used": true, "Results not available for digoxin": true} {
		d := read(t, doc("", section("10160-0", `<text><content ID="m" styleCode="xStrikeThrough">`+text+`</content></text><entry><substanceAdministration><text><reference value="#m"/></text><consumable><manufacturedProduct><manufacturedMaterial><code code="1" displayName="Coumadin"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>`)))
		if got := strings.Contains(d.Items()[0].Conflict, "struck out"); got != want {
			t.Errorf("%s: %q", text, d.Items()[0].Conflict)
		}
	}
}

// The text at an anchor inside something struck out is no text that holds.
func TestAnEntryThatPointsAtStruckTextSaysSo(t *testing.T) {
	d := read(t, doc("", section("11450-4", `<text><list revised="delete"><item><content ID="p">Asthma</content></item></list></text><entry><observation><text><reference value="#p"/></text><value displayName="Asthma"/></observation></entry>`)))
	if it := d.Items()[0]; it.Narrative != "" || !it.Grave || it.Conflict != "the text it points at is struck out" {
		t.Errorf("%+v", it)
	}
}

// Lines cost their text once, however deep or wide it is.
func TestLinesAreBounded(t *testing.T) {
	deep := strings.Repeat("<list><item>a", 90) + strings.Repeat("</item></list>", 90)
	wide := "<table>" + strings.Repeat("<tr>"+strings.Repeat(`<td rowspan="1000" colspan="1000">a</td>`, 50)+"</tr>", 300) + "</table>"
	thicket := strings.Repeat("<content><sup>", 40000) + strings.Repeat("</sup></content>", 40000)
	d := read(t, doc("", `<component><section><text><paragraph>`+strings.Repeat("word ", 1000)+`</paragraph></text></section></component>`))
	if got := ccda.Lines(d.Sections[0], 50); len(got) != 1 || !strings.HasSuffix(got[0].Name, "…") {
		t.Errorf("a long line comes as %d", len(got))
	}
	for name, text := range map[string]string{"deep": deep, "wide": wide, "thicket": thicket} {
		d := read(t, doc("", `<component><section><text>`+text+`</text></section></component>`))
		got := ccda.Lines(d.Sections[0], 50)
		if len(got) > 50 {
			t.Errorf("%s: %d lines", name, len(got))
		}
		for _, l := range got {
			if len(l.Name)+len(l.Rest) > 40*500 {
				t.Errorf("%s: a line of %d bytes", name, len(l.Name)+len(l.Rest))
			}
		}
	}
}

// What an outer heading says holds for what stands below an inner one.
func TestHeadingsAboveHeadings(t *testing.T) {
	deep := ""
	for _, h := range []string{"Discontinued", strings.Repeat("one of many words ", 20), strings.Repeat("another of many words ", 20), "Cardiac"} {
		deep += "<paragraph>" + h + ":</paragraph><list><item>"
	}
	for name, row := range map[string]struct{ text, under string }{
		"a list below a list":   {`<paragraph>Discontinued:</paragraph><list><item>Cardiac:<list><item>metoprolol 50 mg</item></list></item></list>`, "Discontinued: Cardiac"},
		"a table below a list":  {`<list><caption>Discontinued</caption><item><table><caption>Cardiac</caption><tr><td>metoprolol 50 mg</td></tr></table></item></list>`, "Discontinued: Cardiac"},
		"a head that is a stop": {`Stopped:<list>:<list>metoprolol 50 mg</list></list>`, "Stopped"},
		"the same head twice":   {`<list><caption>Stopped</caption><item>Stopped:<list><item>metoprolol 50 mg</item></list></item></list>`, "Stopped"},
	} {
		d := read(t, doc("", `<component><section><text>`+row.text+`</text></section></component>`))
		got := ccda.Lines(d.Sections[0], 50)
		if len(got) == 0 || got[len(got)-1].Name != "metoprolol 50 mg" || got[len(got)-1].Under != row.under {
			t.Errorf("%s: %+v", name, got)
		}
	}
	d := read(t, doc("", `<component><section><text>`+deep+`metoprolol 50 mg`+strings.Repeat("</item></list>", 4)+`</text></section></component>`))
	got := ccda.Lines(d.Sections[0], 50)
	if u := got[len(got)-1].Under; !strings.HasPrefix(u, "Discontinued: ") || !strings.HasSuffix(u, "Cardiac") || len(u) > 900 {
		t.Errorf("too many heads come as %q", u)
	}
}

// Outside tables, every word of a narrative that is not struck out stands in a line.
func FuzzLines(f *testing.F) {
	for _, s := range []string{
		`a<list><item>b<list><item>c</item></list>d</item>e</list>f<paragraph>g:</paragraph><list/>`, `<content revised="delete">x</content>y<br/>z`,
		`<paragraph>Discontinued:<list><item>h</item></list></paragraph>`, `<content>i<paragraph>j</paragraph></content>k<footnote>l</footnote>`, `<td>m</td><tr>n</tr><list><list>o</list>p</list>`,
		`i:<list>:<list>0</list></list>`, `q:<list><item>r:<list><item>s</item></list></item></list>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > 300 || strings.Contains(in, "table") || strings.Contains(in, "caption") || strings.Contains(in, "su") || strings.Contains(in, "text") {
			return
		}
		d := read(t, doc("", `<component><section><text>`+in+`</text></section></component>`))
		if len(d.Sections) == 0 {
			return
		}
		var out strings.Builder
		for _, l := range ccda.Lines(d.Sections[0], 1<<20) {
			out.WriteString(l.Name + l.Rest + l.Under + "\n")
		}
		if !utf8.ValidString(out.String()) {
			t.Fatalf("%q becomes lines that are no UTF-8: %q", in, out.String())
		}
		all := strings.Join(strings.Fields(out.String()), "")
		for _, w := range strings.Fields(ccda.Plain(d.Sections[0].Narrative, 1<<20)) {
			if w = strings.Trim(w, ";:"); w != "" && !strings.Contains(strings.ReplaceAll(all, ";", ""), strings.ReplaceAll(w, ";", "")) {
				t.Fatalf("%q is in no line of %q: %q", w, in, out.String())
			}
		}
	})
}

func TestAStruckPlaceholderIsNoContradiction(t *testing.T) {
	for text, want := range map[string]string{
		"Result text not available":             "",
		"Potassium result not available, wrong": "the text it points at is struck out",
	} {
		d := read(t, doc("", section("30954-2", `<text><content ID="p" revised="delete">`+text+`</content></text><entry><observation><code displayName="Potassium"/><text><reference value="#p"/></text><value xsi:type="PQ" value="4"/></observation></entry>`)))
		if got := d.Items()[0].Conflict; got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
