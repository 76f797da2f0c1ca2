package ccda

import (
	"slices"
	"strings"
	"unicode"
)

// Line is one line of a narrative: a table row, a list item, a paragraph, or words that stand between.
type Line struct {
	Name   string // the first cell that holds words, or the whole item
	Rest   string // the other cells with their column heads
	ID     string
	Row    bool   // a table row
	Item   bool   // an item of a list
	Under  string // the captions, headings and list items it stands below, outermost first
	Status string // what the row says in a column headed as status

	others []string // the other cells without their heads
}

// Lines are at most max lines of the section's narrative that hold: nothing that is struck out, and
// nothing else left out; a line of more than maxWords bytes is cut and ends in "…". A cell that spans rows stands in each of them; heads span their columns.
func Lines(s *Section, max int) []Line {
	l := &liner{max: max}
	for _, t := range s.texts() {
		l.flow(t)
		l.flush(false)
	}
	return l.out
}

// texts are the section's text elements: one, and those that some senders write beside it.
func (s *Section) texts() []node { return append([]node{s.Narrative}, s.More...) }

// liner cuts a narrative into lines.
type liner struct {
	max   int
	out   []Line
	words strings.Builder // of the line at hand
	id    string          // its element's
	item  bool            // it is a list item's own
	under []string        // what the line stands below, outermost first
}

func (l *liner) add(line Line) {
	if line.Name == "" || len(l.out) >= l.max {
		return
	}
	line.Under = above(l.under, line.Under)
	l.out = append(l.out, line)
}

// above is every heading that a line stands below, outermost first: what an outer one says holds for what stands below
// an inner one too. One that is too long for all loses its middle, not its ends.
func above(outer []string, own string) string {
	var heads []string
	n := 0
	for _, h := range append(slices.Clip(outer), own) {
		if h != "" && !slices.Contains(heads, h) {
			heads, n = append(heads, h), n+len(h)
		}
	}
	for len(heads) > 2 && n > maxCell {
		mid := len(heads) / 2
		n -= len(heads[mid])
		heads = slices.Delete(heads, mid, mid+1)
	}
	return strings.Join(heads, ": ")
}

// flush ends the line at hand. Before a list or table it may be the heading of that: then it is given
// back instead of becoming a line.
func (l *liner) flush(heads bool) string {
	w := tidy(strings.ToValidUTF8(l.words.String(), ""))
	if l.words.Len() >= maxWords {
		w += "…"
	}
	id, item := l.id, l.item
	l.words.Reset()
	l.id, l.item = "", false
	if w == "" {
		return ""
	}
	if heads && heading(w) {
		return w
	}
	l.add(Line{Name: w, ID: id, Item: item})
	if heads && item {
		return w
	}
	return ""
}

// heading says whether words in front of a list or table are its title rather than a line beside it.
func heading(w string) bool {
	over, active := statusWords(w)
	if strings.Trim(w, ":; ") == "" {
		return false
	}
	return strings.HasSuffix(w, ":") || len(w) <= 60 && (over != "" || active != "")
}

// flow takes the lines out of what stands inside n.
func (l *liner) flow(n node) {
	for c := n.First(); c.OK() && len(l.out) < l.max; c = c.Next() {
		l.node(c)
	}
}

func (l *liner) node(c node) {
	switch name := c.Name(); {
	case c.IsText():
		l.write(string(c.Bytes()[:min(len(c.Bytes()), maxWords)]))
	case Struck(c):
	case name == "br":
		l.write("; ")
		l.flow(c)
	case name == "table":
		l.below(func() { l.table(c) })
	case name == "list" || name == "ul" || name == "ol":
		l.below(func() { l.list(c) })
	case name == "paragraph" || name == "item" || name == "li" || name == "p" || name == "div" || name == "caption":
		l.block(c)
	case name == "sup" || name == "sub" || !holdsBlocks(c):
		if l.id == "" {
			l.id = c.Attr("ID")
		}
		before := l.words.String()
		l.write(spread(c, maxWords, "; ", before[max(0, len(before)-8):]))
	default:
		l.flow(c)
	}
}

// write adds words to the line at hand, as far as a line may be long.
func (l *liner) write(s string) {
	if l.words.Len() < maxWords {
		l.words.WriteString(s)
	}
}

// tidy folds white space, and the semicolons that stand for line breaks where a stop stands already.
func tidy(s string) string {
	var out []string
	for _, w := range strings.Fields(s) {
		if len(w) > 1 && strings.HasSuffix(w, ";") && strings.ContainsAny(w[len(w)-2:len(w)-1], ".,:;") {
			w = w[:len(w)-1]
		}
		if w == ";" {
			if n := len(out); n > 0 && !strings.ContainsAny(out[n-1][len(out[n-1])-1:], ".,:;") {
				out[n-1] += w
			}
			continue
		}
		out = append(out, w)
	}
	return strings.Trim(strings.Join(out, " "), "; ")
}

func (l *liner) block(c node) {
	l.flush(false)
	l.id = c.Attr("ID")
	l.item = c.Name() == "item" || c.Name() == "li"
	l.flow(c)
	// A paragraph that is the heading of the list or table behind it waits for that.
	if next := sibling(c); heading(tidy(l.words.String())) && (next == "list" || next == "table") {
		return
	}
	l.flush(false)
}

// sibling is the name of the next element behind c when no words stand between.
func sibling(c node) string {
	for c = c.Next(); c.OK(); c = c.Next() {
		if !c.IsText() {
			return c.Name()
		}
		if strings.TrimSpace(string(c.Bytes())) != "" {
			return ""
		}
	}
	return ""
}

// below reads a list or table below the words in front of it, which become a line if nothing followed.
func (l *liner) below(read func()) {
	head := l.flush(true)
	if head == "" {
		read()
		return
	}
	had := len(l.out)
	l.under = append(l.under, strings.TrimRight(head, ": "))
	read()
	l.under = l.under[:len(l.under)-1]
	if len(l.out) == had && (had == 0 || l.out[had-1].Name != head) {
		l.add(Line{Name: head})
	}
}

func (l *liner) list(c node) {
	cap := c.Child("caption")
	head := Plain(cap, maxCell)
	l.captioned(head, func() {
		for k := c.First(); k.OK() && len(l.out) < l.max; k = k.Next() {
			if k.ID() != cap.ID() {
				l.node(k)
			}
		}
		l.flush(false)
	})
}

// captioned reads what stands below a caption. A caption above nothing is a line when it says that
// there is nothing.
func (l *liner) captioned(head string, read func()) {
	had := len(l.out)
	if head != "" {
		l.under = append(l.under, strings.TrimRight(head, ": "))
	}
	read()
	if head != "" {
		l.under = l.under[:len(l.under)-1]
		if len(l.out) == had && denies(head) {
			l.add(Line{Name: head})
		}
	}
}

// holdsBlocks says whether an inline element holds lists, tables or paragraphs, among its first nodes.
func holdsBlocks(n node) bool {
	found, looked := false, 0
	n.Walk(func(c node) bool {
		if looked++; looked > maxWords {
			return false
		}
		switch c.Name() {
		case "table", "list", "paragraph", "item", "ul", "ol", "li", "p", "div", "tr":
			found = true
		}
		return !found
	}, nil)
	return found
}

// firstWords is the first cell that says what the row is about: not empty and not only a date or number;
// if there is none, the first that is not empty.
func firstWords(cells []string) int {
	first := -1
	for i, c := range cells {
		if c == "" {
			continue
		}
		if first < 0 {
			first = i
		}
		letters, digits := 0, 0
		for _, r := range c {
			if unicode.IsLetter(r) {
				letters++
			} else if unicode.IsDigit(r) {
				digits++
			}
		}
		if letters > 3 && letters > digits || letters > 0 && digits == 0 {
			return i
		}
	}
	return first
}
