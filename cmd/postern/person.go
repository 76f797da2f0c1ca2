package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postern/gateway"
)

const passwordHelp = `  --password-file FILE       take the password from a file ("-" is standard input)
  --password-prompt          ask for it twice at the terminal
                             With neither, a link is printed by which the person chooses a password: it works once,
                             for three days, and whoever has it may use it.
`

func personCommands() []command {
	return []command{
		{"person add", "add a person who signs in to the web pages", `Usage: postern person add LOGIN --name NAME --role ROLE [--admin] [-c FILE]

Adds a person to the clinic's staff. The first administrator is made this way; no account and no password is
there by itself.

  --role ROLE                physician, nurse, medical_assistant, front_desk, manager or trust_administrator
  --admin                    administers the organisation too: a physician who does it all, for one
  --title TITLE              "MD", "Referral coordinator"
  --zone ZONE                time zone times are shown in, as America/Chicago; default UTC
  --org ORG                  organisation, by name or id; default the first
` + passwordHelp + `  --json                     the person, and the link, as JSON

Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern person add dana --name "Dana Reyes" --role manager --zone America/Chicago
`, runPersonAdd},
		{"person list", "list the people and their roles", `Usage: postern person list [--org ORG] [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern person list
`, runPersonList},
		{"person reset", "give a person a new password, also the last administrator", `Usage: postern person reset LOGIN [--factors] [--org ORG] [-c FILE]

Sets a new password, or prints a link by which the person chooses one. All of their browsers are signed out once
the new password is there. It works on this machine for whoever may use the gateway's data directory.

  --factors                  also remove one-time codes, passkeys and recovery codes: for who lost them
  --org ORG                  organisation, by name or id; default the first
` + passwordHelp + `  --json                     the person, and the link, as JSON

Exit codes: 0 done, 1 refused, 2 used wrongly.
Example: postern person reset dana --factors
`, runPersonReset},
		{"person disable", "shut a person out, or let them in again", `Usage: postern person disable LOGIN [--undo] [--org ORG] [-c FILE]

The person is signed out at once and can do nothing; what they did stays theirs. --undo lets them in again.

Exit codes: 0 done, 1 refused, 2 used wrongly.
Example: postern person disable sam
`, runPersonDisable},
		{"person sign-out", "sign a person out of every browser", `Usage: postern person sign-out LOGIN [--org ORG] [-c FILE]

Ends every session of the person at once: for a lost laptop or telephone. The password and second proofs stay;
person reset gives new ones. In the browser an administrator does the same, or ends a single session, under
Settings, People.

Exit codes: 0 signed out, 1 refused, 2 used wrongly.
Example: postern person sign-out sam
`, runPersonSignOut},
		{"person role", "change a person's role", `Usage: postern person role LOGIN [ROLE] [--admin | --no-admin] [--org ORG] [-c FILE]

  --admin, --no-admin        whether the person administers the organisation besides the role

Exit codes: 0 changed, 1 refused, 2 used wrongly.
Example: postern person role sam nurse --no-admin
`, runPersonRole},
	}
}

func runPersonAdd(ctx context.Context, c *console, args []string) error {
	fs := c.flags("person add")
	file, asJSON, admin := configFlag(fs), fs.Bool("json", false, ""), fs.Bool("admin", false, "")
	pw := passwordFlags{fs.String("password-file", "", ""), fs.Bool("password-prompt", false, "")}
	var in gateway.PersonArg
	fs.StringVar(&in.Name, "name", "", "")
	fs.StringVar(&in.Role, "role", "", "")
	fs.StringVar(&in.Title, "title", "", "")
	fs.StringVar(&in.Zone, "zone", "", "")
	fs.StringVar(&in.Org, "org", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 || in.Name == "" || in.Role == "" {
		return orUsage(err, "give one sign-in name, --name and --role")
	}
	in.Login, in.Admin = rest[0], admin
	if in.Password, err = pw.read(c); err != nil {
		return err
	}
	return c.makePerson(ctx, *file, "person.add", in, *asJSON)
}

func runPersonReset(ctx context.Context, c *console, args []string) error {
	fs := c.flags("person reset")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	pw := passwordFlags{fs.String("password-file", "", ""), fs.Bool("password-prompt", false, "")}
	var in gateway.PersonArg
	fs.StringVar(&in.Org, "org", "", "")
	fs.BoolVar(&in.Factors, "factors", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one sign-in name")
	}
	in.Login = rest[0]
	if in.Password, err = pw.read(c); err != nil {
		return err
	}
	return c.makePerson(ctx, *file, "person.reset", in, *asJSON)
}

// makePerson adds or resets a person and shows the link where there is one.
func (c *console) makePerson(ctx context.Context, file, verb string, in gateway.PersonArg, asJSON bool) error {
	return c.withSite(ctx, file, func(call caller) error {
		var made gateway.PersonMade
		if err := call.ask(ctx, verb, in, &made); err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(struct {
				V int `json:"v"`
				gateway.PersonMade
			}{1, made})
		}
		if made.Link != "" {
			fmt.Fprintf(c.out, "%s chooses a password here, once, until %s:\n%s\n", made.Name, made.Ends.Format(time.RFC3339), made.Link)
		}
		return nil
	})
}

func runPersonList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("person list")
	file, asJSON, org := configFlag(fs), fs.Bool("json", false, ""), fs.String("org", "", "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "person list takes no operands")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var all []gateway.PersonLine
		if err := call.ask(ctx, "person.list", *org, &all); err != nil {
			return err
		}
		for _, p := range all {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					gateway.PersonLine
				}{1, p}); err != nil {
					return err
				}
				continue
			}
			role := p.Role.Words()
			if p.Admin {
				role += ", administers"
			}
			state := strings.Join(p.Factors, " ")
			if p.Disabled {
				state = "disabled"
			}
			fmt.Fprintf(c.out, "%-20s %-28s %-34s %-24s %s\n", p.Login, p.Name, role, p.OrgName, state)
		}
		return nil
	})
}

func runPersonDisable(ctx context.Context, c *console, args []string) error {
	fs := c.flags("person disable")
	file, undo, org := configFlag(fs), fs.Bool("undo", false, ""), fs.String("org", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one sign-in name")
	}
	in := gateway.PersonArg{Org: *org, Login: rest[0], Disabled: !*undo}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "person.disable", in, nil) })
}

func runPersonSignOut(ctx context.Context, c *console, args []string) error {
	fs := c.flags("person sign-out")
	file, org := configFlag(fs), fs.String("org", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one sign-in name")
	}
	in := gateway.PersonArg{Org: *org, Login: rest[0]}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "person.sign_out", in, nil) })
}

func runPersonRole(ctx context.Context, c *console, args []string) error {
	fs := c.flags("person role")
	file, org := configFlag(fs), fs.String("org", "", "")
	admin, not := fs.Bool("admin", false, ""), fs.Bool("no-admin", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) < 1 || len(rest) > 2 || *admin && *not || len(rest) == 1 && !*admin && !*not {
		return orUsage(err, "give one sign-in name, and a role, --admin or --no-admin")
	}
	in := gateway.PersonArg{Org: *org, Login: rest[0]}
	if len(rest) == 2 {
		in.Role = rest[1]
	}
	if *admin || *not {
		in.Admin = admin
	}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "person.role", in, nil) })
}
