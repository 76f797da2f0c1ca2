package hl7_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/hl7"
)

func msg(kind string, segments ...string) string {
	return "MSH|^~\\&|A|B|C|D|20260501||" + kind + "|1|P|2.5\rPID|||1^^^X||Doe^Ann||19600101\r" + strings.Join(segments, "\r") + "\r"
}

// What the sender cancelled, deleted, refused or denies is never a plain line.
func TestALineStandsAsItsSegmentSays(t *testing.T) {
	for name, c := range map[string]struct {
		kind     string
		segments string
		standing chart.Standing
		line     string // the last line in plain words
	}{
		"final":                 {"ORU^R01", "OBX|1|NM|K^Potassium||4.10|mmol/L|3.5-5.1||||F", chart.Holds, "Potassium 4.10 mmol/L usual 3.5-5.1"},
		"deleted":               {"ORU^R01", "OBX|1|NM|K^Potassium||4.1||||||D", chart.Withdrawn, "DELETED: Potassium 4.1"},
		"wrong":                 {"ORU^R01", "OBX|1|NM|K^Potassium||4.1||||||W", chart.Withdrawn, "POSTED AS WRONG: Potassium 4.1"},
		"cannot be obtained":    {"ORU^R01", "OBX|1|NM|K^Potassium||||||||X", chart.Denied, "NO RESULT CAN BE OBTAINED: Potassium (no value)"},
		"corrected":             {"ORU^R01", "OBX|1|NM|K^Potassium||4.1||||||C", chart.Holds, "CORRECTED: Potassium 4.1"},
		"preliminary":           {"ORU^R01", "OBX|1|NM|K^Potassium||4.1||||||P", chart.Unsettled, "PRELIMINARY: Potassium 4.1"},
		"pending":               {"ORU^R01", "OBX|1|NM|K^Potassium||||||||I", chart.Unsettled, "PENDING: Potassium (no value)"},
		"status of no table":    {"ORU^R01", "OBX|1|NM|K^Potassium||4.1||||||?", chart.Unsettled, "STATUS ?: Potassium 4.1"},
		"report preliminary":    {"ORU^R01", "OBR|1|||CBC^Blood count|||||||||||||||||||||P\rOBX|1|NM|K^Potassium||4.1", chart.Unsettled, "PRELIMINARY: Potassium 4.1"},
		"report cancelled":      {"ORU^R01", "OBR|1|||CBC^Blood count|||||||||||||||||||||X\rOBX|1|NM|K^Potassium||4.1||||||F", chart.Over, "ORDER CANCELLED, NO RESULT: Potassium 4.1"},
		"order cancelled":       {"OMG^O19", "ORC|CA|1\rOBR|1|||CT^CT of the head", chart.Over, "CANCELLED: CT of the head"},
		"medicine discontinued": {"RDE^O11", "ORC|DC|1\rRXE||W^Warfarin|5||mg", chart.Over, "DISCONTINUED: Warfarin 5 mg"},
		"order on hold":         {"RDE^O11", "ORC|NW|1||||HD\rORC|HD|1\rRXE||W^Warfarin", chart.Unsettled, "ON HOLD: Warfarin"},
		"the next order again":  {"RDE^O11", "ORC|CA|1\rRXE||W^Warfarin\rORC|NW|2\rRXE||A^Apixaban", chart.Holds, "Apixaban"},
		"no known allergy":      {"ADT^A08", "AL1|1|DA|NKDA", chart.Denied, "NKDA"},
		"denied in words":       {"ADT^A08", "IAM|1|DA|0^No Known Drug Allergies|||A", chart.Denied, "No Known Drug Allergies"},
		"an allergy":            {"ADT^A08", "AL1|1|DA|P^Penicillin|SV|rash", chart.Holds, "Penicillin rash, severe"},
		"allergy without name":  {"ADT^A08", "AL1|1|DA||SV|anaphylaxis", chart.Holds, "not named anaphylaxis, severe"},
		"allergy deleted":       {"ADT^A60", "IAM|1|DA|P^Penicillin|||D", chart.Withdrawn, "DELETED: Penicillin"},
		"allergy erroneous":     {"ADT^A60", "IAM|1|DA|P^Penicillin|||U|||||||||||E", chart.Withdrawn, "ERRONEOUS: Penicillin"},
		"allergy inactive":      {"ADT^A60", "IAM|1|DA|P^Penicillin|||U|||||||||||I", chart.Over, "INACTIVE: Penicillin"},
		"vaccine refused":       {"VXU^V04", "RXA|0|1|20260101||03^MMR|999||||||||||||00^parent refused||RE", chart.Denied, "REFUSED: MMR refused because parent refused 1 Jan 2026"},
		"no vaccine":            {"VXU^V04", "RXA|0|1|20260101||998^No vaccine administered|999", chart.Denied, "NO VACCINE GIVEN: No vaccine administered 1 Jan 2026"},
		"vaccine deleted":       {"VXU^V04", "RXA|0|1|20260101||03^MMR|0.5|mL^mL|||||||||||||CP|D", chart.Withdrawn, "DELETED: MMR 0.5 mL 1 Jan 2026"},
		"diagnosis deleted":     {"ADT^A08", "DG1|1||I10^Hypertension||||||||||||||||||D", chart.Withdrawn, "DELETED: Hypertension"},
		"working diagnosis":     {"ADT^A08", "DG1|1||I21^Infarction|||W", chart.Unsettled, "WORKING DIAGNOSIS: Infarction"},
		"problem resolved":      {"PPR^PC2", "PRB|UP|20260101|J45^Asthma|1|||||20250101", chart.Over, "RESOLVED: Asthma resolved 1 Jan 2025"},
		"problem ruled out":     {"PPR^PC2", "PRB|UP|20260101|J45^Asthma|1|||||||||^Ruled out", chart.Denied, "RULED OUT: Asthma"},
		"problem deleted":       {"PPR^PC3", "PRB|DE|20260101|J45^Asthma|1", chart.Withdrawn, "DELETED: Asthma"},
		"appointment cancelled": {"SIU^S15", "SCH|1|2\rAIS|1|A|X^Colonoscopy|20260910093000", chart.Over, "CANCELLED: Colonoscopy 10 Sep 2026, 09:30"},
		"appointment deleted":   {"SIU^S17", "AIS|1|A|X^Colonoscopy", chart.Withdrawn, "DELETED: Colonoscopy"},
		"did not come":          {"SIU^S26", "AIS|1|A|X^Colonoscopy", chart.Over, "PATIENT DID NOT COME: Colonoscopy"},
		"one part cancelled":    {"SIU^S14", "AIS|1|A|X^Colonoscopy||||||Cancelled|Cancelled", chart.Over, "CANCELLED: Colonoscopy"},
		"referral cancelled":    {"REF^I14", "RF1|A|R|CAR^Cardiology", chart.Over, "CANCELLED: Cardiology accepted priority R"},
		"referral rejected":     {"RRI^I12", "RF1|R|R|CAR^Cardiology", chart.Over, "REJECTED: Cardiology rejected priority R"},
		"document deleted":      {"MDM^T11", "TXA|1|CN^Consult\rOBX|1|TX|T^Text||has diabetes||||||F", chart.Withdrawn, "DOCUMENT CANCELLED: Text has diabetes"},
		"document obsolete":     {"MDM^T02", "TXA|1|CN^Consult|||||||||||||||||OB\rOBX|1|TX|T^Text||has diabetes||||||F", chart.Over, "OBSOLETE: Text has diabetes"},
		"document not signed":   {"MDM^T02", "TXA|1|CN^Consult|||||||||||||||DI", chart.Unsettled, "DICTATED, NOT SIGNED: Consult"},
		"admission cancelled":   {"ADT^A11", "PV1|1|I|W4^12", chart.Over, "CANCELLED: W4 12"},
		"a record merged":       {"ADT^A40", "MRG|77^^^X||||||Roe^Jane", chart.Holds, "MERGED: The record 77 Jane Roe was given up for this patient's"},
	} {
		lines := parse(t, msg(c.kind, c.segments)).Lines()
		if len(lines) == 0 {
			t.Errorf("%s: no line", name)
			continue
		}
		if l := lines[len(lines)-1]; l.Standing != c.standing || l.String() != c.line {
			t.Errorf("%s: %q %q, want %q %q", name, l.Standing, l.String(), c.standing, c.line)
		}
	}
}

// A value is read by its data type and shown as written.
func TestValuesByTheirDataType(t *testing.T) {
	for name, c := range map[string]struct{ obx, value, flag string }{
		"number, places kept":     {"NM|K||1.10|mmol/L", "1.10 mmol/L", ""},
		"no unit":                 {"NM|K||1.015|1", "1.015", ""},
		"an annotation as a unit": {"NM|K||7|{score}", "7 score", ""},
		"numbers, repeated":       {"NM|K||60~120|/min", "60, 120 /min", ""},
		"structured, below":       {"SN|K||<^0.3|mg/L", "<0.3 mg/L", ""},
		"structured, range":       {"SN|K||^10^-^20", "10-20", ""},
		"structured, titre":       {"SN|K||^1^:^128", "1:128", ""},
		"coded":                   {"CE|K||1^Salmonella^L", "Salmonella", ""},
		"coded, original words":   {"CWE|K||1^Salmonella^SCT^^^^^^S. enterica", "Salmonella (S. enterica)", ""},
		"coded, several":          {"CWE|K||1^E. coli~2^Proteus", "E. coli, Proteus", ""},
		"coded, second code only": {"CWE|K||^^^5^Proteus^L", "Proteus", ""},
		"text, repeated":          {"TX|K||one~two", "one\ntwo", ""},
		"formatted":               {`FT|K||a\.br\b\.sp2\c \H\bold\N\ \T\ \X41\`, "a\nb\nc bold & A", ""},
		"a text as file":          {"ED|K||^TEXT^plain^A^hello \\T\\ bye", "hello & bye", ""},
		"a file without content":  {"ED|K||^application^pdf^Base64^", "(attached file, but nothing is in it)", ""},
		"a file elsewhere":        {"RP|K||https://x.example^^image^PICT", "file kept elsewhere, not fetched: https://x.example", ""},
		"deleted by null":         {`NM|K||""`, "(value deleted by the sender)", ""},
		"nothing":                 {"NM|K||", "(no value)", ""},
		"several flags":           {"NM|K||6.1|||HH~A^Abnormal^L", "6.1", "critically high, abnormal"},
		"own flag":                {"NM|K||6.1|||Z^odd^L", "6.1", "odd"},
		"normal":                  {"NM|K||4.1|||N", "4.1", ""},
		"negative":                {"CE|K||1^HIV|||NEG", "HIV", "negative"},
	} {
		l := parse(t, msg("ORU^R01", "OBX|1|"+c.obx)).Lines()[0]
		if l.Value != c.value || l.Flag != c.flag {
			t.Errorf("%s: %q %q, want %q %q", name, l.Value, l.Flag, c.value, c.flag)
		}
	}
}

// A note belongs to the segment it follows, and never to a line before that.
func TestNotesStayWithTheirSegment(t *testing.T) {
	lines := parse(t, msg("ORU^R01", "OBX|1|NM|K^Potassium||6.1", "PRT||AD", "NTE|1||haemolysed", "NTE|2||repeat", "SPM|1", "NTE|1||tube broken", "NTE|2||on arrival")).Lines()
	if len(lines) != 3 || lines[0].Note != "haemolysed · repeat" || lines[1].Name != "tube broken" || lines[2].Name != "on arrival" {
		t.Errorf("%+v", lines)
	}
	lines = parse(t, "MSH|^~\\&|A|B|||2026||REF^I12|1|P|2.5\rRF1|A||CAR^Cardiology\rPID|||1||Doe\rNTE|1||blind\r").Lines()
	if len(lines) != 2 || lines[0].Note != "" || lines[1].Name != "blind" {
		t.Errorf("%+v", lines)
	}
}

func TestEveryMessageOfAFileIsRead(t *testing.T) {
	one, two := msg("ADT^A01", "AL1|1||P^Penicillin"), strings.Replace(msg("ADT^A03"), "Ann", "Bob", 1)
	for name, c := range map[string]struct {
		in       string
		messages int
		left     int
	}{
		"one":                   {one, 1, 0},
		"two":                   {one + two, 2, 0},
		"a batch":               {"FHS|^~\\&|A\rBHS|^~\\&|A\r" + one + two + "BTS|2\rFTS|1\r", 2, 0},
		"MLLP frames":           {"\x0B" + one + "\x1C\r\x0B" + two + "\x1C\r", 2, 0},
		"a broken head between": {one + "MSH\rPID|||2||Roe\r" + two, 2, 1},
		"too many":              {strings.Repeat(one, hl7.MaxMessages+3), hl7.MaxMessages, 3},
	} {
		f, err := hl7.Read(strings.NewReader(c.in), int64(len(c.in)))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Messages) != c.messages || f.Left != c.left {
			t.Errorf("%s: %d messages, %d left", name, len(f.Messages), f.Left)
		}
		for _, m := range f.Messages {
			if n := len(m.All("PID")); n != 1 || len(m.All("BTS"))+len(m.All("FTS")) > 0 {
				t.Errorf("%s: %d PID segments", name, n)
			}
		}
	}
}

// Each patient of a message has the segments of that patient and those before all of them.
func TestPatientsOfAMessageAreApart(t *testing.T) {
	obx := func(name string) string { return "OBX|1|NM|" + name + "||1" }
	m := parse(t, msg("ORU^R01", obx("A"), "PID|||1^^^X||Doe^Ann||19600101", obx("B"), "PID|||2^^^X||Roe^Bob", obx("C")))
	list, left := m.ByPatient()
	if len(list) != 2 || left != 0 {
		t.Fatalf("%d patients, %d left", len(list), left)
	}
	for i, want := range []string{"Doe A,B", "Roe C"} {
		var names []string
		again := parse(t, list[i].Text())
		for _, l := range again.Lines() {
			names = append(names, l.Name)
		}
		if got := again.Patient().Name.Family + " " + strings.Join(names, ","); got != want || again.ControlID() != "1" {
			t.Errorf("%q, want %q", got, want)
		}
	}
	var many []string
	for i := range hl7.MaxMessages + 5 {
		many = append(many, fmt.Sprintf("PID|||%d||Doe", i+10))
	}
	if list, left := parse(t, msg("ORU^R01", many...)).ByPatient(); len(list) != hl7.MaxMessages || left != 6 {
		t.Errorf("%d patients, %d left", len(list), left)
	}
}

// A line end inside a field, or a continuation segment, loses nothing.
func TestBrokenFieldsAreJoined(t *testing.T) {
	m := parse(t, msg("ORU^R01", "OBX|1|TX|T^Text||no sign of\nmalignancy||||||F", "ADD|, looked twice"))
	if l := m.Lines()[0]; l.Value != "no sign of\nmalignancy" || !strings.Contains(strings.Join(m.Repairs, ";"), "inside a field") {
		t.Errorf("%+v %q", l, m.Repairs)
	}
	m = parse(t, msg("ORU^R01", "OBX|1|TX|T^Text||no sign", "ADD| of it"))
	if l := m.Lines()[0]; l.Value != "no sign of it" {
		t.Errorf("%+v", l)
	}
}

func TestPatientIsToldWithDeath(t *testing.T) {
	p := parse(t, "MSH|^~\\&|A|B|||2026||ADT^A03|1|P|2.5\rPID|||1||Doe^Ann||1960-01-02T00:00:00||||||||||||||||||||||20260102|Y\r").Patient()
	if p.Deceased != "2 Jan 2026" || p.Birth.String() != "2 Jan 1960" {
		t.Errorf("%+v", p)
	}
}
