package selftest

import (
	"strings"
	"testing"
)

func TestEveryScenarioPasses(t *testing.T) {
	r, err := Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Outcomes {
		t.Logf("%-4s %-5v %s: %s", o.ID, o.Pass, o.Title, o.Got)
		if !o.Pass {
			t.Errorf("%s: expected %s, got %s\n%s", o.ID, o.Expected, o.Got, strings.Join(o.Evidence, "\n"))
		}
		if o.ID != "P5" && len(o.Evidence) == 0 {
			t.Errorf("%s has no evidence", o.ID)
		}
	}
	if len(r.Outcomes) != 18+4+5 || !r.OK() {
		t.Errorf("%d scenarios, %d passed", len(r.Outcomes), r.Passed)
	}
	t.Logf("%d scenarios in %v", len(r.Outcomes), r.Took)
}

// A judge whose decisions are of another instant approves nothing: the proof itself is asked again at
// the moment of sealing.
func TestOldProofsSealNothing(t *testing.T) {
	r, err := run(t.Context(), without{instant: true, quick: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Outcomes {
		if o.ID[0] == 'D' && strings.HasPrefix(o.Expected, "encrypted") && o.Pass {
			t.Errorf("%s: %s", o.ID, o.Got)
		}
	}
}

// Each check switched off makes exactly the scenarios fail that need it.
func TestScenariosCanFail(t *testing.T) {
	for name, tc := range map[string]struct {
		off  without
		fail string
	}{
		"stop rule":         {without{stop: true}, "D5 D6 D7 D8"},
		"TCP":               {without{tcp: true}, "D14 D17"},
		"dates":             {without{dates: true}, "D2 D4 D5 D6 D7 D8 D9 P5"},
		"revocation":        {without{revocation: true}, "D17 P5"},
		"AIA":               {without{aia: true}, "D18"},
		"order of SRV":      {without{srvOrder: true}, "D15 D16 P5"},
		"every directory":   {without{nextServer: true}, "D10"},
		"anchors":           {without{anchors: true}, "P2 P5"},
		"directories":       {without{ldap: true}, "D10 D3 D4 D7 D8 D12 D15 D16"},
		"what is published": {without{publish: true}, "H1 H2 H3 H4"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.off.quick = true
			r, err := run(t.Context(), tc.off)
			if err != nil {
				t.Fatal(err)
			}
			failed := map[string]string{}
			for _, o := range r.Outcomes {
				if !o.Pass {
					failed[o.ID] = o.Got
				}
			}
			for _, id := range strings.Fields(tc.fail) {
				if _, ok := failed[id]; !ok {
					t.Errorf("%s still passes", id)
				}
				delete(failed, id)
			}
			for id, got := range failed {
				t.Errorf("%s fails too: %s", id, got)
			}
		})
	}
}
