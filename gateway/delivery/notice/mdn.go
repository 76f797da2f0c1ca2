package notice

import (
	"io"
	"strings"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
)

// MaxText is how many octets of a text for people or of a peer's words are kept, in either direction.
const MaxText = 500

// MDN is a disposition notification about one message and one recipient (DN-23).
type MDN struct {
	From, To          addr.Address // From is the address that received the message (AS-94)
	FinalRecipient    addr.Address // zero is From
	OriginalMessageID string       // of the inner message, with or without brackets
	OriginalBare      bool         // its field has no brackets: copied so (QUIRK: .NET agents compare the text)
	Disposition       Disposition
	FinalDelivery     bool      // write the extension field of DN-22; only with Dispatched
	ReportingUA       string    // "domain; product"; "" leaves the field out
	Failure           string    // why, for Failed, Denied and Error; a short text free of patient data
	Subject           string    // of the original message, decoded
	MessageID         string    // its own, without brackets
	Date              time.Time // its own
}

// Write writes the complete message (AS-93): a text for people and the notification, marked as
// automatic mail, asking for no notice itself (ETT 452). Errors: ErrIncomplete, or the writer's.
func (m MDN) Write(w io.Writer) error {
	if m.FinalRecipient.IsZero() {
		m.FinalRecipient = m.From
	}
	switch {
	case !m.Disposition.known():
		return incomplete("unknown disposition %q", asciiText(string(m.Disposition), 40))
	case m.FinalDelivery && m.Disposition != Dispatched: // DN-22
		return incomplete("only dispatched confirms final delivery")
	}
	l := letter{
		from: m.From, to: m.To, messageID: m.MessageID, about: trimID(m.OriginalMessageID), date: m.Date,
		subject:  m.subjectPrefix() + m.Subject,
		report:   "disposition-notification",
		text:     m.text(),
		partType: "message/disposition-notification", partName: "disposition.txt",
		part: m.part(),
	}
	if err := l.check(); err != nil {
		return err
	}
	return l.write(w)
}

func (m MDN) part() []byte {
	var b []byte
	add := func(name, value string) { b = append(b, field{name, value}.line()...) }
	if ua := asciiText(m.ReportingUA, MaxText); ua != "" {
		add("Reporting-UA", ua)
	}
	add("Final-Recipient", "rfc822;"+m.FinalRecipient.String())
	if id := trimID(m.OriginalMessageID); id != "" {
		add("Original-Message-ID", copyID(id, m.OriginalBare))
	}
	add("Disposition", "automatic-action/MDN-sent-automatically;"+string(m.Disposition)) // DN-20, DN-25
	if why := asciiText(m.Failure, MaxText); why != "" {
		if m.Disposition == Error {
			add("Error", why)
		} else {
			add("Failure", why) // DN-28
		}
	}
	if m.FinalDelivery {
		add(message.FinalDelivery, "") // DN-22: a field of its own, with an empty value
	}
	return b
}

// subjectPrefix is what senders' mailboxes are used to: "Processed: " and the like (DN-20).
func (m MDN) subjectPrefix() string {
	s := string(m.Disposition)
	return strings.ToUpper(s[:1]) + s[1:] + ": "
}

// text says it to people without promising more than the disposition does (AS-91, DN-29).
func (m MDN) text() string {
	to := m.FinalRecipient.String()
	var s string
	switch m.Disposition {
	case Processed:
		s = "Your message to " + to + " was received and its security checks passed. This does not yet mean that it has reached the recipient's mailbox or system."
	case Dispatched:
		s = "Your message to " + to + " was handed over to the recipient's mailbox or system. This does not mean that anyone has read it."
	case Failed, Denied, Error:
		s = "Your message to " + to + " could not be delivered. Please reach the recipient in another way."
	case Displayed:
		s = "Your message to " + to + " was opened."
	case Deleted:
		s = "Your message to " + to + " was removed without being opened."
	}
	out := wrap(s, "")
	if why := oneLineText(m.Failure, MaxText); why != "" {
		out += "\n" + wrap("Reason: "+why, "")
	}
	return out
}

// copyID is the id as its own field has it (RFC 8098 §3.2.5).
func copyID(id string, bare bool) string {
	if bare {
		return id
	}
	return "<" + id + ">"
}

// trimID takes white space and one pair of angle brackets off; what is inside stays as written
// (DN-23). An id of nothing else is no id.
func trimID(id string) string {
	id = strings.TrimSpace(id)
	if len(id) >= 2 && id[0] == '<' && id[len(id)-1] == '>' {
		id = id[1 : len(id)-1]
	}
	if strings.Trim(id, "<> \t\r\n") == "" {
		return ""
	}
	return id
}
