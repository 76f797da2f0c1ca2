// Package ccda reads clinical documents of HL7's CDA Release 2: every Consolidated CDA (R1.1 to R4),
// the older C32, CCD and IHE summaries, unstructured documents and CDA nobody profiled.
//
// Read never refuses content: it takes from the tree what is there, leaves out what is not, and invents
// nothing. A document's type is told by template, then by LOINC code, then by title. Sections come with
// their narrative; Items are the lines a clinician decides on, each with the section it came from.
//
// A line is current only if its source says so of this patient: what is struck out is not read as text
// that holds, and a line that is denied (negationInd on it or anything around it), withdrawn, ended, not
// known (nullFlavor), only wanted (moodCode) or about another person (subject) says so. Each entry is
// compared with the text it points at; a difference in polarity, dose, rhythm or value is a contradiction.
// What the text of a list has beyond its entries is listed too.
//
// It does not validate against schema or schematron, does not follow references outside the document
// and does not interpret codes beyond the tables in this package. Limits: those of xmltree, MaxSections,
// MaxItems and the header limits in header.go.
package ccda

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/gateway/clinic/document/xmltree"
)

// Options are how a CDA document is to be read into a tree: its namespaces and its prose.
func Options() xmltree.Options {
	return xmltree.Options{
		Spaces: map[string]string{
			"urn:hl7-org:v3":   "",
			"urn:hl7-org:sdtc": "sdtc",
			"http://www.w3.org/2001/XMLSchema-instance": "xsi",
			"http://www.w3.org/XML/1998/namespace":      "xml",
		},
		Mixed: []string{"text", "title"},
	}
}

// Document is one CDA document.
type Document struct {
	Header
	Sections []*Section // in document order; Level gives the nesting
	NonXML   *NonXML    // the body of an unstructured document, or nil
	Tree     *xmltree.Tree
	Root     xmltree.Node
	Repairs  []string

	items []Item
	told  map[string]told
	row   struct {
		of    int // the node of the row whose words are kept
		words string
	}
	ids   map[string]xmltree.Node // narrative anchors by their ID, filled when first asked
	twice map[string]bool         // those that more than one element bears
}

// NonXML is a body that is a file: embedded, or only pointed at.
type NonXML struct {
	MediaType string
	Base64    bool
	Reference string       // where the sender says it is; never followed
	Node      xmltree.Node // the text element that holds the bytes
}

// Read reads the CDA document in the size bytes of src. It returns an error only when src fails or
// holds no ClinicalDocument (ErrNotCDA).
func Read(src io.ReaderAt, size int64, o xmltree.Options) (*Document, error) {
	t, err := xmltree.Read(src, size, o)
	if err != nil {
		return nil, fmt.Errorf("ccda: %w", err)
	}
	return FromTree(t)
}

// ErrNotCDA means the tree holds no ClinicalDocument.
var ErrNotCDA = errors.New("ccda: no ClinicalDocument element")

// FromTree reads a document from a tree made with Options.
func FromTree(t *xmltree.Tree) (*Document, error) {
	root := Find(t)
	if !root.OK() {
		return nil, ErrNotCDA
	}
	return FromNode(t, root)
}

// FromNode reads the document at a ClinicalDocument element of a tree made with Options (see FindAll).
func FromNode(t *xmltree.Tree, root xmltree.Node) (*Document, error) {
	d := &Document{Tree: t, Root: root, Repairs: t.Repairs}
	d.Header = readHeader(root)
	for body := range root.Elements("") {
		if name := body.Name(); name == "component" || name == "structuredBody" {
			d.Sections = sections(body, d.Sections)
		}
		if nx := body.Child("nonXMLBody", "text"); nx.OK() && d.NonXML == nil {
			d.NonXML = &NonXML{MediaType: nx.Attr("mediaType"), Base64: nx.Attr("representation") == "B64",
				Reference: nx.Child("reference").Attr("value"), Node: nx}
		}
	}
	for i, s := range d.Sections {
		s.Anchor = fmt.Sprintf("s%d", i+1)
		// QUIRK: Kareo exports carry no document template, but their sections are those of C-CDA.
		for _, id := range s.Templates {
			if d.Family == OtherCDA && strings.HasPrefix(id.Root, "2.16.840.1.113883.10.20.22.2.") {
				d.Family = CCDA
			}
		}
	}
	if len(d.Sections) >= MaxSections {
		d.Repairs = append(d.Repairs, fmt.Sprintf("only the first %d sections are listed", MaxSections))
	}
	d.readItems()
	return d, nil
}

// Find is the ClinicalDocument of a tree: the root, or the first one inside a wrapper.
func Find(t *xmltree.Tree) xmltree.Node {
	if r := t.Root(); r.Name() == "ClinicalDocument" {
		return r
	}
	var found xmltree.Node
	looked := 0
	t.Document().Walk(func(n xmltree.Node) bool {
		if looked++; found.OK() || looked > maxWrapper {
			return false
		}
		if n.Name() == "ClinicalDocument" || n.Name() == "?:ClinicalDocument" {
			found = n
		}
		return !found.OK()
	}, nil)
	return found
}

// FindAll is every ClinicalDocument of a tree that does not lie in another one, at most limit.
func FindAll(t *xmltree.Tree, limit int) []xmltree.Node {
	var found []xmltree.Node
	looked := 0
	t.Document().Walk(func(n xmltree.Node) bool {
		if looked++; len(found) >= limit || looked > maxWrapper {
			return false
		}
		if n.Name() == "ClinicalDocument" || n.Name() == "?:ClinicalDocument" {
			found = append(found, n)
			return false
		}
		return true
	}, nil)
	return found
}

// maxWrapper is how many nodes of a wrapper are looked through for a ClinicalDocument.
const maxWrapper = 10000
