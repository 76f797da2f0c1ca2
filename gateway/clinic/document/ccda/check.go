package ccda

import (
	"fmt"
	"strings"
	"time"

	"postern/gateway/clinic/document/chart"
)

// maxFindings is how many findings one document gets.
const maxFindings = 200

// Check says in words what is missing, implausible or contradictory, for use before sending and on
// arrival. It never blocks anything. now judges future dates; the zero time does not.
func Check(d *Document, now time.Time) []chart.Finding {
	c := &checker{d: d, now: now}
	c.whole()
	c.patient()
	c.times()
	c.code()
	c.people()
	c.required()
	for _, s := range d.Sections {
		c.section(s)
	}
	c.references()
	c.contradictions()
	return c.out
}

type checker struct {
	d   *Document
	now time.Time
	out []chart.Finding
}

func (c *checker) add(sev chart.Severity, rule, where, format string, args ...any) {
	if len(c.out) < maxFindings {
		c.out = append(c.out, chart.Finding{Severity: sev, Rule: rule, Where: where, Text: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) whole() {
	d := c.d
	if d.Tree.Damage != "" {
		c.add(chart.Problem, "not-well-formed", "", "The document is damaged, it is no well-formed XML (%s). What could be read is shown.", d.Tree.Damage)
	}
	if d.Tree.Cut {
		c.add(chart.Problem, "incomplete", "", "The document is incomplete: its end is missing or could not be read.")
	}
	if r := d.Root.Child("typeId"); r.OK() && (r.Attr("root") != "2.16.840.1.113883.1.3" || r.Attr("extension") != "POCD_HD000040") {
		c.add(chart.Warning, "wrong-type-id", "", "The document does not say it is CDA Release 2 (typeId %s %s).", clip(r.Attr("root"), 60), clip(r.Attr("extension"), 60))
	}
	if len(d.Tree.Entities) > 0 {
		c.add(chart.Problem, "words-missing", "", "The document puts words behind shorthand of its own that is never resolved (%s): what stands there is missing from the text. Ask the sender.", "&"+strings.Join(d.Tree.Entities, ";, &")+";")
	}
	switch d.Status {
	case "", "active", "completed":
	case "nullified":
		c.add(chart.Problem, "withdrawn", "", "The sender marked this document as withdrawn: it was made in error.")
	default:
		c.add(chart.Warning, "not-in-force", "", "The sender marked this document as %s.", clip(d.Status, 40))
	}
	if d.Confidentiality.Code == "R" || d.Confidentiality.Code == "V" {
		c.add(chart.Note, "restricted", "", "The sender marked this document as restricted (%s).", d.Confidentiality.Code)
	}
	if n := d.NonXML; n != nil && n.Reference != "" {
		c.add(chart.Problem, "body-elsewhere", "", "The document's body is a file outside it (%s), which was not sent with it or must be looked for beside it.", clip(n.Reference, 200))
	}
	if len(d.Sections) == 0 && d.NonXML == nil {
		c.add(chart.Problem, "no-body", "", "The document has no sections and no embedded file.")
	}
}

func (c *checker) patient() {
	if len(c.d.Patients) == 0 {
		c.add(chart.Problem, "no-patient", "", "The document names no patient.")
		return
	}
	if len(c.d.Patients) > 1 {
		c.add(chart.Problem, "several-patients", "", "The document is about %d patients, and only the first is named large: a line may be another patient's. Read the sections themselves.", len(c.d.Patients))
	}
	p := c.d.Patients[0]
	if p.Name.Zero() {
		c.add(chart.Problem, "patient-without-name", "", "The patient's name is missing.")
	}
	has := false
	for _, id := range p.IDs {
		has = has || id.Extension != "" || id.Root != "" && id.Null == ""
	}
	if !has {
		c.add(chart.Problem, "patient-without-id", "", "The patient has no identifier.")
	}
	switch {
	case p.Birth.Zero():
		c.add(chart.Warning, "no-birth-date", "", "The patient's birth date is missing.")
	case p.Birth.Precision == chart.Unknown:
		c.add(chart.Problem, "bad-birth-date", "", "The patient's birth date cannot be read: %q.", p.Birth.Raw)
	case c.after(p.Birth):
		c.add(chart.Problem, "birth-in-future", "", "The patient's birth date lies in the future: %s.", p.Birth)
	case c.d.Time.Precision >= chart.Day && p.Birth.Precision >= chart.Day && p.Birth.At.After(c.d.Time.At):
		c.add(chart.Problem, "birth-after-document", "", "The patient was born (%s) after the document was written (%s).", p.Birth.Date(), c.d.Time.Date())
	}
	if p.Sex.Zero() {
		c.add(chart.Note, "no-sex", "", "The patient's sex is not stated.")
	}
}

// after says whether t is later than now, a day of clock and zone difference aside.
func (c *checker) after(t chart.Time) bool {
	return !c.now.IsZero() && t.Precision > chart.Unknown && t.At.After(c.now.Add(24*time.Hour))
}

func (c *checker) times() {
	t := c.d.Time
	switch {
	case t.Zero():
		c.add(chart.Warning, "no-date", "", "The document does not say when it was written.")
	case t.Precision == chart.Unknown:
		c.add(chart.Problem, "bad-date", "", "The date of the document cannot be read: %q.", t.Raw)
	case c.after(t):
		c.add(chart.Problem, "date-in-future", "", "The document is dated in the future: %s.", t)
	}
}

// code compares the document's LOINC code with what its template stands for.
func (c *checker) code() {
	t := c.d.Type
	code := c.d.Code.Code
	if t.Name == "" {
		c.add(chart.Warning, "no-type", "", "Nothing tells what kind of note this is.")
	}
	switch {
	case code == "" && c.d.Code.Null == "":
		c.add(chart.Warning, "no-code", "", "The document has no type code.")
	case code == "":
	case !loincShaped(code):
		c.add(chart.Warning, "bad-code", "", "The document's type code is no LOINC code: %q.", clip(code, 40))
	case t.By == "template" && c.d.Family == CCDA && !codeFits(t.Name, code) && !planOfCare(t.Name, c.d.Code.Display):
		c.add(chart.Warning, "wrong-code", "", "The document is a %s by its template, but its code %s says otherwise.", t.Name, code)
	}
}

func loincShaped(code string) bool {
	digits, check, ok := strings.Cut(code, "-")
	if !ok || len(check) != 1 || len(digits) < 1 || len(digits) > 7 {
		return false
	}
	return strings.Trim(digits+check, "0123456789") == ""
}

// codeFits says whether a LOINC code may stand on a document of that name. Only the notes whose code
// the template fixes are judged.
func codeFits(name, code string) bool {
	switch name {
	case "Continuity of Care Document":
		return code == "34133-9"
	case "Referral Note":
		return code == "57133-1" || loincName(code) == name
	case "Transfer Summary":
		return code == "18761-7" || loincName(code) == name
	case "Care Plan":
		return code == "52521-2" || loincName(code) == name
	}
	return true
}

// planOfCare says whether a care plan bears one of the many codes that C-CDA allows it since R3.
func planOfCare(name, display string) bool {
	low := strings.ToLower(display)
	return name == "Care Plan" && (strings.Contains(low, "plan of care") || strings.Contains(low, "care plan"))
}

func (c *checker) people() {
	if len(c.d.Authors) == 0 {
		c.add(chart.Warning, "no-author", "", "The document names no author.")
	}
	if c.d.Custodian.Zero() {
		c.add(chart.Note, "no-custodian", "", "The document does not say who keeps the original.")
	}
}

// need is a section a note must have, or one of several.
type need []Kind

// needs are the sections R2.1 requires of a type, as far as a reader misses them.
func needs(d *Document) []need {
	switch d.Type.Name {
	case "Continuity of Care Document":
		if d.Family != CCDA {
			return nil
		}
		n := []need{{Allergies}, {Medications}, {Problems}, {Results}}
		if d.Type.Release != "" && d.Type.Release != "R1.1" {
			n = append(n, need{Social}, need{Vitals})
		}
		return n
	case "Referral Note":
		return []need{{Reason}, {Problems}, {Allergies}, {Medications}}
	case "Discharge Summary":
		return []need{{Allergies}, {Course}, {DischargeDx, Problems}, {Plan, AssessPlan}}
	case "History and Physical":
		return []need{{Allergies}, {Medications}, {Assessment, AssessPlan, Plan}, {PastHistory}, {Exam}, {Review}, {Social}, {FamilyHx}, {Results}, {Vitals}}
	case "Consultation Note":
		return []need{{Allergies}, {Problems}, {HPI}, {Assessment, AssessPlan}, {Reason, VisitReason, Complaint}}
	case "Transfer Summary":
		return []need{{Allergies}, {Medications}, {Problems}, {Results}, {Reason}}
	case "Care Plan":
		return []need{{Concerns}, {Goals}}
	case "Progress Note":
		return []need{{Assessment, AssessPlan}}
	}
	return nil
}

func (c *checker) required() {
	if len(c.d.Sections) == 0 {
		return
	}
	for _, n := range needs(c.d) {
		found := c.find(n)
		switch {
		case found == nil:
			c.add(chart.Problem, "missing-section", "", "A %s should have a section on %s; this one has none.", c.d.Type.Name, n.words())
		case found.Empty() && found.Entries == 0 && found.Null == "":
			c.add(chart.Warning, "empty-section", found.Anchor, "The section “%s” is there but holds nothing, and does not say that there is no information.", found.Name())
		}
	}
}

func (c *checker) find(n need) *Section {
	var empty *Section
	for _, k := range n {
		for _, s := range c.d.Sections {
			if s.Kind == k {
				if !s.Empty() || s.Entries > 0 {
					return s
				}
				empty = s
			}
		}
	}
	return empty
}

func (n need) words() string {
	var out []string
	for _, k := range n {
		out = append(out, strings.ReplaceAll(string(k), "-", " "))
	}
	return strings.Join(out, " or ")
}

func (c *checker) section(s *Section) {
	if s.Title == "" {
		c.add(chart.Note, "no-title", s.Anchor, "A section has no title; it is shown as “%s”.", s.Name())
	}
	c.standing(s)
	coded, conflicts, written, more, ended := 0, 0, 0, 0, 0
	for _, it := range c.d.SectionItems(s) {
		if it.Source == FromEntry {
			coded++
		} else if !it.Negated {
			written++
		}
		if strings.Contains(it.Detail, mayBeOver+": “") {
			ended++
		}
		switch {
		case it.Conflict == "":
		case it.Source == FromNarrative:
			more++
		case it.Grave:
			c.add(chart.Problem, "entry-contradicts-text", s.Anchor, "In “%s”, “%s”: %s.", s.Name(), clip(it.Name, 80), it.Conflict)
		default:
			conflicts++
		}
		if s.Kind == Results && c.d.Time.Precision >= chart.Day && it.Start.Precision >= chart.Day && it.Start.At.After(c.d.Time.At.Add(36*time.Hour)) {
			c.add(chart.Warning, "later-than-document", s.Anchor, "“%s” is dated %s, after the document itself.", clip(it.Name, 80), it.Start.Date())
		}
	}
	if s.Entries > 0 && s.Empty() && s.Null == "" {
		c.add(chart.Problem, "entries-without-text", s.Anchor, "“%s” has coded entries but no text for people.", s.Name())
	}
	if conflicts > 0 {
		c.add(chart.Warning, "entry-differs-from-text", s.Anchor, "In “%s” %d coded %s from the text; both are shown.", s.Name(), conflicts, plural(conflicts, "line differs", "lines differ"))
	}
	if ended > 0 {
		c.add(chart.Warning, "end-in-words", s.Anchor, "In “%s” the words of %d %s say that it ended; no status or code does.", s.Name(), ended, plural(ended, "line", "lines"))
	}
	if more > 0 {
		c.add(chart.Warning, "text-says-more", s.Anchor, "In “%s” the text lists %d %s that no coded entry speaks of.", s.Name(), more, plural(more, "line", "lines"))
	}
	if coded == 0 && written > 0 && (s.Kind == Medications || s.Kind == Allergies || s.Kind == Problems) {
		c.add(chart.Warning, "text-without-entries", s.Anchor, "“%s” lists %d %s in its text, but none as coded entries.", s.Name(), written, plural(written, "line", "lines"))
	}
}

// standing says what holds for a whole section: that it is about somebody else, or kept from some readers.
func (c *checker) standing(s *Section) {
	if s.Subject != "" {
		c.add(chart.Warning, "another-person", s.Anchor, "“%s” is about another person (%s). Nothing in it is listed as the patient's.", s.Name(), clip(s.Subject, 80))
	}
	if s.Privacy.Code == "R" || s.Privacy.Code == "V" {
		c.add(chart.Note, "restricted-section", s.Anchor, "The sender marked “%s” as restricted (%s).", s.Name(), s.Privacy.Code)
	}
	if s.StruckOut() && s.Entries == 0 && !pictured(s) {
		c.add(chart.Warning, "text-struck-out", s.Anchor, "All the text of “%s” is struck out.", s.Name())
	}
	if s.Null != "" && !s.Empty() && s.Entries > 0 {
		c.add(chart.Note, "no-information-with-entries", s.Anchor, "“%s” is marked “%s” and has %d coded %s all the same.", s.Name(), chart.NullWords(s.Null), s.Entries, plural(s.Entries, "entry", "entries"))
	}
}

// pictured says whether a section shows a picture, which is no text and not struck out.
func pictured(s *Section) bool {
	found := false
	s.Narrative.Walk(func(n node) bool {
		found = found || n.Name() == "renderMultiMedia"
		return !found
	}, nil)
	return found
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// references counts links from entries to text that is not there.
func (c *checker) references() {
	for _, s := range c.d.Sections {
		broken, example := 0, ""
		unsure, which := 0, ""
		for e := range s.Node.Elements("entry") {
			e.Walk(func(n node) bool {
				if n.Name() != "reference" {
					return true
				}
				id, ok := strings.CutPrefix(strings.TrimSpace(n.Attr("value")), "#")
				if up := n.Parent().Name(); ok && (up == "text" || up == "originalText") {
					switch _, found := c.d.ByID(id); {
					case !found && len(c.d.ids) < maxAnchors:
						if broken++; example == "" {
							example = id
						}
					case c.d.twice[id]:
						if unsure++; which == "" {
							which = id
						}
					}
				}
				return true
			}, nil)
		}
		if unsure > 0 {
			c.add(chart.Warning, "unsure-reference", s.Anchor, "In “%s” %d coded %s at a name that several texts bear (such as #%s); the first of them is taken.", s.Name(), unsure, plural(unsure, "line points", "lines point"), clip(which, 60))
		}
		if broken > 0 {
			c.add(chart.Warning, "broken-reference", s.Anchor, "In “%s” %d coded %s at text that is not in the document (such as #%s).", s.Name(), broken, plural(broken, "line points", "lines point"), clip(example, 60))
		}
	}
}

// deniedByText is what a text says that only denies, "" where it says anything else.
func deniedByText(s *Section) string {
	lines := Lines(s, maxRows)
	for _, l := range lines {
		if !denies(l.Name) || !bare(l.others) {
			return ""
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return lines[0].Name
}

// contradictions are lists that state both that there is nothing and that there is something.
func (c *checker) contradictions() {
	for _, s := range c.d.Sections {
		switch s.Kind {
		case Allergies, Medications, Problems:
		default:
			continue
		}
		none, some, drugs := deniedByText(s), "", ""
		for _, it := range c.d.SectionItems(s) {
			switch {
			case it.Subject != "" || it.Null != "" || it.Over():
			case it.Source == FromEntry && it.Negated && none == "":
				none = it.Name
			case !it.Negated && !negates(besides(it.Name, it.Name)):
				some = firstOf(some, it.Name)
				if it.Class == "drug" {
					drugs = firstOf(drugs, it.Name)
				}
			}
		}
		switch low := strings.ToLower(none); { // a denial of one class of allergies denies no other
		case s.Kind != Allergies:
		case strings.Contains(low, "drug") || strings.Contains(low, "medic"):
			some = drugs
		case strings.Contains(low, "food") || strings.Contains(low, "latex") || strings.Contains(low, "environment") || strings.Contains(low, "season"):
			some = ""
		}
		if none != "" && some != "" && strings.HasPrefix(strings.ToLower(none), "no ") {
			c.add(chart.Problem, "contradiction", s.Anchor, "“%s” says “%s” and also lists “%s”.", s.Name(), clip(none, 80), clip(some, 80))
		}
	}
}
