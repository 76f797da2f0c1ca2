package xdm

import (
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

// Identifiers of XDS metadata (spec: IHE ITI TF-3, table of classification schemes).
const (
	objectStable      = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
	schemeAuthor      = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
	schemeSetAuthor   = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
	schemeClass       = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
	schemePrivacy     = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
	schemeFormat      = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
	schemeFacility    = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
	schemePractice    = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
	schemeType        = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
	schemeContentType = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
	idPatient         = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
	idUnique          = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
	idSetPatient      = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
	idSetSource       = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
	idSetUnique       = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
	nodeSubmissionSet = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
	nodeLimited       = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"
	nodeSetLimited    = "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707"
	associationMember = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
	objectClassify    = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification"
	objectExternal    = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier"
	objectPackage     = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage"
	objectAssociation = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association"
	statusApproved    = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
	maxValues         = 200  // values of one slot
	maxValue          = 4096 // bytes of one value
)

// metadata is a METADATA.XML taken apart: objects, and what is said of them beside or inside them.
type metadata struct {
	objects  []xmltree.Node
	packages []xmltree.Node
	classes  map[string][]xmltree.Node // by the object they classify
	ids      map[string][]xmltree.Node
}

func collect(t *xmltree.Tree) *metadata {
	m := &metadata{classes: map[string][]xmltree.Node{}, ids: map[string][]xmltree.Node{}}
	t.Document().Walk(func(n xmltree.Node) bool {
		switch n.Name() {
		case "ExtrinsicObject":
			if len(m.objects) <= MaxDocuments {
				m.objects = append(m.objects, n)
			}
		case "RegistryPackage":
			if len(m.packages) < MaxSets {
				m.packages = append(m.packages, n)
			}
		case "Classification":
			k := owner(n, "classifiedObject")
			if len(m.classes[k]) < maxValues {
				m.classes[k] = append(m.classes[k], n)
			}
		case "ExternalIdentifier":
			k := owner(n, "registryObject")
			if len(m.ids[k]) < maxValues {
				m.ids[k] = append(m.ids[k], n)
			}
		}
		return true
	}, nil)
	return m
}

// owner is the id of the object that a classification or identifier belongs to: the one around it, else
// the one it names.
func owner(n xmltree.Node, attr string) string {
	if up := n.Parent(); up.Name() == "ExtrinsicObject" || up.Name() == "RegistryPackage" {
		return up.Attr("id")
	}
	return n.Attr(attr)
}

func (m *metadata) classified(n xmltree.Node, node string) bool {
	for _, c := range m.classes[n.Attr("id")] {
		if strings.EqualFold(c.Attr("classificationNode"), node) {
			return true
		}
	}
	return false
}

func (m *metadata) class(n xmltree.Node, scheme string) []xmltree.Node {
	var out []xmltree.Node
	for _, c := range m.classes[n.Attr("id")] {
		if strings.EqualFold(c.Attr("classificationScheme"), scheme) && len(out) < maxValues {
			out = append(out, c)
		}
	}
	return out
}

func (m *metadata) code(n xmltree.Node, scheme string) chart.Code {
	for _, c := range m.class(n, scheme) {
		return chart.Code{Code: clipValue(c.Attr("nodeRepresentation")), System: slot(c, "codingScheme"), Display: localized(c, "Name")}
	}
	return chart.Code{}
}

func (m *metadata) external(n xmltree.Node, scheme string) string {
	for _, e := range m.ids[n.Attr("id")] {
		if strings.EqualFold(e.Attr("identificationScheme"), scheme) {
			return clipValue(e.Attr("value"))
		}
	}
	return ""
}

func (m *metadata) authors(n xmltree.Node, scheme string) []Author {
	var out []Author
	for _, c := range m.class(n, scheme) {
		out = append(out, Author{Person: slot(c, "authorPerson"), Institution: slots(c, "authorInstitution"), Role: slots(c, "authorRole"),
			Specialty: slots(c, "authorSpecialty"), Telecom: slots(c, "authorTelecommunication")})
	}
	return out
}

func (m *metadata) fillSet(s *Set, n xmltree.Node) {
	s.EntryUUID = clipValue(n.Attr("id"))
	s.UniqueID, s.SourceID, s.PatientID = m.external(n, idSetUnique), m.external(n, idSetSource), m.external(n, idSetPatient)
	s.Time = chart.ParseTime(slot(n, "submissionTime"))
	s.Title, s.Comments = localized(n, "Name"), localized(n, "Description")
	s.ContentType = m.code(n, schemeContentType)
	s.Authors = m.authors(n, schemeSetAuthor)
	s.Recipients = slots(n, "intendedRecipient")
	s.Purpose = slot(n, "purpose")
	s.References = slots(n, "urn:ihe:iti:xds:2013:referenceIdList")
	s.Limited = m.classified(n, nodeSetLimited)
}

func (m *metadata) document(n xmltree.Node) Document {
	d := Document{EntryUUID: clipValue(n.Attr("id")), MediaType: clipValue(n.Attr("mimeType")), Title: localized(n, "Name"), Comments: localized(n, "Description")}
	d.UniqueID, d.PatientID = m.external(n, idUnique), m.external(n, idPatient)
	d.Class, d.Type, d.Format = m.code(n, schemeClass), m.code(n, schemeType), m.code(n, schemeFormat)
	d.Confidentiality, d.Facility, d.Practice = m.code(n, schemePrivacy), m.code(n, schemeFacility), m.code(n, schemePractice)
	d.Authors = m.authors(n, schemeAuthor)
	// QUIRK: URIs longer than 128 characters come in numbered pieces "1|…", "2|…" (ITI TF-3).
	for _, v := range slots(n, "URI") {
		if len(v) > 2 && v[0] >= '1' && v[0] <= '9' && v[1] == '|' {
			v = v[2:]
		}
		d.URI += v
	}
	d.Size, d.Hash = slot(n, "size"), strings.ToLower(slot(n, "hash"))
	d.Language, d.SourcePatientID, d.SourcePatient = slot(n, "languageCode"), slot(n, "sourcePatientId"), slots(n, "sourcePatientInfo")
	d.Created = chart.ParseTime(slot(n, "creationTime"))
	d.ServiceStart, d.ServiceStop = chart.ParseTime(slot(n, "serviceStartTime")), chart.ParseTime(slot(n, "serviceStopTime"))
	d.References = slots(n, "urn:ihe:iti:xds:2013:referenceIdList")
	return d
}

func slots(n xmltree.Node, name string) []string {
	var out []string
	for s := range n.Elements("Slot") {
		if s.Attr("name") != name {
			continue
		}
		for v := range s.Child("ValueList").Elements("Value") {
			if text := clipValue(strings.TrimSpace(v.Text(maxValue))); text != "" && len(out) < maxValues {
				out = append(out, text)
			}
		}
	}
	return out
}

func slot(n xmltree.Node, name string) string {
	if all := slots(n, name); len(all) > 0 {
		return all[0]
	}
	return ""
}

func localized(n xmltree.Node, what string) string {
	return clipValue(strings.TrimSpace(n.Child(what, "LocalizedString").Attr("value")))
}

func clipValue(s string) string {
	if len(s) > maxValue {
		return strings.ToValidUTF8(s[:maxValue], "") + "…"
	}
	return s
}
