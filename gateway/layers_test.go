package gateway_test

import (
	"os/exec"
	"strings"
	"testing"
)

// floors is the table of the design: a package may import only packages of lower floors, and on its own
// floor only what is listed in beside. The longest matching prefix decides.
var floors = map[string]int{
	"smime/addr": -3, "smime/part": -2, "smime/cms": -1, "smime/cms/": -2, "smime": 0,
	"trust/": 1, "trust": 2, "certs": 1, "certs/": 2, // certs is a value its parts speak of
	"gateway/message": 3, "gateway/clinic/document/": 3, "gateway/clinic/document": 4, "gateway/delivery/notice": 4,
	"gateway/clinic/staff": 4,
	"gateway/config":       5, "gateway/audit": 5, "gateway/auth": 5, "gateway/auth/": 5, "gateway/spool/": 4, "gateway/spool": 5, "gateway/keyring": 5,
	"gateway/delivery/route": 5, "gateway/delivery/track": 5, "gateway/delivery/queue": 6, "gateway/clinic/inbox": 6,
	"gateway/clinic/patient": 5, "gateway/clinic/template": 5, "gateway/clinic/scan": 5, "gateway/clinic/compose": 5, "gateway/clinic/": 6, "gateway/agent": 6, "gateway/rehearsal": 6,
	"gateway/edge/crowd": 6, "gateway/edge/": 7, "gateway/edge/web/": 8, "gateway/delivery/relay": 7, "gateway/store/": 6, "gateway/store": 7,
	"gateway/pipeline": 8, "gateway/backup": 8, "gateway": 9, "gateway/lab/port": 3, "gateway/lab/": 10, "gateway/lab": 10, "gateway/selftest": 11, "gateway/demo/": 10, "gateway/demo": 11,
	"gateway/bench": 11, "cmd/postern": 12,
}

// beside lists the imports within one floor that are meant.
var beside = map[string]bool{
	"certs/discover certs/dnscert": true, "certs/discover certs/dnsclient": true, "certs/discover certs/ldapcert": true,
	"certs/dnscert certs/dnsclient": true, "certs/ldapcert certs/dnsclient": true, "certs/ldapcert certs/ldapwire": true,
	"certs/zone certs/dnscert": true, "gateway/lab/daemon gateway/lab/peer": true,
	"certs/survey certs/dnscert": true, "certs/survey certs/dnsclient": true, "certs/survey certs/ldapcert": true,
	"gateway/lab/postfix gateway/lab/peer": true, "gateway/lab/postgres gateway/lab/peer": true,
	"trust/revoke trust/chain": true, "trust/revoke trust/fetch": true, "trust/bundle trust/chain": true, "trust/bundle trust/fetch": true,
	"trust/policy trust/chain":              true,
	"gateway/spool/keys gateway/spool/seal": true, "gateway/clinic/rule gateway/clinic/work": true,
	"gateway/clinic/letter gateway/clinic/work": true, "gateway/clinic/reading gateway/clinic/inbox": true,
	"gateway/clinic/custody gateway/clinic/inbox": true, "gateway/clinic/custody gateway/clinic/letter": true,
}

// never lists what may not meet whatever the floors: finding and believing a certificate are different questions.
var never = [][2]string{{"trust", "certs"}, {"certs", "trust"}}

func TestArrowsPointDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "postern/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	checked := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(fields[0], "postern/")
		for _, imp := range fields[1:] {
			to, ours := strings.CutPrefix(imp, "postern/")
			if !ours {
				continue
			}
			checked++
			if why := forbidden(from, to); why != "" {
				t.Errorf("%s imports %s: %s", from, to, why)
			}
		}
	}
	if checked < 50 {
		t.Fatalf("only %d imports were looked at: the test does not see the project", checked)
	}
}

func forbidden(from, to string) string {
	for _, pair := range never {
		if within(from, pair[0]) && within(to, pair[1]) {
			return "they must not know each other"
		}
	}
	a, okA := floor(from)
	b, okB := floor(to)
	switch {
	case !okA:
		return from + " stands on no floor: add it to the table"
	case !okB:
		return to + " stands on no floor: add it to the table"
	case a > b, a == b && (beside[from+" "+to] || tree(from) == tree(to) && strings.HasPrefix(from, "gateway/clinic/document/")):
		return ""
	}
	return "the arrow does not point down"
}

func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// tree is the first four names of a path: the parts of one package's own tree.
func tree(p string) string {
	parts := strings.Split(p, "/")
	return strings.Join(parts[:min(len(parts), 3)], "/")
}

func floor(p string) (int, bool) {
	best, at, ok := "", 0, false
	for prefix, f := range floors {
		match := p == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(p, prefix)
		if match && len(prefix) > len(best) {
			best, at, ok = prefix, f, true
		}
	}
	return at, ok
}

// TestArrowsCanFail holds the table against arrows that must be refused.
func TestArrowsCanFail(t *testing.T) {
	for _, c := range [][2]string{{"smime", "trust"}, {"trust/chain", "certs"}, {"certs", "trust"}, {"gateway/store", "gateway/pipeline"},
		{"gateway/message", "gateway/spool"}, {"gateway/new/thing", "smime"}, {"gateway/edge/smtpd", "gateway/store"}} {
		if forbidden(c[0], c[1]) == "" {
			t.Errorf("%s may import %s, and must not", c[0], c[1])
		}
	}
}
