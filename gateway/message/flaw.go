package message

import "fmt"

// Reason names one thing wrong with a message.
type Reason string

// What can be wrong. Those that stop an Inspector are said so; the others become Flaws.
const (
	ReasonLoop          Reason = "mail_loop"         // more than 100 Received fields: stops the Inspector (RFC 5321 §6.3)
	ReasonHeaderSize    Reason = "header_too_large"  // header over 256 KiB: stops the Inspector
	ReasonHeaderFields  Reason = "too_many_fields"   // more than 1,000 fields: stops the Inspector
	ReasonNoFrom        Reason = "no_from"           // AS-30
	ReasonDuplicate     Reason = "duplicate_field"   // a field that may stand once stands again
	ReasonBadAddress    Reason = "bad_address"       // an address field that is not a list of addresses
	ReasonSeveralFrom   Reason = "several_authors"   // From lists several addresses and no Sender says who sent it
	ReasonNoRecipients  Reason = "no_recipients"     // neither To nor Cc names anyone (AS-30)
	ReasonBadMessageID  Reason = "bad_message_id"    // a Message-ID field that holds no usable id
	ReasonBadDate       Reason = "bad_date"          // a Date field that is not a date
	ReasonBadType       Reason = "bad_content_type"  // a Content-Type that cannot be read
	ReasonBadLine       Reason = "bad_header_line"   // a header line that is neither a field nor its continuation
	ReasonControl       Reason = "control_in_header" // NUL or a bare CR in the header: readers disagree where fields end
	ReasonBcc           Reason = "bcc_field"         // AS-34
	ReasonMixedLineEnds Reason = "mixed_line_ends"   // Canonical: LF here, CRLF there
	ReasonBareCR        Reason = "bare_cr"           // Canonical: CR without LF
)

// Explain is the reason in plain words for the person who sent the message.
func (r Reason) Explain() string {
	switch r {
	case ReasonLoop:
		return fmt.Sprintf("The message passed more than %d servers: it is going round in a circle.", MaxReceived)
	case ReasonHeaderSize:
		return fmt.Sprintf("The message header is larger than %d KiB.", MaxHeader>>10)
	case ReasonHeaderFields:
		return fmt.Sprintf("The message header has more than %d fields.", MaxFields)
	case ReasonNoFrom:
		return "The message has no From field."
	case ReasonDuplicate:
		return "A header field that may appear once appears several times."
	case ReasonBadAddress:
		return "An address field of the header cannot be read as a list of addresses."
	case ReasonSeveralFrom:
		return "The message names several authors but not who of them sent it (Sender)."
	case ReasonNoRecipients:
		return "Neither To nor Cc names a recipient."
	case ReasonBadMessageID:
		return "The Message-ID field holds no usable id."
	case ReasonBadDate:
		return "The Date field is not a date."
	case ReasonBadType:
		return "The Content-Type field cannot be read."
	case ReasonBadLine:
		return "The header has a line that is no header field."
	case ReasonControl:
		return "The header has a control character that mail programs read differently."
	case ReasonBcc:
		return "The message has a Bcc field; Direct messages have no hidden recipients."
	case ReasonMixedLineEnds:
		return "Some lines end with CRLF and some with LF."
	case ReasonBareCR:
		return "The message has a carriage return that does not end a line."
	}
	return "The message cannot be used."
}

// Flaw is one thing wrong with a message, and where.
type Flaw struct {
	Reason Reason `json:"reason"`
	Field  string `json:"field,omitempty"` // the header field's name, in lower case
}

// Error is why a message is refused. Detail is for operators and holds no field's value.
type Error struct {
	Reason Reason
	Detail string
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return "message: " + string(e.Reason)
	}
	return "message: " + string(e.Reason) + ": " + e.Detail
}

// Flawed reports whether the flaw was found, on the named field (lower case) or, with "", anywhere.
func (f Facts) Flawed(r Reason, field string) bool {
	for _, x := range f.Flaws {
		if x.Reason == r && (field == "" || x.Field == field) {
			return true
		}
	}
	return false
}

// CheckInner is why an opened message cannot be acted on, or nil: whoever its author is, or whether a
// reader sees the same author as this gateway, is in doubt. From decides the binding (AS-83), so it
// must be there, once, readable, and mean the same to every reader.
func (f Facts) CheckInner() *Error {
	switch {
	case f.Flawed(ReasonDuplicate, "from"):
		return &Error{ReasonDuplicate, "from"}
	case f.Flawed(ReasonBadAddress, "from"):
		return &Error{ReasonBadAddress, "from"}
	case f.Flawed(ReasonControl, ""):
		return &Error{ReasonControl, ""}
	case len(f.From) == 0:
		return &Error{ReasonNoFrom, ""}
	}
	return nil
}

// CheckSubmission is why a submitted message is refused, or nil. Beyond CheckInner it asks of our own
// senders what makes peers refuse in silence or leaves nothing to match notices by (AS-30, AS-34, EP-04).
func (f Facts) CheckSubmission() *Error {
	if err := f.CheckInner(); err != nil {
		return err
	}
	for _, x := range f.Flaws {
		switch {
		case x.Reason == ReasonBadLine, x.Reason == ReasonBadMessageID:
			return &Error{x.Reason, x.Field}
		case x.Reason == ReasonBadAddress && (x.Field == "to" || x.Field == "cc" || x.Field == "sender"):
			return &Error{x.Reason, x.Field}
		case x.Reason == ReasonDuplicate && (x.Field == "sender" || x.Field == "message-id"):
			return &Error{x.Reason, x.Field}
		case x.Reason == ReasonDuplicate && (x.Field == "date" || x.Field == "content-type"):
			return &Error{x.Reason, x.Field}
		}
	}
	switch {
	case len(f.From) > 1 && len(f.Sender) != 1: // RFC 5322 §3.6.2
		return &Error{ReasonSeveralFrom, ""}
	case len(f.To)+len(f.Cc) == 0:
		return &Error{ReasonNoRecipients, ""}
	case f.Bcc:
		return &Error{ReasonBcc, ""}
	}
	return nil
}
