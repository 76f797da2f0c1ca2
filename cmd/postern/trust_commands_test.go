package main

import (
	"encoding/pem"
	"os"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/smime/addr"
)

// trustFiles lays out, in the working directory, what a trust administrator is given, good and bad.
func trustFiles(t *testing.T) {
	t.Helper()
	now := time.Now()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Partner CA", Algorithm: issue.P256, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(o issue.LeafOptions) []byte {
		o.Now, o.Algorithm = now, issue.P256
		c, err := ca.Leaf(o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := keyfile.WritePKCS12(c, "secret", false)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw}))
	damaged := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	write(t, "partner.pem", text)
	write(t, "mixed.pem", text+damaged+text)
	write(t, "page.p7b", "<html>We have moved</html>")
	write(t, "empty.p7b", "")
	write(t, "good.policy", "names: size(cert.domains) + size(cert.emails) > 0\n")
	write(t, "always.policy", "anything: true\n")
	write(t, "bad.policy", "# ours\nkeys: cert.key_bitz > 1\n")
	write(t, "pw", "secret\n")
	write(t, "wrong", "other\n")
	write(t, "jo.p12", string(leaf(issue.LeafOptions{Address: addr.MustParse("jo@direct.clinic.example")})))
	write(t, "al.p12", string(leaf(issue.LeafOptions{Address: addr.MustParse("al@direct.clinic.example")})))
	write(t, "columns.csv", "path,password\njo.p12,pw\n")
	write(t, "short.csv", "file,password_file\njo.p12\n")
	write(t, "nofile.csv", "file,password_file\njo.p12,pw\n,pw\n")
	write(t, "missing.csv", "file,password_file\nnowhere.p12,pw\n")
	write(t, "wrong.csv", "file,password_file\njo.p12,pw\nal.p12,wrong\n")
	write(t, "good.csv", "file,password_file\njo.p12,pw\nal.p12,pw\n")
	for _, dir := range []string{"keys", "nokeys"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "keys/kim.p12", string(leaf(issue.LeafOptions{Address: addr.MustParse("kim@direct.clinic.example")})))
	write(t, "keys/readme.txt", "not a key")
}

// TestTrustByCommands administers the trust of a site that nobody runs, with what one is given, good and bad: each
// refusal names the object and the remedy, and leaves nothing half done.
func TestTrustByCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	trustFiles(t)
	const d = " --domain direct.clinic.example -c site/postern.toml"
	const c = " -c site/postern.toml"
	invokeAll(t, []commandLine{
		{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 29200", exitDone, "KEY 1", ""},
		{"trust anchor add mixed.pem" + d, exitDone, "unparsable", ""},
		{"trust anchor list --json" + c, exitDone, "Partner CA", ""},
		{"trust anchor add page.p7b" + d, exitRefused, "", "page.p7b: bundle: invalid_bundle_format"},
		{"trust anchor add empty.p7b" + d, exitRefused, "", "empty.p7b"},
		{"trust anchor add partner.pem --days 0" + d, exitUsage, "", "--days is 1 to 400"},
		{"trust anchor block 00000000 --why x" + d, exitRefused, "", "0 anchors of direct.clinic.example"},
		{"trust anchor block 00000000" + d, exitUsage, "", "--why TEXT or --off"},

		{"trust bundle add Community partner.pem" + c, exitRefused, "", "a-z, 0-9"},
		{"trust bundle add community page.p7b" + c, exitRefused, "", "give the bundle's file"},
		{"trust bundle add community http://127.0.0.1:1/x.p7b" + c, exitRefused, "", "--plain-http"},
		{"trust bundle add community https://127.0.0.1/x.p7b" + c, exitRefused, "", "not public"},
		{"trust bundle add community partner.pem --signer partner.pem" + c, exitRefused, "", "the bundle is not signed"},
		{"trust bundle add community partner.pem --auto --two-persons" + c, exitRefused, "", "cannot both"},
		{"trust bundle add community https://trust.example/x.p7b --every 1m" + c, exitRefused, "", "every 15m0s at most"},
		{"trust bundle add community mixed.pem" + c, exitDone, "1 anchor. No domain believes them yet", ""},
		{"trust bundle add community partner.pem" + c, exitRefused, "", "here already"},
		{"trust bundle subscribe nothing" + d, exitRefused, "", "not found"},
		{"trust bundle subscribe community --domain nowhere.example" + c, exitRefused, "", "not found"},
		{"trust bundle subscribe community" + d, exitDone, "none of them comes out differently by this change", ""},
		{"trust bundle remove community" + c, exitRefused, "", "unsubscribe"},
		{"trust bundle refresh community" + c, exitRefused, "", "has no URL"},
		{"trust bundle refresh community page.p7b" + c, exitRefused, "", "the anchors in force stay"},
		{"trust bundle list" + c, exitDone, "FAILED 1 time since", ""},
		{"trust bundle refresh community partner.pem" + c, exitDone, "unchanged", ""},
		{"trust bundle apply community" + c, exitUsage, "", "--proposal ID"},
		{"trust bundle apply community --proposal p-aaaaaaaaaa.00000000" + c, exitRefused, "", "nothing waits"},
		{"trust bundle reject community" + c, exitRefused, "", "nothing waits"},
		{"trust bundle diff community" + c, exitNotYet, "0 added, 0 removed", "nothing waits"},
		{"trust bundle set community --max-removed 200" + c, exitRefused, "", "200 per cent"},
		{"trust bundle set community --max-removed 10" + c, exitDone, "", ""},
		{"trust bundle list --json" + c, exitDone, `"max_removed_percent":10`, ""},
		{"trust bundle unsubscribe community" + d, exitDone, "", ""},
		{"trust bundle remove community" + c, exitDone, "", ""},

		{"trust policy set --policy bad.policy --direction incoming --use sign" + d, exitUsage, "", "line 2"},
		{"trust policy set --policy good.policy --direction sideways --use sign" + d, exitRefused, "", "incoming or outgoing"},
		{"trust policy set --policy good.policy --direction incoming --use encrypt" + d, exitRefused, "", "the partner's signature"},
		{"trust policy set --policy good.policy" + d, exitUsage, "", "--direction incoming|outgoing"},
		{"trust policy test --policy always.policy --direction incoming --use trust" + d, exitDone, "it is always true", ""},
		{"trust policy test --policy good.policy --direction outgoing --use sign" + d, exitDone, "refuses none of the 1", ""},
		{"trust policy list" + c, exitDone, "", ""},
		{"trust policy set --policy good.policy --direction incoming --use sign" + d, exitDone, "no certificate it is about was seen", ""},
		{"trust policy list --json" + c, exitDone, `"name":"good"`, ""},
		{"trust policy remove bad --direction incoming --use sign" + d, exitRefused, "", "not found"},
		{"trust policy remove good --direction incoming --use sign" + d, exitDone, "", ""},

		{"trust simulate" + d, exitUsage, "", "--add, --remove or --policy"},
		{"trust simulate --remove 00000000" + d, exitRefused, "", "no anchor begins with"},
		{"trust simulate --add partner.pem --json" + d, exitDone, `"lost_count":0`, ""},
		{"trust undo x" + c, exitUsage, "", "no number of a change"},
		{"trust undo 4711" + c, exitRefused, "", "not found"},
		{"trust undo 1" + c, exitDone, "trust.undo", ""},
		{"trust undo 1" + c, exitRefused, "", "changed again since"},
		{"trust changes --json" + c, exitDone, `"action":"policy.set"`, ""},

		{"cert import --csv columns.csv" + c, exitRefused, "", `columns.csv line 1: unknown column "path"; the columns are file and password_file`},
		{"cert import --csv short.csv" + c, exitRefused, "", "short.csv line 2: 1 columns, the first line names 2"},
		{"cert import --csv nofile.csv" + c, exitRefused, "", "nofile.csv line 3: it names no file"},
		{"cert import --csv missing.csv" + c, exitRefused, "", "nowhere.p12"},
		{"cert import --csv wrong.csv" + c, exitRefused, "", "al.p12: keyfile:"},
		{"cert import --dir nokeys" + c, exitRefused, "", "holds no .p12"},
		{"cert import --dir keys --csv good.csv" + c, exitUsage, "", "--dir DIRECTORY or --csv LIST"},
		{"cert import partner.pem" + c, exitRefused, "", "no private key"},
		{"cert import --csv good.csv --look" + c, exitDone, "Nothing was imported", ""},
		{"cert import --csv good.csv" + c, exitDone, "jo@direct.clinic.example", ""},
		{"cert import --dir keys --password-file pw" + c, exitDone, "kim@direct.clinic.example", ""},
		{"cert import --dir keys --password-file pw" + c, exitRefused, "", "here already"},
		{"cert csr --domain other.example" + c, exitRefused, "", "not hosted here"},
		{"cert csr" + c, exitUsage, "", "one of --domain, --address and --replaces"},
		{"cert csr --domain direct.clinic.example --key p256" + c, exitDone, "BEGIN CERTIFICATE REQUEST", ""},
		{"cert csr --list" + c, exitDone, "direct.clinic.example", ""},
		{"cert roll 00000000" + c, exitRefused, "", "not found"},
		{"cert roll 00000000 --force" + c, exitUsage, "", "--force goes with --now"},
		{"cert expiring --within 1" + c, exitDone, "nothing ends within 1 days", ""},
		{"cert expiring --within 366 --json" + c, exitRefused, `"kind":"own"`, ""},
		{"cert watch" + c, exitDone, "nothing has been looked at yet", ""},
		{"held groups" + c, exitDone, "", ""},
		{"held trust g-none" + c, exitRefused, "", "not found"},
		{"held trust g-none --apply" + c, exitUsage, "", "--apply needs one of them"},
		{"held release g-none" + c, exitRefused, "", "not found"},
		{"why jo@direct.clinic.example --from x@other.example" + c, exitRefused, "", "not of a domain of ours"},
	})
}
