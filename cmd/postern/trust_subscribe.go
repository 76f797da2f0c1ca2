package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/store"
	"postern/trust/bundle"
)

// subscribeCommands run trust bundles: where they come from, who believes them, and what of them changes.
func subscribeCommands() []command {
	return []command{
		{"trust bundle add", "read a published bundle of anchors, for domains to subscribe to", `Usage: postern trust bundle add NAME (URL | FILE) [--signer FILE]... [--every DURATION] [--auto [--max-removed N]]
       [--two-persons] [--leaf] [--plain-http] [-c FILE] [--json]

Reads the bundle now and keeps it. No domain believes its anchors before postern trust bundle subscribe. One at
a URL is looked at again every day (--every 12h, 0: by hand only); what is new waits for postern trust bundle
apply, after postern trust bundle diff. Whatever fails, the anchors in force stay.

  --signer FILE     the bundle must be signed by this certificate, or by one below it
  --auto            apply a change by itself, unless more than N per cent of the anchors would go (20)
  --two-persons     a change, and a subscription, need two persons; so does whatever else lets anchors into a domain
                    that subscribes: an anchor by hand, from held mail, another bundle, a block lifted
  --leaf            take end-entity certificates as anchors too
  --plain-http      accept an unsigned bundle over plain HTTP: anybody on the way could write it

Exit codes: 0 added, 1 refused, 2 used wrongly.
Example: postern trust bundle add community https://trust.example/community.p7m --signer signer.pem
`, runBundleAdd},
		{"trust bundle set", "change where a bundle comes from and how it is applied", `Usage: postern trust bundle set NAME [--url URL] [--signer FILE]... [--every DURATION] [--auto=BOOL] [--max-removed N]
       [--two-persons=BOOL] [--leaf=BOOL] [--plain-http=BOOL] [--no-signer] [-c FILE]

Changes what is given and leaves the rest. --signer replaces all signers that were configured; with --no-signer none
is demanded any more. After a new URL or signer the next look fetches the whole bundle again.

` + asHelp + `
Exit codes: 0 changed, 1 refused, 2 used wrongly, 3 another person must say yes too.
Example: postern trust bundle set community --auto --max-removed 10
`, runBundleSet},
		{"trust bundle list", "list the bundles here, how they stand and who subscribes", `Usage: postern trust bundle list [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern trust bundle list
`, runBundleList},
		{"trust bundle refresh", "look at a bundle's source now", `Usage: postern trust bundle refresh NAME [FILE] [--again] [-c FILE] [--json]

Fetches the bundle, or takes the FILE. A change waits for postern trust bundle apply, unless the bundle's
settings apply it. A version that was rejected is proposed again only with --again, or as a FILE.

Exit codes: 0 unchanged or applied, 1 refused (the anchors in force stay), 2 used wrongly, 3 a change waits.
Example: postern trust bundle refresh community
`, runBundleRefresh},
		{"trust bundle apply", "take a newer version of a bundle over", `Usage: postern trust bundle apply NAME --proposal ID [-c FILE] [--json]

Says yes to exactly the change that postern trust bundle diff NAME showed, by the ID it printed. It bites at once;
postern trust undo takes it back. When something else waits by now, or the anchors in force have changed, it says
how and does nothing. Where two persons are needed, the second one gives the same command with the same ID.

` + asHelp + `
Exit codes: 0 applied, 1 refused, or it has changed since it was shown, 2 used wrongly, 3 another person must
say yes too.
Example: postern trust bundle apply community --proposal p-k2v7dq3mxa.5e0d91c4
`, runBundleApply},
		{"trust bundle reject", "leave a newer version of a bundle aside", `Usage: postern trust bundle reject NAME [--proposal ID] [-c FILE]

With --proposal only what was shown under that ID (postern trust bundle diff), and nothing that came since.
The next change at the publisher waits again; postern trust bundle refresh NAME --again proposes this one again.

Exit codes: 0 left aside, 1 nothing waits, 2 used wrongly.
Example: postern trust bundle reject community
`, runBundleReject},
		{"trust bundle subscribe", "let a domain believe a bundle's anchors", `Usage: postern trust bundle subscribe NAME --domain D [--incoming | --outgoing] [--look] [--days N] [-c FILE] [--json]

For mail it receives, for mail it sends, or for both when neither is given. It bites at once.

  --look   say whom it would let in, held against the decisions of the last N days (90), and change nothing
` + asHelp + `
Exit codes: 0 done, 1 refused, 2 used wrongly, 3 another person must say yes too.
Example: postern trust bundle subscribe community --domain direct.clinic.example
`, runBundleSubscribe(true)},
		{"trust bundle unsubscribe", "stop believing a bundle's anchors", `Usage: postern trust bundle unsubscribe NAME --domain D [--look] [--days N] [-c FILE] [--json]

Anchors that another source brings stay. It bites at once.

  --look   say which partners and how many messages of the last N days (90) it touches, and change nothing
` + asHelp + `
Exit codes: 0 done, 1 refused, 2 used wrongly, 3 another person must say yes too.
Example: postern trust bundle unsubscribe community --domain direct.clinic.example --look
`, runBundleSubscribe(false)},
		{"trust bundle remove", "forget a bundle nobody subscribes to", `Usage: postern trust bundle remove NAME [-c FILE]

Exit codes: 0 forgotten, 1 refused, 2 used wrongly.
Example: postern trust bundle remove community
`, runBundleRemove},
	}
}

// bundleSettings are the flags of add and set.
type bundleSettings struct {
	set     store.BundleSettings
	signers listFlag
}

func (b *bundleSettings) flags(fs *flag.FlagSet) {
	fs.Var(&b.signers, "signer", "")
	fs.DurationVar(&b.set.Interval, "every", b.set.Interval, "")
	fs.BoolVar(&b.set.Auto, "auto", b.set.Auto, "")
	fs.IntVar(&b.set.MaxRemovedPercent, "max-removed", b.set.MaxRemovedPercent, "")
	fs.BoolVar(&b.set.TwoPersons, "two-persons", b.set.TwoPersons, "")
	fs.BoolVar(&b.set.AllowLeaves, "leaf", b.set.AllowLeaves, "")
	fs.BoolVar(&b.set.AllowPlain, "plain-http", b.set.AllowPlain, "")
}

func (b *bundleSettings) readSigners(c *console) error {
	if len(b.signers) > 0 {
		b.set.Signers = nil
	}
	for _, name := range b.signers {
		certs, err := readCerts(c, name)
		if err != nil {
			return err
		}
		for _, cert := range certs {
			b.set.Signers = append(b.set.Signers, cert.Raw)
		}
	}
	return nil
}

func isURL(s string) bool {
	return len(s) > 7 && (s[:7] == "http://" || len(s) > 8 && s[:8] == "https://")
}

func runBundleAdd(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust bundle add")
	config, asJSON := c.trustConfig(fs), fs.Bool("json", false, "")
	b := bundleSettings{set: store.BundleSettings{Interval: gateway.DefaultInterval, MaxRemovedPercent: gateway.DefaultRemoved}}
	b.flags(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 2 {
		return orUsage(err, "give a name, and a URL or a file")
	}
	if err := b.readSigners(c); err != nil {
		return err
	}
	in := gateway.BundleAdd{Name: rest[0], Settings: b.set}
	var file io.Reader
	if isURL(rest[1]) {
		in.URL = rest[1]
	} else {
		octets, err := readFile(rest[1], bundle.MaxOctets)
		if err != nil {
			return err
		}
		file = bytes.NewReader(octets)
	}
	return c.withSite(ctx, *config, func(call caller) error {
		var out gateway.BundleAdded
		if err := call(ctx, "bundle.add", in, file, &out, nil); err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(struct {
				V int `json:"v"`
				gateway.BundleAdded
			}{1, out})
		}
		fmt.Fprintf(c.out, "%s: %s. No domain believes them yet: postern trust bundle subscribe %s --domain D\n", out.Bundle.Name, many(int64(out.Bundle.Anchors), "anchor"), out.Bundle.Name)
		c.printFindings(out.Findings)
		return nil
	})
}

func runBundleSet(ctx context.Context, c *console, args []string) error {
	first := c.flags("trust bundle set") // to find the name and -c before the settings in force are known
	config, url := c.trustConfig(first), first.String("url", "", "")
	first.Bool("no-signer", false, "")
	(&bundleSettings{}).flags(first)
	rest, err := parse(first, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give the name of one bundle and what to change")
	}
	changes := false
	first.Visit(func(f *flag.Flag) { changes = changes || f.Name != "c" && !strings.HasPrefix(f.Name, "as") })
	if !changes {
		return usagef("give what to change, such as --every 12h")
	}
	return c.withSite(ctx, *config, func(call caller) error {
		var have store.Bundle
		if err := call.ask(ctx, "bundle.get", rest[0], &have); err != nil {
			return err
		}
		fs := c.flags("trust bundle set")
		c.trustConfig(fs)
		fs.StringVar(url, "url", have.URL, "")
		b := bundleSettings{set: have.Settings}
		b.flags(fs)
		unsigned := fs.Bool("no-signer", false, "")
		if _, err := parse(fs, args); err != nil {
			return err
		}
		if *unsigned && len(b.signers) > 0 {
			return usagef("give --signer or --no-signer")
		}
		if *unsigned {
			b.set.Signers = nil
		}
		if err := b.readSigners(c); err != nil {
			return err
		}
		var r gateway.Refreshed
		if err := call.ask(ctx, "bundle.set", gateway.BundleAdd{Name: rest[0], URL: *url, Settings: b.set}, &r); err != nil {
			return err
		}
		if r.Outcome == gateway.Waits {
			return notYetError{errors.New(r.Why)}
		}
		return nil
	})
}

func runBundleList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust bundle list")
	config, asJSON := configFlag(fs), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "trust bundle list takes no operands")
	}
	return c.withSite(ctx, *config, func(call caller) error {
		var all []gateway.BundleState
		if err := call.ask(ctx, "bundle.list", struct{}{}, &all); err != nil {
			return err
		}
		for _, b := range all {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					gateway.BundleState
				}{1, b}); err != nil {
					return err
				}
				continue
			}
			c.printBundle(b)
		}
		return nil
	})
}

func (c *console) printBundle(b gateway.BundleState) {
	from := b.URL
	if from == "" {
		from = "a file given by hand"
	}
	fmt.Fprintf(c.out, "%s: %s, from %s\n", b.Name, many(int64(b.Anchors), "anchor"), from)
	l := b.Look
	if !l.Succeeded.IsZero() {
		fmt.Fprintf(c.out, "  last good look %s", l.Succeeded.Local().Format(time.DateTime))
		if !l.Due.IsZero() {
			fmt.Fprintf(c.out, ", next %s", l.Due.Local().Format(time.DateTime))
		}
		fmt.Fprintln(c.out)
	}
	if l.Failures > 0 {
		fmt.Fprintf(c.out, "  FAILED %s since: %s\n", many(int64(l.Failures), "time"), l.Detail)
	}
	if b.Settings.TwoPersons {
		fmt.Fprintln(c.out, "  changes need two persons")
	}
	if b.Waits {
		fmt.Fprintf(c.out, "  a newer version waits: postern trust bundle diff %s\n", b.Name)
	}
	for _, s := range b.Subscriptions {
		fmt.Fprintf(c.out, "  %s: incoming %v, outgoing %v\n", s.Domain, s.Incoming, s.Outgoing)
	}
}

// namedBundle reads the arguments of a command about one bundle here.
func namedBundle(c *console, name string, args []string) (in gateway.BundleArg, config string, asJSON bool, err error) {
	fs := c.flags(name)
	file, json := c.trustConfig(fs), fs.Bool("json", false, "")
	fs.IntVar(&in.Days, "days", gateway.DefaultDays, "")
	fs.StringVar(&in.Proposal, "proposal", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return in, "", false, orUsage(err, "give the name of one bundle (postern trust bundle list)")
	}
	in.Name = rest[0]
	return in, *file, *json, checkDays(in.Days)
}

func (c *console) showWaiting(ctx context.Context, in gateway.BundleArg, config string, asJSON bool) error {
	return c.withSite(ctx, config, func(call caller) error {
		var d gateway.BundleChange
		if err := call.ask(ctx, "bundle.diff", in, &d); err != nil {
			return err
		}
		if asJSON {
			if err := c.printJSON(struct {
				V int `json:"v"`
				gateway.BundleChange
			}{1, d}); err != nil {
				return err
			}
		} else {
			c.printChange(d, false)
		}
		if d.Empty() {
			return notYetError{fmt.Errorf("nothing waits for %s: postern trust bundle refresh %s looks at its source now", in.Name, in.Name)}
		}
		return nil
	})
}

func (c *console) printChange(d gateway.BundleChange, done bool) {
	if d.Proposal != nil && !done {
		fmt.Fprintf(c.out, "%s: a newer version waits since %s: %s\nproposal %s\n", d.Bundle, d.Proposal.At.Local().Format(time.DateTime), d.Proposal.Why, d.ID)
		for _, a := range d.Proposal.Approvals {
			fmt.Fprintf(c.out, "  %s said yes on %s\n", cmp.Or(a.Name, a.Actor), a.At.Local().Format(time.DateTime))
		}
	}
	fmt.Fprintf(c.out, "%d added, %d removed (%d %%), %d kept, %d end within 90 days\n", len(d.Added), len(d.Removed), d.Percent, d.Kept, len(d.Expiring))
	c.printTouches("+", "were refused and would be accepted", d.Added)
	c.printTouches("-", "would be refused", d.Removed)
	c.printTouches("~", "", d.Expiring)
	c.printFindings(d.Findings)
	if len(d.Added)+len(d.Removed) > 0 {
		c.printTouched(d.Touched, done)
	}
	if d.Proposal != nil && !done {
		fmt.Fprintf(c.out, "To apply exactly this: postern trust bundle apply %s --proposal %s\n", d.Bundle, d.ID)
	}
}

// printSince says how what waits differs from what was shown.
func (c *console) printSince(since gateway.SinceShown) {
	fmt.Fprintf(c.out, "NOT APPLIED: %s\n", since.Words)
	for _, part := range []struct {
		mark, words string
		list        []string
	}{{"+", "was not there when it was shown", since.Added}, {"-", "was there when it was shown", since.Removed}} {
		for i, a := range part.list {
			if i == maxLines {
				fmt.Fprintf(c.out, "  and %d more (--json)\n", len(part.list)-i)
				break
			}
			fmt.Fprintf(c.out, "  %s %s (%s)\n", part.mark, a, part.words)
		}
	}
	fmt.Fprintln(c.out, "What waits now:")
}

func (c *console) showRefreshed(r gateway.Refreshed, asJSON bool) error {
	if asJSON {
		if err := c.printJSON(struct {
			V int `json:"v"`
			gateway.Refreshed
		}{1, r}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.out, "%s: %s\n", r.Bundle, r.Outcome)
		if r.Outcome == gateway.Unchanged && r.Why != "" {
			fmt.Fprintf(c.out, "  %s\n", r.Why)
		}
		if r.Since != nil {
			c.printSince(*r.Since)
		}
		if r.Change != nil {
			c.printChange(*r.Change, r.Outcome == gateway.AppliedIt)
		}
	}
	switch {
	case r.Outcome == gateway.Changed:
		return fmt.Errorf("what waits for %s is not what was shown as that proposal: look at it again, nothing is changed", r.Bundle)
	case r.Outcome == gateway.Waits && r.Change != nil:
		return notYetError{fmt.Errorf("%s: postern trust bundle apply %s --proposal %s", r.Why, r.Bundle, r.Change.ID)}
	case r.Outcome == gateway.Waits:
		return notYetError{errors.New(r.Why)}
	}
	return nil
}

func runBundleRefresh(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust bundle refresh")
	config, asJSON, again := c.trustConfig(fs), fs.Bool("json", false, ""), fs.Bool("again", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) == 0 || len(rest) > 2 {
		return orUsage(err, "give the name of one bundle, and perhaps a file")
	}
	var file io.Reader
	if len(rest) == 2 {
		octets, err := readFile(rest[1], bundle.MaxOctets)
		if err != nil {
			return err
		}
		file = bytes.NewReader(octets)
	}
	return c.withSite(ctx, *config, func(call caller) error {
		var r gateway.Refreshed
		if err := call(ctx, "bundle.refresh", gateway.BundleArg{Name: rest[0], Again: *again}, file, &r, nil); err != nil {
			return err
		}
		return c.showRefreshed(r, *asJSON)
	})
}

func runBundleApply(ctx context.Context, c *console, args []string) error {
	in, config, asJSON, err := namedBundle(c, "trust bundle apply", args)
	if err != nil {
		return err
	}
	if in.Proposal == "" {
		return usagef("say which change you have seen: postern trust bundle diff %s shows what waits and its id, for --proposal ID", in.Name)
	}
	return c.withSite(ctx, config, func(call caller) error {
		var r gateway.Refreshed
		if err := call.ask(ctx, "bundle.apply", in, &r); err != nil {
			return err
		}
		return c.showRefreshed(r, asJSON)
	})
}

func runBundleReject(ctx context.Context, c *console, args []string) error {
	in, config, _, err := namedBundle(c, "trust bundle reject", args)
	if err != nil {
		return err
	}
	return c.withSite(ctx, config, func(call caller) error { return call.ask(ctx, "bundle.reject", in, nil) })
}

func runBundleRemove(ctx context.Context, c *console, args []string) error {
	in, config, _, err := namedBundle(c, "trust bundle remove", args)
	if err != nil {
		return err
	}
	return c.withSite(ctx, config, func(call caller) error { return call.ask(ctx, "bundle.remove", in, nil) })
}

func runBundleSubscribe(on bool) func(context.Context, *console, []string) error {
	return func(ctx context.Context, c *console, args []string) error {
		fs := c.flags("trust bundle subscribe")
		config, domain, asJSON := c.trustConfig(fs), fs.String("domain", "", ""), fs.Bool("json", false, "")
		in := gateway.SubscribeArg{}
		fs.BoolVar(&in.Look, "look", false, "")
		fs.IntVar(&in.Days, "days", gateway.DefaultDays, "")
		if on {
			fs.BoolVar(&in.Incoming, "incoming", false, "")
			fs.BoolVar(&in.Outgoing, "outgoing", false, "")
		}
		rest, err := parse(fs, args)
		if err != nil || len(rest) != 1 || *domain == "" {
			return orUsage(err, "give the name of one bundle and --domain")
		}
		if in.Domain, err = parseDomain(*domain); err != nil {
			return err
		}
		if err := checkDays(in.Days); err != nil {
			return err
		}
		if in.Bundle = rest[0]; on && !in.Incoming && !in.Outgoing {
			in.Incoming, in.Outgoing = true, true
		}
		return c.withSite(ctx, *config, func(call caller) error {
			var out gateway.Subscribed
			if err := call.ask(ctx, "bundle.subscribe", in, &out); err != nil {
				return err
			}
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					gateway.Subscribed
				}{1, out}); err != nil {
					return err
				}
			} else {
				c.printTouched(out.Touched, !in.Look && out.Outcome == gateway.AppliedIt)
			}
			if out.Outcome == gateway.Waits {
				return notYetError{errors.New(out.Why)}
			}
			return nil
		})
	}
}
