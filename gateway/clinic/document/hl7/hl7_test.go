package hl7_test

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"postern/gateway/clinic/document/hl7"
	"postern/gateway/lab/corpus"
)

func parse(t testing.TB, s string) *hl7.Message {
	t.Helper()
	m, err := hl7.Parse(strings.NewReader(s), int64(len(s)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCorpusMessagesReadAsTheManifestSays(t *testing.T) {
	for _, e := range corpus.Walk(t, "hl7v2") {
		t.Run(e.File, func(t *testing.T) {
			m := parse(t, string(e.Read(t)))
			want := regexp.MustCompile(`MSH-9=([^;]*); MSH-10=([^;]*); MSH-12=([^;]*);.*segments=(\d+) \[([^\]]*)\]; PID-5=([^;]*); eol`).FindStringSubmatch(e.Expected)
			h, _ := m.First("MSH")
			if h.Raw(9) != want[1] || m.ControlID() != want[2] || h.Get(12, 1) != strings.Split(want[3], "^")[0] {
				t.Errorf("MSH-9 %q MSH-10 %q MSH-12 %q, want %q", h.Raw(9), m.ControlID(), h.Get(12, 1), want[1:4])
			}
			var names []string
			for _, s := range m.Segments {
				names = append(names, s.Name)
			}
			// The manifest lists at most the first names of a long message; the count is always there.
			if got := strings.Join(names, ","); !strings.HasPrefix(got, strings.TrimRight(want[5], ",.…")) || strconv.Itoa(len(names)) != want[4] {
				t.Errorf("segments %s\nwant     %s", got, want[5])
			}
			pid, _ := m.First("PID")
			if pid.Raw(5) != want[6] {
				t.Errorf("PID-5 %q, want %q", pid.Raw(5), want[6])
			}
			family := strings.FieldsFunc(want[6], func(r rune) bool { return r == '^' || r == '&' || r == '~' })[0]
			if p := m.Patient(); p == nil || p.Name.Family != family {
				t.Errorf("patient %+v, want family %q", p, family)
			}
			code, event := m.Type()
			if hl7.Title(code, event) == "HL7 v2 message" {
				t.Errorf("no title for %s^%s", code, event)
			}
			if bom := strings.Contains(e.Expected, "BOM"); bom != strings.Contains(strings.Join(m.Repairs, ";"), "byte-order mark") {
				t.Errorf("repairs %q", m.Repairs)
			}
			if len(m.Lines()) == 0 && code != "ADT" {
				t.Error("no line for a reader")
			}
		})
	}
}

const oru = "MSH|^~\\&|LAB|Hillside Lab|||20261002101500-0700||ORU^R01|77|P|2.5.1\r" +
	"PID|1||LV-1^^^LFM&2.25.77.1&ISO^MR||Brandvold^Ottilie^Maren||19581117|F\r" +
	"OBR|1|||24323-8^Panel^LN|||20261002\r" +
	"OBX|1|NM|33762-6^NT-proBNP^LN||412|pg/mL|0-300|H|||F|||20261002\r" +
	"NTE|1||First line\\.br\\second \\T\\ last \\X41\\\r" +
	"OBX|2|SN|2160-0^Creatinine^LN||<^0.3|mg/dL|||||F\r" +
	"OBX|3|ED|PDF^Report^L||^application^pdf^Base64^JVBERi0=||||||F\r"

func TestResultsNotesAndFilesAreRead(t *testing.T) {
	m := parse(t, oru)
	p := m.Patient()
	if p.IDs[0].Root != "2.25.77.1" || p.IDs[0].Type != "MR" || p.Birth.String() != "17 Nov 1958" || p.Name.Given != "Ottilie Maren" {
		t.Errorf("patient %+v", p)
	}
	lines := m.Lines()
	if l := lines[1]; l.Name != "NT-proBNP" || l.Value != "412 pg/mL" || l.Flag != "high" || l.Note != "usual 0-300 · First line\nsecond & last A" {
		t.Errorf("result %+v", l)
	}
	if lines[2].Value != "<0.3 mg/dL" {
		t.Errorf("structured number %+v", lines[2])
	}
	if e, _ := m.Embedded(); len(e) != 1 || e[0].MediaType != "application/pdf" || e[0].Base64 != "JVBERi0=" {
		t.Errorf("embedded %+v", e)
	}
	if len(m.Repairs) != 0 {
		t.Errorf("repairs %q of a clean message", m.Repairs)
	}
}

func TestOddFramesAndSeparators(t *testing.T) {
	for name, c := range map[string]struct{ in, family, repair string }{
		"line feeds":        {strings.ReplaceAll(oru, "\r", "\n"), "Brandvold", "line feed"},
		"MLLP":              {"\x0B" + oru + "\x1C\r", "Brandvold", ""},
		"batch":             {"FHS|^~\\&|\rBHS|^~\\&|\r" + oru + "BTS|1\r", "Brandvold", ""},
		"other separators":  {"MSH#*~\\&#A#B###2026##ADT*A01#1#P#2.3\rPID###1##Doe*Ann\r", "Doe", ""},
		"Latin-1":           {"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.3\rPID|||1||M\xFCller^Ann\r", "Müller", "Windows-1252"},
		"quoted null":       {"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.3\rPID|||1||Doe^\"\"\r", "Doe", ""},
		"broken escape":     {"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.3\rPID|||1||D\\oe^Ann\r", "D\\oe", ""},
		"two messages":      {oru + oru, "Brandvold", ""},
		"name without comp": {"MSH|^~\\&|A|B|||2026||ADT|1|P|2.3\rPID|||1||Doe\r", "Doe", ""},
	} {
		m := parse(t, c.in)
		if p := m.Patient(); p.Name.Family != c.family {
			t.Errorf("%s: family %q, want %q", name, p.Name.Family, c.family)
		}
		if got := strings.Join(m.Repairs, "; "); c.repair != "" && !strings.Contains(got, c.repair) {
			t.Errorf("%s: repairs %q, want %q", name, got, c.repair)
		}
	}
	if m := parse(t, oru+oru); m.More != 1 {
		t.Errorf("further messages %d, want 1", m.More)
	}
}

func TestNoMessageIsNamed(t *testing.T) {
	for _, s := range []string{"", "PID|1\r", "MSH", "hello\nworld"} {
		if _, err := hl7.Parse(strings.NewReader(s), int64(len(s))); !errors.Is(err, hl7.ErrNotHL7) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestLimitsHold(t *testing.T) {
	m := parse(t, "MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.3\r"+strings.Repeat("NTE|1||x\r", hl7.MaxSegments+5))
	if len(m.Segments) != hl7.MaxSegments || !strings.Contains(strings.Join(m.Repairs, " "), "segments") {
		t.Errorf("%d segments, repairs %q", len(m.Segments), m.Repairs)
	}
	m = parse(t, "MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.3\rPID"+strings.Repeat("|x", 2000)+"\r")
	if pid, _ := m.First("PID"); pid.Len() >= hl7.MaxFields {
		t.Errorf("%d fields", pid.Len())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(oru)
	f.Add("MSH#*~\\&#A#B###2026##ADT*A01#1#P#2.3\rPID###1##Doe*Ann\r")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := hl7.Parse(strings.NewReader(s), int64(len(s)))
		if err != nil {
			return
		}
		m.Patient()
		m.Author()
		for _, l := range m.Lines() {
			if len(l.Name)+len(l.Value) > 4*len(s)+64 {
				t.Fatalf("a line of %d bytes from %d", len(l.Name)+len(l.Value), len(s))
			}
		}
	})
}
