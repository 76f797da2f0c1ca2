package notice

import (
	"strings"

	"postern/gateway/message"
)

// Disposition is the disposition type of an MDN, in lower case (RFC 8098 §3.2.6, RFC 3798 for the
// failure types that Direct kept).
type Disposition string

// The disposition types Direct knows.
const (
	Processed  Disposition = "processed"
	Dispatched Disposition = "dispatched"
	Failed     Disposition = "failed"
	Denied     Disposition = "denied"
	Error      Disposition = "error"
	Displayed  Disposition = "displayed"
	Deleted    Disposition = "deleted"
)

func (d Disposition) known() bool {
	switch d {
	case Processed, Dispatched, Failed, Denied, Error, Displayed, Deleted:
		return true
	}
	return false
}

// readDisposition takes the type from a Disposition field (DN-48): what follows the semicolon up to
// "/" or ",", in lower case, and the modifiers after it. The mode before the semicolon is not looked
// at. QUIRK: some agents write the type alone, without mode and semicolon.
// A word that is no known type yields "".
func readDisposition(v string) (Disposition, string) {
	v = strings.ToLower(strings.TrimSpace(message.WithoutComments(v)))
	if _, after, ok := strings.Cut(v, ";"); ok {
		v = after
	}
	v, _, _ = strings.Cut(v, ";")
	v, _, _ = strings.Cut(v, "(") // a comment that is not closed
	end := strings.IndexAny(v, "/,")
	if end < 0 {
		end = len(v)
	}
	d := Disposition(strings.TrimSpace(v[:end]))
	if d == "failure" { // QUIRK: the edge testing tool takes this word for failed
		d = Failed
	}
	if !d.known() {
		return "", ""
	}
	return d, oneLineText(strings.TrimSpace(strings.Trim(v[end:], "/,")), MaxText)
}

// Action is the action of one recipient in a DSN, in lower case (RFC 3464 §2.3.3).
type Action string

// The actions of RFC 3464.
const (
	ActionFailed    Action = "failed"
	ActionDelayed   Action = "delayed"
	ActionDelivered Action = "delivered"
	ActionRelayed   Action = "relayed"
	ActionExpanded  Action = "expanded"
)

// Outcome is what one entry of a notice means for one recipient, whichever kind of notice said so.
type Outcome string

// The outcomes.
const (
	OutcomeNone         Outcome = ""              // says nothing that can be acted on
	OutcomeProcessed    Outcome = "processed"     // the peer took responsibility (DN-01)
	OutcomeDispatched   Outcome = "dispatched"    // at its final destination, if FinalDelivery says so too (DN-22)
	OutcomeFailed       Outcome = "failed"        // will not arrive
	OutcomeDelayed      Outcome = "delayed"       // still being tried
	OutcomeHandedOn     Outcome = "handed_on"     // a mail system passed it on: no statement of Direct
	OutcomeDisplayed    Outcome = "displayed"     // a person or program opened it (DN-52)
	OutcomeDeleted      Outcome = "deleted"       // removed unread
	OutcomeImportFailed Outcome = "import_failed" // the edge system could not use it: work for people, not a failed delivery (DN-52)
)
