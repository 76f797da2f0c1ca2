package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postern/gateway/store"
)

func heldCommands() []command {
	return []command{
		{"held list", "messages refused in silence, and why", `Usage: postern held list [-c FILE] [--json]

A refused inbound message tells its sender nothing. Its sealed original is held for 30 days with its envelope
and the reason; nothing decrypted is kept.

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern held list
`, runHeldList},
		{"held show", "one held message with the whole decision", `Usage: postern held show h-ID [-c FILE] [--json]

Exit codes: 0 shown, 1 no such entry, 2 used wrongly.
Example: postern held show h-abc123
`, runHeldShow},
		{"held release", "open a held message again, under today's trust", `Usage: postern held release (h-ID | GROUP) [-c FILE]

The message, or every message of a group of postern held groups, goes through every check again and is delivered only if it passes; the notices due are sent then.

Exit codes: 0 released, 1 refused, 2 used wrongly.
Example: postern held release h-abc123
`, heldVerb("held.release", "released; postern held list shows it again if it is refused again")},
		{"held discard", "give a held message up", `Usage: postern held discard h-ID [-c FILE]

Exit codes: 0 discarded, 1 refused, 2 used wrongly.
Example: postern held discard h-abc123
`, heldVerb("held.discard", "discarded")},
	}
}

func runHeldList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("held list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "held list takes no operands")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var hs []store.Held
		if err := call.ask(ctx, "held.list", 1000, &hs); err != nil {
			return err
		}
		for _, h := range hs {
			if *asJSON {
				if err := c.printHeld(h); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%s  %s  %-26s from %-35s to %v  kept until %s\n  %s\n", h.ID, h.At.Local().Format(time.DateTime), h.Reason, h.MailFrom,
				h.Recipients, h.Expires.Format(time.DateOnly), h.Detail)
		}
		return nil
	})
}

func (c *console) printHeld(h store.Held) error {
	return c.printJSON(struct {
		V int `json:"v"`
		store.Held
	}{1, h})
}

func heldOperand(c *console, name string, args []string) (file *string, asJSON *bool, id string, err error) {
	fs := c.flags(name)
	file, asJSON = configFlag(fs), fs.Bool("json", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return nil, nil, "", orUsage(err, "give the id of one held message (postern held list)")
	}
	return file, asJSON, rest[0], nil
}

func runHeldShow(ctx context.Context, c *console, args []string) error {
	file, asJSON, id, err := heldOperand(c, "held show", args)
	if err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var h store.Held
		if err := call.ask(ctx, "held.show", id, &h); err != nil {
			return err
		}
		if *asJSON {
			return c.printHeld(h)
		}
		fmt.Fprintf(c.out, "%s (%s), message %s\nfrom     %s (peer %s)\nto       %v\nreason   %s: %s\nheld     %s until %s, %d octets\ntrace    %s\n", h.ID, h.State, h.Message,
			h.MailFrom, h.Peer, h.Recipients, h.Reason, h.Detail, h.At.Local().Format(time.DateTime), h.Expires.Format(time.DateOnly), h.Size, h.Trace)
		return nil
	})
}

func heldVerb(verb, words string) func(context.Context, *console, []string) error {
	return func(ctx context.Context, c *console, args []string) error {
		file, _, id, err := heldOperand(c, verb, args)
		if err != nil {
			return err
		}
		return c.withSite(ctx, *file, func(call caller) error {
			ask := verb
			if verb == "held.release" && strings.HasPrefix(id, "g-") {
				ask = "held.release_group"
			}
			if err := call.ask(ctx, ask, id, nil); err != nil {
				return err
			}
			fmt.Fprintln(c.out, words)
			return nil
		})
	}
}
