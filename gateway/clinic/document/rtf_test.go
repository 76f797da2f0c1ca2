package document_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document"
)

// Every word of rich text is there, and words that do not hold are said not to.
func TestRichTextKeepsItsWords(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"letters by number":     {`\u8364?\u-10179?\u-8704? \uc2\u228 xxb`, "€😀 äb"},
		"numbers, hex fallback": {`\u945\'61 \u946\'62`, "α β"},
		"no fallback":           {`{\uc0\u228}b`, "äb"},
		"dashes and quotes":     {`5\endash 10\emdash \lquote a\rquote \ldblquote b\rdblquote \bullet`, "5–10—‘a’“b”•"},
		"fixed blank, hyphen":   {`5\~mg x\_ray`, "5\u00A0mg x\u2011ray"},
		"struck":                {`take {\strike warfarin }apixaban`, "take [struck out: warfarin ]apixaban"},
		"struck and set back":   {`\strike a\strike0 b\striked1 c\plain d`, "[struck out: a]b[struck out: c]d"},
		"deleted by a reviser":  {`dose {\deleted\revauthdel1 50 }5 mg`, "dose [struck out: 50 ]5 mg"},
		"hidden":                {`a {\v secret}b`, "a [hidden: secret]b"},
		"head and foot":         {`{\header Ward 4 \par}{\footer Page 1}text`, "[page head: Ward 4 \n]\n\n[page foot: Page 1]\ntext"},
		"a note":                {`dose{\footnote not for children}`, "dose\n[note: not for children]\n"},
		"a text box":            {`{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt allergic}}{\shprslt allergic}}`, "allergic"},
		"a field's result":      {`{\field{\*\fldinst HYPERLINK "x"}{\fldrslt see}}`, "see"},
		"Polish code page":      {`\ansicpg1250 \'bf\'f3\'b3\'e6`, "żółć"},
		"raw bytes":             {"\\ansicpg1252 caf\xE9", "café"},
		"binary in it":          {`{\pict\bin5 }}{{{}text`, "text"},
		"unknown destination":   {`{\*\foo gone}kept`, "kept"},
		"tables":                {`a\cell b\cell\row c`, "a\tb\t\nc"},
		"raised digits":         {`10{\super 9}/L {\super 9}10{\super 9}`, "10^9/L 9 10^9"},
		"raised and set back":   {`2 x 10\super 12\nosupersub /L, 1{\super st}, 10\up6 -3\up0 5`, "2 x 10^12/L, 1st, 10^-3 5"},
		"lowered digits":        {`CO{\sub 2}, HbA{\sub 1c}, 10{\sub 2}`, "CO2, HbA1c, 10_2"},
		"micrograms in Symbol":  {`{\fonttbl{\f3\froman\fcharset2{\*\panose 05}Symbol;}}5 {\f3 m}g, INR {\f3 \'a3} 3, {\f3 \u-3987\'6d}g`, "5 µg, INR ≤ 3, µg"},
		"a tick in Wingdings":   {`{\fonttbl{\f4\fnil\fcharset2 Wingdings;}}{\f4 \'fc} yes {\f4 A}`, "✓ yes [sign]"},
		"a Cyrillic font":       {`{\fonttbl{\f5\fcharset204 Times;}}\f5 \'cd\'e5\'f2\plain  x`, "Нет x"},
		"braces":                {`\{a\}\\`, `{a}\`},
	} {
		in := `{\rtf1\ansi{\fonttbl{\f0 Arial;}}` + c.in + `}`
		d, err := document.OpenBytes([]byte(in), document.Hint{})
		if err != nil {
			t.Fatal(err)
		}
		shown := visible(t, render(t, []byte(in), document.RenderOptions{}))
		if d.Kind != document.RTF || !strings.Contains(squeeze(shown), squeeze(c.want)) {
			t.Errorf("%s: %q, want %q", name, shown, c.want)
		}
		if strings.Contains(shown, "Arial") || strings.Contains(shown, "gone") || strings.Contains(shown, "HYPERLINK") {
			t.Errorf("%s: %q", name, shown)
		}
	}
	s := inspect(t, []byte(`{\rtf1 {\*\shppict{\pict 00ff}}{\nonshppict{\pict 00ff}}{\pict 00}x}`), document.Hint{})
	if !strings.Contains(remarks(s), "2 pictures or objects in the text are not shown") {
		t.Errorf("%q", remarks(s))
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
