package document

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xdm"
)

// openInside fills Summary.Inside: each part is opened, told and let go again, so that a package of many
// documents costs no more memory than its largest one.
func (d *Document) openInside() error {
	if len(d.parts) > MaxInside {
		d.finding(chart.Warning, "too-many-parts", "Only the first %d of %d documents inside are opened.", MaxInside, len(d.parts))
		d.parts = d.parts[:MaxInside]
	}
	for _, p := range d.parts {
		inner, err := d.openPart(p, d.hint.spent)
		var stated statedError
		switch {
		case errors.As(err, &stated):
			d.Inside = append(d.Inside, Summary{Kind: Unknown, Filename: clip(p.Name, 200), MediaType: p.MediaType,
				Problems: []chart.Finding{{Severity: chart.Problem, Rule: "not-opened", Text: stated.Error()}}})
		case err != nil:
			return err
		default:
			s := inner.Summary
			if room := max(0, maxInsideItems-d.hint.spent.items); len(s.Items) > room {
				s.Items = slices.Clone(s.Items[:room])
				s.Problems = append(s.Problems, chart.Finding{Severity: chart.Note, Rule: "lines-cut", Text: "Not all coded lines are listed: there are too many in all documents together."})
			}
			if room := max(0, maxInsideItems-d.hint.spent.items-len(s.Items)); len(s.Lines) > room {
				s.Lines = slices.Clone(s.Lines[:room])
			}
			d.hint.spent.items += len(s.Items) + len(s.Lines)
			d.Inside = append(d.Inside, s)
		}
	}
	d.adopt()
	return nil
}

// statedError is why a part was not opened, in words for the reader.
type statedError struct{ why string }

func (e statedError) Error() string { return e.why }

// openPart opens one part against the budget.
func (d *Document) openPart(p Part, b *budget) (*Document, error) {
	switch b.docs++; {
	case d.hint.depth+1 > MaxDepth:
		return nil, statedError{fmt.Sprintf("It lies %d containers deep and was not opened.", d.hint.depth+1)}
	case b.docs > MaxInside:
		return nil, statedError{"It was not opened: there are too many documents inside each other."}
	}
	inner := Hint{Filename: p.Name, MediaType: p.MediaType, Now: d.hint.Now, Stop: d.hint.Stop, depth: d.hint.depth + 1, spent: b}
	if p.made != nil {
		doc := p.made(inner)
		return doc, doc.openInside()
	}
	src, size, err := p.open()
	if err != nil {
		return nil, statedError{"It could not be unpacked: " + err.Error() + "."}
	}
	if b.bytes += size; b.bytes > MaxInsideBytes {
		return nil, statedError{fmt.Sprintf("It was not opened: more than %d MiB in all.", MaxInsideBytes>>20)}
	}
	doc, err := Open(src, size, inner)
	if err == nil && p.about != nil {
		doc.compareStated(*p.about)
	}
	return doc, err
}

// Clinical is the document itself when it is a CDA, else the first CDA inside it, opened; nil if there is none.
func (d *Document) Clinical() (*Document, error) {
	if d.CDA != nil {
		return d, nil
	}
	return firstInside(d, holdsCDA, (*Document).Clinical)
}

// firstInside opens the documents inside d that may hold what is looked for, one by one, until look finds it in one; nil
// if none has it. One that only its container's limits keep shut is passed over.
func firstInside[T any](d *Document, may func(*Summary) bool, look func(*Document) (*T, error)) (*T, error) {
	for i, p := range d.parts {
		if i >= len(d.Inside) || !may(&d.Inside[i]) {
			continue
		}
		inner, err := d.openPart(p, &budget{})
		var stated statedError
		if errors.As(err, &stated) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found, err := look(inner); found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// ownLists are the lists by which a document that is itself clinical is compared; nil when it has none.
func (d *Document) ownLists() *brief.Lists {
	switch {
	case d.CDA != nil:
		l := brief.ListsOf(d.CDA)
		return &l
	case d.Patient == nil || d.HL7 == nil && d.FHIR == nil && d.Kind != CCR:
		return nil
	}
	lines := d.Lines
	if d.Kind == CCR { // its alerts are the allergies; those of FHIR are warnings of any kind
		lines = slices.Clone(lines)
		for i := range lines {
			if lines[i].Group == "Alerts" {
				lines[i].Group = "Allergies"
			}
		}
	}
	l := brief.Lists{Type: d.Type, Date: d.Date, Patient: *d.Patient}.WithLines(lines)
	if !l.Any() {
		return nil
	}
	return &l
}

// Comparable says whether the document, or one inside it, has medicines, problems or allergies of a patient
// that can be compared with those of another.
func (d *Document) Comparable() (bool, error) {
	l, err := d.lists()
	return l != nil, err
}

// lists are those of the first CDA of a document, else of the document itself, else of the first document
// inside it that has any; nil if none.
func (d *Document) lists() (*brief.Lists, error) {
	c, err := d.Clinical()
	if err != nil {
		return nil, err
	}
	if c != nil {
		return c.ownLists(), nil
	}
	if l := d.ownLists(); l != nil {
		return l, nil
	}
	return firstInside(d, holdsLines, (*Document).lists)
}

func holdsLines(s *Summary) bool {
	return len(s.Lines) > 0 || slices.ContainsFunc(s.Inside, func(in Summary) bool { return holdsLines(&in) })
}

func holdsCDA(s *Summary) bool {
	switch s.Kind {
	case CCDA, C32, CDA:
		return true
	}
	for i := range s.Inside {
		if holdsCDA(&s.Inside[i]) {
			return true
		}
	}
	return false
}

func (d *Document) readZip() error {
	a, err := xdm.ReadArchive(d.src, d.size)
	if err != nil {
		if !errors.Is(err, xdm.ErrBadZip) && !errors.Is(err, xdm.ErrNotZip) {
			return err
		}
		d.sheet.Kind, d.sheet.Title = "Zip archive", d.title("Zip archive")
		d.finding(chart.Problem, "bad-zip", "The archive cannot be read: %v.", err)
		return nil
	}
	p, err := xdm.FromArchive(a)
	switch {
	case err == nil:
		d.Kind, d.XDM = XDM, p
		d.fromXDM(p, a)
	case errors.Is(err, xdm.ErrNotXDM):
		d.plainZip(a)
	default:
		return err
	}
	return nil
}

// archivePart opens a file of an archive anew each time, so that nothing unpacked is kept.
func archivePart(a *xdm.Archive, f xdm.File) func() (io.ReaderAt, int64, error) {
	return func() (io.ReaderAt, int64, error) { return a.Open(f) }
}
