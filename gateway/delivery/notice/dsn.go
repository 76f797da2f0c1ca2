package notice

import (
	"io"
	"strings"
	"time"

	"postern/smime/addr"
)

// Limits of a DSN this gateway writes.
const (
	MaxRecipients     = 1000
	MaxOriginalHeader = 64 << 10 // octets of the original header given back; a longer one is left out
)

// DSN is a delivery status notification about one message and those of its recipients it speaks of
// (DN-30 to DN-33). The others are untouched (DN-44).
type DSN struct {
	From, To          addr.Address // From is postmaster@ of the reporting domain (DN-33)
	ReportingMTA      string       // its domain
	OriginalMessageID string       // with or without brackets
	OriginalBare      bool         // its field has no brackets: copied so
	Arrival           time.Time    // when the message was handed in; zero leaves it out
	Recipients        []RecipientStatus
	Subject           string // of the original message, decoded
	MessageID         string // its own, without brackets
	Date              time.Time
	OriginalHeader    []byte // CRLF; nil gives nothing back
}

// RecipientStatus is what became of the message for one recipient.
type RecipientStatus struct {
	Recipient  addr.Address
	Action     Action // "" is failed
	Status     string // RFC 3463, "5.1.1"; "" is the class of the action with no detail
	Diagnostic string // a peer's SMTP reply, or our own words; free of patient data
	Text       string // for the sender, in plain words: what happened and what to do
}

// Write writes the complete message. Errors: ErrIncomplete, or the writer's.
func (d DSN) Write(w io.Writer) error {
	if len(d.Recipients) == 0 || len(d.Recipients) > MaxRecipients {
		return incomplete("%d recipients, must be 1 to %d", len(d.Recipients), MaxRecipients)
	}
	if _, err := addr.ParseDomain(d.ReportingMTA); err != nil {
		return incomplete("reporting MTA is not a domain")
	}
	for i, r := range d.Recipients {
		if err := r.check(); err != nil {
			return incomplete("recipient %d: %v", i+1, err)
		}
	}
	l := letter{
		from: d.From, to: d.To, messageID: d.MessageID, about: trimID(d.OriginalMessageID), date: d.Date,
		subject:  d.subjectPrefix() + d.Subject,
		report:   "delivery-status",
		text:     d.text(),
		partType: "message/delivery-status", partName: "status.dat", // DN-30
		part: d.part(),
	}
	if len(d.OriginalHeader) <= MaxOriginalHeader {
		l.original = d.OriginalHeader
	}
	if err := l.check(); err != nil {
		return err
	}
	return l.write(w)
}

func (r RecipientStatus) check() error {
	if r.Recipient.IsZero() {
		return incomplete("no address")
	}
	switch r.action() {
	case ActionFailed, ActionDelayed, ActionDelivered, ActionRelayed, ActionExpanded:
	default:
		return incomplete("unknown action %q", asciiText(string(r.Action), 40))
	}
	if s := r.status(); cleanStatus(s) != s {
		return incomplete("status %q is not a status code", asciiText(s, 40))
	}
	return nil
}

func (r RecipientStatus) action() Action {
	if r.Action == "" {
		return ActionFailed
	}
	return r.Action
}

func (r RecipientStatus) status() string {
	if r.Status != "" {
		return r.Status
	}
	switch r.action() {
	case ActionFailed:
		return "5.0.0"
	case ActionDelayed:
		return "4.0.0"
	}
	return "2.0.0"
}

func (d DSN) part() []byte {
	var b []byte
	add := func(name, value string) { b = append(b, field{name, value}.line()...) }
	add("Reporting-MTA", "dns;"+d.ReportingMTA) // DN-31
	if id := trimID(d.OriginalMessageID); id != "" {
		add("X-Original-Message-ID", copyID(id, d.OriginalBare)) // DN-31: what peers match by
	}
	if !d.Arrival.IsZero() {
		add("Arrival-Date", d.Arrival.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}
	for _, r := range d.Recipients {
		b = append(b, "\r\n"...)
		add("Final-Recipient", "rfc822;"+r.Recipient.String()) // DN-32
		add("Action", string(r.action()))
		add("Status", r.status())
		if diag := asciiText(r.Diagnostic, MaxText); diag != "" {
			add("Diagnostic-Code", diagnosticType(diag)+"; "+diag)
		}
	}
	return b
}

// diagnosticType is smtp for what begins like an SMTP reply (RFC 3464 §2.3.6), else our own type.
func diagnosticType(s string) string {
	if len(s) > 3 && strings.Trim(s[:3], "0123456789") == "" && (s[3] == ' ' || s[3] == '-') {
		return "smtp"
	}
	return "x-postern"
}

func (d DSN) subjectPrefix() string {
	for _, r := range d.Recipients {
		if r.action() == ActionFailed {
			return "Not Delivered: "
		}
	}
	return "Delivery Status: "
}

// text tells people, recipient by recipient, what became of the message.
func (d DSN) text() string {
	titles := []struct {
		action Action
		title  string
	}{
		{ActionFailed, "Your message could not be delivered to:"},
		{ActionDelayed, "Your message is delayed and is still being tried for:"},
		{ActionDelivered, "Your message was delivered to:"},
		{ActionRelayed, "Your message was passed on, with no further report to come, to:"},
		{ActionExpanded, "Your message was passed on to the members of:"},
	}
	s := wrap("This is the Direct mail gateway of "+d.ReportingMTA+".", "")
	for _, t := range titles {
		first := true
		for _, r := range d.Recipients {
			if r.action() != t.action {
				continue
			}
			if first {
				s += "\n" + t.title + "\n"
				first = false
			}
			s += "\n  " + r.Recipient.String() + "\n"
			if words := oneLineText(r.Text, 4*MaxText); words != "" {
				s += wrap(words, "    ")
			}
		}
	}
	return s
}
