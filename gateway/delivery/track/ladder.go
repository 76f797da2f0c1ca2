package track

import (
	"slices"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
)

// Role says from which side a ladder looks.
type Role string

// The roles.
const (
	Outgoing Role = "outgoing" // this gateway sends (SRC)
	Incoming Role = "incoming" // this gateway receives (DST)
)

// State is where a message stands for one recipient.
type State string

// The states. Those of an outgoing message are DN section 4, those of an incoming one DN section 5.
const (
	StateNew       State = "new"       // accepted, not yet handed over
	StateSent      State = "sent"      // handed over, nothing heard
	StateProcessed State = "processed" // the peer took responsibility, final delivery not yet confirmed
	StateDone      State = "done"      // the peer said what it was asked; final delivery was not asked
	StateDelivered State = "delivered" // confirmed at its final destination; incoming: filed or handed to the edge
	StateFailed    State = "failed"

	StateReceived  State = "received" // accepted from a peer, not yet judged
	StateHeld      State = "held"     // refused in silence, kept
	StateDiscarded State = "discarded"
	StateTrusted   State = "trusted" // responsibility taken, not yet delivered
	StateRetrying  State = "retrying"
)

// Key names one ladder.
type Key struct {
	Message   message.ID
	Recipient string // addr.Address.Key
}

// Rung is one event as the ladder shows it.
type Rung struct {
	Event
	Late   bool `json:"late,omitempty"`   // a peer said it after the failure: shown, not told
	Repeat bool `json:"repeat,omitempty"` // said before
}

// Ladder is what is known of one message for one recipient.
type Ladder struct {
	Message   message.ID   `json:"message"`
	Recipient addr.Address `json:"recipient"`
	Role      Role         `json:"role"`
	State     State        `json:"state"`
	Rungs     []Rung       `json:"rungs"`

	FinalRequested bool `json:"final_requested"`
	Notice         bool `json:"notice,omitempty"`       // a notice itself: no timers, no answers
	Terminal       bool `json:"terminal"`               // no timer of ours will change the state any more
	Unknown        bool `json:"unknown"`                // handed over, and not known whether it arrived
	Overdue        bool `json:"overdue,omitempty"`      // its deadline passed unconfirmed
	Late           bool `json:"late,omitempty"`         // a peer confirmed after the failure
	Contradicted   bool `json:"contradicted,omitempty"` // a peer reported failure after delivery
	ImportFailed   bool `json:"import_failed,omitempty"`
	Told           bool `json:"told,omitempty"` // the failure was told, by us or by passing the peer's notice on

	Failure Kind   `json:"failure,omitempty"` // the event that made it fail
	Words   string `json:"words"`             // the state in one or two plain sentences
}

// NeedsCall says that a person should ask the recipient: the deadline has passed and nothing confirms the message.
func (l Ladder) NeedsCall() bool { return l.Overdue && l.unconfirmed() }

// Uncertain says that the message was handed over, or may have been, and nobody knows whether it arrived: a clock still
// runs, or one ran out, and no word of the peer settles it.
func (l Ladder) Uncertain() bool {
	if l.Notice || l.Role == Incoming {
		return false
	}
	switch l.State {
	case StateSent, StateProcessed:
		return true
	case StateFailed:
		return !l.Late && (l.Failure == NoProcessed || l.Failure == NoDispatched || l.Failure == Rejected && l.reasoned(reasonNoAnswer))
	}
	return false
}

// Key names the ladder.
func (l Ladder) Key() Key { return Key{l.Message, l.Recipient.Key()} }

// Fold makes the ladders of all events, which must be in commit order. Ladders of different messages
// and recipients do not touch each other (DN-03).
func Fold(events []Event) map[Key]Ladder {
	out := map[Key]Ladder{}
	for _, e := range events {
		k := Key{e.Message, e.Recipient.Key()}
		l, ok := out[k]
		if !ok {
			l = newLadder(e)
		}
		l.step(e)
		out[k] = l
	}
	for k, l := range out {
		l.finish()
		out[k] = l
	}
	return out
}

// One folds the events of one message and one recipient. The zero Ladder comes of no events.
func One(events []Event) Ladder {
	if len(events) == 0 {
		return Ladder{}
	}
	l := newLadder(events[0])
	for _, e := range events {
		l.step(e)
	}
	l.finish()
	return l
}

func newLadder(e Event) Ladder {
	return Ladder{Message: e.Message, Recipient: e.Recipient, Role: Outgoing, State: StateNew}
}

// step takes one event. It never fails: an event that makes no sense in its place is a rung without
// effect, because what happened cannot be refused.
func (l *Ladder) step(e Event) {
	if e.Kind.incoming() && l.Role == Outgoing && l.State == StateNew {
		l.Role, l.State = Incoming, StateReceived
	}
	l.Rungs = append(l.Rungs, Rung{Event: e, Repeat: l.has(e.Kind), Late: l.State == StateFailed && e.Kind.fromPeer()})
	switch e.Kind {
	case FinalRequested:
		l.FinalRequested = true
	case Notice:
		l.Notice = true
	case ToldFailed:
		l.Told = true
	}
	if l.Role == Incoming {
		l.stepIncoming(e.Kind)
	} else {
		l.stepOutgoing(e.Kind)
	}
}

// has reports whether an event of the kind happened.
func (l *Ladder) has(k Kind) bool { return l.count(k) > 0 }

func (l *Ladder) count(k Kind) (n int) {
	for i := range l.Rungs {
		if l.Rungs[i].Kind == k {
			n++
		}
	}
	return n
}

// first is the time of the first event of any of the kinds; zero when there is none.
func (l *Ladder) first(kinds ...Kind) time.Time {
	for i := range l.Rungs {
		if slices.Contains(kinds, l.Rungs[i].Kind) {
			return l.Rungs[i].Time
		}
	}
	return time.Time{}
}

// started is when the message came into this gateway's hands.
func (l *Ladder) started() time.Time {
	if t := l.first(Accepted, Received); !t.IsZero() {
		return t
	}
	return l.Rungs[0].Time
}

func (l *Ladder) fail(by Kind) { l.State, l.Failure = StateFailed, by }

// finish derives what follows from the state.
func (l *Ladder) finish() {
	switch l.State {
	case StateFailed, StateDelivered, StateDone, StateDiscarded:
		l.Terminal = true
	}
	if l.Notice && l.has(Handed) { // DN-51
		l.Terminal = true
	}
	switch l.State {
	case StateSent, StateProcessed, StateDone:
		l.Unknown = true
	}
	if l.Failure == Failed { // passed on in the commit that recorded it
		l.Told = true
	}
	l.Words = l.words()
}
