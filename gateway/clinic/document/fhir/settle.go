package fhir

import (
	"fmt"
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// take adds what one resource says to its subject.
func (s *sorting) take(sub *subject, x entry) {
	kind := x.e.kind()
	st := standing(x.e)
	if x.old != "" {
		st.worse(map[bool]chart.Standing{true: chart.Withdrawn, false: chart.Over}[x.old == "deleted"], x.old)
	}
	if kind == "Composition" {
		s.composition(sub, x, st)
	}
	l, ok := s.line(x)
	if ok {
		if l.Standing == chart.Holds { // "no known allergy" is a denial by its own name
			l.Standing = st.standing
		} else if st.standing == chart.Over || st.standing == chart.Withdrawn {
			l.Standing = st.standing
		}
		l.Status = st.words()
		if s.lines++; s.lines <= MaxLines {
			sub.lines = append(sub.lines, l)
		} else {
			s.more++
		}
	} else if !silent(kind) {
		s.left[kind]++
	}
	mark := ""
	if st.standing != chart.Holds {
		mark = " (" + strings.ToUpper(first(st.words(), string(st.standing))) + ")"
	}
	if d := at(x.e, "text", "div"); d != nil {
		s.text(sub, kind+mark, d)
	}
	s.carried(sub, x.e, mark)
}

// carried takes the files inside a resource: the attachments of a document or report, a binary.
func (s *sorting) carried(sub *subject, e element, mark string) {
	var list []element
	switch e.kind() {
	case "DocumentReference":
		for _, c := range e.get("content") {
			list = append(list, c.get("attachment")...)
		}
	case "DiagnosticReport":
		list = e.get("presentedForm")
	case "Binary":
		list = []element{e}
	}
	for _, a := range list {
		data := str(a, "data")
		if data == "" {
			continue
		}
		if s.files++; s.files <= MaxFiles {
			sub.files = append(sub.files, File{Title: first(str(a, "title"), "file in the "+e.kind()) + mark, MediaType: str(a, "contentType"), Base64: data})
		}
	}
}

func (s *sorting) text(sub *subject, title string, div element) {
	if s.texts++; s.texts > MaxTexts {
		return
	}
	if t := div.narrative(maxText); t != "" {
		sub.texts = append(sub.texts, join(": ", title, t))
	}
}

// silent are the kinds whose content stands elsewhere on the page: in the head, in the lines that refer to
// them, or nowhere because they say nothing of a patient.
func silent(kind string) bool {
	switch kind {
	case "Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Composition", "Medication", "MessageHeader", "Provenance", "Bundle", "RelatedPerson", "Binary":
		return true
	}
	return false
}

func (s *sorting) composition(sub *subject, x entry, st stands) {
	switch str(x.e, "status") {
	case "entered-in-error":
		s.res.find(chart.Problem, "document-withdrawn", "The document says of itself that it was entered in error: nothing in it is to be relied on.")
	case "preliminary":
		s.res.find(chart.Warning, "document-preliminary", "The document says of itself that it is preliminary.")
	}
	for _, sec := range x.e.get("section") {
		s.section(sub, x, sec, 0)
	}
}

// section takes the text of a section; one that is about somebody else than the document's subject
// stands under that one, and an empty one says why it is empty.
func (s *sorting) section(sub *subject, x entry, sec element, depth int) {
	title := str(sec, "title")
	if focus := at(sec, "focus"); focus != nil {
		if other := s.subject(s.refKey(focus, x), ""); other != nil {
			sub = other
		}
	}
	if d := at(sec, "text", "div"); d != nil {
		s.text(sub, title, d)
	}
	if why := concept(at(sec, "emptyReason")).Words(); why != "" {
		if s.texts++; s.texts <= MaxTexts {
			sub.texts = append(sub.texts, join(": ", title, "empty, the sender states: "+why))
		}
	}
	if depth < 10 {
		for _, inner := range sec.get("section") {
			s.section(sub, x, inner, depth+1)
		}
	}
}

// settle decides whose page it is: the subject of the composition or of the one resource, else the only
// subject there is. Everybody else stands apart.
func (s *sorting) settle() {
	r := s.res
	main := s.main()
	var others []*subject
	for _, sub := range s.list {
		if sub != main && sub.key != top && (sub.said() || main == nil && sub.patient != nil) {
			others = append(others, sub)
		}
	}
	if main != nil && len(others) == 1 && others[0].key == nobody {
		main.lines, main.texts = append(main.lines, others[0].lines...), append(main.texts, others[0].texts...)
		main.files = append(main.files, others[0].files...)
		others = nil
	}
	if main == nil && len(others) == 1 { // nobody is named at all
		main, others = others[0], nil
	}
	for _, sub := range []*subject{main, s.by[top]} {
		if sub != nil {
			r.Lines, r.Texts = append(r.Lines, sub.lines...), append(r.Texts, sub.texts...)
			r.Files = append(r.Files, sub.files...)
		}
	}
	if main != nil {
		r.Patient = main.patient
		if strings.HasPrefix(main.key, notPatient) {
			r.find(chart.Problem, "not-a-patient", "What the data is about is no patient: %s.", main.title)
		} else if main.patient == nil && main.key != nobody {
			r.find(chart.Warning, "patient-not-included", "The patient's own record is not in the data; the patient is %s.", main.title)
		}
	}
	for _, sub := range others {
		o := Other{Title: sub.title, Patient: sub.patient, Lines: sub.lines, Texts: sub.texts, Files: sub.files}
		if sub.key == nobody {
			o.Title = "Entries that name no patient, in data about several"
		}
		r.Others = append(r.Others, o)
	}
	s.several(main, others)
}

func (s *sorting) several(main *subject, others []*subject) {
	if len(others) == 0 {
		return
	}
	var who []string
	for _, o := range others {
		if len(who) == 5 {
			who = append(who, fmt.Sprintf("and %d more", len(others)-5))
			break
		}
		who = append(who, first(o.title, "entries that name no patient"))
	}
	if main == nil {
		s.res.find(chart.Problem, "several-patients", "The data is about several patients; each stands apart below: %s.", strings.Join(who, "; "))
		return
	}
	s.res.find(chart.Problem, "several-patients", "The data is not about %s alone. What is another's, or names no patient, stands apart below: %s.", first(main.title, "one patient"), strings.Join(who, "; "))
}

func (s *sorting) main() *subject {
	for i, x := range s.entries {
		if x.e.kind() == "Composition" && x.old == "" {
			if key := s.keyOf(x, i); key != nobody {
				return s.by[key]
			}
		}
	}
	if s.root.kind() != "Bundle" && len(s.entries) > 0 {
		if key := s.keyOf(s.entries[0], 0); key != nobody && key != top {
			return s.by[key]
		}
	}
	var all, said []*subject
	for _, sub := range s.list {
		if sub.key == nobody || sub.key == top {
			continue
		}
		if sub.patient != nil || sub.said() {
			all = append(all, sub)
		}
		if sub.said() {
			said = append(said, sub)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	if none := s.by[nobody]; len(said) == 1 && said[0].patient != nil && (none == nil || !none.said()) {
		return said[0]
	}
	return nil
}

// replaced says when a patient's record is not the one to use any more.
func (s *sorting) replaced(e element, p chart.Patient) {
	for i, l := range e.get("link") {
		if t := str(l, "type"); i < 10 && (t == "replaced-by" || t == "replace") {
			s.res.find(chart.Problem, "patient-replaced", "The record of %s was merged: it is replaced by %s.", p.Name.String(), clip(first(str(l, "other", "display"), str(l, "other", "reference"), "another")))
		}
	}
	if str(e, "active") == "false" {
		s.res.find(chart.Warning, "patient-inactive", "The record of %s is marked as no longer in use.", p.Name.String())
	}
}

// remarks says what is not on the page.
func (s *sorting) remarks() {
	var kinds []string
	for k, n := range s.left {
		kinds = append(kinds, fmt.Sprintf("%d %s", n, clip(first(k, "without a type"))))
	}
	slices.Sort(kinds)
	if len(kinds) > 0 {
		s.res.find(chart.Note, "not-shown", "Not shown as lines, to be read in the data as sent: %s.", clipLong(strings.Join(kinds, ", ")))
	}
	if s.more > 0 {
		s.res.find(chart.Problem, "lines-cut", "%d more lines are only in the data as sent; at most %d are shown.", s.more, MaxLines)
	}
	if s.texts > MaxTexts {
		s.res.find(chart.Warning, "texts-cut", "%d more narratives are only in the data as sent.", s.texts-MaxTexts)
	}
	if s.files > MaxFiles {
		s.res.find(chart.Warning, "files-cut", "%d more files are only in the data as sent.", s.files-MaxFiles)
	}
	if s.lost > 0 {
		s.res.find(chart.Problem, "too-many-patients", "%d entries are of further patients and only in the data as sent; at most %d patients are told apart.", s.lost, MaxPatients)
	}
}

func clipLong(s string) string {
	if len(s) > 500 {
		return strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}
