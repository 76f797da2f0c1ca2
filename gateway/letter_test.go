package gateway_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/agent"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// everyReason is every reason a verdict may carry, wherever it comes from.
func everyReason() []string {
	out := agent.Reasons()
	for _, r := range trust.Reasons() {
		out = append(out, string(r))
	}
	for _, r := range smime.Reasons() {
		out = append(out, string(r))
	}
	return out
}

// Every reason has a meaning of its own, a remedy, somebody who must act, and a letter to him that says all of it.
func TestEveryReasonHasALetterThatSaysSomething(t *testing.T) {
	seen := map[string]string{}
	reasons := everyReason()
	if len(reasons) < 60 {
		t.Fatalf("only %d reasons", len(reasons))
	}
	for _, reason := range reasons {
		a := agent.AdviceOn(reason)
		if first, twice := seen[a.Explain]; twice && first != reason {
			t.Errorf("%s and %s mean the same: %q", first, reason, a.Explain)
		}
		seen[a.Explain] = reason
		for _, inbound := range []bool{true, false} {
			c := gateway.Case{Ours: addr.MustParse("jo@clinic.example"), Theirs: addr.MustParse("dr@hospital.example"), Inbound: inbound, Reason: reason,
				Detail: "The very detail.", MessageID: "1@hospital.example", At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
			l := c.Letter()
			for _, want := range []string{a.Explain, a.Remedy, "The very detail.", "1 May 2026", "<1@hospital.example>", "hospital.example", "clinic.example"} {
				if !strings.Contains(l.Text, want) {
					t.Errorf("%s: the letter does not say %q:\n%s", reason, want, l.Text)
				}
			}
			if strings.Contains(l.Text, "%!") || !strings.Contains(l.Subject, reason) || l.For == "" {
				t.Errorf("%s: %+v", reason, l)
			}
			want := map[string]string{string(trust.Peer): "postmaster@hospital.example", string(trust.Administrator): "postmaster@clinic.example",
				string(trust.You): "jo@clinic.example", string(trust.Nobody): "postmaster@clinic.example"}[a.Who]
			if l.To != want || want == "" {
				t.Errorf("%s: %q must act, and the letter is to %q", reason, a.Who, l.To)
			}
			var mail bytes.Buffer
			if err := c.Write(&mail, c.At); err != nil {
				t.Errorf("%s: %v", reason, err)
			}
		}
	}
}
