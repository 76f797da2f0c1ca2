package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"postern/gateway"
	"postern/gateway/store"
)

func retentionCommands() []command {
	return []command{
		{"retention list", "how long what is kept, and what goes next", `Usage: postern retention list [-c FILE] [--json]

spool: the bytes of messages with nothing left to do, besides those in an inbox; held: refused mail; inbox: items of
inboxes. "Will be deleted on" is the day of the oldest of its kind.

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern retention list
`, runRetentionList},
		{"retention set", "keep a kind for so many days, or for ever", `Usage: postern retention set spool|held|inbox DAYS|never [-c FILE]

It is obeyed at the next sweep, within ten minutes. What a message still needs for its delivery is kept whatever is
set, and so are ladders, the audit, and the tombstone that keeps a repeated message out of an inbox.

Exit codes: 0 set, 1 failed, 2 used wrongly.
Example: postern retention set inbox 3650
`, runRetentionSet},
	}
}

func runRetentionList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("retention list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "retention list takes no operands")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var kinds []store.Leaving
		if err := call.ask(ctx, "retention.list", struct{}{}, &kinds); err != nil {
			return err
		}
		for _, k := range kinds {
			if *asJSON {
				if err := c.printJSON(struct {
					V    int    `json:"v"`
					Kind string `json:"kind"`
					Days int    `json:"days"` // 0 is for ever
					Kept int64  `json:"kept"`
					Next string `json:"will_be_deleted_on,omitempty"`
				}{1, k.Kind, int(k.Keep.Hours() / 24), k.Kept, dayOf(k.Next)}); err != nil {
					return err
				}
				continue
			}
			keep, next := "for ever", "none will be deleted"
			if k.Keep > 0 {
				keep = fmt.Sprintf("%d days", int(k.Keep.Hours()/24))
			}
			if day := dayOf(k.Next); day != "" {
				next = "the oldest will be deleted on " + day
			}
			fmt.Fprintf(c.out, "%-6s kept %-10s %6d kept; %s\n", k.Kind, keep, k.Kept, next)
		}
		return nil
	})
}

func dayOf(t time.Time) string {
	if t.IsZero() || t.Year() >= 9999 {
		return ""
	}
	return t.Format(time.DateOnly)
}

func runRetentionSet(ctx context.Context, c *console, args []string) error {
	fs := c.flags("retention set")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 2 {
		return orUsage(err, "give spool, held or inbox, and a number of days or never")
	}
	if _, known := store.DefaultRetention()[rest[0]]; !known {
		return usagef("%q is none of spool, held, inbox", rest[0])
	}
	days := 0
	if rest[1] != "never" {
		if days, err = strconv.Atoi(rest[1]); err != nil || days < 1 || days > gateway.MaxRetention {
			return usagef("%q is neither never nor 1 to %d days", rest[1], gateway.MaxRetention)
		}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		return call.ask(ctx, "retention.set", gateway.RetentionSet{Kind: rest[0], Days: days}, nil)
	})
}
