package page

// Tag is one of the HTML elements this package can write. There are no others.
type Tag uint8

// The elements.
const (
	A Tag = iota
	Body
	Br
	Caption
	Col
	Dd
	Del
	Details
	Div
	Dl
	Dt
	Footer
	H1
	H2
	H3
	H4
	Head
	Header
	Hr
	HTML
	Ins
	Li
	Main
	Nav
	Ol
	P
	Pre
	Section
	Small
	Span
	Strong
	Sub
	Summary
	Sup
	Table
	Tbody
	Td
	Tfoot
	Th
	Thead
	Time
	Title
	Tr
	Ul
	tags
)

// names are the elements' names in the order of the constants.
func (t Tag) name() string {
	return [tags]string{"a", "body", "br", "caption", "col", "dd", "del", "details", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4",
		"head", "header", "hr", "html", "ins", "li", "main", "nav", "ol", "p", "pre", "section", "small", "span", "strong", "sub", "summary",
		"sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "title", "tr", "ul"}[t]
}

// void says whether the element has no content and no end tag.
func (t Tag) void() bool { return t == Br || t == Col || t == Hr }

// Tags are the names of all elements that a page may hold, with those only the Writer itself makes:
// what a test of a page allows.
func Tags() []string {
	out := []string{"meta", "style", "img", "iframe"}
	for t := range tags {
		out = append(out, t.name())
	}
	return out
}

// Attributes are the names of all attributes that a page may hold.
func Attributes() []string {
	return []string{"alt", "aria-label", "charset", "class", "colspan", "content", "datetime", "href", "http-equiv", "id", "lang", "name",
		"open", "rowspan", "sandbox", "scope", "src", "srcdoc", "start", "tabindex", "title"}
}
