package track

import (
	"encoding/json"
	"time"

	"postern/gateway/delivery/notice"
)

// MaxRepeats is how many events of one kind notices may add to one ladder: a peer that repeats itself
// cannot fill the store.
const MaxRepeats = 8

// Action is what becomes of a peer's notice itself.
type Action string

// The actions.
const (
	Forward  Action = "forward"  // pass it on to the sender
	Raise    Action = "raise"    // pass it on, and open a task for people (DN-52)
	Suppress Action = "suppress" // keep it from the sender: he was told the opposite or the same already (ETT MT 28)
	Ignore   Action = "ignore"   // it says nothing about this message: log it
)

// Apply is what one entry of a believed notice changes: the events to append and what to do with the
// notice. The entry must be about the ladder's recipient; source is the notice's verified sender.
// Whether a processed notice that may be forwarded is forwarded or consumed is the caller's policy (DN-50).
func Apply(l Ladder, e notice.Entry, now time.Time, source string) ([]Event, Action) {
	k, ok := kindOf(e)
	if !ok || l.Role != Outgoing || l.Notice || len(l.Rungs) == 0 {
		return nil, Ignore
	}
	action := l.actionOn(k)
	if l.count(k) >= MaxRepeats {
		return nil, action
	}
	event := func(k Kind, evidence json.RawMessage) Event {
		return Event{Message: l.Message, Recipient: l.Recipient, Kind: k, Time: now, Source: source, Evidence: evidence}
	}
	follow := Forwarded
	if action == Suppress {
		follow = Suppressed
	}
	return []Event{event(k, evidenceOf(e)), event(follow, nil)}, action
}

// actionOn decides by the state before the notice.
func (l *Ladder) actionOn(k Kind) Action {
	switch {
	case k == Displayed: // DN-49: never suppressed
		return Forward
	case k == ImportFailed:
		return Raise
	case l.has(k): // said before
		return Suppress
	case l.State == StateFailed: // a terminal notice was given
		return Suppress
	case l.State == StateDelivered && (k == DispatchedBare || k == Delayed || k == HandedOn): // less than was told
		return Suppress
	}
	return Forward
}

func kindOf(e notice.Entry) (Kind, bool) {
	switch e.Outcome() {
	case notice.OutcomeProcessed:
		return Processed, true
	case notice.OutcomeDispatched:
		if e.FinalField { // DN-22
			return Dispatched, true
		}
		return DispatchedBare, true
	case notice.OutcomeFailed:
		return Failed, true
	case notice.OutcomeDelayed:
		return Delayed, true
	case notice.OutcomeHandedOn:
		return HandedOn, true
	case notice.OutcomeDisplayed:
		return Displayed, true
	case notice.OutcomeDeleted:
		return Deleted, true
	case notice.OutcomeImportFailed:
		return ImportFailed, true
	}
	return "", false
}

// evidenceOf keeps the codes of an entry; its free text may hold anything and stays with the notice.
func evidenceOf(e notice.Entry) json.RawMessage {
	b, err := json.Marshal(struct {
		Disposition notice.Disposition `json:"disposition,omitempty"`
		Action      notice.Action      `json:"action,omitempty"`
		Status      string             `json:"status,omitempty"`
		FinalField  bool               `json:"final_field,omitempty"`
	}{e.Disposition, e.Action, e.Status, e.FinalField})
	if err != nil { // plain strings always marshal
		return nil
	}
	return b
}
