package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReadmeHandsOn runs the commands of the README's page by hand, exactly as they stand there.
func TestReadmeHandsOn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs two gateways")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	out := runPage(t, root, "README.md", "hands-on")
	for _, want := range []string{"processed", "dispatched", "direct.clinic.example: delivered", "referral.html", "found", "would be sent now", "would be believed"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q:\n%s", want, out)
		}
	}
}

// TestTrustYear runs the trust administrator's year, exactly as its page has it.
func TestTrustYear(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs two gateways")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	out := runPage(t, root, "cmd/postern/docs/trust.md", "trust-year")
	for _, want := range []string{"none of them comes out differently by this change", "No domain believes them yet", "a newer version waits", "1 removed", "community: applied",
		"would be refused\n", "rule revocable", "signs from", "--force signs with the new one now", "decrypts until", "1 message from direct.hospital.example",
		"untrusted", "add that community's anchor", "letter.eml: to postmaster@direct.clinic.example", "It would let 1 held message in", "1 held message released", "accepted as things stand, would be refused",
		"anchor.remove", "trust.undo"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q:\n%s", want, out)
		}
	}
}

// runPage runs the commands of a page between its marks and returns what they printed.
func runPage(t *testing.T, root, page, mark string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok1 := strings.Cut(string(text), "<!-- "+mark+" -->\n```sh\n")
	script, _, ok2 := strings.Cut(rest, "```\n<!-- /"+mark+" -->")
	if !ok1 || !ok2 {
		t.Fatalf("%s has no block %s", page, mark)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	// Job control (-m) is what %1 and %2 need; an error in any line ends the script.
	// What a failing script leaves running is ended with it, and does not keep the test waiting for its output.
	cmd := exec.CommandContext(ctx, "bash", "-m", "-euo", "pipefail", "-c", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"+script)
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
