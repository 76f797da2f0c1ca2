package chart

// Line is one labelled line for a reader, out of a message or resource that has no narrative.
type Line struct {
	Group string `json:"group"` // what it belongs to: "Referral", "Diagnoses", "Results" …
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	Flag  string `json:"flag,omitempty"`
	Note  string `json:"note,omitempty"` // range, numbers, notes
	Time  Time   `json:"time,omitzero"`
	Code  Code   `json:"code,omitzero"`
}
