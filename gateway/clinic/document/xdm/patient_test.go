package xdm_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document/xdm"
)

// The patient of the metadata is read with its numbers, name and birth; nothing stated is nobody.
func TestPatientOfTheMetadata(t *testing.T) {
	d := xdm.Document{SourcePatientID: "7^^^&2.25.1&ISO", PatientID: "9^^^&2.25.2&ISO",
		SourcePatient: []string{"PID-3|8^^^&2.25.3&ISO", `PID-5|O\T\Neil&x^Ann^Mary~Alias^A`, "PID-7|19600102030405", "PID-8|F", "odd"}}
	p := d.Patient()
	if p == nil || len(p.IDs) != 3 || p.IDs[2].String() != "2.25.3^8" || p.Name.String() != "Ann Mary O&Neil" || p.Birth.String() != "2 Jan 1960" || p.Sex.Code != "F" {
		t.Errorf("%+v", p)
	}
	if p := (xdm.Document{SourcePatient: []string{"PID-11|somewhere"}}).Patient(); p != nil {
		t.Errorf("%+v", p)
	}
}

// A document that its package calls out of date is said to be.
func TestDeprecatedDocumentsAreSaidToBe(t *testing.T) {
	var w bytes.Buffer
	if err := xdm.Write(&w, xdm.Submission{SourceID: "2.25.1", Time: time.Unix(0, 0), Documents: []xdm.Part{{Content: strings.NewReader("hello"), Size: 5, MediaType: "text/plain"}}}); err != nil {
		t.Fatal(err)
	}
	for status, want := range map[string]bool{"Approved": false, "Deprecated": true} {
		z := again(t, w.Bytes(), func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("StatusType:Approved"), []byte("StatusType:"+status))
		})
		p, err := xdm.Read(bytes.NewReader(z), int64(len(z)))
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, f := range p.Findings {
			got = got || f.Rule == "deprecated" && f.Severity == "problem"
		}
		if got != want {
			t.Errorf("%s: %+v", status, p.Findings)
		}
	}
}

// again packs an archive anew with its files changed.
func again(t *testing.T, b []byte, change func([]byte) []byte) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var w bytes.Buffer
	out := zip.NewWriter(&w)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		o, err := out.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Write(change(raw)); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}
