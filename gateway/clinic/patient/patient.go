// Package patient compares what a message says of its patient with the people a clinic knows.
//
// It proposes and explains, and never decides: a Candidate carries what agrees, what differs and what one side
// does not state, and a person confirms, makes a provisional patient or says "none of these". Names are compared
// without case, accents and punctuation; a birth date only as far as both sides state it.
//
// Two things keep a candidate from ever being called likely: a birth date that is another one, and another number
// of the same kind from the same authority. Twins share everything but a given name, so a given name that differs
// does too.
//
// It reads no network, file or clock. Limits: 20 identifiers, 10 names, 10 telephone numbers of a person are
// looked at, 200 candidates are scored.
package patient

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/document/chart"
)

// Limits of one comparison.
const (
	MaxCandidates  = 200
	maxIdentifiers = 20
	maxNames       = 10
	maxTelecoms    = 10
)

// ID names a patient of one organisation: "pt-" and 16 unguessable characters.
type ID string

// State says how sure a clinic is of a patient.
type State string

// The states. A merged patient lives on as the one it was merged into; a withdrawn one was made by mistake.
const (
	Confirmed   State = "confirmed"
	Provisional State = "provisional" // made from a message; not yet compared with the chart
	Merged      State = "merged"
	Withdrawn   State = "withdrawn"
)

// Record is one person the clinic knows.
type Record struct {
	ID      ID            `json:"id"`
	Org     string        `json:"-"`
	State   State         `json:"state"`
	Stated  chart.Patient `json:"stated"` // demographics as last confirmed
	Into    ID            `json:"into,omitempty"`
	Created time.Time     `json:"created"`
}

// Name is the person's name as it is read aloud.
func (r Record) Name() string { return r.Stated.Name.String() }

// Grade is how far a candidate may be believed.
type Grade string

// The grades. Nothing below Possible is a candidate.
const (
	Likely   Grade = "likely"
	Possible Grade = "possible"
)

// Verdict is the outcome of comparing one field.
type Verdict string

// The verdicts of a field.
const (
	Agrees    Verdict = "agrees"
	Close     Verdict = "close"   // a slip of the pen apart, or a short form
	Differs   Verdict = "differs" // both state it and they are not the same
	NotStated Verdict = "not stated"
)

// Reason is what one field says for or against.
type Reason struct {
	Field   string  `json:"field"` // "birth date"
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"` // in words, with both values where they differ
}

// Candidate is a known person that a message may be about.
type Candidate struct {
	Record  Record   `json:"patient"`
	Grade   Grade    `json:"grade"`
	Points  int      `json:"points"`
	Reasons []Reason `json:"reasons"`
}

// Candidates scores the known people against what a message states and returns those worth showing: the best
// first, at most n. Nothing is proposed for someone without a name and without an identifier.
func Candidates(stated chart.Patient, known []Record, n int) []Candidate {
	var out []Candidate
	for _, r := range known[:min(len(known), MaxCandidates)] {
		if c, ok := Score(stated, r); ok {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Candidate) int {
		return cmp.Or(strings.Compare(string(a.Grade), string(b.Grade)), b.Points-a.Points, strings.Compare(string(a.Record.ID), string(b.Record.ID)))
	})
	return out[:min(len(out), n)]
}

// Only is the one candidate that is likely, where there is exactly one: what a rule may speak of as a match.
func Only(cs []Candidate) (Candidate, bool) {
	var found []Candidate
	for _, c := range cs {
		if c.Grade == Likely {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return Candidate{}, false
	}
	return found[0], true
}

// Keys are the exact words under which a person is found again: identifiers, the birth date, name with year of
// birth, and telephone numbers. People who share none of them are not compared.
func Keys(p chart.Patient) []string {
	var keys []string
	for _, id := range p.IDs[:min(len(p.IDs), maxIdentifiers)] {
		if usable(id) {
			keys = append(keys, "i:"+identity(id))
		}
	}
	if p.Birth.Precision >= chart.Day {
		keys = append(keys, "b:"+p.Birth.At.Format(time.DateOnly))
	}
	for _, n := range names(p) {
		if n.family != "" && len(n.given) > 0 {
			keys = append(keys, "n:"+n.family+"|"+n.given[0])
		}
	}
	for _, t := range phones(p) {
		keys = append(keys, "t:"+t)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
