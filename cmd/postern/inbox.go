package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/clinic/inbox"
	"postern/smime/addr"
)

func inboxCommands() []command {
	return []command{
		{"inbox list", "list inboxes, or the items of one", `Usage: postern inbox list [INBOX] [--before N] [--limit N] [-c FILE] [--json]

Without INBOX: the inboxes and how many items each has. With it: its items, newest first.

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern inbox list referrals --limit 20
`, runInboxList},
		{"inbox show", "show one item: sender, documents, parts, security receipt", `Usage: postern inbox show INBOX NUMBER [-c FILE] [--json]

Exit codes: 0 shown, 1 no such item, 2 used wrongly.
Example: postern inbox show referrals 12
`, runInboxShow},
		{"inbox save", "write an item's message to a file", `Usage: postern inbox save INBOX NUMBER --out FILE [-c FILE]

Writes the inner message octet for octet as its sender's gateway signed it. --out - is standard output; an
existing file is not overwritten.

Exit codes: 0 written, 1 no such item or the file exists, 2 used wrongly.
Example: postern inbox save referrals 12 --out referral.eml
`, runInboxSave},
	}
}

func runInboxList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("inbox list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	before, limit := fs.Int64("before", 0, ""), fs.Int("limit", 50, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) > 1 {
		return orUsage(err, "give at most one inbox")
	}
	if *limit < 1 || *limit > 1000 {
		return usagef("--limit is 1 to 1000")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		if len(rest) == 0 {
			return c.inboxes(ctx, call, *asJSON)
		}
		var items []inbox.Item
		if err := call.ask(ctx, "inbox.list", gateway.ItemArg{Inbox: rest[0], Before: *before, Limit: *limit}, &items); err != nil {
			return err
		}
		for _, it := range items {
			if *asJSON {
				if err := c.printJSON(itemJSON(it)); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%5d  %s  %-40s %s\n", it.Number, it.Received.Local().Format(time.DateTime), it.Sender, it.Subject)
			for _, d := range it.Documents {
				fmt.Fprintf(c.out, "       %s\n", documentLine(d))
			}
		}
		return nil
	})
}

func (c *console) inboxes(ctx context.Context, call caller, asJSON bool) error {
	var all map[string]int64
	if err := call.ask(ctx, "inbox.inboxes", struct{}{}, &all); err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(map[string]any{"v": 1, "inboxes": all})
	}
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Fprintf(c.out, "%-40s %d\n", n, all[n])
	}
	return nil
}

// itemJSON is an item as --json prints it.
func itemJSON(it inbox.Item) any {
	out := map[string]any{"v": 1, "inbox": it.Inbox, "number": it.Number, "message": it.Message, "recipient": it.Recipient,
		"recipients": it.Recipients(), "from": it.Sender,
		"message_id": it.RFCID, "thread": it.Thread, "subject": it.Subject, "received": it.Received, "size": it.Size, "flags": it.Flags,
		"documents": it.Documents, "parts": it.Parts, "receipt": it.Receipt}
	if !it.DeleteOn.IsZero() {
		out["delete_on"] = it.DeleteOn
	}
	return out
}

// spelled is addresses one after the other.
func spelled(as []addr.Address) string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}

// documentLine says on one line what a document is and whom it is about.
func documentLine(d inbox.Document) string {
	out := []string{strings.TrimSpace(d.Kind + " " + d.Type)}
	if p := d.PatientName(); p != "" {
		out = append(out, "patient "+p)
	}
	if d.Author != "" {
		out = append(out, "by "+d.Author)
	}
	if !d.Date.IsZero() {
		out = append(out, d.Date.Format(time.DateOnly))
	}
	return strings.Join(out, ", ")
}

func itemOperands(rest []string) (gateway.ItemArg, error) {
	if len(rest) != 2 {
		return gateway.ItemArg{}, usagef("give an inbox and an item's number")
	}
	n, err := strconv.ParseInt(rest[1], 10, 64)
	if err != nil || n < 1 {
		return gateway.ItemArg{}, usagef("%q is not an item's number", rest[1])
	}
	return gateway.ItemArg{Inbox: rest[0], Number: n}, nil
}

func runInboxShow(ctx context.Context, c *console, args []string) error {
	fs := c.flags("inbox show")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	arg, err := itemOperands(rest)
	if err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var it inbox.Item
		if err := call.ask(ctx, "inbox.show", arg, &it); err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(itemJSON(it))
		}
		fmt.Fprintf(c.out, "%s %d (message %s, thread %s)\nfrom     %s (verified)\nto       %s\nsubject  %s\nreceived %s\nsize     %d octets\n",
			it.Inbox, it.Number, it.Message, it.Thread, it.Sender, spelled(it.Recipients()), it.Subject, it.Received.Local().Format(time.DateTime), it.Size)
		if !it.DeleteOn.IsZero() {
			fmt.Fprintf(c.out, "kept     will be deleted on %s (postern retention)\n", it.DeleteOn.Local().Format(time.DateOnly))
		}
		if it.Flags.SameID {
			fmt.Fprintln(c.out, "note     a message with this id but other content came before")
		}
		if it.Flags.Unreadable != "" {
			fmt.Fprintf(c.out, "note     its structure cannot be read (%s); postern inbox save writes it whole\n", it.Flags.Unreadable)
		}
		for _, d := range it.Documents {
			fmt.Fprintf(c.out, "document %s: %s\n", d.Path, documentLine(d))
		}
		for _, p := range it.Parts {
			fmt.Fprintf(c.out, "part     %s: %s %s, %d octets\n", p.Path, p.MediaType, p.Filename, p.Length)
		}
		printReceipt(c.out, it.Receipt)
		return nil
	})
}

func runInboxSave(ctx context.Context, c *console, args []string) error {
	fs := c.flags("inbox save")
	file, out := configFlag(fs), fs.String("out", "", "")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	arg, err := itemOperands(rest)
	if err != nil {
		return err
	}
	if *out == "" {
		return usagef("--out FILE is needed (- is standard output)")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var w io.Writer = c.out
		if *out != "-" {
			f, err := os.OpenFile(*out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			w = f
		}
		err := call(ctx, "inbox.save", arg, nil, nil, w)
		if err != nil && *out != "-" {
			os.Remove(*out)
		}
		return err
	})
}
