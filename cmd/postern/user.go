package main

import (
	"context"
	"fmt"

	"postern/gateway"
	"postern/gateway/store"
)

func userCommands() []command {
	return []command{
		{"user add", "add a login for submission", `Usage: postern user add LOGIN --address A [--address A]... [--password-file FILE] [-c FILE]

A mail client or EHR that logs in may send from the addresses given here and no others. The password (at
least 12 characters) comes from --password-file ("-" is standard input) or $POSTERN_USER_PASSWORD.

Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern user add ehr --address referrals@direct.clinic.example --password-file ehr.pw
`, runUserAdd},
		{"user list", "list the logins and their addresses", `Usage: postern user list [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern user list
`, runUserList},
		{"user remove", "remove a login", `Usage: postern user remove LOGIN [-c FILE]

Exit codes: 0 removed, 1 refused, 2 used wrongly.
Example: postern user remove ehr
`, runUserRemove},
	}
}

// minPassword is the shortest password taken, in octets: these guard machine logins.
const minPassword = 12

func runUserAdd(ctx context.Context, c *console, args []string) error {
	fs := c.flags("user add")
	file, pw := configFlag(fs), fs.String("password-file", "", "")
	var list listFlag
	fs.Var(&list, "address", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 || len(list) == 0 {
		return orUsage(err, "give one login and at least one --address")
	}
	in := gateway.UserAdd{Login: rest[0]}
	if in.Addresses, err = addresses(list); err != nil {
		return err
	}
	if in.Password, err = c.secret(*pw, "POSTERN_USER_PASSWORD"); err != nil {
		return err
	}
	if len(in.Password) < minPassword {
		return usagef("a password of at least %d characters is needed: --password-file FILE or $POSTERN_USER_PASSWORD", minPassword)
	}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "user.add", in, nil) })
}

func runUserList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("user list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "user list takes no operands")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var all []store.Account
		if err := call.ask(ctx, "user.list", struct{}{}, &all); err != nil {
			return err
		}
		for _, a := range all {
			if !*asJSON {
				fmt.Fprintf(c.out, "%-30s %v\n", a.Login, a.Addresses)
				continue
			}
			if err := c.printJSON(map[string]any{"v": 1, "login": a.Login, "addresses": a.Addresses}); err != nil {
				return err
			}
		}
		return nil
	})
}

func runUserRemove(ctx context.Context, c *console, args []string) error {
	fs := c.flags("user remove")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one login")
	}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "user.remove", rest[0], nil) })
}
