package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/clinic/compose"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/smime/addr"
)

func sendCommand() command {
	return command{"send", "send a message, and wait for its confirmations", `Usage: postern send --from A --to B [--to B]... [flags] [-c FILE]

Sends a message from an address of this site. Its text comes from --text or standard input.

  --cc B             also to B, named in Cc (may be repeated)
  --subject S        subject (it travels sealed)
  --text T           the text; "-" or none reads standard input
  --attach F         attach a file (may be repeated)
  --raw              standard input is a complete message (RFC 5322) whose From is A; --to is the envelope
  --purpose P        discharge, referral or records: an alarm is raised when it is not confirmed in 15 min,
                     1 h or 24 h
  --no-final         do not ask for notice of final delivery
  --key K            idempotency key: the same key again sends nothing and prints the first message's id
  --wait             wait until every recipient is confirmed or failed
  --timeout D        how long --wait waits (default 90s)
  --json             print JSON

Exit codes: 0 accepted (with --wait: confirmed for every recipient), 1 refused or failed, 2 used wrongly,
3 not known yet when --wait ran out.
Example: postern send --from ward3@direct.hospital.example --to referrals@direct.clinic.example \
           --subject "Referral" --text "Please see the attached." --attach referral.xml --purpose referral --wait
`, runSend}
}

// sendFlags is one call of send.
type sendFlags struct {
	file, from, subject, text, purpose, key *string
	to, cc, attach                          listFlag
	raw, noFinal, wait, asJSON              *bool
	timeout                                 *time.Duration
}

func runSend(ctx context.Context, c *console, args []string) error {
	fs := c.flags("send")
	var f sendFlags
	f.file, f.from, f.subject = configFlag(fs), fs.String("from", "", ""), fs.String("subject", "", "")
	f.text, f.purpose, f.key = fs.String("text", "", ""), fs.String("purpose", "", ""), fs.String("key", "", "")
	f.raw, f.noFinal, f.wait = fs.Bool("raw", false, ""), fs.Bool("no-final", false, ""), fs.Bool("wait", false, "")
	f.asJSON, f.timeout = fs.Bool("json", false, ""), fs.Duration("timeout", 90*time.Second, "")
	fs.Var(&f.to, "to", "")
	fs.Var(&f.cc, "cc", "")
	fs.Var(&f.attach, "attach", "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "send takes no operands: name recipients with --to")
	}
	if *f.from == "" || len(f.to) == 0 {
		return usagef("--from and at least one --to are needed")
	}
	if *f.raw && (len(f.attach) > 0 || *f.text != "" || *f.subject != "") {
		return usagef("--raw takes the whole message from standard input: no --text, --subject or --attach beside it")
	}
	if strings.ContainsAny(*f.subject, "\r\n\x00") || len(*f.subject) > compose.MaxSubject {
		return usagef("--subject is one line of at most %d octets", compose.MaxSubject)
	}
	switch *f.purpose {
	case "", "discharge", "referral", "records":
	default:
		return usagef("--purpose is discharge, referral or records, not %q", *f.purpose)
	}
	return c.send(ctx, f)
}

func (c *console) send(ctx context.Context, f sendFlags) error {
	in := gateway.Send{Purpose: *f.purpose, Key: *f.key}
	var err error
	if in.From, err = addr.Parse(*f.from); err != nil {
		return usageError{err.Error()}
	}
	to, err := addresses(f.to)
	if err != nil {
		return err
	}
	cc, err := addresses(f.cc)
	if err != nil {
		return err
	}
	in.Recipients = append(append([]addr.Address{}, to...), cc...)
	body, asked, done, err := c.sendBody(f, in.From, to, cc)
	if err != nil {
		return err
	}
	defer done()
	in.Asked = asked
	return c.withSite(ctx, *f.file, func(call caller) error {
		var id message.ID
		if err := call(ctx, "send", in, body, &id, nil); err != nil {
			return err
		}
		if !*f.wait {
			if *f.asJSON {
				return c.printJSON(map[string]any{"v": 1, "id": id})
			}
			fmt.Fprintf(c.out, "%s accepted; `postern trace %s` shows where it is\n", id, id)
			return nil
		}
		return c.waitFor(ctx, call, id, f)
	})
}

func addresses(list []string) ([]addr.Address, error) {
	var out []addr.Address
	for _, s := range list {
		a, err := addr.Parse(s)
		if err != nil {
			return nil, usageError{err.Error()}
		}
		out = append(out, a)
	}
	return out, nil
}

// maxText bounds a text from standard input; what is longer is refused whole, never cut.
const maxText = 1 << 20

// sendBody is the message to submit: standard input, or one composed from the flags. Asked is the digest of what it is
// composed from.
func (c *console) sendBody(f sendFlags, from addr.Address, to, cc []addr.Address) (body io.Reader, asked []byte, done func(), err error) {
	if *f.raw {
		return c.in, nil, func() {}, nil
	}
	m := compose.Message{From: from, To: to, Cc: cc, Subject: *f.subject, Text: *f.text, FinalDelivery: !*f.noFinal, Now: time.Now()}
	if m.Text == "" || m.Text == "-" {
		b, err := io.ReadAll(io.LimitReader(c.in, maxText+1))
		if err != nil {
			return nil, nil, nil, err
		}
		if len(b) > maxText {
			return nil, nil, nil, fmt.Errorf("the text is longer than %d octets: send it as a file, with --attach", maxText)
		}
		m.Text = string(b)
	}
	var files []io.Closer
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	sum := sha256.New()
	say := func(parts ...any) {
		for _, p := range parts {
			s := fmt.Sprint(p)
			fmt.Fprintf(sum, "%d %s", len(s), s)
		}
	}
	say(m.From, len(m.To), m.To, len(m.Cc), m.Cc, m.Subject, m.Text, m.FinalDelivery)
	for _, name := range f.attach {
		file, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, nil, nil, err
		}
		if *f.key != "" { // only then is it asked whether it is the same again
			each := sha256.New()
			_, err := io.Copy(each, file)
			if err == nil {
				_, err = file.Seek(0, io.SeekStart)
			}
			if err != nil {
				closeAll()
				return nil, nil, nil, fmt.Errorf("%s: with --key an attachment is a file: %w", name, errors.Join(err, file.Close()))
			}
			say(filepath.Base(name), hex.EncodeToString(each.Sum(nil)))
		}
		files = append(files, file)
		m.Attachments = append(m.Attachments, compose.Attachment{Name: filepath.Base(name), Content: file})
	}
	r, w := io.Pipe()
	go func() { // ends with the reader: done closes it
		_, err := m.Write(w)
		w.CloseWithError(err)
	}()
	if *f.key != "" {
		asked = sum.Sum(nil)
	}
	return r, asked, func() { r.Close(); closeAll() }, nil
}

// waitFor follows a message's ladders until all are settled, printing each new rung.
func (c *console) waitFor(ctx context.Context, call caller, id message.ID, f sendFlags) error {
	deadline := time.Now().Add(*f.timeout)
	seen := 0
	for {
		var t gateway.Trace
		if err := call.ask(ctx, "trace", id, &t); err != nil {
			return err
		}
		for _, e := range t.Events[min(seen, len(t.Events)):] {
			if *f.asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					track.Event
				}{1, e}); err != nil {
					return err
				}
			} else {
				printEvent(c.out, e)
			}
		}
		seen = len(t.Events)
		settled, failed := true, false
		for _, l := range t.Ladders {
			settled = settled && (l.Ladder.Terminal)
			failed = failed || l.Ladder.State == track.StateFailed
		}
		if len(t.Queue) > 0 && !running(ctx, call) {
			return notYetError{fmt.Errorf("%s is accepted and waits: no gateway runs this site (`postern serve`)", id)}
		}
		if settled && len(t.Ladders) == len(t.Message.Submission.Recipients) {
			if !*f.asJSON {
				printLadders(c.out, t)
			}
			if failed {
				return errShown
			}
			return nil
		}
		if time.Now().After(deadline) {
			return notYetError{fmt.Errorf("%s is not confirmed for every recipient after %s; `postern trace %s` shows where it is", id, *f.timeout, id)}
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted; the message goes on by itself: postern trace " + string(id))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// running reports whether a gateway works on what is queued.
func running(ctx context.Context, call caller) bool {
	var r gateway.Running
	return call.ask(ctx, "status", struct{}{}, &r) == nil && !r.Since.IsZero()
}

// printEvent is one rung on one line: when, what, for whom, and the evidence in short.
func printEvent(w io.Writer, e track.Event) {
	fmt.Fprintf(w, "%s  %-20s %-40s %s\n", e.Time.Format("15:04:05.000"), e.Kind, e.Recipient, evidenceLine(e.Evidence))
}

// evidenceLine is the plain values of evidence, without nested ones.
func evidenceLine(raw json.RawMessage) string {
	var all map[string]any
	if json.Unmarshal(raw, &all) != nil {
		return ""
	}
	var out []string
	for _, k := range []string{"location", "name", "reason", "status", "text", "detail", "anchor_subject", "bound", "host", "tls", "code", "destination",
		"documents", "disposition", "clock", "after", "edge", "peer", "size", "local"} {
		switch v := all[k].(type) {
		case nil:
		case string:
			if v != "" {
				out = append(out, k+"="+v)
			}
		case []any:
			if len(v) > 0 {
				out = append(out, fmt.Sprintf("%s=%v", k, v))
			}
		default:
			out = append(out, fmt.Sprintf("%s=%v", k, v))
		}
	}
	return strings.Join(out, "  ")
}

func printLadders(w io.Writer, t gateway.Trace) {
	for _, l := range t.Ladders {
		fmt.Fprintf(w, "\n%s: %s\n  %s\n", l.Recipient, l.Ladder.State, l.Ladder.Words)
	}
}
