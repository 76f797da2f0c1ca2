package ccda

import (
	"strings"
	"unicode"

	"postern/gateway/clinic/document/chart"
)

// wordless says whether a code has neither a display name nor words of the sender's.
func wordless(c chart.Code) bool { return c.Code != "" && c.Display == "" && c.Text == "" }

// bareCode is a code for a reader who cannot look it up: that it is one.
func bareCode(c chart.Code) string { return "code " + c.Code + ", without words" }

// wordedCode is the words of a code, known being those this package has for codes without any.
func wordedCode(c chart.Code, known func(string) string) string {
	if !wordless(c) {
		return codeWords(c)
	}
	if w := known(c.Code); w != "" {
		return w
	}
	if !hasDigit(c.Code) { // "po" is a word of its own
		return c.Code
	}
	return bareCode(c)
}

// vitalName is the name of a code of C-CDA's vital sign value set (2.16.840.1.113883.3.88.12.80.62), which
// senders leave to the receiver.
func vitalName(loinc string) string {
	switch loinc {
	case "8480-6":
		return "Systolic blood pressure"
	case "8462-4":
		return "Diastolic blood pressure"
	case "8867-4":
		return "Heart rate"
	case "9279-1":
		return "Respiratory rate"
	case "8310-5":
		return "Body temperature"
	case "2708-6", "59408-5":
		return "Oxygen saturation"
	case "8302-2":
		return "Body height"
	case "8306-3":
		return "Body height lying"
	case "8287-5":
		return "Head circumference"
	case "29463-7", "3141-9":
		return "Body weight"
	case "39156-5":
		return "Body mass index"
	case "3140-1":
		return "Body surface area"
	case "3150-6":
		return "Inhaled oxygen concentration"
	}
	return ""
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

// reactionName is the name of a SNOMED CT code that senders often leave without words.
func reactionName(code string) string {
	switch code {
	case "247472004":
		return "Hives"
	case "126485001":
		return "Urticaria"
	case "39579001":
		return "Anaphylaxis"
	case "271807003":
		return "Rash"
	case "422587007":
		return "Nausea"
	case "422400008":
		return "Vomiting"
	case "62315008":
		return "Diarrhea"
	case "267036007":
		return "Shortness of breath"
	case "56018004":
		return "Wheezing"
	case "418290006":
		return "Itching"
	case "41291007":
		return "Angioedema"
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
