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
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok1 := strings.Cut(string(text), "<!-- hands-on -->\n```sh\n")
	script, _, ok2 := strings.Cut(rest, "```\n<!-- /hands-on -->")
	if !ok1 || !ok2 {
		t.Fatal("README.md has no hands-on block")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// Job control (-m) is what %1 and %2 need; an error in any line ends the script.
	cmd := exec.CommandContext(ctx, "bash", "-m", "-euo", "pipefail", "-c", script)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"processed", "dispatched", "direct.clinic.example: delivered", "referral.html", "found", "would be sent now", "would be believed"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output does not say %q:\n%s", want, out)
		}
	}
}
