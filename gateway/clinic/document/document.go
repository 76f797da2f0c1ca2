// Package document recognises what a clinician was sent, says what it is about, checks it and shows it
// so that nothing in it can run or call out.
//
// Inspect tells by content, never by name or media type alone: C-CDA of every release and type, older
// CDA (C32, CCD), CCR, XDM packages, HL7 v2, FHIR in JSON, XML and lines of JSON, PDF, images, text, HTML, mail, zip.
// Open gives the same with everything that was read; Render writes one safe HTML page of any of them.
//
// The formats live below: ccda, xdm, hl7, fhir, context, with xmltree and charset under them; chart holds
// the values they share; page is the only writer of HTML.
//
// What is said of several patients stands apart: a bundle, batch, message, archive or wrapper has a patient
// of its own only when all in it is surely about one, and what a package or context part says of the patient
// is compared with the document. A line of HL7 v2, FHIR or CCR carries how it stands (chart.Standing).
//
// It never follows a reference, resolves an entity, applies a style sheet or believes a label that the
// bytes contradict; every repair is stated. It does not decide whether a document may be read: a check
// never blocks. Limits: MaxDepth containers in containers, MaxInside documents in one container, and
// those of the packages below.
package document

import (
	"io"
	"time"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
)

// The limits of containers.
const (
	MaxDepth  = 3   // containers in containers: a zip in a mail in a mail
	MaxInside = 200 // documents taken out of one container
)

// Kind is the format of a document.
type Kind string

// The kinds. CDA kinds are ccda.Family values.
const (
	CCDA          = Kind(ccda.CCDA)
	C32           = Kind(ccda.C32)
	CDA           = Kind(ccda.OtherCDA)
	CCR      Kind = "ccr"
	XDM      Kind = "xdm"
	HL7v2    Kind = "hl7v2"
	FHIRJSON Kind = "fhir-json"
	FHIRXML  Kind = "fhir-xml"
	Context  Kind = "direct-context"
	PDF      Kind = "pdf"
	PNG      Kind = "png"
	JPEG     Kind = "jpeg"
	GIF      Kind = "gif"
	TIFF     Kind = "tiff"
	BMP      Kind = "bmp"
	WebP     Kind = "webp"
	DICOM    Kind = "dicom"
	RTF      Kind = "rtf"
	Office   Kind = "office"
	HTML     Kind = "html"
	SVG      Kind = "svg"
	XML      Kind = "xml"
	JSON     Kind = "json"
	Text     Kind = "text"
	Mail     Kind = "mail"
	Zip      Kind = "zip"
	Program  Kind = "program" // an executable: never a document
	Empty    Kind = "empty"
	Unknown  Kind = "unknown" // also what is known by name but never opened: gzip, tar, p7m, UTF-32; Type says so
)

// Words is the kind for a reader: "Clinical document".
func (k Kind) Words() string {
	if w, ok := map[Kind]string{CCDA: "Clinical document", C32: "Clinical document", CDA: "Clinical document", CCR: "Clinical summary", XDM: "Document package",
		HL7v2: "HL7 message", FHIRJSON: "FHIR data", FHIRXML: "FHIR data", Context: "Context", PDF: "PDF", PNG: "Picture", JPEG: "Picture",
		GIF: "Picture", TIFF: "Picture", BMP: "Picture", WebP: "Picture", DICOM: "Medical image", RTF: "Formatted text", Office: "Office file", HTML: "Web page",
		SVG: "Drawing", XML: "XML data", JSON: "JSON data", Text: "Text", Mail: "Message", Zip: "Zip archive", Program: "Program", Empty: "Empty file"}[k]; ok {
		return w
	}
	return "File"
}

// MediaType is the neutral type under which the kind may be handed to a browser or a disk: one that
// never runs or renders by itself unless it is a PDF or a plain picture.
func (k Kind) MediaType() string {
	switch k {
	case PDF:
		return "application/pdf"
	case PNG, JPEG, GIF, BMP, WebP:
		return "image/" + string(k)
	case Text, HL7v2, Context:
		return "text/plain; charset=utf-8"
	case XDM, Zip:
		return "application/zip"
	}
	return "application/octet-stream"
}

// SentAs is the media type under which a document of the kind is sent in a package (MimeType of its entry): what a receiver looks for.
func (k Kind) SentAs() string {
	switch k {
	case CCDA, C32, CDA, CCR:
		return "text/xml"
	case XML:
		return "application/xml"
	case HL7v2:
		return "x-application/hl7-v2+er7"
	case FHIRJSON:
		return "application/fhir+json"
	case FHIRXML:
		return "application/fhir+xml"
	case JSON:
		return "application/json"
	case TIFF:
		return "image/tiff"
	case Text:
		return "text/plain"
	}
	return k.MediaType()
}

// Hint is what the surroundings say of a document, and how reading it is bounded in time.
type Hint struct {
	Filename  string
	MediaType string       // with parameters, as the part's Content-Type gave it
	Now       time.Time    // for findings such as a date in the future; zero = do not judge times
	Stop      func() error // asked about every 128 KiB read; an error ends the reading with it
	depth     int          // containers around this document
	spent     *budget      // shared with them
}

// Summary is what Inspect tells of a document. Its JSON form is what `postern document inspect` prints.
type Summary struct {
	Kind       Kind            `json:"kind"`
	Type       string          `json:"type,omitempty"` // "Referral Note", "REF^I12", "Bundle"
	TypeCode   string          `json:"type_code,omitempty"`
	TypeSystem string          `json:"type_system,omitempty"`
	TemplateID string          `json:"template_id,omitempty"`
	Release    string          `json:"release,omitempty"`
	Title      string          `json:"title,omitempty"`
	Filename   string          `json:"filename,omitempty"`
	MediaType  string          `json:"media_type,omitempty"` // as the surroundings said
	Size       int64           `json:"size"`                 // bytes
	Encoding   string          `json:"encoding,omitempty"`
	ID         string          `json:"id,omitempty"`
	SetID      string          `json:"set_id,omitempty"`
	Version    string          `json:"version,omitempty"`
	Date       chart.Time      `json:"date,omitzero"` // when the document was made, never when it was sent
	Patient    *chart.Patient  `json:"patient,omitempty"`
	Authors    []chart.Person  `json:"authors,omitempty"`
	Custodian  string          `json:"custodian,omitempty"`
	Privacy    string          `json:"confidentiality,omitempty"`
	Related    []ccda.Related  `json:"related,omitempty"`
	References []Reference     `json:"references,omitempty"` // referral, order, encounter, context ids it carries
	Sections   []SectionLine   `json:"sections,omitempty"`
	Items      []ccda.Item     `json:"items,omitempty"`
	Lines      []chart.Line    `json:"lines,omitempty"`  // what HL7 v2, FHIR and CCR say, line by line
	Header     *ccda.Header    `json:"header,omitempty"` // everything the header of a CDA says
	Inside     []Summary       `json:"inside,omitempty"` // the documents of a container
	Repairs    []string        `json:"repairs,omitempty"`
	Problems   []chart.Finding `json:"findings,omitempty"`
}

// Reference is an identifier of something outside the document that it belongs to.
type Reference struct {
	Kind string   `json:"kind"` // "referral", "order", "encounter", "context", "submission-set"
	ID   chart.ID `json:"id"`
}

// SectionLine is one section in a summary.
type SectionLine struct {
	Anchor  string    `json:"anchor"`
	Title   string    `json:"title"`
	Kind    ccda.Kind `json:"kind"`
	Level   int       `json:"level"`
	Code    string    `json:"code,omitempty"`
	Empty   bool      `json:"empty,omitempty"`
	Entries int       `json:"entries"`
}

// Inspect says what the size bytes of src are and what they say of themselves. Content never makes an
// error; only src or Hint.Stop does.
func Inspect(src io.ReaderAt, size int64, hint Hint) (*Summary, error) {
	d, err := Open(src, size, hint)
	if err != nil {
		return nil, err
	}
	return &d.Summary, nil
}
