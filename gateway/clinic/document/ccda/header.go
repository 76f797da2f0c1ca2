package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

// The limits of a header. Further ones are not read; Document.Repairs says so.
const (
	maxPeople  = 50   // authors, informants, participants … of each kind
	maxIDs     = 20   // identifiers, telecoms, addresses of one person
	maxWords   = 2000 // bytes of one name, title or code text
	maxSubject = 200  // encounters, orders, services, related documents
)

// Header is what a document says of itself, before its body.
type Header struct {
	Family          Family             `json:"family"`
	Type            DocType            `json:"type"`
	Templates       []chart.ID         `json:"templates,omitempty"`
	ID              chart.ID           `json:"id,omitzero"`
	SetID           chart.ID           `json:"set_id,omitzero"`
	Version         string             `json:"version,omitempty"`
	Code            chart.Code         `json:"code,omitzero"`
	Title           string             `json:"title,omitempty"`
	Time            chart.Time         `json:"time,omitzero"`
	Status          string             `json:"status,omitempty"` // of the document itself: "nullified" … (sdtc:statusCode)
	Confidentiality chart.Code         `json:"confidentiality,omitzero"`
	Language        string             `json:"language,omitempty"`
	Patients        []chart.Patient    `json:"patients,omitempty"` // one, or more in a group document
	Authors         []chart.Person     `json:"authors,omitempty"`
	Custodian       chart.Organization `json:"custodian,omitzero"`
	Authenticators  []chart.Person     `json:"authenticators,omitempty"` // the legal one first
	Recipients      []chart.Person     `json:"recipients,omitempty"`
	Enterers        []chart.Person     `json:"data_enterers,omitempty"`
	Informants      []chart.Person     `json:"informants,omitempty"`
	Participants    []chart.Person     `json:"participants,omitempty"`
	Encounters      []Encounter        `json:"encounters,omitempty"`
	Services        []Service          `json:"services,omitempty"`
	Orders          []chart.ID         `json:"orders,omitempty"` // inFulfillmentOf: referrals and orders answered
	Related         []Related          `json:"related,omitempty"`
}

// Encounter is the visit the document was written about.
type Encounter struct {
	IDs         []chart.ID     `json:"ids,omitempty"`
	Code        chart.Code     `json:"code,omitzero"`
	Start       chart.Time     `json:"start,omitzero"`
	End         chart.Time     `json:"end,omitzero"`
	Disposition chart.Code     `json:"disposition,omitzero"`
	Place       string         `json:"place,omitempty"`
	People      []chart.Person `json:"people,omitempty"`
}

// Service is what was done for the patient, and by whom (documentationOf).
type Service struct {
	Code       chart.Code     `json:"code,omitzero"`
	Start      chart.Time     `json:"start,omitzero"`
	End        chart.Time     `json:"end,omitzero"`
	Performers []chart.Person `json:"performers,omitempty"`
}

// Related is another document this one replaces (RPLC), appends to (APND) or transforms (XFRM).
type Related struct {
	Type    string     `json:"type"`
	IDs     []chart.ID `json:"ids,omitempty"`
	SetID   chart.ID   `json:"set_id,omitzero"`
	Version string     `json:"version,omitempty"`
}

// Patient is the first patient, or the zero value.
func (h *Header) Patient() chart.Patient {
	if len(h.Patients) == 0 {
		return chart.Patient{}
	}
	return h.Patients[0]
}

func readHeader(root xmltree.Node) Header {
	var h Header
	for id := range root.Elements("templateId") {
		if len(h.Templates) < maxIDs {
			h.Templates = append(h.Templates, readID(id))
		}
	}
	h.ID = readID(root.Child("id"))
	h.SetID = readID(root.Child("setId"))
	h.Version = root.Child("versionNumber").Attr("value")
	h.Code = readCode(root.Child("code"))
	h.Title = squeeze(root.Child("title").Text(maxWords))
	h.Time = readTime(root.Child("effectiveTime"))
	h.Status = trim(root.Child("sdtc:statusCode").Attr("code"))
	h.Confidentiality = readCode(root.Child("confidentialityCode"))
	h.Language = root.Child("languageCode").Attr("code")
	h.Type, h.Family = decideType(h.Templates, h.Code, h.Title)
	for rt := range root.Elements("recordTarget") {
		if role := rt.Child("patientRole"); role.OK() && len(h.Patients) < maxPeople {
			h.Patients = append(h.Patients, readPatient(role))
		}
	}
	h.Authors = people(root, "author", "assignedAuthor")
	h.Custodian = readOrg(root.Child("custodian", "assignedCustodian", "representedCustodianOrganization"))
	h.Authenticators = append(people(root, "legalAuthenticator", "assignedEntity"), people(root, "authenticator", "assignedEntity")...)
	h.Recipients = people(root, "informationRecipient", "intendedRecipient")
	h.Enterers = people(root, "dataEnterer", "assignedEntity")
	h.Informants = append(people(root, "informant", "assignedEntity"), people(root, "informant", "relatedEntity")...)
	h.Participants = people(root, "participant", "associatedEntity")
	readActs(root, &h)
	return h
}

// readActs reads the acts a header points at: encounters, services, orders, related documents.
func readActs(root xmltree.Node, h *Header) {
	for c := range root.Elements("componentOf") {
		if e := c.Child("encompassingEncounter"); e.OK() && len(h.Encounters) < maxSubject {
			h.Encounters = append(h.Encounters, readEncounter(e))
		}
	}
	for d := range root.Elements("documentationOf") {
		if s := d.Child("serviceEvent"); s.OK() && len(h.Services) < maxSubject {
			start, end := readInterval(s.Child("effectiveTime"))
			h.Services = append(h.Services, Service{readCode(s.Child("code")), start, end, people(s, "performer", "assignedEntity")})
		}
	}
	for f := range root.Elements("inFulfillmentOf") {
		for id := range f.Child("order").Elements("id") {
			if len(h.Orders) < maxSubject {
				h.Orders = append(h.Orders, readID(id))
			}
		}
	}
	for r := range root.Elements("relatedDocument") {
		if p := r.Child("parentDocument"); p.OK() && len(h.Related) < maxSubject {
			h.Related = append(h.Related, Related{r.Attr("typeCode"), readIDs(p), readID(p.Child("setId")), p.Child("versionNumber").Attr("value")})
		}
	}
}

func readEncounter(e xmltree.Node) Encounter {
	start, end := readInterval(e.Child("effectiveTime"))
	enc := Encounter{IDs: readIDs(e), Code: readCode(e.Child("code")), Start: start, End: end,
		Disposition: readCode(e.Child("dischargeDispositionCode"))}
	facility := e.Child("location", "healthCareFacility")
	enc.Place = readName(facility.Child("location", "name")).String()
	if enc.Place == "" {
		enc.Place = readName(facility.Child("serviceProviderOrganization", "name")).String()
	}
	enc.People = append(people(e, "responsibleParty", "assignedEntity"), people(e, "encounterParticipant", "assignedEntity")...)
	return enc
}

func readPatient(role xmltree.Node) chart.Patient {
	pt := role.Child("patient")
	p := chart.Patient{IDs: readIDs(role), Addresses: readAddresses(role), Telecoms: readTelecoms(role)}
	former := false
	for n := range pt.Elements("name") {
		name := readName(n)
		if name.Zero() || len(p.Others) >= maxIDs {
			continue
		}
		switch {
		case p.Name.Zero():
			p.Name, former = name, formerName(n)
		case former && !formerName(n): // a name that no longer holds is not the patient's
			p.Others, p.Name, former = append(p.Others, p.Name), name, false
		default:
			p.Others = append(p.Others, name)
		}
	}
	p.Birth = readTime(pt.Child("birthTime"))
	if p.Birth.Precision > chart.Day { // MP-162: a birth date is never finer than the day
		raw := p.Birth.Raw
		p.Birth = chart.ParseTime(raw[:8])
	}
	p.Sex = readCode(pt.Child("administrativeGenderCode"))
	p.Race = readCode(pt.Child("raceCode"))
	p.Ethnicity = readCode(pt.Child("ethnicGroupCode"))
	p.Marital = readCode(pt.Child("maritalStatusCode"))
	if v := trim(pt.Child("sdtc:deceasedInd").Attr("value")); v == "true" || v == "1" {
		p.Deceased = "yes"
	}
	if t := readTime(pt.Child("sdtc:deceasedTime")); t.Precision > chart.Unknown {
		p.Deceased = t.String()
	}
	for l := range pt.Elements("languageCommunication") {
		if c := l.Child("languageCode").Attr("code"); c != "" && len(p.Languages) < maxIDs {
			p.Languages = append(p.Languages, c)
		}
	}
	for g := range pt.Elements("guardian") {
		if len(p.Guardians) < maxIDs {
			p.Guardians = append(p.Guardians, readPerson(g))
		}
	}
	p.Provider = readOrg(role.Child("providerOrganization"))
	return p
}

// formerName says whether a name is a pseudonym, a birth name, or one whose time has ended.
func formerName(n xmltree.Node) bool {
	for _, use := range strings.Fields(n.Attr("use")) {
		switch use {
		case "P", "A", "BR", "I", "R", "SRCH":
			return true
		}
	}
	high := n.Child("validTime", "high")
	return high.OK() && (high.Attr("value") != "" || high.Attr("nullFlavor") == "UNK")
}

// people reads every participation of that name whose player is the element entity.
func people(n xmltree.Node, part, entity string) []chart.Person {
	var out []chart.Person
	for p := range n.Elements(part) {
		e := p.Child(entity)
		if !e.OK() || len(out) >= maxPeople {
			continue
		}
		who := readPerson(e)
		if who.Time = readTime(p.Child("time")); who.Role.Zero() {
			who.Role = readCode(p.Child("functionCode"))
		}
		out = append(out, who)
	}
	return out
}

// readPerson reads an assigned, associated, intended or guardian role.
func readPerson(e xmltree.Node) chart.Person {
	p := chart.Person{IDs: readIDs(e), Role: readCode(e.Child("code")), Telecoms: readTelecoms(e), Addresses: readAddresses(e)}
	for _, player := range []string{"assignedPerson", "associatedPerson", "informationRecipient", "relatedPerson", "guardianPerson"} {
		if n := e.Child(player, "name"); n.OK() {
			p.Name = readName(n)
		}
	}
	if d := e.Child("assignedAuthoringDevice"); d.OK() {
		p.Device = squeeze(d.Child("softwareName").Text(maxWords))
		if p.Device == "" {
			p.Device = squeeze(d.Child("manufacturerModelName").Text(maxWords))
		}
	}
	for _, org := range []string{"representedOrganization", "scopingOrganization", "receivedOrganization", "guardianOrganization"} {
		if o := e.Child(org); o.OK() {
			p.Organization = readOrg(o)
		}
	}
	return p
}

func readOrg(n xmltree.Node) chart.Organization {
	if !n.OK() {
		return chart.Organization{}
	}
	return chart.Organization{Name: squeeze(n.Child("name").Text(maxWords)), IDs: readIDs(n), Telecoms: readTelecoms(n), Addresses: readAddresses(n)}
}

// squeeze folds white space to single blanks and trims.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
