// Package fhir reads FHIR resources and bundles, JSON or XML, as far as a clinic must see them: what it
// is, whose it is, from whom, and its lines (conditions, allergies, medicines, observations, requests).
//
// Each entry stands under the patient its own subject names (people.go, subject.go): one bundle may hold
// several patients, and what names none of several, or one who is not there, stands under nobody's name.
// What the sender denies, stopped or took back is a line with that standing, never a plain fact; numbers
// are shown as written.
//
// No reference is ever fetched; one is resolved only inside the bundle (MP-146) or among the contained
// resources. Narrative is given as text, struck-through words marked. It does not validate, keeps no
// extension and writes nothing; a modifier extension makes its line unsettled. Limits: MaxBytes of JSON,
// those of xmltree for XML, MaxEntries resources of a bundle, MaxLines lines, MaxTexts narratives,
// MaxPatients patients.
package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

// The limits of one resource or bundle.
const (
	MaxBytes    = 16 << 20 // bytes of JSON
	MaxEntries  = 2000     // resources of a bundle or of a file of lines
	MaxLines    = 5000     // lines of all patients together
	MaxTexts    = 200      // narratives of all patients together
	MaxFiles    = 50       // files of all patients together
	MaxPatients = 50       // patients told apart; entries of further ones are only in the data as sent
	maxDepth    = 60       // JSON inside JSON
	maxBundles  = 4        // bundles inside bundles
	maxText     = 8000     // bytes of one narrative
)

// Namespace is that of FHIR XML.
const Namespace = "http://hl7.org/fhir"

// ErrNotFHIR means the content is no FHIR resource.
var ErrNotFHIR = errors.New("fhir: no resource")

// Resource is a resource or bundle as a clinic sees it: what it is, and what it says of one patient.
type Resource struct {
	Type     string // "Bundle", "Task", "DocumentReference" …
	Kind     string // a bundle's type: "collection", "document"
	Main     string // what a bundle is about: the type its composition states, else "diagnostic report" where it brings one
	ID       string
	Title    string
	Date     chart.Time
	Privacy  string         // the confidentiality code it is labelled with
	Patient  *chart.Patient // nil when it is about several and no composition names one
	Author   chart.Person
	Lines    []chart.Line
	Texts    []string       // narratives, as text
	Files    []File         // files that the resources carry
	Counts   map[string]int // resources by type
	Cut      bool           // more entries than MaxEntries
	Others   []Other        // what is not of Patient, never to be shown under that name
	Findings []chart.Finding
}

// Other is what a bundle says of somebody else than its patient.
type Other struct {
	Title   string         // who, in words, also when nothing but a reference is known
	Patient *chart.Patient // nil when the bundle holds no more than a reference, or none
	Lines   []chart.Line
	Texts   []string
	Files   []File
}

// File is a file inside a resource: its title, stated type and text, still in base64.
type File struct {
	Title     string
	MediaType string
	Base64    string
}

// ReadJSON reads a JSON resource. ErrNotFHIR is for JSON without a resourceType.
func ReadJSON(src io.ReaderAt, size int64) (*Resource, error) {
	text, err := charset.Open(src, size, "")
	if err != nil {
		return nil, fmt.Errorf("fhir: %w", err)
	}
	if text.Size > MaxBytes {
		return nil, fmt.Errorf("fhir: %d MiB of JSON, at most %d are read", text.Size>>20, MaxBytes>>20)
	}
	raw := make([]byte, text.Size)
	if n, err := text.Src.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) || n < len(raw) {
		return nil, fmt.Errorf("fhir: reading: %w", err)
	}
	if deep(raw) {
		return nil, fmt.Errorf("fhir: JSON nested deeper than %d", maxDepth)
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // a result of 1.10 is not 1.1: its places say how finely it was measured
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("fhir: %w", err)
	}
	o, ok := v.(map[string]any)
	t, _ := o["resourceType"].(string)
	lines, fault := following(dec)
	switch {
	case ok && t != "" && len(lines) > 0:
		o = asBundle(o, lines)
	case fault != "" || len(lines) > 0:
		return nil, errors.New("fhir: something follows the JSON")
	case !ok || t == "":
		return nil, ErrNotFHIR
	}
	r := read(jsonElement{o})
	if fault != "" {
		r.find(chart.Problem, "lines-cut", "%s", fault)
	}
	if name := twice(raw); name != "" {
		r.find(chart.Problem, "named-twice", "The data gives “%s” twice in one place. Only the last is shown here; another program may go by the first.", clip(name))
	}
	return r, nil
}

// deep says whether brackets nest deeper than maxDepth, strings aside.
func deep(raw []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// FromTree reads an XML resource from a tree whose root lies in Namespace.
func FromTree(t *xmltree.Tree) (*Resource, error) {
	if t.RootSpace != Namespace || !t.Root().OK() {
		return nil, ErrNotFHIR
	}
	return read(xmlElement{t.Root()}), nil
}
