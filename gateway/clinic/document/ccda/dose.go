package ccda

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// measure is an amount in milligrams, millilitres, units or pieces.
type measure struct {
	n    float64
	unit string
}

var measureText = regexp.MustCompile(`(\d{1,3}(?:,\d{3})+|\d+(?:[.,]\d+)?)\s*-?\s*(micrograms?|mcg|ug|µg|μg|milligrams?|mg|grams?|gm|g|ml|units?|iu|unt|tablets?|tabs?|tbl|capsules?|caps?|puffs?|drops?|gtts?|patch(?:es)?|sprays?|pills?)(/|[^\p{L}]|$)`)

// maxMeasures is how many amounts of one text are looked at.
const maxMeasures = 20

// measures are the amounts a text names; concentrations ("5 mg/mL") are none.
func measures(s string) []measure {
	s = strings.ToLower(clip(s, maxCell))
	for word, digit := range map[string]string{"one": "1", "two": "2", "three": "3", "four": "4", "half a": "0.5", "½": "0.5"} {
		for _, piece := range []string{" tab", " cap", " puff", " pill", " drop"} {
			s = strings.ReplaceAll(s, word+piece, digit+piece)
		}
	}
	var out []measure
	for _, m := range measureText.FindAllStringSubmatch(s, maxMeasures) {
		text := m[1]
		if i := strings.IndexByte(text, ','); i > 0 && len(text)-strings.LastIndexByte(text, ',') == 4 && text[0] != '0' {
			text = strings.ReplaceAll(text, ",", "") // thousands
		}
		n, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
		if err != nil || m[3] == "/" {
			continue
		}
		unit, times := "piece", 1.0
		switch {
		case m[2] == "mg" || strings.HasPrefix(m[2], "milli"):
			unit = "mg"
		case m[2] == "mcg" || m[2] == "ug" || m[2] == "µg" || m[2] == "μg" || strings.HasPrefix(m[2], "micro"):
			unit, times = "mg", 0.001
		case m[2] == "g" || m[2] == "gm" || strings.HasPrefix(m[2], "gram"):
			unit, times = "mg", 1000
		case m[2] == "ml":
			unit = "ml"
		case strings.HasPrefix(m[2], "unit") || m[2] == "iu" || m[2] == "unt":
			unit = "unit"
		}
		out = append(out, measure{n * times, unit})
	}
	return out
}

// doseApart compares the dose and the rhythm of a medicine with its text. An amount that the text gives
// in another way (two tablets of 500 mg for 1000 mg) is the same.
func doseApart(it *Item, row string) string {
	switch it.Kind {
	case Medications, DischargeRx, AdmissionRx, GivenRx:
	default:
		return ""
	}
	if len(row) >= maxCell {
		return ""
	}
	text := measures(row)
	if len(rhythms(row)) == 0 {
		text = unnamed(text, it.Name, it.Dose)
	}
	said := func(what string) string {
		return fmt.Sprintf("the entry says %s, the text says “%s”", what, clip(row, 160))
	}
	dose := measures(it.Dose)
	if n, err := strconv.ParseFloat(strings.TrimPrefix(it.Dose, "dose "), 64); err == nil {
		dose = []measure{{n, "piece"}} // a bare number counts what the medicine comes in
	}
	if len(dose) == 1 && dose[0].n > 0 && apart(dose[0], text) { // 0 stands for a dose that is not stated
		return said(it.Dose)
	}
	if strength := measures(it.Code.Display); len(strength) == 1 && strength[0].unit == "mg" && len(dose) == 0 && apart(strength[0], text) {
		return said(clip(it.Code.Display, 120))
	}
	if coded := rhythms(it.Frequency); len(coded) == 1 {
		if text := rhythms(row); len(text) > 0 && !holds(text, coded[0]) {
			return said(it.Frequency)
		}
	}
	return ""
}

// unnamed are the amounts of a text without those that belong to the medicine's name: where a text only
// names what is given ("warfarin 5 mg tablet"), its strength is no dose. One that is ten times the dose, or a tenth,
// stays: that is how a slipped decimal point looks.
func unnamed(text []measure, name, dose string) []measure {
	out := slices.Clone(text)
	for _, m := range measures(name) {
		if i := slices.IndexFunc(out, func(t measure) bool { return t.unit == m.unit && near(t.n, m.n) }); i >= 0 && m.unit == "mg" && !slipped(measures(dose), m) {
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}

// slipped says whether a dose is a strength with its decimal point elsewhere.
func slipped(dose []measure, strength measure) bool {
	if len(dose) != 1 || dose[0].unit != strength.unit || dose[0].n <= 0 || strength.n <= 0 {
		return false
	}
	for _, factor := range []float64{10, 100, 1000} {
		if near(dose[0].n, strength.n*factor) || near(dose[0].n*factor, strength.n) {
			return true
		}
	}
	return false
}

// apart says whether the text names amounts of that kind and none of them fits.
func apart(m measure, text []measure) bool {
	same := false
	for _, t := range text {
		if t.unit != m.unit {
			continue
		}
		same = true
		if near(t.n, m.n) {
			return false
		}
		for _, count := range text {
			if m.unit == "mg" && count.unit == "piece" && (near(t.n*count.n, m.n) || near(m.n*count.n, t.n)) {
				return false
			}
		}
	}
	return same
}

// SameAmounts compares two texts about one medicine: whether every amount the second names stands in the
// first, or is made of its amounts, and their rhythms do not differ. It is not told where one of them
// names no amount.
func SameAmounts(a, b string) (same, told bool) {
	first, second := measures(a), measures(b)
	if len(first) == 0 || len(second) == 0 {
		return false, false
	}
	for _, m := range second {
		if !slices.ContainsFunc(first, func(x measure) bool { return x.unit == m.unit }) || apart(m, first) {
			return false, true
		}
	}
	before, after := rhythms(a), rhythms(b)
	if len(before) > 0 && len(after) > 0 && !slices.ContainsFunc(after, func(h float64) bool { return holds(before, h) }) {
		return false, true
	}
	return true, true
}

func near(a, b float64) bool { return math.Abs(a-b) <= 0.001*math.Max(math.Abs(a), math.Abs(b)) }

func holds(list []float64, n float64) bool {
	for _, x := range list {
		if near(x, n) {
			return true
		}
	}
	return false
}

// rhythmText are ways to say how often, and the hours between; 0 = by the number in it.
var rhythmText = []struct {
	re    *regexp.Regexp
	hours float64
}{
	{regexp.MustCompile(`every other day`), 48},
	{regexp.MustCompile(`(?:every|each) +(\d+) +(?:hours?|hrs?|h)\b`), 0},
	{regexp.MustCompile(`\b(?:every|each) hour\b`), 1},
	{regexp.MustCompile(`\bq *(\d+) *h(?:rs?|ours?)?\b`), 0},
	{regexp.MustCompile(`(?:every|each) +(\d+) +(?:days?|d)\b`), -24},
	{regexp.MustCompile(`(?:every|each) +(\d+) +(?:weeks?|wk)\b`), -168},
	{regexp.MustCompile(`\b(?:twice|two times|2 times|2x) *(?:a|per|each|every)? *(?:day|daily)|\bb\.?i\.?d\b`), 12},
	{regexp.MustCompile(`\b(?:three times|3 times|3x) *(?:a|per|each|every)? *(?:day|daily)|\bt\.?i\.?d\b`), 8},
	{regexp.MustCompile(`\b(?:four times|4 times|4x) *(?:a|per|each|every)? *(?:day|daily)|\bq\.?i\.?d\b`), 6},
	{regexp.MustCompile(`\b(?:once|1 time|one time)? *(?:a|per|each|every|once) +week\b|\bweekly\b`), 168},
	{regexp.MustCompile(`\bdaily\b|\b(?:once|1 time|one time)? *(?:a|per|each|every) +day\b|\bq\.?d\b|\bnightly\b`), 24},
}

// rhythms are the hours between doses that a text names; what one way has read, no later one reads.
func rhythms(s string) []float64 {
	s = strings.ToLower(clip(s, maxCell))
	var out []float64
	if s == "" {
		return nil
	}
	for _, r := range rhythmText {
		found := r.re.FindAllStringSubmatch(s, maxMeasures)
		for _, m := range found {
			hours := r.hours
			if hours <= 0 && len(m) > 1 {
				n, err := strconv.ParseFloat(m[1], 64)
				if err != nil || n == 0 {
					continue
				}
				if hours = n; r.hours < 0 {
					hours = -r.hours * n
				}
			}
			out = append(out, hours)
		}
		if len(found) > 0 {
			s = r.re.ReplaceAllString(s, " ")
		}
	}
	return out
}
