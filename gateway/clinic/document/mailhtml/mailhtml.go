// Package mailhtml reduces the HTML of a mail or of a loose file to formatted text: paragraphs, lists,
// tables, emphasis. It is the only home of bluemonday (BSD-3-Clause), taken because an allow-list over a
// real HTML parser is the one thing not to write again.
//
// Nothing that leads out, loads, runs or restyles is kept: no links, pictures, forms, frames, styles,
// classes, ids. The result still belongs into page.Writer.Frame, never into a page itself. Limit:
// MaxBytes of HTML.
package mailhtml

import (
	"regexp"

	"github.com/microcosm-cc/bluemonday"
)

// MaxBytes is how much HTML is reduced, in bytes.
const MaxBytes = 2 << 20

// Reduce gives the formatted text of HTML and whether anything that a reader might miss (links or
// pictures) was taken out.
func Reduce(html string) (reduced string, lost bool) {
	if len(html) > MaxBytes {
		html, lost = html[:MaxBytes], true
	}
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "div", "br", "hr", "span", "b", "strong", "i", "em", "u", "s", "small", "sub", "sup", "blockquote", "pre", "code",
		"h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td")
	p.AllowAttrs("colspan", "rowspan").Matching(regexp.MustCompile(`^[0-9]{1,3}$`)).OnElements("td", "th")
	p.AddSpaceWhenStrippingTag(true)
	return p.Sanitize(html), lost || outward(html)
}

// outward says whether HTML has links or pictures.
func outward(html string) bool {
	return regexp.MustCompile(`(?i)<(a|img|video|audio|iframe|object|embed|picture|source|link|form)[\s>/]`).MatchString(html)
}
