package ccda

import "testing"

// A denial is taken for one only when it says nothing else.
func TestDeniesIsPlain(t *testing.T) {
	for s, want := range map[string]bool{
		"No known allergies": true, "NKDA": true, "No known drug allergies.": true, "None": true, "Denies tobacco use": true,
		"No known allergies except penicillin (anaphylaxis)": false,
		"Denies stopping warfarin; takes 5 mg daily":         false,
		"None of the vaccines were refused; MMR given":       false,
		"No known drug allergies, but reacts to latex":       false,
		"No allergy to penicillin. Allergic to sulfa.":       false,
		"Penicillin": false, "": false,
	} {
		if got := denies(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
