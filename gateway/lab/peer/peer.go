// Package peer finds the independent programs that tests talk to: OpenSSL, BIND, Postfix and others.
// A missing program skips the test with a word, or fails it when $POSTERN_REQUIRE is 1 (as in CI).
package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Need is the path of the named program, looked for in $PATH and in the system folders a normal
// user's path lacks, or a skip (a failure when required).
func Need(t testing.TB, program string) string {
	t.Helper()
	if p, err := exec.LookPath(program); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/lib/postfix/sbin"} {
		p := filepath.Join(dir, program)
		if st, err := os.Stat(p); err == nil && st.Mode()&0o111 != 0 {
			return p
		}
	}
	Missing(t, "program "+program+" is not installed")
	return ""
}

// Missing skips the test, saying why, or fails it when peers are required.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("POSTERN_REQUIRE") == "1" {
		t.Fatal("required peer missing: " + why)
	}
	t.Skip("peer missing: " + why)
}
