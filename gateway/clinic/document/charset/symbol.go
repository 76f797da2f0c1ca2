package charset

import "strings"

// signs are the characters of Adobe's Symbol encoding, sixteen a row. Word processors write Greek letters
// and relations in it: the m of a dose in that font is µ, and £ is ≤.
var signs = map[rune]string{
	0x20: " !∀#∃%&∋()∗+,−./",
	0x30: "0123456789:;<=>?",
	0x40: "≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟ",
	0x50: "ΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_",
	0x60: "‾αβχδεφγηιϕκλµνο",
	0x70: "πθρστυϖωξψζ{|}∼\uFFFD",
	0xA0: "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓",
	0xB0: "°±″≥×∝∂•÷≠≡≈…|—↵",
	0xC0: "ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉",
	0xD0: "∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓",
	0xE0: "◊〈®©™∑\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD",
	0xF0: "\uFFFD〉∫\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD",
}

// Symbol is the character a byte stands for in the Symbol font; ok is false for those it does not have.
// Private-use characters U+F020 to U+F0FF are the same bytes as Unicode programs write them.
func Symbol(c rune) (sign rune, ok bool) {
	if c >= 0xF020 && c <= 0xF0FF {
		c -= 0xF000
	}
	row := []rune(signs[c&^0xF])
	if c < 0x20 || c > 0xFF || len(row) == 0 || row[c&0xF] == '\uFFFD' {
		return '\uFFFD', false
	}
	return row[c&0xF], true
}

// Dingbat is the character a byte stands for in the Wingdings font, for the few that carry meaning:
// ticks, crosses, boxes and arrows.
func Dingbat(c rune) (sign rune, ok bool) {
	if c >= 0xF020 && c <= 0xF0FF {
		c -= 0xF000
	}
	switch c {
	case ' ':
		return ' ', true
	case 0x6C, 0x9F:
		return '•', true
	case 0x6E, 0xA7:
		return '▪', true
	case 0x6F, 0x71, 0x72, 0xA8:
		return '☐', true
	case 0x78, 0xFD:
		return '☒', true
	case 0xFB:
		return '✗', true
	case 0xFC:
		return '✓', true
	case 0xFE:
		return '☑', true
	case 0xDF, 0xE7, 0xEF:
		return '←', true
	case 0xE0, 0xE8, 0xF0:
		return '→', true
	case 0xE1, 0xE9, 0xF1:
		return '↑', true
	case 0xE2, 0xEA, 0xF2:
		return '↓', true
	case 0xD8:
		return '➢', true
	}
	return '\uFFFD', false
}

// Sign reads a text set in a font of signs by the font's name; one that has no meaning here becomes
// "[sign]". ok is false for every other font.
func Sign(text, font string) (words string, ok bool) {
	font = strings.ToLower(strings.Trim(font, " '\";"))
	read := Symbol
	switch {
	case font == "symbol" || font == "symbolmt":
	case strings.HasPrefix(font, "wingdings"), strings.HasPrefix(font, "webdings"):
		if read = Dingbat; font != "wingdings" {
			read = func(rune) (rune, bool) { return 0, false }
		}
	default:
		return text, false
	}
	var b strings.Builder
	for _, c := range text {
		switch sign, known := read(c); {
		case c <= ' ' || c == 0xA0:
			b.WriteRune(c)
		case known:
			b.WriteRune(sign)
		case c > 0xFF && (c < 0xF020 || c > 0xF0FF): // a character of its own that the font only draws
			b.WriteRune(c)
		default:
			b.WriteString("[sign]")
		}
	}
	return b.String(), true
}
