package main

import (
	"context"
	"fmt"
	"strings"

	"postern/gateway"
)

func orgCommands() []command {
	return []command{
		{"org add", "host another organisation on this gateway", `Usage: postern org add NAME [-c FILE] [--json]

Makes an organisation with a key, people, domains and messages of its own. Neither sees anything of the other.
Give it domains with ` + "`postern domain add D --org NAME`" + ` and people with ` + "`postern person add LOGIN --org NAME`" + `; they sign
in as LOGIN@D.

Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern org add "Lakeside Imaging"
`, runOrgAdd},
		{"org list", "list the organisations, their domains and how many people", `Usage: postern org list [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern org list
`, runOrgList},
		{"org rename", "give an organisation another name", `Usage: postern org rename ORG NAME [-c FILE]

ORG is the name or id it has now. The name is what its people see above their pages.

Exit codes: 0 renamed, 1 refused, 2 used wrongly.
Example: postern org rename direct.clinic.example "Riverside Cardiology"
`, runOrgRename},
		{"org sso", "let an organisation's people sign in at their own provider (OpenID Connect)", `Usage: postern org sso ORG --issuer URL --client-id ID [--client-secret-file FILE] [-c FILE]
       postern org sso ORG --off [-c FILE]

People sign in at the provider; the first time, the claim names whom they are here, and from then on the provider's
subject does. Register PUBLIC-URL/sign-in/single/back there as the address people come back to.

  --issuer URL               https address of the provider
  --client-id ID             what the provider calls this gateway
  --client-secret-file FILE  its secret; $POSTERN_CLIENT_SECRET otherwise; none for a public client
  --claim NAME               preferred_username (default), or email, which the provider must have verified
  --suffix @DOMAIN           must end the claim, and is cut off to give the sign-in name
  --off                      end single sign-on; passwords stay

Exit codes: 0 done, 1 refused, 2 used wrongly.
Example: postern org sso "Riverside Cardiology" --issuer https://login.riverside.example --client-id postern --client-secret-file s --suffix @riverside.example
`, runOrgSSO},
	}
}

func runOrgAdd(ctx context.Context, c *console, args []string) error {
	fs := c.flags("org add")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one name")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var made gateway.OrgLine
		if err := call.ask(ctx, "org.add", rest[0], &made); err != nil {
			return err
		}
		return c.showOrg(made, *asJSON)
	})
}

func (c *console) showOrg(o gateway.OrgLine, asJSON bool) error {
	if asJSON {
		return c.printJSON(struct {
			V int `json:"v"`
			gateway.OrgLine
		}{1, o})
	}
	fmt.Fprintf(c.out, "%-16s %-32s %4d people  %s\n", o.ID, o.Name, o.People, strings.Join(o.Domains, " "))
	return nil
}

func runOrgList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("org list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "org list takes no operands")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var all []gateway.OrgLine
		if err := call.ask(ctx, "org.list", struct{}{}, &all); err != nil {
			return err
		}
		for _, o := range all {
			if err := c.showOrg(o, *asJSON); err != nil {
				return err
			}
		}
		return nil
	})
}

func runOrgRename(ctx context.Context, c *console, args []string) error {
	fs := c.flags("org rename")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 2 {
		return orUsage(err, "give the organisation and its new name")
	}
	in := gateway.OrgRename{Org: rest[0], Name: rest[1]}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "org.rename", in, nil) })
}

func runOrgSSO(ctx context.Context, c *console, args []string) error {
	fs := c.flags("org sso")
	file, off, secret := configFlag(fs), fs.Bool("off", false, ""), fs.String("client-secret-file", "", "")
	var in gateway.SSOArg
	fs.StringVar(&in.Issuer, "issuer", "", "")
	fs.StringVar(&in.Client, "client-id", "", "")
	fs.StringVar(&in.Claim, "claim", "", "")
	fs.StringVar(&in.Suffix, "suffix", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 || *off != (in.Issuer == "") || !*off && in.Client == "" {
		return orUsage(err, "give the organisation with --issuer and --client-id, or with --off")
	}
	in.Org = rest[0]
	if in.Secret, err = c.secret(*secret, "POSTERN_CLIENT_SECRET"); err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "org.sso", in, nil) })
}
