package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// readActsOf reads procedures, encounters, plans and referrals: whatever act stands in the entry.
func readActsOf(d *Document, act node) []Item {
	if act.Name() == "substanceAdministration" {
		return readMedicines(d, act)
	}
	if act.Name() == "organizer" {
		var out []Item
		for c := range act.Elements("component") {
			for inner := range c.Elements("") {
				if inner.Name() != "organizer" && len(out) < maxInner {
					out = append(out, readActsOf(d, inner)...)
				}
			}
		}
		return out
	}
	if act.Name() == "supply" && !act.Child("code").OK() {
		return nil
	}
	var it Item
	d.named(&it, act.Child("code"), act)
	if v := act.Child("value"); v.OK() && act.Name() == "observation" {
		it.Value = d.valueOf(v)
		if it.Value == it.Name {
			it.Value = ""
		}
	}
	it.Start, it.End = readInterval(act.Child("effectiveTime"))
	it.Status = act.Child("statusCode").Attr("code")
	it.stand(act)
	detail := []string{it.Detail, sites(act)}
	if p := readCode(act.Child("priorityCode")).Words(); p != "" {
		detail = append(detail, "priority "+strings.ToLower(p))
	}
	if who := performer(act); who != "" {
		detail = append(detail, who)
	}
	it.Detail = joined(" · ", append(detail, d.comments(act))...)
	if it.Name == "" && it.Value == "" && it.Code.Code == "" && it.Narrative == "" && it.Start.Precision == chart.Unknown {
		return nil
	}
	return []Item{it}
}

func performer(act node) string {
	if p := act.Child("performer", "assignedEntity"); p.OK() {
		return readPerson(p).String()
	}
	for p := range act.Elements("participant") {
		if r := p.Child("participantRole"); p.Attr("typeCode") == "LOC" && r.OK() {
			return squeeze(r.Child("playingEntity", "name").Text(maxWords))
		}
	}
	return ""
}
