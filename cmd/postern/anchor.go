package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/store"
	"postern/smime/addr"
)

func anchorCommands() []command {
	return []command{
		{"trust anchor add", "trust an anchor for a domain of ours", `Usage: postern trust anchor add FILE... --domain D [--incoming | --outgoing] [--leaf] [-c FILE]

Makes the certificates in the files (PEM or DER) trust anchors of the health domain D: for mail it receives
(--incoming), for mail it sends (--outgoing), or for both when neither is given. It bites at once.

Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern trust anchor add partner.pem --domain direct.clinic.example
`, runAnchorAdd},
		{"trust anchor list", "list the anchors of our domains", `Usage: postern trust anchor list [--domain D] [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern trust anchor list
`, runAnchorList},
		{"trust anchor remove", "stop trusting an anchor", `Usage: postern trust anchor remove FINGERPRINT --domain D [-c FILE]

FINGERPRINT is the anchor's SHA-256, or its first 8 digits or more. What it alone vouched for is refused from
the moment the command returns.

Exit codes: 0 removed, 1 refused, 2 used wrongly.
Example: postern trust anchor remove 9c1e2a44 --domain direct.clinic.example
`, runAnchorRemove},
	}
}

func runAnchorAdd(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust anchor add")
	file, domain := configFlag(fs), fs.String("domain", "", "")
	in := gateway.AnchorAdd{}
	fs.BoolVar(&in.Incoming, "incoming", false, "")
	fs.BoolVar(&in.Outgoing, "outgoing", false, "")
	fs.BoolVar(&in.AllowLeaf, "leaf", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) == 0 || *domain == "" {
		return orUsage(err, "give one file or more and --domain")
	}
	if in.Domain, err = addr.ParseDomain(*domain); err != nil {
		return usageError{err.Error()}
	}
	if !in.Incoming && !in.Outgoing {
		in.Incoming, in.Outgoing = true, true
	}
	for _, name := range rest {
		ders, err := readCertificates(name)
		if err != nil {
			return err
		}
		in.Certificates = append(in.Certificates, ders...)
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var added []store.Anchor
		if err := call.ask(ctx, "anchor.add", in, &added); err != nil {
			return err
		}
		for _, a := range added {
			c.printAnchor(a)
		}
		return nil
	})
}

func (c *console) printAnchor(a store.Anchor) {
	way := "incoming and outgoing"
	if !a.Outgoing {
		way = "incoming only"
	} else if !a.Incoming {
		way = "outgoing only"
	}
	fmt.Fprintf(c.out, "%s  %s  %-22s until %s  %s\n", a.Fingerprint[:16], a.Domain, way, a.Expires.Format(time.DateOnly), a.Subject)
}

func runAnchorList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust anchor list")
	file, domain, asJSON := configFlag(fs), fs.String("domain", "", ""), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "trust anchor list takes no operands; --domain D narrows it")
	}
	var d addr.Domain
	if *domain != "" {
		var err error
		if d, err = addr.ParseDomain(*domain); err != nil {
			return usageError{err.Error()}
		}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var all []store.Anchor
		if err := call.ask(ctx, "anchor.list", d, &all); err != nil {
			return err
		}
		for _, a := range all {
			if !*asJSON {
				c.printAnchor(a)
				continue
			}
			if err := c.printJSON(struct {
				V int `json:"v"`
				store.Anchor
			}{1, a}); err != nil {
				return err
			}
		}
		return nil
	})
}

func runAnchorRemove(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust anchor remove")
	file, domain := configFlag(fs), fs.String("domain", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 || *domain == "" {
		return orUsage(err, "give one fingerprint and --domain")
	}
	d, err := addr.ParseDomain(*domain)
	if err != nil {
		return usageError{err.Error()}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		return call.ask(ctx, "anchor.remove", gateway.AnchorArg{Domain: d, Fingerprint: strings.ToLower(rest[0])}, nil)
	})
}
