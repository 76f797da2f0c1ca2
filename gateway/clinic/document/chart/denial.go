package chart

import (
	"slices"
	"strings"
)

// maxDenial is the longest text taken for a plain denial, in bytes.
const maxDenial = 120

// NoneKnown says whether a coded line of allergies, problems or medicines states that there is none: by a
// SNOMED CT code for "no known …", or in words that say this and nothing else ("NKDA", "No known drug
// allergies"). "No known allergies except penicillin" is no such denial.
func NoneKnown(c Code) bool {
	switch c.Code {
	case "716186003", "409137002", "428607008", "429625007", "428197003", "160244002", "160245001":
		if c.System == "" || strings.Contains(c.System, "snomed") || strings.Contains(c.System, "6.96") || strings.HasPrefix(c.System, "SCT") || strings.HasPrefix(c.System, "SNM") {
			return true
		}
	case "NKA", "NKDA":
		return true
	}
	return noneKnown(c.Words())
}

func noneKnown(s string) bool {
	s = strings.ToLower(strings.Trim(strings.Join(strings.Fields(s), " "), " .;,"))
	if s == "" || len(s) > maxDenial || strings.ContainsAny(s, ";.,") {
		return false
	}
	for _, w := range []string{"except", "but ", "other than", "besides", "apart from", "however", "unless"} {
		if strings.Contains(s, w) {
			return false
		}
	}
	if slices.Contains([]string{"nka", "nkda", "nkfa", "none", "none known", "none reported", "none recorded", "no allergies", "no allergy", "no drug allergies", "no problems", "no medications"}, s) {
		return true
	}
	return strings.HasPrefix(s, "no known ") || strings.HasPrefix(s, "nkda ") || strings.HasPrefix(s, "nka ")
}
