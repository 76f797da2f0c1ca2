package chart

// NullWords is an HL7 v3 null flavour in words: why there is no value (ISO 21090, HL7 NullFlavor). A
// flavour that is not known is "no value (X)"; "" stays "".
func NullWords(flavour string) string {
	switch flavour {
	case "":
		return ""
	case "NI", "NP", "NULL":
		return "no information"
	case "UNK", "NAVU":
		return "unknown"
	case "ASKU":
		return "asked but unknown"
	case "NASK":
		return "not asked"
	case "NAV":
		return "not available at present"
	case "MSK":
		return "masked: there is information, and it is withheld"
	case "NA":
		return "not applicable"
	case "OTH":
		return "other, without a code"
	case "QS":
		return "a sufficient quantity"
	case "TRC":
		return "a trace"
	case "PINF":
		return "no upper limit"
	case "NINF":
		return "no lower limit"
	case "INV":
		return "a value that is not valid"
	}
	return "no value (" + clip(flavour, 20) + ")"
}
