package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"postern/gateway"
	"postern/gateway/store"
	"postern/smime/addr"
)

// edgeFlags are the flags that describe a destination.
type edgeFlags struct {
	inbox, edge, tls, login, passwordFile *string
}

func destinationFlags(fs *flag.FlagSet) edgeFlags {
	return edgeFlags{fs.String("inbox", "", ""), fs.String("edge", "", ""), fs.String("edge-tls", "", ""),
		fs.String("edge-login", "", ""), fs.String("edge-password-file", "", "")}
}

func (f edgeFlags) edgeOptions(c *console) (*gateway.EdgeOptions, error) {
	if *f.edge == "" {
		if *f.login != "" || *f.tls != "" || *f.passwordFile != "" {
			return nil, usagef("--edge-login, --edge-tls and --edge-password-file go with --edge HOST:PORT")
		}
		return nil, nil
	}
	e := &gateway.EdgeOptions{Server: *f.edge, TLS: *f.tls, Login: *f.login}
	if e.Login != "" {
		p, err := c.secret(*f.passwordFile, "POSTERN_EDGE_PASSWORD")
		if err != nil {
			return nil, err
		}
		if p == "" {
			return nil, usagef("--edge-login needs a password: --edge-password-file FILE or $POSTERN_EDGE_PASSWORD")
		}
		e.Password = p
	}
	return e, nil
}

const destinationHelp = `  --inbox NAME               the inbox mail goes to
  --edge HOST:PORT           an SMTP server of ours (an EHR, Exchange) that takes it as plain MIME
  --edge-tls MODE            required (default), implicit, opportunistic or none
  --edge-login LOGIN         log in there; the password comes from --edge-password-file FILE or $POSTERN_EDGE_PASSWORD
`

func domainCommands() []command {
	return []command{
		{"domain add", "host a health domain", `Usage: postern domain add D [-c FILE] [--inbox NAME | --edge HOST:PORT] [--catch-all] [--postmaster WHO]

Hosts the health domain D. An inbox or edge given here serves its addresses that name none themselves.

` + destinationHelp + `  --catch-all                take mail for every address of the domain
  --postmaster WHO           who gets postmaster@D: an inbox (default: postmaster) or an address of ours
  --legacy                   accept SHA-1 signatures and 3DES from peers (audited; off by default)
  --lax PARTNER              accept from this sender domain messages whose envelope differs from their header (may be repeated)
  --org ORG                  whose domain it is, by name or id; default the first organisation
  --consume-mdn              do not hand processed notices to the SMTP edge

Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern domain add direct.clinic.example
`, runDomainAdd},
		{"domain list", "list the health domains hosted here", `Usage: postern domain list [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern domain list --json
`, runDomainList},
		{"domain remove", "stop hosting a health domain", `Usage: postern domain remove D [-c FILE]

The domain must have no addresses but postmaster and no mail in the queue. Its certificates still decrypt.

Exit codes: 0 removed, 1 refused, 2 used wrongly.
Example: postern domain remove direct.old.example
`, runDomainRemove},
		{"address add", "add an address", `Usage: postern address add ADDRESS [-c FILE] [--inbox NAME | --edge HOST:PORT]

Adds an address of a health domain hosted here. Without a destination it is the domain's, and where that
has none an inbox named like the local part.

` + destinationHelp + `
Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern address add referrals@direct.clinic.example --inbox referrals
`, runAddressAdd},
		{"address alias", "make an address another name of one of ours", `Usage: postern address alias ALIAS ADDRESS [-c FILE]

Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern address alias intake@direct.clinic.example referrals@direct.clinic.example
`, runAddressAlias},
		{"address import", "add addresses from a CSV file, all or none", `Usage: postern address import FILE.csv [-c FILE]

The file's first line names its columns: address, and any of inbox, alias, edge. Up to 10,000 lines.

Exit codes: 0 added, 1 refused (the line is named, nothing was added), 2 used wrongly.
Example: printf 'address,inbox\njo@direct.clinic.example,front-desk\n' > a.csv && postern address import a.csv
`, runAddressImport},
		{"address list", "list addresses and where each is delivered", `Usage: postern address list [D] [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern address list direct.clinic.example
`, runAddressList},
		{"address remove", "end an address; what it received stays", `Usage: postern address remove ADDRESS [-c FILE]

Exit codes: 0 removed, 1 refused, 2 used wrongly.
Example: postern address remove old@direct.clinic.example
`, runAddressRemove},
	}
}

func runDomainAdd(ctx context.Context, c *console, args []string) error {
	fs := c.flags("domain add")
	file, dest := configFlag(fs), destinationFlags(fs)
	var lax listFlag
	fs.Var(&lax, "lax", "")
	in := gateway.DomainAdd{}
	fs.BoolVar(&in.CatchAll, "catch-all", false, "")
	fs.BoolVar(&in.Legacy, "legacy", false, "")
	fs.BoolVar(&in.ConsumeMDN, "consume-mdn", false, "")
	fs.StringVar(&in.Org, "org", "", "")
	fs.StringVar(&in.Postmaster, "postmaster", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one domain")
	}
	if in.Domain, err = addr.ParseDomain(rest[0]); err != nil {
		return usageError{err.Error()}
	}
	in.Lax, in.Inbox = lax, *dest.inbox
	if in.Edge, err = dest.edgeOptions(c); err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error {
		if err := call.ask(ctx, "domain.add", in, nil); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s is hosted. It trusts nobody yet: postern trust anchor add FILE --domain %s\n", in.Domain, in.Domain)
		return nil
	})
}

func runDomainList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("domain list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "domain list takes no operands")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var ds []store.Domain
		if err := call.ask(ctx, "domain.list", struct{}{}, &ds); err != nil {
			return err
		}
		for _, d := range ds {
			if d.Destination.Edge != nil {
				d.Destination.Edge.Password = nil
			}
			if *asJSON {
				if err := c.printJSON(map[string]any{"v": 1, "domain": d.Name, "postmaster": d.Postmaster, "destination": d.Destination, "settings": d.Settings}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%-40s %-30s postmaster: %s\n", d.Name, d.Destination, d.Postmaster)
		}
		return nil
	})
}

func runDomainRemove(ctx context.Context, c *console, args []string) error {
	fs := c.flags("domain remove")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one domain")
	}
	d, err := addr.ParseDomain(rest[0])
	if err != nil {
		return usageError{err.Error()}
	}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "domain.remove", d, nil) })
}

func runAddressAdd(ctx context.Context, c *console, args []string) error {
	fs := c.flags("address add")
	file, dest := configFlag(fs), destinationFlags(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one address")
	}
	in := gateway.AddressAdd{Inbox: *dest.inbox}
	if in.Address, err = addr.Parse(rest[0]); err != nil {
		return usageError{err.Error()}
	}
	if in.Edge, err = dest.edgeOptions(c); err != nil {
		return err
	}
	return c.addAddresses(ctx, *file, []gateway.AddressAdd{in})
}

func runAddressAlias(ctx context.Context, c *console, args []string) error {
	fs := c.flags("address alias")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 2 {
		return orUsage(err, "give the alias and the address it stands for")
	}
	a, err := addr.Parse(rest[0])
	if err != nil {
		return usageError{err.Error()}
	}
	return c.addAddresses(ctx, *file, []gateway.AddressAdd{{Address: a, Alias: rest[1]}})
}

func (c *console) addAddresses(ctx context.Context, file string, in []gateway.AddressAdd) error {
	return c.withSite(ctx, file, func(call caller) error {
		if err := call.ask(ctx, "address.add", in, nil); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "added %d\n", len(in))
		return nil
	})
}

// maxImport is how many lines one import may have.
const maxImport = 10000

func runAddressImport(ctx context.Context, c *console, args []string) error {
	fs := c.flags("address import")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one CSV file")
	}
	text, err := readFile(rest[0], maxAddressFile)
	if err != nil {
		return err
	}
	in, err := readAddresses(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", rest[0], err)
	}
	return c.addAddresses(ctx, *file, in)
}

// maxAddressFile bounds a list of addresses, in octets.
const maxAddressFile = 4 << 20

func readAddresses(f io.Reader) ([]gateway.AddressAdd, error) {
	r := csv.NewReader(f)
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty: line 1 must name the columns (address, inbox, alias, edge)")
	}
	if err != nil {
		return nil, fmt.Errorf("line 1 must name the columns (address, inbox, alias, edge): %w", err)
	}
	column := map[string]int{}
	for i, name := range head {
		switch name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))); name {
		case "address", "inbox", "alias", "edge":
			column[name] = i
		default:
			return nil, fmt.Errorf("line 1: unknown column %.60q; known are address, inbox, alias, edge", name)
		}
	}
	if _, ok := column["address"]; !ok {
		return nil, errors.New("line 1: no column is named address")
	}
	var out []gateway.AddressAdd
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err // names the line
		}
		line, _ := r.FieldPos(0)
		get := func(name string) string {
			if i, ok := column[name]; ok {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		a, err := addr.Parse(get("address"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		add := gateway.AddressAdd{Address: a, Inbox: get("inbox"), Alias: get("alias")}
		if e := get("edge"); e != "" {
			add.Edge = &gateway.EdgeOptions{Server: e}
		}
		if out = append(out, add); len(out) > maxImport {
			return nil, fmt.Errorf("more than %d lines", maxImport)
		}
	}
}

func runAddressList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("address list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) > 1 {
		return orUsage(err, "give at most one domain")
	}
	var d addr.Domain
	if len(rest) == 1 {
		if d, err = addr.ParseDomain(rest[0]); err != nil {
			return usageError{err.Error()}
		}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var as []store.Address
		if err := call.ask(ctx, "address.list", d, &as); err != nil {
			return err
		}
		for _, a := range as {
			if *asJSON {
				if err := c.printJSON(map[string]any{"v": 1, "address": a.Address, "destination": a.Destination.String(), "since": a.Since}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%-45s %s\n", a.Address, a.Destination)
		}
		return nil
	})
}

func runAddressRemove(ctx context.Context, c *console, args []string) error {
	fs := c.flags("address remove")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one address")
	}
	a, err := addr.Parse(rest[0])
	if err != nil {
		return usageError{err.Error()}
	}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "address.remove", a, nil) })
}
