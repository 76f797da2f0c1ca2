package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/gateway"
	"postern/trust/bundle"
)

// heldGroupCommands look at refused mail by cause and partner, and let it in.
func heldGroupCommands() []command {
	return []command{
		{"held groups", "refused senders, grouped by cause and partner", `Usage: postern held groups [-c FILE] [--json]

For each cause, partner and domain of ours: how many messages are held, from whom, since when, what the cause means,
what to do and who must. Nothing of their content is shown: nothing of it is known.

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern held groups
`, runHeldGroups},
		{"held trust", "see what an anchor would let in of held mail, then trust it", `Usage: postern held trust GROUP [--anchor FINGERPRINT | --file FILE] [--incoming-only] [--apply [--release]] [--days N] [-c FILE] [--json]

Without an anchor: which authorities at hand (sent along, in a bundle, an anchor of another domain of ours) would
vouch for the group. With one: which held messages, of every group, it would let in, and what of the last N days (90)
it would turn. --apply makes it an anchor of the domain, in both directions unless --incoming-only; --release then
releases what passes: every check is made again. GROUP is that of postern held groups, or a held message's id.

Before you trust an authority, make sure by telephone that the partner's is this one: anybody can make one of any name.

` + asHelp + `
Exit codes: 0 shown or done, 1 refused, or nobody would vouch, 2 used wrongly.
Example: postern held trust g-52fa0b1c77 --anchor 9c1e2a44 --apply --release
`, runHeldTrust},
	}
}

func runHeldGroups(ctx context.Context, c *console, args []string) error {
	fs := c.flags("held groups")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "held groups takes no operands")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var all []gateway.HeldGroup
		if err := call.ask(ctx, "held.groups", struct{}{}, &all); err != nil {
			return err
		}
		for _, g := range all {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					gateway.HeldGroup
				}{1, g}); err != nil {
					return err
				}
				continue
			}
			c.printHeldGroup(g)
		}
		return nil
	})
}

func (c *console) printHeldGroup(g gateway.HeldGroup) {
	partner := g.Partner
	if g.Claimed {
		partner += " (as it says; no signature proves it)"
	}
	fmt.Fprintf(c.out, "%s  %s from %s to %s: %s\n", g.Group, many(int64(g.Messages), "message"), partner, g.Domain, g.Reason)
	fmt.Fprintf(c.out, "  from     %s\n  held     since %s, last %s; the first is let go on %s\n", strings.Join(g.Senders, ", "), g.First.Local().Format(time.DateTime),
		g.Last.Local().Format(time.DateTime), g.Goes.Format(time.DateOnly))
	if g.Subject != "" {
		fmt.Fprintf(c.out, "  signed   by %s (%.16s)\n", g.Subject, g.Cert)
	}
	c.printAdvice(g.Advice)
}

func runHeldTrust(ctx context.Context, c *console, args []string) error {
	fs := c.flags("held trust")
	config, asJSON, name, only := c.trustConfig(fs), fs.Bool("json", false, ""), fs.String("file", "", ""), fs.Bool("incoming-only", false, "")
	in := gateway.HeldTrust{Incoming: true}
	fs.StringVar(&in.Anchor, "anchor", "", "")
	fs.BoolVar(&in.Apply, "apply", false, "")
	fs.BoolVar(&in.Release, "release", false, "")
	fs.IntVar(&in.Days, "days", gateway.DefaultDays, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one group (postern held groups)")
	}
	given := in.Anchor != "" || *name != ""
	if in.Anchor != "" && *name != "" || in.Apply && !given || in.Release && !in.Apply {
		return usagef("give --anchor or --file; --apply needs one of them, and --release needs --apply")
	}
	in.Group, in.Outgoing = rest[0], !*only
	var file io.Reader
	if *name != "" {
		octets, err := readFile(*name, bundle.MaxOctets)
		if err != nil {
			return err
		}
		file = bytes.NewReader(octets)
	}
	return c.withSite(ctx, *config, func(call caller) error {
		var out gateway.HeldTrusted
		if err := call(ctx, "held.trust", in, file, &out, nil); err != nil {
			return err
		}
		if *asJSON {
			if err := c.printJSON(struct {
				V int `json:"v"`
				gateway.HeldTrusted
			}{1, out}); err != nil {
				return err
			}
		} else if given {
			c.printHeldTrusted(out)
		} else {
			c.printCandidates(out)
		}
		if !given && len(out.Candidates) == 0 {
			return errShown
		}
		return nil
	})
}

func (c *console) printCandidates(out gateway.HeldTrusted) {
	c.printHeldGroup(out.Group)
	if len(out.Candidates) == 0 {
		fmt.Fprintf(c.out, "No authority at hand would vouch for it. Ask the partner for the anchor, and look at it with --file FILE.\n")
		return
	}
	fmt.Fprintln(c.out, "These would vouch for it:")
	for _, k := range out.Candidates {
		fmt.Fprintf(c.out, "  %s  until %s  %s\n      %s; %s would pass\n", k.Fingerprint[:16], k.Expires.Format(time.DateOnly), k.Subject, k.From, many(int64(k.Messages), "message"))
	}
}

func (c *console) printHeldTrusted(out gateway.HeldTrusted) {
	if out.Anchor != nil {
		fmt.Fprintf(c.out, "%s  until %s  %s\n", out.Anchor.Fingerprint[:16], out.Anchor.Expires.Format(time.DateOnly), out.Anchor.Subject)
	}
	switch {
	case out.Applied && out.Released > 0:
		fmt.Fprintf(c.out, "It is an anchor of %s now; %s released and checked again.\n", out.Group.Domain, many(int64(out.Released), "held message"))
	case out.Applied:
		fmt.Fprintf(c.out, "It is an anchor of %s now; %s would pass: postern held release.\n", out.Group.Domain, many(int64(len(out.Passes)), "held message"))
	default:
		fmt.Fprintf(c.out, "It would let %s in; %d of this group would stay. Nothing is changed: --apply.\n", many(int64(len(out.Passes)), "held message"), out.Stays)
	}
	c.printTouched(out.Touched, out.Applied)
}
