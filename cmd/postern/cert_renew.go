package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"time"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/store"
	"postern/smime/addr"
)

// certRenewCommands keep certificates from ending: requests, roll-overs, what ends, and what the world sees.
func certRenewCommands() []command {
	return []command{certImportCommand(),
		{"cert csr", "ask a real authority for a certificate", `Usage: postern cert csr (--domain D | --address A | --replaces ID) [--use dual|sign|encrypt] [--key KIND]
       [--organization O] [-c FILE] > request.pem
       postern cert csr --list [-c FILE] [--json]
       postern cert csr --print REQUEST [-c FILE] > request.pem

Makes a key, keeps it sealed here, and prints the signing request (PKCS#10) to send to the authority. Import what
they send back with postern cert import: it finds its key. With --replaces it takes that certificate's place, as
postern cert roll does. --list names the requests that wait for an answer, --print gives one of them once more. KIND is rsa2048 (the default), rsa3072,
rsa4096 or p256.

Exit codes: 0 made, 1 refused, 2 used wrongly.
Example: postern cert csr --domain direct.clinic.example > request.pem
`, runCertRequest},
		{"cert roll", "renew a certificate without a gap: publish, wait, then sign", `Usage: postern cert roll ID [--with NEW] [--days N] [--now [--force]] [--grace-days N] [-c FILE] [--json]

Begins to replace the certificate ID by one that the pilot authority makes, or by the stored one NEW. The new one is
published at once beside the old one; it signs when every answer given before has run out (the TTL of our DNS,
five minutes at least), by itself; the old one then leaves DNS and goes on decrypting for a grace of 30 days. Given
again, it says where the roll-over stands.

  --now          sign with the new one now; refused before the wait is over
  --force        … all the same
  --grace-days N how long the old one goes on decrypting, with --now

Exit codes: 0 begun, under way or done, 1 refused, 2 used wrongly.
Example: postern cert roll 1f0c9a77
`, runCertRoll},
		{"cert expiring", "what ends soon: ours, anchors, lists, signers, partners'", `Usage: postern cert expiring [--within DAYS] [-c FILE] [--json]

Lists our certificates, the anchors, the signers of bundles, the TLS certificate, revocation lists in use and the
certificates of partners we have written with that end within DAYS (60) or are over, and what to do about each. The
running gateway tells each domain's postmaster 60, 30, 14, 7, 3 and 1 days before, and at the end, once each.

Exit codes: 0 nothing ends, 1 something does, 2 used wrongly.
Example: postern cert expiring --within 30
`, runCertExpiring},
		{"cert watch", "how our publication and our partners stand, seen from outside", `Usage: postern cert watch [DOMAIN] [--now] [--all] [-c FILE] [--json]

The running gateway looks every 6 hours at what the world sees of our domains and whether the partners we write to
can be found, keeps what it saw, and tells the postmaster what has changed. This shows how it stands and since when.

  --now   look now
  --all   the whole history

Exit codes: 0 all is well, 1 something is not, 2 used wrongly.
Example: postern cert watch direct.partner.example --all
`, runCertWatch}}
}

func runCertRequest(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert csr")
	file, domain, address := configFlag(fs), fs.String("domain", "", ""), fs.String("address", "", "")
	list, asJSON, use, key := fs.Bool("list", false, ""), fs.Bool("json", false, ""), fs.String("use", "", ""), fs.String("key", "rsa2048", "")
	in, again := gateway.RequestArg{}, fs.String("print", "", "")
	fs.StringVar(&in.Organization, "organization", "", "")
	fs.StringVar(&in.Replaces, "replaces", "", "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "cert csr takes no operands")
	}
	if *list {
		return c.withSite(ctx, *file, func(call caller) error { return c.listRequests(ctx, call, *asJSON) })
	}
	if *again != "" {
		return c.withSite(ctx, *file, func(call caller) error { return c.printRequest(ctx, call, "cert.request_again", *again) })
	}
	in.Use, in.Algorithm = issue.Use(*use), issue.Algorithm(*key)
	given := 0
	for _, s := range []string{*domain, *address, in.Replaces} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		return usagef("give one of --domain, --address and --replaces")
	}
	var err error
	if in.Domain, err = parseDomain(*domain); err == nil && *address != "" {
		in.Address, err = addr.Parse(*address)
	}
	if err != nil {
		return usageError{err.Error()}
	}
	return c.withSite(ctx, *file, func(call caller) error { return c.printRequest(ctx, call, "cert.request", in) })
}

// printRequest prints a signing request; one that cannot be printed is kept.
func (c *console) printRequest(ctx context.Context, call caller, verb string, in any) error {
	var out gateway.Requested
	if err := call.ask(ctx, verb, in, &out); err != nil {
		return err
	}
	if err := pem.Encode(c.out, &pem.Block{Type: "CERTIFICATE REQUEST", Bytes: out.Request}); err != nil {
		return fmt.Errorf("the request is kept, but could not be written: %w: postern cert csr --print %s", err, out.ID)
	}
	return nil
}

func (c *console) listRequests(ctx context.Context, call caller, asJSON bool) error {
	var all []store.Request
	if err := call.ask(ctx, "cert.requests", struct{}{}, &all); err != nil {
		return err
	}
	for _, q := range all {
		if asJSON {
			if err := c.printJSON(struct {
				V int `json:"v"`
				store.Request
			}{1, q}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.out, "%s  %s %s  asked %s\n", q.ID, q.Domain, q.Address, q.Created.Local().Format(time.DateTime))
	}
	return nil
}

func runCertRoll(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert roll")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	in := gateway.RollArg{}
	fs.StringVar(&in.With, "with", "", "")
	fs.IntVar(&in.Days, "days", 0, "")
	fs.IntVar(&in.GraceDays, "grace-days", 0, "")
	fs.BoolVar(&in.Finish, "now", false, "")
	fs.BoolVar(&in.Force, "force", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give the id of one certificate (postern cert list)")
	}
	if in.ID = rest[0]; in.Days < 0 || in.Days > 1095 || in.GraceDays < 0 || in.GraceDays > 1095 {
		return usagef("--days and --grace-days are 1 to 1095")
	}
	if in.Force && !in.Finish {
		return usagef("--force goes with --now")
	}
	if in.GraceDays > 0 && !in.Finish {
		return usagef("--grace-days goes with --now: by itself the old certificate decrypts for 30 days more")
	}
	if in.Days > 0 && in.With != "" {
		return usagef("--days is for a new certificate; the one of --with has its own dates")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var r gateway.Roll
		if err := call.ask(ctx, "cert.roll", in, &r); err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(struct {
				V int `json:"v"`
				gateway.Roll
			}{1, r})
		}
		if r.Stage == gateway.StageSigning {
			fmt.Fprintf(c.out, "%s signs and is published; %s decrypts until %s\n", r.New[:16], r.Old[:16], r.DecryptsUntil.Format(time.DateOnly))
			return nil
		}
		fmt.Fprintf(c.out, "%s is published beside %s and signs from %s, by itself\n", r.New[:16], r.Old[:16], r.SignsFrom.UTC().Format(time.RFC3339))
		return nil
	})
}

func runCertExpiring(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert expiring")
	file, asJSON, days := configFlag(fs), fs.Bool("json", false, ""), fs.Int("within", 60, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 || *days < 0 {
		return orUsage(err, "cert expiring takes no operands; --within DAYS says how far ahead")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var all []gateway.End
		if err := call.ask(ctx, "cert.ends", gateway.EndsArg{Days: *days}, &all); err != nil {
			return err
		}
		for _, e := range all {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					gateway.End
				}{1, e}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%s  [%s]\n  to do: %s\n", e.Words, e.Domain, e.Remedy)
		}
		if len(all) > 0 {
			return errShown
		}
		if !*asJSON {
			fmt.Fprintf(c.out, "nothing ends within %d days\n", *days)
		}
		return nil
	})
}

func runCertWatch(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert watch")
	file, asJSON, now := configFlag(fs), fs.Bool("json", false, ""), fs.Bool("now", false, "")
	in := gateway.OutwardArg{}
	fs.BoolVar(&in.All, "all", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) > 1 {
		return orUsage(err, "give one domain at most")
	}
	if len(rest) == 1 {
		if in.Domain, err = parseDomain(rest[0]); err != nil {
			return err
		}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		if *now {
			if err := call.ask(ctx, "outward.look", in, nil); err != nil {
				return err
			}
		}
		var all []gateway.Seen
		if err := call.ask(ctx, "outward.show", in, &all); err != nil {
			return err
		}
		bad := false
		for _, s := range all {
			bad = bad || s.Verdict == "bad" || s.Verdict == "unknown"
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					gateway.Seen
				}{1, s}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%-8s %s\n", s.Verdict, s.Words)
			if s.Remedy != "" && s.Verdict != "good" {
				fmt.Fprintf(c.out, "         → %s\n", s.Remedy)
			}
		}
		if bad && !in.All {
			return errShown
		}
		if len(all) == 0 && !*asJSON {
			fmt.Fprintln(c.out, "nothing has been looked at yet: --now looks now")
		}
		return nil
	})
}
