package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/store"
	"postern/trust/bundle"
)

func anchorCommands() []command {
	return []command{
		{"trust anchor add", "trust an anchor for a domain of ours", `Usage: postern trust anchor add FILE... --domain D [--incoming | --outgoing] [--leaf] [--look] [--days N] [-c FILE] [--json]

Makes the certificates in the files (PEM, DER, PKCS#7, or several of them in one file) trust anchors of the
health domain D: for mail it receives (--incoming), for mail it sends (--outgoing), or for both when neither
is given. It bites at once. What a file holds that cannot be an anchor is named and left out.

  --look     say whom it would let in, held against the decisions of the last N days (90), and add nothing
  --leaf     take end-entity certificates too: each approves only itself
  --json     one JSON object: "v", "anchors", "findings", "touched"
` + asHelp + `
Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern trust anchor add partner.pem --domain direct.clinic.example
`, runAnchorAdd},
		{"trust anchor list", "list the anchors of our domains", `Usage: postern trust anchor list [--domain D] [-c FILE] [--json]

Lists those added by hand and those that bundles bring.

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern trust anchor list
`, runAnchorList},
		{"trust anchor remove", "stop trusting an anchor", `Usage: postern trust anchor remove FINGERPRINT --domain D [--look] [--days N] [-c FILE] [--json]

FINGERPRINT is the anchor's SHA-256, or its first 8 digits or more. What it alone vouched for is refused from
the moment the command returns. postern trust undo puts it back.

  --look     say which partners and how many messages of the last N days (90) it touches, and remove nothing

Exit codes: 0 removed, 1 refused, 2 used wrongly.
Example: postern trust anchor remove 9c1e2a44 --domain direct.clinic.example
`, runAnchorRemove},
		{"trust anchor block", "do not believe an anchor, whatever bundle brings it", `Usage: postern trust anchor block FINGERPRINT --domain D (--why TEXT | --off) [-c FILE]

For an anchor of a bundle that this one domain does not want: the others of the bundle stay. --off ends it.

Exit codes: 0 done, 1 refused, 2 used wrongly.
Example: postern trust anchor block 9c1e2a44 --domain direct.clinic.example --why "key stolen, told by telephone"
`, runAnchorBlock},
	}
}

func runAnchorAdd(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust anchor add")
	file, domain, asJSON := c.trustConfig(fs), fs.String("domain", "", ""), fs.Bool("json", false, "")
	in := gateway.AnchorAdd{}
	fs.BoolVar(&in.Incoming, "incoming", false, "")
	fs.BoolVar(&in.Outgoing, "outgoing", false, "")
	fs.BoolVar(&in.AllowLeaf, "leaf", false, "")
	fs.BoolVar(&in.Look, "look", false, "")
	fs.IntVar(&in.Days, "days", gateway.DefaultDays, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) == 0 || *domain == "" {
		return orUsage(err, "give one file or more and --domain")
	}
	if in.Domain, err = parseDomain(*domain); err != nil {
		return err
	}
	if err := checkDays(in.Days); err != nil {
		return err
	}
	if !in.Incoming && !in.Outgoing {
		in.Incoming, in.Outgoing = true, true
	}
	files, err := readAnchors(rest, in.AllowLeaf)
	if err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var out gateway.AnchorAdded
		if err := call(ctx, "anchor.add", in, bytes.NewReader(files), &out, nil); err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(struct {
				V int `json:"v"`
				gateway.AnchorAdded
			}{1, out})
		}
		for _, a := range out.Anchors {
			c.printAnchor(a)
		}
		c.printFindings(out.Findings)
		if in.Look || out.Touched.WonN+out.Touched.LostN > 0 {
			c.printTouched(out.Touched, !in.Look)
		}
		return nil
	})
}

// readAnchors reads each file by itself, so that a fault names it, and puts what is good one behind the other.
func readAnchors(names []string, leaf bool) ([]byte, error) {
	var all []byte
	for _, name := range names {
		b, err := readFile(name, bundle.MaxOctets)
		if err != nil {
			return nil, err
		}
		got, err := bundle.Parse(b, bundle.Options{Time: time.Now(), AllowLeaves: leaf})
		if err != nil {
			remedy := ""
			if bundle.ReasonOf(err) == bundle.Empty {
				remedy = "; a certificate that is not an authority's would as an anchor approve only itself: --leaf allows it"
			}
			return nil, fmt.Errorf("%s: %w%s", name, err, remedy)
		}
		if len(names) == 1 {
			return b, nil // with what it holds besides, to be named
		}
		for _, cert := range got.Certs {
			all = append(all, cert.Raw...)
		}
	}
	return all, nil
}

func (c *console) printAnchor(a store.Anchor) {
	way := "incoming and outgoing"
	if !a.Outgoing {
		way = "incoming only"
	} else if !a.Incoming {
		way = "outgoing only"
	}
	more := ""
	if a.Source != store.Manual && a.Source != "" {
		more += "  (" + a.Source + ")"
	}
	if a.Blocked != "" {
		more += "  NOT BELIEVED: " + a.Blocked
	}
	if a.Fault != "" {
		more += "  UNUSABLE: " + a.Fault
	}
	fmt.Fprintf(c.out, "%s  %s  %-22s until %s  %s%s\n", a.Fingerprint[:16], a.Domain, way, a.Expires.Format(time.DateOnly), a.Subject, more)
}

func runAnchorList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust anchor list")
	file, domain, asJSON := configFlag(fs), fs.String("domain", "", ""), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "trust anchor list takes no operands; --domain D narrows it")
	}
	d, err := parseDomain(*domain)
	if err != nil {
		return err
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
	file, domain, asJSON := c.trustConfig(fs), fs.String("domain", "", ""), fs.Bool("json", false, "")
	in := gateway.AnchorArg{}
	fs.BoolVar(&in.Look, "look", false, "")
	fs.IntVar(&in.Days, "days", gateway.DefaultDays, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 || *domain == "" {
		return orUsage(err, "give one fingerprint and --domain")
	}
	if in.Domain, err = parseDomain(*domain); err != nil {
		return err
	}
	if err := checkDays(in.Days); err != nil {
		return err
	}
	in.Fingerprint = strings.ToLower(rest[0])
	return c.withSite(ctx, *file, func(call caller) error {
		var t gateway.Touched
		if err := call.ask(ctx, "anchor.remove", in, &t); err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(struct {
				V int `json:"v"`
				gateway.Touched
			}{1, t})
		}
		c.printTouched(t, !in.Look)
		return nil
	})
}

func runAnchorBlock(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust anchor block")
	file, domain, off := c.trustConfig(fs), fs.String("domain", "", ""), fs.Bool("off", false, "")
	in := gateway.AnchorArg{}
	fs.StringVar(&in.Why, "why", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 || *domain == "" || (in.Why == "") != *off {
		return orUsage(err, "give one fingerprint, --domain, and --why TEXT or --off")
	}
	if in.Domain, err = parseDomain(*domain); err != nil {
		return err
	}
	in.Fingerprint = rest[0]
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "anchor.block", in, nil) })
}
