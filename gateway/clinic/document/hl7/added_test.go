package hl7_test

import (
	"slices"
	"strings"
	"testing"
)

// What a segment adds to the line before it, and every part of a line that changes it, is there.
func TestLinesAreWhole(t *testing.T) {
	for name, c := range map[string]struct{ segments, want string }{
		"a range, a rhythm, a way, a mixture": {"RXE||5^Warfarin|1|2|TAB|||||||||||||||||\rTQ1|1||BID||||20260901|20260910|S\rRXR|PO^Oral\rRXC|B|X^Saline|100|mL", "Warfarin 1 to 2 TAB · BID, from 1 Sep 2026, until 10 Sep 2026, priority STAT · Oral · in Saline 100 mL"},
		"a rhythm with its period":            {"RXE||5^Warfarin|1||TAB\rTQ1|1||BID&Twice a day&X^^^^12^h^^AC", "Warfarin 1 TAB · Twice a day (period 12 h) before meals"},
		"a period that is the rhythm":         {"RXE||5^Warfarin|1||TAB\rTQ1|1||Q6H^^^^6^h", "Warfarin 1 TAB · Q6H"},
		"a period of another unit":            {"RXE||5^Warfarin|1||TAB\rTQ1|1||Q6H^^^^6^d", "Warfarin 1 TAB · Q6H (period 6 d)"},
		"a period of the same first digit":    {"RXE||5^Warfarin|1||TAB\rTQ1|1||Q12H^^^^1^h", "Warfarin 1 TAB · Q12H (period 1 h)"},
		"a period alone":                      {"RXE||5^Warfarin|1||TAB\rTQ1|1||^^^^8^h~HS", "Warfarin 1 TAB · every 8 h and HS"},
		"an order's timing of old":            {"ORC|NW|7|||||2&TAB^BID&0800,2000^D10^^20260911^R^pain^with food", "Order 7 new order 2 TAB, BID at 0800,2000, for D10, until 11 Sep 2026, if pain, with food"},
		"one of an order":                     {"ORC|NW|7|||||1^^^^^R", "Order 7 new order"},
		"a procedure in words":                {"PR1|1||1^Biopsy|Biopsy of the colon", "Biopsy of the colon, Biopsy"},
		"a place with identifiers":            {"PV1|1|I|W4&2.16.1&ISO^12^B^North^A^C^Main^2||||||||||||||", "W4 12 B North Main 2"},
		"notes with empty ones between":       {"OBX|1|NM|K^K||6.9\rNTE|1||\rNTE|2||Called to the ward\rNTE|3|| \rNTE|4||Repeat", "K 6.9 Called to the ward · Repeat"},
		"a document by its code":              {"TXA|1|DS||||20260901", "Discharge summary 1 Sep 2026"},
		"a document in words":                 {"TXA|1|DS^Letter", "Letter"},
		"a vital sign by its code":            {"OBX|1|NM|8867-4^^LN||80|/min", "Heart rate 80 /min"},
		"a line of a report":                  {"OBX|1|TX|||Lungs are clear", "Text Lungs are clear"},
		"a number without a name":             {"OBX|1|NM|||5", "not named 5"},
		"an account that is given up":         {"MRG|||ACC1", "MERGED: The account ACC1 was given up for this patient's"},
		"instructions of the pharmacy":        {"RXE||5^Warfarin|1||TAB||||||||||||||||^never with aspirin", "Warfarin 1 TAB · never with aspirin"},
		"an order with a side":                {"OBR|1|||X^MRI knee" + strings.Repeat("|", 23) + "^^^^^S" + strings.Repeat("|", 18) + "LT^Left", "MRI knee priority STAT · Left"},
		"a specimen of old":                   {"OBR|1|||X^Culture|||||||||||SWAB^^^Left ear", "Culture specimen SWAB Left ear"},
		"a specimen":                          {"SPM|1|||SWAB^Swab||||EAR^Ear|L^Left", "Specimen Swab Ear, Left"},
		"a procedure's side":                  {"PR1|1||27447^Knee replacement||20200101|||||||||||LT^Left", "Knee replacement Left 1 Jan 2020"},
		"a vaccine's way and arm":             {"RXA|0|1|20200101||08^HepB|0.5|mL\rRXR|IM|LA^Left arm", "HepB 0.5 mL IM, at: Left arm 1 Jan 2020"},
		"a contraindication":                  {"AL1|1|MC|1^MRI|SV", "MRI severe, a contraindication, no allergy"},
		"an answer that refuses":              {"MSA|AR|17|Patient unknown", "REJECTED: Message 17 rejected Patient unknown"},
		"why the patient is here":             {"PV2|||^Chest pain", "Reason: Chest pain"},
	} {
		m := parse(t, "MSH|^~\\&|A|B|C|D|20260901||ORU^R01|1|P|2.5.1\r"+c.segments+"\r")
		lines := m.Lines()
		if len(lines) != 1 || lines[0].String() != c.want {
			t.Errorf("%s: %v, want %q", name, lines, c.want)
		}
	}
}

// Observations that are given several times are told apart by their part, and no others are numbered.
func TestPartsOfAnOrderAreToldApart(t *testing.T) {
	m := parse(t, strings.Join([]string{"MSH|^~\\&|A|B|C|D|20260901||ORU^R01|1|P|2.5.1", "OBR|1|||C^Culture", "OBX|1|CE|1^Organism|1|^E. coli", "OBX|2|ST|2^Amoxicillin|1|R", "OBX|3|CE|1^Organism|2|^Klebsiella",
		"OBX|4|ST|2^Amoxicillin|2|S", "OBR|2|||B^Blood", "OBX|1|NM|3^K|1|4", "OBX|2|NM|4^Na|1|140"}, "\r"))
	var got []string
	for _, l := range m.Lines() {
		if l.Group == "Results" {
			got = append(got, l.Name+" "+l.Value)
		}
	}
	want := []string{"Organism, part 1 E. coli", "Amoxicillin, part 1 R", "Organism, part 2 Klebsiella", "Amoxicillin, part 2 S", "K 4", "Na 140"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
