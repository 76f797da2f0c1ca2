package document

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/fhir"
)

// minCarried is the shortest text, in bytes, that is taken for a document in a text.
const minCarried = 64

// inBase64 says whether a text begins like the base64 of a document: nothing but its alphabet and line ends,
// and what it stands for is of a format that tells itself by its bytes.
func inBase64(b []byte) bool {
	b = bytes.TrimSpace(b)
	var four []byte
	for _, c := range b[:min(len(b), sniffLen)] {
		switch {
		case isWordByte(c) || c == '+' || c == '/' || c == '=':
			four = append(four, c)
		case c == '\r' || c == '\n':
		default:
			return false
		}
	}
	if len(four) < minCarried {
		return false
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(four)))
	n, _ := base64.StdEncoding.Decode(raw, four[:len(four)/4*4])
	if _, _, known := unopened(raw[:n]); known {
		return true
	}
	switch k := sniff(raw[:n]); k {
	case Text, Mail, Unknown, Empty, Program:
		return false
	case JSON:
		return bytes.Contains(raw[:n], []byte(`"resourceType"`))
	}
	return n > 0
}

// fromBase64 is the bytes of a base64 text, at most maxPart. What cannot be decoded ends it, and is said.
func (d *Document) fromBase64(src io.Reader) (io.ReaderAt, int64, error) {
	raw, err := io.ReadAll(io.LimitReader(base64.NewDecoder(base64.StdEncoding, src), maxPart+1))
	switch {
	case len(raw) > maxPart:
		return nil, 0, fmt.Errorf("document: a file in base64 of more than %d MiB", maxPart>>20)
	case err != nil && len(raw) == 0:
		return nil, 0, fmt.Errorf("document: a file in base64: %w", err)
	}
	return bytes.NewReader(raw), int64(len(raw)), nil
}

// readBase64 is a text that is nothing but a file in base64, as a mail part that lost its header is.
func (d *Document) readBase64() error {
	d.sheet.Kind, d.sheet.Title = "A file in base64", d.title("A file in base64")
	d.Repairs = append(d.Repairs, "the file is base64 text; the document in it was decoded")
	d.parts = append(d.parts, Part{Name: "document in the base64 text", open: func() (io.ReaderAt, int64, error) {
		return d.fromBase64(io.NewSectionReader(d.src, 0, d.size))
	}})
	d.raw("The text as it was sent (base64)")
	return nil
}

// readJSON is a FHIR resource, or data of another kind, in whose texts documents may stand.
func (d *Document) readJSON() error {
	r, err := fhir.ReadJSON(d.src, d.size)
	if err == nil {
		d.Kind, d.FHIR = FHIRJSON, r
		d.fromFHIR(r)
		return nil
	}
	d.sheet.Kind, d.sheet.Title = "JSON", d.title("JSON data")
	if !errors.Is(err, fhir.ErrNotFHIR) {
		d.finding(chart.Problem, "bad-json", "The data cannot be read: %v.", err)
	}
	if err := d.carriedJSON(); err != nil {
		return err
	}
	if len(d.parts) > 0 {
		d.raw("The data as it was sent (JSON)")
		return nil
	}
	return d.showWords("The data as sent")
}

// carriedJSON finds documents in the strings of JSON that is no FHIR: an XML, an HL7 message, a base64.
func (d *Document) carriedJSON() error {
	t, err := charset.Open(d.src, min(d.size, fhir.MaxBytes), "")
	if err != nil {
		return err
	}
	dec := json.NewDecoder(io.NewSectionReader(t.Src, 0, t.Size))
	for len(d.parts) < maxCarried { // several values may stand one behind the other
		var v any
		if err := dec.Decode(&v); err != nil {
			break // the end, or a fault that fhir.ReadJSON found too
		}
		d.carriedValue("the text", v, 0)
	}
	if len(d.parts) > 0 {
		d.Repairs = append(d.Repairs, "a document was found inside the text of JSON data")
	}
	return nil
}

// maxJSONDepth is how deep in JSON documents are looked for.
const maxJSONDepth = 60

func (d *Document) carriedValue(name string, v any, depth int) {
	if depth > maxJSONDepth || len(d.parts) >= maxCarried {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.carriedValue("“"+clip(k, 40)+"”", v[k], depth+1)
		}
	case []any:
		for _, x := range v {
			d.carriedValue(name, x, depth+1)
		}
	case string:
		b := []byte(strings.TrimSpace(v))
		switch {
		case isHL7(b):
			d.addBytes("document in "+name, "", b)
		case len(b) < minCarried:
		case b[0] == '<' && bytes.Contains(b[:min(len(b), sniffLen)], []byte("ClinicalDocument")), b[0] == '{' && bytes.Contains(b[:min(len(b), sniffLen)], []byte(`"resourceType"`)):
			d.addBytes("document in "+name, "", b)
		case inBase64(b):
			d.parts = append(d.parts, Part{Name: "document in " + name, open: func() (io.ReaderAt, int64, error) { return d.fromBase64(bytes.NewReader(b)) }})
		}
	}
}
