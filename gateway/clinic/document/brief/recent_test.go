package brief_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document/brief"
)

// observed is a section of observations, each "code name value date flag"; "-" leaves a part out. What
// stands behind the fifth word is put into the observation.
func observed(code string, rows ...string) string {
	var b strings.Builder
	for _, r := range rows {
		f := strings.SplitN(r, " ", 6)
		mood, rest := "EVN", ""
		if len(f) > 5 {
			if rest = f[5]; rest == "wanted" {
				mood, rest = "RQO", ""
			}
		}
		b.WriteString(`<entry><observation moodCode="` + mood + `"><code code="` + f[0] + `" codeSystem="l" displayName="` + f[1] + `"/>`)
		if f[3] != "-" {
			b.WriteString(`<effectiveTime value="` + f[3] + `"/>`)
		}
		b.WriteString(`<value xsi:type="PQ" value="` + f[2] + `"/>`)
		if f[4] != "-" {
			b.WriteString(`<interpretationCode code="` + f[4] + `"/>`)
		}
		b.WriteString(rest + `</observation></entry>`)
	}
	return `<component><section><code code="` + code + `"/><text>x</text>` + b.String() + `</section></component>`
}

func lines(t *testing.T, sections string, of brief.Subject) string {
	var out []string
	for _, it := range brief.Of(read(t, doc(sections))).Block(of).Items {
		out = append(out, strings.TrimSpace(it.Mood+" "+it.Name+" "+it.Value+" "+it.Detail))
	}
	return strings.Join(out, "; ")
}

// A high value of last year never stands before today's normal one of the same test without a word.
func TestTheNewestOfEachTestComesFirst(t *testing.T) {
	for name, c := range map[string]struct{ sections, want string }{
		"flagged and old, normal and new": {observed("30954-2", "1 K 6.1 2019 H", "1 K 4.1 2026 -", "2 Na 140 2025 -"), "K 4.1; Na 140; K 6.1 an older value"},
		"both flagged":                    {observed("30954-2", "1 K 6.1 2019 H", "2 Na 140 2026 -", "1 K 6.4 2026 H"), "K 6.4; Na 140; K 6.1 an older value"},
		"newest in front already":         {observed("30954-2", "1 K 4.1 2026 -", "1 K 6.1 2019 H"), "K 4.1; K 6.1 an older value"},
		"of one day":                      {observed("30954-2", "1 K 4.1 20260101 -", "1 K 6.1 20260101 H"), "K 6.1; K 4.1"},
		"without a date":                  {observed("30954-2", "1 K 6.1 - H", "1 K 4.1 2026 -"), "K 6.1; K 4.1"},
		"the year holds the day":          {observed("30954-2", "1 K 6.1 2026 H", "1 K 4.1 20260301 -"), "K 6.1; K 4.1"},
		"only wanted later":               {observed("30954-2", "1 K 6.1 2019 H", "1 K 4.1 2026 - wanted"), "K 6.1; requested K 4.1"},
	} {
		if got := lines(t, c.sections, brief.Results); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Of vital signs the newest stands, one for each place and way of measuring; a wish replaces no measurement.
func TestVitalSignsOfOtherPlacesStandApart(t *testing.T) {
	const left, right = ` <targetSiteCode code="1" displayName="left arm"/>`, ` <targetSiteCode code="2" displayName="right arm"/>`
	for name, c := range map[string]struct{ sections, want string }{
		"newest of a kind":   {observed("8716-3", "1 RR 120 2024 -", "1 RR 130 2026 -"), "RR 130"},
		"two arms":           {observed("8716-3", "1 RR 120 2026 -"+left, "1 RR 170 2026 -"+right), "RR 120 at: left arm; RR 170 at: right arm"},
		"two ways":           {observed("8716-3", `1 RR 120 2026 - <methodCode code="1" displayName="sitting"/>`, `1 RR 90 2026 - <methodCode code="2" displayName="standing"/>`), "RR 120 method: sitting; RR 90 method: standing"},
		"older, left arm":    {observed("8716-3", "1 RR 120 2024 -"+left, "1 RR 125 2026 -"+left, "1 RR 170 2025 -"+right), "RR 125 at: left arm; RR 170 at: right arm"},
		"older, of no place": {observed("8716-3", "1 RR 130 2024 -", "1 RR 120 2026 -"+left), "RR 120 at: left arm"},
		"wanted next year":   {observed("8716-3", "1 RR 120 2026 -", "1 RR 110 2027 - wanted"), "RR 120; requested RR 110"},
		"the same twice":     {observed("8716-3", "1 RR 120 2026 -", "1 RR 120 2026 -"), "RR 120"},
		"two of one time":    {observed("8716-3", "1 RR 120 2026 -", "1 RR 125 2026 -"), "RR 120; RR 125"},
	} {
		if got := lines(t, c.sections, brief.Vitals); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// That there is none at all is said only where the sender denies all of the kind.
func TestOnlyAGeneralDenialIsNoneKnown(t *testing.T) {
	allergy := func(name string) string {
		return `<component><section><code code="48765-2"/><text><list><item>` + name + `</item></list></text></section></component>`
	}
	for name, want := range map[string]brief.State{
		"No known allergies":               brief.NoneKnown,
		"None reported":                    brief.NoneKnown,
		"NKA":                              brief.NoneKnown,
		"No known food allergies":          brief.Stated,
		"No known medication allergies":    brief.Stated,
		"No known allergy to penicillin":   brief.Stated,
		"No known drug or latex allergies": brief.Stated,
	} {
		if got := brief.Of(read(t, doc(allergy(name)))).Block(brief.Allergies).State; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	const coded = `<component><section><code code="11450-4"/><text>x</text><entry><observation negationInd="true"><value code="1" displayName="Asthma"/></observation></entry></section></component>`
	if got := brief.Of(read(t, doc(coded))).Block(brief.Problems).State; got != brief.Stated {
		t.Errorf("denied asthma: %s, want %s", got, brief.Stated)
	}
}

// Results that name nothing and only say why are no results.
func TestResultsThatOnlySayWhyNot(t *testing.T) {
	result := func(code, value string) string {
		return `<component><section><code code="30954-2"/><title>Results</title><text/><entry><organizer><component><observation>` + code + value + `</observation></component></organizer></entry></section></component>`
	}
	for name, c := range map[string]struct {
		sections string
		want     brief.State
	}{
		"neither test nor value":  {result(`<code nullFlavor="UNK"/>`, `<value xsi:type="CD" nullFlavor="UNK"/>`), brief.Withheld},
		"a test without a value":  {result(`<code displayName="Potassium"/>`, `<value xsi:type="CD" nullFlavor="UNK"/>`), brief.Stated},
		"a value without a test":  {result(`<code nullFlavor="UNK"/>`, `<value xsi:type="PQ" value="4" unit="mmol/L"/>`), brief.Stated},
		"why only for the values": {result(`<code nullFlavor="NASK"/>`, `<value xsi:type="CD" nullFlavor="UNK"/>`), brief.Stated},
	} {
		if b := brief.Of(read(t, doc(c.sections))).Block(brief.Results); b.State != c.want {
			t.Errorf("%s: %s, want %s (%+v)", name, b.State, c.want, b.Items)
		}
	}
}
