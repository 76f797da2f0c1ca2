package ccda

import (
	"fmt"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// Item is one line a clinician decides on: a problem, an allergy, a medicine, a result.
type Item struct {
	Kind      Kind       `json:"kind"`
	Section   string     `json:"section"`               // anchor of the section it came from
	Name      string     `json:"name"`                  // what it is, in words
	Code      chart.Code `json:"code,omitzero"`         //
	Group     string     `json:"group,omitempty"`       // the panel of a result
	Status    string     `json:"status,omitempty"`      // active, completed, resolved … as stated
	Detail    string     `json:"detail,omitempty"`      // dose, reaction, range, performer
	Dose      string     `json:"dose,omitempty"`        // of a medicine; also in Detail, like the next two
	Route     string     `json:"route,omitempty"`       //
	Frequency string     `json:"frequency,omitempty"`   //
	Value     string     `json:"value,omitempty"`       // a result's value with its unit
	Site      string     `json:"site,omitempty"`        // where and how a result was measured; also in Detail
	Flag      string     `json:"flag,omitempty"`        // "high", "abnormal" … as the sender interpreted a result
	Start     chart.Time `json:"start,omitzero"`        //
	End       chart.Time `json:"end,omitzero"`          //
	Running   bool       `json:"running,omitempty"`     // its end lies after the date of the document
	Ended     bool       `json:"ended,omitempty"`       // its end lies before the date of the document
	Later     bool       `json:"later,omitempty"`       // its start lies after the date of the document
	Negated   bool       `json:"negated,omitempty"`     // the sender states that this is not so, or none is known
	Null      string     `json:"null,omitempty"`        // null flavour of the whole statement: the sender does not say that it is so
	Mood      string     `json:"mood,omitempty"`        // "planned", "requested" …: it is not stated to have happened
	Class     string     `json:"class,omitempty"`       // of an allergy: "drug" or "food", as its kind is coded
	Subject   string     `json:"subject,omitempty"`     // whom it is about, when that is not the patient: "father", "newborn"
	Source    Source     `json:"source"`                //
	Anchor    string     `json:"anchor,omitempty"`      // ID of the narrative it refers to
	Narrative string     `json:"narrative,omitempty"`   // that narrative's text
	Conflict  string     `json:"conflict,omitempty"`    // where entry and narrative disagree, in words
	Grave     bool       `json:"contradicts,omitempty"` // they disagree on whether it is so, on a dose, a value, a side or a year

	byEnd bool // its status was concluded from its end alone
	act   node // what it was read from, until it is compared: a summary must not keep the tree alive
}

// Source is where an item was read.
type Source string

// The sources of an item.
const (
	FromEntry     Source = "entry"     // a coded entry
	FromNarrative Source = "narrative" // a row or list line of the text, because there are no entries
	FromLine      Source = "line"      // a line of a message or resource that is no CDA
)

// MaxItems is how many items are taken out of one document.
const MaxItems = 20000

// maxRows is how many lines of a narrative become items where there are no entries.
const maxRows = 200

// Over says whether the item is no longer so, by its own status or end. A problem or allergy is not over
// because the record of it is "completed": only its own status or an end date says so. What ends after
// the document was written (a course of ten days) is not over in it. A medicine whose time had ended is
// over though it is called active; Conflict says so.
func (i Item) Over() bool {
	switch i.Status {
	case "completed":
		if i.Running {
			return false
		}
		switch i.Kind {
		case Results, Vitals:
			return false // a result that is there is complete, and holds
		case Problems, PastHistory, Allergies, DischargeDx, AdmissionDx, Concerns:
			return i.End.Precision > chart.Unknown
		}
		return true
	case "resolved", "inactive", "aborted", "cancelled", "stopped", "discontinued", "nullified", "obsolete", "expired", "ended":
		return true
	case "active":
		return i.outlived()
	}
	if i.Kind != Results && i.Kind != Vitals && overStatus(i.Status) != "" { // in the sender's words: "discontinued by patient"
		return true
	}
	return !i.Running && i.Kind != Results && i.Kind != Vitals && i.Kind != Procedures && i.End.Precision > chart.Unknown
}

// outlived says whether a medicine called active had ended before the document was written. QUIRK: an
// end that is the start is the instant of recording (OpenVista).
func (i Item) outlived() bool {
	return i.Ended && i.Start.Raw != i.End.Raw && (i.Kind == Medications || i.Kind == DischargeRx || i.Kind == AdmissionRx)
}

// Current says whether the item is a statement that something is so now, of the patient.
func (i Item) Current() bool { return !i.Over() && !i.Negated && i.Null == "" && i.Subject == "" }

// Items are the items of all sections in document order, at most MaxItems.
func (d *Document) Items() []Item { return d.items }

// SectionItems are the items of one section: from its entries, or, where it has none of a kind that
// is decided on, from the lines of its narrative.
func (d *Document) SectionItems(s *Section) []Item { return d.items[s.from:s.to] }

// readItems fills the items of all sections.
func (d *Document) readItems() {
	for _, s := range d.Sections {
		s.from = len(d.items)
		d.items = append(d.items, d.itemsOf(s)...)
		if len(d.items) > MaxItems {
			d.items = d.items[:MaxItems]
			d.Repairs = append(d.Repairs, fmt.Sprintf("only the first %d coded lines are listed", MaxItems))
			s.to = MaxItems
			return
		}
		s.to = len(d.items)
	}
}

func (d *Document) itemsOf(s *Section) []Item {
	read := readers(s.Kind)
	if read == nil {
		return nil
	}
	var out []Item
	for e := range s.Node.Elements("entry") {
		for act := range e.Elements("") {
			for _, it := range read(d, act) {
				if len(out) >= MaxItems {
					return out
				}
				it.Kind, it.Section, it.Source = s.Kind, s.Anchor, FromEntry
				if it.hollow() {
					continue
				}
				d.settle(s, &it)
				out = append(out, it)
			}
		}
	}
	if len(out) == 0 || shells(s, out) {
		return d.narrativeItems(s)
	}
	return append(out, d.uncoded(s, out)...)
}

// settle fills in what only the section and the document can say of an item.
func (d *Document) settle(s *Section, it *Item) {
	if it.Subject == "" {
		it.Subject = s.Subject
	}
	if it.Name == "" {
		it.Name = nameless(*it)
	}
	switch it.Kind {
	case Problems, Allergies, Medications, Immunization:
		it.Negated = it.Negated || denies(it.Name) // its own name is the denial
	}
	switch it.Kind {
	case Plan, AssessPlan, Goals, Intervention, Instructions, Reason:
		it.Mood = "" // what has not happened yet is what these are for
	case Medications, DischargeRx, AdmissionRx:
		if it.Mood == "planned" {
			it.Mood = "" // C-CDA's own mood for a medicine that the patient is to take
		}
	}
	if d.Time.Precision >= chart.Day {
		it.Running = it.End.Precision > chart.Unknown && it.End.Last().After(d.Time.At)
		it.Ended = it.End.Precision > chart.Unknown && !it.Running
		it.Later = it.Start.Precision >= chart.Day && it.Start.At.After(d.Time.At.AddDate(0, 0, 1))
	}
	if it.byEnd && it.Running && it.Status == "resolved" {
		it.Status = "" // its end is still to come
	}
	if it.Status == "active" && it.Ended && it.Start.Raw != it.End.Raw {
		switch it.Kind {
		case Medications, DischargeRx, AdmissionRx, Problems, DischargeDx, Allergies:
			it.differs(false, "its status is active, its time ended "+it.End.Date())
		}
	}
	d.compare(it)
	d.markLoose(it)
	it.act = node{}
}

// hollow says whether an entry states nothing but null flavours, or nothing at all. QUIRK: Amrita and
// Practice Fusion write such an entry where the text says "No Information"; the text is then what is shown.
func (i Item) hollow() bool {
	return i.Name == "" && i.Code.Zero() && i.Narrative == "" && i.Value == "" && (i.Code.Null != "" || i.Detail == "") && i.Null == "" && !i.Negated && i.Start.Precision == chart.Unknown
}

func nameless(it Item) string {
	switch {
	case it.Narrative != "":
		return clip(it.Narrative, 160)
	case it.Code.Code != "":
		return chart.Code{Code: it.Code.Code}.Plainly()
	case it.Code.Null != "" && it.Code.Null != "NI":
		return "not named: " + chart.NullWords(it.Code.Null)
	}
	return "not named"
}

// General says whether the item's code names no one thing: "Substance", "Drug or medicament", "unknown". Two items
// of one such code may be about different things.
func (i Item) General() bool {
	switch i.Code.Code {
	case "55607006", "105590001", "410942007", "373873005", "OTH", "UNK", "NI", "NA":
		return true
	}
	return generic(firstOf(i.Code.Display, i.Code.Code)) || strings.HasSuffix(i.Code.System, "/data-absent-reason") || strings.HasSuffix(i.Code.System, "/v3-NullFlavor")
}

// shells says whether the entries name nothing, tell nothing else either (a reaction, a dose), and the text says in
// full that there is nothing. QUIRK:
// Henry Schein, Medflow and OpenVista write "Problem" or a substance of no name, not denied, where the text
// says "No problems recorded"; the text is then what is shown.
func shells(s *Section, items []Item) bool {
	for _, it := range items {
		if it.Negated || it.Null != "" || it.Subject != "" || it.Value != "" || it.Detail != "" || it.Status == "nullified" || it.Conflict != "" && it.Code.Text != "" {
			return false
		}
		switch it.Code.Code {
		case "", "55607006", "105590001", "410942007", "373873005":
		default:
			return false
		}
		if name, _, _ := strings.Cut(it.Name, ": substance not named"); !generic(name) && name != "not named" && !strings.HasPrefix(name, "not named: ") && !denies(name) {
			return false
		}
	}
	lines := Lines(s, maxRows)
	for _, line := range lines {
		if !denies(line.Name) || !bare(line.others) {
			return false
		}
	}
	return len(lines) > 0 && decided(s.Kind)
}

// reader takes the items out of one entry's act.
type reader func(*Document, node) []Item

func readers(k Kind) reader {
	switch k {
	case Problems, PastHistory, DischargeDx, AdmissionDx, Concerns:
		return readProblems
	case Allergies:
		return readAllergies
	case Medications, DischargeRx, AdmissionRx, GivenRx:
		return readMedicines
	case Immunization:
		return readImmunizations
	case Results, Vitals:
		return readResults
	case Procedures, Encounters, Plan, AssessPlan, Reason, Goals, Intervention, Instructions:
		return readActsOf
	}
	return nil
}
