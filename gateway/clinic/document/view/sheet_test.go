package view_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/view"
)

func sheet(t *testing.T, s view.Sheet) string {
	t.Helper()
	var w bytes.Buffer
	if err := view.Write(&w, "t", "en", s.Body); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

// A reader never meets the name of what does not hold before the word that says so; what is over or taken
// back lies folded, and open where nothing else is there.
func TestLinesShowHowTheyStand(t *testing.T) {
	line := func(name string, s chart.Standing, status string) chart.Line {
		return chart.Line{Group: "G", Name: name, Standing: s, Status: status}
	}
	out := sheet(t, view.Sheet{Lines: []chart.Line{line("void", chart.Withdrawn, "entered in error"), line("over", chart.Over, ""), line("holds", chart.Holds, ""), line("denied", chart.Denied, "refuted"), line("open", chart.Unsettled, "preliminary")}})
	words := strings.Join(strings.Fields(regexp.MustCompile(`(?s)^.*<main[^>]*>|<footer.*$|<[^>]*>`).ReplaceAllString(out, " ")), " ")
	if want := "G holds refuted: denied preliminary: open 1 no longer current over: over 1 taken back by the sender, not to be relied on entered in error: void"; !strings.Contains(words, want) {
		t.Errorf("%q, want %q", words, want)
	}
	if !strings.Contains(out, "<del>void</del>") || strings.Contains(out, "<del>holds") || strings.Contains(out, `open="open"`) {
		t.Error(out)
	}
	out = sheet(t, view.Sheet{Lines: []chart.Line{line("over", chart.Over, "stopped")}})
	if !strings.Contains(out, "None listed as current.") || !strings.Contains(out, `open="open"`) {
		t.Error(out)
	}
}

// What may mislead stands before the lines, what is only odd behind them.
func TestProblemsStandBeforeTheLines(t *testing.T) {
	for sev, first := range map[chart.Severity]bool{chart.Problem: true, chart.Warning: false} {
		out := sheet(t, view.Sheet{Lines: []chart.Line{{Group: "G", Name: "a line"}}, Findings: []chart.Finding{{Severity: sev, Rule: "r", Text: "the finding"}}})
		if got := strings.Index(out, "the finding") < strings.Index(out, "a line"); got != first || strings.Count(out, "the finding") != 1 {
			t.Errorf("%s: first %v", sev, got)
		}
	}
}

// A social security number stays folded away in every kind of document.
func TestSocialSecurityNumbersStayFolded(t *testing.T) {
	for name, id := range map[string]chart.ID{
		"FHIR":   {Root: "http://hl7.org/fhir/sid/us-ssn", Extension: "111-22-3333"},
		"HL7 v2": {Authority: "X", Type: "SS", Extension: "111-22-3333"},
	} {
		out := sheet(t, view.Sheet{Kind: "x", Patient: &chart.Patient{IDs: []chart.ID{id}}})
		if strings.Contains(out, "111-22-3333") || !strings.Contains(out, "social security number ending 3333") {
			t.Errorf("%s: %s", name, out)
		}
	}
	if out := sheet(t, view.Sheet{Kind: "x", Patient: &chart.Patient{IDs: []chart.ID{{Extension: "7", Type: "MR"}, {Extension: "111-22-3333", Type: "SS"}}}}); strings.Contains(out, "3333") || !strings.Contains(out, ">7<") && !strings.Contains(out, "</span>7") {
		t.Errorf("beside a record number: %s", out)
	}
}
