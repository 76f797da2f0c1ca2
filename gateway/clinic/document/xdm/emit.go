package xdm

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// emitter writes METADATA.XML. It is built from strings because ebRIM is: every value goes through esc.
type emitter struct {
	b strings.Builder
	n int // running number of ids
}

func esc(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

func (e *emitter) line(format string, args ...any) { fmt.Fprintf(&e.b, format+"\n", args...) }

func (e *emitter) id() string {
	e.n++
	return "id" + strconv.Itoa(e.n)
}

// writeMetadata is the lcm:SubmitObjectsRequest of a submission (XD-31).
func writeMetadata(s Submission, files []fileFacts) string {
	e := &emitter{}
	e.line(`<?xml version="1.0" encoding="UTF-8"?>`)
	e.line(`<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">`)
	e.line(`<RegistryObjectList>`)
	for i, d := range s.Documents {
		e.document(fmt.Sprintf("Document%02d", i+1), d, files[i], s.Limited)
	}
	e.set(s)
	for i := range s.Documents {
		e.line(`<Association id="%s" objectType="%s" associationType="%s" sourceObject="SubmissionSet01" targetObject="Document%02d">`,
			e.id(), objectAssociation, associationMember, i+1)
		e.slot("SubmissionSetStatus", "Original")
		e.line(`</Association>`)
	}
	e.line(`</RegistryObjectList>`)
	e.line(`</lcm:SubmitObjectsRequest>`)
	return e.b.String()
}

func (e *emitter) document(id string, d Part, f fileFacts, limited bool) {
	e.line(`<ExtrinsicObject id="%s" objectType="%s" status="%s" mimeType="%s" isOpaque="false">`, id, objectStable, statusApproved, esc(d.MediaType))
	e.slot("creationTime", stamp(d.Created))
	e.slot("hash", f.hash)
	e.slot("languageCode", d.Language)
	e.slot("serviceStartTime", stamp(d.ServiceStart))
	e.slot("serviceStopTime", stamp(d.ServiceStop))
	e.slot("size", strconv.FormatInt(f.size, 10))
	e.slot("sourcePatientId", d.SourcePatientID)
	e.slot("sourcePatientInfo", d.SourcePatient...)
	e.slot("URI", f.name)
	e.name(d.Title)
	for _, a := range d.Authors {
		e.author(id, schemeAuthor, a)
	}
	e.code(id, schemeClass, d.Class)
	e.code(id, schemePrivacy, d.Confidentiality)
	e.code(id, schemeFormat, d.Format)
	e.code(id, schemeFacility, d.Facility)
	e.code(id, schemePractice, d.Practice)
	e.code(id, schemeType, d.Type)
	e.external(id, idPatient, d.PatientID, "XDSDocumentEntry.patientId")
	e.external(id, idUnique, d.UniqueID, "XDSDocumentEntry.uniqueId")
	if limited {
		e.line(`<Classification id="%s" objectType="%s" classifiedObject="%s" classificationNode="%s"/>`, e.id(), objectClassify, id, nodeLimited)
	}
	e.line(`</ExtrinsicObject>`)
}

func (e *emitter) set(s Submission) {
	const id = "SubmissionSet01"
	e.line(`<RegistryPackage id="%s" objectType="%s" status="%s">`, id, objectPackage, statusApproved)
	e.slot("submissionTime", s.Time.UTC().Format("20060102150405"))
	var to []string
	for _, r := range s.Recipients {
		to = append(to, "||^^Internet^"+r)
	}
	e.slot("intendedRecipient", to...)
	e.slot("purpose", s.Purpose)
	e.slot("urn:ihe:iti:xds:2013:referenceIdList", s.References...)
	e.name(s.Title)
	if s.From != "" {
		e.author(id, schemeSetAuthor, Author{Telecom: []string{"^^Internet^" + s.From}})
	}
	e.code(id, schemeContentType, s.ContentType)
	e.external(id, idSetPatient, s.PatientID, "XDSSubmissionSet.patientId")
	e.external(id, idSetSource, s.SourceID, "XDSSubmissionSet.sourceId")
	e.external(id, idSetUnique, s.UniqueID, "XDSSubmissionSet.uniqueId")
	if s.Limited {
		e.line(`<Classification id="%s" objectType="%s" classifiedObject="%s" classificationNode="%s"/>`, e.id(), objectClassify, id, nodeSetLimited)
	}
	e.line(`</RegistryPackage>`)
	e.line(`<Classification id="%s" objectType="%s" classifiedObject="%s" classificationNode="%s"/>`, e.id(), objectClassify, id, nodeSubmissionSet)
}

func (e *emitter) slot(name string, values ...string) {
	var kept []string
	for _, v := range values {
		if v != "" {
			kept = append(kept, "<Value>"+esc(v)+"</Value>")
		}
	}
	if len(kept) > 0 {
		e.line(`<Slot name="%s"><ValueList>%s</ValueList></Slot>`, name, strings.Join(kept, ""))
	}
}

func (e *emitter) name(s string) {
	if s != "" {
		e.line(`<Name><LocalizedString value="%s"/></Name>`, esc(s))
	}
}

func (e *emitter) code(owner, scheme string, c chart.Code) {
	if c.Code == "" {
		return
	}
	e.line(`<Classification id="%s" objectType="%s" classificationScheme="%s" classifiedObject="%s" nodeRepresentation="%s">`,
		e.id(), objectClassify, scheme, owner, esc(c.Code))
	e.slot("codingScheme", c.System)
	display := c.Display
	if display == "" {
		display = c.Code
	}
	e.name(display)
	e.line(`</Classification>`)
}

func (e *emitter) author(owner, scheme string, a Author) {
	e.line(`<Classification id="%s" objectType="%s" classificationScheme="%s" classifiedObject="%s" nodeRepresentation="">`, e.id(), objectClassify, scheme, owner)
	e.slot("authorPerson", a.Person)
	e.slot("authorInstitution", a.Institution...)
	e.slot("authorRole", a.Role...)
	e.slot("authorSpecialty", a.Specialty...)
	e.slot("authorTelecommunication", a.Telecom...)
	e.line(`</Classification>`)
}

func (e *emitter) external(owner, scheme, value, name string) {
	if value == "" {
		return
	}
	e.line(`<ExternalIdentifier id="%s" objectType="%s" registryObject="%s" identificationScheme="%s" value="%s"><Name><LocalizedString value="%s"/></Name></ExternalIdentifier>`,
		e.id(), objectExternal, owner, scheme, esc(value), name)
}

// stamp is a DTM in UTC as XDS wants it, as fine as the time is known.
func stamp(t chart.Time) string {
	switch t.Precision {
	case chart.Year:
		return t.At.Format("2006")
	case chart.Month:
		return t.At.Format("200601")
	case chart.Day:
		return t.At.Format("20060102")
	case chart.Minute, chart.Second:
		return t.At.UTC().Format("20060102150405")
	}
	return ""
}
