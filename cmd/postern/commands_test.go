package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// invoke runs one command line and returns its exit code and output.
func invoke(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), &console{in: strings.NewReader(""), out: &o, err: &e, env: func(string) string { return "" }}, args)
	return code, o.String(), e.String()
}

// commandLine is one command and what must come of it.
type commandLine struct {
	args string
	code int
	out  string // in standard output
	err  string // in standard error
}

// invoke runs it and returns all that it said.
func (l commandLine) invoke(t *testing.T) string {
	t.Helper()
	code, out, errOut := invoke(t, strings.Fields(l.args)...)
	if code != l.code || !strings.Contains(out, l.out) || !strings.Contains(errOut, l.err) {
		t.Errorf("postern %s\n exit %d, want %d\n stdout %q must say %q\n stderr %q must say %q", l.args, code, l.code, out, l.out, errOut, l.err)
	}
	return out + errOut
}

// invokeAll runs one command line after the other.
func invokeAll(t *testing.T, lines []commandLine) {
	t.Helper()
	for _, l := range lines {
		l.invoke(t)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	seen := map[string]bool{}
	for _, cmd := range commands() {
		if seen[cmd.name] {
			t.Errorf("two commands are named %q", cmd.name)
		}
		seen[cmd.name] = true
		code, out, _ := invoke(t, append(strings.Fields(cmd.name), "--help")...)
		if code != exitDone {
			t.Errorf("%s --help: exit %d", cmd.name, code)
		}
		for _, want := range []string{"postern " + cmd.name, "example", "exit codes"} {
			if !strings.Contains(strings.ToLower(out), want) {
				t.Errorf("%s --help does not say %q", cmd.name, want)
			}
		}
		if cmd.short == "" || len(cmd.short) > 90 {
			t.Errorf("%s: one line of at most 90 characters for the overview, not %q", cmd.name, cmd.short)
		}
	}
	if len(seen) < 40 {
		t.Fatalf("only %d commands", len(seen))
	}
}

func TestEveryCommandRefusesAnUnknownFlag(t *testing.T) {
	for _, cmd := range commands() {
		if cmd.name == "help" {
			continue
		}
		code, out, errOut := invoke(t, append(strings.Fields(cmd.name), "--no-such-flag")...)
		if code != exitUsage || out != "" || !strings.Contains(errOut, "no-such-flag") || !strings.Contains(errOut, "--help") {
			t.Errorf("%s --no-such-flag: exit %d, stdout %q, stderr %q", cmd.name, code, out, errOut)
		}
	}
}

func TestUsedWrongly(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		situation string
		args      string
		code      int
		says      string
	}{
		{"no command", "", exitUsage, "Commands:"},
		{"unknown command", "sned", exitUsage, `no command "sned"`},
		{"half a command", "trust", exitUsage, "trust anchor add"},
		{"subject of two lines", "send --from a@b.example --to c@d.example --text x --subject two\x00lines", exitUsage, "one line"},
		{"no site anywhere", "domain list", exitRefused, "postern init DIR --domain D"},
		{"configuration not there", "serve -c nowhere.toml", exitRefused, "nowhere.toml"},
		{"init without a domain", "init d", exitUsage, "--domain"},
		{"init with a bad domain", "init d --domain localhost", exitUsage, "not fully qualified"},
		{"send without recipients", "send --from a@b.example", exitUsage, "--to"},
		{"send with an odd purpose", "send --from a@b.example --to c@d.example --purpose gossip", exitUsage, "discharge, referral or records"},
		{"send raw with a text", "send --from a@b.example --to c@d.example --raw --text x", exitUsage, "--raw"},
		{"trace of no id", "trace m-0", exitRefused, "init"},
		{"inbox show without a number", "inbox show front-desk", exitUsage, "number"},
		{"inbox show of item x", "inbox show front-desk x", exitUsage, "not an item's number"},
		{"inbox save without a file", "inbox save front-desk 1", exitUsage, "--out"},
		{"address that is none", "address add nobody", exitUsage, "has no @"},
		{"login for no edge", "address add a@b.example --edge-login x", exitUsage, "--edge HOST:PORT"},
		{"anchor without a domain", "trust anchor add a.pem", exitUsage, "--domain"},
		{"certificate for nothing", "cert create", exitUsage, "--domain or --address"},
		{"certificate for both", "cert create --domain a.example --address x@a.example", exitUsage, "--domain or --address"},
		{"short password", "user add ehr --address a@b.example", exitUsage, "12 characters"},
		{"held id missing", "held show", exitUsage, "held list"},
		{"topic that is none", "help astrology", exitUsage, "topics are"},
	} {
		code, _, errOut := invoke(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(errOut, c.says) {
			t.Errorf("%s (%s): exit %d, want %d; stderr %q must say %q", c.situation, c.args, code, c.code, errOut, c.says)
		}
	}
}

// TestSiteByCommands changes a site that nobody runs, one command after the other.
func TestSiteByCommands(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	csv := "address,inbox\njo@direct.clinic.example,front-desk\nlab@direct.clinic.example,lab\n"
	write(t, "good.csv", csv)
	write(t, "bad.csv", csv+"no-address,x\n")
	write(t, "columns.csv", "mailbox\njo@direct.clinic.example\n")
	write(t, "pw", "a long enough password\n")
	write(t, "junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	const c = " -c site/postern.toml"
	invokeAll(t, []commandLine{
		{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 12200", exitDone, "KEY 1", ""},
		{"init site --domain direct.clinic.example", exitRefused, "", "holds a site already"},
		{"address import bad.csv" + c, exitRefused, "", "line 4"},
		{"address import columns.csv" + c, exitRefused, "", `unknown column "mailbox"`},
		{"address list" + c, exitDone, "postmaster@direct.clinic.example", ""},
		{"address import good.csv" + c, exitDone, "added 2", ""},
		{"address import good.csv" + c, exitRefused, "", "exists already"},
		{"address alias desk@direct.clinic.example jo@direct.clinic.example" + c, exitDone, "added 1", ""},
		{"address alias x@direct.clinic.example nobody@direct.clinic.example" + c, exitRefused, "", "not an address of ours"},
		{"address add jo+x@direct.clinic.example" + c, exitRefused, "", "+tag"},
		{"address add a@other.example" + c, exitRefused, "", "domain add"},
		{"address add e@direct.clinic.example --edge mail.clinic.example:25 --edge-tls maybe" + c, exitRefused, "", "required, implicit"},
		{"address add e@direct.clinic.example --edge mail.clinic.example" + c, exitRefused, "", "host:port"},
		{"address add e@direct.clinic.example --edge mail.clinic.example:25 --edge-login l --edge-password-file pw" + c, exitDone, "added 1", ""},
		{"address list direct.clinic.example --json" + c, exitDone, `"destination":"smtp edge mail.clinic.example:25"`, ""},
		{"address remove postmaster@direct.clinic.example" + c, exitRefused, "", "must reach a person"},
		{"address remove lab@direct.clinic.example" + c, exitDone, "", ""},
		{"address remove lab@direct.clinic.example" + c, exitRefused, "", "not found"},
		{"domain add direct.clinic.example" + c, exitRefused, "", "exists already"},
		{"domain add second.example --catch-all" + c, exitRefused, "", "needs a destination"},
		{"domain add second.example --catch-all --inbox second" + c, exitDone, "trusts nobody yet", ""},
		{"domain remove direct.clinic.example" + c, exitRefused, "", "still has addresses"},
		{"domain remove second.example" + c, exitDone, "", ""},
		{"user add ehr --address jo@direct.clinic.example --password-file pw" + c, exitDone, "", ""},
		{"user add ehr --address jo@direct.clinic.example --password-file pw" + c, exitRefused, "", "exists already"},
		{"user add other --address nobody@direct.clinic.example --password-file pw" + c, exitRefused, "", "not found"},
		{"user list" + c, exitDone, "ehr", ""},
		{"cert create --address jo@direct.clinic.example --pair" + c, exitDone, "", ""},
		{"cert create --address jo@elsewhere.example" + c, exitRefused, "", "names no domain or address of ours"},
		{"cert list" + c, exitDone, "jo@direct.clinic.example", ""},
		{"cert export 00000000" + c, exitRefused, "", "not found"},
		{"trust anchor add junk.pem --domain direct.clinic.example" + c, exitRefused, "", "junk.pem"},
		{"trust anchor add site/anchor.pem --domain nowhere.example" + c, exitRefused, "", "not found"},
		{"trust anchor add site/anchor.pem --domain direct.clinic.example --incoming" + c, exitDone, "incoming only", ""},
		{"trust anchor remove abc --domain direct.clinic.example" + c, exitRefused, "", "8 digits"},
		{"trust anchor list" + c, exitDone, "Pilot anchor", ""},
		{"held list" + c, exitDone, "", ""},
		{"held release h-none" + c, exitRefused, "", "not found"},
		{"inbox list" + c, exitDone, "front-desk", ""},
		{"inbox show front-desk 1" + c, exitRefused, "", "not found"},
		{"inbox list nowhere" + c, exitRefused, "", "postern inbox list"},
		{"send --from jo@direct.clinic.example --to x@direct.hospital.example --text hi --wait" + c, exitNotYet, "", "no gateway runs this site"},
		{"send --from nobody@direct.clinic.example --to x@direct.hospital.example --text hi" + c, exitRefused, "", "not an address of ours"},
		{"trace --to x@direct.hospital.example" + c, exitDone, "x@direct.hospital.example", ""},
		{"trace m-0000000000000000" + c, exitRefused, "", "not found"},
		{"queue" + c, exitDone, "seal", ""},
		{"status" + c, exitNotYet, "", "postern serve"},
		{"check" + c, exitDone, "self-signed", ""},
	})
}

func TestConfigurationFaultsNameTheLine(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, _, e := invoke(t, "init", "site", "--domain", "direct.clinic.example", "--listen", "127.0.0.1", "--base-port", "29100"); code != exitDone {
		t.Fatal(e)
	}
	good, err := os.ReadFile("site/postern.toml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(string(good), "\n")
	for _, c := range []struct{ situation, add, says string }{
		{"unknown key", "[relay]\nsmarthost = \"a:25\"\n", "line " + strconv.Itoa(lines+2) + `: unknown key "relay.smarthost"`},
		{"unknown table", "[relai]\nx = 1\n", "unknown key"},
		{"not TOML", "[relay]\ntimeout = = 1\n", "line " + strconv.Itoa(lines+2)},
		{"not a duration", "[notify]\nprocessed_within = \"soon\"\n", "soon"},
		{"peer without a port", "[peer.\"a.example\"]\nsmtp = \"10.0.0.1\"\n", "not host:port"},
		{"own patience longer than the peers'", "[notify]\nedge_within = \"2h\"\n", "DN-60"},
		{"key twice", "[smtp]\nlisten = []\n", "line " + strconv.Itoa(lines+1)},
	} {
		write(t, "site/postern.toml", string(good)+c.add)
		code, _, errOut := invoke(t, "domain", "list", "-c", "site/postern.toml")
		if code != exitRefused || !strings.Contains(errOut, c.says) {
			t.Errorf("%s: exit %d, %q must say %q", c.situation, code, errOut, c.says)
		}
	}
	write(t, "site/postern.toml", string(good))
	for _, c := range []struct{ situation, remove, says string }{
		{"no master key", "site/master.key", "recovery sheet"},
		{"no database", "site/data/postern.db", "postern.db"},
		{"no TLS certificate", "site/tls/cert.pem", "cert.pem"},
	} {
		if err := os.Rename(c.remove, "gone"); err != nil {
			t.Fatal(err)
		}
		code, _, errOut := invoke(t, "serve", "-c", "site/postern.toml")
		if code != exitRefused || !strings.Contains(errOut, c.says) {
			t.Errorf("%s: exit %d, %q must say %q", c.situation, code, errOut, c.says)
		}
		if err := os.Rename("gone", c.remove); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.FromSlash(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
