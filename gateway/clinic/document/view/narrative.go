package view

import (
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/page"
	"postern/gateway/clinic/document/xmltree"
)

// maxNested is how deep narrative elements are rendered as elements; below it only their text is, so
// that no browser's own nesting limit rearranges the page.
const maxNested = 40

// narrative renders one section's text. Every character of text is written, in order; elements become
// their nearest of page's own, unknown ones dissolve.
type narrative struct {
	p      *page.Writer
	media  *media
	first  int    // ID of the narrative's root
	blocks []bool // by node ID minus first: has a block inside
	inLink bool
	struck bool // inside a del
	cells  bool // inside rows that are struck out, which no del can wrap: their cells strike their own words
}

// writeNarrative renders n, a section's text element.
func writeNarrative(p *page.Writer, n xmltree.Node, m *media) {
	nr := &narrative{p: p, media: m, first: n.ID()}
	nr.findBlocks(n)
	if only := n.First(); !hasElements(n) && !ccda.Struck(n) && only.OK() && !only.Long() { // plain text: its line ends mean something
		p.Elem(page.Div, strings.TrimSpace(string(only.Bytes())), page.Cls(page.Narrative, page.Lines), lang(n))
		return
	}
	p.Open(page.Div, page.Cls(page.Narrative), lang(n))
	nr.strike(n, func() { nr.flow(n, 0) })
	p.Close()
}

// strike writes what the sender struck out inside a del: it is seen, and seen not to hold (ccda.Struck).
func (nr *narrative) strike(c xmltree.Node, write func()) {
	if nr.struck || !ccda.Struck(c) {
		write()
		return
	}
	nr.struck = true
	nr.p.Open(page.Del)
	write()
	nr.p.Close()
	nr.struck = false
}

func hasElements(n xmltree.Node) bool {
	for range n.Elements("") {
		return true
	}
	return false
}

// kind is the nearest HTML of a narrative element.
type kind int

const (
	dissolve kind = iota
	inline
	block
	table
	list
	item
	rows // thead, tbody, tfoot, tr, td, th outside a table
	lineBreak
	link
	multimedia
	raised
	lowered
	ignore
)

func kindOf(name string) kind {
	switch strings.ToLower(name) {
	case "content", "b", "i", "em", "strong", "u", "span", "tt", "code", "font", "small", "big", "label", "footnote", "del", "s", "strike", "ins":
		return inline
	case "paragraph", "p", "div", "caption", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "center", "dl", "dt", "dd", "hr":
		return block
	case "table":
		return table
	case "list", "ul", "ol":
		return list
	case "item", "li":
		return item
	case "thead", "tbody", "tfoot", "tr", "td", "th":
		return rows
	case "br":
		return lineBreak
	case "linkhtml", "a", "footnoteref":
		return link
	case "rendermultimedia":
		return multimedia
	case "sup":
		return raised
	case "sub":
		return lowered
	case "col", "colgroup":
		return ignore
	}
	return dissolve
}

// findBlocks marks the nodes that hold a block, so that none is written inside a p or a span.
func (nr *narrative) findBlocks(n xmltree.Node) {
	n.Walk(func(c xmltree.Node) bool {
		for len(nr.blocks) <= c.ID()-nr.first {
			nr.blocks = append(nr.blocks, false)
		}
		return true
	}, func(c xmltree.Node) {
		k := kindOf(c.Name())
		if k == block || k == table || k == list || k == item || k == rows || nr.blocks[c.ID()-nr.first] {
			if up := c.Parent(); up.OK() && c.ID() != nr.first {
				nr.blocks[up.ID()-nr.first] = true
			}
		}
	})
}

func (nr *narrative) holdsBlock(n xmltree.Node) bool { return nr.blocks[n.ID()-nr.first] }

// flow writes the children of n where text and blocks may stand side by side.
func (nr *narrative) flow(n xmltree.Node, depth int) {
	for c := n.First(); c.OK(); c = c.Next() {
		nr.node(c, depth)
	}
}

func (nr *narrative) node(c xmltree.Node, depth int) {
	if c.IsText() {
		nr.text(c)
		return
	}
	if depth > maxNested {
		nr.strike(c, func() { nr.deep(c) })
		return
	}
	switch kindOf(c.Name()) {
	case inline:
		nr.inline(c, depth)
	case block:
		nr.block(c, depth)
	case table:
		nr.strike(c, func() { nr.table(c, depth) })
	case list:
		nr.strike(c, func() { nr.list(c, depth) })
	case item:
		nr.wrap(c, page.Div, depth, page.Cls(page.Block))
	case rows:
		nr.wrap(c, page.Div, depth, page.Cls(page.Row))
	case lineBreak:
		nr.p.Open(page.Br)
		nr.flow(c, depth+1)
	case link:
		nr.strike(c, func() { nr.link(c, depth) })
	case multimedia:
		nr.media.show(nr.p, c)
		nr.flow(c, depth+1)
	case raised:
		nr.phrase(c, page.Sup, depth)
	case lowered:
		nr.phrase(c, page.Sub, depth)
	default:
		nr.strike(c, func() { nr.flow(c, depth+1) })
	}
}

// deep writes the text of what is nested too deeply for elements of its own; what is struck out in it
// is struck.
func (nr *narrative) deep(c xmltree.Node) {
	depth := nr.p.Depth()
	from := xmltree.Node{} // the outermost struck element that is open
	c.Walk(func(t xmltree.Node) bool {
		switch {
		case t.IsText():
			nr.text(t)
			nr.p.Text(" ")
		case !nr.struck && !from.OK() && ccda.Struck(t):
			from = t
			nr.p.Open(page.Del)
		}
		return true
	}, func(t xmltree.Node) {
		if from.OK() && t.ID() == from.ID() {
			nr.p.CloseTo(depth)
			from = xmltree.Node{}
		}
	})
}

func (nr *narrative) text(t xmltree.Node) {
	nr.p.Text(string(t.Bytes()))
	if t.Long() {
		nr.p.Elem(page.Span, " (the text goes on; only its beginning is shown here) ", page.Cls(page.Added))
	}
}

// wrap writes c as the element t around its flow.
func (nr *narrative) wrap(c xmltree.Node, t page.Tag, depth int, attrs ...page.Attr) {
	nr.p.Open(t, append(attrs, anchor(c), lang(c))...)
	if t == page.Del {
		was := nr.struck
		nr.struck = true
		nr.flow(c, depth+1)
		nr.struck = was
	} else {
		nr.strike(c, func() { nr.flow(c, depth+1) })
	}
	nr.p.Close()
}

// phrase writes c as a phrasing element, or dissolves it when a block is inside.
func (nr *narrative) phrase(c xmltree.Node, t page.Tag, depth int) {
	if nr.holdsBlock(c) {
		nr.wrap(c, page.Div, depth, page.Cls(page.Block))
		return
	}
	nr.wrap(c, t, depth)
}

func (nr *narrative) inline(c xmltree.Node, depth int) {
	tag, cls := page.Span, styles(c)
	switch strings.ToLower(c.Name()) {
	case "b", "strong":
		cls = append(cls, page.Bold)
	case "i", "em":
		cls = append(cls, page.Italic)
	case "u":
		cls = append(cls, page.Underline)
	case "tt", "code":
		cls = append(cls, page.Mono)
	case "footnote":
		cls = append(cls, page.Footnote)
	}
	switch {
	case ccda.Struck(c) && !nr.struck:
		tag = page.Del
	case strings.TrimSpace(c.Attr("revised")) == "insert":
		tag = page.Ins
	}
	if nr.holdsBlock(c) {
		tag, cls = page.Div, append(cls, page.Block)
	}
	nr.wrap(c, tag, depth, page.Cls(cls...))
}

// styles are the classes of a styleCode. Unknown codes are the sender's own and are left out.
func styles(c xmltree.Node) []page.Class {
	var out []page.Class
	for _, s := range strings.Fields(c.Attr("styleCode")) {
		switch strings.ToLower(s) {
		case "bold", "emphasis":
			out = append(out, page.Bold)
		case "italics", "italic":
			out = append(out, page.Italic)
		case "underline":
			out = append(out, page.Underline)
		}
	}
	if len(out) > 3 {
		out = out[:3]
	}
	return out
}

func (nr *narrative) block(c xmltree.Node, depth int) {
	tag, cls := page.P, styles(c)
	switch name := strings.ToLower(c.Name()); name {
	case "caption", "h1", "h2", "h3", "h4", "h5", "h6", "dt":
		tag, cls = page.Div, append(cls, page.Heading)
	case "hr":
		nr.p.Open(page.Hr)
		nr.flow(c, depth+1)
		return
	case "div", "center", "blockquote", "dl", "dd":
		tag, cls = page.Div, append(cls, page.Block)
	case "pre":
		tag, cls = page.Div, append(cls, page.Mono, page.Lines)
	}
	if nr.holdsBlock(c) {
		tag = page.Div
		cls = append(cls, page.Block)
	}
	nr.wrap(c, tag, depth, page.Cls(cls...))
}

// link writes a link inside the document as a link and an outside address as words: nothing on the
// page leads out of it.
func (nr *narrative) link(c xmltree.Node, depth int) {
	href := c.Attr("href")
	if r := c.Attr("IDREF"); r != "" {
		href = "#" + r
	}
	local, isLocal := strings.CutPrefix(href, "#")
	if isLocal && local != "" && !nr.inLink && !nr.holdsBlock(c) {
		nr.inLink = true
		nr.p.Open(page.A, page.Link(anchorPrefix+local))
		nr.flow(c, depth+1)
		if strings.EqualFold(c.Name(), "footnoteref") && !c.First().OK() {
			nr.p.Elem(page.Sup, "note", page.Cls(page.Added))
		}
		nr.p.Close()
		nr.inLink = false
		return
	}
	nr.flow(c, depth+1)
	if href != "" && !isLocal && strings.TrimSpace(c.Text(400)) != href {
		nr.p.Elem(page.Span, " ("+page.OneLine(href)+") ", page.Cls(page.Added, page.Address))
	}
}

func (nr *narrative) list(c xmltree.Node, depth int) {
	tag := page.Ul
	if c.Attr("listType") == "ordered" || strings.EqualFold(c.Name(), "ol") {
		tag = page.Ol
	}
	open := false
	for k := c.First(); k.OK(); k = k.Next() {
		switch {
		case blank(k):
			continue
		case !open && strings.EqualFold(k.Name(), "caption"):
			nr.block(k, depth+1)
			continue
		case !open:
			nr.p.Open(tag, anchor(c), lang(c))
			open = true
		}
		if kindOf(k.Name()) == item && !k.IsText() {
			nr.wrap(k, page.Li, depth+1, page.Cls(styles(k)...))
		} else {
			nr.p.Open(page.Li)
			nr.node(k, depth+1)
			nr.p.Close()
		}
	}
	if open {
		nr.p.Close()
	}
}

func blank(n xmltree.Node) bool { return n.IsText() && strings.TrimSpace(string(n.Bytes())) == "" }

// anchorPrefix keeps the document's IDs apart from the page's own.
const anchorPrefix = "n."

func anchor(n xmltree.Node) page.Attr {
	if id := n.Attr("ID"); id != "" {
		return page.ID(anchorPrefix + id)
	}
	return page.Attr{}
}

func lang(n xmltree.Node) page.Attr {
	if l := n.Attr("language"); l != "" {
		return page.Lang(l)
	}
	return page.Lang(n.Attr("xml:lang"))
}
