// Package chart holds the few values that every kind of clinical document speaks of: a code, an
// identifier, a time of limited precision, a person, an organisation, a patient, and the lines a
// clinician decides on (Item). It also holds Finding, a remark about a document.
//
// The values are plain data with JSON names in snake case. Nothing here reads a format; ccda, hl7,
// fhir and xdm fill these in. Empty means "not stated", never "none".
package chart

import "strings"

// ID is an instance identifier: a number in the naming system of an authority (HL7 II, CX).
type ID struct {
	Root      string `json:"root,omitempty"`      // OID or UUID of the naming system
	Extension string `json:"extension,omitempty"` // the number in it
	Authority string `json:"authority,omitempty"` // assigning authority's name
	Type      string `json:"type,omitempty"`      // HL7 table 0203 (MR, SS, PI …) where said
	Null      string `json:"null,omitempty"`      // null flavour when there is no identifier
}

// String is the identifier as root^extension, or what there is of it.
func (i ID) String() string {
	switch {
	case i.Root != "" && i.Extension != "":
		return i.Root + "^" + i.Extension
	case i.Extension != "":
		return i.Extension
	}
	return i.Root
}

// Zero says whether nothing at all is stated.
func (i ID) Zero() bool { return i.Root == "" && i.Extension == "" }

// Code is a coded value with its words.
type Code struct {
	Code    string `json:"code,omitempty"`
	System  string `json:"system,omitempty"` // OID or URI
	Display string `json:"display,omitempty"`
	Text    string `json:"text,omitempty"` // the sender's original words
	Null    string `json:"null,omitempty"` // null flavour
}

// Zero says whether neither a code nor words are stated.
func (c Code) Zero() bool { return c.Code == "" && c.Display == "" && c.Text == "" }

// Words is the best text for a reader: the sender's own, the display name, or the code.
func (c Code) Words() string {
	switch {
	case c.Text != "":
		return c.Text
	case c.Display != "":
		return c.Display
	}
	return c.Code
}

// Name is a person's name as given.
type Name struct {
	Prefix string `json:"prefix,omitempty"`
	Given  string `json:"given,omitempty"` // all given names, space between
	Family string `json:"family,omitempty"`
	Suffix string `json:"suffix,omitempty"`
	Text   string `json:"text,omitempty"` // a name written without parts
	Use    string `json:"use,omitempty"`
}

// Zero says whether no name is stated.
func (n Name) Zero() bool { return n.Given == "" && n.Family == "" && n.Text == "" }

// String is the name in reading order.
func (n Name) String() string {
	if n.Given == "" && n.Family == "" {
		return n.Text
	}
	return join(" ", n.Prefix, n.Given, n.Family, n.Suffix)
}

// Sort is the name in filing order: family, given.
func (n Name) Sort() string {
	if n.Given == "" && n.Family == "" {
		return n.Text
	}
	return join(", ", n.Family, join(" ", n.Given, n.Suffix))
}

// Address is a postal address.
type Address struct {
	Lines   []string `json:"lines,omitempty"`
	City    string   `json:"city,omitempty"`
	State   string   `json:"state,omitempty"`
	Postal  string   `json:"postal,omitempty"`
	Country string   `json:"country,omitempty"`
	Use     string   `json:"use,omitempty"`
}

// Zero says whether no address is stated.
func (a Address) Zero() bool {
	return len(a.Lines) == 0 && a.City == "" && a.State == "" && a.Postal == ""
}

// String is the address on one line.
func (a Address) String() string {
	return join(", ", strings.Join(a.Lines, ", "), a.City, join(" ", a.State, a.Postal), a.Country)
}

// Telecom is a telephone number or an electronic address, as a URI where the sender made it one.
type Telecom struct {
	Value string `json:"value"`
	Use   string `json:"use,omitempty"`
}

// Number is the value without its tel: or mailto: scheme.
func (t Telecom) Number() string {
	v := strings.TrimSpace(t.Value)
	for _, scheme := range []string{"tel:", "mailto:", "fax:"} {
		if len(v) >= len(scheme) && strings.EqualFold(v[:len(scheme)], scheme) {
			return strings.TrimSpace(v[len(scheme):])
		}
	}
	return v
}

// Organization is a clinic, hospital, practice or payer.
type Organization struct {
	Name      string    `json:"name,omitempty"`
	IDs       []ID      `json:"ids,omitempty"`
	Telecoms  []Telecom `json:"telecoms,omitempty"`
	Addresses []Address `json:"addresses,omitempty"`
}

// Zero says whether nothing is stated.
func (o Organization) Zero() bool { return o.Name == "" && len(o.IDs) == 0 }

// Person is somebody with a part in the document who is not its patient.
type Person struct {
	Name         Name         `json:"name,omitzero"`
	Role         Code         `json:"role,omitzero"`    // specialty, function or relationship
	Device       string       `json:"device,omitempty"` // a system rather than a person
	IDs          []ID         `json:"ids,omitempty"`
	Telecoms     []Telecom    `json:"telecoms,omitempty"`
	Addresses    []Address    `json:"addresses,omitempty"`
	Organization Organization `json:"organization,omitzero"`
	Time         Time         `json:"time,omitzero"`
}

// String names the person, the device or at least the organisation.
func (p Person) String() string {
	who := p.Name.String()
	if who == "" {
		who = p.Device
	}
	return join(", ", who, p.Organization.Name)
}

// Patient is the person the document is about.
type Patient struct {
	Name      Name         `json:"name,omitzero"`
	Others    []Name       `json:"other_names,omitempty"`
	IDs       []ID         `json:"ids,omitempty"`
	Birth     Time         `json:"birth,omitzero"` // never finer than the day (MP-162)
	Sex       Code         `json:"sex,omitzero"`
	Deceased  string       `json:"deceased,omitempty"` // "yes", or the time
	Race      Code         `json:"race,omitzero"`
	Ethnicity Code         `json:"ethnicity,omitzero"`
	Marital   Code         `json:"marital,omitzero"`
	Languages []string     `json:"languages,omitempty"`
	Addresses []Address    `json:"addresses,omitempty"`
	Telecoms  []Telecom    `json:"telecoms,omitempty"`
	Guardians []Person     `json:"guardians,omitempty"`
	Provider  Organization `json:"provider,omitzero"`
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
