package document_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/document/xdm"
	"postern/gateway/lab/corpus"
)

func pack(t testing.TB, parts ...xdm.Part) []byte {
	t.Helper()
	var w bytes.Buffer
	err := xdm.Write(&w, xdm.Submission{SourceID: "2.25.77", From: "a@direct.example.org", Recipients: []string{"b@direct.example.net"}, Time: time.Date(2026, 10, 2, 18, 0, 0, 0, time.UTC), Documents: parts})
	if err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

// A document's own metadata goes into a package and comes back out; what it does not say is absent.
func TestEntrySaysWhatTheDocumentSays(t *testing.T) {
	d, err := document.OpenBytes(sample.Referral, document.Hint{})
	if err != nil {
		t.Fatal(err)
	}
	z := pack(t, d.Entry("text/xml"))
	p, err := xdm.Read(bytes.NewReader(z), int64(len(z)))
	if err != nil || len(p.Documents) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	e := p.Documents[0]
	if e.UniqueID != "2F8C1D64-7B3E-4C0A-9E51-6A0B7D2C9F10" || e.Type.Code != "57133-1" || e.Format.Code != "urn:hl7-org:sdwg:ccda-structuredBody:2.1" ||
		e.Created.Raw != "20261002174500" || e.Language != "en-US" || e.Confidentiality.Code != "N" || e.SourcePatientID != "LV-204418^^^&2.16.840.1.113883.19.5.1&ISO" ||
		e.Authors[0].Person != "9999990017^Okonjo-Reyes^Hanna^^MD" || e.Authors[0].Institution[0] != "Lakeview Family Medicine" || !e.HashOK || !e.SizeOK {
		t.Errorf("%+v", e)
	}
	want := []string{"PID-3|LV-204418^^^&2.16.840.1.113883.19.5.1&ISO", "PID-5|Brandvold^Ottilie Maren", "PID-7|19581117", "PID-8|F", "PID-11|17 Tamarack Lane^^Lakeview^OR^97630^US"}
	if !reflect.DeepEqual(e.SourcePatient, want) {
		t.Errorf("source patient %q", e.SourcePatient)
	}
	bare, err := document.OpenBytes([]byte("hello"), document.Hint{})
	if err != nil {
		t.Fatal(err)
	}
	if x := bare.Entry("text/plain"); x.Type.Code != "" || x.SourcePatientID != "" || x.Created.Raw != "" || x.UniqueID != "" {
		t.Errorf("a text says more than it does: %+v", x)
	}
}

// Every corpus document goes through a package of ours unchanged.
func TestCorpusDocumentsSurviveAPackage(t *testing.T) {
	for _, e := range corpus.Walk(t, "ccda") {
		b := e.Read(t)
		d, err := document.OpenBytes(b, document.Hint{})
		if err != nil {
			t.Fatal(err)
		}
		z := pack(t, d.Entry("text/xml"))
		p, err := xdm.Read(bytes.NewReader(z), int64(len(z)))
		if err != nil || len(p.Findings) != 0 || len(p.Documents) != 1 {
			t.Fatalf("%s: %v %+v", e.File, err, p)
		}
		src, size, err := p.Open(p.Documents[0])
		back := make([]byte, size)
		if _, rerr := src.ReadAt(back, 0); err != nil || rerr != nil || !bytes.Equal(back, b) {
			t.Errorf("%s: the bytes differ (%v, %v)", e.File, err, rerr)
		}
		if s := inspect(t, z, document.Hint{}); s.Type != d.Type || s.Inside[0].ID != d.ID || strings.Contains(remarks(s), "differs") != strings.Contains(remarks(&d.Summary), "differs") {
			t.Errorf("%s: %q inside a package is %q", e.File, d.Type, s.Type)
		}
	}
}
