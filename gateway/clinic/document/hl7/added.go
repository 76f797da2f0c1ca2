package hl7

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// added is what a segment says of the line before it: when and how often (TQ1), by which way (RXR), with
// what (RXC).
func added(s Segment) string {
	switch s.Name {
	case "TQ1":
		return join(", ", s.Get(2, 1), rhythm(s), label("at", s.Get(4, 1)), label("for", join(" ", s.Get(6, 1), s.Get(6, 2))), label("from", chart.ParseTime(s.Get(7, 1)).String()),
			label("until", chart.ParseTime(s.Get(8, 1)).String()), priority(s.Get(9, 1)), label("if", s.Text(10)), s.Text(11), label("times in all:", s.Get(14, 1)))
	case "RXR":
		return join(", ", words(s, 1), label("at:", words(s, 2)), words(s, 6))
	case "RXC":
		return label(map[string]string{"B": "in", "A": "with"}[s.Get(1, 1)], join(" ", words(s, 2), s.Get(3, 1), words(s, 4)))
	}
	return ""
}

// rhythm is how often (TQ1-3, RPT): the code as written with its words, the period beside it, and the meal
// or sleep it goes with. Its fifth and sixth component are a period, not a second code.
func rhythm(s Segment) string {
	var out []string
	for _, r := range s.Repeats(3) {
		w := s.part(r, 1, 2)
		if w == "" {
			w = s.part(r, 1, 1)
		}
		period := join(" ", s.Component(r, 5), s.Component(r, 6))
		switch {
		case period == "" || saysPeriod(w, s.Component(r, 5), s.Component(r, 6)): // Q6H says so itself
		case w == "":
			w = "every " + period
		default:
			w += " (period " + period + ")"
		}
		if w = join(" ", w, s.Component(r, 7), chart.TimingEvent(s.part(r, 8, 1))); w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, " and ")
}

// saysPeriod says whether a code of a rhythm already tells its period: Q6H tells "6 H", neither "1 H" nor "6 D".
func saysPeriod(code, n, unit string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(code), "q"+strings.ToLower(n))
	return ok && n != "" && unit != "" && strings.HasPrefix(rest, strings.ToLower(unit[:1]))
}

// timing is the quantity and timing of an order of HL7 before 2.5 (ORC-7, TQ), as far as it is not said
// elsewhere: amount, rhythm, how long, from when, condition, words. The priority is the order's own.
func timing(s Segment) string {
	var out []string
	for _, r := range s.Repeats(7) {
		w := join(", ", join(" ", s.part(r, 1, 1), s.part(r, 1, 2)), join(" at ", s.part(r, 2, 1), s.part(r, 2, 2)), label("for", s.Component(r, 3)), label("until", chart.ParseTime(s.Component(r, 5)).String()),
			label("if", s.Component(r, 7)), s.Component(r, 8))
		if w != "" && w != "1" { // one of the order goes without saying
			out = append(out, w)
		}
	}
	return strings.Join(out, "; ")
}

// amount is a number or a range of two fields: 1 to 2.
func amount(s Segment, least, most int) string {
	a, b := s.Get(least, 1), s.Get(most, 1)
	if b == "" || a == b {
		return a
	}
	return join(" to ", a, b)
}

// priority is a code of table 0485 or 0027 in words; routine goes without saying.
func priority(c string) string {
	switch c {
	case "", "R":
		return ""
	case "S":
		return "priority STAT"
	case "A":
		return "priority ASAP"
	case "P":
		return "before the operation"
	case "C":
		return "call back"
	case "T":
		return "timing critical"
	case "PRN":
		return "as needed"
	}
	return "priority " + c
}

// severity is a code of table 0128 in words, if the sender gives none.
func severity(s Segment, n int) string {
	switch w := words(s, n); w {
	case "SV":
		return "severe"
	case "MO":
		return "moderate"
	case "MI":
		return "mild"
	case "U":
		return "severity not known"
	default:
		return w
	}
}

// allergyKind says where a line among the allergies is none (table 0127).
func allergyKind(s Segment) string {
	if s.Get(2, 1) == "MC" {
		return "a contraindication, no allergy"
	}
	return ""
}

// providerRole is a code of table 0286 in words.
func providerRole(s Segment) string {
	switch w := words(s, 1); w {
	case "RP":
		return "referring"
	case "RT":
		return "referred to"
	case "PP":
		return "primary care"
	case "CP":
		return "consulting"
	default:
		return w
	}
}

// answer is a code of table 0008 in words.
func answer(c string) string {
	switch c {
	case "AA", "CA":
		return "accepted"
	case "AE", "CE":
		return "error"
	case "AR", "CR":
		return "rejected"
	}
	return c
}

func first2(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// inParts are the OBX segments, by their number, of orders that give one observation several times in
// parts (OBX-4): two organisms and what each resists, two fetuses.
func (m *Message) inParts() map[int]bool {
	out := map[int]bool{}
	var group []int
	codes := map[string]string{} // OBX-3 → its first OBX-4 in the order
	apart := false
	end := func() {
		for _, i := range group {
			if apart {
				out[i] = true
			}
		}
		group, apart = group[:0], false
		clear(codes)
	}
	for i, s := range m.Segments {
		switch s.Name {
		case "OBR", "ORC", "PID":
			end()
		case "OBX":
			part := s.Get(4, 1)
			if part == "" {
				continue
			}
			group = append(group, i)
			code := s.Get(3, 1) + "|" + s.Get(3, 2)
			if p, ok := codes[code]; ok && p != part {
				apart = true
			} else {
				codes[code] = part
			}
		}
	}
	end()
	return out
}
