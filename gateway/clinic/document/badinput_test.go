package document_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"postern/gateway/clinic/document"
)

// Bad input of every kind is named for what it is, shown as far as it safely can be, and never an empty
// page. Each has its own name here.
func TestBadInput(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString([]byte(smallCDA))
	var sections strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&sections, `<component><section><title>S%d</title><text>text of %d</text></section></component>`, i, i)
	}
	body := "<component><section><title>Reason</title><text>words of the sender</text></section></component>"
	for _, c := range []struct {
		name, in string
		kind     document.Kind
		remark   string // among findings and repairs
		shown    string
	}{
		{"truncated", smallCDA[:len(smallCDA)-60], document.CCDA, "problem The document is incomplete", "words of the sender"},
		{"wrong encoding", `<?xml version="1.0" encoding="UTF-8"?>` + strings.ReplaceAll(smallCDA, "Zażółć", "M\xFCller"), document.CCDA, "is Windows-1252 (Latin-1)", "Müller"},
		{"not XML", "dear colleague, please see this patient", document.Text, "", "please see this patient"},
		{"XML of another kind", `<order><item>a thousand gloves</item></order>`, document.XML, "", "a thousand gloves"},
		{"a C-CDA inside a CDATA inside a wrapper", `<w><doc><![CDATA[<?xml version="1.0"?>` + smallCDA + `]]></doc></w>`, document.XML, "found inside the text of another", "words of the sender"},
		{"a C-CDA in base64 inside a wrapper", `<w><d>` + b64 + `</d></w>`, document.XML, "", "words of the sender"},
		{"ten thousand sections", strings.Replace(smallCDA, body, sections.String(), 1), document.CCDA, "", "text of 9999"},
		{"an encrypted PDF", "%PDF-1.4\ntrailer <</Encrypt 5 0 R>>\n%%EOF", document.PDF, "problem The PDF is encrypted", "password"},
		{"an empty file", "", document.Empty, "problem The file is empty", "Empty file"},
		{"words behind an entity of its own", `<!DOCTYPE ClinicalDocument [<!ENTITY drug "penicillin">]>` + strings.Replace(smallCDA, "words of the sender", "words of the sender: allergic to &drug;", 1), document.CCDA, "problem The document puts words behind shorthand of its own that is never resolved (&drug;)", "allergic to &drug;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := inspect(t, []byte(c.in), document.Hint{Filename: "note.xml"})
			if s.Kind != c.kind {
				t.Errorf("kind %q, want %q", s.Kind, c.kind)
			}
			if notes := remarks(s); !strings.Contains(notes, c.remark) {
				t.Errorf("remarks %.600q, want %q", notes, c.remark)
			}
			out := render(t, []byte(c.in), document.RenderOptions{})
			if err := checkPage(out); err != nil {
				t.Error(err)
			}
			if shown := visible(t, out); !strings.Contains(shown, c.shown) {
				t.Errorf("the page does not show %q: %.400s", c.shown, shown)
			}
		})
	}
}

// 100 MB of base64 in an observationMedia is named, and the rest of the document is shown.
func TestBadInputHugeMedia(t *testing.T) {
	head := smallCDA[:strings.Index(smallCDA, "</structuredBody>")] + `<component><section><title>P</title><text><renderMultiMedia referencedObject="m"/></text><entry><observationMedia ID="m"><value mediaType="image/png" representation="B64">`
	src := huge{head, strings.Repeat("iVBORw0KGgo", 3000), 100 << 20}
	var w bytes.Buffer
	if err := document.Render(&w, src, src.size, document.RenderOptions{NoRaw: true}); err != nil {
		t.Fatal(err)
	}
	if err := checkPage(w.Bytes()); err != nil {
		t.Error(err)
	}
	text := visible(t, w.Bytes())
	for _, want := range []string{"words of the sender", "The document is incomplete", "a file of more than 4 MiB inside the document, not shown"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %.500s", want, text)
		}
	}
}

// What a document strikes out is on the full page, struck, and nowhere on the first one.
func TestStruckTextIsOnlyOnTheFullPage(t *testing.T) {
	in := strings.Replace(smallCDA, "<title>Reason</title><text>words of the sender</text>",
		`<code code="10160-0"/><title>Medications</title><text><table><tbody><tr revised="delete"><td>Warfarin</td></tr><tr><td>Apixaban</td></tr></tbody></table></text>`, 1)
	out := string(render(t, []byte(in), document.RenderOptions{NoRaw: true}))
	if n := strings.Count(out, "Warfarin"); n != 1 || !strings.Contains(out, "<del>Warfarin</del>") {
		t.Errorf("struck text is %d times on the page", n)
	}
	if strings.Count(out, "Apixaban") < 2 {
		t.Error("what holds is not on the first page")
	}
}
