package notice

import (
	"strings"

	"postern/gateway/message"
	"postern/smime/addr"
)

// Report is a notice as read. It is what a peer says, nothing more: whether it counts depends on who
// signed it (DN-47).
type Report struct {
	Kind message.Kind `json:"kind"` // message.MDN or message.DSN
	// Standard says that the message calls itself such a report (AS-95) and holds the part that
	// makes it one. Others are shown to people and change no state.
	Standard          bool     `json:"standard"`
	OriginalMessageID string   `json:"original_message_id,omitempty"` // as message.NormalID makes it; "" when nothing tells
	IDSource          string   `json:"id_source,omitempty"`           // the field it was found in (DN-45)
	Reporter          string   `json:"reporter,omitempty"`            // Reporting-UA or Reporting-MTA
	Entries           []Entry  `json:"entries,omitempty"`
	Repairs           []string `json:"repairs,omitempty"` // what was passed over or cut to read it
}

// Entry is what a notice says of one recipient.
type Entry struct {
	Recipient   addr.Address `json:"recipient,omitzero"`       // Final-Recipient (DN-46); zero when it is no address
	Original    addr.Address `json:"original,omitzero"`        // Original-Recipient, whom the sender wrote to, when given
	Written     string       `json:"written,omitempty"`        // the recipient as written, for people, when Recipient is zero
	Disposition Disposition  `json:"disposition,omitempty"`    // of an MDN
	Modifier    string       `json:"modifier,omitempty"`       // of an MDN, lower case
	Action      Action       `json:"action,omitempty"`         // of a DSN
	Status      string       `json:"status,omitempty"`         // of a DSN: digits and dots only, e.g. 5.1.1
	FinalField  bool         `json:"final_delivery,omitempty"` // the extension field of DN-22 stands in the notification part
	Detail      string       `json:"detail,omitempty"`         // the peer's words: diagnostic, failure or error text
}

// Outcome is what the entry means. A disposition with an error modifier is a failure (DN-48), except
// on displayed and deleted, where it tells of an import (DN-52). A DSN counts by its action; one
// without is read by the class of its status.
func (e Entry) Outcome() Outcome {
	bad := strings.Contains(e.Modifier, "error") || strings.Contains(e.Modifier, "failure")
	switch e.Disposition {
	case Displayed, Deleted:
		if bad {
			return OutcomeImportFailed
		}
		return Outcome(e.Disposition)
	case Failed, Denied, Error:
		return OutcomeFailed
	case Processed, Dispatched:
		if bad {
			return OutcomeFailed
		}
		return Outcome(e.Disposition)
	}
	switch e.Action {
	case ActionFailed, "expired": // QUIRK: SendGrid says expired
		return OutcomeFailed
	case ActionDelayed:
		return OutcomeDelayed
	case ActionDelivered, ActionRelayed, ActionExpanded:
		return OutcomeHandedOn
	case "":
		if strings.HasPrefix(e.Status, "5.") {
			return OutcomeFailed
		}
	}
	return OutcomeNone
}

// ConfirmsFinalDelivery reports whether the entry is the statement DN-22 asks for: dispatched, with
// the extension field. QUIRK: some agents put the field on their processed notice; that says nothing.
func (e Entry) ConfirmsFinalDelivery() bool {
	return e.Outcome() == OutcomeDispatched && e.FinalField
}

// About is the recipient the entry speaks of: the final one, or the original one where the final
// one cannot be read.
func (e Entry) About() addr.Address {
	if !e.Recipient.IsZero() {
		return e.Recipient
	}
	return e.Original
}

// Names is whom the entry may speak of: the final recipient, and the original one where that is another. A
// peer with aliases of its own knows the message under both.
func (e Entry) Names() []addr.Address {
	var out []addr.Address
	for _, a := range []addr.Address{e.Recipient, e.Original} {
		if !a.IsZero() && (len(out) == 0 || !a.SameMailbox(out[0])) {
			out = append(out, a)
		}
	}
	return out
}
