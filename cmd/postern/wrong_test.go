package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postern/gateway"
	"postern/gateway/config"
)

// TestWhatIsNotHereIsNamed: whatever names something unknown, or something known anew, is told what, and where to see
// what there is.
func TestWhatIsNotHereIsNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "pw", "walnut harbour lantern 7\n")
	const c = " -c site/postern.toml"
	commandLine{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 29200", exitDone, "", ""}.invoke(t)
	commandLine{"person add dana --name Dana --role manager --password-file pw" + c, exitDone, "", ""}.invoke(t)
	for _, l := range []commandLine{
		{"queue drop 1", exitRefused, "job 1", "postern queue"},
		{"held show h-1", exitRefused, "held message h-1", "postern held list"},
		{"held release h-1", exitRefused, "held message h-1", "postern held list"},
		{"held discard h-1", exitRefused, "held message h-1", "postern held list"},
		{"held trust g-1", exitRefused, "held group g-1", "postern held groups"},
		{"inbox list nowhere", exitRefused, `"nowhere"`, "postern inbox list"},
		{"inbox show postmaster 9", exitRefused, "9", "postern inbox list"},
		{"inbox save postmaster 9 --out f", exitRefused, "9", "postern inbox list"},
		{"domain remove direct.nowhere.example", exitRefused, "direct.nowhere.example", "postern domain list"},
		{"domain add direct.clinic.example", exitRefused, "direct.clinic.example", "postern domain list"},
		{"address remove x@direct.clinic.example", exitRefused, "x@direct.clinic.example", "postern address list"},
		{"address add postmaster@direct.clinic.example", exitRefused, "postmaster@direct.clinic.example", "postern address list"},
		{"user remove ehr", exitRefused, "login ehr", "postern user list"},
		{"person reset sam --password-file pw", exitRefused, "sam", "postern person list"},
		{"person disable sam", exitRefused, "sam", "postern person list"},
		{"person sign-out sam", exitRefused, "sam", "postern person list"},
		{"person role sam nurse", exitRefused, "sam", "postern person list"},
		{"person add dana --name D --role nurse --password-file pw", exitRefused, "dana", "postern person list"},
		{"org rename nowhere new", exitRefused, "nowhere", "postern org list"},
		{"cert export ffffffff", exitRefused, "ffffffff", "postern cert list"},
		{"cert retire ffffffff", exitRefused, "ffffffff", "postern cert list"},
		{"cert roll ffffffff", exitRefused, "ffffffff", "postern cert list"},
		{"cert csr --replaces ffffffff", exitRefused, "ffffffff", "postern cert list"},
		{"cert csr --print r-none", exitRefused, "r-none", "postern cert csr --list"},
		{"peer forget x@direct.nowhere.example", exitRefused, "x@direct.nowhere.example", "postern peer list"},
		{"trust anchor add site/anchor.pem --domain direct.nowhere.example", exitRefused, "direct.nowhere.example", "postern domain list"},
		{"trust anchor remove ffffffff --domain direct.clinic.example", exitRefused, "ffffffff", "postern trust anchor list"},
		{"trust anchor block ffffffff --domain direct.clinic.example --why x", exitRefused, "ffffffff", "postern trust anchor list"},
		{"trust bundle diff nowhere", exitRefused, "bundle nowhere", "postern trust bundle list"},
		{"trust bundle set nowhere --every 24h", exitRefused, "bundle nowhere", "postern trust bundle list"},
		{"trust bundle refresh nowhere", exitRefused, "bundle nowhere", "postern trust bundle list"},
		{"trust bundle apply nowhere --proposal p-1.0", exitRefused, "bundle nowhere", "postern trust bundle list"},
		{"trust bundle reject nowhere", exitRefused, "bundle nowhere", "postern trust bundle list"},
		{"trust bundle remove nowhere", exitRefused, "bundle nowhere", "postern trust bundle list"},
		{"trust bundle subscribe nowhere --domain direct.clinic.example", exitRefused, "bundle nowhere", "postern trust bundle list"},
		{"trust policy remove nowhere --domain direct.clinic.example --direction incoming --use sign", exitRefused, "policy nowhere", "postern trust policy list"},
		{"trust undo 99", exitRefused, "change 99", "postern trust changes"},
		{"trace m-0000000000000000", exitRefused, "m-0000000000000000", "postern trace"},
		{"why m-0000000000000000", exitRefused, "m-0000000000000000", "postern trace"},
		{"peer set nowhere --cipher aes128", exitUsage, "nowhere", "--help"},
	} {
		code, _, says := invoke(t, strings.Fields(l.args+c)...)
		if code != l.code || !strings.Contains(says, l.out) || !strings.Contains(says, l.err) || strings.Contains(says, "store:") {
			t.Errorf("postern %s: exit %d, want %d; %q must name %q and say %q", l.args, code, l.code, says, l.out, l.err)
		}
	}
}

// TestFilesThatAreNone: a directory, nothing, too much and no end where a file is wanted.
func TestFilesThatAreNone(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "empty", "")
	write(t, "pw", "walnut harbour lantern 7\n")
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "huge", "")
	if err := os.Truncate("huge", 64<<20); err != nil { // a hole: it takes no room
		t.Fatal(err)
	}
	const c = " -c site/postern.toml"
	commandLine{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 29300", exitDone, "", ""}.invoke(t)
	for _, form := range []string{"cert import %s", "cert device %s", "cert pin x@direct.partner.example %s", "address import %s", "trust bundle add b %s", "trust bundle show %s",
		"trust anchor add %s --domain direct.clinic.example", "user add ehr --address postmaster@direct.clinic.example --password-file %s", "person add sam --name S --role nurse --password-file %s",
		"cert import --csv %s", "trust policy set --policy %s --domain direct.clinic.example --direction incoming --use sign"} {
		for _, f := range []struct{ name, says string }{{"dir", "directory"}, {"empty", ""}, {"huge", ""}, {"/dev/zero", ""}, {"nowhere", "nowhere"}} {
			args := fmt.Sprintf(form, f.name)
			if !strings.HasPrefix(form, "trust bundle show") {
				args += c
			}
			code, out, says := invoke(t, strings.Fields(args)...)
			if code != exitRefused && code != exitUsage || out != "" || len(says) > 700 || !strings.Contains(says, f.says) {
				t.Errorf("postern %s: exit %d, %q, %.700q must say %q", args, code, out, says, f.says)
			}
		}
	}
	invokeAll(t, []commandLine{
		{"person list" + c, exitDone, "", ""},
		{"trust changes" + c, exitDone, "cert.create", ""},
	})
	if _, out, _ := invoke(t, "trust", "changes", "-c", "site/postern.toml"); strings.Count(out, "\n") > 2 {
		t.Errorf("something was half done:\n%s", out)
	}
}

// TestAnswersThatCannotBeWritten: whose answer is lost does not say that all is well.
func TestAnswersThatCannotBeWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	const c = " -c site/postern.toml"
	commandLine{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 29400", exitDone, "", ""}.invoke(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var says strings.Builder
	try := func(args string) (int, string) {
		says.Reset()
		code := run(t.Context(), &console{in: strings.NewReader(""), out: full, err: &says, env: func(string) string { return "" }}, strings.Fields(args))
		return code, says.String()
	}
	for _, args := range []string{"cert list", "cert list --json", "domain list", "person list", "trust changes", "audit verify", "cert expiring", "trust policy show", "retention list", "help", "cert list --help", "cert csr --domain direct.clinic.example"} {
		at := args + c
		if args == "trust policy show" || strings.Contains(args, "help") {
			at = args
		}
		if args == "person list" {
			continue // nobody is there: it says nothing
		}
		if code, words := try(at); code != exitRefused || !strings.Contains(words, "no space left") {
			t.Errorf("postern %s: exit %d, %q", at, code, words)
		}
	}
	_, words := try("cert csr --domain direct.clinic.example" + c)
	_, rest, ok := strings.Cut(words, "--print ")
	id, _, _ := strings.Cut(rest, "\n")
	if !ok {
		t.Fatalf("the request that was kept is not named: %q", words)
	}
	commandLine{"cert csr --print " + id + c, exitDone, "BEGIN CERTIFICATE REQUEST", ""}.invoke(t)
}

// TestSitesThatCannotBeOpened: who has it, whose it is, or what is gone, and what to do.
func TestSitesThatCannotBeOpened(t *testing.T) {
	t.Chdir(t.TempDir())
	const c = " -c site/postern.toml"
	commandLine{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 29450", exitDone, "", ""}.invoke(t)
	cfg := config.Config{Data: "/var/lib/postern"}
	for _, f := range []struct {
		err  error
		says string
	}{
		{fmt.Errorf("gateway: %w: x", gateway.ErrLocked), "fuser"},
		{fmt.Errorf("gateway: %w", fs.ErrPermission), "the user the gateway runs as"},
		{errors.New("something else"), "something else"},
	} {
		if got := cannotOpen(cfg, f.err).Error(); !strings.Contains(got, f.says) {
			t.Errorf("%v: %q must say %q", f.err, got, f.says)
		}
	}
	lock, err := os.OpenFile(filepath.Join("site", "data", "lock"), os.O_RDWR, 0)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Open(t.Context(), config.Config{Data: filepath.Join("site", "data")}, gateway.Options{}); !errors.Is(err, gateway.ErrLocked) {
		t.Errorf("locked: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join("site", "data", "postern.db")
	if err := os.Rename(db, "kept"); err != nil {
		t.Fatal(err)
	}
	commandLine{"cert list" + c, exitRefused, "", "postern restore"}.invoke(t)
	write(t, db, "no database")
	commandLine{"cert list" + c, exitRefused, "", "not a database"}.invoke(t)
	if err := os.Rename("kept", db); err != nil {
		t.Fatal(err)
	}
	commandLine{"cert list" + c, exitDone, "direct.clinic.example", ""}.invoke(t)
}
