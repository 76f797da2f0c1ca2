package hl7

import (
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// MaxLines is how many lines one message gives.
const MaxLines = 5000

// reading is what the segments before a line say about it.
type reading struct {
	whole    stands // of the message, by its trigger event
	order    stands // of the order (ORC) the line belongs to
	report   stands // of its OBR
	document stands // of its TXA
	taken    chart.Time
	last     int          // the line a note belongs to, -1 = none
	parts    map[int]bool // OBX by their number among the segments whose part (OBX-4) tells them from others
}

// Lines are the message's content in its own order: reason, orders, diagnoses, allergies, results,
// appointments, notes; at most MaxLines.
func (m *Message) Lines() []chart.Line {
	var out []chart.Line
	code, event := m.Type()
	r := reading{whole: ofEvent(code, event), last: -1, parts: m.inParts()}
	for i, s := range m.Segments {
		if len(out) >= MaxLines {
			break
		}
		if s.Name == "NTE" {
			t := s.Text(3)
			if t != "" && r.last >= 0 {
				out[r.last].Note = join(" · ", out[r.last].Note, t)
			}
			if t == "" || r.last >= 0 { // an empty note sets apart those around it, not from what they are on
				continue
			}
		}
		if more := added(s); more != "" && r.last >= 0 {
			out[r.last].Note = join(" · ", out[r.last].Note, more)
		}
		l, ok := r.line(s)
		if ok && r.parts[i] {
			l.Name += ", part " + s.Get(4, 1)
		}
		switch {
		case ok:
			out = append(out, l)
			if r.last = len(out) - 1; s.Name == "NTE" {
				r.last = -1
			}
		case !slices.Contains(between, s.Name):
			r.last = -1 // the note that follows is about this segment, not about the line before it
		}
	}
	return out
}

// between are segments that may stand between a line and the notes on it.
var between = []string{"PRT", "TQ1", "TQ2", "RXR", "RXC", "CTD", "SAC", "ROL"}

// line is what one segment says, with how it stands.
func (r *reading) line(s Segment) (chart.Line, bool) {
	var st stands
	switch s.Name {
	case "ORC":
		r.order, r.report = ofOrder(s), stands{}
		st = r.order
	case "OBR":
		r.report = ofReport(s)
		r.taken = chart.ParseTime(s.Get(7, 1))
		st = r.report
		st.add(r.order)
	case "RXO", "RXE", "RXD", "RXG":
		st = r.order
	case "TXA":
		r.document = ofDocument(s)
		st = r.document
	default:
		st = own(s)
	}
	l := line(s)
	switch s.Name {
	case "OBX":
		st.add(r.document)
		if r.report.standing == chart.Over || r.report.standing == chart.Withdrawn || s.Get(11, 1) == "" {
			st.add(r.report)
		}
		if l.Time.Zero() {
			l.Time = r.taken
		}
	case "AL1", "IAM":
		if chart.NoneKnown(l.Code) || chart.NoneKnown(chart.Code{Text: l.Name}) {
			st.worse(chart.Denied, "")
		}
	case "RXA":
		if s.Get(5, 1) == "998" {
			st.worse(chart.Denied, "no vaccine given")
		}
	}
	if r.whole.covers(l.Group) {
		st.add(r.whole)
	}
	l.Standing, l.Status = st.standing, st.words()
	return l, l.Name != "" || l.Value != ""
}

func coded(s Segment, n int) chart.Code {
	c := chart.Code{Code: s.Get(n, 1), Display: s.Get(n, 2), System: s.Get(n, 3)}
	if t := s.Get(n, 9); t != "" && t != c.Display { // CWE.9, the sender's own words
		c.Text = t
	}
	return c
}

func words(s Segment, n int) string { return codeWords(s, first(s.Repeats(n))) }

// codeWords is the text of a CE or CWE: its words with the original ones, else the second code's, else
// the code.
func codeWords(s Segment, rep string) string {
	display, original := s.Component(rep, 2), s.Component(rep, 9)
	switch {
	case display != "" && original != "" && !strings.EqualFold(display, original):
		return display + " (" + original + ")"
	case display != "":
		return display
	case original != "":
		return original
	case s.Component(rep, 5) != "":
		return s.Component(rep, 5)
	}
	if w := chart.CommonName(s.Component(rep, 1)); w != "" {
		return w
	}
	return s.Component(rep, 1)
}

// allWords is codeWords of every repetition.
func allWords(s Segment, n int) string {
	var out []string
	for _, r := range s.Repeats(n) {
		if w := codeWords(s, r); w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

// named keeps a line in sight whose name nobody wrote.
func named(s string) string {
	if s == "" {
		return "not named"
	}
	return s
}

func line(s Segment) chart.Line {
	switch s.Name {
	case "OBX":
		return result(s)
	case "DG1":
		name := words(s, 3)
		if d := s.Get(4, 1); d != "" && !strings.EqualFold(d, name) {
			name = join(", ", d, name)
		}
		return chart.Line{Group: "Diagnoses", Name: named(name), Time: chart.ParseTime(s.Get(5, 1)), Code: coded(s, 3), Note: map[string]string{"A": "on admission"}[s.Get(6, 1)]}
	case "PRB":
		return chart.Line{Group: "Diagnoses", Name: named(words(s, 3)), Time: chart.ParseTime(s.Get(16, 1)), Code: coded(s, 3), Note: label("resolved", chart.ParseTime(s.Get(9, 1)).String())}
	case "AL1":
		return chart.Line{Group: "Allergies", Name: named(words(s, 3)), Note: join(", ", s.Text(5), severity(s, 4), allergyKind(s)), Time: chart.ParseTime(s.Get(6, 1)), Code: coded(s, 3)}
	case "IAM":
		return chart.Line{Group: "Allergies", Name: named(words(s, 3)), Note: join(", ", s.Text(5), severity(s, 4), words(s, 9), s.Text(8), allergyKind(s)), Time: chart.ParseTime(s.Get(11, 1)), Code: coded(s, 3)}
	case "PR1":
		name := words(s, 3)
		if d := s.Get(4, 1); !strings.EqualFold(d, name) {
			name = join(", ", d, name)
		}
		return chart.Line{Group: "Procedures", Name: named(name), Time: chart.ParseTime(s.Get(5, 1)), Code: coded(s, 3), Note: allWords(s, 16)}
	case "RXA":
		dose := join(" ", s.Get(6, 1), words(s, 7))
		if s.Get(6, 1) == "999" || s.Get(6, 1) == "" { // 999: the amount is not known
			dose = ""
		}
		return chart.Line{Group: "Immunizations", Name: named(words(s, 5)), Value: dose, Note: join(" · ", allWords(s, 9), label("lot", s.Get(15, 1)), label("refused because", words(s, 18))), Time: chart.ParseTime(s.Get(3, 1)), Code: coded(s, 5)}
	case "RXO":
		return chart.Line{Group: "Medicines", Name: named(words(s, 1)), Code: coded(s, 1), Note: join(" · ", join(" ", amount(s, 2, 3), words(s, 4)), allWords(s, 6), allWords(s, 7))}
	case "RXE", "RXD", "RXG":
		n := map[string]int{"RXE": 2, "RXD": 2, "RXG": 4}[s.Name]
		return chart.Line{Group: "Medicines", Name: named(words(s, n)), Code: coded(s, n), Note: join(" · ", map[string]string{"RXD": "dispensed", "RXG": "to be given"}[s.Name], instructions(s))}
	case "MRG":
		return merged(s)
	}
	return affair(s)
}

// place is a location (PL): its parts without the identifiers of their naming systems.
func place(s Segment, n int) string {
	r := first(s.Repeats(n))
	var out []string
	for c := range 9 {
		if c != 4 && c != 5 { // the status and the type of the place
			out = append(out, s.Component(r, c+1))
		}
	}
	return join(" ", out...)
}

// instructions are the dose and the words for the patient of an RXE.
func instructions(s Segment) string {
	if s.Name != "RXE" {
		return ""
	}
	return join(" · ", join(" ", amount(s, 3, 4), words(s, 5)), s.Get(1, 2), allWords(s, 7), allWords(s, 21))
}

// affair is a line of what is asked for, arranged or told.
func affair(s Segment) chart.Line {
	switch s.Name {
	case "RF1":
		return chart.Line{Group: "Referral", Name: join(", ", words(s, 3), allWords(s, 10)), Value: referralStatus(s.Get(1, 1), words(s, 1)), Note: join(" · ", label("priority", words(s, 2)), label("number", s.Get(6, 1)), s.Text(16)), Time: chart.ParseTime(s.Get(7, 1))}
	case "ORC":
		return chart.Line{Group: "Orders", Name: strings.TrimSpace("Order " + join(" / ", s.Get(2, 1), s.Get(3, 1))), Value: orderControl(s.Get(1, 1)), Note: join(" · ", timing(s), label("reason", words(s, 16))), Time: chart.ParseTime(s.Get(9, 1))}
	case "OBR":
		return chart.Line{Group: "Orders", Name: words(s, 4), Note: join(" · ", priority(first2(s.Get(27, 6), s.Get(5, 1))), allWords(s, 45), label("specimen", strings.ReplaceAll(s.Text(15), "\n", ", ")), label("reason", allWords(s, 31)), s.Text(13)), Time: chart.ParseTime(s.Get(7, 1)), Code: coded(s, 4)}
	case "SCH":
		return chart.Line{Group: "Appointment", Name: join(", ", words(s, 7), words(s, 6)), Value: words(s, 25), Note: label("number", join(" / ", s.Get(1, 1), s.Get(2, 1))), Time: chart.ParseTime(s.Get(11, 4))}
	case "AIS":
		return chart.Line{Group: "Appointment", Name: words(s, 3), Time: chart.ParseTime(s.Get(4, 1)), Note: label("for", join(" ", s.Get(7, 1), words(s, 8)))}
	case "AIP":
		return chart.Line{Group: "Appointment", Name: join(", ", name(s, first(s.Repeats(3)), 2).String(), words(s, 4)), Time: chart.ParseTime(s.Get(6, 1))}
	case "AIL":
		return chart.Line{Group: "Appointment", Name: join(", ", place(s, 3), words(s, 4))}
	case "AIG":
		return chart.Line{Group: "Appointment", Name: words(s, 3)}
	case "TXA":
		return chart.Line{Group: "Document", Name: named(documentType(words(s, 2))), Note: join(" · ", label("number", s.Get(12, 1)), label("replaces", s.Get(13, 1))), Time: chart.ParseTime(s.Get(6, 1))}
	case "PV1":
		return chart.Line{Group: "Visit", Name: join(", ", place(s, 3), s.Get(10, 1)), Note: join(" · ", label("number", s.Get(19, 1)), label("until", chart.ParseTime(s.Get(45, 1)).String())), Time: chart.ParseTime(s.Get(44, 1))}
	case "PV2":
		return chart.Line{Group: "Visit", Name: label("Reason:", words(s, 3)), Note: s.Text(12)}
	case "PRD":
		return chart.Line{Group: "People", Name: name(s, first(s.Repeats(2)), 1).String(), Note: join(", ", providerRole(s), strings.ReplaceAll(s.Text(5), "\n", ", "))}
	case "SPM":
		return chart.Line{Group: "Orders", Name: label("Specimen", join(", ", words(s, 4), allWords(s, 5))), Note: join(", ", allWords(s, 8), allWords(s, 9), s.Text(14)), Time: chart.ParseTime(s.Get(17, 1))}
	case "MSA":
		return chart.Line{Group: "Answer", Name: "Message " + s.Get(2, 1), Value: answer(s.Get(1, 1)), Note: s.Text(3)}
	case "ERR":
		return chart.Line{Group: "Answer", Name: "Error " + join(", ", words(s, 3), words(s, 5)), Note: join(" · ", s.Text(8), s.Text(7))}
	case "NTE":
		return chart.Line{Group: "Notes", Name: s.Text(3)}
	case "EVN":
		return chart.Line{Group: "Event", Name: "Event " + s.Get(1, 1), Time: chart.ParseTime(s.Get(6, 1)), Note: words(s, 4)}
	}
	return chart.Line{}
}

// documentType is a code of table 0270 in words, if the sender gives none.
func documentType(w string) string {
	switch w {
	case "AR":
		return "Autopsy report"
	case "CD":
		return "Cardiodiagnostics"
	case "CN":
		return "Consultation"
	case "DI":
		return "Diagnostic imaging"
	case "DS":
		return "Discharge summary"
	case "ED":
		return "Emergency department report"
	case "HP":
		return "History and physical examination"
	case "OP":
		return "Operative report"
	case "PC":
		return "Psychiatric consultation"
	case "PN":
		return "Procedure note"
	case "PR":
		return "Progress note"
	case "SP":
		return "Surgical pathology"
	case "TS":
		return "Transfer summary"
	}
	return w
}

// merged is the record that is given up for the one in the PID before it (MRG).
func merged(s Segment) chart.Line {
	var ids []string
	for _, n := range []int{1, 4, 2} {
		for _, r := range s.Repeats(n) {
			if v := s.Component(r, 1); v != "" && len(ids) < 20 {
				ids = append(ids, v)
			}
		}
	}
	if len(ids) == 0 && name(s, first(s.Repeats(7)), 1).Zero() {
		gone := join(" and ", label("account", s.Get(3, 1)), label("visit", s.Get(5, 1)))
		if gone == "" {
			gone = "record of another number, which is not named,"
		}
		return chart.Line{Group: "Merge", Name: "The " + gone + " was given up for this patient's"}
	}
	return chart.Line{Group: "Merge", Name: "The record " + join(" ", strings.Join(ids, ", "), name(s, first(s.Repeats(7)), 1).String()) + " was given up for this patient's"}
}

func label(name, v string) string {
	if v == "" {
		return ""
	}
	return name + " " + v
}

func join(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}
