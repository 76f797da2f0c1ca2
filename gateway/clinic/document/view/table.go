package view

import (
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/page"
	"postern/gateway/clinic/document/xmltree"
)

// table writes a table of exactly the shape HTML asks for: a caption first, then groups, rows, cells.
// What stands elsewhere inside a table gets a cell of its own, so that no browser moves it.
func (nr *narrative) table(c xmltree.Node, depth int) {
	nr.p.Open(page.Div, page.Cls(page.Scroll), page.Focusable())
	nr.p.Open(page.Table, anchor(c), lang(c))
	started, group := false, false
	for k := c.First(); k.OK(); k = k.Next() {
		name := strings.ToLower(k.Name())
		switch {
		case blank(k) || kindOf(name) == ignore && !k.IsText() && k.Text(1) == "":
			continue
		case name == "caption" && !started:
			nr.wrap(k, page.Caption, depth+1)
		case name == "thead" || name == "tfoot" || name == "tbody":
			if group {
				nr.p.Close()
				group = false
			}
			nr.group(k, groupTag(name), depth+1)
		default:
			if !group {
				nr.p.Open(page.Tbody)
				group = true
			}
			nr.rowOrStray(k, false, depth+1)
		}
		started = true
	}
	if group {
		nr.p.Close()
	}
	nr.p.Close()
	nr.p.Close()
}

// cut notes that rows or a group of them are struck out, for their cells; the answer ends it.
func (nr *narrative) cut(c xmltree.Node) func() {
	was := nr.cells
	nr.cells = was || !nr.struck && ccda.Struck(c)
	return func() { nr.cells = was }
}

// cell writes the inside of a cell, struck out when its row is.
func (nr *narrative) cell(write func()) {
	if !nr.cells || nr.struck {
		write()
		return
	}
	nr.struck = true
	nr.p.Open(page.Del)
	write()
	nr.p.Close()
	nr.struck = false
}

func groupTag(name string) page.Tag {
	switch name {
	case "thead":
		return page.Thead
	case "tfoot":
		return page.Tfoot
	}
	return page.Tbody
}

func (nr *narrative) group(c xmltree.Node, tag page.Tag, depth int) {
	nr.p.Open(tag, anchor(c), lang(c))
	defer nr.cut(c)()
	for k := c.First(); k.OK(); k = k.Next() {
		if !blank(k) {
			nr.rowOrStray(k, tag == page.Thead, depth+1)
		}
	}
	nr.p.Close()
}

func (nr *narrative) rowOrStray(k xmltree.Node, head bool, depth int) {
	if !strings.EqualFold(k.Name(), "tr") {
		nr.p.Open(page.Tr)
		nr.cellOrStray(k, head, depth+1)
		nr.p.Close()
		return
	}
	nr.p.Open(page.Tr, anchor(k), lang(k), page.Cls(styles(k)...))
	defer nr.cut(k)()
	for c := k.First(); c.OK(); c = c.Next() {
		if !blank(c) {
			nr.cellOrStray(c, head, depth+1)
		}
	}
	nr.p.Close()
}

func (nr *narrative) cellOrStray(c xmltree.Node, head bool, depth int) {
	tag, scope := page.Td, page.Attr{}
	switch strings.ToLower(c.Name()) {
	case "th":
		tag, scope = page.Th, page.ScopeRow()
		if head {
			scope = page.ScopeCol()
		}
	case "td":
	default:
		nr.p.Open(page.Td)
		nr.cell(func() { nr.node(c, depth+1) })
		nr.p.Close()
		return
	}
	nr.p.Open(tag, scope, page.ColSpan(c.Attr("colspan")), page.RowSpan(c.Attr("rowspan")), page.Cls(styles(c)...), anchor(c), lang(c))
	nr.cell(func() { nr.strike(c, func() { nr.flow(c, depth+1) }) })
	nr.p.Close()
}
