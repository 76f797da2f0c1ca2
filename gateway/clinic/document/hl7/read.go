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
	case "ADT^A11":
		return "Cancelled admission"
	case "ADT^A12":
		return "Cancelled transfer"
	case "ADT^A13":
		return "Cancelled discharge"
	case "ADT^A17":
		return "Two patients changed beds"
	case "ADT^A23":
		return "Deleted visit"
	case "ADT^A24":
		return "Patient records linked"
	case "ADT^A29":
		return "Deleted patient"
	case "ADT^A37":
		return "Patient records no longer linked"
	case "ADT^A18", "ADT^A30", "ADT^A34", "ADT^A35", "ADT^A36", "ADT^A39", "ADT^A40", "ADT^A41", "ADT^A42":
		return "Patient records merged"
	case "ADT^A43", "ADT^A44", "ADT^A45":
		return "Part of a patient's record moved to another"
	case "ADT^A46", "ADT^A47", "ADT^A48", "ADT^A49", "ADT^A50", "ADT^A51":
		return "Changed identifier of a patient"
	case "ADT^A38":
		return "Cancelled pre-admission"
	case "ADT^A60":
		return "Changed allergies"
	case "SIU^S16":
		return "Appointment discontinued"
	case "PPR^PC2":
		return "Changed problem"
	case "PPR^PC3":
		return "Deleted problem"
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
	case "RDE", "RDO":
		return "Medicine order"
	case "RDS":
		return "Medicine dispensed"
	case "RGV", "RAS":
		return "Medicine given"
	case "DFT", "BAR":
		return "Charges and billing"
	case "QBP", "QRY", "VXQ":
		return "Query"
	case "RSP", "VXR", "VXX":
		return "Answer to a query"
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
		p.Birth = chart.ParseTime(p.Birth.At.Format("20060102"))
	}
	if p.Deceased = chart.ParseTime(s.Get(29, 1)).String(); p.Deceased == "" && s.Get(30, 1) == "Y" {
		p.Deceased = "yes"
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

// Embedded is a file inside an OBX (data type ED): its stated type and its text, still encoded.
type Embedded struct {
	MediaType string
	Base64    string
	Hex       string // instead of Base64
	Status    string // why the result it stands in is no plain one: "deleted", "preliminary"
}

// maxEmbedded is how many embedded files of one message are listed.
const maxEmbedded = 20

// Embedded are the files inside the message, and how many more there are.
func (m *Message) Embedded() (out []Embedded, left int) {
	for _, s := range m.All("OBX") {
		if s.Get(2, 1) != "ED" {
			continue
		}
		for _, r := range s.Repeats(5) {
			parts := splitMax(r, s.sep.component, 10)
			if len(parts) < 5 || strings.TrimSpace(parts[4]) == "" {
				continue
			}
			if len(out) >= maxEmbedded {
				left++
				continue
			}
			st := own(s)
			e := Embedded{MediaType: strings.ToLower(strings.Trim(parts[1]+"/"+parts[2], "/")), Status: st.words()}
			switch {
			case strings.EqualFold(parts[3], "Base64"):
				e.Base64 = strings.ReplaceAll(parts[4], string(s.sep.escape)+".br"+string(s.sep.escape), "")
			case strings.EqualFold(parts[3], "Hex"):
				e.Hex = parts[4]
			default:
				continue
			}
			out = append(out, e)
		}
	}
	return out, left
}
