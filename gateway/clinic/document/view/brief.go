package view

import (
	"fmt"
	"slices"
	"strings"

	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/page"
)

// writeBrief is the first page: cards in the order a reader asks, each line a link to its section.
func writeBrief(p *page.Writer, b brief.Brief, c *brief.Comparison, names map[string]string) {
	p.Open(page.Div, page.Cls(page.Grid), page.ID("first-page"))
	why := b.Block(brief.Why)
	p.Open(page.Div, page.Cls(page.Card, page.Wide, page.Asked))
	cardHead(p, why, names)
	writeTexts(p, why)
	for _, it := range why.Items {
		p.Open(page.P, page.Cls(page.Detail))
		p.Text(join(" · ", Standing(it)+it.Name, it.Detail, statusText(it), period(it.Start, it.End)))
		p.Close()
	}
	p.Close()
	if c != nil {
		writeComparison(p, c)
	}
	var silent []string // subjects the document has no section on
	for _, column := range [][]brief.Subject{{brief.Problems, brief.Allergies}, {brief.Medicines}, {brief.Results, brief.Vitals}} {
		said := 0
		for _, s := range column {
			if block := b.Block(s); block.State == brief.NotStated {
				silent = append(silent, strings.ToLower(block.Title))
			} else {
				said++
			}
		}
		if said == 0 {
			continue
		}
		p.Open(page.Div, page.Cls(page.Column))
		for _, s := range column {
			block := b.Block(s)
			if block.State == brief.NotStated {
				continue
			}
			p.Open(page.Div, page.Cls(page.Card))
			cardHead(p, block, names)
			writeLines(p, block)
			p.Close()
		}
		p.Close()
	}
	silent = writeVerdict(p, b, names, silent)
	if len(silent) > 0 {
		p.Open(page.Div, page.Cls(page.Card, page.Wide))
		p.Elem(page.P, "Not stated, the document has no section on: "+strings.Join(silent, ", ")+".", page.Cls(page.Answer))
		p.Close()
	}
	p.Close()
}

// writeVerdict writes assessment and plan side by side, and gives silent with the plan if there is none.
func writeVerdict(p *page.Writer, b brief.Brief, names map[string]string, silent []string) []string {
	width := page.Wide
	if j := b.Block(brief.Judgement); j.State == brief.Stated {
		if b.Block(brief.Plan).State != brief.NotStated {
			width = page.Card2
		}
		p.Open(page.Div, page.Cls(page.Card, width))
		cardHead(p, j, names)
		writeTexts(p, j)
		p.Close()
	}
	if plan := b.Block(brief.Plan); plan.State == brief.NotStated {
		silent = append(silent, strings.ToLower(plan.Title))
	} else {
		p.Open(page.Div, page.Cls(page.Card, width))
		cardHead(p, plan, names)
		writeLines(p, plan)
		p.Close()
	}
	return silent
}

// cardHead is the title with links to the sections it was read from.
func cardHead(p *page.Writer, b brief.Block, names map[string]string) {
	p.Open(page.H2)
	p.Elem(page.Span, b.Title)
	if len(b.Anchors) > 0 {
		p.Elem(page.A, "section", page.Link(b.Anchors[0]), page.Hover(names[b.Anchors[0]]), page.Cls(page.Source))
	}
	p.Close()
}

func writeTexts(p *page.Writer, b brief.Block) {
	if w := b.Words(); w != "" {
		p.Elem(page.P, w+".", page.Cls(page.Answer))
	}
	for _, t := range b.Texts {
		p.Open(page.P)
		if len(b.Texts) > 1 || !strings.EqualFold(t.Title, b.Title) && b.Title != "Why this was sent" {
			p.Elem(page.Strong, t.Title+": ")
		}
		if t.Of != "" {
			p.Elem(page.Strong, "About another person ("+t.Of+"): ")
		}
		p.Text(t.Words)
		if t.Cut {
			p.Text("… ")
			p.Elem(page.A, "read on", page.Link(t.Section))
		}
		p.Close()
	}
}

func writeLines(p *page.Writer, b brief.Block) {
	if w := b.Words(); w != "" {
		p.Elem(page.P, w+".", page.Cls(page.Answer))
	}
	if len(b.Items) > 0 {
		p.Open(page.Ul, page.Cls(page.Line))
		for _, it := range b.Items {
			writeItem(p, it, itemOptions{link: true})
		}
		p.Close()
	}
	if b.More > 0 {
		p.Open(page.P, page.Cls(page.Detail))
		p.Elem(page.A, fmt.Sprintf("and %d more", b.More), page.Link(b.Anchors[0]))
		p.Close()
	}
	if len(b.Past) > 0 {
		odd := slices.ContainsFunc(b.Past, func(it ccda.Item) bool { return it.Conflict != "" }) // a doubt is not folded away
		p.Open(page.Details, page.Cls(page.Past), openIf(odd))
		what := "no longer current"
		if b.Subject == brief.Results || b.Subject == brief.Vitals {
			what = "withdrawn or cancelled"
		}
		p.Elem(page.Summary, fmt.Sprintf("%d %s", len(b.Past), what))
		p.Open(page.Ul, page.Cls(page.Line))
		for _, it := range b.Past {
			writeItem(p, it, itemOptions{link: true})
		}
		p.Close()
		p.Close()
	}
	if b.State == brief.Stated && len(b.Items) == 0 {
		p.Elem(page.P, "None listed as current.", page.Cls(page.Answer))
	}
	writeOthers(p, b)
}

// writeOthers are the lines that are not about the patient, apart from those that are.
func writeOthers(p *page.Writer, b brief.Block) {
	if len(b.Others) == 0 {
		return
	}
	p.Open(page.Div, page.Cls(page.Others))
	p.Elem(page.P, "Not about the patient:", page.Cls(page.Detail))
	p.Open(page.Ul, page.Cls(page.Line))
	for i, it := range b.Others {
		if i >= maxOthers {
			p.Elem(page.Li, fmt.Sprintf("and %d more", len(b.Others)-maxOthers))
			break
		}
		writeItem(p, it, itemOptions{link: true})
	}
	p.Close()
	p.Close()
}

// maxOthers is how many lines about other persons one card lists.
const maxOthers = 10

type itemOptions struct {
	link  bool
	codes bool
}

// writeItem is one line: name, value, flag, detail, status, dates, and the conflict if there is one.
func writeItem(p *page.Writer, it ccda.Item, o itemOptions) {
	p.Open(page.Li)
	itemBody(p, it, o)
	p.Close()
}

func itemBody(p *page.Writer, it ccda.Item, o itemOptions) {
	name := Standing(it) + it.Name
	if len(name) > 420 {
		name = strings.ToValidUTF8(name[:420], "") + "…"
	}
	target := it.Section
	if it.Anchor != "" {
		target = anchorPrefix + it.Anchor
	}
	if o.link && target != "" {
		p.Elem(page.A, name, page.Link(target))
	} else {
		p.Elem(page.Span, name)
	}
	if it.Value != "" && it.Value != it.Name {
		p.Text(" ")
		p.Elem(page.Span, it.Value, page.Cls(page.Value))
	}
	if it.Flag != "" {
		p.Text(" ")
		p.Elem(page.Span, it.Flag, page.Cls(page.Flag))
	}
	if rest := join(" · ", itemDetail(it), statusText(it), since(it), group(it)); rest != "" {
		p.Text(" ")
		p.Elem(page.Span, rest, page.Cls(page.Detail))
	}
	if o.codes && it.Code.Code != "" {
		p.Text(" ")
		p.Elem(page.Span, join(" ", systemName(it.Code.System), it.Code.Code), page.Cls(page.Detail, page.Mono))
	}
	switch {
	case it.Conflict == "":
	case it.Source == ccda.FromNarrative:
		p.Text(" ")
		p.Elem(page.Span, "in the text only", page.Cls(page.Detail))
	case it.Grave:
		p.Elem(page.Span, "Contradiction: "+it.Conflict, page.Cls(page.Conflict, page.Flag))
	default:
		p.Elem(page.Span, "Differs: "+it.Conflict, page.Cls(page.Conflict))
	}
}

// Standing is what must stand in front of a line's name when it does not state a fact about the patient:
// "Father: ", "No allergy to: ", "Requested, not done: ".
func Standing(it ccda.Item) string {
	out := ""
	if it.Subject != "" {
		out = strings.ToUpper(it.Subject[:1]) + it.Subject[1:] + ": "
	}
	denied := strings.HasPrefix(strings.ToLower(it.Name), "no ") || strings.HasPrefix(strings.ToLower(it.Name), "not ")
	switch {
	case it.Source == ccda.FromNarrative:
	case it.Negated && !denied:
		out += negation(it.Kind)
	case it.Null != "" && !denied:
		out += "Not stated to be so (" + chart.NullWords(it.Null) + "): "
	}
	if it.Mood != "" {
		out += strings.ToUpper(it.Mood[:1]) + it.Mood[1:] + ", not done: "
		if it.Negated {
			out = strings.Replace(out, ", not done: ", ": ", 1)
		}
	}
	return out
}

// negation is how a denial of that kind is read.
func negation(k ccda.Kind) string {
	switch k {
	case ccda.Allergies:
		return "No allergy to: "
	case ccda.Problems, ccda.PastHistory, ccda.DischargeDx, ccda.AdmissionDx, ccda.Concerns:
		return "Does not have: "
	case ccda.Medications, ccda.DischargeRx, ccda.AdmissionRx:
		return "Not taking: "
	case ccda.Immunization, ccda.GivenRx:
		return "Not given: "
	case ccda.Results, ccda.Vitals:
		return "Not done or not found: "
	case ccda.Procedures, ccda.Encounters, ccda.Plan, ccda.AssessPlan, ccda.Intervention:
		return "Not done: "
	}
	return "Not: "
}

func itemDetail(it ccda.Item) string {
	if len(it.Detail) > 300 {
		return strings.ToValidUTF8(it.Detail[:300], "") + "…"
	}
	return it.Detail
}

// group names the section of a line where several share a block; a result's panel goes without saying.
func group(it ccda.Item) string {
	if it.Kind == ccda.Results || it.Kind == ccda.Vitals {
		return ""
	}
	return it.Group
}

// statusText leaves out what goes without saying.
func statusText(it ccda.Item) string {
	switch it.Status {
	case "nullified":
		return "withdrawn: entered in error"
	case "active":
		switch it.Kind {
		case ccda.Results, ccda.Vitals:
			return "not final"
		case ccda.Procedures:
			return "not completed"
		}
		return ""
	case "completed", "":
		if it.Status == "completed" && (it.Kind == ccda.Medications || it.Kind == ccda.Allergies || it.Kind == ccda.Problems) {
			return "completed"
		}
		return ""
	}
	return it.Status
}

func since(it ccda.Item) string {
	if it.Later {
		return "starts " + period(known(it.Start), known(it.End))
	}
	switch it.Kind {
	case ccda.Results, ccda.Vitals, ccda.Procedures, ccda.Encounters, ccda.Immunization, ccda.Plan, ccda.Reason:
		return period(it.Start, it.End)
	}
	if it.Start.Precision > chart.Unknown && it.End.Zero() {
		return "since " + it.Start.Date()
	}
	return period(known(it.Start), known(it.End))
}

// known drops a time nobody can read, such as the 0 of Kareo exports.
func known(t chart.Time) chart.Time {
	if t.Precision == chart.Unknown {
		return chart.Time{}
	}
	return t
}

func systemName(oid string) string {
	switch oid {
	case "2.16.840.1.113883.6.96":
		return "SNOMED CT"
	case "2.16.840.1.113883.6.1":
		return "LOINC"
	case "2.16.840.1.113883.6.88":
		return "RxNorm"
	case "2.16.840.1.113883.6.90":
		return "ICD-10-CM"
	case "2.16.840.1.113883.6.103":
		return "ICD-9-CM"
	case "2.16.840.1.113883.6.12":
		return "CPT"
	case "2.16.840.1.113883.12.292":
		return "CVX"
	case "2.16.840.1.113883.6.69":
		return "NDC"
	}
	return oid
}

// writeComparison is the card of what changed.
func writeComparison(p *page.Writer, c *brief.Comparison) {
	p.Open(page.Div, page.Cls(page.Card, page.Wide, page.Changes), page.ID("changes"))
	p.Elem(page.H2, "Changed since "+join(" of ", c.OlderType, c.OlderDate.Date()))
	switch c.Patient {
	case brief.Differ:
		p.Elem(page.P, "Not compared: "+c.Evidence+".", page.Cls(page.Problem))
	case brief.Unsure:
		p.Elem(page.P, "Check that both are about one person: "+c.Evidence+".", page.Cls(page.Warning))
	}
	if c.Reversed {
		p.Elem(page.P, "The document taken as the earlier one bears a later date.", page.Cls(page.Warning))
	}
	p.Open(page.Div, page.Cls(page.Columns))
	for _, s := range c.Sides {
		p.Open(page.Div)
		writeSide(p, s)
		p.Close()
	}
	p.Close()
	p.Close()
}

func writeSide(p *page.Writer, s brief.Side) {
	p.Elem(page.H3, s.Title)
	switch {
	case s.Silent != "":
		p.Elem(page.P, "Not compared: "+s.Silent+".", page.Cls(page.Answer))
		return
	case len(s.Changes) == 0:
		p.Elem(page.P, fmt.Sprintf("No change in %d.", s.Same), page.Cls(page.Answer))
		return
	}
	p.Open(page.Ul, page.Cls(page.Line))
	for i, ch := range s.Changes {
		if i >= maxChanges {
			p.Elem(page.Li, fmt.Sprintf("and %d more changes", len(s.Changes)-maxChanges))
			break
		}
		p.Open(page.Li)
		mark := page.NewMark
		if ch.Kind == brief.Stopped || ch.Kind == brief.NotListed || ch.Kind == brief.Denied {
			mark = page.OverMark
		}
		p.Elem(page.Span, changeWord(ch.Kind, s.Subject), page.Cls(mark))
		p.Text(" ")
		if ch.Kind == brief.Denied {
			p.Elem(page.Span, ch.What)
			p.Close()
			continue
		}
		ch.Item.Conflict = ""
		itemBody(p, ch.Item, itemOptions{link: ch.Kind != brief.NotListed})
		if ch.What != "" {
			p.Text(" ")
			p.Elem(page.Span, "("+ch.What+")", page.Cls(page.Detail))
		}
		p.Close()
	}
	p.Close()
	if s.Same > 0 {
		p.Elem(page.P, fmt.Sprintf("%d unchanged.", s.Same), page.Cls(page.Detail))
	}
}

// maxChanges is how many changes of one subject are listed.
const maxChanges = 60

func changeWord(k brief.Kind, of brief.Subject) string {
	switch k {
	case brief.New:
		return "New"
	case brief.Changed:
		return "Changed"
	case brief.Stopped:
		if of != brief.Medicines {
			return "No longer so"
		}
		return "Stopped"
	case brief.Denied:
		return "Denied"
	}
	return "Not listed"
}
