package ccda

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// compare notes where an entry and the narrative it points at disagree: whether the thing is so at all,
// dose, value, status, date, end and name. What a patient could be harmed by is marked as a contradiction.
func (d *Document) compare(it *Item) {
	var w told
	if it.Anchor != "" {
		w, _ = d.wordsAt(it.Anchor)
	}
	if w.struck {
		if !w.filler || it.Name != "" && share(it.Name, w.filled) {
			it.differs(true, "the text it points at is struck out")
		}
		return
	}
	end := d.endApart(it, w)
	if end != "" {
		it.differs(true, end)
	}
	if it.Narrative == "" {
		return
	}
	if it.Null == "" {
		if words := polarity(it, w); words != "" {
			it.differs(true, words)
			return
		}
	}
	if it.Negated {
		return
	}
	if words := doseApart(it, w.row); words != "" {
		it.differs(true, words)
	}
	if words := sideApart(it, w); words != "" {
		it.differs(true, words)
	}
	if words, years := dateApart(it, w); words != "" && end == "" {
		it.differs(years, words)
	}
	if words := valueApart(it, w.row); words != "" {
		it.differs((it.Kind == Results || it.Kind == Vitals) && !rounded(it.Value, w.row), words)
		return
	}
	if words := statusApart(it, w.row); words != "" && end == "" {
		it.differs(false, words)
		return
	}
	if namedInText(it.Kind) && it.Code.Display != "" && len(w.row) < 300 && !sameName(it, it.Code.Display+" "+it.Code.Text, w.row) && !sameName(it, otherNames(it.act), w.row) {
		it.differs(false, fmt.Sprintf("the entry says “%s”, the text says “%s”", clip(it.Code.Display, 120), clip(it.Narrative, 120)))
	}
}

// differs adds a disagreement to those that are noted.
func (i *Item) differs(grave bool, words string) {
	i.Conflict = joined("; ", i.Conflict, words)
	i.Grave = i.Grave || grave
}

// polarity compares whether entry and text say that a thing is so.
func polarity(it *Item, w told) string {
	text := clip(w.itself, 120)
	switch it.Kind {
	case Problems, PastHistory, DischargeDx, AdmissionDx, Concerns, Allergies, Medications, DischargeRx, AdmissionRx, GivenRx, Immunization, Procedures:
	default:
		return ""
	}
	switch {
	case it.Negated && !denies(w.itself) && !negates(besides(w.row+" "+w.around, it.Name)) && hasLongWord(w.itself):
		return fmt.Sprintf("the entry says that this is not so, the text says “%s” and denies nothing", text)
	case !it.Negated && (denies(w.itself) || denies(w.row)):
		return fmt.Sprintf("the entry lists “%s”, the text says “%s”", clip(it.Name, 120), text)
	case !it.Negated && deniedIn(w.row, it.Name):
		return fmt.Sprintf("the entry lists “%s” as so, the text denies it: “%s”", clip(it.Name, 120), clip(w.row, 160))
	}
	return ""
}

// besides is a text without the words "without" and "non-" that belong to the name of a thing: "Migraine
// without aura" denies no migraine.
func besides(text, name string) string {
	in := " " + strings.Join(wordsOf(name), " ") + " "
	var out []string
	for _, w := range wordsOf(text) {
		switch w {
		case "without", "non", "free", "sans", "ohne", "sin":
			if strings.Contains(in, " "+w+" ") {
				continue
			}
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// negates says whether a text holds any word of denial.
func negates(row string) bool {
	for _, w := range wordsOf(row) {
		switch w {
		case "no", "not", "none", "non", "never", "denies", "denied", "negative", "without", "absent", "refused", "refuses", "refusal", "declined", "declines", "nka", "nkda", "nkfa", "nil",
			"unknown", "ruled", "cancelled", "canceled", "aborted", "omitted", "held", "deferred", "objection", "objected", "objects", "contraindicated", "contraindication", "negated", "false", "free", "unable", "nothing",
			"aucun", "aucune", "pas", "sans", "néant", "kein", "keine", "keinen", "nicht", "ohne", "nessun", "nessuna", "nessuno", "ninguna", "ninguno", "ningún", "sin", "niega": // French, German, Italian, Spanish
			return true
		}
	}
	return false
}

// opensWithDenial says whether a text denies before it names anything: "Patient has no allergies to report". One
// that names a thing first may say of it that it is so: "Penicillin (reaction not known)".
func opensWithDenial(s string) bool {
	list := wordsOf(s)
	for i, w := range list {
		switch w {
		case "no", "not", "none", "never", "denies", "denied", "nka", "nkda", "nkfa", "nil", "aucun", "aucune", "kein", "keine", "keinen", "nessun", "nessuna", "nessuno", "ninguna", "ninguno", "ningún", "niega":
			return true
		case "pas": // French, and a stain
			return i+1 < len(list) && (list[i+1] == "d" || list[i+1] == "de")
		}
		switch {
		case w == "pt" || w == "she" || w == "he" || w == "they" || w == "have" || w == "currently" || w == "reports":
		case w == "to" || w == "of" || w == "for" || !onlyDenial(w):
			return false
		}
	}
	return false
}

// deniedIn says whether a text denies the thing of that name: "no asthma", "asthma ruled out".
func deniedIn(row, name string) bool {
	of := map[string]bool{}
	for _, w := range wordsOf(name) {
		if len(w) >= 4 && !slight(w) && !hasDigit(w) { // "PRN: No | 50mg" denies no 50 mg
			of[stem(w)] = true
		}
	}
	list := wordsOf(clip(row, maxCell))
	last := -10
	for i, w := range list {
		switch w {
		case "no", "denies", "denied", "without", "never":
			if i > 1 && list[i-1] == "or" && list[i-2] == "with" { // "with or without" leaves it open
				continue
			}
			last = i
			continue
		}
		if !of[stem(w)] {
			continue
		}
		if i-last <= 4 && list[last] != "" && !strings.Contains(" "+strings.ToLower(name)+" ", " "+list[last]+" ") {
			return true
		}
		for j := i + 1; j+1 < len(list) && j <= i+4; j++ {
			if list[j] == "ruled" && list[j+1] == "out" {
				return true
			}
		}
	}
	return false
}

func hasLongWord(s string) bool {
	for _, w := range wordsOf(s) {
		if len(w) >= 4 && !slight(w) {
			return true
		}
	}
	return false
}

// valueApart compares a result's number, unit or finding with the text.
func valueApart(it *Item, row string) string {
	if it.Value == "" || len(row) >= 400 {
		return ""
	}
	said := fmt.Sprintf("the entry says %s, the text says “%s”", it.Value, clip(row, 120))
	if num := number(it.Value); num != "" {
		if !hasDigit(row) || converted(it.Value, row) || it.Kind == Vitals && decimal(it.Value, row) {
			return ""
		}
		if !holdsNumber(row, num) && !holdsNumber(thousands.ReplaceAllString(row, "$1$2"), num) || otherUnit(it.Value, row, num) {
			return said
		}
		return ""
	}
	if a, b := found(it.Value), found(row); a != 0 && b != 0 && a != b {
		return said
	}
	return ""
}

// thousands is a group of three digits set apart by a blank: 100 000.
var thousands = regexp.MustCompile(`(\d)[ \x{A0}\x{202F}\x{2009}](\d{3})\b`)

// rounded says whether a text gives a value with fewer decimals: 108.8 for 108.863.
func rounded(value, text string) bool {
	v, err := strconv.ParseFloat(number(value), 64)
	if err != nil {
		return false
	}
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		whole, decimals, _ := strings.Cut(f, ".")
		if n, err := strconv.ParseFloat(f, 64); err == nil && whole != "" && v >= 1 && n != v && math.Abs(n-v) < math.Pow(10, -float64(len(decimals))) {
			return true
		}
	}
	return false
}

// found is 1 where a text says that something was found, -1 where not, 0 where neither or both.
func found(s string) int {
	yes, no := false, false
	list := wordsOf(clip(s, maxCell))
	for i, w := range list {
		before := i > 0 && (list[i-1] == "not" || list[i-1] == "non" || list[i-1] == "none")
		switch w {
		case "positive", "detected", "reactive", "present", "abnormal":
			yes, no = yes || !before, no || before
		case "negative", "undetected", "nonreactive", "absent":
			no = true
		}
	}
	switch {
	case yes && !no:
		return 1
	case no && !yes:
		return -1
	}
	return 0
}

// otherUnit says whether the text gives the same number another unit. Only units of one kind that a
// number cannot share are told apart.
func otherUnit(value, row, num string) bool {
	of := func(s string) string {
		fields := strings.Fields(strings.ToLower(s))
		for i, f := range fields {
			if i+1 < len(fields) && number(f) == num {
				switch u := strings.Trim(fields[i+1], "(),;[]"); u {
				case "mg/dl", "g/dl", "mmol/l", "umol/l", "µmol/l", "g/l", "mg/l", "ng/ml", "pg/ml", "ug/l", "ng/dl", "ug/dl", "kg", "lb", "lbs", "cm", "in", "mm":
					return u
				}
			}
		}
		return ""
	}
	a, b := of(value), of(row)
	return a != "" && b != "" && a != b && strings.TrimSuffix(b, "s") != a
}

func statusApart(it *Item, row string) string {
	if it.Kind != Problems && it.Kind != Allergies && it.Kind != Medications {
		return ""
	}
	switch over, active := statusWords(row); {
	case it.Status == "active" && !it.Over() && over != "" && active == "":
		return "the entry says active, the text says “" + over + "”"
	case it.Over() && active != "" && over == "":
		return "the entry says " + endWord(*it) + ", the text says “" + active + "”"
	}
	return ""
}

func endWord(it Item) string {
	if it.Status != "" && it.Status != "active" {
		return it.Status
	}
	return "ended " + it.End.Date()
}

// namedInText says whether an entry of that kind points at the text that names it. Those of results,
// vital signs and visits point at a value or a reason, and cannot be compared by name.
func namedInText(k Kind) bool {
	switch k {
	case Problems, PastHistory, DischargeDx, AdmissionDx, Allergies, Medications, DischargeRx, AdmissionRx, Immunization, Procedures:
		return true
	}
	return false
}

// maxNames is how many further names of one entry are compared.
const maxNames = 20

// otherNames are what an entry calls its thing by other code systems, its brand among them. A product's
// name does not count: it says what the text says, and the code may still be another's. Where there are
// none, it is a name that no text can be about.
func otherNames(act node) string {
	var out []string
	act.Walk(func(n node) bool {
		if w := words(n.Attr("displayName")); n.Name() == "translation" && w != "" && len(out) < maxNames {
			out = append(out, w)
		}
		return len(out) < maxNames && n.Name() != "entryRelationship"
	}, nil)
	if len(out) == 0 {
		return "nameless-entry"
	}
	return strings.Join(out, " ")
}

// sameName says whether a text can name what an entry names. Medicines are told apart more finely: many
// begin alike (hydralazine, hydroxyzine), and what they share may be no more than a salt.
func sameName(it *Item, name, row string) bool {
	switch it.Kind {
	case Medications, DischargeRx, AdmissionRx:
	default:
		return share(name, row)
	}
	var own, said []string
	for _, w := range wordsOf(name) {
		if len(w) >= 4 && !slight(w) && !shared(w) {
			own = append(own, w)
		}
	}
	for _, w := range wordsOf(clip(row, maxCell)) {
		if len(w) >= 4 && !slight(w) && !shared(w) {
			said = append(said, w)
		}
	}
	for _, a := range own {
		for _, b := range said {
			if strings.HasPrefix(a, b) || strings.HasPrefix(b, a) {
				return true
			}
		}
	}
	return len(own) == 0 || len(said) == 0
}

// share says whether two texts have a word of four letters or its stem in common, or the one is an
// abbreviation too short to judge.
func share(a, b string) bool {
	stems := map[string]bool{}
	for _, w := range wordsOf(a) {
		if len(w) >= 4 && !slight(w) {
			stems[w[:4]] = true
		}
	}
	judged := false
	for _, w := range wordsOf(b) {
		if len(w) >= 4 && !slight(w) {
			if judged = true; stems[w[:4]] {
				return true
			}
		}
	}
	return !judged || len(stems) == 0
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// number is the first number of a value with its sign, "" when it does not begin with one.
func number(v string) string {
	v = strings.ReplaceAll(v, "−", "-")
	end := 0
	for end < len(v) && (v[end] >= '0' && v[end] <= '9' || v[end] == '.' || v[end] == '-' && end == 0) {
		end++
	}
	if strings.Trim(v[:end], "-.") == "" {
		return ""
	}
	if v[0] == '-' && normal(v[1:end]) != "0" {
		return "-" + normal(v[1:end])
	}
	return normal(v[:end])
}

// normal drops leading and trailing zeros: "04.50" is "4.5".
func normal(n string) string {
	n = strings.TrimLeft(strings.TrimPrefix(n, "-"), "0")
	if strings.Contains(n, ".") {
		n = strings.TrimRight(strings.TrimRight(n, "0"), ".")
	}
	if n == "" {
		return "0"
	}
	return n
}

// holdsNumber says whether a text holds the number, also with "1,200" or "4,5" for 1200 or 4.5; a
// negative number only with its sign.
func holdsNumber(text, num string) bool {
	text = strings.ReplaceAll(text, "−", "-")
	num, negative := strings.CutPrefix(num, "-")
	for i := 0; i < len(text); {
		if c := text[i]; c != '.' && (c < '0' || c > '9') {
			i++
			continue
		}
		end := i
		for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.' || text[end] == ',' && end+1 < len(text) && text[end+1] >= '0' && text[end+1] <= '9') {
			end++
		}
		if !negative || i > 0 && text[i-1] == '-' {
			f := strings.TrimRight(text[i:end], ".")
			if normal(strings.ReplaceAll(f, ",", "")) == num || normal(strings.Replace(f, ",", ".", 1)) == num {
				return true
			}
			for part := range strings.SplitSeq(f, ",") {
				if normal(part) == num {
					return true
				}
			}
		}
		i = end
	}
	return false
}
