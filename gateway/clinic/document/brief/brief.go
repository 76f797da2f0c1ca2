// Package brief makes the first page of a clinical document: what a decision needs, in the order a
// reader asks, and what changed against an earlier document of the same patient.
//
// It takes only what ccda read and adds nothing: every line keeps the anchor of the section it came
// from, and a document that is silent about something is said to be silent (State), never taken to
// mean "none". Lines beyond the limits of a block are counted, not dropped without a word.
//
// It does not rank by clinical importance, does not interpret codes and does not merge documents.
package brief

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
)

// State is what a document says about a subject at all.
type State string

// The states of a block.
const (
	Stated    State = "stated"
	NoneKnown State = "none-known"     // the sender states that there is none at all of the kind
	Withheld  State = "no-information" // the section says it has no information (null flavour)
	Blank     State = "empty"          // the section is there and holds nothing
	Deleted   State = "struck-out"     // all the section says is struck out
	NotStated State = "not-stated"     // there is no such section
)

// Words are the state of the block for a reader, with the sender's reason; "" when lines follow.
func (b Block) Words() string {
	if b.State == Withheld && b.Null != "" {
		return "The sender states: " + chart.NullWords(b.Null)
	}
	return b.State.Words()
}

// Words are the state for a reader; "" when lines follow.
func (s State) Words() string {
	switch s {
	case Withheld:
		return "The sender states: no information"
	case Deleted:
		return "Not stated: the section's text is struck out"
	case Blank:
		return "Not stated: the section is empty"
	case NotStated:
		return "Not stated: the document has no such section"
	}
	return ""
}

// Subject is what a block is about.
type Subject string

// The subjects of a first page, in its order.
const (
	Why       Subject = "why"
	Problems  Subject = "problems"
	Allergies Subject = "allergies"
	Medicines Subject = "medicines"
	Results   Subject = "results"
	Vitals    Subject = "vitals"
	Judgement Subject = "assessment"
	Plan      Subject = "plan"
)

// Text is a passage of narrative on the first page.
type Text struct {
	Section string `json:"section"`
	Title   string `json:"title"`
	Words   string `json:"words"`
	Cut     bool   `json:"cut,omitempty"` // there is more in the section
	Of      string `json:"of,omitempty"`  // whom it is about, when that is not the patient
}

// Block is one subject of the first page.
type Block struct {
	Subject Subject     `json:"subject"`
	Title   string      `json:"title"`
	State   State       `json:"state"`
	Texts   []Text      `json:"texts,omitempty"`
	Items   []ccda.Item `json:"items,omitempty"`   // what holds now
	Past    []ccda.Item `json:"past,omitempty"`    // what is over: resolved, stopped
	Others  []ccda.Item `json:"others,omitempty"`  // what is said of another person
	Null    string      `json:"null,omitempty"`    // why there is no information, a null flavour
	More    int         `json:"more,omitempty"`    // lines of Items left out here
	Anchors []string    `json:"anchors,omitempty"` // sections it was read from
}

// Brief is a first page.
type Brief struct {
	Blocks []Block `json:"blocks"`
}

// Block is the block of that subject.
func (b Brief) Block(s Subject) Block {
	for _, x := range b.Blocks {
		if x.Subject == s {
			return x
		}
	}
	return Block{Subject: s, State: NotStated}
}

// The limits of one screen.
const (
	maxLines   = 14  // lines of a block
	maxResults = 10  // results
	maxText    = 700 // bytes of a passage
)

// Of makes the first page of a document.
func Of(d *ccda.Document) Brief {
	return Brief{Blocks: []Block{
		why(d),
		listed(d, Block{Subject: Problems, Title: "Problems"}, ccda.DischargeDx, ccda.AdmissionDx, ccda.Problems),
		listed(d, Block{Subject: Allergies, Title: "Allergies"}, ccda.Allergies),
		listed(d, Block{Subject: Medicines, Title: "Medicines"}, ccda.DischargeRx, ccda.Medications),
		recent(d, Block{Subject: Results, Title: "Recent results"}, ccda.Results),
		recent(d, Block{Subject: Vitals, Title: "Vital signs"}, ccda.Vitals),
		passages(d, Block{Subject: Judgement, Title: "Assessment"}, ccda.Assessment, ccda.Impression, ccda.Course, ccda.PostDx, ccda.Found, ccda.Performed),
		plan(d),
	}}
}

// each calls use for the sections of those kinds, kind by kind, and settles the block's state when
// nothing was used.
func each(d *ccda.Document, b *Block, kinds []ccda.Kind, use func(*ccda.Section)) {
	b.State = NotStated
	for _, k := range kinds {
		for _, s := range d.Sections {
			if s.Kind != k {
				continue
			}
			b.Anchors = append(b.Anchors, s.Anchor)
			switch {
			case b.State == Stated || b.State == NoneKnown:
			case b.State == NotStated && s.StruckOut():
				b.State = Deleted
			case s.Null != "" && len(ccda.Lines(s, 1)) == 0 && s.Entries == 0:
				b.State, b.Null = Withheld, s.Null
			case b.State == NotStated:
				b.State = Blank
			}
			use(s)
		}
	}
}

// why is the reason the document was sent; where no reason for referral is given, the reason for the
// visit or the chief complaint stands there under its own name.
func why(d *ccda.Document) Block {
	b := Block{Subject: Why, Title: "Why this was sent"}
	each(d, &b, []ccda.Kind{ccda.Reason}, func(s *ccda.Section) { addPassage(&b, s) })
	if len(b.Texts) > 0 {
		for _, s := range d.Sections {
			if s.Kind == ccda.Reason {
				for _, it := range d.SectionItems(s) {
					if it.Source == ccda.FromEntry && it.Subject == "" && !withdrawn(it) && len(b.Items) < 3 {
						b.Items = append(b.Items, it)
					}
				}
			}
		}
		return b
	}
	second := Block{Subject: Why, Title: b.Title}
	each(d, &second, []ccda.Kind{ccda.VisitReason, ccda.Complaint, ccda.Indication, ccda.PreDx}, func(s *ccda.Section) { addPassage(&second, s) })
	if len(second.Texts) > 0 {
		second.Title = "Why the patient was seen"
		return second
	}
	return b
}

// withdrawn says whether a line was taken back or called off.
func withdrawn(it ccda.Item) bool {
	return it.Status == "nullified" || it.Status == "cancelled" || it.Status == "aborted"
}

func addPassage(b *Block, s *ccda.Section) {
	lines := ccda.Lines(s, 20)
	if len(lines) == 0 {
		return
	}
	words := ccda.Plain(s.Narrative, maxText)
	if lines[0].Row || words == "" { // a table: its rows, without the heads
		words = ""
		for _, l := range lines {
			words += l.Name
			if l.Rest != "" {
				words += " (" + l.Rest + ")"
			}
			words += "; "
		}
		words = strings.TrimSuffix(words, "; ")
		if len(words) > maxText {
			words = strings.ToValidUTF8(words[:maxText], "")
		}
	}
	b.State = Stated
	b.Texts = append(b.Texts, Text{Section: s.Anchor, Title: s.Name(), Words: words, Cut: len(words) >= maxText-8, Of: s.Subject})
}

func passages(d *ccda.Document, b Block, kinds ...ccda.Kind) Block {
	each(d, &b, kinds, func(s *ccda.Section) {
		if len(b.Texts) < 2 {
			addPassage(&b, s)
		}
	})
	return b
}

// listed is a block of items that hold or are over, a line that two sections repeat given once. In a
// discharge summary what the patient goes home with comes before what was given in the hospital.
func listed(d *ccda.Document, b Block, kinds ...ccda.Kind) Block {
	seen := map[string]bool{}
	each(d, &b, kinds, func(s *ccda.Section) {
		for _, it := range d.SectionItems(s) {
			if it.Group = ""; s.Kind != kinds[len(kinds)-1] || len(b.Anchors) > 1 {
				it.Group = s.Name() // several sections share the block: each line says which
			}
			// Only what reads the same is given once: an allergy and its denial, or two things under one
			// general code, are two lines.
			k := strings.Join([]string{key(it), it.Detail, strings.ToLower(it.Name), it.Status, strconv.FormatBool(it.Negated), it.Null, it.Mood, it.Subject, it.Conflict}, "|")
			if it.Over() {
				k += "|over"
			}
			if seen[k] {
				continue
			} else {
				seen[k] = true
			}
			b.file(it)
		}
	})
	b.settle()
	if b.State == Stated && slices.ContainsFunc(b.Items, atAll) && !slices.ContainsFunc(b.Items, func(it ccda.Item) bool { return !it.Negated }) {
		b.State = NoneKnown // only "no penicillin allergy" says nothing of others
	}
	b.cut(maxLines)
	return b
}

// atAll says whether a line denies everything of its kind: "No known allergies", not "No known food
// allergies" and not "No allergy to: Penicillin".
func atAll(it ccda.Item) bool {
	if !it.Negated || it.Over() {
		return false
	}
	denies := false
	for _, w := range strings.FieldsFunc(strings.ToLower(it.Name), func(r rune) bool { return !unicode.IsLetter(r) }) {
		switch w {
		case "no", "none", "nil", "nka":
			denies = true
		case "known", "allergy", "allergies", "intolerance", "intolerances", "adverse", "reaction", "reactions", "or", "and", "problem", "problems", "condition", "conditions", "diagnosis", "diagnoses",
			"current", "active", "medication", "medications", "medicine", "medicines", "prescribed", "reported", "recorded", "documented", "listed", "on", "file", "at", "this", "time", "patient", "has", "any", "is", "are", "there", "s":
			if w := strings.TrimSuffix(w, "s"); (w == "medication" || w == "medicine") && it.Kind == ccda.Allergies {
				return false // of medicines only
			}
		default:
			return false
		}
	}
	return denies
}

// file puts a line where it belongs: with what holds, what is over, or what is said of another person.
func (b *Block) file(it ccda.Item) {
	b.State = Stated
	switch {
	case it.Subject != "":
		b.Others = append(b.Others, it)
	case it.Over():
		b.Past = append(b.Past, it)
	default:
		b.Items = append(b.Items, it)
	}
}

// settle takes a list that only says why nothing is known for what it is: no information.
func (b *Block) settle() {
	if len(b.Items) == 0 || len(b.Past)+len(b.Others) > 0 {
		return
	}
	for _, it := range b.Items {
		if it.Null == "" || it.Negated || it.Source != ccda.FromEntry {
			return
		}
	}
	b.State, b.Null = Withheld, b.Items[0].Null
	b.Items = slices.DeleteFunc(b.Items, func(it ccda.Item) bool {
		return it.Code.Zero() || strings.HasPrefix(strings.ToLower(it.Name), "no ")
	})
}

func (b *Block) cut(n int) {
	if len(b.Items) > n {
		b.More, b.Items = len(b.Items)-n, b.Items[:n]
	}
}

func plan(d *ccda.Document) Block {
	b := Block{Subject: Plan, Title: "Plan"}
	kinds := []ccda.Kind{ccda.Plan, ccda.AssessPlan, ccda.Instructions, ccda.Goals}
	each(d, &b, kinds[:2], func(s *ccda.Section) { addPlan(d, &b, s) })
	if b.State == NotStated || b.State == Blank {
		was := b.State
		each(d, &b, kinds[2:], func(s *ccda.Section) { addPlan(d, &b, s) })
		if b.State == NotStated {
			b.State = was
		}
	}
	b.cut(maxLines)
	return b
}

// addPlan takes the lines of the text, which are what the sender signed; entries stand in for an empty text.
func addPlan(d *ccda.Document, b *Block, s *ccda.Section) {
	lines := ccda.Lines(s, 100)
	if len(lines) == 0 {
		for _, it := range d.SectionItems(s) {
			b.file(it)
		}
		return
	}
	for _, l := range lines {
		b.State = Stated
		name := l.Name
		if len(name) > maxText {
			name = strings.ToValidUTF8(name[:maxText], "") + "…"
		}
		detail := l.Rest
		if l.Under != "" {
			if detail != "" {
				detail += " · "
			}
			detail += "under “" + l.Under + "”"
		}
		b.file(ccda.Item{Kind: s.Kind, Section: s.Anchor, Subject: s.Subject, Name: name, Detail: detail, Source: ccda.FromNarrative, Anchor: l.ID})
	}
}

// key names an item by its code, or by its words where it has none or one that different things bear.
func key(it ccda.Item) string {
	if it.Code.Code != "" && !it.General() {
		return systemOf(it.Code.System) + ":" + it.Code.Code
	}
	return strings.ToLower(strings.Join(strings.Fields(it.Name), " "))
}

// systemOf is one name for a code system that CDA names by OID, HL7 v2 by a mnemonic and FHIR by URI.
func systemOf(s string) string {
	switch low := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(s), "urn:oid:")); low {
	case "2.16.840.1.113883.6.96", "http://snomed.info/sct", "sct", "snomed", "snomed-ct", "snomed ct", "snm":
		return "snomed"
	case "2.16.840.1.113883.6.88", "http://www.nlm.nih.gov/research/umls/rxnorm", "rxnorm", "rxn":
		return "rxnorm"
	case "2.16.840.1.113883.6.69", "http://hl7.org/fhir/sid/ndc", "ndc":
		return "ndc"
	case "2.16.840.1.113883.6.1", "http://loinc.org", "loinc", "ln":
		return "loinc"
	case "2.16.840.1.113883.6.90", "http://hl7.org/fhir/sid/icd-10-cm", "i10c", "icd-10-cm", "icd10cm", "http://hl7.org/fhir/sid/icd-10", "2.16.840.1.113883.6.3", "i10", "icd10", "icd-10":
		return "icd-10"
	case "2.16.840.1.113883.6.103", "http://hl7.org/fhir/sid/icd-9-cm", "i9", "i9c", "i9cdx", "icd-9-cm", "icd9":
		return "icd-9"
	default:
		return low
	}
}
