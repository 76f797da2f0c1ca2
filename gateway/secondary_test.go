package gateway_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/lab/daemon"
	"postern/gateway/lab/peer"
)

// TestASecondaryFollowsTheSite: a secondary named in the configuration copies the zone of a running gateway, is one
// of the domain's name servers, and has a new address's certificate as soon as it is made.
func TestASecondaryFollowsTheSite(t *testing.T) {
	const secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="
	file := filepath.Join(t.TempDir(), "tsig")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := daemon.Port(t)
	w := newWorld(t, fmt.Sprintf("\n[dns.secondary.\"ns2.example.net\"]\nfrom = [\"127.0.0.1\"]\nkey = \"copy.example\"\nsecret_file = %q\nnotify = [\"127.0.0.1:%d\"]\n", file, port))
	copied := daemon.BINDSecondary(t, daemon.Copied{Zone: "clinic.example", Primary: w.clinic.DNS, Key: "copy.example", Secret: secret, Port: port})
	until := func(want string, args ...string) {
		t.Helper()
		host, at, _ := strings.Cut(copied, ":")
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			out, err := exec.Command(peer.Need(t, "dig"), append([]string{"@" + host, "-p", at, "+tcp", "+tries=1"}, args...)...).CombinedOutput()
			if err == nil && strings.Contains(string(out), want) {
				return
			}
			select {
			case <-w.ctx.Done():
				t.Fatalf("%v: no %q in\n%s", args, want, out)
			case <-tick.C:
			}
		}
	}
	until("ns2.example.net.", "clinic.example", "NS")
	until("status: NXDOMAIN", "intake.clinic.example", "CERT")
	if _, err := w.clinic.Admin().CertCreate(w.ctx, certFor(w.intake)); err != nil {
		t.Fatal(err)
	}
	until("ANSWER: 1", "intake.clinic.example", "CERT")
}
