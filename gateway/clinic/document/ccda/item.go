package ccda

import "postern/gateway/clinic/document/chart"

// Item is one line a clinician decides on: a problem, an allergy, a medicine, a result.
type Item struct {
	Kind      Kind       `json:"kind"`
	Section   string     `json:"section"`             // anchor of the section it came from
	Name      string     `json:"name"`                // what it is, in words
	Code      chart.Code `json:"code,omitzero"`       //
	Status    string     `json:"status,omitempty"`    // active, completed, …
	Detail    string     `json:"detail,omitempty"`    // dose, reaction, value with unit and range
	Flag      string     `json:"flag,omitempty"`      // "high", "abnormal" … as the sender interpreted a result
	Start     chart.Time `json:"start,omitzero"`      //
	End       chart.Time `json:"end,omitzero"`        //
	Negated   bool       `json:"negated,omitempty"`   // the sender states that this is not so
	Source    Source     `json:"source"`              //
	Anchor    string     `json:"anchor,omitempty"`    // ID of the narrative it refers to
	Narrative string     `json:"narrative,omitempty"` // that narrative's text
	Conflict  string     `json:"conflict,omitempty"`  // where entry and narrative disagree, in words
}

// Source is where an item was read.
type Source string

// The sources of an item.
const (
	FromEntry     Source = "entry"     // a coded entry
	FromNarrative Source = "narrative" // a row or list line of the text, because there are no entries
)
