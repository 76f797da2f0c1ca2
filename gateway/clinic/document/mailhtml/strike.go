package mailhtml

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// maxOpen is how deep elements are followed; marks that lie deeper are not closed in time, and said so.
const maxOpen = 400

// Marks of words that are there but do not hold.
const (
	struck = "struck out"
	hidden = "hidden by the sender"
)

// opened is an element whose end is awaited.
type opened struct {
	name  string
	mark  string // what its content is, "" = plain
	wrote bool   // the mark stands in the output and wants its end
	font  string // the font of its text, which may be one of signs
	level string // "sup" or "sub" where its style raises or lowers it
}

// marker writes HTML again with struck and hidden words marked: a frame without styles would show them
// like any other, and a crossed-out dose would read as the dose. One pass; each element is looked up in at
// most maxOpen open ones.
type marker struct {
	out   strings.Builder
	stack []opened
	rules []rule
	deep  bool // elements lay deeper than maxOpen
	marks bool // there are marked words
}

// markStruck gives HTML in which such words stand in <del> (or brackets alone) with their mark in words,
// and whether marks had to be left out.
func markStruck(source string) (marked string, lost bool) {
	m := &marker{}
	m.rules, lost = styleRules(source)
	z := html.NewTokenizer(strings.NewReader(source))
	for {
		switch z.Next() {
		case html.ErrorToken:
			m.popTo(0)
			return m.out.String(), lost || m.deep && m.marks // beyond maxOpen the ends are not told apart
		case html.StartTagToken:
			raw := string(z.Raw())
			m.start(z.Token(), raw)
		case html.EndTagToken:
			raw := string(z.Raw())
			m.end(z.Token().Data, raw)
		case html.TextToken:
			m.text(string(z.Raw()))
		default:
			m.out.Write(z.Raw())
		}
	}
}

func (m *marker) start(t html.Token, raw string) {
	m.implied(t.Data)
	mark := m.markOf(t)
	if mark == "" && inherits(t.Data) && len(m.stack) > 0 {
		if up := m.stack[len(m.stack)-1]; !up.wrote { // a row's mark goes to its cells
			mark = up.mark
		}
	}
	m.out.WriteString(raw)
	if void(t.Data) {
		return
	}
	if len(m.stack) >= maxOpen {
		m.deep = true
		m.marks = m.marks || mark != ""
		return
	}
	m.marks = m.marks || mark != ""
	o := opened{name: t.Data, mark: mark, font: m.fontOf(t), level: levelOf(t)}
	if o.level != "" {
		m.out.WriteString("<" + o.level + ">")
	}
	if mark != "" && !structural(t.Data) {
		o.wrote = true
		m.out.WriteString("[" + mark + ": ")
		if mark == struck {
			m.out.WriteString("<del>")
		}
	}
	m.stack = append(m.stack, o)
}

func (m *marker) end(name, raw string) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if m.stack[i].name == name {
			m.popTo(i + 1)
			m.shut()
			break
		}
	}
	m.out.WriteString(raw)
}

// popTo ends elements until n are open.
func (m *marker) popTo(n int) {
	for len(m.stack) > n {
		m.shut()
	}
}

// shut ends the innermost element's mark.
func (m *marker) shut() {
	o := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	if o.wrote {
		if o.mark == struck {
			m.out.WriteString("</del>")
		}
		m.out.WriteString("]")
	}
	if o.level != "" {
		m.out.WriteString("</" + o.level + ">")
	}
}

// implied ends what a start tag ends without saying so (HTML 13.1.2.4): a paragraph, an item, a cell.
func (m *marker) implied(name string) {
	var ends []string
	switch name {
	case "li":
		ends = []string{"li"}
	case "dt", "dd":
		ends = []string{"dt", "dd"}
	case "td", "th":
		ends = []string{"td", "th"}
	case "tr":
		ends = []string{"td", "th", "tr"}
	case "tbody", "tfoot", "thead":
		ends = []string{"td", "th", "tr", "tbody", "thead", "tfoot"}
	case "p", "div", "table", "ul", "ol", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "hr":
		ends = []string{"p"}
	default:
		return
	}
	at := -1
	for i := len(m.stack) - 1; i >= 0; i-- {
		if slices.Contains(ends, m.stack[i].name) {
			at = i
			continue
		}
		if slices.Contains([]string{"table", "ul", "ol", "dl", "body"}, m.stack[i].name) || ends[0] == "p" && slices.Contains([]string{"td", "th", "li", "div"}, m.stack[i].name) {
			break
		}
	}
	if at >= 0 {
		m.popTo(at)
	}
}

// inherits says whether an element takes the mark of the list, table or row around it.
func inherits(name string) bool {
	switch name {
	case "td", "th", "li", "dt", "dd", "caption", "tr", "tbody", "thead", "tfoot":
		return true
	}
	return false
}

// structural says whether nothing but certain children may stand in an element, so that its mark must go
// into them.
func structural(name string) bool {
	switch name {
	case "table", "tbody", "thead", "tfoot", "tr", "ul", "ol", "dl", "html", "head", "body", "colgroup", "select":
		return true
	}
	return false
}

func void(name string) bool {
	switch name {
	case "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr":
		return true
	}
	return false
}

// markOf is how the content of an element stands: by its name, its style or a style rule for it.
func (m *marker) markOf(t html.Token) string {
	switch t.Data {
	case "s", "del", "strike":
		return struck
	case "script", "style", "template", "title":
		return ""
	}
	for _, a := range t.Attr {
		switch a.Key {
		case "style":
			if mark := ofStyle(a.Val); mark != "" {
				return mark
			}
		case "hidden":
			return hidden
		}
	}
	if len(m.rules) == 0 {
		return ""
	}
	var classes []string
	id := ""
	for _, a := range t.Attr {
		switch a.Key {
		case "class":
			classes = strings.Fields(strings.ToLower(a.Val))
		case "id":
			id = strings.ToLower(a.Val)
		}
	}
	classes = classes[:min(len(classes), maxClasses)]
	for _, r := range m.rules {
		if (r.tag == "" || r.tag == t.Data) && (r.class == "" || slices.Contains(classes, r.class)) && (r.id == "" || r.id == id) {
			return r.mark
		}
	}
	return ""
}

// ofStyle is the mark that declarations make. Mail programs hide words for other programs only
// (mso-hide): that is no mark.
func ofStyle(style string) string {
	s := strings.ToLower(strings.Join(strings.Fields(style), ""))
	switch {
	case strings.Contains(s, "line-through"):
		return struck
	case strings.Contains(s, "display:none"), strings.Contains(s, "visibility:hidden"):
		return hidden
	}
	return ""
}

// rule is a style rule of one simple selector: tag, .class, #id or tag.class.
type rule struct{ tag, class, id, mark string }

// The limits of style rules.
const (
	maxRules   = 100 // rules followed
	maxClasses = 20  // classes of one element that are compared with them
)

var (
	styleElement = regexp.MustCompile(`(?is)<style[^>]*>(.*?)</style`)
	styleRule    = regexp.MustCompile(`([^{}]*)\{([^{}]*)\}`)
	simple       = regexp.MustCompile(`^([a-z][a-z0-9]*)?(?:\.([\w-]+)|#([\w-]+))?$`)
)

// styleRules are the rules of the style elements that strike or hide; lost says that some are of a kind
// that is not followed.
func styleRules(source string) (rules []rule, lost bool) {
	for _, block := range styleElement.FindAllStringSubmatch(source, maxRules) {
		for _, r := range styleRule.FindAllStringSubmatch(block[1], -1) {
			mark := ofStyle(r[2])
			if mark == "" {
				continue
			}
			for selector := range strings.SplitSeq(strings.ToLower(r[1]), ",") {
				got := simple.FindStringSubmatch(strings.TrimSpace(selector))
				if got == nil || got[0] == "" || len(rules) >= maxRules {
					lost = lost || mark == struck
					continue
				}
				rules = append(rules, rule{tag: got[1], class: got[2], id: got[3], mark: mark})
			}
		}
	}
	return rules, lost
}
