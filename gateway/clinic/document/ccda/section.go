package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

// Kind is what a section is about, whatever its sender calls it.
type Kind string

// The kinds a first page or a check asks for; every other section has kind Other.
const (
	Problems     Kind = "problems"
	Allergies    Kind = "allergies"
	Medications  Kind = "medications"
	Results      Kind = "results"
	Procedures   Kind = "procedures"
	Encounters   Kind = "encounters"
	Immunization Kind = "immunizations"
	Plan         Kind = "plan"
	Assessment   Kind = "assessment"
	AssessPlan   Kind = "assessment-and-plan"
	Reason       Kind = "reason-for-referral"
	VisitReason  Kind = "reason-for-visit"
	Complaint    Kind = "chief-complaint"
	Vitals       Kind = "vital-signs"
	Social       Kind = "social-history"
	FamilyHx     Kind = "family-history"
	PastHistory  Kind = "past-medical-history"
	HPI          Kind = "history-of-present-illness"
	Functional   Kind = "functional-status"
	Mental       Kind = "mental-status"
	Equipment    Kind = "medical-equipment"
	Payers       Kind = "payers"
	Directives   Kind = "advance-directives"
	DischargeDx  Kind = "discharge-diagnosis"
	DischargeRx  Kind = "discharge-medications"
	AdmissionDx  Kind = "admission-diagnosis"
	AdmissionRx  Kind = "admission-medications"
	Course       Kind = "hospital-course"
	Instructions Kind = "instructions"
	Goals        Kind = "goals"
	Concerns     Kind = "health-concerns"
	Outcomes     Kind = "outcomes"
	Intervention Kind = "interventions"
	Exam         Kind = "physical-exam"
	Review       Kind = "review-of-systems"
	GivenRx      Kind = "medications-administered"
	CareTeam     Kind = "care-team"
	Indication   Kind = "indication"
	Impression   Kind = "impression"
	PreDx        Kind = "preoperative-diagnosis"
	PostDx       Kind = "postoperative-diagnosis"
	Found        Kind = "findings"
	Performed    Kind = "procedure-description"
	Other        Kind = "other"
)

// The limits of a body.
const (
	MaxSections = 10000 // sections that are listed; deeper or further ones are shown inside their parent's page
	maxNesting  = 20    // levels of sections in sections that are told apart
)

// Section is one section of the body.
type Section struct {
	Anchor    string         // "s1", "s2" … in document order: the link target in the page
	Kind      Kind           //
	Level     int            // 1 = directly in the body
	Title     string         // as the sender wrote it; "" when there is none
	Code      chart.Code     //
	Templates []chart.ID     //
	Null      string         // null flavour: the sender says there is no information
	Subject   string         // whom it is about, when that is not the patient: "father", "newborn"
	Privacy   chart.Code     // confidentiality of this section, where it has its own
	Narrative xmltree.Node   // the text element, or absent
	Node      xmltree.Node   // the section element
	More      []xmltree.Node // further text elements, which no schema allows but some senders write
	Entries   int            // entry elements

	from, to int // its items in Document.items
}

// Name is the title, or what the code or the kind is called.
func (s *Section) Name() string {
	switch {
	case s.Title != "":
		return s.Title
	case s.Code.Display != "":
		return s.Code.Display
	case s.Kind != Other:
		return strings.ToUpper(string(s.Kind[:1])) + strings.ReplaceAll(string(s.Kind[1:]), "-", " ")
	case s.Code.Code != "":
		return "Section " + s.Code.Code
	}
	return "Section without a title"
}

// Empty says whether the narrative holds no text and no picture.
func (s *Section) Empty() bool {
	empty := true
	for _, text := range s.texts() {
		text.Walk(func(n xmltree.Node) bool {
			if n.IsText() && strings.TrimSpace(string(n.Bytes())) != "" || n.Name() == "renderMultiMedia" {
				empty = false
			}
			return empty
		}, nil)
	}
	return empty
}

// StruckOut says whether the narrative holds text, and all of it that could be a line is struck out. Heads of
// a table above no row are neither a line nor struck out.
func (s *Section) StruckOut() bool {
	if len(Lines(s, 1)) > 0 {
		return false
	}
	found := false
	for _, text := range s.texts() {
		text.Walk(func(n xmltree.Node) bool {
			found = found || Struck(n) && strings.TrimSpace(n.Text(maxWords)) != ""
			return !found
		}, nil)
	}
	return found
}

// maxTexts is how many further text elements of one section are shown.
const maxTexts = 100

// kindOfCode is the kind a LOINC section code stands for.
func kindOfCode(code string) Kind {
	switch code {
	case "11450-4":
		return Problems
	case "48765-2":
		return Allergies
	case "10160-0":
		return Medications
	case "30954-2", "11493-4", "18725-2", "26436-6":
		return Results
	case "47519-4":
		return Procedures
	case "46240-8":
		return Encounters
	case "11369-6":
		return Immunization
	case "18776-5":
		return Plan
	case "51848-0":
		return Assessment
	case "51847-2":
		return AssessPlan
	case "42349-1":
		return Reason
	case "29299-5", "46239-0":
		return VisitReason
	case "10154-3":
		return Complaint
	case "8716-3":
		return Vitals
	case "29762-2":
		return Social
	case "10157-6":
		return FamilyHx
	case "11348-0", "10153-2", "11349-8":
		return PastHistory
	case "10164-2":
		return HPI
	}
	return kindOfRarerCode(code)
}

func kindOfRarerCode(code string) Kind {
	switch code {
	case "47420-5":
		return Functional
	case "10190-7":
		return Mental
	case "46264-8":
		return Equipment
	case "48768-6":
		return Payers
	case "42348-3":
		return Directives
	case "11535-2", "C-CDAV2-DDN":
		return DischargeDx
	case "10183-2", "75311-1":
		return DischargeRx
	case "46241-6", "42347-5":
		return AdmissionDx
	case "42346-7":
		return AdmissionRx
	case "8648-8":
		return Course
	case "69730-0", "8653-8", "42345-9":
		return Instructions
	case "61146-7":
		return Goals
	case "75310-3":
		return Concerns
	case "11383-7":
		return Outcomes
	case "62387-6":
		return Intervention
	case "29545-1":
		return Exam
	case "10187-3":
		return Review
	case "29549-3":
		return GivenRx
	case "85847-2":
		return CareTeam
	case "59768-2", "18785-6", "121060", "121109":
		return Indication
	case "19005-8", "121072":
		return Impression
	case "10219-4":
		return PreDx
	case "10218-6", "59769-0":
		return PostDx
	case "59776-5", "18782-3", "121070":
		return Found
	case "29554-3":
		return Performed
	}
	return Other
}

// kindOfTemplate is the kind a section template stands for, release and "entries required" aside.
func kindOfTemplate(root string) Kind {
	if arc, ok := strings.CutPrefix(root, "2.16.840.1.113883.10.20.22.2."); ok {
		return kindOfArc(strings.TrimSuffix(arc, ".1"))
	}
	switch root {
	case "1.3.6.1.4.1.19376.1.5.3.1.3.1":
		return Reason
	case "1.3.6.1.4.1.19376.1.5.3.1.3.4":
		return HPI
	case "1.3.6.1.4.1.19376.1.5.3.1.3.5":
		return Course
	case "1.3.6.1.4.1.19376.1.5.3.1.3.18":
		return Review
	case "2.16.840.1.113883.10.20.2.10":
		return Exam
	case "2.16.840.1.113883.10.20.21.2.3":
		return Intervention
	}
	return Other
}

func kindOfArc(arc string) Kind {
	kinds := map[string]Kind{
		"1": Medications, "2": Immunization, "3": Results, "4": Vitals, "5": Problems, "6": Allergies, "7": Procedures,
		"8": Assessment, "9": AssessPlan, "10": Plan, "11": DischargeRx, "12": VisitReason, "13": VisitReason,
		"14": Functional, "15": FamilyHx, "17": Social, "18": Payers, "20": PastHistory, "21": Directives,
		"22": Encounters, "23": Equipment, "24": DischargeDx, "38": GivenRx, "41": Instructions, "43": AdmissionDx,
		"44": AdmissionRx, "45": Instructions, "56": Mental, "58": Concerns, "60": Goals, "61": Outcomes, "500": CareTeam,
	}
	if k, ok := kinds[arc]; ok {
		return k
	}
	return Other
}

// sections collects every section below n in document order, nested ones behind their parent, also
// where a sender left out the component around them. What is said of a section holds for those inside
// it: another subject (CDA R2 4.4, context conduction), and the kind, where they have none of their own.
func sections(n xmltree.Node, out []*Section) []*Section {
	var open []*Section
	n.Walk(func(c xmltree.Node) bool {
		switch {
		case c.Name() == "section":
			if len(out) >= MaxSections {
				return false
			}
			s := readSection(c, min(len(open)+1, maxNesting))
			if len(open) > 0 {
				s.inherit(open[len(open)-1])
			}
			open = append(open, s)
			out = append(out, s)
		case c.Name() == "text" || c.Name() == "entry":
			return false
		}
		return true
	}, func(c xmltree.Node) {
		if c.Name() == "section" {
			open = open[:len(open)-1]
		}
	})
	return out
}

func (s *Section) inherit(outer *Section) {
	if s.Subject == "" && !s.Node.Child("subject").OK() {
		s.Subject = outer.Subject
	}
	if s.Kind != Other {
		return
	}
	switch outer.Kind {
	case Problems, Allergies, Medications, DischargeRx, DischargeDx, Results, Vitals, Plan, Assessment, AssessPlan, Reason:
		s.Kind = outer.Kind
	}
}

func readSection(n xmltree.Node, level int) *Section {
	s := &Section{Kind: Other, Level: level, Node: n, Narrative: n.Child("text"), Null: n.Attr("nullFlavor"), Subject: subjectOf(n)}
	s.Title = squeeze(n.Child("title").Text(maxWords))
	s.Code = readCode(n.Child("code"))
	s.Privacy = readCode(n.Child("confidentialityCode"))
	for id := range n.Elements("templateId") {
		if len(s.Templates) < maxIDs {
			s.Templates = append(s.Templates, readID(id))
		}
	}
	for t := range n.Elements("text") {
		if t.ID() != s.Narrative.ID() && len(s.More) < maxTexts {
			s.More = append(s.More, t)
		}
	}
	for range n.Elements("entry") {
		s.Entries++
	}
	s.Kind = kindOfCode(s.Code.Code)
	for i := 0; i < len(s.Templates) && s.Kind == Other; i++ {
		s.Kind = kindOfTemplate(s.Templates[i].Root)
	}
	if s.Kind == Other {
		s.Kind = kindOfTitle(s.Title)
	}
	return s
}

// kindOfTitle is the kind of a section that neither its code nor a template tells, by a title that can
// mean nothing else: a page must not say that a document has no section on allergies when it has one.
func kindOfTitle(title string) Kind {
	switch strings.Join(wordsOf(title), " ") {
	case "allergies", "allergy list", "drug allergies", "allergies and intolerances", "allergies and adverse reactions", "allergies adverse reactions alerts", "adverse reactions":
		return Allergies
	case "medications", "medication list", "current medications", "medicines", "active medications":
		return Medications
	case "problems", "problem list", "active problems", "current problems", "diagnoses":
		return Problems
	case "results", "laboratory results", "lab results", "recent results":
		return Results
	case "vital signs", "vitals":
		return Vitals
	case "reason for referral", "referral reason":
		return Reason
	case "plan", "plan of care", "plan of treatment", "care plan":
		return Plan
	case "assessment", "impression":
		return Assessment
	case "assessment and plan":
		return AssessPlan
	case "family history":
		return FamilyHx
	}
	return Other
}
