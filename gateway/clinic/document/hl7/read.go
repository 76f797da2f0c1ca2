package hl7

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// Title is what a message type is, in words.
func Title(code, event string) string {
	switch code + "^" + event {
	case "REF^I12":
		return "Patient referral"
	case "REF^I13":
		return "Changed patient referral"
	case "REF^I14":
		return "Cancelled patient referral"
	case "REF^I15":
		return "Request for the status of a referral"
	case "RRI^I12", "RRI^I13", "RRI^I14", "RRI^I15":
		return "Answer to a referral"
	case "SIU^S12":
		return "New appointment"
	case "SIU^S13":
		return "Appointment moved"
	case "SIU^S14":
		return "Appointment changed"
	case "SIU^S15":
		return "Appointment cancelled"
	case "SIU^S17":
		return "Appointment deleted"
	case "SIU^S26":
		return "Patient did not come to the appointment"
	case "ADT^A01":
		return "Admission"
	case "ADT^A03":
		return "Discharge"
	case "ADT^A04":
		return "Registration"
	case "ADT^A08", "ADT^A31":
		return "Changed patient information"
	case "ADT^A28":
		return "New patient information"
	case "ADT^A02":
		return "Transfer"
	case "MDM^T02", "MDM^T01":
		return "New document"
	case "MDM^T08", "MDM^T10":
		return "Changed document"
	case "MDM^T11":
		return "Cancelled document"
	}
	switch code {
	case "REF":
		return "Patient referral"
	case "OMG", "ORM", "OMI", "OMP":
		return "Order"
	case "OML":
		return "Laboratory order"
	case "OSU", "ORG", "ORR", "ORL":
		return "Answer to an order"
	case "ORU", "OUL":
		return "Results"
	case "SIU":
		return "Appointment notice"
	case "SRM":
		return "Appointment request"
	case "MDM":
		return "Document notice"
	case "ADT":
		return "Patient administration notice"
	case "VXU":
		return "Immunization record"
	case "PPR":
		return "Problem list"
	case "ACK":
		return "Acknowledgement"
	}
	return "HL7 v2 message"
}

// Patient is the patient of PID.
func (m *Message) Patient() *chart.Patient {
	s, ok := m.First("PID")
	if !ok {
		return nil
	}
	p := &chart.Patient{}
	for _, n := range []int{3, 2, 4} { // PID-2 and PID-4 are legacy identifiers
		for _, r := range s.Repeats(n) {
			if v := s.Component(r, 1); v != "" && len(p.IDs) < 20 {
				p.IDs = append(p.IDs, chart.ID{Extension: v, Root: authority(s, r, 4, 2), Authority: s.Component(r, 4), Type: s.Component(r, 5)})
			}
		}
		if len(p.IDs) > 0 {
			break
		}
	}
	for i, r := range s.Repeats(5) {
		n := name(s, r, 1)
		if i == 0 {
			p.Name = n
		} else if !n.Zero() && len(p.Others) < 20 {
			p.Others = append(p.Others, n)
		}
	}
	p.Birth = chart.ParseTime(s.Get(7, 1))
	if p.Birth.Precision > chart.Day { // MP-162
		p.Birth = chart.ParseTime(p.Birth.Raw[:8])
	}
	if c := s.Get(8, 1); c != "" {
		p.Sex = chart.Code{Code: c, Display: sexWord(c)}
	}
	for _, r := range s.Repeats(11) {
		a := chart.Address{City: s.Component(r, 3), State: s.Component(r, 4), Postal: s.Component(r, 5), Country: s.Component(r, 6), Use: s.Component(r, 7)}
		for _, c := range []int{1, 2} {
			if l := s.Component(r, c); l != "" {
				a.Lines = append(a.Lines, l)
			}
		}
		if !a.Zero() && len(p.Addresses) < 20 {
			p.Addresses = append(p.Addresses, a)
		}
	}
	for _, n := range []int{13, 14} {
		for _, r := range s.Repeats(n) {
			if v := phone(s, r); v != "" && len(p.Telecoms) < 20 {
				p.Telecoms = append(p.Telecoms, chart.Telecom{Value: v})
			}
		}
	}
	return p
}

// authority is subcomponent sub of component c: the OID of an assigning authority.
func authority(s Segment, rep string, c, sub int) string {
	parts := splitMax(rep, s.sep.component, 100)
	if c > len(parts) {
		return ""
	}
	subs := splitMax(parts[c-1], s.sep.sub, 10)
	if sub > len(subs) {
		return ""
	}
	return subs[sub-1]
}

// name reads an XPN or, from component `from`, the name part of an XCN.
func name(s Segment, rep string, from int) chart.Name {
	given := s.Component(rep, from+1)
	if middle := s.Component(rep, from+2); middle != "" {
		given += " " + middle
	}
	return chart.Name{Family: s.Component(rep, from), Given: strings.TrimSpace(given), Suffix: s.Component(rep, from+3), Prefix: s.Component(rep, from+4)}
}

func sexWord(c string) string {
	switch c {
	case "M":
		return "Male"
	case "F":
		return "Female"
	case "O":
		return "Other"
	case "U", "UN":
		return "Unknown"
	case "A":
		return "Ambiguous"
	}
	return c
}

func phone(s Segment, rep string) string {
	if v := s.Component(rep, 1); v != "" {
		return v
	}
	if v := s.Component(rep, 4); v != "" {
		return v
	}
	area, number := s.Component(rep, 6), s.Component(rep, 7)
	if number == "" {
		return s.Component(rep, 12)
	}
	return strings.TrimSpace(area + " " + number)
}

// Author is who the message says it comes from: the referring or ordering provider, else the facility.
func (m *Message) Author() chart.Person {
	for _, at := range []struct {
		segment string
		field   int
	}{{"TXA", 9}, {"TXA", 5}, {"ORC", 12}, {"OBR", 16}, {"PV1", 8}, {"PV1", 7}, {"SCH", 20}} {
		if s, ok := m.First(at.segment); ok {
			for _, r := range s.Repeats(at.field) {
				if n := name(s, r, 2); !n.Zero() {
					return chart.Person{Name: n, Organization: m.facility()}
				}
			}
		}
	}
	for _, s := range m.All("PRD") {
		if s.Get(1, 1) == "RP" || s.Get(1, 1) == "" {
			if n := name(s, first(s.Repeats(2)), 1); !n.Zero() {
				return chart.Person{Name: n, Organization: m.facility()}
			}
		}
	}
	return chart.Person{Organization: m.facility()}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (m *Message) facility() chart.Organization {
	h, _ := m.First("MSH")
	for _, n := range []int{4, 3} {
		if v := h.Get(n, 1); v != "" {
			return chart.Organization{Name: v}
		}
	}
	return chart.Organization{}
}

// maxLines is how many lines one message gives.
const maxLines = 5000

// Lines are the message's content in its own order: reason, orders, diagnoses, allergies, results,
// appointments, notes.
func (m *Message) Lines() []chart.Line {
	var out []chart.Line
	for _, s := range m.Segments {
		if len(out) >= maxLines {
			break
		}
		l, ok := line(s)
		if s.Name == "NTE" && len(out) > 0 {
			if t := s.Text(3); t != "" {
				out[len(out)-1].Note = join(" · ", out[len(out)-1].Note, t)
			}
			continue
		}
		if ok {
			out = append(out, l)
		}
	}
	return out
}

func coded(s Segment, n int) chart.Code {
	return chart.Code{Code: s.Get(n, 1), Display: s.Get(n, 2), System: s.Get(n, 3)}
}

func words(s Segment, n int) string {
	c := coded(s, n)
	if c.Display != "" {
		return c.Display
	}
	return c.Code
}

func line(s Segment) (chart.Line, bool) {
	l := chart.Line{}
	switch s.Name {
	case "RF1":
		l = chart.Line{Group: "Referral", Name: join(", ", words(s, 3), words(s, 10)), Value: words(s, 1), Note: join(" · ", label("priority", words(s, 2)), label("number", s.Get(6, 1))), Time: chart.ParseTime(s.Get(7, 1))}
	case "ORC":
		l = chart.Line{Group: "Orders", Name: "Order " + join(" / ", s.Get(2, 1), s.Get(3, 1)), Value: orderStatus(s.Get(1, 1)), Note: label("reason", words(s, 16)), Time: chart.ParseTime(s.Get(9, 1))}
	case "OBR":
		l = chart.Line{Group: "Orders", Name: words(s, 4), Note: join(" · ", label("reason", s.Text(31)), s.Text(13)), Time: chart.ParseTime(s.Get(7, 1)), Code: coded(s, 4)}
	case "OBX":
		l = result(s)
	case "DG1":
		name := words(s, 3)
		if d := s.Get(4, 1); d != "" {
			name = d
		}
		l = chart.Line{Group: "Diagnoses", Name: name, Time: chart.ParseTime(s.Get(5, 1)), Code: coded(s, 3)}
	case "PRB":
		l = chart.Line{Group: "Diagnoses", Name: words(s, 3), Time: chart.ParseTime(s.Get(16, 1)), Code: coded(s, 3)}
	case "AL1":
		l = chart.Line{Group: "Allergies", Name: words(s, 3), Note: join(", ", s.Text(5), words(s, 4)), Time: chart.ParseTime(s.Get(6, 1)), Code: coded(s, 3)}
	case "PR1":
		l = chart.Line{Group: "Procedures", Name: words(s, 3), Time: chart.ParseTime(s.Get(5, 1)), Code: coded(s, 3)}
	case "RXA":
		l = chart.Line{Group: "Immunizations", Name: words(s, 5), Note: label("lot", s.Get(15, 1)), Time: chart.ParseTime(s.Get(3, 1)), Code: coded(s, 5)}
	case "RXO", "RXE":
		l = chart.Line{Group: "Medicines", Name: words(s, map[string]int{"RXO": 1, "RXE": 2}[s.Name])}
	case "SCH":
		l = chart.Line{Group: "Appointment", Name: join(", ", words(s, 7), words(s, 6)), Value: words(s, 25), Note: label("number", join(" / ", s.Get(1, 1), s.Get(2, 1))), Time: chart.ParseTime(s.Get(11, 4))}
	case "AIS":
		l = chart.Line{Group: "Appointment", Name: words(s, 3), Time: chart.ParseTime(s.Get(4, 1)), Note: label("minutes", s.Get(7, 1))}
	case "AIP", "AIL", "AIG":
		l = chart.Line{Group: "Appointment", Name: s.Text(3)}
	case "TXA":
		l = chart.Line{Group: "Document", Name: words(s, 2), Note: label("number", s.Get(12, 1)), Time: chart.ParseTime(s.Get(6, 1))}
	case "PV1":
		l = chart.Line{Group: "Visit", Name: join(", ", s.Text(3), s.Get(10, 1)), Note: label("number", s.Get(19, 1)), Time: chart.ParseTime(s.Get(44, 1))}
	case "PRD":
		l = chart.Line{Group: "People", Name: name(s, first(s.Repeats(2)), 1).String(), Note: join(", ", words(s, 1), strings.ReplaceAll(s.Text(5), "\n", ", "))}
	case "NTE":
		l = chart.Line{Group: "Notes", Name: s.Text(3)}
	case "EVN":
		l = chart.Line{Group: "Event", Name: "Event " + s.Get(1, 1), Time: chart.ParseTime(s.Get(6, 1)), Note: words(s, 4)}
	}
	return l, l.Name != "" || l.Value != ""
}

func result(s Segment) chart.Line {
	l := chart.Line{Group: "Results", Name: words(s, 3), Code: coded(s, 3), Time: chart.ParseTime(s.Get(14, 1)), Flag: flag(s.Get(8, 1))}
	switch s.Get(2, 1) {
	case "ED", "RP":
		l.Value = "attached file"
	case "CE", "CWE", "CNE", "CF":
		l.Value = words(s, 5)
	case "DT", "TS", "DTM":
		l.Value = chart.ParseTime(s.Get(5, 1)).String()
	case "SN":
		l.Value = join("", s.Get(5, 1), s.Get(5, 2), s.Get(5, 3), s.Get(5, 4))
	default:
		l.Value = s.Text(5)
	}
	if unit := s.Get(6, 1); unit != "" && l.Value != "" {
		l.Value += " " + unit
	}
	if r := s.Text(7); r != "" {
		l.Note = "usual " + r
	}
	return l
}

func flag(f string) string {
	switch strings.ToUpper(strings.TrimSpace(f)) {
	case "", "N":
		return ""
	case "H":
		return "high"
	case "L":
		return "low"
	case "HH":
		return "critically high"
	case "LL":
		return "critically low"
	case "A":
		return "abnormal"
	case "AA":
		return "critically abnormal"
	}
	return f
}

func orderStatus(c string) string {
	switch c {
	case "NW":
		return "new order"
	case "CA":
		return "cancel the order"
	case "XO":
		return "change the order"
	case "SC":
		return "status changed"
	case "OK":
		return "accepted"
	case "UA":
		return "cannot be done"
	case "RE":
		return "results follow"
	}
	return c
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

// Embedded is a file inside an OBX (data type ED, base64): its stated type and its text, still encoded.
type Embedded struct {
	MediaType string
	Base64    string
}

// maxEmbedded is how many embedded files of one message are listed.
const maxEmbedded = 20

// Embedded are the files inside the message.
func (m *Message) Embedded() []Embedded {
	var out []Embedded
	for _, s := range m.All("OBX") {
		if s.Get(2, 1) != "ED" || len(out) >= maxEmbedded {
			continue
		}
		for _, r := range s.Repeats(5) {
			parts := splitMax(r, s.sep.component, 10)
			if len(parts) >= 5 && strings.EqualFold(parts[3], "Base64") {
				out = append(out, Embedded{MediaType: strings.ToLower(strings.Trim(parts[1]+"/"+parts[2], "/")), Base64: parts[4]})
			}
		}
	}
	return out
}
