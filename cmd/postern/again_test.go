package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSendAgain: a script that does not know whether its message was taken sends it again with the same key; what it
// asks for is composed anew, with another date, and is the same message. Anything else under that key is refused.
func TestSendAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	file := filepath.Join(dir, "postern.toml")
	do := func(code int, stdin string, args ...string) string {
		t.Helper()
		var out, errs strings.Builder
		if got := run(t.Context(), &console{in: strings.NewReader(stdin), out: &out, err: &errs, env: func(string) string { return "" }}, args); got != code {
			t.Fatalf("postern %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, out.String(), errs.String())
		}
		return out.String() + errs.String()
	}
	do(0, "", "init", dir, "--domain", "direct.hospital.example", "--listen", "127.0.0.1")
	do(0, "", "address", "add", "ward3@direct.hospital.example", "-c", file)
	scan := filepath.Join(dir, "scan.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(scan, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	send := func(code int, stdin string, more ...string) string {
		t.Helper()
		return do(code, stdin, append([]string{"send", "-c", file, "--from", "ward3@direct.hospital.example", "--to", "r@direct.clinic.example", "--subject", "S", "--key", "k-1"}, more...)...)
	}
	first := send(0, "a text", "--attach", scan)
	if again := send(0, "a text", "--attach", scan); again != first {
		t.Errorf("sent again it is %q, not %q", again, first)
	}
	send(1, "another text", "--attach", scan)
	send(1, "a text")
	send(1, "a text", "--attach", scan, "--purpose", "discharge")
	write("other")
	if refused := send(1, "a text", "--attach", scan); !strings.Contains(refused, "was used before, for another message") {
		t.Errorf("another attachment under the same key: %s", refused)
	}
	if cut := do(1, strings.Repeat("x", maxText+1), "send", "-c", file, "--from", "ward3@direct.hospital.example", "--to", "r@direct.clinic.example"); !strings.Contains(cut, "--attach") {
		t.Errorf("a text that is too long: %s", cut)
	}
	if list := do(0, "", "trace", "-c", file); strings.Count(list, "\n") != 1 {
		t.Errorf("messages:\n%s", list)
	}
}
