package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/fhir"
	"postern/gateway/clinic/document/hl7"
	"postern/gateway/clinic/document/view"
	"postern/gateway/clinic/document/xdm"
	"postern/gateway/clinic/document/xmltree"
)

// Document is a document with everything that was read of it. It is not for use by several goroutines
// at once, and its source must stay readable while it is used.
type Document struct {
	Summary
	CDA  *ccda.Document // for the CDA kinds
	XDM  *xdm.Package   // for XDM packages
	HL7  *hl7.Message   // for HL7 v2
	FHIR *fhir.Resource // for FHIR
	XML  *xmltree.Tree  // for every kind of XML

	src   io.ReaderAt
	size  int64
	hint  Hint
	parts []Part
	named *chart.Patient // the patient a mail's context part names
	sheet view.Sheet     // what a page of a non-CDA shows
}

// Part is a document inside a container: a zip, a mail, an unstructured CDA, an HL7 message.
type Part struct {
	Name      string // as the container calls it; never a path
	MediaType string // as the container says
	open      func() (io.ReaderAt, int64, error)
	about     *chart.Patient       // the patient as the container says, nil = it does not
	made      func(Hint) *Document // for a part that has no bytes of its own: one patient's share of a bundle
}

// Open gives the part's bytes, decoded and unpacked, within the container's limits.
func (p Part) Open() (io.ReaderAt, int64, error) { return p.open() }

// Parts are the documents inside, in the order of Summary.Inside.
func (d *Document) Parts() []Part { return d.parts }

// budget is shared by a document and everything inside it.
type budget struct {
	docs  int   // documents opened
	bytes int64 // bytes of them
	items int   // coded lines kept in their summaries
}

// maxInsideItems is how many coded lines the summaries of all documents inside one file keep.
const maxInsideItems = 20000

// MaxInsideBytes is how many bytes of documents are taken out of one file, containers in it included.
const MaxInsideBytes = 256 << 20

// OpenBytes is Open for a document in memory.
func OpenBytes(b []byte, hint Hint) (*Document, error) {
	return Open(bytes.NewReader(b), int64(len(b)), hint)
}

// Open recognises and reads a document. Content never makes an error; only src or Hint.Stop does.
func Open(src io.ReaderAt, size int64, hint Hint) (*Document, error) {
	if hint.spent == nil {
		hint.spent = &budget{}
	}
	d := &Document{src: src, size: size, hint: hint}
	d.Size, d.Filename, d.MediaType = size, clip(hint.Filename, 200), clip(hint.MediaType, 200)
	head := make([]byte, min(size, sniffLen))
	n, err := src.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("document: reading: %w", err)
	}
	d.Kind = sniff(head[:n])
	if err := d.read(head[:n]); err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	d.compareLabel()
	if err := d.openInside(); err != nil {
		return nil, err
	}
	return d, nil
}

// read fills the document by its kind; a kind may turn out to be another one.
func (d *Document) read(head []byte) error {
	switch d.Kind {
	case XML, SVG:
		return d.readXML()
	case Zip:
		return d.readZip()
	case HL7v2:
		return d.readHL7()
	case JSON:
		return d.readJSON()
	case Mail:
		return d.readMail(head)
	case HTML:
		return d.readHTML()
	case Text:
		return d.readText(head)
	case PDF:
		return d.readPDF()
	case PNG, JPEG, GIF:
		return d.readPicture()
	case RTF:
		return d.readRTF()
	}
	d.readOther()
	return nil
}

func (d *Document) readXML() error {
	o := ccda.Options()
	o.Stop, o.Label = d.hint.Stop, charsetOf(d.hint.MediaType)
	t, err := xmltree.Read(d.src, d.size, o)
	if err != nil {
		return err
	}
	if root := t.Root().Name(); root == "?:ClinicalDocument" { // a namespace of the sender's own
		o.Spaces[t.RootSpace] = ""
		space := t.RootSpace
		if t, err = xmltree.Read(d.src, d.size, o); err != nil {
			return err
		}
		t.Repairs = append(t.Repairs, "the document is in the namespace "+clip(space, 80)+" instead of HL7's and is read all the same")
	}
	d.XML, d.Encoding, d.Repairs = t, t.Encoding, t.Repairs
	if found := ccda.FindAll(t, maxCarried+1); len(found) > 1 {
		return d.severalCDA(t, found)
	}
	if c, err := ccda.FromTree(t); err == nil {
		d.CDA = c
		d.fromCDA(c)
		return nil
	}
	root := t.Root()
	switch {
	case t.RootSpace == fhir.Namespace:
		r, err := fhir.FromTree(t)
		if err == nil {
			d.Kind, d.FHIR = FHIRXML, r
			d.fromFHIR(r)
			return nil
		}
	case localName(root.Name()) == "ContinuityOfCareRecord":
		d.readCCR(root)
		return nil
	case d.Kind == SVG || localName(root.Name()) == "svg":
		d.Kind = SVG
		d.readOther()
		d.raw("The drawing as it was sent (SVG source)")
		return nil
	}
	return d.otherXML(t)
}

// otherXML is XML that is no clinical document itself: it may carry one in a text.
func (d *Document) otherXML(t *xmltree.Tree) error {
	d.Type = clip(localName(t.Root().Name()), 80)
	d.sheet.Kind = "XML"
	d.sheet.Title = d.title("XML document")
	d.sheet.Facts = []view.Fact{{Name: "Root element", Value: d.Type}, {Name: "Namespace", Value: clip(t.RootSpace, 200)}}
	if !t.Root().OK() {
		d.finding(chart.Problem, "no-element", "The text begins like XML but holds no element.")
	}
	if t.Damage != "" {
		d.finding(chart.Problem, "not-well-formed", "The document is damaged, it is no well-formed XML (%s).", t.Damage)
	}
	d.carried(t)
	if len(d.parts) == 0 {
		if words := ccda.Plain(t.Document(), maxWords); words != "" {
			d.sheet.Texts = append(d.sheet.Texts, view.Text{Title: "The text in it", Words: words})
		}
	}
	d.raw("The document as it was sent (XML)")
	return nil
}

// maxWords is how much of a plain text is put on a page, in bytes.
const maxWords = 1 << 20

// maxCarried is how many documents in one XML wrapper are shown.
const maxCarried = 20

// severalCDA is a wrapper around more than one clinical document: each is shown on its own, and none of
// them lends the file its patient.
func (d *Document) severalCDA(t *xmltree.Tree, found []xmltree.Node) error {
	d.Type = clip(localName(t.Root().Name()), 80)
	d.sheet.Kind, d.sheet.Title = "XML", d.title("Several clinical documents in one file")
	if len(found) > maxCarried {
		found = found[:maxCarried]
		d.finding(chart.Problem, "too-many-documents", "Only the first %d clinical documents in the file are shown.", maxCarried)
	}
	d.sheet.Facts = []view.Fact{{Name: "Root element", Value: d.Type}, {Name: "Clinical documents", Value: fmt.Sprint(len(found))}}
	for i, n := range found {
		c, err := ccda.FromNode(t, n)
		if err != nil {
			return err
		}
		d.parts = append(d.parts, Part{Name: fmt.Sprintf("document %d of %d in the file", i+1, len(found)), MediaType: "text/xml",
			open: func() (io.ReaderAt, int64, error) { return d.src, d.size, nil },
			made: func(h Hint) *Document {
				out := &Document{src: d.src, size: d.size, hint: h, CDA: c, XML: t}
				out.Encoding = d.Encoding
				out.fromCDA(c)
				return out
			}})
	}
	d.raw("The file as it was sent (XML)")
	return nil
}

// carried finds documents inside the texts of a wrapper: a CDA in CDATA, a CDA in base64.
func (d *Document) carried(t *xmltree.Tree) {
	looked := 0
	t.Document().Walk(func(n xmltree.Node) bool {
		if looked++; looked > 20000 || len(d.parts) >= maxCarried {
			return false
		}
		if !n.IsText() || len(n.Bytes()) < 64 {
			return true
		}
		b := bytes.TrimSpace(n.Bytes())
		switch {
		case bytes.HasPrefix(b, []byte("<")) && bytes.Contains(b[:min(len(b), sniffLen)], []byte("ClinicalDocument")):
			d.addBytes("document in <"+clip(localName(n.Parent().Name()), 40)+">", "text/xml", b)
			d.Repairs = append(d.Repairs, "a clinical document was found inside the text of another XML document")
		case bytes.HasPrefix(b, []byte("PD94bWw")) || bytes.HasPrefix(b, []byte("PENsaW5p")) || bytes.HasPrefix(b, []byte("UEsDB")) || bytes.HasPrefix(b, []byte("JVBERi")):
			node := n.Parent()
			d.parts = append(d.parts, Part{Name: "document in <" + clip(localName(node.Name()), 40) + ">", open: func() (io.ReaderAt, int64, error) {
				return embedded(node)
			}})
		}
		return true
	}, nil)
}

// embedded decodes the base64 text of an element.
func embedded(n xmltree.Node) (io.ReaderAt, int64, error) {
	raw, whole := view.Embedded(n, maxPart)
	if !whole {
		return nil, 0, fmt.Errorf("document: an embedded file of more than %d MiB", maxPart>>20)
	}
	return bytes.NewReader(raw), int64(len(raw)), nil
}

// maxPart is the largest decoded part, in bytes.
const maxPart = 64 << 20

func (d *Document) addBytes(name, mediaType string, b []byte) {
	d.parts = append(d.parts, Part{Name: name, MediaType: mediaType, open: func() (io.ReaderAt, int64, error) {
		return bytes.NewReader(b), int64(len(b)), nil
	}})
}

func (d *Document) fromCDA(c *ccda.Document) {
	d.Kind = Kind(c.Family)
	d.Type, d.TypeCode, d.TypeSystem = c.Type.Name, c.Type.LOINC, c.Code.System
	d.TemplateID, d.Release, d.Title = c.Type.TemplateID, c.Type.Release, c.Title
	d.ID, d.SetID, d.Version = c.ID.String(), c.SetID.String(), c.Version
	d.Date, d.Authors, d.Custodian = c.Time, c.Authors, c.Custodian.Name
	d.Privacy, d.Related = c.Confidentiality.Code, c.Related
	d.Repairs = c.Repairs
	if c.Root.ID() != c.Tree.Root().ID() {
		d.Repairs = append(d.Repairs, "the clinical document stands inside a wrapper, <"+clip(localName(c.Tree.Root().Name()), 60)+">")
	}
	if len(c.Patients) > 0 {
		d.Patient = &c.Patients[0]
	}
	for _, id := range c.Orders {
		d.References = append(d.References, Reference{"order", id})
	}
	for _, e := range c.Encounters {
		for _, id := range e.IDs {
			d.References = append(d.References, Reference{"encounter", id})
		}
	}
	d.Items, d.Header = c.Items(), &c.Header
	d.Problems = append(d.Problems, ccda.Check(c, d.hint.Now)...)
	for _, s := range c.Sections {
		d.Sections = append(d.Sections, SectionLine{s.Anchor, s.Name(), s.Kind, s.Level, s.Code.Code, s.Empty(), s.Entries})
	}
	if n := c.NonXML; n != nil && n.Reference == "" {
		d.parts = append(d.parts, Part{Name: "body of the document", MediaType: n.MediaType, open: func() (io.ReaderAt, int64, error) { return embedded(n.Node) }})
	}
}

// compareLabel states where the media type of the surroundings contradicts the bytes.
func (d *Document) compareLabel() {
	t, _, err := mime.ParseMediaType(d.hint.MediaType)
	if d.hint.MediaType == "" || err != nil || t == "application/octet-stream" || fits(t, d.Kind) {
		return
	}
	d.Repairs = append(d.Repairs, fmt.Sprintf("it was called %s but is %s", clip(t, 80), d.Kind))
}

// fits says whether a media type may stand on a kind.
func fits(t string, k Kind) bool {
	switch k {
	case CCDA, C32, CDA, CCR, XML, SVG, FHIRXML:
		return strings.HasSuffix(t, "xml") || strings.Contains(t, "cda")
	case XDM, Zip, Office:
		return strings.Contains(t, "zip") || strings.Contains(t, "openxml") || strings.Contains(t, "msword") || strings.Contains(t, "opendocument")
	case HL7v2:
		return strings.Contains(t, "hl7") || t == "text/plain"
	case FHIRJSON, JSON:
		return strings.Contains(t, "json") || t == "text/plain"
	case PDF, RTF:
		return strings.HasSuffix(t, string(k))
	case PNG, GIF, TIFF, BMP, WebP:
		return t == "image/"+string(k)
	case JPEG:
		return t == "image/jpeg" || t == "image/jpg" || t == "image/pjpeg"
	case HTML:
		return strings.Contains(t, "html")
	case Mail:
		return strings.HasPrefix(t, "message/") || strings.HasPrefix(t, "text/")
	case Text, Context:
		return strings.HasPrefix(t, "text/") && !strings.HasSuffix(t, "xml") && t != "text/html"
	}
	return true
}

func (d *Document) finding(sev chart.Severity, rule, format string, args ...any) {
	d.Problems = append(d.Problems, chart.Finding{Severity: sev, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// title is the file name, or what the kind is called.
func (d *Document) title(otherwise string) string {
	if d.Title != "" {
		return d.Title
	}
	if d.Filename != "" {
		return baseName(d.Filename)
	}
	return otherwise
}

func baseName(s string) string {
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		return s[i+1:]
	}
	return s
}

// raw puts the document's bytes on its sheet, folded.
func (d *Document) raw(label string) {
	d.sheet.Raw, d.sheet.RawSize, d.sheet.RawLabel = d.src, d.size, label
}

func localName(name string) string {
	if _, after, ok := strings.Cut(name, ":"); ok {
		return after
	}
	return name
}

func charsetOf(mediaType string) string {
	_, params, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return ""
	}
	return params["charset"]
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
