package ccda

import "strings"

// denies says whether a line plainly states that there is nothing: "No known allergies", "None", "No
// known allergy to penicillin". A line that also says something else is no denial; it is shown as it
// stands, and nothing is concluded from it.
func denies(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, p := range []string{"this ", "the ", "patient has ", "patient currently has "} {
		s = strings.TrimPrefix(s, p)
	}
	if len(s) >= 120 || qualified(s) {
		return false
	}
	if strings.HasPrefix(s, "denies ") {
		return true
	}
	for _, p := range []string{"no known ", "none", "no allerg", "no current ", "no active ", "no medication", "no problem", "no result", "no lab", "no vital", "no documented ", "no discharge med", "no inpatient med", "information not", "information is not", "not available", "nka", "nkda", "no data", "no information", "not on file", "no recorded"} {
		if strings.HasPrefix(s, p) {
			return onlyDenial(s)
		}
	}
	return false
}

// onlyDenial says whether every word belongs to a denial, up to a word such as "to", behind which stands
// what is denied: "no known allergies penicillin" names something that may well be there.
func onlyDenial(s string) bool {
	for _, w := range wordsOf(s) {
		switch w {
		case "to", "of", "for":
			return true
		case "no", "none", "not", "known", "nka", "nkda", "nkfa", "nkma", "data", "information", "available", "on", "file", "recorded", "reported", "current", "currently", "active",
			"drug", "drugs", "food", "foods", "medication", "medications", "medicine", "medicines", "meds", "medicinal", "environmental", "latex", "seasonal", "substance",
			"allergy", "allergies", "alert", "alerts", "allergen", "allergens", "intolerance", "intolerances", "sensitivities", "adverse", "reaction", "reactions", "problem", "problems", "diagnosis",
			"diagnoses", "condition", "conditions", "issues", "concerns", "medical", "history", "prescribed", "prescriptions", "prescription", "documented", "entered", "found",
			"listed", "noted", "stated", "exist", "exists", "identified", "any", "or", "and", "other", "at", "this", "the", "time", "present", "in", "system", "record", "records", "is", "are",
			"there", "patient", "has", "significant", "chronic", "discharge", "inpatient", "long", "term", "since", "as", "today", "now", "results", "result", "procedures", "procedure", "immunizations", "encounters", "visits", "family", "social", "lab", "vital", "signs", "s", "ies", "y":
		default:
			return false
		}
	}
	return true
}

// qualified says that a denial goes on to say something else: "except penicillin", "stopping", "; takes …". Then
// it is no plain denial, and it is shown as it stands.
func qualified(s string) bool {
	if strings.ContainsAny(strings.TrimRight(s, ".;:, "), ";.:") {
		return true
	}
	for _, w := range []string{"except", "but ", "other than", "besides", "apart from", "however", "stopping", "were refused", "none of", "allergic", "reacts", "takes ", "taking ", "only "} {
		if strings.Contains(s, w) {
			return true
		}
	}
	for clause := range strings.SplitSeq(s, ",") { // each part must deny on its own
		if clause = strings.TrimSpace(clause); clause != "" && clause != s && !onlyDenial(clause) && !strings.HasPrefix(clause, "no ") && !strings.HasPrefix(clause, "or ") && !strings.HasPrefix(s, "denies ") {
			return true
		}
	}
	return false
}

// bare says whether the cells beside a denial add nothing to it: a status, a date, dashes, or another denial.
func bare(cells []string) bool {
	for _, c := range cells {
		over, active := statusWords(c)
		letters := strings.ContainsFunc(strings.ToLower(c), func(r rune) bool { return r >= 'a' && r <= 'z' })
		if letters && len(wordsOf(c)) > 2 && !denies(c) || letters && !denies(c) && over == "" && active == "" && !slightWord(c) {
			return false
		}
	}
	return true
}

// slightWord is a cell that stands for an empty one.
func slightWord(c string) bool {
	switch strings.ToLower(strings.Trim(c, " .-()")) {
	case "n/a", "na", "unknown", "nil", "none", "not applicable", "confirmed", "completed", "":
		return true
	}
	return false
}
