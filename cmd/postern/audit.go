package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/audit"
)

func auditCommands() []command {
	return []command{
		{"audit list", "who changed or decided what", `Usage: postern audit list [--limit N] [--action A] [-c FILE] [--json]

Prints audit entries, oldest first. They name no patient and hold no secret.

  --limit N    the newest N (default 100, at most 10000)
  --action A   only this action, or with a dot at its end all below it ("queue.")

Exit codes: 0 printed, 1 failed, 2 used wrongly.
Example: postern audit list --action queue.
`, runAuditList},
		{"audit verify", "is the audit as it was written", `Usage: postern audit verify [--head NODE:SEQ:HASH]... [-c FILE] [--json]

Checks that every entry follows from the one before it, for each node's chain, and prints each chain's head. Note the
heads elsewhere: a chain that was cut off or written anew is found when it does not lead through a head given back
with --head.

Exit codes: 0 it holds, 1 it is broken (where and how is said) or failed, 2 used wrongly.
Example: postern audit verify --head 1:8123:6f1c…
`, runAuditVerify},
	}
}

func runAuditList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("audit list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	in := gateway.AuditArg{}
	fs.IntVar(&in.Limit, "limit", 100, "")
	fs.StringVar(&in.Action, "action", "", "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "audit list takes no operands")
	}
	if in.Limit < 1 || in.Limit > gateway.MaxAuditList {
		return usagef("--limit is 1 to %d", gateway.MaxAuditList)
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var entries []audit.Entry
		if err := call.ask(ctx, "audit.list", in, &entries); err != nil {
			return err
		}
		for _, e := range entries {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					audit.Entry
				}{1, e}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%s:%d  %s  %-12s %-22s %s  %s\n", e.Node, e.Seq, e.Time.Local().Format(time.DateTime), e.Actor, e.Action, e.Object, e.Detail)
		}
		return nil
	})
}

func runAuditVerify(ctx context.Context, c *console, args []string) error {
	fs := c.flags("audit verify")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	var heads listFlag
	fs.Var(&heads, "head", "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "audit verify takes no operands")
	}
	known := []audit.Head{}
	for _, h := range heads {
		head, err := parseHead(h)
		if err != nil {
			return err
		}
		known = append(known, head)
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var a gateway.Audited
		if err := call.ask(ctx, "audit.verify", known, &a); err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(struct {
				V int `json:"v"`
				gateway.Audited
			}{1, a})
		}
		fmt.Fprintf(c.out, "the audit holds: %d entries\n", a.Entries)
		for _, h := range a.Heads {
			fmt.Fprintf(c.out, "head %s:%d:%s\n", h.Node, h.Seq, h.Hash)
		}
		return nil
	})
}

func parseHead(s string) (audit.Head, error) {
	p := strings.Split(s, ":")
	if len(p) != 3 {
		return audit.Head{}, usagef("--head %q is not NODE:SEQ:HASH", s)
	}
	seq, err := strconv.ParseInt(p[1], 10, 64)
	if err != nil || seq < 1 || p[2] == "" {
		return audit.Head{}, usagef("--head %q is not NODE:SEQ:HASH", s)
	}
	return audit.Head{Node: p[0], Seq: seq, Hash: p[2]}, nil
}
