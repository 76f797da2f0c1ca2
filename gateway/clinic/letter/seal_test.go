package letter_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/letter"
)

func TestAConfirmationHoldsForWhatWasShown(t *testing.T) {
	shown := letter.Report{Confirm: []letter.Problem{{Field: "to", About: "a@b.example", Text: "not known now"}}}
	for situation, c := range map[string]struct {
		now  letter.Report
		want bool
	}{
		"the same":              {letter.Report{Confirm: shown.Confirm, Notes: []letter.Problem{{Field: "to"}}}, true},
		"another file joined":   {letter.Report{Confirm: append([]letter.Problem{{Field: "files", Text: "The documents are about different patients"}}, shown.Confirm...)}, false},
		"of another recipient":  {letter.Report{Confirm: []letter.Problem{{Field: "to", About: "c@b.example", Text: "not known now"}}}, false},
		"nothing to be said of": {letter.Report{}, false},
	} {
		if got := c.now.Seal() == shown.Seal(); got != c.want {
			t.Errorf("%s: %v, want %v", situation, got, c.want)
		}
	}
	if (letter.Report{}).Seal() != "" {
		t.Error("what needs no confirmation has a seal")
	}
}

func TestIDsOfForms(t *testing.T) {
	if !letter.NewID().Valid() {
		t.Error("an id of our own is none")
	}
	for situation, id := range map[string]letter.ID{"nothing": "", "a word": "dr-draft", "of another kind": letter.ID("w-" + strings.Repeat("a", 26)),
		"capitals": letter.ID("dr-" + strings.Repeat("A", 26)), "too long": letter.NewID() + "a", "a path": "dr-../../../../../../../../etc"} {
		if id.Valid() {
			t.Errorf("%s: %q is taken for an id", situation, id)
		}
	}
}

func TestWhatIsNotQuotedGoesAlong(t *testing.T) {
	for situation, c := range map[string]struct {
		text string
		want bool
	}{"none": {"", true}, "a letter": {strings.Repeat("line\n", 200), true}, "one line more": {strings.Repeat("line\n", 201), false},
		"long lines": {strings.Repeat("x", letter.MaxText/4+1), false}} {
		if got := letter.Quotable(c.text); got != c.want {
			t.Errorf("%s: %v", situation, got)
			continue
		}
		p := letter.Parent{Text: c.text}
		if d := letter.Begin(dana, letter.Forward, "front", p.At, &p, p.Received); c.want && strings.Contains(d.Text, "[…]") {
			t.Errorf("%s: quoted in part", situation)
		}
	}
}
