package fhir

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// maxList is how many identifiers, addresses and the like of one person are kept.
const maxList = 20

func patient(e element) chart.Patient {
	p := chart.Patient{Birth: chart.ParseTime(str(e, "birthDate"))}
	p.Name, p.Others = names(e)
	if g := str(e, "gender"); g != "" {
		p.Sex = chart.Code{Code: map[string]string{"male": "M", "female": "F"}[g], Display: g}
	}
	if v := str(e, "deceasedDateTime"); v != "" {
		p.Deceased = chart.ParseTime(v).String()
	} else if str(e, "deceasedBoolean") == "true" {
		p.Deceased = "yes"
	}
	var retired []chart.ID
	for _, id := range e.get("identifier") {
		x := chart.ID{Root: strings.TrimPrefix(str(id, "system"), "urn:oid:"), Extension: str(id, "value"), Authority: str(id, "assigner", "display"), Type: str(id, "type", "coding", "code")}
		switch {
		case x.Extension == "":
		case str(id, "use") == "old":
			retired = append(retired, x)
		case len(p.IDs) < maxList:
			p.IDs = append(p.IDs, x)
		}
	}
	if len(p.IDs) == 0 {
		p.IDs = retired[:min(len(retired), maxList)]
	}
	for _, t := range e.get("telecom") {
		if v := str(t, "value"); v != "" && len(p.Telecoms) < maxList && str(t, "use") != "old" {
			p.Telecoms = append(p.Telecoms, chart.Telecom{Value: v, Use: str(t, "use")})
		}
	}
	for _, a := range e.get("address") {
		addr := chart.Address{City: str(a, "city"), State: str(a, "state"), Postal: str(a, "postalCode"), Country: str(a, "country"), Use: str(a, "use")}
		for _, l := range a.get("line") {
			addr.Lines = append(addr.Lines, l.text())
		}
		if !addr.Zero() && len(p.Addresses) < maxList && addr.Use != "old" {
			p.Addresses = append(p.Addresses, addr)
		}
	}
	return p
}

// names is the name in use, and the others: an old or maiden name is not what the patient is called now.
func names(e element) (use chart.Name, others []chart.Name) {
	rank := func(n chart.Name) int {
		switch n.Use {
		case "official":
			return 0
		case "usual", "":
			return 1
		case "old", "maiden":
			return 3
		}
		return 2
	}
	for _, x := range e.get("name") {
		n := humanName(x)
		switch {
		case n.Zero():
		case use.Zero():
			use = n
		case rank(n) < rank(use):
			use, others = n, append(others, use)
		case len(others) < maxList:
			others = append(others, n)
		}
	}
	return use, others
}

func humanName(e element) chart.Name {
	if e == nil {
		return chart.Name{}
	}
	n := chart.Name{Family: clip(str(e, "family")), Text: clip(str(e, "text")), Use: str(e, "use"), Prefix: clip(str(e, "prefix")), Suffix: clip(str(e, "suffix"))}
	var given []string
	for i, g := range e.get("given") {
		if i < maxList {
			given = append(given, clip(g.text()))
		}
	}
	n.Given = strings.Join(given, " ")
	return n
}

// author is who the composition, the message or the request says it is from; the only practitioner of a
// bundle where nothing says so. One of several practitioners is not taken for the author.
func (b *bundle) author() chart.Person {
	for _, by := range []struct{ kind, field string }{
		{"Composition", "author"}, {"MessageHeader", "author"}, {"DocumentReference", "author"}, {"ServiceRequest", "requester"}, {"ReferralRequest", "requester"},
		{"Task", "requester"}, {"DiagnosticReport", "performer"}, {"MedicationRequest", "requester"}, {"Observation", "performer"},
	} {
		for _, x := range b.entries {
			if x.e.kind() != by.kind || x.old != "" {
				continue
			}
			ref := at(x.e, by.field)
			if ref != nil && at(ref, "agent") != nil { // STU3
				ref = at(ref, "agent")
			}
			if p := b.person(ref, x); p.String() != "" {
				return p
			}
		}
	}
	var out chart.Person
	who, where := 0, 0
	for _, x := range b.entries {
		switch x.e.kind() {
		case "Practitioner":
			if who++; who == 1 {
				out.Name = humanName(at(x.e, "name"))
			}
		case "Organization":
			if where++; where == 1 {
				out.Organization.Name = str(x.e, "name")
			}
		}
	}
	if who > 1 {
		out.Name = chart.Name{}
	}
	if where > 1 {
		out.Organization.Name = ""
	}
	return out
}

// person is who a reference names.
func (b *bundle) person(ref element, from entry) chart.Person {
	if ref == nil {
		return chart.Person{}
	}
	e := b.follow(ref, from)
	if e == nil {
		return chart.Person{Name: chart.Name{Text: str(ref, "display")}}
	}
	switch e.kind() {
	case "Practitioner", "RelatedPerson":
		return chart.Person{Name: humanName(at(e, "name"))}
	case "Patient":
		n, _ := names(e)
		return chart.Person{Name: n, Role: chart.Code{Text: "the patient"}}
	case "Organization":
		return chart.Person{Organization: chart.Organization{Name: str(e, "name")}}
	case "Device":
		return chart.Person{Device: first(str(e, "deviceName", "name"), str(e, "type", "text"), str(ref, "display"))}
	case "PractitionerRole":
		var p chart.Person
		if who := b.follow(at(e, "practitioner"), from); who != nil {
			p.Name = humanName(at(who, "name"))
		} else {
			p.Name.Text = str(e, "practitioner", "display")
		}
		if org := b.follow(at(e, "organization"), from); org != nil {
			p.Organization.Name = str(org, "name")
		} else {
			p.Organization.Name = str(e, "organization", "display")
		}
		return p
	}
	return chart.Person{Name: chart.Name{Text: str(ref, "display")}}
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
