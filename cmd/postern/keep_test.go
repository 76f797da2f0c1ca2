package main

import "testing"

// TestKeepingByCommands backs a site up, proves and restores the copy, reads the audit and works the queue,
// all without a gateway running.
func TestKeepingByCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	const c = " -c site/postern.toml"
	invokeAll(t, []commandLine{
		{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 29100", exitDone, "KEY 1", ""},
		{"address add jo@direct.clinic.example" + c, exitDone, "added 1", ""},
		{"send --from jo@direct.clinic.example --to x@direct.hospital.example --text hello" + c, exitDone, "m-", ""},
		{"backup b" + c, exitDone, "1 messages, 1 blobs", ""},
		{"backup b" + c, exitRefused, "", "not empty"},
		{"backup" + c, exitUsage, "", "one folder"},
		{"backup x --master-key k" + c, exitUsage, "", "--verify"},
		{"backup --verify b" + c, exitDone, "a restore opens; 1 messages", ""},
		{"backup --verify b --master-key site/master.key --json", exitDone, `"v":1`, ""},
		{"backup --verify site" + c, exitRefused, "", "not a complete backup"},
		{"restore b --to again", exitUsage, "", "--master-key"},
		{"restore b --to again --master-key site/master.key", exitDone, "jobs are parked", ""},
		{"restore b --to again --master-key site/master.key", exitRefused, "", "not empty"},
		{"queue -c again/postern.toml", exitDone, "restored from the backup", ""},
		{"queue hold direct.hospital.example -c again/postern.toml", exitRefused, "", "no such job"},
		{"queue resume --parked -c again/postern.toml", exitDone, "1 back at work", ""},
		{"queue hold nonsense" + c, exitUsage, "", "neither a job number"},
		{"queue hold 1" + c, exitDone, "1 held", ""},
		{"queue retry 1" + c, exitDone, "1 due now", ""},
		{"queue drop 1" + c, exitDone, "dropped", ""},
		{"queue drop 1" + c, exitRefused, "", "not found"},
		{"queue drop x" + c, exitUsage, "", "not a job's number"},
		{"queue pause" + c, exitDone, "paused", ""},
		{"queue drain" + c, exitDone, "no new mail is taken", ""},
		{"queue drain --wait 1s" + c, exitDone, "drained", ""},
		{"queue resume" + c, exitDone, "at work", ""},
		{"audit list --action queue." + c, exitDone, "queue.drop", ""},
		{"audit list --limit 0" + c, exitUsage, "", "--limit"},
		{"retention list" + c, exitDone, "held   kept 30 days", ""},
		{"retention set inbox 3650" + c, exitDone, "", ""},
		{"retention set held never" + c, exitDone, "", ""},
		{"retention list" + c, exitDone, "inbox  kept 3650 days", ""},
		{"retention list --json" + c, exitDone, `"kind":"held","days":0`, ""},
		{"retention set mail 3" + c, exitUsage, "", "none of spool"},
		{"retention set held 0" + c, exitUsage, "", "neither never nor"},
		{"retention set held" + c, exitUsage, "", "number of days"},
		{"audit verify" + c, exitDone, "the audit holds", ""},
		{"audit verify --head 1:99999:abc" + c, exitRefused, "", "known from elsewhere"},
		{"audit verify --head 1" + c, exitUsage, "", "NODE:SEQ:HASH"},
	})
}
