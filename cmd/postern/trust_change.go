package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"postern/certs"
	"postern/gateway"
	"postern/gateway/store"
	"postern/trust"
)

// trustChangeCommands are for changing trust without fear: see it first, see what was done, take it back.
func trustChangeCommands() []command {
	return []command{
		{"trust simulate", "what a change of trust would have done to real decisions", `Usage: postern trust simulate [--domain D] [--add FILE]... [--incoming | --outgoing] [--remove FINGERPRINT]...
       [--policy NAME|FILE --direction incoming|outgoing --use USE [--off]] [--days N] [-c FILE] [--json]

Takes anchors, removals and a policy together as if they were in force, and judges the decisions of the last N days
(90) again by them: which partners that were accepted would be refused, and which that were refused accepted.
Changes nothing. Revocation is taken as it was. An anchor that is removed by hand and that a bundle brings too stays by
the bundle; one that only bundles bring is taken as blocked.

Exit codes: 0 judged, 1 failed, 2 used wrongly.
Example: postern trust simulate --domain direct.clinic.example --remove 9c1e2a44 --add new-anchor.pem
`, runSimulate},
		{"trust changes", "who changed whom we trust, when, before and after", `Usage: postern trust changes [--days N] [-c FILE] [--json]

Newest first. The audit holds the same, in its chain.

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern trust changes --days 30
`, runChanges},
		{"trust undo", "take a change of trust back", `Usage: postern trust undo NUMBER [-c FILE] [--json]

NUMBER is that of postern trust changes. Everything is as it was before, unless what the change made was changed again
since: then nothing is done. It bites at once, is a change of its own, and can itself be undone.

Of our own certificates: one that was retired or replaced signs and is published again, unless it is over; one that was
made, imported or rolled to is retired, but never deleted, for mail may be under way to its key. A key that was exported
and a certificate that partners have fetched cannot be taken back.

` + asHelp + `
Exit codes: 0 taken back, 1 refused, 2 used wrongly.
Example: postern trust undo 7
`, runUndo},
	}
}

func runSimulate(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust simulate")
	config, asJSON, domain, direction := configFlag(fs), fs.Bool("json", false, ""), fs.String("domain", "", ""), fs.String("direction", "", "")
	name := fs.String("policy", "", "")
	var add, remove listFlag
	in := gateway.Simulate{}
	fs.Var(&add, "add", "")
	fs.Var(&remove, "remove", "")
	fs.BoolVar(&in.Incoming, "incoming", false, "")
	fs.BoolVar(&in.Outgoing, "outgoing", false, "")
	fs.BoolVar(&in.Leaf, "leaf", false, "")
	fs.StringVar(&in.Use, "use", "", "")
	fs.BoolVar(&in.PolicyRemove, "off", false, "")
	fs.IntVar(&in.Days, "days", gateway.DefaultDays, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) > 0 {
		return orUsage(err, "trust simulate takes no operands")
	}
	if err := checkDays(in.Days); err != nil {
		return err
	}
	if in.Domain, err = parseDomain(*domain); err != nil {
		return err
	}
	if len(add)+len(remove) == 0 && *name == "" {
		return usagef("give what would be changed: --add, --remove or --policy")
	}
	if *name != "" {
		if in.Domain.IsZero() || in.Use == "" || *direction == "" {
			return usagef("--policy needs --domain, --direction and --use")
		}
		p, text, err := policyText(c, *name)
		if err != nil {
			return err
		}
		in.PolicyName, in.PolicyText, in.Direction = p, text, trust.Direction(*direction)
	}
	if !in.Incoming && !in.Outgoing {
		in.Incoming, in.Outgoing = true, true
	}
	for _, r := range remove {
		in.Remove = append(in.Remove, strings.ToLower(r))
	}
	var file io.Reader
	if len(add) > 0 {
		octets, err := readAnchors(add, in.Leaf)
		if err != nil {
			return err
		}
		file = bytes.NewReader(octets)
	}
	return c.withSite(ctx, *config, func(call caller) error {
		var out gateway.Simulated
		if err := call(ctx, "trust.simulate", in, file, &out, nil); err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(struct {
				V int `json:"v"`
				gateway.Simulated
			}{1, out})
		}
		c.printTouches("+", "were refused and would be accepted", out.Added)
		c.printTouches("-", "would be refused", out.Removed)
		c.printTouched(out.Touched, false)
		return nil
	})
}

func runChanges(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust changes")
	config, asJSON := configFlag(fs), fs.Bool("json", false, "")
	in := gateway.ChangesArg{}
	fs.IntVar(&in.Days, "days", 0, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 || in.Days < 0 {
		return orUsage(err, "trust changes takes no operands; --days N narrows it")
	}
	return c.withSite(ctx, *config, func(call caller) error {
		var all []store.TrustChange
		if err := call.ask(ctx, "trust.changes", in, &all); err != nil {
			return err
		}
		for _, ch := range all {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					store.TrustChange
				}{1, ch}); err != nil {
					return err
				}
				continue
			}
			c.printTrustChange(ch)
		}
		return nil
	})
}

func (c *console) printTrustChange(ch store.TrustChange) {
	state := ""
	if ch.Undone != 0 {
		state = fmt.Sprintf("  (undone by %d)", ch.Undone)
	}
	fmt.Fprintf(c.out, "%d  %s  %s  %s  %s%s\n", ch.Seq, ch.At.Local().Format(time.DateTime), ch.Actor, ch.Action, ch.Object, state)
	for _, part := range []struct {
		mark string
		rows []store.TrustRow
	}{{"-", ch.Before}, {"+", ch.After}} {
		for i, r := range part.rows {
			if i == maxLines {
				fmt.Fprintf(c.out, "     and %d more (--json)\n", len(part.rows)-i)
				break
			}
			fmt.Fprintf(c.out, "   %s %s\n", part.mark, rowWords(r))
		}
	}
}

// rowWords is one row of a change in a line.
func rowWords(r store.TrustRow) string {
	text := func(name string) string { return fmt.Sprint(r.Values[name]) }
	way := func() string {
		return "incoming " + map[string]string{"1": "yes", "0": "no"}[text("incoming")] + ", outgoing " + map[string]string{"1": "yes", "0": "no"}[text("outgoing")]
	}
	switch r.Table {
	case "anchor":
		return fmt.Sprintf("anchor %.16s of %s, %s: %s", text("fingerprint"), text("domain"), way(), text("subject"))
	case "bundle_anchor":
		return fmt.Sprintf("anchor %.16s of bundle %s: %s", text("fingerprint"), text("bundle"), text("subject"))
	case "subscription":
		return fmt.Sprintf("%s subscribes to %s, %s", text("domain"), text("bundle"), way())
	case "anchor_block":
		return fmt.Sprintf("%s does not believe anchor %.16s: %s", text("domain"), text("fingerprint"), text("why"))
	case "policy":
		return fmt.Sprintf("policy %s of %s (%s, %s)", text("name"), text("domain"), text("direction"), text("use"))
	case "static_certificate":
		return fmt.Sprintf("certificate %.16s pinned for %s", text("fingerprint"), text("name"))
	case "credential":
		return credentialWords(text)
	case "bundle":
		return fmt.Sprintf("bundle %s from %s, %s", text("name"), cmp.Or(text("url"), "a file given by hand"), settingsWords(text("settings")))
	}
	return r.Table
}

// credentialWords is how a certificate of ours stands, in a line.
func credentialWords(text func(string) string) string {
	words := []string{fmt.Sprintf("our certificate %.16s of %s", text("id"), strings.TrimSpace(text("domain")+" "+text("address")))}
	for _, w := range []struct{ name, words string }{{"retired", "retired %s"}, {"signs_from", "signs from %s"}, {"replaces", "replaces %s"}, {"decrypts_until", "decrypts until %s"}} {
		if v := text(w.name); v != "" {
			words = append(words, fmt.Sprintf(w.words, fmt.Sprintf("%.16s", v)))
		}
	}
	if text("retired") == "" {
		words = append(words, "in use")
	}
	return strings.Join(words, ", ")
}

// settingsWords is a bundle's settings in a line.
func settingsWords(text string) string {
	var set store.BundleSettings
	if json.Unmarshal([]byte(text), &set) != nil {
		return text
	}
	words := []string{"looked at by hand"}
	if set.Interval > 0 {
		words[0] = "every " + set.Interval.String()
	}
	for _, der := range set.Signers {
		if c, err := x509.ParseCertificate(der); err == nil {
			words = append(words, fmt.Sprintf("signed by %s (%.16s)", c.Subject, certs.Fingerprint(c)))
		}
	}
	for _, w := range []struct {
		on   bool
		word string
	}{{len(set.Signers) == 0, "no signer demanded"}, {set.Auto, fmt.Sprintf("applied by itself up to %d %% removed", set.MaxRemovedPercent)}, {set.TwoPersons, "two persons"},
		{set.AllowLeaves, "end-entity certificates too"}, {set.AllowPlain, "unsigned over plain HTTP too"}} {
		if w.on {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ", ")
}

func runUndo(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trust undo")
	config, asJSON := c.trustConfig(fs), fs.Bool("json", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give the number of one change (postern trust changes)")
	}
	n, err := strconv.ParseInt(rest[0], 10, 64)
	if err != nil || n < 1 {
		return usagef("%q is no number of a change (postern trust changes)", rest[0])
	}
	return c.withSite(ctx, *config, func(call caller) error {
		var ch store.TrustChange
		if err := call.ask(ctx, "trust.undo", n, &ch); err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(struct {
				V int `json:"v"`
				store.TrustChange
			}{1, ch})
		}
		c.printTrustChange(ch)
		return c.warnOfUndone(ctx, call, ch)
	})
}

// warnOfUndone says when an undoing left a name without a certificate.
func (c *console) warnOfUndone(ctx context.Context, call caller, ch store.TrustChange) error {
	for _, r := range ch.After {
		if r.Table != "credential" || r.Values["retired"] == "" {
			continue
		}
		var all []gateway.CertInfo
		if err := call.ask(ctx, "cert.list", struct{}{}, &all); err != nil {
			return err
		}
		c.warnOfGap(all, fmt.Sprint(r.Values["id"]), time.Now())
	}
	return nil
}
