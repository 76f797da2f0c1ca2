// Package fhir reads FHIR resources and bundles, JSON or XML, as far as a clinic must see them: what it
// is, whose it is, from whom, and its lines (conditions, allergies, medicines, observations, requests).
//
// No reference is ever fetched; one is resolved only inside the bundle (MP-146). Narrative is given as
// text. It does not validate, keeps no extension and writes nothing. Limits: MaxBytes of JSON, those of
// xmltree for XML, MaxEntries resources of a bundle, MaxLines lines.
package fhir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

// The limits of one resource or bundle.
const (
	MaxBytes   = 16 << 20 // bytes of JSON
	MaxEntries = 2000     // resources of a bundle
	MaxLines   = 5000     // lines
	maxDepth   = 60       // JSON inside JSON
	maxText    = 8000     // bytes of one narrative
)

// Namespace is that of FHIR XML.
const Namespace = "http://hl7.org/fhir"

// ErrNotFHIR means the content is no FHIR resource.
var ErrNotFHIR = errors.New("fhir: no resource")

// Resource is a resource or bundle as a clinic sees it.
type Resource struct {
	Type    string // "Bundle", "Task", "DocumentReference" …
	Kind    string // a bundle's type: "collection", "document"
	ID      string
	Title   string
	Date    chart.Time
	Patient *chart.Patient
	Author  chart.Person
	Lines   []chart.Line
	Texts   []string       // narratives, as text
	Counts  map[string]int // resources by type
	Cut     bool           // more entries than MaxEntries
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
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("fhir: %w", err)
	}
	o, ok := v.(map[string]any)
	if t, _ := o["resourceType"].(string); !ok || t == "" {
		return nil, ErrNotFHIR
	}
	return read(jsonElement{o}), nil
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

// element is a FHIR element in either syntax.
type element interface {
	kind() string               // resource type, for resources
	get(name string) []element  // the children of that name, a list as its members
	text() string               // a primitive's value
	narrative(limit int) string // the text of an xhtml div
}

type jsonElement struct{ v any }

func (e jsonElement) kind() string {
	o, _ := e.v.(map[string]any)
	t, _ := o["resourceType"].(string)
	return t
}

func (e jsonElement) get(name string) []element {
	o, _ := e.v.(map[string]any)
	switch v := o[name].(type) {
	case nil:
		return nil
	case []any:
		out := make([]element, 0, len(v))
		for _, x := range v {
			out = append(out, jsonElement{x})
		}
		return out
	default:
		return []element{jsonElement{v}}
	}
}

func (e jsonElement) text() string {
	switch v := e.v.(type) {
	case string:
		return v
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%v", v), ".0")
	case bool:
		return fmt.Sprint(v)
	}
	return ""
}

func (e jsonElement) narrative(limit int) string {
	s := e.text()
	t, err := xmltree.Read(strings.NewReader(s), int64(len(s)), xmltree.Options{Mixed: []string{"div"}})
	if err != nil {
		return ""
	}
	return squeeze(t.Document().Text(limit))
}

type xmlElement struct{ n xmltree.Node }

func (e xmlElement) kind() string { return local(e.n.Name()) }

func (e xmlElement) get(name string) []element {
	var out []element
	for c := range e.n.Elements("") {
		if local(c.Name()) != name {
			continue
		}
		if name == "resource" || name == "contained" { // the resource stands inside
			for r := range c.Elements("") {
				out = append(out, xmlElement{r})
			}
			continue
		}
		out = append(out, xmlElement{c})
	}
	return out
}

func (e xmlElement) text() string               { return e.n.Attr("value") }
func (e xmlElement) narrative(limit int) string { return squeeze(e.n.Text(limit)) }

func local(name string) string {
	if _, after, ok := strings.Cut(name, ":"); ok {
		return after
	}
	return name
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// at is the first element along the path, or nil.
func at(e element, path ...string) element {
	for _, p := range path {
		list := e.get(p)
		if len(list) == 0 {
			return nil
		}
		e = list[0]
	}
	return e
}

func str(e element, path ...string) string {
	if e = at(e, path...); e == nil {
		return ""
	}
	return strings.TrimSpace(e.text())
}
