package message

import (
	"strings"
	"time"

	"postern/smime/addr"
)

// Kind says whether a message is mail or a notice about mail.
type Kind string

// The kinds of message. Notices are recognised by the report-type of their own header only (AS-95).
const (
	Mail Kind = "mail"
	MDN  Kind = "mdn" // multipart/report; report-type=disposition-notification
	DSN  Kind = "dsn" // multipart/report; report-type=delivery-status
)

// Facts is what a message's header and octets say, gathered in one pass by an Inspector. Fields that
// may stand once and stand several times are noted in Flaws; address lists of repeated To and Cc
// fields are joined (RFC 5322 §4.5.3).
type Facts struct {
	From    []addr.Address `json:"from,omitempty"`
	Sender  []addr.Address `json:"sender,omitempty"`
	ReplyTo []addr.Address `json:"reply_to,omitempty"`
	To      []addr.Address `json:"to,omitempty"`
	Cc      []addr.Address `json:"cc,omitempty"`
	Bcc     bool           `json:"bcc,omitempty"` // a Bcc field is there, empty or not (AS-34)

	MessageID  string    `json:"message_id,omitempty"`      // as written, without angle brackets; compare by NormalID
	BareID     bool      `json:"bare_message_id,omitempty"` // the field has no angle brackets: a notice about it copies that
	InReplyTo  string    `json:"in_reply_to,omitempty"`
	References []string  `json:"references,omitempty"`
	Date       time.Time `json:"date,omitzero"`
	Subject    string    `json:"subject,omitempty"` // decoded; may name a patient

	MediaType   string `json:"media_type,omitempty"`  // lower case; "" when there is no Content-Type
	ReportType  string `json:"report_type,omitempty"` // lower case
	SMIMEType   string `json:"smime_type,omitempty"`  // lower case
	MIMEVersion bool   `json:"mime_version,omitempty"`

	AutoSubmitted string `json:"auto_submitted,omitempty"` // keyword in lower case; "" and "no" are a person

	DispositionNotificationTo []addr.Address `json:"disposition_notification_to,omitempty"`
	DeliveryOptions           bool           `json:"delivery_options,omitempty"`         // the Options field is there, whatever it says
	FinalDelivery             bool           `json:"final_delivery,omitempty"`           // validly requested (DN-13)
	FinalDeliveryMalformed    bool           `json:"final_delivery_malformed,omitempty"` // asked for in a form to be ignored (DN-14)
	FinalDeliveryNote         string         `json:"final_delivery_note,omitempty"`      // why it is not honoured, in words

	Received   int   `json:"received"`
	Fields     int   `json:"fields"`
	HeaderSize int64 `json:"header_size"` // octets including the blank line
	Size       int64 `json:"size"`        // octets of the whole message

	BareCR   bool `json:"bare_cr,omitempty"`
	BareLF   bool `json:"bare_lf,omitempty"`
	NUL      bool `json:"nul,omitempty"`
	LongLine bool `json:"long_line,omitempty"` // over 998 octets without CRLF (RFC 5322 §2.1.1)
	EightBit bool `json:"eight_bit,omitempty"` // an octet over 127 anywhere

	Flaws []Flaw `json:"flaws,omitempty"`
}

// Kind tells mail from notices. A message/rfc822 wrapper or a sealed message is Mail: ask the inner one.
func (f Facts) Kind() Kind {
	if f.MediaType != "multipart/report" {
		return Mail
	}
	switch f.ReportType {
	case "disposition-notification":
		return MDN
	case "delivery-status":
		return DSN
	}
	return Mail
}

// Answerable reports whether a processed, dispatched or failed notice may be sent about the message:
// never about a notice (AS-95, DN-35).
func (f Facts) Answerable() bool { return f.Kind() == Mail }

// Automatic reports whether a program sent the message (RFC 3834 §5): it gets its delivery notices,
// but never an automatic reply such as an absence note.
func (f Facts) Automatic() bool {
	return f.Kind() != Mail || f.AutoSubmitted != "" && f.AutoSubmitted != "no"
}

// BccRecipients are those of the envelope who are in neither To nor Cc, compared without case and
// +tag. Their own gateway would refuse the message in silence (AS-82), so they must fail by name.
func (f Facts) BccRecipients(rcpts []addr.Address) []addr.Address {
	named := make(map[string]bool, len(f.To)+len(f.Cc))
	for _, a := range f.To {
		named[a.WithoutTag().Key()] = true
	}
	for _, a := range f.Cc {
		named[a.WithoutTag().Key()] = true
	}
	var out []addr.Address
	for _, a := range rcpts {
		if !named[a.WithoutTag().Key()] {
			out = append(out, a)
		}
	}
	return out
}

// SenderMatches reports whether the envelope sender is the inner From or Sender, without case and
// +tag (AS-82). The null sender matches a notice only (RFC 8098 §3, RFC 3464 §2).
func (f Facts) SenderMatches(mailFrom addr.Address) bool {
	if mailFrom.IsZero() {
		return f.Kind() != Mail
	}
	for _, list := range [][]addr.Address{f.From, f.Sender} {
		for _, a := range list {
			if a.SameMailbox(mailFrom) {
				return true
			}
		}
	}
	return false
}

// NormalID is the form in which message ids are compared and looked up: without angle brackets and
// without any white space, which folding may have put in or taken out (DN-45). Case counts.
func NormalID(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || r == '<' || r == '>' {
			return -1
		}
		return r
	}, bareID(s))
}

// bareID is the text inside the first pair of angle brackets, or all of s when it has none.
func bareID(s string) string {
	s = strings.TrimSpace(s)
	if open := strings.IndexByte(s, '<'); open >= 0 {
		s = s[open+1:]
		if end := strings.IndexByte(s, '>'); end >= 0 {
			s = s[:end]
		}
	}
	return strings.TrimSpace(strings.TrimSuffix(s, ">"))
}
