package document_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/fhir"
	"postern/gateway/lab/peer"
)

func utf32(order binary.AppendByteOrder, mark bool, s string) string {
	var b []byte
	if mark {
		b = order.AppendUint32(b, 0xFEFF)
	}
	for _, r := range s {
		b = order.AppendUint32(b, uint32(r))
	}
	return string(b)
}

func gzipped(t *testing.T, s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tarred(t *testing.T, name, s string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(s))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is known and not opened is told by its name, and says what to do; nothing of its words is shown as if read.
func TestWhatIsNotOpenedIsNamed(t *testing.T) {
	cms := "\x30\x82\x01\x00\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02\xA0\x81\x80" + strings.Repeat("\x00\x01", 64)
	for name, c := range map[string]struct{ in, kind string }{
		"UTF-32 with a mark":             {utf32(binary.LittleEndian, true, smallCDA), "text in UTF-32"},
		"UTF-32, big end first":          {utf32(binary.BigEndian, true, smallCDA), "text in UTF-32"},
		"UTF-32 without a mark":          {utf32(binary.LittleEndian, false, smallCDA), "text in UTF-32"},
		"UTF-32, big, without a mark":    {utf32(binary.BigEndian, false, smallCDA), "text in UTF-32"},
		"gzip of a C-CDA":                {gzipped(t, smallCDA), "gzip archive"},
		"tar of a C-CDA":                 {tarred(t, "note.xml", smallCDA), "tar archive"},
		"tar whose name looks like text": {tarred(t, "<ClinicalDocument>.xml", smallCDA), "tar archive"},
		"7-Zip":                          {"7z\xBC\xAF\x27\x1C\x00\x04", "7-Zip archive"},
		"RAR":                            {"Rar!\x1A\x07\x00abc", "RAR archive"},
		"bzip2":                          {"BZh91AY&SY\x00\x01", "bzip2 archive"},
		"xz":                             {"\xFD7zXZ\x00\x00\x04", "xz archive"},
		"p7m":                            {cms, "S/MIME file (p7m)"},
		"p7m of no stated length":        {"\x30\x80" + cms[4:], "S/MIME file (p7m)"},
		"p7m in PEM":                     {"-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n", "S/MIME file (p7m)"},
	} {
		s := inspect(t, []byte(c.in), document.Hint{Filename: "a.xml"})
		if s.Kind != document.Unknown || s.Type != c.kind || !hasRule(s, "warning", "not-opened") {
			t.Errorf("%s: %s %q, %v", name, s.Kind, s.Type, s.Problems)
		}
		out := render(t, []byte(c.in), document.RenderOptions{})
		if shown := visible(t, out); !strings.Contains(strings.ToLower(shown), strings.ToLower(c.kind)) || !strings.Contains(shown, "not opened") && !strings.Contains(shown, "not read") {
			t.Errorf("%s: the page does not say what it is: %.300s", name, shown)
		}
		if err := checkPage(out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, in := range map[string]string{"UTF-16": widen(smallCDA), "a text of BZ": "BZhello, dear colleague", "a sequence": "\x30\x82\x01\x00\x06\x03\x55\x04\x03", "the word ustar": strings.Repeat("a", 257) + " ustar"} {
		if s := inspect(t, []byte(in), document.Hint{}); hasRule(s, "warning", "not-opened") {
			t.Errorf("%s is named %q", name, s.Type)
		}
	}
}

// A signed file as OpenSSL writes it is known by name, alone and inside a mail.
func TestSignedFilesOfOpenSSLAreNamed(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	dir := t.TempDir()
	for _, args := range [][]string{
		{"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a", "-keyout", dir + "/k", "-out", dir + "/c"},
		{"cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-signer", dir + "/c", "-inkey", dir + "/k", "-in", dir + "/c", "-out", dir + "/s"},
		{"cms", "-sign", "-nodetach", "-binary", "-stream", "-outform", "DER", "-signer", dir + "/c", "-inkey", dir + "/k", "-in", dir + "/c", "-out", dir + "/i"},
	} {
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, file := range []string{"/s", "/i"} {
		raw, err := os.ReadFile(dir + file)
		if err != nil {
			t.Fatal(err)
		}
		mail := "From: a@x.example\r\nTo: b@x.example\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(raw) + "\r\n"
		if s := inspect(t, raw, document.Hint{}); s.Type != "S/MIME file (p7m)" {
			t.Errorf("%s: %s %q", file, s.Kind, s.Type)
		}
		if s := inspect(t, []byte(mail), document.Hint{}); len(s.Inside) != 1 || s.Inside[0].Type != "S/MIME file (p7m)" {
			t.Errorf("%s in a mail: %+v", file, s.Inside)
		}
	}
}

// A document that came as the base64 of itself, or in a string of JSON, is opened and read.
func TestDocumentsInTextsAreOpened(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString([]byte(smallCDA))
	lines := ""
	for rest := b64; rest != ""; rest = rest[min(76, len(rest)):] {
		lines += rest[:min(76, len(rest))] + "\r\n"
	}
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		in     string
		kind   document.Kind
		inside document.Kind // of the first one, "" = none
		shown  string
	}{
		"bare base64":               {b64, document.Text, document.CCDA, "words of the sender"},
		"bare base64 in lines":      {"\r\n" + lines, document.Text, document.CCDA, "words of the sender"},
		"base64 of UTF-16":          {base64.StdEncoding.EncodeToString([]byte(widen(smallCDA))), document.Text, document.CCDA, "words of the sender"},
		"base64 of a zip":           {base64.StdEncoding.EncodeToString([]byte(zipOf("a.xml", smallCDA))), document.Text, document.Zip, "words of the sender"},
		"base64 cut short":          {b64[:len(b64)-41], document.Text, document.CCDA, "words of the sender"},
		"base64 of a gzip":          {base64.StdEncoding.EncodeToString([]byte(gzipped(t, smallCDA))), document.Text, document.Unknown, "gzip archive"},
		"a JSON string":             {quoted(smallCDA), document.JSON, document.CCDA, "words of the sender"},
		"a JSON string, not marked": {`"` + strings.ReplaceAll(smallCDA, `"`, `\"`) + `"`, document.JSON, document.CCDA, "words of the sender"},
		"a string in an object":     {`{"id":7,"note":{"xml":` + quoted(smallCDA) + `}}`, document.JSON, document.CCDA, "words of the sender"},
		"base64 in a list":          {`[{"data":"` + b64 + `"}]`, document.JSON, document.CCDA, "words of the sender"},
		"base64 as a JSON string":   {`"` + b64 + `"`, document.JSON, document.CCDA, "words of the sender"},
		"a second value has it":     {`{"a":1}` + "\n" + `{"d":"` + b64 + `"}`, document.JSON, document.CCDA, "words of the sender"},
		"FHIR in a JSON string":     {quoted(`{"resourceType":"Patient","id":"a","name":[{"family":"Doe","given":["Ann"]}]}`), document.JSON, document.FHIRJSON, "Doe"},
		"HL7 in an object":          {`{"m":` + quoted(adt) + `}`, document.JSON, document.HL7v2, "Ann Doe"},
		"a long word":               {strings.Repeat("abcd", 40), document.Text, "", "abcdabcd"},
		"words, one a line":         {strings.Repeat("penicillin\n", 20), document.Text, "", "penicillin"},
		"a quotation":               {`"Dear colleague, this patient was seen by us and is well and will come again"`, document.Text, "", "Dear colleague"},
		"other JSON":                {`{"a":"` + strings.Repeat("word ", 40) + `"}`, document.JSON, "", "word word"},
	} {
		s := inspect(t, []byte(c.in), document.Hint{})
		got := document.Kind("")
		if len(s.Inside) > 0 {
			got = s.Inside[0].Kind
		}
		if s.Kind != c.kind || got != c.inside {
			t.Errorf("%s: %s with %q inside, want %s with %q", name, s.Kind, got, c.kind, c.inside)
		}
		out := render(t, []byte(c.in), document.RenderOptions{})
		if err := checkPage(out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if shown := visible(t, out); !strings.Contains(shown, c.shown) || !utf8.ValidString(shown) {
			t.Errorf("%s: the page does not show %q: %.400s", name, c.shown, shown)
		}
	}
}

// Documents in each other's texts are opened no deeper and no more often than any others.
func TestDocumentsInTextsAreBounded(t *testing.T) {
	deep := base64.StdEncoding.EncodeToString([]byte(smallCDA))
	for range document.MaxDepth + 2 {
		deep = base64.StdEncoding.EncodeToString([]byte(`{"a":"` + deep + `","resourceType":0}`))
	}
	if s := inspect(t, []byte(deep), document.Hint{}); !strings.Contains(remarks(s), "containers deep") {
		t.Errorf("deeper than the limit: %s", remarks(s))
	}
	many := `["` + strings.Repeat(base64.StdEncoding.EncodeToString([]byte(smallCDA))+`","`, 100) + `"]`
	if s := inspect(t, []byte(many), document.Hint{}); len(s.Inside) != 20 {
		t.Errorf("%d documents of one text, want 20", len(s.Inside))
	}
	nested := strings.Repeat("[", 5000) + `"` + smallCDA[:80] + `"` + strings.Repeat("]", 5000)
	if s := inspect(t, []byte(nested), document.Hint{}); s.Kind != document.JSON || len(s.Inside) != 0 {
		t.Errorf("nested 5000 deep: %s, %d inside", s.Kind, len(s.Inside))
	}
}

// Resources on lines of their own, as a bulk export has them, are read like a bundle.
func TestLinesOfResourcesAreABundle(t *testing.T) {
	const patient = `{"resourceType":"Patient","id":"a","name":[{"family":"Doe","given":["Ann"]}]}` + "\n"
	problem := func(id, of string) string {
		return `{"resourceType":"Condition","id":"` + id + `","code":{"text":"Asthma ` + id + `"},"subject":{"reference":"Patient/` + of + `"}}` + "\n"
	}
	for name, c := range map[string]struct {
		in    string
		lines int
		rule  string // of a problem that is stated, "" = none
		other int    // about others
	}{
		"a patient and two problems": {patient + problem("1", "a") + problem("2", "a"), 2, "", 0},
		"line ends of Windows":       {strings.ReplaceAll(patient+problem("1", "a"), "\n", "\r\n"), 1, "", 0},
		"empty lines between":        {patient + "\n\n" + problem("1", "a") + "\n", 1, "", 0},
		"another's problem apart":    {patient + problem("1", "a") + strings.ReplaceAll(patient, `"a"`, `"b"`) + problem("2", "b"), 0, "", 2},
		"a damaged line":             {patient + problem("1", "a") + problem("2", "a")[:40], 1, "lines-cut", 0},
		"something else behind":      {patient + problem("1", "a") + `{"no":"resource"}`, 1, "lines-cut", 0},
		"more than are read":         {patient + strings.Repeat(problem("1", "a"), fhir.MaxEntries+10), -1, "too-many-resources", 0},
	} {
		s := inspect(t, []byte(c.in), document.Hint{})
		if s.Kind != document.FHIRJSON || s.Type != "Bundle (lines of JSON)" {
			t.Errorf("%s: %s %q: %s", name, s.Kind, s.Type, remarks(s))
		}
		if c.lines >= 0 && len(s.Lines) != c.lines || len(s.Inside) != c.other {
			t.Errorf("%s: %d lines, %d of others, want %d and %d", name, len(s.Lines), len(s.Inside), c.lines, c.other)
		}
		if c.rule != "" && !hasRule(s, "problem", c.rule) || c.rule == "" && strings.Contains(fmt.Sprint(s.Problems), "lines-cut") {
			t.Errorf("%s: %v, want %s", name, s.Problems, c.rule)
		}
		if c.other == 0 && (s.Patient == nil || s.Patient.Name.Family != "Doe") {
			t.Errorf("%s: patient %+v", name, s.Patient)
		}
	}
}
