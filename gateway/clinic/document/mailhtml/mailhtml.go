// Package mailhtml reduces the HTML of a mail or of a loose file to formatted text: paragraphs, lists,
// tables, emphasis. It is the only home of bluemonday (BSD-3-Clause), taken because an allow-list over a
// real HTML parser is the one thing not to write again.
//
// Nothing that leads out, loads, runs or restyles is kept: no links, pictures, forms, frames, styles,
// classes, ids. The result still belongs into page.Writer.Frame, never into a page itself. Limit:
// MaxBytes of HTML.
//
// Words that are struck through (s, del, strike, a style or a simple style rule) or hidden by a style are
// marked in words and, where struck, in <del>: without their style they would read as current.
package mailhtml

import (
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
)

// MaxBytes is how much HTML is reduced, in bytes.
const MaxBytes = 2 << 20

// Lost is what a reader of the reduced HTML might miss.
type Lost struct {
	Outward bool // links or pictures were taken out
	Cut     bool // what lies beyond MaxBytes was left out
	Struck  bool // some words may be struck through without being marked so
}

// Reduce gives the formatted text of HTML and what was lost.
func Reduce(html string) (reduced string, lost Lost) {
	if len(html) > MaxBytes {
		html, lost.Cut = strings.ToValidUTF8(html[:MaxBytes], ""), true
	}
	lost.Outward = outward(html)
	html, lost.Struck = markStruck(html)
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "div", "br", "hr", "span", "b", "strong", "i", "em", "u", "del", "ins", "small", "sub", "sup", "blockquote", "pre", "code",
		"h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td")
	p.AllowAttrs("colspan", "rowspan").Matching(regexp.MustCompile(`^[0-9]{1,3}$`)).OnElements("td", "th")
	p.AddSpaceWhenStrippingTag(true)
	return p.Sanitize(html), lost
}

// outward says whether HTML has links or pictures.
func outward(html string) bool {
	return regexp.MustCompile(`(?i)<(a|img|video|audio|iframe|object|embed|picture|source|link|form)[\s>/]`).MatchString(html)
}
