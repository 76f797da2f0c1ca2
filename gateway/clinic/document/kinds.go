package document

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/context"
	"postern/gateway/clinic/document/fhir"
	"postern/gateway/clinic/document/hl7"
	"postern/gateway/clinic/document/mailhtml"
	"postern/gateway/clinic/document/page"
	"postern/gateway/clinic/document/view"
	"postern/gateway/clinic/document/xdm"
	"postern/gateway/clinic/document/xmltree"
)

func (d *Document) fromXDM(p *xdm.Package) {
	d.sheet.Kind = "XDM package"
	d.Problems = append(d.Problems, p.Findings...)
	for _, s := range p.Sets {
		if d.Title == "" {
			d.Title = s.Title
		}
		d.ID = s.UniqueID
		d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: "Submission", Value: s.Title}, view.Fact{Name: "Sent", Value: s.Time.String()},
			view.Fact{Name: "Kind", Value: s.ContentType.Words()}, view.Fact{Name: "From", Value: setAuthors(s)}, view.Fact{Name: "For", Value: strings.Join(s.Recipients, ", ")},
			view.Fact{Name: "Comments", Value: s.Comments}, view.Fact{Name: "Submission id", Value: s.UniqueID})
		d.References = append(d.References, Reference{"submission-set", chart.ID{Root: s.UniqueID}})
		for _, r := range s.References {
			d.References = append(d.References, reference(r))
		}
	}
	for _, doc := range p.Documents {
		for _, r := range doc.References {
			d.References = append(d.References, reference(r))
		}
		d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: "Document", Value: documentFact(doc)})
		if doc.File != "" {
			d.parts = append(d.parts, Part{Name: partName(doc), MediaType: doc.MediaType, open: func() (io.ReaderAt, int64, error) { return p.Open(doc) }})
		}
	}
	if len(p.Others) > 0 {
		d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: "Other files, not shown", Value: clip(strings.Join(p.Others, ", "), 400)})
	}
	d.sheet.Title = d.title("XDM package")
}

func partName(doc xdm.Document) string {
	if doc.Title != "" {
		return doc.Title
	}
	return baseName(doc.URI)
}

func setAuthors(s xdm.Set) string {
	var out []string
	for _, a := range s.Authors {
		out = append(out, append(append([]string{a.Person}, a.Institution...), a.Telecom...)...)
	}
	return strings.Join(slices.DeleteFunc(out, func(s string) bool { return s == "" }), ", ")
}

func documentFact(doc xdm.Document) string {
	state := "size and hash agree with the package's description"
	switch {
	case doc.File == "":
		state = "its file is not in the package"
	case !doc.HashOK || !doc.SizeOK:
		state = "size or hash do not agree with the package's description, see the checks"
	}
	return strings.Join(slices.DeleteFunc([]string{partName(doc), doc.Type.Words(), doc.MediaType, doc.Created.String(), state}, func(s string) bool { return s == "" }), " · ")
}

// reference reads a CXi value of a referenceIdList (XD-23).
func reference(cxi string) Reference {
	parts := strings.Split(cxi, "^")
	r := Reference{Kind: "context", ID: chart.ID{Extension: parts[0]}}
	if len(parts) > 3 {
		if sub := strings.Split(parts[3], "&"); len(sub) > 1 {
			r.ID.Root = sub[1]
		}
	}
	if len(parts) > 4 {
		kind := parts[4][strings.LastIndexByte(parts[4], ':')+1:]
		switch kind {
		case "referral", "order", "accession":
			r.Kind = kind
		case "encounterId":
			r.Kind = "encounter"
		case "studyInstanceUID":
			r.Kind = "study"
		}
	}
	return r
}

// plainZip lists an archive that is no XDM package; its files are opened like any other document.
func (d *Document) plainZip(a *xdm.Archive) {
	d.sheet.Kind, d.sheet.Title = "Zip archive", d.title("Zip archive")
	for _, odd := range a.Odd {
		d.finding(chart.Problem, "odd-entry", "The archive has an entry that was left out: %s.", odd)
	}
	for _, f := range a.Files {
		if f.Name == "[Content_Types].xml" {
			d.Kind = Office
			d.parts = nil
			d.readOther()
			return
		}
		if strings.HasPrefix(f.Name, "__MACOSX/") || strings.HasSuffix(f.Name, ".DS_Store") {
			continue
		}
		d.parts = append(d.parts, Part{Name: baseName(f.Name), open: archivePart(a, f)})
	}
	if len(d.parts) == 0 {
		d.finding(chart.Problem, "empty-zip", "The archive holds no file that can be opened.")
	}
}

func (d *Document) readHL7() error {
	m, err := hl7.Parse(d.src, d.size)
	if errors.Is(err, hl7.ErrNotHL7) {
		d.Kind = Text
		return d.readText(nil)
	}
	if err != nil {
		return err
	}
	d.HL7 = m
	code, event := m.Type()
	d.Type, d.TypeCode, d.Title = hl7.Title(code, event), strings.Trim(code+"^"+event, "^"), hl7.Title(code, event)
	d.ID, d.Date, d.Patient, d.Encoding, d.Repairs = m.ControlID(), m.Time(), m.Patient(), m.Encoding, m.Repairs
	if a := m.Author(); a.String() != "" {
		d.Authors = []chart.Person{a}
	}
	if m.More > 0 {
		d.finding(chart.Warning, "more-messages", "The file holds %d more messages; only the first is shown.", m.More)
	}
	if d.Patient == nil {
		d.finding(chart.Problem, "no-patient", "The message names no patient (no PID segment).")
	} else if len(d.Patient.IDs) == 0 {
		d.finding(chart.Problem, "patient-without-id", "The patient has no identifier.")
	}
	h, _ := m.First("MSH")
	d.Lines = m.Lines()
	d.sheet = view.Sheet{Kind: "HL7 v2 · " + d.TypeCode, Title: d.Title, Patient: d.Patient, Date: d.Date, Lines: d.Lines}
	d.sheet.Facts = []view.Fact{{Name: "What", Value: d.Title}, {Name: "From", Value: authors(d.Authors)}, {Name: "To", Value: strings.TrimSpace(h.Get(5, 1) + " " + h.Get(6, 1))},
		{Name: "Made", Value: d.Date.String()}, {Name: "Message number", Value: d.ID}, {Name: "Version", Value: h.Get(12, 1)}}
	d.raw("The message as it was sent")
	for i, e := range m.Embedded() {
		d.parts = append(d.parts, Part{Name: fmt.Sprintf("file %d in the message", i+1), MediaType: e.MediaType, open: func() (io.ReaderAt, int64, error) {
			raw, err := base64.StdEncoding.DecodeString(strings.Map(noSpace, e.Base64))
			return bytes.NewReader(raw), int64(len(raw)), err
		}})
	}
	return nil
}

func noSpace(r rune) rune {
	if r <= ' ' {
		return -1
	}
	return r
}

func authors(list []chart.Person) string {
	if len(list) == 0 {
		return ""
	}
	return list[0].String()
}

func (d *Document) readJSON() error {
	r, err := fhir.ReadJSON(d.src, d.size)
	if err == nil {
		d.Kind, d.FHIR = FHIRJSON, r
		d.fromFHIR(r)
		return nil
	}
	d.sheet.Kind, d.sheet.Title = "JSON", d.title("JSON data")
	if !errors.Is(err, fhir.ErrNotFHIR) {
		d.finding(chart.Problem, "bad-json", "The data cannot be read: %v.", err)
	}
	words, repairs, err := d.words(d.src, d.size, "")
	d.Repairs = append(d.Repairs, repairs...)
	d.sheet.Texts = []view.Text{{Title: "The data as sent", Words: words, Mono: true}}
	return err
}

func (d *Document) fromFHIR(r *fhir.Resource) {
	d.Type, d.Title, d.ID, d.Date, d.Patient = r.Type, r.Title, r.ID, r.Date, r.Patient
	if r.Kind != "" {
		d.Type += " (" + r.Kind + ")"
	}
	if r.Author.String() != "" {
		d.Authors = []chart.Person{r.Author}
	}
	if r.Cut {
		d.finding(chart.Warning, "too-many-resources", "Only the first %d resources are read.", fhir.MaxEntries)
	}
	d.sheet = view.Sheet{Kind: "FHIR · " + d.Type, Title: d.title("FHIR " + r.Type), Patient: d.Patient, Date: d.Date, Lines: r.Lines}
	d.Lines = r.Lines
	var counts []string
	for t, n := range r.Counts {
		counts = append(counts, fmt.Sprintf("%d %s", n, t))
	}
	slices.Sort(counts)
	d.sheet.Facts = []view.Fact{{Name: "Resources", Value: clip(strings.Join(counts, ", "), 500)}, {Name: "From", Value: authors(d.Authors)}, {Name: "Date", Value: d.Date.String()}}
	for _, t := range r.Texts {
		d.sheet.Texts = append(d.sheet.Texts, view.Text{Words: t})
	}
	d.raw("The data as it was sent")
}

// readCCR reads an ASTM Continuity of Care Record as far as a reader needs it.
func (d *Document) readCCR(root xmltree.Node) {
	d.Kind, d.Type = CCR, "Continuity of Care Record"
	find := func(n xmltree.Node, names ...string) xmltree.Node {
		for _, name := range names {
			var next xmltree.Node
			for c := range n.Elements("") {
				if localName(c.Name()) == name {
					next = c
					break
				}
			}
			n = next
		}
		return n
	}
	text := func(n xmltree.Node) string { return ccda.Plain(n, 2000) }
	d.ID = text(find(root, "CCRDocumentObjectID"))
	d.Date = chart.ParseTime(text(find(root, "DateTime", "ExactDateTime")))
	who := text(find(root, "Patient", "ActorID"))
	for actor := range find(root, "Actors").Elements("") {
		if text(find(actor, "ActorObjectID")) != who {
			continue
		}
		person := find(actor, "Person")
		name := find(person, "Name", "CurrentName")
		if !name.OK() {
			name = find(person, "Name", "BirthName")
		}
		p := &chart.Patient{Name: chart.Name{Given: text(find(name, "Given")), Family: text(find(name, "Family"))},
			Birth: chart.ParseTime(text(find(person, "DateOfBirth", "ExactDateTime"))), Sex: chart.Code{Text: text(find(person, "Gender", "Text"))}}
		if p.Name.Zero() {
			p.Name.Text = text(find(person, "Name"))
		}
		if id := text(find(actor, "IDs", "ID")); id != "" {
			p.IDs = []chart.ID{{Extension: id}}
		}
		d.Patient = p
	}
	d.sheet = view.Sheet{Kind: "Continuity of Care Record (ASTM CCR)", Title: d.title("Continuity of Care Record"), Patient: d.Patient, Date: d.Date}
	for section := range find(root, "Body").Elements("") {
		for entry := range section.Elements("") {
			name := text(find(entry, "Description", "Text"))
			if name == "" {
				name = text(find(entry, "Product", "ProductName", "Text"))
			}
			if name == "" {
				name = clip(text(entry), 200)
			}
			if len(d.sheet.Lines) < 5000 && name != "" {
				value := strings.TrimSpace(text(find(entry, "Test", "TestResult", "Value")) + " " + text(find(entry, "Test", "TestResult", "Units", "Unit")))
				if value == "" {
					value = clip(text(find(entry, "Test", "TestResult", "Description", "Text")), 400)
				}
				d.sheet.Lines = append(d.sheet.Lines, chart.Line{Group: localName(section.Name()), Name: name, Value: value, Note: text(find(entry, "Status", "Text")),
					Time: chart.ParseTime(text(find(entry, "DateTime", "ExactDateTime")))})
			}
		}
	}
	d.Lines = d.sheet.Lines
	d.raw("The document as it was sent (XML)")
}

// words is the start of a text as UTF-8.
func (d *Document) words(src io.ReaderAt, size int64, label string) (words string, repairs []string, err error) {
	t, err := charset.Open(src, size, label)
	if err != nil {
		return "", nil, err
	}
	raw := make([]byte, min(t.Size, maxWords))
	n, err := t.Src.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	out, bad := charset.Append(make([]byte, 0, n), raw[:n], t.Single)
	repairs = t.Repairs
	if bad > 0 {
		repairs = append(repairs, "bytes that are no UTF-8 are read as Windows-1252 (Latin-1)")
	}
	if t.Size > maxWords {
		repairs = append(repairs, fmt.Sprintf("only the first %d KiB of %d are shown", maxWords>>10, t.Size>>10))
	}
	return string(out), repairs, nil
}

func (d *Document) readText(head []byte) error {
	words, repairs, err := d.words(d.src, d.size, charsetOf(d.hint.MediaType))
	if err != nil {
		return err
	}
	d.Repairs = append(d.Repairs, repairs...)
	if context.Looks(head) {
		d.Kind = Context
		c, err := context.Parse(strings.NewReader(words))
		if err != nil {
			return err
		}
		d.fromContext(c)
		return nil
	}
	d.sheet.Kind, d.sheet.Title = "Text", d.title("Text")
	d.sheet.Texts = []view.Text{{Words: words}}
	return nil
}

func (d *Document) fromContext(c *context.Context) {
	d.Type, d.ID = strings.Trim(c.Category+"/"+c.Action, "/"), c.ID
	if c.ID != "" {
		d.References = append(d.References, Reference{"context", chart.ID{Extension: c.ID}})
	}
	d.sheet.Kind, d.sheet.Title = "Direct context", "Context of the message"
	add := func(name, v string) { d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: name, Value: v}) }
	add("Version", c.Version)
	add("Transaction", c.ID)
	add("Type", d.Type)
	add("Purpose", c.Purpose)
	for _, id := range c.PatientIDs {
		add("Patient's number", id.ID+" ("+id.Context+")")
	}
	if c.Get("surname") != "" || c.Get("givenName") != "" {
		d.Patient = &chart.Patient{Name: chart.Name{Given: c.Get("givenName"), Family: c.Get("surname")}, Birth: chart.ParseTime(c.Get("dateOfBirth"))}
		if g := c.Get("gender"); g != "" {
			d.Patient.Sex = chart.Code{Code: g}
		}
		for _, id := range c.PatientIDs {
			d.Patient.IDs = append(d.Patient.IDs, chart.ID{Root: id.Context, Extension: id.ID})
		}
		d.sheet.Patient = d.Patient
	}
	for _, p := range c.Patient {
		add("Patient: "+p.Name, p.Value)
	}
	add("Format", c.FormatCode)
	add("Content type", c.ContentType)
	for _, p := range c.Unknown {
		add(p.Name, p.Value)
	}
	for _, f := range c.Faults {
		d.finding(chart.Warning, "context-fault", "The context part has a fault: %s.", strings.ReplaceAll(string(f), "_", " "))
	}
}

func (d *Document) readHTML() error {
	words, repairs, err := d.words(d.src, d.size, charsetOf(d.hint.MediaType))
	if err != nil {
		return err
	}
	d.Repairs = append(d.Repairs, repairs...)
	d.sheet.Kind, d.sheet.Title = "HTML", d.title("HTML page")
	d.sheet.Texts = []view.Text{d.html("The page, its text and tables only", words)}
	d.raw("The page as it was sent (HTML source)")
	return nil
}

// html makes a framed text of HTML and says when something was taken out of it.
func (d *Document) html(title, source string) view.Text {
	reduced, lost := mailhtml.Reduce(source)
	if lost {
		d.Repairs = append(d.Repairs, "links and pictures of the HTML are not shown")
	}
	if strings.TrimSpace(reduced) == "" {
		return view.Text{Title: title, Words: "(no text)"}
	}
	return view.Text{Title: title, HTML: reduced}
}

func (d *Document) readPDF() error {
	d.sheet.Kind, d.sheet.Title = "PDF", d.title("PDF document")
	encrypted, active := false, ""
	for _, at := range []int64{0, max(0, d.size-pdfLook)} {
		b := make([]byte, min(d.size, pdfLook))
		n, err := d.src.ReadAt(b, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		b = b[:n]
		encrypted = encrypted || bytes.Contains(b, []byte("/Encrypt"))
		for _, mark := range []string{"/JavaScript", "/JS ", "/JS(", "/Launch", "/EmbeddedFile"} {
			if bytes.Contains(b, []byte(mark)) {
				active = strings.Trim(mark, "/ (")
			}
		}
		if at > 0 && !bytes.Contains(b, []byte("%%EOF")) {
			d.finding(chart.Warning, "pdf-cut", "The PDF has no end mark; it may be incomplete.")
		}
	}
	d.sheet.Facts = []view.Fact{{Name: "Size", Value: sizeWords(d.size)}, {Name: "How to read it", Value: "Save it and open it in a PDF reader; it is not shown inside this page."}}
	if encrypted {
		d.Type = "encrypted PDF"
		d.finding(chart.Problem, "encrypted", "The PDF is encrypted: a password from the sender may be needed to read it.")
	}
	if active != "" {
		d.finding(chart.Warning, "active-content", "The PDF has active content or files inside (%s).", active)
	}
	return nil
}

// pdfLook is how much of a PDF's start and end is looked at, in bytes.
const pdfLook = 512 << 10

func (d *Document) readPicture() error {
	d.sheet.Kind, d.sheet.Title = "Picture · "+strings.ToUpper(string(d.Kind)), d.title("Picture")
	d.sheet.Facts = []view.Fact{{Name: "Size", Value: sizeWords(d.size)}}
	if d.size > page.MaxPicture {
		d.finding(chart.Note, "large-picture", "The picture is too large to be shown inside this page; save it to look at it.")
		return nil
	}
	d.sheet.Picture = make([]byte, d.size)
	if n, err := d.src.ReadAt(d.sheet.Picture, 0); err != nil && !errors.Is(err, io.EOF) || int64(n) < d.size {
		return fmt.Errorf("reading the picture: %w", err)
	}
	d.sheet.Alt = d.sheet.Title
	return nil
}

// readRTF shows the plain words of rich text: control words and groups that are not text are left out.
func (d *Document) readRTF() error {
	raw := make([]byte, min(d.size, maxWords))
	n, err := d.src.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	d.sheet.Kind, d.sheet.Title = "Rich text", d.title("Rich text")
	d.sheet.Texts = []view.Text{{Title: "Its words, without formatting", Words: rtfWords(raw[:n])}}
	return nil
}

// readOther says what a format is that is not shown.
func (d *Document) readOther() {
	name, why := d.Kind.words()
	d.sheet.Kind, d.sheet.Title = name, d.title(name)
	d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: "Size", Value: sizeWords(d.size)}, view.Fact{Name: "Shown", Value: why})
	switch d.Kind {
	case Empty:
		d.finding(chart.Problem, "empty", "The file is empty.")
	case Program:
		d.finding(chart.Problem, "program", "This is a program or script, not a document. Do not open it.")
	case Unknown:
		d.finding(chart.Warning, "unknown", "The format is not known.")
		d.raw("Its first bytes, as text")
	}
}

func (k Kind) words() (name, why string) {
	switch k {
	case Empty:
		return "Empty file", "There is nothing in it."
	case Program:
		return "Program", "Programs are never shown or run."
	case TIFF, BMP, WebP:
		return "Picture · " + strings.ToUpper(string(k)), "This kind of picture is not shown inside the page; save it to look at it."
	case DICOM:
		return "DICOM image", "A DICOM viewer is needed."
	case Office:
		return "Office document", "Save it and open it in its own program; beware of macros."
	case SVG:
		return "Drawing · SVG", "Drawings of this kind can carry programs, so only the source is shown."
	}
	return "File of an unknown format", "It is not shown."
}

func sizeWords(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
