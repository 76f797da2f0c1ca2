package xdm_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xdm"
	"postern/gateway/lab/corpus"
)

func read(t testing.TB, b []byte) *xdm.Package {
	t.Helper()
	p, err := xdm.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCorpusPackagesReadAsTheManifestSays(t *testing.T) {
	for _, e := range corpus.Walk(t, "xdm") {
		t.Run(e.File, func(t *testing.T) {
			p := read(t, e.Read(t))
			if len(p.Sets) != 1 || len(p.Documents) != 1 {
				t.Fatalf("%d sets, %d documents, want one of each", len(p.Sets), len(p.Documents))
			}
			d := p.Documents[0]
			uri := regexp.MustCompile(`doc uri=(\S+)`).FindStringSubmatch(e.Expected)[1]
			if d.URI != uri || d.File == "" || d.MediaType != "text/xml" {
				t.Errorf("document %+v, want URI %s and a file", d, uri)
			}
			if !d.HashOK || !d.SizeOK {
				t.Errorf("hash ok %v size ok %v, the manifest says both match", d.HashOK, d.SizeOK)
			}
			if s := p.Sets[0]; s.UniqueID == "" || s.SourceID == "" || s.Time.Precision == chart.Unknown {
				t.Errorf("submission set lacks what XDM requires: %+v", s)
			}
			if differs := strings.Contains(e.Expected, "case differs"); differs != has(p, "case-differs") {
				t.Errorf("case-differs noted: %v, want %v", !differs, differs)
			}
			r, size, err := p.Open(d)
			if err != nil || size == 0 {
				t.Fatalf("open: %d bytes, %v", size, err)
			}
			head := make([]byte, 5)
			if _, err := r.ReadAt(head, 0); err != nil || head[0] != '<' && head[0] != 0xEF {
				t.Errorf("content starts %q, %v", head, err)
			}
		})
	}
}

func has(p *xdm.Package, rule string) bool {
	for _, f := range p.Findings {
		if f.Rule == rule {
			return true
		}
	}
	return false
}

func submission(content string) xdm.Submission {
	code := chart.Code{Code: "57133-1", System: "2.16.840.1.113883.6.1", Display: "Referral <note> & more"}
	return xdm.Submission{
		SourceID: "2.25.77", From: "a@direct.example.org", Recipients: []string{"b@direct.example.net", "c@direct.example.net"},
		Time: time.Date(2026, 10, 2, 17, 45, 0, 0, time.UTC), Title: `Referral "two"`, PatientID: "LV-1^^^&2.25.77.1&ISO", ContentType: code, Limited: true,
		References: []string{"R1^^^&2.25.77.2&ISO^urn:ihe:iti:xds:2013:referral"},
		Documents: []xdm.Part{
			{Content: strings.NewReader(content), Size: int64(len(content)), MediaType: "text/xml", UniqueID: "2.25.77.9^1", Title: "Note", Type: code, Class: code,
				Created: chart.ParseTime("20261002104500-0700"), Language: "en-US", SourcePatientID: "LV-1^^^&2.25.77.1&ISO", SourcePatient: []string{"PID-5|Doe^Ann", "PID-7|19700203"},
				Authors: []xdm.Author{{Person: "^Lee^Ann", Institution: []string{"Clinic"}}}},
			{Content: strings.NewReader("hello"), Size: 5, MediaType: "text/plain"},
		},
	}
}

func TestWrittenPackageReadsBackWhole(t *testing.T) {
	var w bytes.Buffer
	if err := xdm.Write(&w, submission("<ClinicalDocument/>")); err != nil {
		t.Fatal(err)
	}
	p := read(t, w.Bytes())
	if len(p.Findings) != 0 {
		t.Errorf("findings in our own package: %v", p.Findings)
	}
	s := p.Sets[0]
	if s.SourceID != "2.25.77" || s.Title != `Referral "two"` || !s.Limited || s.Time.Raw != "20261002174500" || s.PatientID != "LV-1^^^&2.25.77.1&ISO" ||
		strings.Join(s.Recipients, " ") != "||^^Internet^b@direct.example.net ||^^Internet^c@direct.example.net" || s.Authors[0].Telecom[0] != "^^Internet^a@direct.example.org" || len(s.References) != 1 {
		t.Errorf("set %+v", s)
	}
	d := p.Documents[0]
	if !d.HashOK || !d.SizeOK || d.UniqueID != "2.25.77.9^1" || d.Type.Display != "Referral <note> & more" || d.Created.Raw != "20261002174500" ||
		d.SourcePatient[1] != "PID-7|19700203" || d.Authors[0].Person != "^Lee^Ann" || d.URI != "DOC00001.XML" {
		t.Errorf("document %+v", d)
	}
	if p.Documents[1].UniqueID == "" || p.Documents[1].UniqueID == s.UniqueID || p.Documents[1].URI != "DOC00002.TXT" {
		t.Errorf("second document %+v", p.Documents[1])
	}
	zr, err := zip.NewReader(bytes.NewReader(w.Bytes()), int64(w.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range zr.File {
		for _, part := range strings.Split(f.Name, "/") {
			if !regexp.MustCompile(`^[A-Z0-9_]{1,8}(\.[A-Z0-9]{1,3})?$`).MatchString(part) {
				t.Errorf("%s is no ISO 9660 level 1 name", f.Name)
			}
		}
	}
}

func TestIncompleteSubmissionIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*xdm.Submission){
		"no source":     func(s *xdm.Submission) { s.SourceID = "" },
		"no document":   func(s *xdm.Submission) { s.Documents = nil },
		"no time":       func(s *xdm.Submission) { s.Time = time.Time{} },
		"no media type": func(s *xdm.Submission) { s.Documents[0].MediaType = "" },
	} {
		s := submission("x")
		spoil(&s)
		var w bytes.Buffer
		if err := xdm.Write(&w, s); err == nil || w.Len() != 0 {
			t.Errorf("%s: error %v after %d bytes", name, err, w.Len())
		}
	}
}

// pack makes a zip of the files; a name starting with "link:" becomes a symbolic link.
func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var w bytes.Buffer
	zw := zip.NewWriter(&w)
	for i := 0; i < len(files); i += 2 {
		h := &zip.FileHeader{Name: strings.TrimPrefix(files[i], "link:"), Method: zip.Deflate}
		if strings.HasPrefix(files[i], "link:") {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		f, err := zw.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, files[i+1])
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

func metadata(uri, size, hash string) string {
	return fmt.Sprintf(`<SubmitObjectsRequest><RegistryObjectList><ExtrinsicObject id="d" mimeType="text/plain"><Slot name="URI"><ValueList><Value>%s</Value></ValueList></Slot>
<Slot name="size"><ValueList><Value>%s</Value></ValueList></Slot><Slot name="hash"><ValueList><Value>%s</Value></ValueList></Slot></ExtrinsicObject>
<RegistryPackage id="s"/></RegistryObjectList></SubmitObjectsRequest>`, uri, size, hash)
}

const (
	m     = "IHE_XDM/SUBSET01/METADATA.XML"
	hello = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d" // SHA-1 of "hello"
)

func TestURIsAreResolvedInsideThePackageOnly(t *testing.T) {
	for _, c := range []struct {
		name, uri, file, rule string
		opens                 bool
	}{
		{"beside the metadata", "A.TXT", "IHE_XDM/SUBSET01/A.TXT", "", true},
		{"in a folder below", "DOC00001/A.TXT", "IHE_XDM/SUBSET01/DOC00001/A.TXT", "", true},
		{"elsewhere in the package", "../../DATA/A.TXT", "DATA/A.TXT", "", true},
		{"percent-encoded", "A%20B.TXT", "IHE_XDM/SUBSET01/A B.TXT", "", true},
		{"other case", "a.txt", "IHE_XDM/SUBSET01/A.TXT", "case-differs", true},
		{"climbing out", "../../../etc/passwd", "IHE_XDM/SUBSET01/A.BIN", "uri-outside", true}, // found by its hash
		{"absolute", "/etc/passwd", "IHE_XDM/SUBSET01/A.BIN", "uri-outside", true},
		{"a web address", "http://evil.example/x", "IHE_XDM/SUBSET01/A.BIN", "uri-outside", true},
		{"missing, found by hash", "B.TXT", "IHE_XDM/SUBSET01/A.TXT", "found-by-hash", true},
	} {
		p := read(t, pack(t, m, metadata(c.uri, "5", hello), c.file, "hello", "INDEX.HTM", "", "README.TXT", ""))
		if c.rule != "" && !has(p, c.rule) {
			t.Errorf("%s: findings %v, want %s", c.name, p.Findings, c.rule)
		}
		if c.rule == "" && len(p.Findings) != 0 {
			t.Errorf("%s: findings %v", c.name, p.Findings)
		}
		if _, _, err := p.Open(p.Documents[0]); (err == nil) != c.opens {
			t.Errorf("%s: open: %v", c.name, err)
		}
	}
}

func TestMismatchesAreShownAndStillReadable(t *testing.T) {
	const body = "IHE_XDM/SUBSET01/A.TXT"
	for _, c := range []struct{ name, size, hash, content, rules, words string }{
		{"both agree", "5", hello, "hello", "", ""},
		{"hash in capitals, white space around", " 5 ", "\n" + strings.ToUpper(hello) + " ", "hello", "", ""},
		{"wrong size", "6", hello, "hello", "size-differs", "its size does not agree"},
		{"wrong hash", "5", strings.Repeat("0", 40), "hello", "hash-differs", "its hash does not agree"},
		{"a letter changed, same size", "5", hello, "hallo", "hash-differs", "its hash does not agree"},
		{"a letter more", "5", hello, "hello!", "hash-differs size-differs", "its hash does not agree"},
		{"emptied", "5", hello, "", "hash-differs size-differs", "its hash does not agree"},
		{"another hash function", "5", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "hello", "other-hash", "gives no hash to compare"},
		{"a hash in base64", "5", "qvTGHdzF6KLavt4PO0gs2a6pQ00=", "hello", "other-hash", "gives no hash to compare"},
		{"no hash", "5", "", "hello", "no-hash", "gives no hash to compare"},
		{"no hash, wrong size", "6", "", "hello", "no-hash size-differs", "its size does not agree"},
		{"no size", "", hello, "hello", "no-size", "gives no size"},
		{"a size in words", "five", hello, "hello", "size-differs", "its size does not agree"},
	} {
		p := read(t, pack(t, m, metadata("A.TXT", c.size, c.hash), body, c.content, "INDEX.HTM", "", "README.TXT", ""))
		var rules []string
		for _, f := range p.Findings {
			rules = append(rules, f.Rule)
		}
		if got := strings.Join(rules, " "); got != c.rules {
			t.Errorf("%s: findings %q, want %q", c.name, got, c.rules)
		}
		d := p.Documents[0]
		if got := d.Agrees(); !strings.Contains(got, c.words) || (c.words == "") != (got == "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.words)
		}
		r, size, err := p.Open(d)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got, err := io.ReadAll(io.NewSectionReader(r, 0, size)); err != nil || string(got) != c.content {
			t.Errorf("%s: reads %q, %v", c.name, got, err)
		}
	}
	p := read(t, pack(t, m, metadata("GONE.TXT", "7", ""), "IHE_XDM/SUBSET01/A.TXT", "hello"))
	if !has(p, "missing-file") {
		t.Errorf("missing file: %v", p.Findings)
	}
	if _, _, err := p.Open(p.Documents[0]); err == nil {
		t.Error("a missing file opened")
	}
}

func TestOddArchivesAreNamedNotFollowed(t *testing.T) {
	good := []string{m, metadata("A.TXT", "5", hello), "IHE_XDM/SUBSET01/A.TXT", "hello"}
	for _, name := range []string{"../evil.txt", "/etc/cron.d/x", "a\\..\\b.txt", "c:evil", "a/../../b", "link:IHE_XDM/SUBSET01/L.TXT"} {
		p := read(t, pack(t, append([]string{name, "x"}, good...)...))
		if !has(p, "odd-entry") || !p.Documents[0].HashOK {
			t.Errorf("%s: findings %v", name, p.Findings)
		}
	}
	for name, want := range map[string]bool{"IHE_XDM\\SUBSET01\\": true, "SUBSET01/": true, "SUBSET01\\": true, "OTHER/": false, "__MACOSX/SUBSET01/": false} {
		b := pack(t, name+"METADATA.XML", metadata("A.TXT", "5", hello), name+"A.TXT", "hello")
		p, err := xdm.Read(bytes.NewReader(b), int64(len(b)))
		if (err == nil) != want || want && (!p.Documents[0].HashOK || has(p, "odd-entry") || has(p, "backslashes") != strings.Contains(name, "\\")) {
			t.Errorf("folder %s: %v, %+v", name, err, p)
		}
	}
	zeros := strings.Repeat("\x00", 8<<20)
	if p := read(t, pack(t, append([]string{"bomb.bin", zeros}, good...)...)); !has(p, "odd-entry") {
		t.Errorf("bomb: findings %v", p.Findings)
	}
	var many []string
	for i := range xdm.MaxEntries + 1 {
		many = append(many, fmt.Sprintf("f%d", i), "")
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"too many entries": {pack(t, many...), xdm.ErrBadZip},
		"cut off":          {pack(t, good...)[:200], xdm.ErrBadZip},
		"no zip":           {[]byte("hello"), xdm.ErrNotZip},
		"no metadata":      {pack(t, "a.txt", "x"), xdm.ErrNotXDM},
		"apple double":     {pack(t, "__MACOSX/IHE_XDM/SUBSET01/METADATA.XML", "x"), xdm.ErrNotXDM},
		"empty":            {nil, xdm.ErrNotZip},
	} {
		if _, err := xdm.Read(bytes.NewReader(c.b), int64(len(c.b))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	overlap := pack(t, "a", strings.Repeat("hello", 50), "b", "2")
	i := bytes.LastIndex(overlap, []byte("PK\x01\x02"))
	copy(overlap[i+20:], []byte{0xFF, 0xFF, 0, 0}) // the second entry claims to be longer than the file
	if _, err := xdm.Read(bytes.NewReader(overlap), int64(len(overlap))); !errors.Is(err, xdm.ErrBadZip) {
		t.Errorf("overlap: %v", err)
	}
}

func TestDocumentsOfSeveralSetsKeepTheirSet(t *testing.T) {
	p := read(t, pack(t, "ihe_xdm/subset01/metadata.xml", metadata("A.TXT", "5", hello), "ihe_xdm/subset01/a.txt", "hello",
		"IHE_XDM/SUBSET02/METADATA.XML", metadata("../SUBSET01/A.TXT", "5", hello)))
	if len(p.Sets) != 2 || len(p.Documents) != 2 || p.Documents[1].Set != 1 || p.Documents[1].File == "" {
		t.Errorf("sets %d documents %+v", len(p.Sets), p.Documents)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(pack(f, m, metadata("A.TXT", "5", hello), "IHE_XDM/SUBSET01/A.TXT", "hello"))
	f.Add(pack(f, "link:x", "y", "../z", "q"))
	var w bytes.Buffer
	if err := xdm.Write(&w, submission("<a/>")); err != nil {
		f.Fatal(err)
	}
	f.Add(w.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := xdm.Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, d := range p.Documents {
			if strings.Contains(d.File, "..") || strings.HasPrefix(d.File, "/") {
				t.Fatalf("document outside the package: %q", d.File)
			}
			if r, size, err := p.Open(d); err == nil {
				if n, err := io.Copy(io.Discard, io.NewSectionReader(r, 0, size)); err != nil || n != size {
					t.Fatalf("opened %d of %d bytes: %v", n, size, err)
				}
			}
		}
	})
}
