package ccda

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The limits of a table that is read into lines. Further columns are joined to the last one.
const (
	maxColumns = 40
	maxCell    = 400 // bytes of one cell
)

// grid is a table while its rows are read: heads by column, and cells that reach down into later rows.
type grid struct {
	heads  []string
	firsts []Line // a row of heads outside a thead, which is a line if nothing else is
	under  string // a row across the table that heads those below it
	empty  bool   // nothing followed that row yet
	carry  [maxColumns]struct {
		text string
		left int
	}
	rows int
}

// cell is one cell in its column; span is how many columns it covers.
type cell struct {
	text     string
	at, span int
	head     bool
}

func (l *liner) table(t node) {
	head := Plain(t.Child("caption"), maxCell)
	l.captioned(head, func() {
		g := &grid{}
		l.tableRows(t, g, false)
		l.endHeading(g)
		if g.rows == 0 {
			for _, f := range g.firsts {
				l.add(f)
			}
		}
	})
}

func (l *liner) tableRows(t node, g *grid, head bool) {
	for c := t.First(); c.OK() && len(l.out) < l.max; c = c.Next() {
		switch name := c.Name(); {
		case Struck(c) || name == "caption" && c.ID() == t.Child("caption").ID() || name == "col" || name == "colgroup":
		case name == "thead" || name == "tbody" || name == "tfoot":
			g.carry = [maxColumns]struct {
				text string
				left int
			}{}
			l.tableRows(c, g, name == "thead")
		case name == "tr":
			l.flush(false)
			l.row(c, g, head)
		case c.IsText():
			l.write(string(c.Bytes()[:min(len(c.Bytes()), maxWords)]))
		default: // what no table may hold is read all the same
			l.block(c)
		}
	}
	l.flush(false)
}

// cells places the cells of a row in their columns: those that reach down from rows above first.
func (g *grid) cells(tr node) []cell {
	var out []cell
	at := 0
	down := func() {
		for at < maxColumns && g.carry[at].left > 0 {
			g.carry[at].left--
			out = append(out, cell{g.carry[at].text, at, 1, false})
			at++
		}
	}
	for c := range tr.Elements("") {
		down()
		text := Plain(c, maxCell)
		if at >= maxColumns {
			if len(out) > 0 && text != "" && len(out[len(out)-1].text) < maxCell*4 {
				out[len(out)-1].text = joined(" · ", out[len(out)-1].text, text)
			}
			continue
		}
		span := min(spanOf(c, "colspan"), maxColumns-at)
		out = append(out, cell{text, at, span, c.Name() == "th"})
		if rows := spanOf(c, "rowspan"); rows > 1 {
			for i := range span {
				g.carry[at+i].left, g.carry[at+i].text = rows-1, ""
			}
			g.carry[at].text = text
		}
		at += span
	}
	for ; at < maxColumns; at++ {
		if g.carry[at].left > 0 {
			down()
			at--
		}
	}
	return out
}

func spanOf(c node, name string) int {
	if n, err := strconv.Atoi(strings.TrimSpace(c.Attr(name))); err == nil && n > 1 {
		return min(n, 1000)
	}
	return 1
}

// row takes a row as heads, as a heading of the rows below it, or as a line.
func (l *liner) row(tr node, g *grid, head bool) {
	cells := g.cells(tr)
	filled, only, width, heads := 0, 0, 0, true
	for i, c := range cells {
		width = max(width, c.at+c.span)
		heads = heads && c.head
		if c.text != "" {
			filled, only = filled+1, i
		}
	}
	switch {
	case filled == 0:
	case head && filled == 1 && cells[only].span > 1 && heading(cells[only].text): // "Inactive" above the heads of the columns
		g.under = strings.TrimRight(cells[only].text, ": ")
	case head:
		g.name(cells)
	case filled == 1 && (len(cells) == 1 || cells[only].span > 1) && (cells[only].head && max(width, len(g.heads)) > 1 || heading(cells[only].text)) && !denies(cells[only].text):
		l.endHeading(g)
		g.under, g.empty = strings.TrimRight(cells[only].text, ": "), true
	case !heads && len(g.heads) == 0 && g.rows == 0 && filled > 1 && headWords(cells): // QUIRK: heads written as cells
		g.name(cells)
	case heads && len(g.heads) == 0 && g.rows == 0:
		g.name(cells)
		if filled == 1 { // one cell may well be all there is
			g.firsts = append(g.firsts, Line{Name: cells[only].text, ID: tr.Attr("ID"), Row: true})
		}
	default:
		g.rows++
		g.empty = false
		line := g.line(cells)
		line.ID, line.Under = tr.Attr("ID"), g.under
		l.add(line)
	}
}

// headWords says whether every word of a row is one that heads columns: "Medication", "Dose" is no medicine.
func headWords(cells []cell) bool {
	for _, c := range cells {
		for _, w := range wordsOf(c.text) {
			switch strings.TrimSuffix(w, "s") {
			case "medication", "medicine", "drug", "name", "dose", "dosage", "route", "frequency", "statu", "date", "start", "end", "stop", "problem", "condition", "diagnosi", "allergen", "allergy", "allergie",
				"substance", "reaction", "severity", "comment", "note", "result", "value", "unit", "range", "reference", "test", "description", "code", "provider", "instruction", "sig", "direction", "quantity",
				"refill", "diagnosed", "recovered", "created", "entered", "reported", "prescribed", "planned", "care", "by", "on", "upto", "rx", "rxnorm", "snomed", "icd", "loinc", "type", "procedure", "onset", "of", "and", "time", "item", "detail", "indication", "interpretation", "flag", "vaccine", "system":
			default:
				return false
			}
		}
	}
	return true
}

// endHeading makes a heading without rows a line of its own, so that it is not lost.
func (l *liner) endHeading(g *grid) {
	if g.empty {
		l.add(Line{Name: g.under, Row: true})
		g.rows++
	}
	g.under, g.empty = "", false
}

// name adds a row of heads to those of the rows above it.
func (g *grid) name(cells []cell) {
	for _, c := range cells {
		for i := range c.span {
			at := c.at + i
			for len(g.heads) <= at {
				g.heads = append(g.heads, "")
			}
			if h := g.heads[at]; h == "" {
				g.heads[at] = c.text
			} else if c.text != "" && c.text != h && len(h) < maxCell {
				g.heads[at] = h + " / " + c.text
			}
		}
	}
}

// telling are the cells without those of columns headed as a code or its system, where a row has others
// that are no date or number: "RxNorm" names no medicine.
func (g *grid) telling(cells []cell, all []string) []string {
	out := slices.Clone(all)
	for i, c := range cells {
		if c.at < len(g.heads) && codeHead(g.heads[c.at]) {
			out[i] = ""
		}
	}
	if n := firstWords(out); n < 0 || !strings.ContainsFunc(out[n], unicode.IsLetter) {
		return all
	}
	return out
}

// codeHead says whether a head is that of a column of codes, their systems, or statuses.
func codeHead(head string) bool {
	list := wordsOf(head)
	for _, w := range list {
		switch w {
		case "code", "codes", "system", "codesystem", "rxnorm", "snomed", "ct", "loinc", "icd", "icd9", "icd10", "cpt", "ndc", "status":
		default:
			return false
		}
	}
	return len(list) > 0
}

func (g *grid) line(cells []cell) Line {
	l := Line{Row: true}
	var rest, all []string
	for _, c := range cells {
		all = append(all, c.text)
	}
	named := firstWords(g.telling(cells, all))
	for i, c := range cells {
		head := ""
		if c.at < len(g.heads) {
			head = g.heads[c.at]
		}
		if low := strings.ToLower(head); strings.Contains(low, "status") || low == "state" {
			l.Status = c.text
		}
		switch {
		case c.text == "":
			continue
		case i == named:
			l.Name = c.text
			continue
		case head != "":
			rest = append(rest, head+": "+c.text)
		default:
			rest = append(rest, c.text)
		}
		l.others = append(l.others, c.text)
	}
	l.Rest = strings.Join(rest, " · ")
	return l
}
