package ccda

import (
	"strings"
	"unicode"

	"postern/gateway/clinic/document/chart"
)

// route is the way of giving in words, also for a code without any.
func route(c chart.Code) string {
	if !c.Wordless() {
		return codeWords(c)
	}
	if w := routeName(c.Code); w != "" {
		return w
	}
	return c.Plainly()
}

// routeName is the way of giving for a code of the FDA route list (NCI Thesaurus), which C-CDA asks for.
func routeName(code string) string {
	switch strings.ToUpper(code) {
	case "C38288":
		return "oral"
	case "C38276":
		return "intravenous"
	case "C28161":
		return "intramuscular"
	case "C38299":
		return "subcutaneous"
	case "C38216":
		return "respiratory (inhalation)"
	case "C38304":
		return "topical"
	case "C38305":
		return "transdermal"
	case "C38284":
		return "nasal"
	case "C38287":
		return "ophthalmic"
	case "C38295":
		return "rectal"
	case "C38313":
		return "vaginal"
	case "C38300":
		return "sublingual"
	}
	return ""
}

// naming says whether a text can name anything: it has a letter, and is no pointer into the narrative that
// was written as text ("#med1", QUIRK: MedHost).
func naming(s string) bool {
	return strings.ContainsFunc(s, unicode.IsLetter) && (!strings.HasPrefix(s, "#") || strings.ContainsRune(s, ' '))
}

// directions says whether a text only tells how often or when: "Once a week", "As needed". QUIRK: some
// senders write that as the original text of a medicine's code.
func directions(s string) bool {
	list := wordsOf(s)
	for _, w := range list {
		switch w {
		case "once", "twice", "one", "two", "three", "four", "times", "time", "a", "an", "per", "every", "each", "other", "day", "days", "daily", "week", "weeks", "weekly", "month", "monthly", "hour", "hours",
			"hourly", "as", "needed", "directed", "prn", "bid", "tid", "qid", "qd", "qhs", "hs", "in", "the", "morning", "noon", "evening", "night", "nightly", "at", "bedtime", "with", "meals", "by", "mouth", "and", "for":
		default:
			if strings.Trim(w, "0123456789") != "" {
				return false
			}
		}
	}
	return len(list) > 0
}
