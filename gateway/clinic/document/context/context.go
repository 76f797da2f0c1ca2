// Package context reads and writes the metadata part of "Expressing Context in Direct Messaging" 1.0 and
// 1.1 (CTX-01 to CTX-19): a few fields that say which patient, transaction and kind of exchange a
// message belongs to.
//
// Parse keeps everything it can read and reports each fault as a Fault of the reference parser's classes
// (CTX-17); a fault never makes the rest unreadable (CTX-18). The fields are hints, never a permission
// (CTX-04). Limits: MaxBytes, MaxFields.
package context

import (
	"fmt"
	"io"
	"strings"
)

// The limits of one context part.
const (
	MaxBytes  = 64 << 10 // bytes read
	MaxFields = 100      // fields kept
	maxIDs    = 50       // patient identifiers
)

// Fault is what is wrong with a context, by the classes of the reference parser.
type Fault string

// The faults.
const (
	MissingVersion     Fault = "missing_version"
	UnsupportedVersion Fault = "unsupported_version"
	InvalidFields      Fault = "invalid_fields"
	InvalidPatientID   Fault = "invalid_patient_id"
	InvalidType        Fault = "invalid_type"
	InvalidPatient     Fault = "invalid_patient"
	InvalidFormatCode  Fault = "invalid_format_code"
	InvalidTypeCode    Fault = "invalid_type_code"
	InvalidContentType Fault = "invalid_content_type"
)

// PatientID is a local identifier in the naming system of an authority.
type PatientID struct {
	Context string `json:"context"` // OID of the assigning authority
	ID      string `json:"id"`
}

// Pair is a name and its value in a parameter list.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Context is one metadata part.
type Context struct {
	Version       string      `json:"version,omitempty"`
	ID            string      `json:"id,omitempty"`
	PatientIDs    []PatientID `json:"patient_ids,omitempty"`
	Category      string      `json:"category,omitempty"` // laboratory, radiology, pharmacy, referral, general
	Action        string      `json:"action,omitempty"`   // order, report, result, query, response, notification
	Purpose       string      `json:"purpose,omitempty"`
	Patient       []Pair      `json:"patient,omitempty"` // givenName, surname, dateOfBirth …
	Encapsulation string      `json:"encapsulation,omitempty"`
	CreationTime  string      `json:"creation_time,omitempty"`
	FormatCode    string      `json:"format_code,omitempty"`
	ContentType   string      `json:"content_type_code,omitempty"`
	TypeCode      string      `json:"type_code,omitempty"`
	Unknown       []Pair      `json:"unknown,omitempty"` // fields of other guides, kept (CTX-10)
	Faults        []Fault     `json:"faults,omitempty"`
}

// Get is one attribute of the patient, "" when absent; names are compared without case.
func (c *Context) Get(name string) string {
	for _, p := range c.Patient {
		if strings.EqualFold(p.Name, name) {
			return p.Value
		}
	}
	return ""
}

// Looks says whether a text could be a context part: its first field is one of those a context has and
// it names its version.
func Looks(head []byte) bool {
	text := strings.ToLower(string(head[:min(len(head), 2048)]))
	first, _, ok := strings.Cut(strings.TrimLeft(text, "\r\n\xEF\xBB\xBF"), ":")
	if !ok {
		return false
	}
	switch strings.TrimSpace(first) {
	case "version", "id", "patient-id", "type", "purpose", "patient", "encapsulation":
	default:
		return false
	}
	return strings.Contains("\n"+text, "\nversion:") && (strings.Contains(text, "type:") || strings.Contains(text, "patient-id:") || strings.Contains(text, "patient:"))
}

// Parse reads a context part, already transfer-decoded. The error is only r's own.
func Parse(r io.Reader) (*Context, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxBytes))
	if err != nil {
		return nil, fmt.Errorf("context: %w", err)
	}
	c := &Context{}
	fields, ok := unfold(string(raw))
	if !ok {
		c.fault(InvalidFields)
	}
	seen := map[string]bool{}
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if seen[name] { // each field once (CTX-10): the first counts
			c.fault(InvalidFields)
			continue
		}
		seen[name] = true
		c.set(name, f)
	}
	switch c.Version {
	case "":
		c.fault(MissingVersion)
	case "1.0", "1.1":
	default:
		c.fault(UnsupportedVersion)
	}
	return c, nil
}

func (c *Context) fault(f Fault) {
	for _, have := range c.Faults {
		if have == f {
			return
		}
	}
	c.Faults = append(c.Faults, f)
}

// unfold cuts the text into fields: RFC 5322 folding, a blank line ends (CTX-10).
func unfold(s string) (fields []Pair, ok bool) {
	ok = true
	for line := range strings.Lines(strings.TrimPrefix(s, "\uFEFF")) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "" && len(fields) > 0:
			return fields, ok
		case line == "":
		case (line[0] == ' ' || line[0] == '\t') && len(fields) > 0:
			fields[len(fields)-1].Value += " " + strings.TrimSpace(line)
		default:
			name, value, found := strings.Cut(line, ":")
			if !found || strings.TrimSpace(name) == "" || len(fields) >= MaxFields {
				ok = false
				continue
			}
			fields = append(fields, Pair{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
	}
	return fields, ok
}

func (c *Context) set(name string, f Pair) {
	v := f.Value
	switch name {
	case "version":
		c.Version = v
	case "id":
		c.ID = v
	case "patient-id":
		c.patientIDs(v)
	case "type":
		c.kind(v)
	case "purpose":
		c.Purpose = strings.ToLower(v)
	case "patient":
		c.patient(v)
	case "encapsulation":
		c.Encapsulation = strings.ToLower(v)
	case "creation-time":
		c.CreationTime = v
	case "format-code":
		if c.FormatCode = v; strings.Count(v, ":") != 3 {
			c.fault(InvalidFormatCode)
		}
	case "content-type-code":
		if c.ContentType = v; !strings.Contains(v, ":") {
			c.fault(InvalidContentType)
		}
	case "type-code":
		if c.TypeCode = v; !strings.Contains(v, ":") {
			c.fault(InvalidTypeCode)
		}
	default:
		c.Unknown = append(c.Unknown, f)
	}
}

func (c *Context) patientIDs(v string) {
	for part := range strings.SplitSeq(v, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		domain, id, ok := strings.Cut(part, ":")
		if !ok || domain == "" || id == "" || len(c.PatientIDs) >= maxIDs {
			c.fault(InvalidPatientID)
			continue
		}
		c.PatientIDs = append(c.PatientIDs, PatientID{strings.TrimSpace(domain), strings.TrimSpace(id)})
	}
}

// kind reads category/action; an unknown one is a fault and treated as general (CTX-12).
func (c *Context) kind(v string) {
	category, action, ok := strings.Cut(strings.ToLower(v), "/")
	c.Category, c.Action = strings.TrimSpace(category), strings.TrimSpace(action)
	switch c.Category {
	case "laboratory", "radiology", "pharmacy", "referral", "general", "error":
	default:
		ok = false
	}
	switch c.Action {
	case "order", "report", "result", "query", "response", "notification":
	default:
		ok = false
	}
	if !ok {
		c.fault(InvalidType)
		c.Category = "general"
	}
}

func (c *Context) patient(v string) {
	for part := range strings.SplitSeq(v, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok || strings.TrimSpace(name) == "" || len(c.Patient) >= MaxFields {
			c.fault(InvalidPatient)
			continue
		}
		c.Patient = append(c.Patient, Pair{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
}

// Write writes the part's text with CRLF, for Content-Type text/plain (CTX-02). A value that holds a
// line end, or ';' in a list (CTX-11), is refused: there is no escape for it.
func (c *Context) Write(w io.Writer) error {
	var b strings.Builder
	var bad error
	line := func(name, value string) {
		if value == "" {
			return
		}
		if strings.ContainsAny(value, "\r\n") {
			bad = fmt.Errorf("context: the value of %s holds a line end", name)
		}
		b.WriteString(name + ": " + value + "\r\n")
	}
	list := func(name, sep string, parts []string) {
		for _, p := range parts {
			if strings.Contains(p, ";") {
				bad = fmt.Errorf("context: a value of %s holds a semicolon", name)
			}
		}
		line(name, strings.Join(parts, sep))
	}
	version := c.Version
	if version == "" {
		version = "1.1"
	}
	line("version", version)
	line("id", c.ID)
	var ids, attrs []string
	for _, p := range c.PatientIDs {
		ids = append(ids, p.Context+":"+p.ID)
	}
	list("patient-id", "; ", ids)
	if c.Category != "" {
		line("type", c.Category+"/"+c.Action)
	}
	line("purpose", c.Purpose)
	for _, p := range c.Patient {
		attrs = append(attrs, p.Name+"="+p.Value)
	}
	list("patient", "; ", attrs)
	line("encapsulation", c.Encapsulation)
	line("creation-time", c.CreationTime)
	line("format-code", c.FormatCode)
	line("content-type-code", c.ContentType)
	line("type-code", c.TypeCode)
	for _, p := range c.Unknown {
		line(p.Name, p.Value)
	}
	if bad != nil {
		return bad
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("context: writing: %w", err)
	}
	return nil
}
