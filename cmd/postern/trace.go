package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/gateway"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

func traceCommands() []command {
	return []command{
		{"trace", "where a message is, and the evidence", `Usage: postern trace m-ID [-c FILE] [--json]
       postern trace [--to A] [--from A] [--since D] [--message-id ID] [--overdue | --unconfirmed] [-c FILE] [--json]
       postern trace [m-ID] --follow [--after SEQ] [-c FILE]

With an id: each recipient's ladder with the time and evidence of every rung, the security receipt, what is
still queued and the notices. Without: a list of messages. --follow prints events as they are committed, one
JSON object a line with its place in the order ("seq"), with an id those of that message alone; --after takes
it up again without missing one.
Nothing here names a patient.

  --since D   how far back (default 24h)
  --overdue   only messages that nobody has confirmed by their deadline: telephone these recipients
  --unconfirmed
              only messages that left, of which it is not known whether some recipient has them: nobody has confirmed
              them yet, or nobody did in time

Exit codes: 0 printed, 1 no such message or failed, 2 used wrongly.
Example: postern trace --to referrals@direct.clinic.example --since 72h
`, runTrace},
		{"queue", "what is waiting to be done", `Usage: postern queue [m-ID] [-c FILE] [--json]

Jobs by the time they are due, clocks last; the last line says how many recipients nobody has confirmed yet.

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern queue
`, runQueue},
	}
}

func runTrace(ctx context.Context, c *console, args []string) error {
	fs := c.flags("trace")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	to, from, rfc := fs.String("to", "", ""), fs.String("from", "", ""), fs.String("message-id", "", "")
	since := fs.Duration("since", 24*time.Hour, "")
	overdue, uncertain := fs.Bool("overdue", false, ""), fs.Bool("unconfirmed", false, "")
	follow, after := fs.Bool("follow", false, ""), fs.Int64("after", 0, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) > 1 {
		return orUsage(err, "give at most one message id")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var id message.ID
		if len(rest) == 1 {
			if id, err = message.ParseID(rest[0]); err != nil {
				return usageError{err.Error()}
			}
		}
		switch {
		case *follow:
			return c.follow(ctx, call, *after, id)
		case id != "":
			return c.traceOne(ctx, call, id, *asJSON)
		}
		q := store.Query{Since: time.Now().Add(-*since), Limit: 1000, RFCID: message.NormalID(*rfc), Overdue: *overdue, Uncertain: *uncertain}
		for name, v := range map[*string]string{&q.To: *to, &q.From: *from} {
			if v == "" {
				continue
			}
			a, err := addr.Parse(v)
			if err != nil {
				return usageError{err.Error()}
			}
			*name = a.Key()
		}
		return c.traceList(ctx, call, q, *asJSON)
	})
}

func (c *console) traceOne(ctx context.Context, call caller, id message.ID, asJSON bool) error {
	var raw json.RawMessage
	if err := call.ask(ctx, "trace", id, &raw); err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(struct {
			V     int             `json:"v"`
			Trace json.RawMessage `json:"trace"`
		}{1, raw})
	}
	var t gateway.Trace
	if err := json.Unmarshal(raw, &t); err != nil {
		return err
	}
	m := t.Message
	fmt.Fprintf(c.out, "%s  %s %s, %d octets, received %s\nfrom %s, Message-ID <%s>\n\n", m.ID, m.Direction, m.Kind, m.Size,
		m.Received.Local().Format(time.DateTime), m.Sender, m.RFCID)
	for _, e := range t.Events {
		printEvent(c.out, e)
	}
	printLadders(c.out, t)
	for _, i := range t.Items {
		fmt.Fprintf(c.out, "\nfiled: postern inbox show %s %d\n", i.Inbox, i.Number)
	}
	for _, n := range t.Notices {
		fmt.Fprintf(c.out, "notice written: %s (%s)\n", n.Message, n.Kind)
	}
	for _, q := range t.Queue {
		fmt.Fprintf(c.out, "queued: %s for %v, %s, %d attempts %s\n", q.Kind, q.Recipients, whenDue(q), q.Attempts, q.LastError)
	}
	printReceipt(c.out, []byte(m.Receipt))
	return nil
}

func (c *console) traceList(ctx context.Context, call caller, q store.Query, asJSON bool) error {
	var lines []gateway.MessageLine
	if err := call.ask(ctx, "messages", q, &lines); err != nil {
		return err
	}
	for _, l := range lines {
		if asJSON {
			if err := c.printJSON(struct {
				V int `json:"v"`
				gateway.MessageLine
			}{1, l}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.out, "%s  %s  %-3s %-4s %-35s -> %v  %v\n", l.ID, l.Received.Local().Format(time.DateTime), l.Direction, l.Kind, l.From, l.Recipients, l.States)
		for _, r := range l.Overdue {
			fmt.Fprintf(c.out, "    deadline passed: telephone %s\n", r)
		}
		if q.Uncertain {
			for _, u := range l.Uncertain {
				fmt.Fprintf(c.out, "    %s: %s\n", u.Recipient, u.Words)
			}
		}
	}
	return nil
}

// follow prints events as they are committed, of one message or of all, until the caller is told to stop.
func (c *console) follow(ctx context.Context, call caller, after int64, of message.ID) error {
	for {
		var events []store.Event
		err := call.ask(ctx, "events", gateway.EventsArg{After: after, Limit: 500}, &events)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			after = e.Seq
			if of != "" && e.Message != of {
				continue
			}
			if err := c.printJSON(eventLine{1, e}); err != nil {
				return errors.New("output closed")
			}
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// eventLine is an event in the stream.
type eventLine struct {
	V int `json:"v"`
	store.Event
}

func runQueue(ctx context.Context, c *console, args []string) error {
	fs := c.flags("queue")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) > 1 {
		return orUsage(err, "give at most one message id")
	}
	var id message.ID
	if len(rest) == 1 {
		if id, err = message.ParseID(rest[0]); err != nil {
			return usageError{err.Error()}
		}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var lines []gateway.QueueLine
		if err := call.ask(ctx, "queue", id, &lines); err != nil {
			return err
		}
		for _, l := range lines {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					gateway.QueueLine
				}{1, l}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(c.out, "%6d %s %-8s %-30s %s attempts %d %s\n", l.Job, l.Message, l.Kind, l.Lane, whenDue(l), l.Attempts, l.LastError)
		}
		if *asJSON || id != "" {
			return nil
		}
		return c.unconfirmed(ctx, call)
	})
}

// unconfirmed is the last line of the queue: what left and has not been confirmed.
func (c *console) unconfirmed(ctx context.Context, call caller) error {
	var u store.Unconfirmed
	if err := call.ask(ctx, "queue.unconfirmed", struct{}{}, &u); err != nil || u.Sent+u.Processed == 0 {
		return err
	}
	fmt.Fprintf(c.out, "recipients not confirmed yet: %d (%d by nobody, %d taken by their gateway), since %s; postern trace --unconfirmed lists them\n",
		u.Sent+u.Processed, u.Sent, u.Processed, u.Oldest.Local().Format(time.DateTime))
	return nil
}

// whenDue is when a job is worked on.
func whenDue(l gateway.QueueLine) string {
	switch {
	case l.Parked:
		return "parked: waits for you"
	case l.UnderWay:
		return "under way"
	}
	return "due " + l.Due.Local().Format(time.DateTime)
}
