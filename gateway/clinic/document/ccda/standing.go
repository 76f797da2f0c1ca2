package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// maxAround is how many elements around a statement are asked how it stands.
const maxAround = 16

// stand reads what holds for a statement by itself or by an element around it, up to its entry: that it
// is denied (negationInd, CDA R2 4.3.4.1, on any act or relationship), that the sender does not know,
// that it was withdrawn, whom it is about, and whether it is a fact or only wanted (moodCode).
func (it *Item) stand(act node) {
	it.act = act
	for n, i := act, 0; n.OK() && n.Name() != "section" && i < maxAround; n, i = n.Parent(), i+1 {
		it.Negated = it.Negated || negated(n)
		if it.Null == "" {
			it.Null = trim(n.Attr("nullFlavor"))
		}
		if it.Subject == "" {
			it.Subject = subjectOf(n)
		}
		switch s := trim(n.Child("statusCode").Attr("code")); s {
		case "nullified", "aborted", "cancelled":
			if it.Status == "active" {
				it.differs(false, "its own status is active, the record of it is "+s)
			}
			if it.Status != "nullified" {
				it.Status = s
			}
		}
	}
	if m := trim(act.Attr("moodCode")); m != "EVN" {
		it.Mood = moodWords(m)
	}
}

// negated reads the flag as xs:boolean is written: "true" or "1". The extensions that negate an action
// or a value do the same.
func negated(n node) bool {
	for _, name := range []string{"negationInd", "sdtc:negationInd", "sdtc:actionNegationInd", "sdtc:valueNegationInd"} {
		if v := strings.TrimSpace(n.Attr(name)); v == "true" || v == "1" {
			return true
		}
	}
	return false
}

// moodWords are for statements of what has not happened.
func moodWords(mood string) string {
	switch mood {
	case "INT":
		return "planned"
	case "RQO":
		return "requested"
	case "PRMS":
		return "promised"
	case "PRP":
		return "proposed"
	case "APT":
		return "appointment"
	case "ARQ":
		return "appointment requested"
	case "GOL":
		return "goal"
	case "RSK":
		return "risk"
	case "EXPEC":
		return "expected"
	case "OPT":
		return "option"
	}
	return ""
}

// subjectOf is whom an act or section says it is about when that is another person than the patient.
func subjectOf(n node) string {
	s := n.Child("subject")
	if !s.OK() {
		return ""
	}
	who := s.Child("relatedSubject")
	name := readName(who.Child("subject", "name")).String()
	c := readCode(who.Child("code"))
	if c.Code == "SELF" || c.Code == "ONESELF" || trim(who.Attr("classCode")) == "PAT" && c.Zero() && name == "" {
		return ""
	}
	rel := relative(c)
	switch {
	case rel == "" && name == "":
		return "another person"
	case rel == "":
		return name
	case name == "":
		return rel
	}
	return rel + " " + name
}

// relative is HL7's RoleCode for a relation in words, also where the sender left the words out.
func relative(c chart.Code) string {
	if w := codeWords(chart.Code{Display: c.Display, Text: c.Text}); w != "" {
		return strings.ToLower(w)
	}
	switch c.Code {
	case "FTH", "NFTH":
		return "father"
	case "MTH", "NMTH":
		return "mother"
	case "BRO", "NBRO":
		return "brother"
	case "SIS", "NSIS":
		return "sister"
	case "CHILD", "NCHILD":
		return "child"
	case "SON", "SONC":
		return "son"
	case "DAU", "DAUC":
		return "daughter"
	case "NBOR":
		return "newborn"
	case "83418008", "FETUS":
		return "fetus"
	case "133931009":
		return "infant"
	case "SPS", "HUSB", "WIFE", "DOMPART":
		return "partner"
	case "DON":
		return "donor"
	}
	return trim(c.Code)
}

// comments are the remarks inside an act (Comment Activity, LOINC 48767-8), in their words.
func (d *Document) comments(act node) string {
	var out []string
	for er := range act.Elements("entryRelationship") {
		for c := range er.Elements("act") {
			if c.Child("code").Attr("code") == "103709008" && !negated(c) && !negated(er) && len(out) < 3 { // SNOMED CT: failed attempted procedure
				out = append(out, joined(": ", "attempted, failed", clip(d.textOf(c.Child("text")), 300)))
				continue
			}
			if c.Child("code").Attr("code") != "48767-8" && !hasTemplate(c, "2.16.840.1.113883.10.20.22.4.64") || len(out) >= 3 {
				continue
			}
			w := d.textOf(c.Child("text"))
			if over, active := statusWords(w); w != "" && (over+active == "" || len(wordsOf(w)) > 1) {
				out = append(out, "note: “"+clip(w, 300)+"”")
			}
		}
	}
	return strings.Join(out, ", ")
}

// textOf are the words of an ED: those inside it, or of the narrative it points at.
func (d *Document) textOf(text node) string {
	if w := Plain(text, maxWords); w != "" {
		return w
	}
	if id, ok := strings.CutPrefix(trim(text.Child("reference").Attr("value")), "#"); ok && id != "" {
		w, _ := d.wordsAt(id)
		return w.itself
	}
	return ""
}
