package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/store"
	"postern/trust"
	"postern/trust/policy"
)

// policyFlags is what the commands about policies of this site share.
type policyFlags struct {
	config, policy string
	json           bool
	in             gateway.PolicyArg
}

func parsePolicyFlags(c *console, name string, args []string) (*policyFlags, []string, error) {
	f := &policyFlags{}
	fs := c.flags(name)
	config, domain, direction := c.trustConfig(fs), fs.String("domain", "", ""), fs.String("direction", "", "")
	fs.StringVar(&f.policy, "policy", "", "")
	fs.StringVar(&f.in.Name, "name", "", "")
	fs.StringVar(&f.in.Use, "use", "", "")
	fs.IntVar(&f.in.Days, "days", gateway.DefaultDays, "")
	fs.BoolVar(&f.json, "json", false, "")
	rest, err := parse(fs, args)
	if err != nil {
		return f, rest, err
	}
	f.config, f.in.Direction = *config, trust.Direction(*direction)
	if f.in.Domain, err = parseDomain(*domain); err != nil {
		return f, rest, err
	}
	if !f.in.Domain.IsZero() && (*direction == "" || f.in.Use == "") && name != "trust policy list" {
		return f, rest, usagef("--domain needs --direction incoming|outgoing and --use")
	}
	return f, rest, checkDays(f.in.Days)
}

// policyText is the name and text of a ready-made policy or of one in a file; a text that is none is refused here.
func policyText(c *console, name string) (short, text string, err error) {
	if slices.Contains(policy.Ready(), name) {
		text, err = policy.ReadyText(name)
		return name, text, err
	}
	octets, err := readLimited(c, name, policy.MaxOctets)
	if err != nil {
		return "", "", err
	}
	if _, err := policy.Compile(name, string(octets)); err != nil {
		return "", "", usageError{err.Error()}
	}
	short = strings.ToLower(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)))
	return short, string(octets), nil
}

// setPolicy puts a policy in force, or with Look says what it would do.
func (c *console) setPolicy(ctx context.Context, f *policyFlags) error {
	name, text, err := policyText(c, f.policy)
	if err != nil {
		return err
	}
	f.in.Text = text
	if f.in.Name == "" {
		f.in.Name = name
	}
	return c.withSite(ctx, f.config, func(call caller) error {
		var t gateway.PolicyTested
		if err := call.ask(ctx, "policy.set", f.in, &t); err != nil {
			return err
		}
		return c.showTested(t, f)
	})
}

func (c *console) showTested(t gateway.PolicyTested, f *policyFlags) error {
	if f.json {
		if err := c.printJSON(struct {
			V int `json:"v"`
			gateway.PolicyTested
		}{1, t}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.out, "%d of the %d certificates seen in the last %d days would be refused\n", t.Refused, t.Seen, t.Days)
		for i, v := range t.Certificates {
			if i == maxLines {
				fmt.Fprintf(c.out, "  and %d more (--json)\n", len(t.Certificates)-i)
				break
			}
			fmt.Fprintf(c.out, "refused  %s (%s, %d messages): %s\n", v.Subject, v.Partner, v.Messages, v.Detail)
		}
		for _, w := range t.Warnings {
			fmt.Fprintf(c.out, "warning: %s\n", w)
		}
		if t.Messages > 0 {
			c.printTouched(t.Touched, !f.in.Look)
		}
	}
	if f.in.Look && t.Refused > 0 {
		return errShown
	}
	return nil
}

func runPolicySet(ctx context.Context, c *console, args []string) error {
	f, rest, err := parsePolicyFlags(c, "trust policy set", args)
	if err != nil || len(rest) > 0 || f.policy == "" || f.in.Domain.IsZero() {
		return orUsage(err, "give --policy, --domain, --direction and --use")
	}
	return c.setPolicy(ctx, f)
}

func runPolicyRemove(ctx context.Context, c *console, args []string) error {
	f, rest, err := parsePolicyFlags(c, "trust policy remove", args)
	if err != nil || len(rest) != 1 || f.in.Domain.IsZero() {
		return orUsage(err, "give the name of one policy, --domain, --direction and --use (postern trust policy list)")
	}
	f.in.Name, f.in.Remove = rest[0], true
	return c.withSite(ctx, f.config, func(call caller) error {
		var t gateway.PolicyTested
		if err := call.ask(ctx, "policy.set", f.in, &t); err != nil {
			return err
		}
		if f.json {
			return c.showTested(t, f)
		}
		c.printTouched(t.Touched, true)
		return nil
	})
}

func runPolicyList(ctx context.Context, c *console, args []string) error {
	f, rest, err := parsePolicyFlags(c, "trust policy list", args)
	if err != nil || len(rest) > 0 {
		return orUsage(err, "trust policy list takes no operands; --domain D narrows it")
	}
	return c.withSite(ctx, f.config, func(call caller) error {
		var all []store.PolicyRow
		if err := call.ask(ctx, "policy.list", f.in.Domain, &all); err != nil {
			return err
		}
		for _, p := range all {
			if f.json {
				if err := c.printJSON(struct {
					V int `json:"v"`
					store.PolicyRow
				}{1, p}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%s  %s %s  %s  since %s\n", p.Domain, p.Direction, p.Use, p.Name, p.Since.Local().Format(time.DateOnly))
		}
		return nil
	})
}
