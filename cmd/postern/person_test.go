package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestPeopleByCommands makes people and organisations on a machine on which no gateway runs.
func TestPeopleByCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "pw", "three green herons\n")
	write(t, "short", "herons\n")
	write(t, "empty", "\n")
	write(t, "secret", "client secret\n")
	const c = " -c site/postern.toml"
	const password = "herons"
	for _, s := range []commandLine{
		{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 29300", exitDone, "person add", ""},
		{"person list" + c, exitDone, "", ""},
		{"person add dana --name Dana --role physician --admin --password-file pw" + c, exitDone, "", ""},
		{"person add dana --name Other --role nurse --password-file pw" + c, exitRefused, "", "exists already"},
		{"person add Dana --name Other --role nurse --password-file pw" + c, exitRefused, "", "exists already"},
		{"person add sam --name Sam --role front-desk --zone America/Chicago" + c, exitDone, "https://direct.clinic.example:29304/welcome/", ""},
		{"person add kim --name Kim --role wizard" + c, exitRefused, "", "no role"},
		{"person add kim --name Kim --role nurse --zone Mars" + c, exitRefused, "", "time zone"},
		{"person add k!m --name Kim --role nurse" + c, exitRefused, "", "a-z"},
		{"person add kim --role nurse" + c, exitUsage, "", "--name"},
		{"person add kim --name Kim --role nurse --password-file short" + c, exitRefused, "", "at least 12"},
		{"person add kim --name Kim --role nurse --password-file empty" + c, exitRefused, "", "holds no password"},
		{"person add kim --name Kim --role nurse --password-file pw --password-prompt" + c, exitUsage, "", "not both"},
		{"person add kim --name Kim --role nurse --password-prompt" + c, exitUsage, "", "terminal"},
		{"person list" + c, exitDone, "physician, administers", ""},
		{"person list --json" + c, exitDone, `"role":"front_desk"`, ""},
		{"person role sam nurse" + c, exitDone, "", ""},
		{"person role sam" + c, exitUsage, "", "--admin"},
		{"person role nobody nurse" + c, exitRefused, "", "not found"},
		{"person role sam --admin --no-admin" + c, exitUsage, "", "--admin"},
		{"person sign-out dana" + c, exitDone, "", ""},
		{"person sign-out nobody" + c, exitRefused, "", "not found"},
		{"person sign-out" + c, exitUsage, "", "sign-in name"},
		{"person disable dana" + c, exitDone, "", ""},
		{"person list" + c, exitDone, "disabled", ""},
		{"person reset dana --password-file pw" + c, exitRefused, "", "--undo"},
		{"person disable dana --undo" + c, exitDone, "", ""},
		{"person reset dana --factors" + c, exitDone, "/welcome/", ""},
		{"person reset dana --password-file short" + c, exitRefused, "", "at least 12"},
		{"person reset nobody" + c, exitRefused, "", "not found"},
		{"org list" + c, exitDone, "direct.clinic.example", ""},
		{"org add Lakeside" + c, exitDone, "o-", ""},
		{"org add lakeside" + c, exitRefused, "", "exists already"},
		{"org rename direct.clinic.example Riverside" + c, exitDone, "", ""},
		{"org list --json" + c, exitDone, `"name":"Riverside","domains":["direct.clinic.example"],"people":2`, ""},
		{"domain add direct.lake.example --org Lakeside" + c, exitDone, "", ""},
		{"domain add direct.other.example --org Nowhere" + c, exitRefused, "", "no organisation"},
		{"address add desk@direct.lake.example" + c, exitDone, "added 1", ""},
		{"address alias x@direct.lake.example postmaster@direct.clinic.example" + c, exitRefused, "", "not an address of ours"},
		{"person add dana --name Dana --role nurse --org Lakeside" + c, exitDone, "/welcome/", ""},
		{"person list --org Lakeside" + c, exitDone, "Lakeside", ""},
		{"person list --org Nowhere" + c, exitRefused, "", "no organisation"},
		{"org sso Lakeside --issuer http://id.example --client-id x" + c, exitRefused, "", "https"},
		{"org sso Lakeside --issuer https://id.example" + c, exitUsage, "", "--client-id"},
		{"org sso Lakeside --issuer https://id.example --client-id x --claim role" + c, exitRefused, "", "claim"},
		{"org sso Lakeside --issuer https://id.example --client-id x --client-secret-file secret" + c, exitDone, "", ""},
		{"org sso Lakeside --off" + c, exitDone, "", ""},
		{"org sso Nowhere --off" + c, exitRefused, "", "no organisation"},
		{"audit verify" + c, exitDone, "", ""},
	} {
		if said := s.invoke(t); strings.Contains(said, password) {
			t.Errorf("postern %s shows a password", s.args)
		}
	}
	db, err := os.ReadFile("site/data/postern.db")
	if err != nil {
		t.Fatal(err)
	}
	for _, clear := range []string{"three green herons", "client secret"} {
		if bytes.Contains(db, []byte(clear)) {
			t.Errorf("the database holds %q in the clear", clear)
		}
	}
	// Without pages there is no link, and no password is made up.
	text, err := os.ReadFile("site/postern.toml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "site/postern.toml", string(text[:bytes.Index(text, []byte("[web]"))]))
	for _, args := range []string{"person add eve --name Eve --role nurse" + c, "person reset dana" + c} {
		if code, out, errOut := invoke(t, strings.Fields(args)...); code != exitRefused || out != "" || !strings.Contains(errOut, "--password-file") {
			t.Errorf("postern %s: %d %q %q", args, code, out, errOut)
		}
	}
}
