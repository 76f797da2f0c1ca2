package chart

// Severity is how much a finding matters to the reader.
type Severity string

// The severities. None of them keeps a document from being read.
const (
	Problem Severity = "problem" // something a clinician may be misled by, or that its type requires and lacks
	Warning Severity = "warning" // odd, worth a look
	Note    Severity = "note"    // good to know
)

// Finding is one remark about a document, in words.
type Finding struct {
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"`            // stable name, such as "patient-without-id"
	Text     string   `json:"text"`            // what was found; may name clinical content
	Where    string   `json:"where,omitempty"` // id of the section in the rendered page, such as "s3"
}
