package selftest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestEveryScenarioPasses(t *testing.T) {
	r, err := Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, o := range r.Outcomes {
		t.Logf("%-4s %-5v %s: %s", o.ID, o.Pass, o.Title, o.Got)
		if !o.Pass {
			t.Errorf("%s: expected %s, got %s\n%s", o.ID, o.Expected, o.Got, strings.Join(o.Evidence, "\n"))
		}
		if o.ID != "P5" && len(o.Evidence) == 0 {
			t.Errorf("%s has no evidence", o.ID)
		}
		count[o.ID[:1]]++
	}
	if want := "map[D:18 H:4 P:5 R:48]"; fmt.Sprint(count) != want || !r.OK() {
		t.Errorf("%v scenarios, want %s; %d passed", count, want, r.Passed)
	}
	t.Logf("%d scenarios in %v", len(r.Outcomes), r.Took)
}

// A judge whose decisions are of another instant approves nothing: the proof itself is asked again at
// the moment of sealing, and of filing.
func TestOldProofsSealNothing(t *testing.T) {
	r, err := run(t.Context(), quickly(t, without{instant: true}))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Outcomes {
		if (o.ID[0] == 'D' && strings.HasPrefix(o.Expected, "encrypted") || o.ID[0] == 'R' && strings.HasPrefix(o.Expected, delivered)) && o.Pass {
			t.Errorf("%s: %s", o.ID, o.Got)
		}
	}
}

// switches is each check that can be switched off, with the scenarios that then fail: those and no others.
func switches() []struct {
	name string
	off  without
	fail string
} {
	return []struct {
		name string
		off  without
		fail string
	}{
		{"a certificate that is found but bad ends the search", without{stop: true}, "D5 D6 D7 D8"},
		{"DNS over TCP", without{tcp: true}, "D14 D17"},
		{"dates", without{dates: true}, "D2 D4 D5 D6 D7 D8 D9 P5 R10 R11 R13 R16 R24"},
		{"revocation", without{revocation: true}, "D17 P5 R15 R30 R31 R32 R33 R34 R35 R36 R37 R38 R51 R53 R54 R55 R56 R57 R58"},
		{"missing issuers are fetched", without{aia: true}, "D18 R21"},
		{"order of directories", without{srvOrder: true}, "D15 D16 P5"},
		{"every directory is asked", without{nextServer: true}, "D10"},
		{"anchors", without{anchors: true}, "P2 P5 R14 R20 R25 R26"},
		{"directories", without{ldap: true}, "D10 D3 D4 D7 D8 D12 D15 D16"},
		{"what is published", without{publish: true}, "H1 H2 H3 H4"},
		{"binding to the sender", without{binding: true}, "P1 R3 R4 R5 R15 R16"},
		{"direction of anchors", without{direction: true}, "R22 R23"},
		{"each domain its own anchors", without{domains: true}, "R14 R20 R26"},
		{"a removed anchor is refused at once", without{removal: true}, "R28"},
		{"strict domains do not let pass", without{hardFail: true}, "R32 R34 R36 R53 R55 R57"},
		{"freshness of lists and answers", without{freshness: true}, "R32 R33 R57 R58"},
		{"who signs a list or an answer", without{listSigner: true}, "R34 R35 R53 R54"},
		{"key usage of signers", without{usage: true}, "P3 R12"},
		{"any good signer suffices", without{oneSigner: true}, "R13 R14 R15 R16"},
		{"the message is what was signed, by a certificate in it, for us", without{tamper: true}, "R40 R41 R42 R43"},
		{"envelope and header agree", without{envelope: true}, "R44 R45"},
	}
}

// clinicFolder is a site made once: making keys is most of the work.
var clinicFolder string

// quickly is the switch with small keys and a site that is there already.
func quickly(t *testing.T, w without) without {
	t.Helper()
	if clinicFolder == "" {
		dir, err := os.MkdirTemp("", "postern-clinic")
		if err == nil {
			clinicFolder = dir
			err = initClinic(t.Context(), dir, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.quick, w.clinic = true, clinicFolder
	return w
}

// Each check switched off makes exactly the scenarios fail that need it.
func TestScenariosCanFail(t *testing.T) {
	for _, tc := range switches() {
		off := quickly(t, tc.off)
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, err := run(t.Context(), off)
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

// TestScenarioTable writes the table of scenarios for people, from a run.
func TestScenarioTable(t *testing.T) {
	r, err := run(t.Context(), quickly(t, without{}))
	if err != nil {
		t.Fatal(err)
	}
	needs := map[string][]string{}
	for _, tc := range switches() {
		for _, id := range strings.Fields(tc.fail) {
			needs[id] = append(needs[id], tc.name)
		}
	}
	var b strings.Builder
	b.WriteString("# Conformance scenarios\n\nWritten by `POSTERN_UPDATE=1 go test -run TestScenarioTable ./gateway/selftest` and checked by every other run of that test.\n" +
		"`postern selftest` plays all of them on loopback; each line passed in the run that wrote it. \"Fails without\" is the check that\n" +
		"`TestScenariosCanFail` switches off: exactly the scenarios that name it then fail. P and R are scenarios of our own; R are letters\n" +
		"over SMTP to a complete gateway.\n")
	section := ""
	for _, o := range r.Outcomes {
		if !o.Pass {
			t.Errorf("%s: %s", o.ID, o.Got)
		}
		if name := sections[o.ID[:1]]; name != section {
			section = name
			fmt.Fprintf(&b, "\n## %s\n\n| | scenario | expected | fails without |\n|---|---|---|---|\n", name)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.ID, sizes.ReplaceAllString(o.Title, "answer too large for UDP"), fingerprints.ReplaceAllString(o.Expected, "the target"), strings.Join(needs[o.ID], "; "))
	}
	file := filepath.Join("..", "..", "cmd", "postern", "docs", "conformance.md")
	have, err := os.ReadFile(file)
	if err == nil && string(have) == b.String() {
		return
	}
	if os.Getenv("POSTERN_UPDATE") != "1" {
		t.Fatalf("cmd/postern/docs/conformance.md differs from this run (%v); POSTERN_UPDATE=1 rewrites it:\n%s", err, b.String())
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	sections     = map[string]string{"D": "Discovery", "H": "Hosting", "P": "Discovery, our own", "R": "Receiving and trust"}
	sizes        = regexp.MustCompile(`answer of \d+ octets`)
	fingerprints = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
)
