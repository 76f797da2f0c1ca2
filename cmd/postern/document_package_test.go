package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/document/xdm"
)

// TestDocumentPackage packs documents and reads them as a receiver would.
func TestDocumentPackage(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "referral.xml", string(sample.Referral))
	write(t, "other.xml", strings.ReplaceAll(string(sample.Referral), "19581117", "19610203"))
	write(t, "note.txt", "two near-faints\n")
	write(t, "empty", "")
	const source = " --source 2.16.840.1.113883.19.5"
	invokeAll(t, []commandLine{
		{"document package referral.xml note.txt --from a@direct.hospital.example --to b@direct.clinic.example --title Referral --out p.zip" + source, exitDone, "", ""},
		{"document package p.zip" + source, exitRefused, "", "document package, which belongs in no package"},
		{"document package referral.xml empty --out q.zip" + source, exitRefused, "", "empty: empty file"},
		{"document package referral.xml other.xml --out q.zip" + source, exitRefused, "", "referral.xml and other.xml are about different patients, and a package is about one: the birth dates differ"},
		{"document package nowhere.xml --out q.zip" + source, exitRefused, "", "nowhere.xml"},
		{"document package referral.xml --out none/q.zip" + source, exitRefused, "", "none"},
		{"document package referral.xml --out q.zip", exitUsage, "", "--source is your organisation's object identifier"},
		{"document package referral.xml --source 1..2", exitUsage, "", "--source"},
		{"document package referral.xml --to b" + source, exitUsage, "", "b"},
		{"document package" + source, exitUsage, "", "at least one FILE"},
	})
	if _, err := os.Stat("q.zip"); err == nil {
		t.Error("a package that was refused was written")
	}
	code, out, errOut := invoke(t, "document", "inspect", "p.zip", "--json")
	var got struct {
		Kind    string
		Package xdm.Package
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDone || got.Kind != "xdm" || len(got.Package.Documents) != 2 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errOut)
	}
	for i, want := range [][]byte{sample.Referral, []byte("two near-faints\n")} {
		if d := got.Package.Documents[i]; !d.HashOK || !d.SizeOK || d.Size != strconv.Itoa(len(want)) {
			t.Errorf("document %d: %+v", i+1, d)
		}
	}
	_, packed, _ := invoke(t, strings.Fields("document package note.txt"+source)...)
	if !bytes.HasPrefix([]byte(packed), []byte("PK\x03\x04")) {
		t.Errorf("standard output begins with %q", packed[:min(8, len(packed))])
	}
}
