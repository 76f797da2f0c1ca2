package document

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/fhir"
	"postern/gateway/clinic/document/view"
)

// fromFHIR shows a resource or bundle. What is not of its patient becomes a document of its own inside,
// under its own name.
func (d *Document) fromFHIR(r *fhir.Resource) {
	d.Type, d.Title, d.ID, d.Date, d.Patient, d.Privacy = r.Type, r.Title, r.ID, r.Date, r.Patient, r.Privacy
	if r.Kind != "" {
		d.Type += " (" + r.Kind + ")"
	}
	if r.Main != "" {
		d.Type += ": " + r.Main
	}
	if r.Author.String() != "" {
		d.Authors = []chart.Person{r.Author}
	}
	d.Problems = append(d.Problems, r.Findings...)
	d.sheet = view.Sheet{Kind: "FHIR · " + d.Type, Title: d.title("FHIR " + r.Type), Patient: d.Patient, Date: d.Date}
	var counts []string
	for t, n := range r.Counts {
		counts = append(counts, fmt.Sprintf("%d %s", n, t))
	}
	slices.Sort(counts)
	d.sheet.Facts = []view.Fact{{Name: "Resources", Value: clip(strings.Join(counts, ", "), 500)}, {Name: "From", Value: authors(d.Authors)}, {Name: "Date", Value: d.Date.String()},
		{Name: "Confidentiality", Value: map[string]string{"R": "restricted", "V": "very restricted"}[r.Privacy]}}
	d.resourceLines(r.Lines, r.Texts, r.Files)
	d.raw("The data as it was sent")
	for _, o := range r.Others {
		d.parts = append(d.parts, Part{Name: o.Title, open: func() (io.ReaderAt, int64, error) { return d.src, d.size, nil },
			made: func(h Hint) *Document { return d.ofOther(o, h) }})
	}
}

// ofOther is what a bundle says of somebody else than its patient.
func (d *Document) ofOther(o fhir.Other, h Hint) *Document {
	out := &Document{src: d.src, size: d.size, hint: h}
	out.Kind, out.Type, out.Date, out.Patient = d.Kind, d.Type, d.Date, o.Patient
	out.Title = "About another: " + o.Title
	out.sheet = view.Sheet{Kind: "FHIR · of the same data, apart", Title: out.Title, Patient: o.Patient, Date: d.Date}
	out.resourceLines(o.Lines, o.Texts, o.Files)
	return out
}

func (d *Document) resourceLines(lines []chart.Line, texts []string, files []fhir.File) {
	d.Lines, d.sheet.Lines = lines, lines
	for _, t := range texts {
		d.sheet.Texts = append(d.sheet.Texts, view.Text{Words: t})
	}
	for _, f := range files {
		d.parts = append(d.parts, Part{Name: clip(baseName(f.Title), 200), MediaType: f.MediaType, open: func() (io.ReaderAt, int64, error) { return unbase64(f.Base64) }})
	}
}

// unbase64 is the bytes of a file that stands in a text, white space aside.
func unbase64(s string) (io.ReaderAt, int64, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Map(noSpace, s))
	if err != nil {
		return nil, 0, fmt.Errorf("document: an embedded file: %w", err)
	}
	return bytes.NewReader(raw), int64(len(raw)), nil
}
