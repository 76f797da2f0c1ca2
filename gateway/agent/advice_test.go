package agent_test

import (
	"testing"

	"postern/gateway/agent"
	"postern/smime"
	"postern/trust"
)

// TestEveryReasonHasAdvice: nobody is ever told a reason without what it means, what to do and who must.
func TestEveryReasonHasAdvice(t *testing.T) {
	reasons := agent.Reasons()
	for _, r := range trust.Reasons() {
		reasons = append(reasons, string(r))
	}
	for _, r := range smime.Reasons() {
		reasons = append(reasons, string(r))
	}
	if len(reasons) < 40 {
		t.Fatalf("only %d reasons", len(reasons))
	}
	for _, r := range reasons {
		a := agent.AdviceOn(r)
		if len(a.Explain) < 20 || len(a.Remedy) < 10 || a.Who == "" {
			t.Errorf("%s: %+v", r, a)
		}
	}
	if a := agent.AdviceOn("no such reason"); a.Remedy != "" {
		t.Errorf("an unknown reason got a remedy: %+v", a)
	}
}
