package document_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/document/xdm"
	"postern/gateway/lab/corpus"
)

func picture(t testing.TB) string {
	var w bytes.Buffer
	if err := png.Encode(&w, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

func widen(s string) string {
	b := []byte("\xFF\xFE")
	for _, r := range s {
		b = append(b, byte(r), byte(r>>8))
	}
	return string(b)
}

const (
	smallCDA = `<ClinicalDocument xmlns="urn:hl7-org:v3"><templateId root="2.16.840.1.113883.10.20.22.1.14"/><title>Zażółć</title><component><structuredBody><component><section><title>Reason</title><text>words of the sender</text></section></component></structuredBody></component></ClinicalDocument>`
	adt      = "MSH|^~\\&|A|B|||20260101||ADT^A01|1|P|2.3\rPID|||7||Doe^Ann\r"
)

// Each input is told for what it is, whatever its name and type say, states what was mended, and makes
// a page that shows what there is to show.
func TestEverythingIsNamedForWhatItIsAndShown(t *testing.T) {
	pdf := "%PDF-1.4\n1 0 obj <</Type/Catalog>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF"
	b64 := base64.StdEncoding.EncodeToString([]byte(smallCDA))
	for name, c := range map[string]struct {
		in    string
		hint  document.Hint
		kind  document.Kind
		note  string // among repairs and findings, of the document or of one inside it
		shown string
	}{
		"C-CDA called text":            {smallCDA, document.Hint{Filename: "note.txt", MediaType: "text/plain"}, document.CCDA, "it was called text/plain but is c-cda", "words of the sender"},
		"C-CDA in UTF-16":              {widen(smallCDA), document.Hint{}, document.CCDA, "UTF-16LE", "words of the sender"},
		"C-CDA after a mark":           {"\xEF\xBB\xBF" + smallCDA, document.Hint{}, document.CCDA, "byte-order mark", "words of the sender"},
		"C-CDA in Latin-1":             {`<?xml version="1.0" encoding="UTF-8"?>` + strings.ReplaceAll(smallCDA, "Zażółć", "M\xFCller"), document.Hint{}, document.CCDA, "Windows-1252", "Müller"},
		"C-CDA without declaration":    {smallCDA, document.Hint{MediaType: "application/xml"}, document.CCDA, "", "words of the sender"},
		"C-CDA cut short":              {smallCDA[:len(smallCDA)-60], document.Hint{}, document.CCDA, "incomplete", "words of the sender"},
		"C-CDA after other text":       {"here is the note:\n" + smallCDA, document.Hint{}, document.CCDA, "", "words of the sender"},
		"C-CDA in a wrapper":           {`<soap:Envelope xmlns:soap="urn:s"><soap:Body>` + smallCDA + `</soap:Body></soap:Envelope>`, document.Hint{}, document.CCDA, "stands inside a wrapper", "words of the sender"},
		"C-CDA in CDATA":               {`<w><v>pad</v><doc><![CDATA[<?xml version="1.0"?>` + smallCDA + `]]></doc></w>`, document.Hint{}, document.XML, "found inside the text of another", "words of the sender"},
		"C-CDA in base64":              {`<w><d>` + b64 + `</d></w>`, document.Hint{}, document.XML, "", "words of the sender"},
		"C-CDA in a foreign namespace": {strings.Replace(smallCDA, "urn:hl7-org:v3", "urn:hl7-org:v2", 1), document.Hint{}, document.CCDA, "instead of HL7's", "words of the sender"},
		"sections without component":   {strings.NewReplacer("<component><section>", "<section>", "</section></component>", "</section>").Replace(smallCDA), document.Hint{}, document.CCDA, "", "words of the sender"},
		"two texts in a section":       {strings.Replace(smallCDA, "</text>", "</text><text>and more words</text>", 1), document.Hint{}, document.CCDA, "", "and more words"},
		"a note that looks like mail":  {"Date: 3 Oct 2026\nPatient: Ann Lee\n\nis well", document.Hint{}, document.Text, "", "Patient: Ann Lee"},
		"a note in brackets":           {"[Note] Dear colleague", document.Hint{}, document.Text, "", "[Note] Dear colleague"},
		"plain body without a word":    {strings.Replace(unstructured("text/plain", "x"), ` representation="B64">eA==`, ">Patient seen today and is well and will come again when he is not so well any more", 1), document.Hint{}, document.CCDA, "", "will come again"},
		"body with references between": {strings.Replace(unstructured("text/plain", "words of the body that go on"), "</text>", "&#13;\n</text>", 1), document.Hint{}, document.CCDA, "", "words of the body that go on"},
		"other CDA":                    {strings.Replace(smallCDA, "10.20.22.1.14", "99.1", 1), document.Hint{}, document.CDA, "", "words of the sender"},
		"C32":                          {strings.Replace(smallCDA, "2.16.840.1.113883.10.20.22.1.14", "2.16.840.1.113883.3.88.11.32.1", 1), document.Hint{}, document.C32, "", "words of the sender"},
		"CCR":                          {`<ContinuityOfCareRecord xmlns="urn:astm-org:CCR"><Body><Problems><Problem><Description><Text>Asthma</Text></Description></Problem></Problems></Body></ContinuityOfCareRecord>`, document.Hint{}, document.CCR, "", "Asthma"},
		"FHIR in JSON":                 {`{"resourceType":"Patient","name":[{"family":"Doe"}]}`, document.Hint{MediaType: "text/plain"}, document.FHIRJSON, "", "Doe"},
		"FHIR in XML":                  {`<Patient xmlns="http://hl7.org/fhir"><name><family value="Doe"/></name></Patient>`, document.Hint{}, document.FHIRXML, "", "Doe"},
		"HL7":                          {adt, document.Hint{MediaType: "x-application/hl7-v2+er7"}, document.HL7v2, "", "Ann Doe"},
		"HL7 with line feeds":          {strings.ReplaceAll(adt, "\r", "\n"), document.Hint{}, document.HL7v2, "line feed", "Ann Doe"},
		"HL7 with a CDA inside":        {adt + "OBX|1|ED|x||^text^xml^Base64^" + b64 + "\r", document.Hint{}, document.HL7v2, "", "words of the sender"},
		"XML of another kind":          {`<order><item>a thousand gloves</item></order>`, document.Hint{Filename: "ccd.xml"}, document.XML, "", "a thousand gloves"},
		"XML without an element":       {`<?xml version="1.0"?>`, document.Hint{}, document.XML, "holds no element", "XML document"},
		"not XML":                      {"dear colleague, please see this patient", document.Hint{Filename: "ccd.xml", MediaType: "text/xml"}, document.Text, "it was called text/xml but is text", "please see this patient"},
		"HTML":                         {"<!DOCTYPE html><p>hello there</p>", document.Hint{}, document.HTML, "", "HTML"},
		"SVG":                          {`<svg xmlns="http://www.w3.org/2000/svg"/>`, document.Hint{MediaType: "image/png"}, document.SVG, "called image/png", "only the source is shown"},
		"PDF":                          {pdf, document.Hint{Filename: "scan.xml", MediaType: "text/xml"}, document.PDF, "it was called text/xml but is pdf", "Save it and open it in a PDF reader"},
		"PDF, encrypted":               {strings.Replace(pdf, "/Root", "/Encrypt 5 0 R /Root", 1), document.Hint{}, document.PDF, "encrypted", "password"},
		"PDF with a script":            {strings.Replace(pdf, "/Type/Catalog", "/OpenAction<</S/JavaScript>>", 1), document.Hint{}, document.PDF, "active content", "PDF"},
		"PNG":                          {picture(t), document.Hint{MediaType: "image/png"}, document.PNG, "", "Picture · PNG"},
		"PNG that is none":             {"\x89PNG\r\n\x1a\nnothing", document.Hint{}, document.PNG, "", "not shown"},
		"RTF":                          {`{\rtf1{\fonttbl\f0 Arial;}\f0 Dear \b colleague\b0\par caf\'e9}`, document.Hint{}, document.RTF, "", "Dear colleague café"},
		"mail":                         {"From: a@x.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nPlease see her soon.\r\n", document.Hint{}, document.Mail, "", "Please see her soon."},
		"mail with a C-CDA":            {"From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee below\r\n--b\r\nContent-Type: text/xml; name=n.xml\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64 + "\r\n--b--\r\n", document.Hint{}, document.Mail, "", "words of the sender"},
		"context part":                 {"version: 1.1\r\nid: case-9\r\ntype: cooking\r\npatient: surname=Lee\r\n", document.Hint{}, document.Context, "invalid type", "case-9"},
		"mail without its context":     {"From: a@x.example\r\nX-Direct-Context: <c@x>\r\n\r\nhello you\r\n", document.Hint{}, document.Mail, "names a context part that is not in it", "hello you"},
		"zip with a C-CDA":             {zipOf("a/note.xml", smallCDA), document.Hint{}, document.Zip, "", "words of the sender"},
		"zip that climbs":              {zipOf("../../evil.sh", "x", "a.txt", "a plain word"), document.Hint{}, document.Zip, "leads out of the archive", "a plain word"},
		"zip cut short":                {zipOf("a.xml", smallCDA)[:60], document.Hint{}, document.Zip, "cannot be read", "Zip archive"},
		"zip with nothing":             {zipOf(), document.Hint{}, document.Zip, "holds no file", "Zip archive"},
		"Word file":                    {zipOf("[Content_Types].xml", "<Types/>", "word/document.xml", "<w/>"), document.Hint{}, document.Office, "", "Office document"},
		"zips in zips":                 {zipOf("1.zip", zipOf("2.zip", zipOf("3.zip", zipOf("4.txt", "too deep")))), document.Hint{}, document.Zip, "containers deep", "was not opened"},
		"program":                      {"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00", document.Hint{Filename: "report.pdf.exe"}, document.Program, "program or script", "never shown or run"},
		"empty file":                   {"", document.Hint{}, document.Empty, "empty", "Empty file"},
		"white space":                  {" \n\t ", document.Hint{}, document.Empty, "empty", "Empty file"},
		"binary":                       {"\x00\x01\x02\x03\x80\x81\x82\x00\x00\x05", document.Hint{}, document.Unknown, "not known", "unknown format"},
		"DICOM":                        {strings.Repeat("\x00", 128) + "DICM", document.Hint{}, document.DICOM, "", "DICOM viewer"},
		"JSON":                         {`{"a": "some value"}`, document.Hint{}, document.JSON, "", "some value"},
		"JSON, broken":                 {`{"a": "some value"`, document.Hint{}, document.JSON, "cannot be read", "some value"},
		"unstructured PDF":             {unstructured("application/pdf", pdf), document.Hint{}, document.CCDA, "", "Save it and open it in a PDF reader"},
		"unstructured text":            {unstructured("text/plain", "Dear <b>colleague</b>"), document.Hint{}, document.CCDA, "", "Dear <b>colleague</b>"},
		"body elsewhere":               {`<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody><text mediaType="application/pdf"><reference value="scan.pdf"/></text></nonXMLBody></component></ClinicalDocument>`, document.Hint{}, document.CDA, "a file outside it (scan.pdf)", "scan.pdf"},
	} {
		t.Run(name, func(t *testing.T) {
			s := inspect(t, []byte(c.in), c.hint)
			if s.Kind != c.kind {
				t.Errorf("kind %q, want %q", s.Kind, c.kind)
			}
			if notes := remarks(s); !strings.Contains(notes, c.note) {
				t.Errorf("remarks %q, want %q", notes, c.note)
			}
			out := render(t, []byte(c.in), document.RenderOptions{Hint: c.hint})
			if err := checkPage(out); err != nil {
				t.Error(err)
			}
			if shown := visible(t, out); !strings.Contains(shown, c.shown) {
				t.Errorf("the page does not show %q: %.600s", c.shown, shown)
			}
			if _, err := json.Marshal(s); err != nil {
				t.Error(err)
			}
		})
	}
}

// remarks are all repairs and findings, those of documents inside too.
func remarks(s *document.Summary) string {
	var b strings.Builder
	for _, r := range s.Repairs {
		b.WriteString(r + "; ")
	}
	for _, f := range s.Problems {
		b.WriteString(string(f.Severity) + " " + f.Text + "; ")
	}
	for i := range s.Inside {
		b.WriteString(remarks(&s.Inside[i]))
	}
	return b.String()
}

func TestPackageTakesTypeAndPatientOfItsDocument(t *testing.T) {
	for _, e := range corpus.Walk(t, "xdm") {
		s := inspect(t, e.Read(t), document.Hint{})
		if s.Kind != document.XDM || s.Patient == nil || s.Type == "" || len(s.Inside) != 1 {
			t.Errorf("%s: kind %q type %q patient %v inside %d", e.File, s.Kind, s.Type, s.Patient, len(s.Inside))
		}
	}
	var w bytes.Buffer
	other := bytes.Replace(sample.Earlier, []byte("19581117"), []byte("19600101"), 1)
	sub := xdm.Submission{SourceID: "2.25.1", Time: time.Unix(0, 0)}
	for _, b := range [][]byte{sample.Referral, other} {
		sub.Documents = append(sub.Documents, xdm.Part{Content: bytes.NewReader(b), Size: int64(len(b)), MediaType: "text/xml"})
	}
	if err := xdm.Write(&w, sub); err != nil {
		t.Fatal(err)
	}
	s := inspect(t, w.Bytes(), document.Hint{})
	if len(s.Inside) != 2 || !strings.Contains(remarks(s), "different patients") {
		t.Errorf("inside %d, remarks %q", len(s.Inside), remarks(s))
	}
	out := render(t, w.Bytes(), document.RenderOptions{})
	if err := checkPage(out); err != nil {
		t.Error(err)
	}
	if n := bytes.Count(out, []byte(`id="d2.s1"`)); n != 1 {
		t.Errorf("the second document's first section is marked %d times", n)
	}
}

func TestTenThousandSectionsAreShown(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody>`)
	for i := range 10500 {
		fmt.Fprintf(&b, `<component><section><title>S%d</title><text>text of %d</text></section></component>`, i, i)
	}
	b.WriteString(`</structuredBody></component></ClinicalDocument>`)
	s := inspect(t, []byte(b.String()), document.Hint{})
	if len(s.Sections) != 10000 || !strings.Contains(remarks(s), "only the first 10000 sections") {
		t.Errorf("%d sections, %q", len(s.Sections), remarks(s))
	}
	out := render(t, []byte(b.String()), document.RenderOptions{})
	if !bytes.Contains(out, []byte("text of 9999<")) {
		t.Error("the last listed section is not on the page")
	}
}

// huge is a CDA of any size: a head, then a body that repeats, then nothing.
type huge struct {
	head, body string
	size       int64
}

func (h huge) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), h.size-off))
	for at := 0; at < n; {
		if o := off + int64(at); o < int64(len(h.head)) {
			at += copy(p[at:n], h.head[o:])
		} else {
			at += copy(p[at:n], h.body[(o-int64(len(h.head)))%int64(len(h.body)):])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func TestMemoryStaysBoundedOn200MB(t *testing.T) {
	head := smallCDA[:strings.Index(smallCDA, "</structuredBody>")]
	row := `<component><section><title>Results</title><code code="30954-2"/><text><table><tbody><tr><td>Potassium</td><td>4.4</td></tr></tbody></table></text></section></component>`
	for name, src := range map[string]huge{
		"100 MB of base64 in a picture": {head + `<component><section><title>P</title><text><renderMultiMedia referencedObject="m"/></text><entry><observationMedia ID="m"><value mediaType="image/png" representation="B64">`, strings.Repeat("iVBORw0KGgo", 3000), 100 << 20},
		"200 MB of sections":            {head, strings.Repeat(row, 200), 200 << 20},
		"200 MB of one paragraph":       {head[:strings.Index(head, "words of")], strings.Repeat("words and words ", 2000), 200 << 20},
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d, err := document.Open(src, src.size, document.Hint{})
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		held := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20
		if err := d.Render(io.Discard, document.RenderOptions{}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if sys := after.HeapSys >> 20; held > 200 || sys > 512 {
			t.Errorf("%s: %d MiB held, %d MiB of heap", name, held, sys)
		}
		t.Logf("%s: %d MiB held, heap %d MiB", name, held, after.HeapSys>>20)
		if !strings.Contains(remarks(&d.Summary), "only the first") && !strings.Contains(remarks(&d.Summary), "incomplete") {
			t.Errorf("%s: the cut is not stated: %q", name, remarks(&d.Summary))
		}
	}
}

// A picture in an entry is shown from checked bytes; one that is not sound is said to be there.
func TestPicturesInEntries(t *testing.T) {
	entry := func(data string) string {
		return `<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody><component><section><title>P</title><text>see <renderMultiMedia referencedObject="m"/></text><entry><observationMedia ID="m"><value mediaType="image/png" representation="B64">` +
			data + `</value></observationMedia></entry></section></component></structuredBody></component></ClinicalDocument>`
	}
	good := base64.StdEncoding.EncodeToString([]byte(picture(t)))
	out := string(render(t, []byte(entry(good)), document.RenderOptions{NoRaw: true}))
	if !strings.Contains(out, `<img class="picture" src="data:image/png;base64,`+good+`"`) {
		t.Error("a sound picture is not shown")
	}
	var bomb bytes.Buffer
	z := zlib.NewWriter(&bomb)
	z.Close()
	header := "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x01\x00\x00\x00\x01\x00\x00\x08\x06\x00\x00\x00" // 65536 by 65536
	for name, data := range map[string]string{"no picture": "PHN2Zz4=", "too many pixels": base64.StdEncoding.EncodeToString([]byte(header + "\xa4\x5b\x9e\xbb")), "cut": good[:12], "nothing": ""} {
		out := string(render(t, []byte(entry(data)), document.RenderOptions{NoRaw: true}))
		if strings.Contains(out, "<img") || !strings.Contains(out, "not shown as a picture") {
			t.Errorf("%s: %.200s", name, out[strings.Index(out, "see "):])
		}
	}
}

// Two patients in one message must never look like one.
func TestHL7AboutTwoPatientsSaysSo(t *testing.T) {
	msg := "MSH|^~\\&|L|H|C|H|202605010900||ORU^R01|1|P|2.5.1\rPID|1||1^^^H||SMITH^ANN||19600101|F\rOBR|1||2|K^Potassium\rOBX|1|NM|K^Potassium||6.1|mmol/L|||||F\r" +
		"PID|2||9^^^H||JONES^BOB||19700101|M\rOBR|2||3|NA^Sodium\rOBX|1|NM|NA^Sodium||118|mmol/L||LL|||F\r"
	s, err := document.Inspect(strings.NewReader(msg), int64(len(msg)), document.Hint{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Problems {
		if f.Rule == "several-patients" && f.Severity == "problem" {
			return
		}
	}
	t.Errorf("findings %+v", s.Problems)
}
