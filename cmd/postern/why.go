package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"postern/certs/discover"
	"postern/gateway"
	"postern/gateway/agent"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

func whyCommand() command {
	return command{"why", "would it, or why did it not go; and who must act", `Usage: postern why ADDRESS [--from A] [--letter FILE] [-c FILE] [--json]
       postern why m-ID [--letter FILE] [-c FILE] [--json]
       postern why --message-id ID [-c FILE] [--json]

For an address: does, without sending anything, what mail and notices there and from there would do now, for each form
the address has (as given, without +tag, the domain's postmaster), step by step. For a message: the state of each
recipient, the decision behind it, what the same decision would be today and what changed since. Either way what it
means, what to do, and who must: you, your administrator, or the peer's gateway.

  --from A       the address of ours that would send (default: postmaster of our first domain)
  --letter FILE  write the text for whoever must act as a mail message, the decision and the certificates attached;
                 - prints the text alone

Exit codes: 0 it would go, or it went; 1 it would not, or failed; 2 used wrongly; 3 not known yet.
Example: postern why referrals@direct.clinic.example
`, runWhy}
}

// whyAsk is one call of postern why.
type whyAsk struct {
	in     gateway.LetterArg
	asJSON bool
	letter string
}

func runWhy(ctx context.Context, c *console, args []string) error {
	fs := c.flags("why")
	file, from, rfc := configFlag(fs), fs.String("from", "", ""), fs.String("message-id", "", "")
	var ask whyAsk
	fs.BoolVar(&ask.asJSON, "json", false, "")
	fs.StringVar(&ask.letter, "letter", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) > 1 || (len(rest) == 1) == (*rfc != "") {
		return orUsage(err, "give one address, one message id (m-…) or --message-id")
	}
	if *rfc == "" && !strings.Contains(rest[0], "@") {
		id, err := message.ParseID(rest[0])
		if err != nil {
			return usageError{err.Error()}
		}
		ask.in.Message = string(id)
	} else if *rfc == "" {
		if ask.in.Address, err = addr.Parse(rest[0]); err == nil && *from != "" {
			ask.in.From, err = addr.Parse(*from)
		}
		if err != nil {
			return usageError{err.Error()}
		}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		switch {
		case *rfc != "":
			return c.whyRFC(ctx, call, *rfc, ask.asJSON)
		case ask.letter != "":
			return c.whyLetter(ctx, call, ask)
		case ask.in.Message != "":
			return c.whyMessage(ctx, call, message.ID(ask.in.Message), ask.asJSON)
		}
		return c.whyAddress(ctx, call, ask.in.WhyArg, ask.asJSON)
	})
}

// whyLetter writes the letter to a file, or prints its text.
func (c *console) whyLetter(ctx context.Context, call caller, ask whyAsk) error {
	var l gateway.Letter
	var mail bytes.Buffer
	if err := call(ctx, "why.letter", ask.in, nil, &l, &mail); err != nil {
		return err
	}
	if ask.asJSON {
		return c.printJSON(struct {
			V int `json:"v"`
			gateway.Letter
		}{1, l})
	}
	if ask.letter == "-" {
		_, err := fmt.Fprintf(c.out, "To: %s\nSubject: %s\n\n%s", l.To, l.Subject, l.Text)
		return err
	}
	if err := os.WriteFile(ask.letter, mail.Bytes(), 0o600); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "%s: to %s (%s must act), with the evidence attached\n", ask.letter, l.To, l.For)
	return err
}

func (c *console) whyRFC(ctx context.Context, call caller, rfc string, asJSON bool) error {
	var lines []gateway.MessageLine
	if err := call.ask(ctx, "messages", store.Query{RFCID: message.NormalID(rfc)}, &lines); err != nil {
		return err
	}
	if len(lines) == 0 {
		return fmt.Errorf("no message here has the Message-ID <%s>; an inbound one that could not be opened has none yet: postern held list", message.NormalID(rfc))
	}
	var worst error
	for _, l := range lines {
		if err := c.whyMessage(ctx, call, l.ID, asJSON); err != nil {
			worst = err
		}
	}
	return worst
}

func (c *console) whyMessage(ctx context.Context, call caller, id message.ID, asJSON bool) error {
	var w gateway.WhyMessage
	if err := call.ask(ctx, "why.message", id, &w); err != nil {
		return err
	}
	if asJSON {
		if err := c.printJSON(struct {
			V int `json:"v"`
			gateway.WhyMessage
		}{1, w}); err != nil {
			return err
		}
	}
	bad, waiting := false, false
	for _, r := range w.Recipients {
		switch r.State {
		case "failed", "held", "discarded":
			bad = true
		case "new", "received", "retrying":
			waiting = true
		}
		if asJSON {
			continue
		}
		fmt.Fprintf(c.out, "%s: %s\n  %s\n", r.Recipient, r.State, r.Words)
		if r.Reason != "" {
			fmt.Fprintf(c.out, "  reason   %s: %s\n", r.Reason, r.Detail)
			c.printAdvice(r.Advice)
		}
		c.printReplay(r.Replay)
		if r.Letter != nil {
			fmt.Fprintf(c.out, "  letter   to %s: postern why %s --letter FILE\n", r.Letter.To, id)
		}
		if r.Reason == agent.ReasonNoProcessed || r.Reason == "" {
			c.printAlgorithms(r.Algorithms)
		}
	}
	switch {
	case bad:
		return errShown
	case waiting:
		return notYetError{fmt.Errorf("%s is still under way", id)}
	}
	return nil
}

// printReplay says what a stored decision would be today, and what changed since.
func (c *console) printReplay(r *gateway.Replay) {
	if r == nil {
		return
	}
	words := func(reason string) string {
		if reason == "" {
			return "accepted"
		}
		return "refused (" + reason + ")"
	}
	if !r.Differs {
		fmt.Fprintf(c.out, "  today    the same: %s\n", words(r.Now))
		return
	}
	fmt.Fprintf(c.out, "  then     %s on %s\n  today    %s %s\n", words(r.Then), r.At.Local().Format(time.DateTime), words(r.Now), r.Detail)
	for _, w := range r.Changed {
		fmt.Fprintf(c.out, "  since    %s\n", w)
	}
}

// printWays lists every direction and form that was tried.
func (c *console) printWays(ways []gateway.Way) {
	if len(ways) == 0 {
		return
	}
	fmt.Fprintln(c.out, "\nEvery way, tried now")
	for _, w := range ways {
		state := "would pass"
		switch {
		case w.Temporary:
			state = "not known yet"
		case !w.OK:
			state = "would be refused"
		}
		fmt.Fprintf(c.out, "  %-16s %s", state, w.What)
		if w.OK {
			fmt.Fprintf(c.out, " (certificate of the %s)", w.Bound)
		} else {
			fmt.Fprintf(c.out, ": %s; %s must act", w.Reason, w.Advice.Who)
		}
		fmt.Fprintln(c.out)
	}
}

func (c *console) printAdvice(a agent.Advice) {
	if a.Explain != "" {
		fmt.Fprintf(c.out, "  meaning  %s\n", a.Explain)
	}
	if a.Remedy != "" {
		fmt.Fprintf(c.out, "  to do    %s\n", a.Remedy)
	}
	if a.Who != "" {
		fmt.Fprintf(c.out, "  who      %s\n", a.Who)
	}
}

// printAlgorithms says with what a recipient is sent mail, and why.
func (c *console) printAlgorithms(a *agent.Algorithms) {
	if a == nil {
		return
	}
	fmt.Fprintf(c.out, "  sealed   with %s, key by %s\n", a.Cipher, a.KeyTransport)
	for _, why := range a.Why {
		fmt.Fprintf(c.out, "           %s\n", why)
	}
}

func (c *console) whyAddress(ctx context.Context, call caller, in gateway.WhyArg, asJSON bool) error {
	var w gateway.Why
	if err := call.ask(ctx, "why", in, &w); err != nil {
		return err
	}
	v := w.Sending
	if asJSON {
		if err := c.printJSON(struct {
			V int `json:"v"`
			gateway.Why
		}{1, w}); err != nil {
			return err
		}
	} else {
		c.printWhy(in, w)
	}
	switch {
	case v.OK:
		return nil
	case v.Temporary:
		return notYetError{fmt.Errorf("not known yet: %s", v.Detail)}
	}
	return errShown
}

func (c *console) printWhy(in gateway.WhyArg, w gateway.Why) {
	v := w.Sending
	verdict := "would be sent"
	if v.Temporary {
		verdict = "would wait"
	} else if !v.OK {
		verdict = "would not be sent"
	}
	fmt.Fprintf(c.out, "A message from %s to %s %s now.\n", w.From, in.Address, verdict)
	if v.OK {
		fmt.Fprintf(c.out, "  certificate %s (%s), found at %s, bound to the %s\n  trusted by  %s\n  next hop    %s\n", v.Cert[:16], v.Subject, v.Location, v.Bound, v.AnchorCN, w.NextHop)
		c.printAlgorithms(v.Algorithms)
	} else {
		fmt.Fprintf(c.out, "  reason   %s: %s\n", v.Reason, v.Detail)
		c.printAdvice(w.Advice)
	}
	if w.Believed != nil {
		words := "would be believed"
		if !w.Believed.OK {
			words = "would be held, not delivered"
		}
		fmt.Fprintf(c.out, "Mail from there, signed with what it publishes, %s.\n", words)
		if !w.Believed.OK {
			fmt.Fprintf(c.out, "  reason   %s: %s\n", w.Believed.Reason, w.Believed.Detail)
			c.printAdvice(w.Believed.Advice)
		}
	}
	c.printWays(w.Ways)
	if w.Letter != nil {
		fmt.Fprintf(c.out, "\nA letter to %s is ready: postern why %s --letter FILE\n", w.Letter.To, in.Address)
	}
	var found discover.Trace
	if json.Unmarshal(v.Discovery, &found) == nil && len(found.Steps) > 0 {
		fmt.Fprintln(c.out, "\nHow it was looked for")
		printTrace(c.out, found)
	}
	var decided trust.Trace
	if json.Unmarshal(v.Decision, &decided) == nil && decided.Certificate != "" {
		fmt.Fprintln(c.out, "\nHow it was judged")
		_ = decided.WriteText(c.out)
	}
}
