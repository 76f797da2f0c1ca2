package fhir

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"postern/gateway/clinic/document/chart"
)

// subject is one of those the entries are about, with what they say.
type subject struct {
	key     string // how the entries name it; "" = they name nobody
	title   string
	patient *chart.Patient
	lines   []chart.Line
	texts   []string
	files   []File
}

func (s *subject) said() bool { return len(s.lines) > 0 || len(s.texts) > 0 || len(s.files) > 0 }

// sorting puts every entry under the subject it names itself.
type sorting struct {
	*bundle
	list  []*subject
	by    map[string]*subject
	lines int
	texts int
	files int
	left  map[string]int // resources that give no line, by type
	more  int            // lines beyond MaxLines
	lost  int            // entries of patients beyond MaxPatients
}

func newSorting(b *bundle) *sorting {
	return &sorting{bundle: b, by: map[string]*subject{}, left: map[string]int{}}
}

// nobody is the key of what names no patient; top of what is about no person at all.
const (
	nobody = ""
	top    = "top"

	notPatient = "other " // begins the key of a device, group or place
)

func (s *sorting) sort() {
	for i, x := range s.entries { // the patients first, so that references find them
		if x.e.kind() == "Patient" && x.old == "" {
			p := patient(x.e)
			if sub := s.subject(s.patientKey(x, i), p.Name.String()); sub != nil && sub.patient == nil {
				sub.patient = &p
			}
			s.replaced(x.e, p)
		}
	}
	for i, x := range s.entries {
		key := s.keyOf(x, i)
		if sub := s.subject(key, ""); sub != nil {
			s.take(sub, x)
		} else {
			s.lost++
		}
	}
	s.settle()
	s.remarks()
}

// subject is the one of that key, made when it is new; nil beyond MaxPatients.
func (s *sorting) subject(key, title string) *subject {
	sub := s.by[key]
	if sub == nil {
		if len(s.list) >= MaxPatients+2 {
			return nil
		}
		sub = &subject{key: key, title: title}
		s.by[key] = sub
		s.list = append(s.list, sub)
	}
	return sub
}

// patientKey names a Patient resource: a contained one by what it says, since it has no name outside.
func (s *sorting) patientKey(x entry, i int) string {
	if x.around != "" {
		return s.said(x.e)
	}
	return fmt.Sprintf("entry %d", i)
}

// said is the key of a contained patient: the patient entry that shares an identifier and the birth date
// if there is one, else a key of its own.
func (s *sorting) said(e element) string {
	p := patient(e)
	for _, have := range s.list {
		if have.patient != nil && samePerson(*have.patient, p) {
			return have.key
		}
	}
	key := "contained " + strings.Join([]string{p.Name.String(), p.Birth.ISO()}, "|")
	for _, id := range p.IDs {
		key += "|" + id.String()
	}
	if sub := s.subject(key, p.Name.String()); sub != nil && sub.patient == nil {
		sub.patient = &p
	}
	return key
}

func samePerson(a, b chart.Patient) bool {
	if a.Birth.ISO() != b.Birth.ISO() || letters(a.Name.Family+a.Name.Text) != letters(b.Name.Family+b.Name.Text) || letters(a.Name.Given) != letters(b.Name.Given) {
		return false
	}
	return slices.ContainsFunc(a.IDs, func(x chart.ID) bool {
		return slices.ContainsFunc(b.IDs, func(y chart.ID) bool { return x.Root == y.Root && x.Extension == y.Extension })
	}) || len(a.IDs) == 0 && len(b.IDs) == 0
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// keyOf is whom an entry is about, by its own word.
func (s *sorting) keyOf(x entry, i int) string {
	kind := x.e.kind()
	switch kind {
	case "Patient":
		if x.old == "" {
			return s.patientKey(x, i)
		}
	case "OperationOutcome", "Practitioner", "PractitionerRole", "Organization", "Location", "Medication", "MessageHeader", "Provenance", "Binary", "Bundle":
		return top
	}
	if x.around != "" && len(s.subjectRefs(x.e)) == 0 {
		return s.keyOf(s.entries[0], 0) // a contained resource is about what its container is about
	}
	refs := s.subjectRefs(x.e)
	switch len(refs) {
	case 0:
		return nobody
	case 1:
		return s.refKey(refs[0], x)
	}
	key := s.refKey(refs[0], x)
	for _, r := range refs[1:] {
		if s.refKey(r, x) != key {
			return nobody // about several at once
		}
	}
	return key
}

// subjectRefs are the references that say whom a resource is about.
func (s *sorting) subjectRefs(e element) []element {
	for _, name := range []string{"subject", "patient", "for", "beneficiary"} {
		if refs := e.get(name); len(refs) > 0 {
			return refs[:min(len(refs), 10)]
		}
	}
	var out []element
	for i, p := range e.get("participant") { // appointments
		if a := at(p, "actor"); a != nil && i < 50 && strings.Contains(str(a, "reference")+str(a, "type"), "Patient") {
			out = append(out, a)
		}
	}
	return out
}

func (s *sorting) refKey(ref element, from entry) string {
	literal := str(ref, "reference")
	if target, i := s.resolve(literal, from); target != nil {
		switch {
		case target.kind() == "Patient" && i != ambiguous:
			return s.patientKey(s.entries[i], i)
		case target.kind() == "Patient":
			return s.said(target)
		}
		return s.named(notPatient+literal, first(str(target, "name"), concept(at(target, "type")).Words(), concept(at(target, "code")).Words(), literal)+" ("+target.kind()+")")
	}
	if literal != "" {
		return s.named("reference "+relative(literal), join(", ", str(ref, "display"), "known only as "+clip(literal)))
	}
	if v := str(ref, "identifier", "value"); v != "" {
		root := strings.TrimPrefix(str(ref, "identifier", "system"), "urn:oid:")
		for _, have := range s.list {
			if have.patient != nil && slices.ContainsFunc(have.patient.IDs, func(x chart.ID) bool { return x.Root == root && x.Extension == v }) {
				return have.key
			}
		}
		return s.named("identifier "+root+"|"+v, join(", ", str(ref, "display"), "number "+clip(v)))
	}
	if d := str(ref, "display"); d != "" {
		return s.displayed(d)
	}
	return nobody
}

// displayed is somebody of whom only a name is written: the one patient of that very name, else one apart.
func (s *sorting) displayed(name string) string {
	whole := name
	name = clip(name) // names are compared with every patient's; one that was cut is nobody's
	found := ""
	for _, have := range s.list {
		if name == whole && have.patient != nil && letters(have.patient.Name.Given+have.patient.Name.Family+have.patient.Name.Text) != "" && sameLetters(have.patient.Name, name) {
			if found != "" {
				found = ""
				break
			}
			found = have.key
		}
	}
	if found != "" {
		return found
	}
	return s.named("display "+letters(name), name)
}

func sameLetters(n chart.Name, s string) bool {
	s = letters(s)
	return s == letters(n.Given+n.Family) || s == letters(n.Family+n.Given) || n.Text != "" && s == letters(n.Text)
}

func (s *sorting) named(key, title string) string {
	s.subject(key, title)
	return key
}
