package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

const targetHelp = `TARGET is a job's number (postern queue), a message's m-ID, a destination domain, or --parked for every
job that is parked. A job under way is left to its worker.
`

func queueCommands() []command {
	return []command{
		{"queue retry", "make waiting or parked jobs due now", `Usage: postern queue retry TARGET | --parked [-c FILE]

` + targetHelp + `
Clocks (jobs of kind timer) are left alone: hurried, they would report a failure too early. Recipients whose sender
was told that it failed, as with a job parked by an internal fault, are not sent to any more: the job only ends.

Exit codes: 0 done, 1 no such job or failed, 2 used wrongly.
Example: postern queue retry direct.clinic.example
`, queueVerb("retry", "due now")},
		{"queue hold", "keep jobs out of work until they are resumed", `Usage: postern queue hold TARGET [-c FILE]

` + targetHelp + `
A hold lasts no longer than the sender can be left without a word: a message that is not handed over by the end of
[notify] processed_within (one hour) from its acceptance is given up, its sender told, and it is not sent any more; a
delivery to an SMTP edge is by the end of edge_within. The clocks of a message handed over go on.

Exit codes: 0 done, 1 no such job or failed, 2 used wrongly.
Example: postern queue hold m-1jmbmrnh8b8zxkjx
`, queueVerb("hold", "held")},
		{"queue resume", "put held or parked jobs, or the whole queue, back to work", `Usage: postern queue resume [TARGET | --parked] [-c FILE]

` + targetHelp + `Without a target it ends pause and drain.

Exit codes: 0 done, 1 no such job or failed, 2 used wrongly.
Example: postern queue resume --parked
`, queueVerb("resume", "back at work")},
		{"queue drop", "give one job up; whoever must hear of it does", `Usage: postern queue drop JOB [-c FILE]

Mail of ours that is not handed over yet makes the sender's failure notice; mail from a peer that is not opened
yet is held (postern held list); mail not delivered yet makes a failed notice to the peer. Clocks cannot be dropped.

Exit codes: 0 dropped, 1 no such job, under way, or failed, 2 used wrongly.
Example: postern queue drop 4711
`, runQueueDrop},
		{"queue pause", "take mail but work on nothing until resumed", `Usage: postern queue pause [-c FILE]

Nothing is sealed, opened, relayed or delivered until ` + "`postern queue resume`" + `, restarts included. Mail is still
taken, and clocks go on: what is not sent within [notify] processed_within of its acceptance is given up and its
sender told, as if held (postern queue hold).

Exit codes: 0 paused, 1 failed, 2 used wrongly.
Example: postern queue pause
`, queueMode("pause")},
		{"queue drain", "take no new mail and work off what waits", `Usage: postern queue drain [--wait D] [-c FILE]

New mail is put off (SMTP 452, senders try again; postern send and the pages refuse it) until
` + "`postern queue resume`" + `, restarts included. --wait D waits up to D until nothing but clocks is left.

Exit codes: 0 draining (with --wait: drained), 1 failed, 2 used wrongly, 3 not drained within D.
Example: postern queue drain --wait 10m
`, queueMode("drain")},
	}
}

// selection reads the target of a queue command.
func selection(rest []string, parked bool) (store.Selection, error) {
	switch {
	case parked && len(rest) == 0:
		return store.Selection{Parked: true}, nil
	case parked || len(rest) != 1:
		return store.Selection{}, usagef("give one job number, m-ID or domain, or --parked")
	}
	if n, err := strconv.ParseInt(rest[0], 10, 64); err == nil && n > 0 {
		return store.Selection{Job: n}, nil
	}
	if strings.HasPrefix(rest[0], "m-") {
		id, err := message.ParseID(rest[0])
		if err != nil {
			return store.Selection{}, usageError{err.Error()}
		}
		return store.Selection{Message: id}, nil
	}
	d, err := addr.ParseDomain(rest[0])
	if err != nil {
		return store.Selection{}, usagef("%q is neither a job number, an m-ID nor a domain", rest[0])
	}
	return store.Selection{Lane: d.String()}, nil
}

func queueVerb(action, words string) func(context.Context, *console, []string) error {
	return func(ctx context.Context, c *console, args []string) error {
		fs := c.flags("queue " + action)
		file := configFlag(fs)
		parked := new(bool)
		if action != "hold" {
			parked = fs.Bool("parked", false, "")
		}
		rest, err := parse(fs, args)
		if err != nil {
			return err
		}
		if action == "resume" && len(rest) == 0 && !*parked {
			return c.setMode(ctx, *file, action)
		}
		sel, err := selection(rest, *parked)
		if err != nil {
			return err
		}
		return c.withSite(ctx, *file, func(call caller) error {
			var n int64
			if err := call.ask(ctx, "queue.operate", gateway.QueueArg{Action: action, Selection: sel}, &n); err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("no such job waits: none, or it is under way (`postern queue` lists them)")
			}
			fmt.Fprintf(c.out, "%d %s\n", n, words)
			return nil
		})
	}
}

func runQueueDrop(ctx context.Context, c *console, args []string) error {
	fs := c.flags("queue drop")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give the number of one job (postern queue)")
	}
	n, err := strconv.ParseInt(rest[0], 10, 64)
	if err != nil || n <= 0 {
		return usagef("%q is not a job's number", rest[0])
	}
	return c.withSite(ctx, *file, func(call caller) error {
		if err := call.ask(ctx, "queue.drop", n, nil); err != nil {
			return err
		}
		fmt.Fprintln(c.out, "dropped")
		return nil
	})
}

func queueMode(action string) func(context.Context, *console, []string) error {
	return func(ctx context.Context, c *console, args []string) error {
		fs := c.flags("queue " + action)
		file := configFlag(fs)
		wait := new(time.Duration)
		if action == "drain" {
			wait = waitFlag(fs)
		}
		if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
			return orUsage(err, "it is about the whole queue and takes no operands")
		}
		if err := c.setMode(ctx, *file, action); err != nil || *wait == 0 {
			return err
		}
		return c.withSite(ctx, *file, func(call caller) error { return c.drained(ctx, call, *wait) })
	}
}

func waitFlag(fs *flag.FlagSet) *time.Duration { return fs.Duration("wait", 0, "") }

func (c *console) setMode(ctx context.Context, file, action string) error {
	return c.withSite(ctx, file, func(call caller) error {
		var m gateway.Mode
		if err := call.ask(ctx, "queue.mode", action, &m); err != nil {
			return err
		}
		fmt.Fprintln(c.out, modeWords(m))
		return nil
	})
}

func modeWords(m gateway.Mode) string {
	switch {
	case m.Paused && m.Draining:
		return "paused, and no new mail is taken; postern queue resume ends both"
	case m.Paused:
		return "paused; postern queue resume ends it"
	case m.Draining:
		return "draining; postern queue resume ends it"
	}
	return "at work"
}

// drained waits until no job but clocks is left.
func (c *console) drained(ctx context.Context, call caller, wait time.Duration) error {
	for limit := time.Now().Add(wait); ; {
		var depths []store.Depth
		if err := call.ask(ctx, "queue.depth", struct{}{}, &depths); err != nil {
			return err
		}
		var left, parked int64
		for _, d := range depths {
			switch {
			case d.Class == queue.Clerical:
			case d.Parked:
				parked += d.Jobs
			default:
				left += d.Jobs
			}
		}
		if left == 0 {
			fmt.Fprintf(c.out, "drained; %d jobs are parked\n", parked)
			return nil
		}
		if time.Now().After(limit) {
			return notYetError{fmt.Errorf("%d jobs are left", left)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
