package fhir

import (
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// stands gathers how a resource stands out of its several statuses; the worst counts, all are said.
type stands struct {
	standing chart.Standing
	said     []string
}

func (st *stands) words() string { return strings.Join(st.said, ", ") }

func (st *stands) worse(s chart.Standing, words string) {
	rank := []chart.Standing{chart.Holds, chart.Unsettled, chart.Over, chart.Denied, chart.Withdrawn}
	if slices.Index(rank, s) > slices.Index(rank, st.standing) {
		st.standing = s
	}
	if words != "" && !slices.Contains(st.said, words) && len(st.said) < 6 {
		st.said = append(st.said, words)
	}
}

// standing reads every element of a resource that changes whether it is so (FHIR R4 2.6.5.1, modifier
// elements; DSTU2 and STU3 have some under other names).
func standing(e element) stands {
	var st stands
	kind := e.kind()
	for _, name := range []string{"verificationStatus", "clinicalStatus", "status", "lifecycleStatus", "docStatus"} {
		for _, code := range codes(at(e, name)) {
			s, words := ofStatus(kind, code)
			st.worse(s, words)
		}
	}
	for _, flag := range []struct{ name, words string }{
		{"doNotPerform", "not to be done"}, {"notDone", "not done"}, {"notPerformed", "not done"}, {"notGiven", "not given"}, {"wasNotGiven", "not given"}, {"wasNotTaken", "not taken"},
		{"prohibited", "not to be done"},
	} {
		if str(e, flag.name) == "true" {
			st.worse(chart.Denied, flag.words)
		}
	}
	switch str(e, "taken") { // STU3 MedicationStatement
	case "n":
		st.worse(chart.Denied, "not taken")
	case "unk":
		st.worse(chart.Unsettled, "not known to be taken")
	}
	for _, code := range codes(at(e, "adherence", "code")) { // R5
		if strings.HasPrefix(code, "not-taking") || code == "stopped" || strings.HasPrefix(code, "stopped-") {
			st.worse(chart.Denied, strings.ReplaceAll(code, "-", " "))
		} else if code != "taking" && code != "taking-as-directed" {
			st.worse(chart.Unsettled, strings.ReplaceAll(code, "-", " "))
		}
	}
	switch intent := str(e, "intent"); intent {
	case "proposal", "plan", "option":
		if kind != "CarePlan" && kind != "Task" {
			st.worse(chart.Unsettled, intent)
		}
	}
	for name, words := range map[string]string{"abatementDateTime": "ended", "abatementString": "ended", "abatementAge": "ended", "abatementPeriod": "ended", "abatementRange": "ended"} {
		if at(e, name) != nil {
			st.worse(chart.Over, words)
		}
	}
	if str(e, "abatementBoolean") == "true" {
		st.worse(chart.Over, "ended")
	}
	if len(e.get("modifierExtension")) > 0 {
		st.worse(chart.Unsettled, "with a modifier this page cannot show")
	}
	return st
}

// codes are the codes of a status: a plain code (DSTU2, STU3) or every coding of a concept (R4).
func codes(e element) []string {
	if e == nil {
		return nil
	}
	if v := strings.TrimSpace(e.text()); v != "" {
		return []string{v}
	}
	var out []string
	for i, c := range e.get("coding") {
		if v := str(c, "code"); v != "" && i < 5 {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		if v := str(e, "text"); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// ofStatus is how a status code stands; words is "" where it goes without saying. A code that is not
// known leaves the line unsettled: it is never taken to mean that all is well.
func ofStatus(kind, code string) (s chart.Standing, words string) {
	words = strings.ReplaceAll(strings.ToLower(code), "-", " ")
	switch strings.ToLower(code) {
	case "entered-in-error":
		return chart.Withdrawn, words
	case "refuted", "not-done", "not-taken", "declined":
		return chart.Denied, words
	case "cancelled", "stopped", "revoked", "rejected", "failed", "resolved", "inactive", "ended", "superseded", "remission", "abandoned", "noshow", "discontinued":
		return chart.Over, words
	case "completed":
		switch kind {
		case "MedicationRequest", "MedicationStatement", "MedicationUsage", "MedicationOrder", "Goal", "CarePlan":
			return chart.Over, words
		case "ServiceRequest", "ReferralRequest", "ProcedureRequest", "Task":
			return chart.Holds, words
		}
		return chart.Holds, ""
	case "active", "final", "confirmed", "recorded", "current", "finished", "fulfilled", "accepted", "booked", "arrived", "ready", "available":
		if kind == "Appointment" {
			return chart.Holds, words
		}
		return chart.Holds, ""
	case "amended", "corrected", "appended", "recurrence", "relapse", "in-progress":
		return chart.Holds, words
	}
	if words == "unknown" {
		words = "status unknown"
	}
	return chart.Unsettled, words
}
