package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/gateway/agent"
	"postern/gateway/clinic/compose"
	"postern/smime/addr"
	"postern/trust"
)

// Letter is a ready text about one refusal, for whoever must act.
type Letter struct {
	For     string `json:"for"` // who must act
	To      string `json:"to"`  // the peer's postmaster, our administrator, or the sender
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Case is one refusal with its evidence, as a letter tells it. It holds no patient data.
type Case struct {
	Ours      addr.Address        // our side: sender outbound, recipient inbound
	Theirs    addr.Address        // the partner's address
	Inbound   bool                // their mail to us; else ours to them
	Reason    string              //
	Detail    string              //
	MessageID string              // RFC Message-ID, where there is a message
	At        time.Time           // when it was decided
	Evidence  json.RawMessage     // the decision and the discovery
	Path      []*x509.Certificate // the certificates judged
}

// Letter writes the text for whoever must act. Every reason has one; a test holds it to that.
func (c Case) Letter() Letter {
	advice := agent.AdviceOn(c.Reason)
	l := Letter{For: advice.Who, Subject: c.subject()}
	var b strings.Builder
	switch advice.Who {
	case string(trust.Peer):
		l.To = "postmaster@" + c.Theirs.Domain().String()
		fmt.Fprintf(&b, "Dear administrator of %s,\n\n%s\n\n%s\n\nWe would ask you to put it right:\n%s\n", c.Theirs.Domain(), c.happened(), c.cause(advice), asked(advice.Remedy))
		b.WriteString("\nThe decision step by step and the certificates are attached. No patient data is in them. Please write to the\naddress below if our view of it is wrong.\n")
	case string(trust.Administrator):
		l.To = "postmaster@" + c.Ours.Domain().String()
		fmt.Fprintf(&b, "%s\n\n%s\n\nWhat you can do:\n%s\n", c.happened(), c.cause(advice), asked(advice.Remedy))
		fmt.Fprintf(&b, "\nSee it again: postern why %s\n", c.Theirs)
	case string(trust.You):
		l.To = c.Ours.String()
		fmt.Fprintf(&b, "%s\n\n%s\n\nWhat you can do:\n%s\n", c.happened(), c.cause(advice), asked(advice.Remedy))
	default:
		l.To = "postmaster@" + c.Ours.Domain().String()
		fmt.Fprintf(&b, "%s\n\n%s\n\nNobody needs to act now:\n%s\n", c.happened(), c.cause(advice), asked(advice.Remedy))
	}
	fmt.Fprintf(&b, "\npostmaster@%s\n", c.Ours.Domain())
	l.Text = b.String()
	return l
}

func (c Case) subject() string {
	if c.Inbound {
		return fmt.Sprintf("Direct mail from %s is not accepted by %s (%s)", c.Theirs.Domain(), c.Ours.Domain(), c.Reason)
	}
	return fmt.Sprintf("Direct mail to %s cannot be sent by %s (%s)", c.Theirs.Domain(), c.Ours.Domain(), c.Reason)
}

// happened says what was tried and when.
func (c Case) happened() string {
	what := fmt.Sprintf("a message from %s to %s", c.Ours, c.Theirs)
	if c.Inbound {
		what = fmt.Sprintf("a message from %s to %s", c.Theirs, c.Ours)
	}
	outcome := "was not sent"
	if c.Inbound {
		outcome = "was not accepted and not answered, as the Direct protocol demands"
	}
	when := ""
	if !c.At.IsZero() {
		when = "on " + c.At.UTC().Format("2 January 2006 at 15:04 MST") + ", "
	}
	text := when + what + " " + outcome + "."
	if c.MessageID != "" {
		text += "\nIts Message-ID is <" + c.MessageID + ">."
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func (c Case) cause(a agent.Advice) string {
	text := "The cause (" + c.Reason + "): " + a.Explain
	if c.Detail != "" && c.Detail != a.Explain {
		text += "\nIn detail: " + c.Detail
	}
	if len(c.Path) > 0 {
		leaf := c.Path[0]
		text += fmt.Sprintf("\nThe certificate: %s, issued by %s, serial %s, valid until %s.", leaf.Subject, leaf.Issuer, leaf.SerialNumber.Text(16), leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return text
}

func asked(remedy string) string { return "    " + remedy }

// maxEvidence bounds each attachment of a letter, in octets.
const maxEvidence = 1 << 20

// Write writes the letter as a mail message with its evidence attached: the decision as JSON, the certificates as PEM.
func (c Case) Write(w io.Writer, now time.Time) error {
	l := c.Letter()
	from, err := addr.Parse("postmaster@" + c.Ours.Domain().String())
	if err != nil {
		return err
	}
	to, err := addr.Parse(l.To)
	if err != nil {
		return err
	}
	m := compose.Message{From: from, To: []addr.Address{to}, Subject: l.Subject, Text: l.Text, Now: now}
	if n := len(c.Evidence); n > 0 && n <= maxEvidence {
		var b bytes.Buffer
		if json.Indent(&b, c.Evidence, "", "  ") == nil {
			m.Attachments = append(m.Attachments, compose.Attachment{Name: "decision.json", MediaType: "application/json", Content: &b})
		}
	}
	var certs bytes.Buffer
	for _, cert := range c.Path {
		if err := pem.Encode(&certs, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
			return fmt.Errorf("gateway: letter: %w", err)
		}
	}
	if certs.Len() > 0 {
		m.Attachments = append(m.Attachments, compose.Attachment{Name: "certificates.pem", MediaType: "application/x-pem-file", Content: &certs})
	}
	_, err = m.Write(w)
	return err
}

// LetterArg asks for the letter about an address, or about a message and one of its recipients.
type LetterArg struct {
	WhyArg
	Message   string       `json:"message,omitempty"` // m-…
	Recipient addr.Address `json:"recipient,omitzero"`
}

// WhyLetter is the letter with its evidence, as a mail message.
func (a Admin) WhyLetter(ctx context.Context, in LetterArg) (Letter, []byte, error) {
	c, err := a.caseOf(ctx, in)
	if err != nil {
		return Letter{}, nil, err
	}
	var b bytes.Buffer
	if err := c.Write(&b, a.s.now()); err != nil {
		return Letter{}, nil, err
	}
	return c.Letter(), b.Bytes(), nil
}
