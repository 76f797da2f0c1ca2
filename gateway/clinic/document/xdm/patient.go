package xdm

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// Patient is the patient as the metadata describes him: sourcePatientId, sourcePatientInfo and the
// affinity domain's patientId (ITI TF-3, 4.2.3.2). nil when it says nothing of him.
func (d Document) Patient() *chart.Patient {
	p := &chart.Patient{}
	add := func(cx string) {
		parts := strings.Split(cx, "^")
		id := chart.ID{Extension: unescape(parts[0])}
		if len(parts) > 3 {
			if sub := strings.Split(parts[3], "&"); len(sub) > 1 {
				id.Root = sub[1]
			}
		}
		if id.Extension != "" && len(p.IDs) < maxPatientIDs {
			p.IDs = append(p.IDs, id)
		}
	}
	add(d.SourcePatientID)
	add(d.PatientID)
	for _, line := range d.SourcePatient {
		field, value, ok := strings.Cut(line, "|")
		if !ok {
			continue
		}
		switch strings.TrimSpace(field) {
		case "PID-3":
			for cx := range strings.SplitSeq(value, "~") {
				add(cx)
			}
		case "PID-5":
			first, _, _ := strings.Cut(value, "~")
			parts := append(strings.Split(first, "^"), "", "", "")
			family, _, _ := strings.Cut(parts[0], "&")
			p.Name = chart.Name{Family: unescape(family), Given: strings.TrimSpace(unescape(parts[1]) + " " + unescape(parts[2]))}
		case "PID-7":
			p.Birth = chart.ParseTime(value)
			if p.Birth.Precision > chart.Day {
				p.Birth = chart.ParseTime(p.Birth.At.Format("20060102"))
			}
		case "PID-8":
			p.Sex = chart.Code{Code: value}
		}
	}
	if p.Name.Zero() && p.Birth.Zero() && len(p.IDs) == 0 {
		return nil
	}
	return p
}

// maxPatientIDs is how many identifiers of the patient are taken from the metadata.
const maxPatientIDs = 20

// unescape resolves the separators of HL7 v2 in a component.
func unescape(s string) string {
	return strings.NewReplacer(`\T\`, "&", `\S\`, "^", `\R\`, "~", `\F\`, "|", `\E\`, `\`).Replace(strings.TrimSpace(s))
}
