package document_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/gateway/clinic/document"
)

// An encrypted PDF is said to be one, wherever its trailer stands; the word alone does not make one.
func TestEncryptedPDFsAreSaidToBe(t *testing.T) {
	big := strings.Repeat("x", 700<<10)
	const end = "\n%%EOF\n"
	stream := "%PDF-1.5\n" + big
	for name, c := range map[string]struct {
		in                   string
		encrypted, cut, note bool
	}{
		"plain":                           {"%PDF-1.4\ntrailer <</Root 1 0 R>>" + end, false, false, false},
		"a reference in the trailer":      {"%PDF-1.4\ntrailer <</Root 1 0 R/Encrypt 5 0 R>>" + end, true, false, false},
		"a dictionary in the trailer":     {"%PDF-1.4\ntrailer <</Encrypt<</Filter/Standard>>>>" + end, true, false, false},
		"the word in a text":              {"%PDF-1.4\n(how to use /Encrypt in a PDF) /EncryptMetadata true trailer <<>>" + end, false, false, false},
		"at the end of a large file":      {"%PDF-1.4\n" + big + "trailer <</Encrypt\n5 0\nR>>" + end, true, false, false},
		"in a stream far from both ends":  {stream + "9 0 obj <</Type/XRef/Encrypt 5 0 R>>" + big + fmt.Sprintf("\nstartxref\n%d", len(stream)) + end, true, false, false},
		"a start that points outside":     {"%PDF-1.4\n" + big + "\nstartxref\n999999999999" + end, false, false, false},
		"no end mark":                     {"%PDF-1.4\ntrailer <</Encrypt 5 0 R", true, true, false},
		"cut in the middle":               {"%PDF-1.4\n" + big, false, true, false},
		"junk in front, called something": {"\r\n\r\n%PDF-1.4\ntrailer <</Encrypt 5 0 R>>" + end, true, false, false},
		"a script in an encrypted one":    {"%PDF-1.4\n/OpenAction<</JS (x)>> trailer <</Encrypt 5 0 R>>" + end, true, false, true},
	} {
		s := inspect(t, []byte(c.in), document.Hint{Filename: "letter.doc"})
		if s.Kind != document.PDF || (s.Type == "encrypted PDF") != c.encrypted || hasRule(s, "problem", "encrypted") != c.encrypted || hasRule(s, "warning", "pdf-cut") != c.cut || hasRule(s, "warning", "active-content") != c.note {
			t.Errorf("%s: %s %q %v", name, s.Kind, s.Type, s.Problems)
		}
		out := render(t, []byte(c.in), document.RenderOptions{})
		if c.encrypted != strings.Contains(visible(t, out), "a password from the sender") {
			t.Errorf("%s: the page says otherwise", name)
		}
	}
	inMail := "From: a@x.example\r\nTo: b@x.example\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=a.bin\r\n\r\n%PDF-1.4\ntrailer <</Encrypt 5 0 R>>\n%%EOF"
	if s := inspect(t, []byte(inMail), document.Hint{}); len(s.Inside) != 1 || s.Inside[0].Type != "encrypted PDF" {
		t.Errorf("in a mail: %+v", s.Inside)
	}
}
