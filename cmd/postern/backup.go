package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"postern/gateway"
	"postern/gateway/backup"
	"postern/gateway/spool/keys"
)

func backupCommands() []command {
	return []command{
		{"backup", "copy the whole site while it runs, or prove a copy", `Usage: postern backup DIR [-c FILE] [--json]
       postern backup --verify DIR [--master-key FILE] [-c FILE] [--json]

Writes the database as it is at one instant, the sealed bytes of every stored message and the configuration into
DIR, which must be new or empty. The gateway goes on meanwhile. The master key is never in a backup: keep it, or
its sheet, apart. Subjects, names and addresses in the database are in clear, here as there.

--verify restores the backup into a temporary folder, authenticates every blob under its key, compares each
with its digest, verifies the audit, opens the site, and removes the folder. It needs the master key and as much
room as the backup has. It touches no running gateway.

  --master-key FILE   the master key or its recovery sheet (default: the configuration's)

Exit codes: 0 done (verified), 1 failed or the backup is not whole, 2 used wrongly.
Example: postern backup /srv/backup/2026-05-01 && postern backup --verify /srv/backup/2026-05-01
`, runBackup},
		{"restore", "make a site of a backup", `Usage: postern restore BACKUP --to DIR --master-key FILE [--json]

Makes a site in DIR, which must be new or empty, and checks as ` + "`postern backup --verify`" + ` does. Its queue is
parked whole: what it would send, or report as failed, may have been settled after the backup was made. Look with
` + "`postern queue`" + `; ` + "`postern queue resume --parked`" + ` puts it to work. The TLS certificate is a new self-signed one.

  --master-key FILE   the master key or its recovery sheet

Exit codes: 0 restored, 1 failed, 2 used wrongly.
Example: postern restore /srv/backup/2026-05-01 --to /srv/postern --master-key /root/master.key
`, runRestore},
	}
}

func runBackup(ctx context.Context, c *console, args []string) error {
	fs := c.flags("backup")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	verify, key := fs.Bool("verify", false, ""), fs.String("master-key", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one folder")
	}
	dir, err := filepath.Abs(rest[0])
	if err != nil {
		return err
	}
	if *verify {
		return c.verifyBackup(ctx, dir, *key, *file, *asJSON)
	}
	if *key != "" {
		return usagef("--master-key belongs to --verify: a backup needs no key")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var m backup.Manifest
		if err := call.ask(ctx, "backup", dir, &m); err != nil {
			return err
		}
		if *asJSON {
			return c.printBackup(backup.Restored{Manifest: m})
		}
		fmt.Fprintf(c.out, "%s: %d messages, %d blobs, %d octets, as of %s, under master key %s\n", dir, m.Counts["message"], m.Blobs, m.Octets,
			m.Made.Local().Format(time.DateTime), m.KeyNumber)
		return nil
	})
}

func (c *console) verifyBackup(ctx context.Context, dir, key, file string, asJSON bool) error {
	source := keys.Source{File: key}
	if key == "" {
		cfg, err := c.loadConfig(file)
		if err != nil {
			return fmt.Errorf("%w; or give --master-key FILE", err)
		}
		source = keys.Source{File: cfg.MasterKey, Credentials: c.env("CREDENTIALS_DIRECTORY")}
	}
	r, err := gateway.VerifyBackup(ctx, gateway.RestoreOptions{Backup: dir, Key: source, Actor: actor(), Now: time.Now})
	if err != nil {
		return err
	}
	if asJSON {
		return c.printBackup(r)
	}
	fmt.Fprintf(c.out, "verified: a restore opens; %d messages, %d blobs, each whole; %d audit entries hold; as of %s\n", r.Counts["message"], r.Blobs,
		r.Audit, r.Made.Local().Format(time.DateTime))
	return nil
}

func runRestore(ctx context.Context, c *console, args []string) error {
	fs := c.flags("restore")
	to, key, asJSON := fs.String("to", "", ""), fs.String("master-key", "", ""), fs.Bool("json", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 || *to == "" || *key == "" {
		return orUsage(err, "give one backup, --to DIR and --master-key FILE")
	}
	r, err := gateway.Restore(ctx, gateway.RestoreOptions{Backup: rest[0], Dir: *to, Key: keys.Source{File: *key}, Actor: actor(), Now: time.Now})
	if err != nil {
		return err
	}
	if *asJSON {
		return c.printBackup(r)
	}
	fmt.Fprintf(c.out, "restored %d messages as of %s; %d jobs are parked\nlook: postern queue -c %[4]s\nwork: postern queue resume --parked -c %[4]s\n", r.Counts["message"],
		r.Made.Local().Format(time.DateTime), r.Parked, filepath.Join(*to, "postern.toml"))
	return nil
}

func (c *console) printBackup(r backup.Restored) error {
	return c.printJSON(struct {
		V int `json:"v"`
		backup.Restored
	}{1, r})
}

func actor() string { return fmt.Sprintf("uid:%d", os.Getuid()) }
