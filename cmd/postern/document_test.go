package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/clinic/document/sample"
)

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDocumentInspectTellsForPeopleAndForPrograms(t *testing.T) {
	path := file(t, "note.txt", sample.Referral)
	code, out, errOut := invoke(t, "document", "inspect", path)
	if code != exitDone || errOut != "" {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"kind        c-cda", "Referral Note R2.1", "Ottilie Maren Brandvold, born 17 Nov 1958, Female", "LV-204418 Lakeview Family Medicine", "medications s4   apixaban 5 MG Oral Tablet", "412 pg/mL · high"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	code, out, _ = invoke(t, "document", "inspect", "--json", path)
	var got struct {
		V       int
		Kind    string
		Type    string
		Date    string
		Patient struct {
			Name struct{ Family string }
			IDs  []struct{ Extension string }
		}
		Items []struct{ Kind, Section, Name string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDone {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if got.V != 1 || got.Kind != "c-cda" || got.Type != "Referral Note" || got.Date != "2026-10-02T10:45:00-07:00" || got.Patient.Name.Family != "Brandvold" ||
		got.Patient.IDs[0].Extension != "LV-204418" || len(got.Items) < 30 || strings.Count(out, "\n") != 1 {
		t.Errorf("%+v", got)
	}
}

func TestDocumentInspectDoesNotSteerTheTerminal(t *testing.T) {
	evil := bytes.Replace(sample.Referral, []byte("<title>Referral Note: Cardiology</title>"), []byte("<title>a&#x1B;]0;owned&#7;&#x202E;b</title>"), 1)
	_, out, _ := invoke(t, "document", "inspect", file(t, "x.xml", evil))
	if strings.ContainsAny(out, "\x1B\x07\u202E") || !strings.Contains(out, "]0;owned") {
		t.Errorf("%q", out[:300])
	}
}

func TestDocumentRenderWritesOnePage(t *testing.T) {
	code, out, errOut := invoke(t, "document", "render", file(t, "new.xml", sample.Referral), "--compare", file(t, "old.xml", sample.Earlier))
	if code != exitDone || errOut != "" || !strings.HasPrefix(out, "<!DOCTYPE html>") || !strings.Contains(out, "Changed since") || !strings.HasSuffix(strings.TrimSpace(out), "</html>") {
		t.Errorf("exit %d, %q, %d bytes", code, errOut, len(out))
	}
	if code, out, _ = invoke(t, "document", "render", file(t, "empty", nil)); code != exitDone || !strings.Contains(out, "The file is empty.") {
		t.Errorf("an empty file: exit %d, %.200s", code, out)
	}
}

// A message is compared with FHIR, though neither is a C-CDA.
func TestDocumentRenderComparesOtherKinds(t *testing.T) {
	message := file(t, "m.hl7", []byte("MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5\rPID|||7^^^X||Lee^Ann||19700203\rAL1|1|DA|P^Penicillin\r"))
	bundle := file(t, "b.json", []byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"a","name":[{"family":"Lee","given":["Ann"]}],"birthDate":"1970-02-03"}},{"resource":{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/a"},"code":{"text":"Latex"}}}]}`))
	code, out, errOut := invoke(t, "document", "render", bundle, "--compare", message)
	if code != exitDone || errOut != "" || !strings.Contains(out, "Changed since") || !strings.Contains(out, "Not listed") {
		t.Errorf("exit %d, %q, %.300s", code, errOut, out)
	}
}

func TestDocumentUsedWrongly(t *testing.T) {
	note := file(t, "n.xml", sample.Referral)
	for _, c := range []struct {
		situation string
		args      []string
		code      int
		says      string
	}{
		{"no file", []string{"inspect"}, exitUsage, "one FILE is needed, 0 were given"},
		{"two files", []string{"render", note, note}, exitUsage, "2 were given"},
		{"file not there", []string{"inspect", note + ".gone"}, exitRefused, "no such file"},
		{"a folder", []string{"render", filepath.Dir(note)}, exitRefused, "no regular file"},
		{"nothing to compare", []string{"render", file(t, "t.txt", []byte("hello")), "--compare", note}, exitRefused, "holds no clinical document to compare"},
		{"a message without lists", []string{"render", file(t, "m.hl7", []byte("MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5\rPID|||7^^^X||Lee^Ann||19700203\r")), "--compare", note}, exitRefused, "holds no clinical document to compare"},
		{"one input for both", []string{"render", "-", "--compare", "-"}, exitUsage, "standard input can be read once"},
		{"nothing to compare with", []string{"render", note, "--compare", file(t, "t.txt", []byte("hello"))}, exitRefused, "no clinical document to compare with"},
	} {
		code, out, errOut := invoke(t, append([]string{"document"}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errOut, c.says) {
			t.Errorf("%s: exit %d, stdout %.60q, stderr %q", c.situation, code, out, errOut)
		}
	}
}

// A line for people says who it is about and whether it is so, as the page does.
func TestDocumentInspectTextSaysHowALineStands(t *testing.T) {
	section := func(code, entry string) string {
		return `<component><section><code code="` + code + `"/><text>x</text><entry>` + entry + `</entry></section></component>`
	}
	cda := `<ClinicalDocument xmlns="urn:hl7-org:v3"><effectiveTime value="20260810"/><component><structuredBody>` +
		section("11450-4", `<act><subject><relatedSubject><code code="FTH" displayName="Father"/></relatedSubject></subject><entryRelationship><observation><value code="1" displayName="Chorea"/></observation></entryRelationship></act>`) +
		section("30954-2", `<observation moodCode="RQO"><code code="2" displayName="Potassium"/></observation>`) +
		section("10160-0", `<substanceAdministration><statusCode code="completed"/><effectiveTime><low value="2020"/><high value="2021"/></effectiveTime><consumable><manufacturedProduct><manufacturedMaterial><code code="3" displayName="Aspirin"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration>`) +
		section("48765-2", `<observation negationInd="true"><value code="4" displayName="Allergy"/><participant typeCode="CSM"><participantRole><playingEntity><code code="5" displayName="Latex"/></playingEntity></participantRole></participant></observation>`) +
		`</structuredBody></component></ClinicalDocument>`
	_, out, _ := invoke(t, "document", "inspect", file(t, "x.xml", []byte(cda)))
	for _, want := range []string{"Father: Chorea", "Requested, not done: Potassium", "Aspirin · completed · 2020 · no longer current", "No allergy to: Latex"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
}
