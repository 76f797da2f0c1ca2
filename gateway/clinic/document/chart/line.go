package chart

import "strings"

// Standing is whether what a line names is to be taken as so. Whoever shows a line must show it.
type Standing string

// The standings. Only the empty one may be read as a plain, current fact.
const (
	Holds     Standing = ""          // as written
	Unsettled Standing = "unsettled" // provisional, preliminary, suspected, planned
	Denied    Standing = "denied"    // the sender states that it is not so, was not done or is not to be done
	Over      Standing = "over"      // no longer so: resolved, stopped, cancelled
	Withdrawn Standing = "withdrawn" // taken back: entered in error, deleted, wrong
)

// Line is one labelled line for a reader, out of a message or resource that has no narrative.
type Line struct {
	Group    string   `json:"group"` // what it belongs to: "Referral", "Diagnoses", "Results" …
	Name     string   `json:"name"`
	Value    string   `json:"value,omitempty"`
	Flag     string   `json:"flag,omitempty"`
	Note     string   `json:"note,omitempty"` // range, numbers, notes
	Standing Standing `json:"standing,omitempty"`
	Status   string   `json:"status,omitempty"` // why it stands so, as the sender says: "refuted", "preliminary"
	Time     Time     `json:"time,omitzero"`
	Code     Code     `json:"code,omitzero"`
}

// Mark is the word that must stand in front of the line: its status, or one for its standing; "" for a
// line that simply holds, and for one whose own words are the denial ("No known allergies").
func (l Line) Mark() string {
	if l.Status != "" || l.Standing == Denied {
		return l.Status
	}
	return string(l.Standing)
}

// String is the line in plain words, its mark first.
func (l Line) String() string {
	s := join(" ", l.Name, l.Value, l.Flag, l.Note, l.Time.String())
	if m := l.Mark(); m != "" {
		s = strings.ToUpper(m) + ": " + s
	}
	return s
}
