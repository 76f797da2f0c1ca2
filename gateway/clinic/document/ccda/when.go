package ccda

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"postern/gateway/clinic/document/chart"
)

const monthNames = `jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?`

// dateText are dates as people write them, the finest way first: each alternative has groups of its own.
var dateText = regexp.MustCompile(`(?i)\b(?:` +
	`((?:19|20)\d\d)-(\d\d?)(?:-(\d\d?))?(?:T[\d:.Z+-]*)?` + // 1 year, 2 month, 3 day
	`|((?:19|20)\d\d)([01]\d)([0-3]\d)(?:\d{4,6})?` + // 4, 5, 6
	`|(\d\d?)[/.-](\d\d?)[/.-]((?:19|20)\d\d)` + // 7, 8, 9: month or day first
	`|(\d\d?)/((?:19|20)\d\d)` + // 10 month, 11 year
	`|(?:(\d\d?)(?:st|nd|rd|th)?[ -])?(` + monthNames + `)\.?(?:[ -]+(\d\d?)(?:st|nd|rd|th)?)?[, -]+((?:19|20)\d\d)` + // 12 day, 13 month, 14 day, 15 year
	`|((?:19|20)\d\d)` + // 16
	`)\b`)

// said is a date in a text: where it stands and the span it means.
type said struct {
	from, to int // bytes of the text
	chart.Time
}

// maxDates is how many dates of one text are looked at.
const maxDates = 12

// datesIn are the dates a text names. A number that stands beside a unit, a price or a fraction is none.
func datesIn(s string) []said {
	var out []said
	if !strings.Contains(s, "19") && !strings.Contains(s, "20") {
		return nil
	}
	for _, m := range dateText.FindAllStringSubmatchIndex(s, maxDates*2) {
		g := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return s[m[2*i]:m[2*i+1]]
		}
		year, month, day := firstOf(g(1), g(4), g(9), g(11), g(15), g(16)), firstOf(g(2), g(5), g(10), monthNumber(g(13))), firstOf(g(3), g(6), g(12), g(14))
		if a, b := g(7), g(8); a != "" { // both orders are in use: only a day beyond 12 tells
			switch x, y := digits(a), digits(b); {
			case x > 12:
				month, day = b, a
			case y > 12 || x == y:
				month, day = a, b
			}
		}
		if g(16) != "" && !yearAlone(s, m[0], m[1]) || len(out) >= maxDates {
			continue
		}
		stamp := year
		if month != "" {
			if stamp += fmt.Sprintf("%02d", digits(month)); day != "" {
				stamp += fmt.Sprintf("%02d", digits(day))
			}
		}
		if t := chart.ParseTime(stamp); t.Precision > chart.Unknown {
			out = append(out, said{m[0], m[1], t})
		}
	}
	return out
}

func monthNumber(name string) string {
	if len(name) < 3 {
		return ""
	}
	return strconv.Itoa(strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(name[:3]))/3 + 1)
}

func digits(s string) int {
	n, _ := strconv.Atoi(s) // one or two digits, by the pattern
	return n
}

// yearAlone says whether four digits stand as a year: not as an amount ("2000 mg", "$2010"), a fraction,
// or a part of a longer number or code.
func yearAlone(s string, from, to int) bool {
	before, after := strings.TrimRight(s[:from], " "), strings.ToLower(strings.TrimLeft(s[to:], " "))
	if from > 0 && strings.IndexByte("$#.,/-+:_=<>", s[from-1]) >= 0 && !(s[from-1] == '-' && from > 4 && yearText.MatchString(s[from-5:from-1])) {
		return false
	}
	if to < len(s) && (strings.IndexByte("/%_", s[to]) >= 0 || to+1 < len(s) && strings.IndexByte(".,-:", s[to]) >= 0 && s[to+1] >= '0' && s[to+1] <= '9' && !yearText.MatchString(s[to+1:min(len(s), to+5)])) {
		return false
	}
	if strings.HasSuffix(before, "x") || strings.HasSuffix(before, "#") {
		return false
	}
	for _, unit := range []string{"mg", "mcg", "ug", "µg", "g ", "gram", "ml", "unit", "iu", "unt", "cal", "kcal", "meq", "mm", "cm", "kg", "lb", "hour", "hr", "min", "day", "week", "tab", "cap", "step", "cell"} {
		if strings.HasPrefix(after, unit) {
			return false
		}
	}
	return after != "g"
}

var yearText = regexp.MustCompile(`^(?:19|20)\d\d$`)

// timesOf are all the times the entry around an item states: of the thing, of its record, of its author.
func (it *Item) timesOf() []chart.Time {
	out := []chart.Time{it.Start, it.End}
	top := it.act
	for i := 0; top.OK() && i < maxAround && top.Name() != "entry" && top.Parent().Name() != "section"; i++ {
		top = top.Parent()
	}
	looked := 0
	top.Walk(func(n node) bool {
		looked++
		switch n.Name() {
		case "effectiveTime", "time", "low", "high", "center", "value":
			if t := chart.ParseTime(n.Attr("value")); t.Precision > chart.Unknown {
				out = append(out, t)
			}
		}
		return looked < maxTimed
	}, nil)
	return out
}

// maxTimed is how many elements of an entry are asked for a time when its text names another one.
const maxTimed = 2000

// dateApart compares when an entry says that a thing was with when its text says so. Only a text whose
// dates fit none of those the entry states is said to differ: it may name more dates than the entry codes.
func dateApart(it *Item, w told) (words string, years bool) {
	if !timed(it.Kind) || w.whole || it.Start.Precision == chart.Unknown && it.End.Precision == chart.Unknown {
		return "", false
	}
	text := w.itself
	dates := datesIn(clip(text, maxCell))
	if len(dates) == 0 {
		text = w.row
		dates = datesIn(clip(text, maxCell))
	}
	if len(dates) == 0 || len(text) >= maxCell {
		return "", false
	}
	if dates = dates[:min(len(dates), dated(it, text, dates))]; len(dates) == 0 {
		return "", false
	}
	years = true
	for _, t := range it.timesOf() {
		for _, d := range dates {
			if t.Precision == chart.Unknown {
				continue
			}
			if sameTime(t, d.Time) {
				return "", false
			}
			years = years && t.At.Year() != d.At.Year()
		}
	}
	if s, e := it.Start, it.End; s.Precision > chart.Unknown && e.Precision > chart.Unknown {
		for _, d := range dates {
			if !d.Last().Before(s.At) && !d.At.After(e.Last()) {
				return "", false // within the time the entry gives
			}
		}
	}
	when := "from " + it.Start.Date()
	if it.Start.Precision == chart.Unknown {
		when = "until " + it.End.Date()
	}
	return fmt.Sprintf("the entry dates it %s, the text says “%s”", when, clip(text, 160)), years
}

// dated is how many of the dates are compared: all of an event's; of what goes on for long only where the
// first stands beside the name ("Stroke 2010", "2010: stroke"), for others are of attacks, doses and visits.
func dated(it *Item, text string, dates []said) int {
	switch it.Kind {
	case Procedures, Immunization, Results, Vitals:
		return len(dates)
	}
	own := map[string]bool{}
	for _, w := range wordsOf(joined(" ", it.Name, it.Code.Display, it.Code.Text)) {
		own[stem(w)] = true
	}
	for _, w := range wordsOf(text[:dates[0].from]) {
		switch w {
		case "since", "in", "on", "from", "of", "the", "onset", "began", "started", "start", "date", "diagnosed", "dx", "dxd", "d", "first", "noted", "active", "current", "chronic", "about", "around", "approximately", "early", "late",
			"mg", "mcg", "ml", "g", "units", "tablet", "daily", "bid", "tid", "disorder":
			continue
		}
		if !own[stem(w)] && digitsOnly(w) == "" {
			return 0
		}
	}
	return len(dates)
}

// digitsOnly is a word that is a number, else "".
func digitsOnly(w string) string {
	if strings.Trim(w, "0123456789") == "" {
		return w
	}
	return ""
}

// sameTime says whether two times can mean the same day, as far as both are known; a day of difference
// is one of time zones.
func sameTime(a, b chart.Time) bool {
	return !a.At.AddDate(0, 0, -2).After(b.Last()) && !b.At.AddDate(0, 0, -2).After(a.Last())
}

// timed are the kinds whose date a reader decides by.
func timed(k Kind) bool {
	switch k {
	case Problems, PastHistory, DischargeDx, AdmissionDx, Allergies, Procedures, Immunization, Medications, DischargeRx, AdmissionRx, Results, Vitals:
		return true
	}
	return false
}

var (
	endBefore = regexp.MustCompile(`(?i)(?:\b(?:until|till?|through|thru|stopped|discontinued|resolved|ended|finished|quit|ceased|d/c'?e?d)|\b(?:(?:stop|end|resolved|resolution|discontinued?)(?: date)?|date (?:stopped|ended|resolved|discontinued)):)(?:[ ,:(]+(?:taking|taken|use|it|this|on|in|by|at|about|approx\.?|approximately|around|since|the|end|of|early|late|mid|spring|summer|fall|autumn|winter))*[ ,:(]*$`)
	endAgo    = regexp.MustCompile(`(?i)\b(?:until|stopped|discontinued|resolved|ended|finished|quit|ceased)(?: (?:taking|it|this|about|approximately|around|use))* (?:last (?:year|month|week|spring|summer|fall|autumn|winter)|yesterday|(?:an?|one|two|three|four|five|six|several|some|many|a few|\d{1,3}) (?:year|month|week|day|yr|mo)s? ago|(?:year|month|week|day)s ago|long ago)\b`)
	notEnded  = regexp.MustCompile(`(?i)\b(?:not|never|no|if|when|once|unless|was|were|until)(?: \w+)?$|\b(?:previous|previously|formerly|prior|earlier|before)\b[^;.]*$`)
	between   = regexp.MustCompile(`(?i)^ *(?:-|–|—|to|until|till|through|thru) *$`)
)

// maxBefore is how far in front of a date a word that makes it an end is looked for, in bytes.
const maxBefore = 100

// endedIn are the words by which a text says that a thing ended before the time at, and the end where it is
// a date: "taken until 3/2019", "resolved 2018", "1998-2004", "stopped last year".
func endedIn(s string, at time.Time) (words string, end chart.Time) {
	s = strings.ReplaceAll(clip(s, maxCell), "’", "'")
	dates := datesIn(s)
	for i, d := range dates {
		if d.Last().After(at) {
			continue
		}
		near := s[max(0, d.from-maxBefore):d.from]
		if m := endBefore.FindStringIndex(near); m != nil && !notEnded.MatchString(strings.TrimSpace(near[:m[0]])) {
			return s[d.from-len(near)+m[0] : d.to], d.Time
		}
		if i > 0 && between.MatchString(s[dates[i-1].to:d.from]) && dates[i-1].At.Before(d.At) {
			return s[dates[i-1].from:d.to], d.Time
		}
	}
	if m := endAgo.FindStringIndex(s); m != nil && !notEnded.MatchString(strings.TrimSpace(s[:m[0]])) {
		return s[m[0]:m[1]], chart.Time{}
	}
	return "", chart.Time{}
}

// loose are phrases that say without a date that a thing no longer holds.
var loose = regexp.MustCompile(`(?i)\b(?:outgrew(?: it)?|outgrown|grew out of(?: it| this)?|no longer (?:allergic|reacts?|an? (?:allergy|problem|issue|concern)|has|having|taking|takes|uses?|using|on it|needs|needed|present|symptomatic)|now tolerates?|tolerates? (?:it |this |well )?now|has (?:since )?tolerated|desensiti[sz]ed|de-?labell?ed)\b`)

// looseEnd are the words of a text by which a thing may no longer hold, as written: "outgrew it", "no longer
// allergic". Nothing is concluded from them.
func looseEnd(s string) string {
	s = strings.ReplaceAll(clip(s, maxCell), "’", "'")
	for _, m := range loose.FindAllStringIndex(s, 4) {
		if !notEnded.MatchString(strings.TrimSpace(s[:m[0]])) {
			return s[m[0]:m[1]]
		}
	}
	return ""
}

// ofMedicine says whether words of an end are those of a medicine, which end no allergy beside which they stand.
func ofMedicine(words string) bool {
	for _, w := range wordsOf(words) {
		switch w {
		case "taking", "takes", "uses", "using", "needs", "needed":
			return true
		}
	}
	return false
}

// markLoose marks an item that is listed as holding when the text it points at, or its own words, loosely
// say otherwise.
func (d *Document) markLoose(it *Item) {
	if !decided(it.Kind) || it.Over() || it.Negated || it.Null != "" || strings.Contains(it.Detail, mayBeOver) || it.Conflict != "" {
		return
	}
	var w told
	if it.Anchor != "" {
		w, _ = d.wordsAt(it.Anchor)
	}
	for i, text := range []string{w.itself, w.row, it.Name, it.Detail} {
		if w.whole && i < 2 {
			continue
		}
		words := looseEnd(text)
		if it.Kind == Allergies && ofMedicine(words) {
			continue
		}
		if words != "" {
			it.Detail = joined(" · ", it.Detail, mayBeOver+": “"+clip(words, 120)+"”")
			return
		}
	}
}

// endApart compares an entry that says nothing of an end with what its text, its own words or its remarks
// say of one: a medicine "taken until 3/2019" is no longer taken, whatever the codes leave open.
func (d *Document) endApart(it *Item, w told) string {
	switch it.Kind {
	case Problems, DischargeDx, Allergies, Medications, DischargeRx, AdmissionRx:
	default:
		return ""
	}
	if it.Over() || it.Negated || it.Null != "" || d.Time.Precision < chart.Day || w.whole || w.struck {
		return ""
	}
	for i, text := range []string{w.itself, w.row, it.Name, it.Detail} {
		if i > 0 && text == w.itself || len(text) >= maxCell {
			continue
		}
		words, end := endedIn(text, d.Time.At)
		if words == "" {
			continue
		}
		if _, active := statusWords(text); active != "" {
			continue
		}
		if it.End.Precision > chart.Unknown && end.Precision > chart.Unknown && !sameTime(it.End, end) {
			return fmt.Sprintf("the entry says until %s, the text says “%s”", it.End.Date(), clip(words, 120))
		}
		return fmt.Sprintf("the entry goes on, the text says “%s”", clip(words, 120))
	}
	return ""
}
