package mailhtml

import (
	"regexp"
	"strings"

	"golang.org/x/net/html"

	"postern/gateway/clinic/document/charset"
)

var (
	fontFamily = regexp.MustCompile(`(?i)(?:^|;)\s*font-family\s*:\s*([^,;]+)`)
	fontShort  = regexp.MustCompile(`(?i)(?:^|;)\s*font\s*:[^;]*?\b(symbol|wingdings(?: [23])?|webdings)\b`)
	anyFont    = regexp.MustCompile(`(?i)(?:^|;)\s*font\s*:`)
	raising    = regexp.MustCompile(`(?i)vertical-align\s*:\s*(super|sub|text-top|-?[0-9.]+(?:px|pt|em|%))|mso-text-raise\s*:\s*(-?[0-9.]+pt)`)
)

// fontOf is the font an element's text is set in: its own, or that of the element around it. It matters
// where letters are drawn as other signs: QUIRK: Word and Outlook write µ as an m in the Symbol font.
func (m *marker) fontOf(t html.Token) string {
	for _, a := range t.Attr {
		switch {
		case a.Key == "face" && t.Data == "font":
			face, _, _ := strings.Cut(a.Val, ",")
			return strings.TrimSpace(face)
		case a.Key != "style":
		case fontFamily.MatchString(a.Val):
			return strings.Trim(fontFamily.FindStringSubmatch(a.Val)[1], ` '"`)
		case fontShort.MatchString(a.Val):
			return fontShort.FindStringSubmatch(a.Val)[1]
		case anyFont.MatchString(a.Val):
			return ""
		}
	}
	if len(m.stack) > 0 {
		return m.stack[len(m.stack)-1].font
	}
	return ""
}

// levelOf is the element that says what a style says: without it, ten to the ninth would read 109.
func levelOf(t html.Token) string {
	if structural(t.Data) || t.Data == "td" || t.Data == "th" { // there the words mean where a cell's content stands
		return ""
	}
	for _, a := range t.Attr {
		if a.Key != "style" {
			continue
		}
		if got := raising.FindStringSubmatch(a.Val); got != nil {
			how := strings.ToLower(got[1] + got[2])
			switch {
			case strings.Trim(how, "-0.ptxem%") == "" && how != "text-top":
				return ""
			case how == "sub" || strings.HasPrefix(how, "-"):
				return "sub"
			}
			return "sup"
		}
	}
	return ""
}

// text writes words; those in a font of signs as the signs they stand for.
func (m *marker) text(raw string) {
	if len(m.stack) > 0 {
		if words, ok := charset.Sign(html.UnescapeString(raw), m.stack[len(m.stack)-1].font); ok {
			m.out.WriteString(html.EscapeString(words))
			return
		}
	}
	m.out.WriteString(raw)
}
