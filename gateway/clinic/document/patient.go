package document

import (
	"slices"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/chart"
)

// maxPatients is how many patients of documents inside are compared.
const maxPatients = 500

// adopt gives a container what its documents say: the patient if all are surely about one, the type of
// the only clinical one. A container that has a patient of its own is compared with those inside.
func (d *Document) adopt() {
	var all []*chart.Patient
	clinical := 0
	var only *Summary
	for i := range d.Inside {
		s := &d.Inside[i]
		if i < len(d.parts) && d.parts[i].made != nil && d.FHIR != nil {
			continue // another's share of a bundle, which says so itself
		}
		n := len(all)
		if all = patientsOf(s, all, 0); len(all) > n {
			clinical++
			only = s
		}
	}
	base, said := d.Patient, "the document around it is about"
	if base == nil && len(all) > 0 {
		base, all, said = all[0], all[1:], "another is about"
	}
	agreed := true
	for _, p := range all {
		switch same, why := agree(*base, *p); same {
		case brief.Differ:
			agreed = false
			d.findingOnce(chart.Problem, "different-patients", "The documents are about different patients, %s: one inside is about %s; %s %s.", why, describe(*p), said, describe(*base))
		case brief.Unsure:
			agreed = false
			d.findingOnce(chart.Warning, "unsure-patients", "It is not sure that the documents are about one patient, %s: one inside is about %s; %s %s.", why, describe(*p), said, describe(*base))
		}
	}
	if d.CDA != nil || d.HL7 != nil || d.FHIR != nil {
		return
	}
	if d.Patient == nil && agreed {
		d.Patient = base
	}
	if clinical == 1 {
		d.take(only)
	}
}

// take gives a container the type, author and date of its only clinical document.
func (d *Document) take(s *Summary) {
	if d.Type == "" {
		d.Type, d.TypeCode, d.TypeSystem, d.TemplateID, d.Release = s.Type, s.TypeCode, s.TypeSystem, s.TemplateID, s.Release
	}
	if len(d.Authors) == 0 {
		d.Authors = s.Authors
	}
	if d.Date.Zero() {
		d.Date = s.Date
	}
}

// patientsOf adds the patients a document and those inside it name.
func patientsOf(s *Summary, list []*chart.Patient, depth int) []*chart.Patient {
	if len(list) >= maxPatients || depth > MaxDepth {
		return list
	}
	if s.Patient != nil {
		list = append(list, s.Patient)
	}
	for i := range s.Inside {
		list = patientsOf(&s.Inside[i], list, depth+1)
	}
	return list
}

// compareStated compares the document's patient with the one its container states for it. A mismatch is
// the first thing its reader is told.
func (d *Document) compareStated(stated chart.Patient) {
	if d.Patient == nil {
		return
	}
	switch same, why := agree(stated, *d.Patient); same {
	case brief.Differ:
		d.findingFirst(chart.Problem, "stated-patient-differs", "What came with the document says it is about another patient: %s. The document is about %s, what came with it names %s.", why, describe(*d.Patient), describe(stated))
	case brief.Unsure:
		d.findingFirst(chart.Note, "stated-patient-unsure", "What came with the document does not confirm its patient: %s. The document is about %s, what came with it names %s.", why, describe(*d.Patient), describe(stated))
	}
}

func (d *Document) findingFirst(sev chart.Severity, rule, format string, args ...any) {
	d.finding(sev, rule, format, args...)
	n := len(d.Problems) - 1
	d.Problems = slices.Insert(slices.Clone(d.Problems[:n]), 0, d.Problems[n])
}

func (d *Document) findingOnce(sev chart.Severity, rule, format string, args ...any) {
	if !slices.ContainsFunc(d.Problems, func(f chart.Finding) bool { return f.Rule == rule }) {
		d.findingFirst(sev, rule, format, args...)
	}
}

// agree says whether two statements name one person. Where one of them gives a number and nothing else,
// only the number can speak.
func agree(a, b chart.Patient) (brief.Identity, string) {
	if a.Name.Zero() && a.Birth.Zero() || b.Name.Zero() && b.Birth.Zero() {
		if slices.ContainsFunc(a.IDs, func(x chart.ID) bool {
			return x.Root != "" && x.Extension != "" && slices.ContainsFunc(b.IDs, func(y chart.ID) bool { return x.Root == y.Root && x.Extension == y.Extension })
		}) {
			return brief.Same, "the same number"
		}
		return brief.Unsure, "one of them gives neither name nor birth date"
	}
	same, _ := brief.SamePatient(a, b)
	known := a.Birth.Precision >= chart.Day && b.Birth.Precision >= chart.Day
	switch {
	case same == brief.Differ && known && !a.Birth.At.Equal(b.Birth.At):
		return same, "the birth dates differ"
	case same == brief.Differ:
		return same, "the names differ"
	case same == brief.Unsure && a.Name.Family != b.Name.Family:
		return same, "the names differ"
	}
	return same, "name, birth date and number do not confirm each other"
}

func describe(p chart.Patient) string {
	s := p.Name.String()
	if s == "" {
		s = "a patient without a name"
	}
	if b := p.Birth.Date(); b != "" {
		s += ", born " + b
	}
	for _, id := range p.IDs {
		if id.Extension != "" {
			return s + ", number " + clip(id.Extension, 40)
		}
	}
	return s
}
