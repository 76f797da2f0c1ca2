package document

import (
	"io"
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/view"
	"postern/gateway/clinic/document/xdm"
)

func (d *Document) fromXDM(p *xdm.Package, a *xdm.Archive) {
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
			d.parts = append(d.parts, Part{Name: partName(doc), MediaType: doc.MediaType, about: doc.Patient(), open: func() (io.ReaderAt, int64, error) { return p.Open(doc) }})
		}
	}
	if shown := d.undescribed(p, a); len(p.Others) > 0 && !shown {
		d.sheet.Facts = append(d.sheet.Facts, view.Fact{Name: "Other files, not shown", Value: clip(strings.Join(p.Others, ", "), 400)})
	}
	d.sheet.Title = d.title("XDM package")
}

// undescribed opens the files of a package whose description names none that is there: nothing says what they are, but
// what was sent must be seen.
func (d *Document) undescribed(p *xdm.Package, a *xdm.Archive) bool {
	if len(d.parts) > 0 || len(p.Others) == 0 {
		return false
	}
	others := map[string]bool{}
	for _, name := range p.Others {
		others[name] = true
	}
	for _, f := range a.Files {
		if others[f.Name] {
			d.parts = append(d.parts, Part{Name: baseName(f.Name), open: archivePart(a, f)})
		}
	}
	d.finding(chart.Problem, "undescribed", "The package describes none of the files in it. They are shown as they lie there; nothing says whose they are or that they are whole.")
	return true
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
	state := doc.Agrees()
	if state == "" {
		state = "size and hash agree with the package's description"
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
	for _, name := range a.Twice {
		d.finding(chart.Problem, "duplicate-name", "The archive has more than one file called %s; all are shown, another program may show only one.", clip(name, 120))
	}
	if a.Slashes > 0 {
		d.finding(chart.Note, "backslashes", "%d names in the archive are written with backslashes; they are read as folders.", a.Slashes)
	}
	if a.Before > 0 {
		d.finding(chart.Note, "leading-bytes", "%d bytes stand in front of the archive and were skipped.", a.Before)
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
