package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// Family is which line of standards a document belongs to.
type Family string

// The families that are told apart.
const (
	CCDA     Family = "c-cda" // HL7 Consolidated CDA, any release
	C32      Family = "c32"   // HITSP C32, C48, C62 and the CCD 1.0 and IHE documents they stand on
	OtherCDA Family = "cda"   // any other CDA R2 document
)

// DocType is what kind of note a document is, and by which of its words that was decided.
type DocType struct {
	Name       string `json:"name"`                  // "Referral Note"; "" when nothing tells
	TemplateID string `json:"template_id,omitempty"` // the template that decided, with its release
	LOINC      string `json:"loinc,omitempty"`       // the document's own code, right or wrong
	Release    string `json:"release,omitempty"`     // "R1.1", "R2.1", …
	By         string `json:"by,omitempty"`          // "template", "code" or "title"
}

// Arc 2.16.840.1.113883.10.20.22.1.N of HL7's C-CDA document templates.
const ccdaArc = "2.16.840.1.113883.10.20.22.1."

// templateName is the note a document template stands for; the US Realm Header (1) stands for none.
func templateName(root string) (name string, family Family, ok bool) {
	if arc, found := strings.CutPrefix(root, ccdaArc); found {
		switch arc {
		case "1":
			return "", CCDA, true
		case "2":
			return "Continuity of Care Document", CCDA, true
		case "3":
			return "History and Physical", CCDA, true
		case "4":
			return "Consultation Note", CCDA, true
		case "5":
			return "Diagnostic Imaging Report", CCDA, true
		case "6":
			return "Procedure Note", CCDA, true
		case "7":
			return "Operative Note", CCDA, true
		case "8":
			return "Discharge Summary", CCDA, true
		case "9":
			return "Progress Note", CCDA, true
		case "10":
			return "Unstructured Document", CCDA, true
		case "13":
			return "Transfer Summary", CCDA, true
		case "14":
			return "Referral Note", CCDA, true
		case "15":
			return "Care Plan", CCDA, true
		}
		return "", CCDA, true
	}
	switch root {
	case "2.16.840.1.113883.3.88.11.32.1":
		return "Patient Summary (HITSP C32)", C32, true
	case "2.16.840.1.113883.3.88.11.48.1", "2.16.840.1.113883.3.88.11.48.2":
		return "Encounter Summary (HITSP C48)", C32, true
	case "2.16.840.1.113883.3.88.11.62.1":
		return "Unstructured Document (HITSP C62)", C32, true
	case "2.16.840.1.113883.10.20.1":
		return "Continuity of Care Document 1.0", C32, true
	case "1.3.6.1.4.1.19376.1.5.3.1.1.2":
		return "Medical Summary (IHE XDS-MS)", C32, true
	case "1.3.6.1.4.1.19376.1.5.3.1.1.3":
		return "Referral Summary (IHE)", C32, true
	case "1.3.6.1.4.1.19376.1.2.20":
		return "Scanned Document (IHE XDS-SD)", OtherCDA, true
	case "2.16.840.1.113883.10.20.24.1.1":
		return "Quality Report (QRDA I)", OtherCDA, true
	case "2.16.840.1.113883.10.20.15.2":
		return "Public Health Case Report (eICR)", OtherCDA, true
	}
	return "", "", false
}

// loincName is the note a LOINC document code stands for, in our own short words.
func loincName(code string) string {
	switch code {
	case "34133-9":
		return "Continuity of Care Document"
	case "57133-1":
		return "Referral Note"
	case "11488-4", "34847-4", "34099-2", "34104-0", "34108-1", "34100-8", "34120-6", "51845-6":
		return "Consultation Note"
	case "18842-5", "11490-0", "28655-9", "34105-7", "34106-5":
		return "Discharge Summary"
	case "34117-2", "11492-6", "28626-0", "34774-0", "34115-6", "34116-4":
		return "History and Physical"
	case "11504-8":
		return "Operative Note"
	case "28570-0":
		return "Procedure Note"
	case "11506-3", "18733-6", "28569-2", "34130-5", "34131-3":
		return "Progress Note"
	case "18761-7":
		return "Transfer Summary"
	case "52521-2":
		return "Care Plan"
	case "18748-4", "18747-6", "18755-9", "18760-9", "68604-8":
		return "Diagnostic Imaging Report"
	case "11502-2":
		return "Laboratory Report"
	case "11526-1":
		return "Pathology Report"
	case "34111-5":
		return "Emergency Department Note"
	case "34109-9":
		return "Clinical Note"
	case "55751-2":
		return "Public Health Case Report"
	case "60591-5":
		return "Patient Summary"
	case "51855-5":
		return "Patient Note"
	}
	return ""
}

// release names the C-CDA release of a template's extension date.
func release(ext string) string {
	switch {
	case ext == "":
		return "R1.1"
	case ext < "2015":
		return "R2.0"
	case ext < "2019":
		return "R2.1"
	case ext < "2024":
		return "R3"
	}
	return "R4"
}

// decideType tells the note by template first, then by LOINC code, then by title: a real Referral
// Note of HL7's own carries the wrong LOINC code 57113-1.
func decideType(templates []chart.ID, code chart.Code, title string) (DocType, Family) {
	t := DocType{LOINC: code.Code}
	family := OtherCDA
	seen := ""
	for _, id := range templates {
		name, f, ok := templateName(id.Root)
		if !ok {
			continue
		}
		if f == CCDA || family == OtherCDA {
			family = f
		}
		if f == CCDA && (t.Release == "" || id.Extension > seen) {
			t.Release, seen = release(id.Extension), id.Extension
		}
		if name == "" || t.TemplateID != "" && f != CCDA {
			continue
		}
		t.Name, t.By = name, "template"
		t.TemplateID = id.Root
		if id.Extension != "" {
			t.TemplateID += ":" + id.Extension
		}
	}
	if t.Name == "" {
		if t.Name = loincName(code.Code); t.Name != "" {
			t.By = "code"
		} else if title != "" {
			t.Name, t.By = title, "title"
		}
	}
	return t, family
}
