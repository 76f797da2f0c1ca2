package week

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Every document of the week is written here, for this project: invented people in invented places. The layout is
// that of C-CDA R2.1 as a practice exports it, with the sections and the coded entries that a reader looks at first.

// patient is somebody invented.
type patient struct {
	Given, Family, Sex, Birth string // Sex M or F, Birth YYYYMMDD
	Number                    string // at the practice or hospital that writes
	Street, City, Phone       string
}

// writer is who wrote a document, and for whom.
type writer struct {
	Given, Family, Suffix, House, Phone, Address string
	Root                                         string // of the house's own numbers
}

// paper is one document.
type paper struct {
	Kind       string // referral, discharge or continuity
	Number     int    // for its id
	Patient    patient
	Author     writer
	Written    time.Time
	Restricted bool
	Parts      []section
}

// section is one section: words, and a table whose lines are coded where they can be.
type section struct {
	Is    string // which section: a key of sections
	Words []string
	Lines []line
}

// line is one line of a table.
type line struct {
	Name, Detail, Since, Status string // Since YYYYMMDD or shorter
	Code, Unit, Value, Flag     string // SNOMED CT of a problem, RxNorm of a medicine, LOINC of a result
	Hours                       int    // between doses
}

type sectionKind struct{ title, code, name, template, heads string }

func sections() map[string]sectionKind {
	return map[string]sectionKind{
		"reason":   {"Reason for Referral", "42349-1", "Reason for referral", "1.3.6.1.4.1.19376.1.5.3.1.3.1", ""},
		"course":   {"Hospital Course", "8648-8", "Hospital course", "1.3.6.1.4.1.19376.1.5.3.1.3.5", ""},
		"problems": {"Problems", "11450-4", "Problem list", "2.16.840.1.113883.10.20.22.2.5.1", "Problem|Note|Since|Status"},
		"medicine": {"Medications", "10160-0", "History of medication use", "2.16.840.1.113883.10.20.22.2.1.1", "Medicine|How taken|Started|Status"},
		"results":  {"Results", "30954-2", "Relevant diagnostic tests and laboratory data", "2.16.840.1.113883.10.20.22.2.3.1", "Test|Value|Date|Status"},
		"plan":     {"Plan of Treatment", "18776-5", "Plan of care note", "2.16.840.1.113883.10.20.22.2.10", ""},
		"allergy":  {"Allergies and Intolerances", "48765-2", "Allergies and adverse reactions", "2.16.840.1.113883.10.20.22.2.6", ""},
	}
}

type kind struct{ code, name, title, template string }

func kinds() map[string]kind {
	return map[string]kind{
		"referral":   {"57133-1", "Referral note", "Referral Note: Cardiology", "2.16.840.1.113883.10.20.22.1.14"},
		"discharge":  {"18842-5", "Discharge summary", "Discharge Summary", "2.16.840.1.113883.10.20.22.1.8"},
		"continuity": {"34133-9", "Summarization of episode note", "Continuity of Care Document", "2.16.840.1.113883.10.20.22.1.2"},
	}
}

const stamp = "20060102150405-0700"

// ccda writes the document.
func (p paper) ccda() []byte {
	k := kinds()[p.Kind]
	secret := "N"
	if p.Restricted {
		secret = "R"
	}
	var b bytes.Buffer
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	put(`<?xml version="1.0" encoding="UTF-8"?>`)
	put(`<!-- A synthetic document: the patient, the people and the places are invented. -->`)
	put(`<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:sdtc="urn:hl7-org:sdtc"><realmCode code="US"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>`)
	put(`<templateId root="2.16.840.1.113883.10.20.22.1.1" extension="2015-08-01"/><templateId root="%s" extension="2015-08-01"/>`, k.template)
	put(`<id root="%s.77" extension="D-%04d"/><code code="%s" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" displayName="%s"/><title>%s</title>`, p.Author.Root, p.Number, k.code, k.name, k.title)
	put(`<effectiveTime value="%s"/><confidentialityCode code="%s" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="en-US"/><setId root="%s.78" extension="S-%04d"/><versionNumber value="1"/>`,
		p.Written.Format(stamp), secret, p.Author.Root, p.Number)
	p.head(put)
	put(`<component><structuredBody>`)
	for i, s := range p.Parts {
		s.write(put, p, i)
	}
	put(`</structuredBody></component></ClinicalDocument>`)
	return b.Bytes()
}

func (p paper) head(put func(string, ...any)) {
	who, by := p.Patient, p.Author
	put(`<recordTarget><patientRole><id root="%s.1" extension="%s" assigningAuthorityName="%s"/>`, by.Root, who.Number, text(by.House))
	put(`<addr use="HP"><streetAddressLine>%s</streetAddressLine><city>%s</city><state>OR</state><postalCode>97630</postalCode><country>US</country></addr><telecom use="HP" value="tel:%s"/>`, who.Street, who.City, who.Phone)
	put(`<patient><name use="L"><given>%s</given><family>%s</family></name><administrativeGenderCode code="%s" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="%s"/></patient>`, who.Given, who.Family, who.Sex, who.Birth)
	put(`<providerOrganization><id root="%s"/><name>%s</name><telecom use="WP" value="tel:%s"/></providerOrganization></patientRole></recordTarget>`, by.Root, text(by.House), by.Phone)
	put(`<author><time value="%s"/><assignedAuthor><id root="%s.9" extension="%s"/><telecom use="WP" value="tel:%s"/><telecom value="mailto:%s"/>`, p.Written.Format(stamp), by.Root, strings.ToLower(by.Family), by.Phone, by.Address)
	put(`<assignedPerson><name><given>%s</given><family>%s</family><suffix>%s</suffix></name></assignedPerson><representedOrganization><id root="%s"/><name>%s</name></representedOrganization></assignedAuthor></author>`,
		by.Given, by.Family, by.Suffix, by.Root, text(by.House))
	put(`<custodian><assignedCustodian><representedCustodianOrganization><id root="%s"/><name>%s</name></representedCustodianOrganization></assignedCustodian></custodian>`, by.Root, text(by.House))
}

func (s section) write(put func(string, ...any), p paper, n int) {
	k := sections()[s.Is]
	put(`<component><section><templateId root="%s"/><code code="%s" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" displayName="%s"/><title>%s</title><text>`, k.template, k.code, k.name, k.title)
	for i, w := range s.Words {
		put(`<paragraph ID="w%d-%d">%s</paragraph>`, n, i, text(w))
	}
	if len(s.Lines) > 0 {
		put(`<table><thead><tr>%s</tr></thead><tbody>`, cells("th", strings.Split(k.heads, "|")))
		for i, l := range s.Lines {
			second := l.Detail
			if s.Is == "results" {
				second = strings.TrimSpace(l.Value + " " + l.Unit + " " + l.Detail)
			}
			put(`<tr><td ID="l%d-%d">%s</td>%s</tr>`, n, i, text(l.Name), cells("td", []string{second, words(l.Since), l.Status}))
		}
		put(`</tbody></table>`)
	}
	put(`</text>`)
	for i, l := range s.Lines {
		if l.Code != "" {
			put(`<entry typeCode="DRIV">%s</entry>`, l.entry(s.Is, fmt.Sprintf("%s.%d.%d.%d", p.Author.Root, p.Number, n+10, i+1), fmt.Sprintf("l%d-%d", n, i)))
		}
	}
	put(`</section></component>`)
}

// entry is a line in codes.
func (l line) entry(is, id, ref string) string {
	status := "completed"
	if strings.EqualFold(l.Status, "active") || strings.EqualFold(l.Status, "new") {
		status = "active"
	}
	switch is {
	case "problems":
		return fmt.Sprintf(`<act classCode="ACT" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.3" extension="2015-08-01"/><id root="%s"/><code code="CONC" codeSystem="2.16.840.1.113883.5.6"/><statusCode code="%s"/><effectiveTime><low value="%s"/></effectiveTime>`+
			`<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.4" extension="2015-08-01"/><id root="%s.1"/><code code="55607006" codeSystem="2.16.840.1.113883.6.96" displayName="Problem"/><text><reference value="#%s"/></text><statusCode code="completed"/><effectiveTime><low value="%s"/></effectiveTime>`+
			`<value xsi:type="CD" code="%s" codeSystem="2.16.840.1.113883.6.96" displayName="%s"/></observation></entryRelationship></act>`, id, status, l.Since, id, ref, l.Since, l.Code, text(l.Name))
	case "medicine":
		return fmt.Sprintf(`<substanceAdministration classCode="SBADM" moodCode="INT"><templateId root="2.16.840.1.113883.10.20.22.4.16" extension="2014-06-09"/><id root="%s"/><text><reference value="#%s"/></text><statusCode code="%s"/><effectiveTime xsi:type="IVL_TS"><low value="%s"/></effectiveTime>`+
			`<effectiveTime xsi:type="PIVL_TS" institutionSpecified="true" operator="A"><period value="%d" unit="h"/></effectiveTime><routeCode code="C38288" codeSystem="2.16.840.1.113883.3.26.1.1" displayName="Oral"/><doseQuantity value="1"/>`+
			`<consumable><manufacturedProduct classCode="MANU"><templateId root="2.16.840.1.113883.10.20.22.4.23" extension="2014-06-09"/><manufacturedMaterial><code code="%s" codeSystem="2.16.840.1.113883.6.88" displayName="%s"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration>`,
			id, ref, status, l.Since, max(l.Hours, 24*btoi(l.Hours == 0)), l.Code, text(l.Name))
	case "results":
		flag := l.Flag
		if flag == "" {
			flag = "N"
		}
		return fmt.Sprintf(`<organizer classCode="BATTERY" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.1" extension="2015-08-01"/><id root="%s"/><code code="%s" codeSystem="2.16.840.1.113883.6.1" displayName="%s"/><statusCode code="completed"/>`+
			`<component><observation classCode="OBS" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.2" extension="2015-08-01"/><id root="%s.1"/><code code="%s" codeSystem="2.16.840.1.113883.6.1" displayName="%s"/><text><reference value="#%s"/></text><statusCode code="completed"/><effectiveTime value="%s"/>`+
			`<value xsi:type="PQ" value="%s" unit="%s"/><interpretationCode code="%s" codeSystem="2.16.840.1.113883.5.83"/></observation></component></organizer>`, id, l.Code, text(l.Name), id, l.Code, text(l.Name), ref, l.Since, l.Value, l.Unit, flag)
	}
	return ""
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func cells(tag string, values []string) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "<%s>%s</%s>", tag, text(v), tag)
	}
	return b.String()
}

// words is a date as the table says it.
func words(day string) string {
	if t, err := time.Parse("20060102", day); err == nil {
		return t.Format("2 Jan 2006")
	}
	return day
}

func text(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder never fails
	return b.String()
}

var (
	digits = regexp.MustCompile(`\b2026(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])`)
	months = regexp.MustCompile(`"2026(?:0[1-9]|1[0-2])"`)
	spoken = regexp.MustCompile(`(?:\b\d{1,2} )?\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) 2026\b`)
)

// moved is a sample document with its dates of 2026 moved, so that the day it was written on is another.
func moved(doc []byte, from, to time.Time) []byte {
	days := int(time.Date(to.Year(), to.Month(), to.Day(), 0, 0, 0, 0, time.UTC).Sub(from) / (24 * time.Hour))
	shift := func(layout string) func([]byte) []byte {
		return func(b []byte) []byte {
			t, err := time.Parse(layout, string(b))
			if err != nil {
				return b
			}
			return []byte(t.AddDate(0, 0, days).Format(layout))
		}
	}
	doc = digits.ReplaceAllFunc(doc, shift("20060102"))
	doc = months.ReplaceAllFunc(doc, func(b []byte) []byte { return month(`"200601"`, b, days) })
	return spoken.ReplaceAllFunc(doc, func(b []byte) []byte {
		if b[0] <= '9' {
			return shift("2 Jan 2006")(b)
		}
		return month("Jan 2006", b, days)
	})
}

// month moves a date that names no day as its 28th goes.
func month(layout string, b []byte, days int) []byte {
	t, err := time.Parse(layout, string(b))
	if err != nil {
		return b
	}
	return []byte(t.AddDate(0, 0, 27+days).Format(layout))
}

// labMessage is a laboratory's result as an HL7 v2.5.1 message.
func labMessage(p patient, at time.Time, panel string, tests []line) []byte {
	seg := []string{fmt.Sprintf(`MSH|^~\&|LAB|Mercy General Laboratory|||%s||ORU^R01^ORU_R01|%s|P|2.5.1`, at.Format(stamp), at.Format("0102150405")),
		fmt.Sprintf(`PID|1||%s^^^Mercy General Hospital&2.25.77001.1&ISO^MR||%s^%s||%s|%s|||%s^^%s^OR^97630||%s`, p.Number, p.Family, p.Given, p.Birth, p.Sex, p.Street, p.City, p.Phone),
		fmt.Sprintf(`OBR|1||L-%s|%s|||%s|||||||||1700000001^Castile^Renata^^^^MD||||||%s|||F`, p.Number, panel, at.Add(-3*time.Hour).Format(stamp), at.Format(stamp))}
	for i, t := range tests {
		seg = append(seg, fmt.Sprintf(`OBX|%d|NM|%s^%s^LN||%s|%s|%s|%s|||F|||%s`, i+1, t.Code, t.Name, t.Value, t.Unit, t.Detail, t.Flag, at.Add(-3*time.Hour).Format(stamp)))
	}
	return []byte(strings.Join(seg, "\r") + "\r")
}

// labBundle is a laboratory's report as a FHIR R4 document.
func labBundle(p patient, at time.Time, name string, tests []line) []byte {
	sex := map[string]string{"M": "male", "F": "female"}[p.Sex]
	birth := p.Birth[:4] + "-" + p.Birth[4:6] + "-" + p.Birth[6:]
	var b strings.Builder
	fmt.Fprintf(&b, `{"resourceType":"Bundle","type":"collection","timestamp":%q,"entry":[
{"resource":{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:oid:2.25.77001.1","value":%q}],"name":[{"family":%q,"given":[%q]}],"gender":%q,"birthDate":%q,"telecom":[{"system":"phone","value":%q}],"address":[{"line":[%q],"city":%q,"state":"OR","postalCode":"97630"}]}},
{"resource":{"resourceType":"Practitioner","id":"d","name":[{"family":"Castile","given":["Renata"]}]}},
{"resource":{"resourceType":"DiagnosticReport","id":"r","status":"final","code":{"text":%q},"subject":{"reference":"Patient/p"},"effectiveDateTime":%q,"performer":[{"reference":"Practitioner/d"}]}}`,
		at.Format(time.RFC3339), p.Number, p.Family, p.Given, sex, birth, p.Phone, p.Street, p.City, name, at.Format(time.RFC3339))
	for i, t := range tests {
		fmt.Fprintf(&b, ",\n"+`{"resource":{"resourceType":"Observation","id":"o%d","status":"final","subject":{"reference":"Patient/p"},"code":{"coding":[{"system":"http://loinc.org","code":%q,"display":%q}]},"effectiveDateTime":%q,"valueQuantity":{"value":%s,"unit":%q}`,
			i+1, t.Code, t.Name, at.Format(time.RFC3339), t.Value, t.Unit)
		if t.Flag != "" {
			fmt.Fprintf(&b, `,"interpretation":[{"coding":[{"code":%q,"display":%q}]}]`, t.Flag, map[string]string{"H": "High", "L": "Low", "HH": "Critical high"}[t.Flag])
		}
		b.WriteString("}}")
	}
	b.WriteString("]}\n")
	return []byte(b.String())
}
