package smtpd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-smtp"
)

// Reason says why a command, a message or a connection was refused.
type Reason string

// The reasons of a refusal.
const (
	ReasonTLSRequired     Reason = "tls_required"    // EP-21
	ReasonAuthRequired    Reason = "auth_required"   // RFC 4954 §6
	ReasonBadLogin        Reason = "bad_login"       // EP-24
	ReasonLoginLater      Reason = "login_later"     // throttled, or the user store does not answer
	ReasonManyLogins      Reason = "too_many_logins" // failed logins of one session
	ReasonNoMechanism     Reason = "no_mechanism"    // AUTH with another mechanism than PLAIN or LOGIN
	ReasonBadSASL         Reason = "bad_sasl"        // an AUTH exchange that cannot be read
	ReasonBadHelo         Reason = "bad_helo"
	ReasonBadSender       Reason = "bad_sender"         // MAIL FROM is no Direct address
	ReasonSenderNotYours  Reason = "sender_not_yours"   // EP-05, in MAIL FROM
	ReasonFromNotYours    Reason = "from_not_yours"     // EP-05, in From or Sender
	ReasonNullSender      Reason = "null_sender"        // EP-92: <> with a message that is no notice
	ReasonBadRecipient    Reason = "bad_recipient"      // RCPT TO is no Direct address
	ReasonUnknown         Reason = "unknown_recipient"  // no such address in a domain of ours
	ReasonSeparately      Reason = "other_organisation" // of another organisation than the recipients before (RFC 5321 §4.5.3.1.10)
	ReasonRelay           Reason = "relaying"           // not ours, and the peer has no login
	ReasonTooLarge        Reason = "too_large"
	ReasonBareLine        Reason = "bare_cr_or_lf"     // EP-26
	ReasonFalseEnd        Reason = "false_end_of_data" // a dot line with control characters (EP-26)
	ReasonLongLine        Reason = "long_line"         // EP-27, with Limits.StrictLines
	ReasonLoop            Reason = "mail_loop"         // RFC 5321 §6.3
	ReasonHeader          Reason = "bad_header"        // what message.Facts.CheckSubmission refuses
	ReasonDisk            Reason = "disk_full"
	ReasonPressure        Reason = "under_pressure"
	ReasonInternal        Reason = "internal"
	ReasonTimeout         Reason = "timeout"
	ReasonAborted         Reason = "aborted"        // the connection or the transfer ended inside a message
	ReasonAbandoned       Reason = "bdat_abandoned" // RSET or EHLO inside a BDAT transfer
	ReasonManyErrors      Reason = "too_many_errors"
	ReasonConnections     Reason = "connections"       // all of them are taken
	ReasonPeerConnections Reason = "peer_connections"  // this peer has its share
	ReasonLoginSessions   Reason = "login_connections" // this login has its share
	ReasonLoginRate       Reason = "login_rate"        // this login sends too fast
	ReasonHandshake       Reason = "tls_handshake"
	ReasonIntake          Reason = "intake" // Intake said so, by a Refusal
)

// reply is what a peer is told: generic, never a cause from inside.
type reply struct {
	code int
	enh  smtp.EnhancedCode
	text string
}

func (r Reason) reply() reply {
	switch r {
	case ReasonTLSRequired:
		return reply{530, smtp.EnhancedCode{5, 7, 0}, "Must issue a STARTTLS command first"}
	case ReasonAuthRequired:
		return reply{530, smtp.EnhancedCode{5, 7, 0}, "Authentication required"}
	case ReasonBadLogin:
		return reply{535, smtp.EnhancedCode{5, 7, 8}, "Authentication credentials invalid"}
	case ReasonLoginLater:
		return reply{454, smtp.EnhancedCode{4, 7, 0}, "Temporary authentication failure"}
	case ReasonManyLogins:
		return reply{421, smtp.EnhancedCode{4, 7, 0}, "Too many failed logins"}
	case ReasonNoMechanism:
		return reply{504, smtp.EnhancedCode{5, 5, 4}, "Unrecognized authentication type"}
	case ReasonBadSASL:
		return reply{501, smtp.EnhancedCode{5, 5, 2}, "Cannot read the authentication exchange"}
	case ReasonBadHelo:
		return reply{501, smtp.EnhancedCode{5, 5, 2}, "Not a host name"}
	case ReasonBadSender:
		return reply{501, smtp.EnhancedCode{5, 1, 7}, "Not an address"}
	case ReasonSenderNotYours:
		return reply{550, smtp.EnhancedCode{5, 7, 1}, "This login may not send from that address"}
	case ReasonFromNotYours:
		return reply{550, smtp.EnhancedCode{5, 7, 1}, "This login may not use the address in From or Sender"}
	case ReasonNullSender:
		return reply{550, smtp.EnhancedCode{5, 7, 1}, "A null sender is for delivery notices only"}
	case ReasonBadRecipient:
		return reply{501, smtp.EnhancedCode{5, 1, 3}, "Not an address"}
	case ReasonUnknown:
		return reply{550, smtp.EnhancedCode{5, 1, 1}, "No such address here"}
	case ReasonSeparately:
		return reply{452, smtp.EnhancedCode{4, 5, 3}, "Too many recipients, send to this one separately"}
	case ReasonRelay:
		return reply{550, smtp.EnhancedCode{5, 7, 1}, "Relaying denied"}
	default:
		return r.dataReply()
	}
}

// dataReply is reply for the reasons that concern a message or a connection.
func (r Reason) dataReply() reply {
	switch r {
	case ReasonTooLarge:
		return reply{552, smtp.EnhancedCode{5, 3, 4}, "Message too large"}
	case ReasonBareLine:
		return reply{554, smtp.EnhancedCode{5, 6, 0}, "Every line must end in CRLF: bare CR or LF found"}
	case ReasonFalseEnd:
		return reply{554, smtp.EnhancedCode{5, 6, 0}, "Control characters around a lone dot"}
	case ReasonLongLine:
		return reply{552, smtp.EnhancedCode{5, 6, 0}, "A line is longer than 998 octets"}
	case ReasonLoop:
		return reply{554, smtp.EnhancedCode{5, 4, 6}, "Mail loop: too many Received fields"}
	case ReasonHeader:
		return reply{554, smtp.EnhancedCode{5, 6, 0}, "The message header cannot be accepted"}
	case ReasonDisk:
		return reply{452, smtp.EnhancedCode{4, 3, 1}, "Insufficient system storage"}
	case ReasonPressure:
		return reply{452, smtp.EnhancedCode{4, 3, 1}, "Too busy to take a message now"}
	case ReasonTimeout:
		return reply{421, smtp.EnhancedCode{4, 4, 2}, "Timeout"}
	case ReasonAborted:
		return reply{451, smtp.EnhancedCode{4, 4, 2}, "Transfer aborted"}
	case ReasonAbandoned:
		return reply{421, smtp.EnhancedCode{4, 4, 2}, "Message transfer abandoned, please begin anew"}
	case ReasonManyErrors:
		return reply{421, smtp.EnhancedCode{4, 7, 0}, "Too many errors"}
	case ReasonConnections:
		return reply{421, smtp.EnhancedCode{4, 3, 2}, "Too many connections, try again later"}
	case ReasonLoginSessions:
		return reply{421, smtp.EnhancedCode{4, 7, 0}, "Too many connections with this login"}
	case ReasonLoginRate:
		return reply{450, smtp.EnhancedCode{4, 7, 0}, "Too many messages with this login, try again in a minute"}
	case ReasonPeerConnections:
		return reply{421, smtp.EnhancedCode{4, 7, 0}, "Too many connections from your address"}
	default:
		return reply{451, smtp.EnhancedCode{4, 3, 0}, "Local error, try again later"}
	}
}

// Refusal is an answer that Intake or Directory chooses itself; as an error it is permanent or
// temporary as its code says. Text goes to the peer: plain words, nothing from inside.
type Refusal struct {
	Code     int    // 400 to 599
	Enhanced [3]int // RFC 3463
	Text     string
}

func (r *Refusal) Error() string { return fmt.Sprintf("smtpd: refused with %d %s", r.Code, r.Text) }

// library is the library's form of a refusal, or nil when r is not one a peer may be sent.
func (r *Refusal) library() *smtp.SMTPError {
	if r.Code < 400 || r.Code > 599 {
		return nil
	}
	enh := smtp.EnhancedCode(r.Enhanced)
	if enh[0] != r.Code/100 {
		enh = smtp.EnhancedCode{r.Code / 100, 0, 0}
	}
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: enh, Message: clean(r.Text, 400)}
}

// refused is a Refusal with its Reason, on its way to the peer.
func refusal(err error) *smtp.SMTPError {
	var r *Refusal
	if errors.As(err, &r) {
		return r.library()
	}
	return nil
}

// clean makes text from outside fit for a log or a reply: printable ASCII, at most n octets.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > n {
		s = s[:n]
	}
	return s
}
