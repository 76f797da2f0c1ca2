package hl7

import (
	"slices"
	"strings"
)

// ByPatient is the message cut by its PID segments: for each patient the segments before the first PID,
// which are about the whole message, and those of that patient. A PID that repeats the one before it
// begins nobody new. A message about one patient or none is returned as it is. left is how many patients
// beyond MaxMessages there are, who are in none of them.
func (m *Message) ByPatient() (list []*Message, left int) {
	at := -1
	var starts []int
	for i, s := range m.Segments {
		if s.Name != "PID" {
			continue
		}
		if at < 0 || !samePID(m.Segments[at], s) {
			starts = append(starts, i)
		}
		at = i
	}
	if len(starts) < 2 {
		return []*Message{m}, 0
	}
	common := m.Segments[:min(starts[0], maxCommon)]
	for n, start := range starts {
		if n == MaxMessages {
			return list, len(starts) - n
		}
		end := len(m.Segments)
		if n+1 < len(starts) {
			end = starts[n+1]
		}
		list = append(list, &Message{sep: m.sep, Segments: slices.Concat(common, m.Segments[start:end])})
	}
	return list, 0
}

// maxCommon is how many segments before the first PID are given with every patient.
const maxCommon = 100

// samePID says whether two PID segments name one patient: number, name and birth as written.
func samePID(a, b Segment) bool {
	for _, n := range []int{3, 5, 7} {
		if a.Raw(n) != b.Raw(n) {
			return false
		}
	}
	return a.Raw(3)+a.Raw(5) != ""
}

// Text is the message's segments as written, each with the carriage return of the standard.
func (m *Message) Text() string {
	var b strings.Builder
	for _, s := range m.Segments {
		b.WriteString(s.line)
		b.WriteByte('\r')
	}
	return b.String()
}

// shown are the segments that give lines or stand in the head of a page, and those that say nothing a
// clinic decides on.
var shown = []string{"MSH", "SFT", "PID", "PD1", "EVN", "PV1", "PV2", "NTE", "OBX", "OBR", "ORC", "DG1", "PRB", "AL1", "IAM", "PR1", "RXA", "RXR", "RXO", "RXE", "RXD", "RXG", "RXC",
	"MRG", "RF1", "SCH", "AIS", "AIP", "AIL", "AIG", "TXA", "PRD", "RGS", "TQ1", "TQ2", "SPM", "SAC", "MSA", "ERR", "UAC", "DSC", "CTD", "PRT", "ROL", "FT1", "BLG", "IN1", "IN2", "IN3", "GT1"}

// Unshown are the names of segments that give no line and are to be read in the message itself.
func (m *Message) Unshown() []string {
	var out []string
	for _, s := range m.Segments {
		if len(out) < 20 && !slices.Contains(shown, s.Name) && !slices.Contains(out, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}
