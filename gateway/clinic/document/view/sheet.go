package view

import (
	"fmt"
	"io"
	"slices"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/page"
)

// Sheet is the view of everything that is no CDA: who and what, labelled facts, lines by group, texts.
type Sheet struct {
	Kind     string // the badge: "HL7 v2 message", "PDF", "XDM package"
	Title    string
	Patient  *chart.Patient
	Date     chart.Time
	Facts    []Fact
	Lines    []chart.Line
	Texts    []Text
	Picture  []byte // shown if it is a sound picture
	Alt      string
	Compared *brief.Comparison // nil = nothing to compare with
	Findings []chart.Finding
	Repairs  []string
	Raw      io.ReaderAt
	RawSize  int64
	RawLabel string
}

// Fact is one labelled value.
type Fact struct{ Name, Value string }

// Text is a passage with its title. HTML holds reduced mail HTML for a frame instead of Words.
type Text struct {
	Title string
	Words string
	Mono  bool // fixed pitch
	HTML  string
	Fold  bool
}

// Body writes the sheet into a page.
func (s Sheet) Body(p *page.Writer) {
	p.Open(page.Header, page.Cls(page.Banner))
	p.Open(page.P, page.Cls(page.Meta))
	p.Elem(page.Span, s.Kind, page.Cls(page.Badge))
	if s.Patient != nil && s.Title != "" {
		p.Text(page.OneLine(s.Title))
	}
	p.Close()
	if s.Patient != nil {
		writePatient(p, *s.Patient, s.Date)
	} else {
		title := s.Title
		if title == "" {
			title = s.Kind
		}
		p.Elem(page.H1, page.OneLine(title))
	}
	p.Close()
	// What a reader may be misled by stands before what it is about, the rest of the checks behind.
	early := slices.ContainsFunc(s.Findings, func(f chart.Finding) bool { return f.Severity == chart.Problem })
	if early {
		writeFindings(p, s.Findings, s.Repairs)
	}
	if s.Compared != nil {
		p.Open(page.Div, page.Cls(page.Grid))
		writeComparison(p, s.Compared)
		p.Close()
	}
	if len(s.Facts) > 0 {
		p.Open(page.Section)
		p.Open(page.Dl, page.Cls(page.Facts))
		for _, f := range s.Facts {
			row(p, f.Name, f.Value)
		}
		p.Close()
		p.Close()
	}
	s.groups(p)
	for _, t := range s.Texts {
		t.write(p)
	}
	if s.Picture != nil {
		s.picture(p)
	}
	if !early {
		writeFindings(p, s.Findings, s.Repairs)
	}
	if s.Raw != nil {
		WriteRaw(p, s.Raw, s.RawSize, s.RawLabel)
	}
}

// groups writes the lines as cards, a group's lines together, groups in the order they first come.
func (s Sheet) groups(p *page.Writer) {
	if len(s.Lines) == 0 {
		return
	}
	var order []string
	by := map[string][]chart.Line{}
	for _, l := range s.Lines {
		if _, ok := by[l.Group]; !ok {
			order = append(order, l.Group)
		}
		by[l.Group] = append(by[l.Group], l)
	}
	p.Open(page.Div, page.Cls(page.Grid))
	for _, g := range order {
		p.Open(page.Div, page.Cls(page.Card, page.Card2))
		p.Elem(page.H2, g)
		writeGroup(p, by[g])
		p.Close()
	}
	p.Close()
}

// writeGroup writes what holds or is denied, then folded what is over, then what the sender took back.
func writeGroup(p *page.Writer, lines []chart.Line) {
	var now, past, void []chart.Line
	for _, l := range lines {
		switch l.Standing {
		case chart.Over:
			past = append(past, l)
		case chart.Withdrawn:
			void = append(void, l)
		default:
			now = append(now, l)
		}
	}
	if len(now) == 0 {
		p.Elem(page.P, "None listed as current.", page.Cls(page.Answer))
	} else {
		writeLineList(p, now)
	}
	for _, folded := range []struct {
		lines []chart.Line
		words string
	}{{past, "no longer current"}, {void, "taken back by the sender, not to be relied on"}} {
		if len(folded.lines) > 0 {
			p.Open(page.Details, page.Cls(page.Past), openIf(len(now) == 0))
			p.Elem(page.Summary, fmt.Sprintf("%d %s", len(folded.lines), folded.words))
			writeLineList(p, folded.lines)
			p.Close()
		}
	}
}

func writeLineList(p *page.Writer, lines []chart.Line) {
	p.Open(page.Ul, page.Cls(page.Line))
	for i, l := range lines {
		if i >= maxGroupLines {
			p.Elem(page.Li, fmt.Sprintf("and %d more", len(lines)-maxGroupLines))
			break
		}
		writeLine(p, l)
	}
	p.Close()
}

// maxGroupLines is how many lines of one group are shown.
const maxGroupLines = 500

// writeLine puts the mark of a line that does not simply hold in front of it, so that nobody reads the
// name first; what was taken back is struck through as well.
func writeLine(p *page.Writer, l chart.Line) {
	p.Open(page.Li)
	if m := l.Mark(); m != "" {
		p.Elem(page.Span, m+":", page.Cls(page.OverMark))
		p.Text(" ")
	}
	if l.Standing == chart.Withdrawn {
		p.Elem(page.Del, join(" ", l.Name, l.Value, l.Flag))
	} else {
		p.Text(l.Name)
		if l.Value != "" {
			p.Text(" ")
			p.Elem(page.Span, l.Value, page.Cls(page.Value, page.Lines))
		}
		if l.Flag != "" {
			p.Text(" ")
			p.Elem(page.Span, l.Flag, page.Cls(page.Flag))
		}
	}
	if rest := join(" · ", l.Note, l.Time.String()); rest != "" {
		p.Text(" ")
		p.Elem(page.Span, rest, page.Cls(page.Detail, page.Lines))
	}
	p.Close()
}

func (t Text) write(p *page.Writer) {
	p.Open(page.Section)
	if t.Fold {
		p.Open(page.Details)
		p.Elem(page.Summary, t.Title)
	} else if t.Title != "" {
		p.Elem(page.H2, t.Title)
	}
	switch {
	case t.HTML != "":
		p.Frame(t.HTML, t.Title)
	case t.Mono:
		p.Elem(page.Pre, t.Words)
	default:
		p.Elem(page.P, t.Words, page.Cls(page.Narrative, page.Lines)) // no div: the line end behind its tag would show
	}
	if t.Fold {
		p.Close()
	}
	p.Close()
}

func (s Sheet) picture(p *page.Writer) {
	p.Open(page.Section)
	if kind, err := checkPicture(s.Picture); err != nil {
		p.Elem(page.P, "The picture is not shown: "+err.Error()+".", page.Cls(page.Answer))
	} else {
		p.Picture(kind, s.Picture, s.Alt)
	}
	p.Close()
}

// Inside opens the frame of a document inside another; prefix keeps its links apart; the caller sets
// Space back.
func Inside(p *page.Writer, prefix, title string, body func(*page.Writer)) {
	p.Open(page.Div, page.Cls(page.Inside))
	if title != "" {
		p.Elem(page.P, page.OneLine(title), page.Cls(page.Muted))
	}
	p.Space(prefix)
	body(p)
	p.Close()
}
