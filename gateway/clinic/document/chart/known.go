package chart

import "strings"

// Wordless says whether a code has neither a display name nor words of the sender's.
func (c Code) Wordless() bool { return c.Code != "" && c.Display == "" && c.Text == "" }

// Plainly is Words for a reader who cannot look up a code: one without words gets its common name, or is
// said to be a code; a code that is letters alone ("po") stands as it is.
func (c Code) Plainly() string {
	switch {
	case !c.Wordless():
		return c.Words()
	case CommonName(c.Code) != "":
		return CommonName(c.Code)
	case strings.ContainsAny(c.Code, "0123456789"):
		return "code " + c.Code + ", without words"
	}
	return c.Code
}

// CommonName is the name of a code that senders leave to the receiver: LOINC of C-CDA's vital signs
// (2.16.840.1.113883.3.88.12.80.62), and SNOMED CT of the commonest allergic reactions. "" for others.
func CommonName(code string) string {
	switch code {
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
	return reactionName(code)
}

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

// FlagName is a code of ObservationInterpretation (HL7 v2 table 0078) in words, "" for a code it does not
// know and for "normal".
func FlagName(code string) string {
	switch strings.ToUpper(strings.TrimSpace(code)) {
	case "H", "H>":
		return "high"
	case "L", "L<":
		return "low"
	case "HU":
		return "significantly high"
	case "LU":
		return "significantly low"
	case "U":
		return "significantly up"
	case "D":
		return "significantly down"
	case "B":
		return "better"
	case "W":
		return "worse"
	case "HH":
		return "critically high"
	case "LL":
		return "critically low"
	case "HX":
		return "above high threshold"
	case "LX":
		return "below low threshold"
	case "A":
		return "abnormal"
	case "AA":
		return "critically abnormal"
	case "POS":
		return "positive"
	case "NEG":
		return "negative"
	case "DET":
		return "detected"
	case "ND":
		return "not detected"
	case "IND":
		return "indeterminate"
	case "S":
		return "susceptible"
	case "I":
		return "intermediate"
	case "R":
		return "resistant"
	case "<":
		return "below what can be measured"
	case ">":
		return "above what can be measured"
	}
	return ""
}

// UnitWords is a UCUM unit as people write it. Curly braces hold annotations: "{tbl}"; "1" is no unit.
func UnitWords(u string) string {
	switch u {
	case "1", "[pH]", "{}":
		return ""
	case "mm[Hg]":
		return "mmHg"
	case "[in_us]", "[in_i]":
		return "in"
	case "[lb_av]":
		return "lb"
	case "[oz_av]":
		return "oz"
	case "[degF]":
		return "°F"
	case "Cel":
		return "°C"
	case "[iU]", "[IU]":
		return "IU"
	case "[iU]/mL":
		return "IU/mL"
	}
	return strings.NewReplacer("{", "", "}", "").Replace(u)
}

// TimingEvent is when in the day a code of HL7's TimingEvent says: C-CDA's EIVL, FHIR's EventTiming and table 0528 of HL7 v2
// share it. An unknown code stands as it is.
func TimingEvent(code string) string {
	code = strings.TrimSpace(code)
	if w, ok := map[string]string{"HS": "at bedtime", "WAKE": "on waking",
		"C": "with meals", "CM": "with breakfast", "CD": "with lunch", "CV": "with dinner",
		"AC": "before meals", "ACM": "before breakfast", "ACD": "before lunch", "ACV": "before dinner",
		"PC": "after meals", "PCM": "after breakfast", "PCD": "after lunch", "PCV": "after dinner",
		"IC": "between meals", "ICM": "between breakfast and lunch", "ICD": "between lunch and dinner", "ICV": "between dinner and bedtime",
		"MORN": "in the morning", "NOON": "at noon", "AFT": "in the afternoon", "EVE": "in the evening", "NIGHT": "at night"}[code]; ok {
		return w
	}
	return code
}
