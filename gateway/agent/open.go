package agent

import (
	"context"
	"errors"
	"fmt"
	"io"

	"postern/gateway/message"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
	"postern/trust"
)

// Inbound is a sealed message from the network with its envelope.
type Inbound struct {
	MailFrom   addr.Address // zero is <>
	Recipients []addr.Address
	Sealed     io.Reader
}

// Result is what became of an inbound message. With Refused set, nothing was opened or nothing may be
// shown; otherwise Opened is the caller's to Close, and may be acted on only for recipients whose
// verdict is OK.
type Result struct {
	Opened   *smime.Opened
	Facts    message.Facts
	Sender   addr.Address // inner From
	Verdicts []Verdict    // one a recipient, in their order
	Lessons  []Lesson     // what the domains that approved it learn of the sender
	Refused  bool         // no verdict is OK
}

// Open decrypts with keys bound to the message's own recipients and no others, verifies, compares
// envelope with inner header (AS-82), binds the signer to the sender and judges it for each recipient
// (AS-83 to AS-86). An error is a fault of ours or a transient one; a refusal is a Result.
func (a *Agent) Open(ctx context.Context, in Inbound) (*Result, error) {
	keys, policy, err := a.keysFor(ctx, in.Recipients)
	if err != nil {
		return nil, err
	}
	opened, err := smime.Open(in.Sealed, smime.OpenOptions{Keys: keys, Scratch: a.Scratch, Legacy: policy.Legacy, Limits: a.Limits})
	var refusal *smime.Error
	if errors.As(err, &refusal) && refusal.Reason != cms.ReasonBusy { // busy is our own memory: later
		return refuse(in, string(refusal.Reason), refusal.Detail), nil
	}
	if err != nil {
		return nil, fmt.Errorf("agent: open: %w", err)
	}
	res, err := a.examine(ctx, in, opened, policy)
	if err != nil || res.Refused {
		// Partial plaintext of a message that is not approved is destroyed here and nowhere later.
		if e := opened.Close(); err == nil && e != nil {
			err = fmt.Errorf("agent: destroy plaintext: %w", e)
		}
		if res != nil {
			res.Opened = nil
		}
	}
	return res, err
}

// keysFor collects the keys of the recipients (CMS-22). Legacy is allowed only when every recipient's domain allows it.
func (a *Agent) keysFor(ctx context.Context, rcpts []addr.Address) ([]smime.Key, Policy, error) {
	var keys []smime.Key
	policy := Policy{Legacy: len(rcpts) > 0, Lax: map[string]bool{}}
	seen := map[string]bool{}
	for i, r := range rcpts {
		p, err := a.Policies.Policy(ctx, r.Domain())
		if err != nil {
			return nil, policy, fmt.Errorf("agent: policy of %s: %w", r.Domain(), err)
		}
		policy.Legacy = policy.Legacy && p.Legacy
		if i == 0 {
			policy.Lax = p.Lax
		} else {
			policy.Lax = both(policy.Lax, p.Lax)
		}
		creds, err := a.Keys.Decryption(ctx, r)
		if err != nil {
			return nil, policy, fmt.Errorf("agent: keys of %s: %w", r, err)
		}
		for _, c := range creds {
			if !seen[string(c.Cert.Raw)] {
				seen[string(c.Cert.Raw)] = true
				keys = append(keys, smime.Key{Cert: c.Cert, Private: c.Key})
			}
		}
	}
	return keys, policy, nil
}

func both(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		if b[k] {
			out[k] = true
		}
	}
	return out
}

func refuse(in Inbound, reason, detail string) *Result {
	res := &Result{Refused: true}
	for _, r := range in.Recipients {
		res.Verdicts = append(res.Verdicts, Verdict{Recipient: r, Reason: reason, Detail: detail})
	}
	return res
}

// examine checks the opened message's header against its envelope and judges its signers.
func (a *Agent) examine(ctx context.Context, in Inbound, o *smime.Opened, p Policy) (*Result, error) {
	var ins message.Inspector
	buf := make([]byte, min(o.Inner.Size()+1, 32<<10)) // most messages are notices, and short
	src := struct{ io.Reader }{io.NewSectionReader(o.Inner, 0, o.Inner.Size())}
	if _, err := io.CopyBuffer(&ins, src, buf); err != nil {
		var flaw *message.Error
		if errors.As(err, &flaw) {
			return refuse(in, ReasonHeader, flaw.Error()), nil
		}
		return nil, fmt.Errorf("agent: read inner message: %w", err)
	}
	f := ins.Facts()
	if err := ins.Err(); err != nil { // a header without a blank line is judged only at its end
		return refuse(in, ReasonHeader, err.Error()), nil
	}
	if flaw := f.CheckInner(); flaw != nil {
		return refuse(in, ReasonHeader, flaw.Error()), nil
	}
	if reason, detail := envelope(in, f, p); reason != "" {
		return refuse(in, reason, detail), nil
	}
	res := &Result{Opened: o, Facts: f, Sender: f.From[0], Refused: true}
	purpose := trust.Mail
	if f.Kind() != message.Mail {
		purpose = trust.Notice // AS-88
	}
	j := a.newJury(o, res.Sender, purpose)
	for _, r := range in.Recipients {
		v, err := j.verdict(ctx, r)
		if err != nil {
			return nil, err
		}
		res.Verdicts = append(res.Verdicts, v)
		if v.OK {
			res.Refused = false
		}
	}
	res.Lessons = a.lessons(o, res.Sender, onlyOurs(o, f, in.Recipients), res.Verdicts)
	return res, nil
}

// envelope is AS-80 to AS-82: exactly one From, MAIL FROM in From or Sender, every recipient in To or Cc.
func envelope(in Inbound, f message.Facts, p Policy) (reason, detail string) {
	if len(f.From) != 1 {
		return ReasonNoSender, fmt.Sprintf("The inner header names %d senders in From; it must name one.", len(f.From))
	}
	lax := p.Lax[f.From[0].Domain().String()]
	switch {
	case in.MailFrom.IsZero() && f.Kind() == message.Mail: // receive-matrix: <> only on multipart/report
		return ReasonNullSender, "The envelope sender is empty, which only notices may have."
	case !lax && !f.SenderMatches(in.MailFrom):
		return ReasonSenderMismatch, fmt.Sprintf("The envelope sender %s is not in the inner From or Sender.", in.MailFrom)
	}
	if out := f.BccRecipients(in.Recipients); !lax && len(out) > 0 {
		return ReasonNotInHeader, fmt.Sprintf("The envelope recipient %s is not in the inner To or Cc.", out[0])
	}
	return "", ""
}
