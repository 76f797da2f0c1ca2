// Package work is one message in one clinic's hands: who has it, how far it is, why it is where it is, and
// what may be done with it next.
//
// An Entry begins with the item it is about and never ends: finished work is found like any other. There is
// no state outside States, and each is on a list (Open, or finished). Apply is the only way from one state
// to the next; it says who may and, where not, why not (Refusal). Two people who act at once are told apart by
// the entry's Version: who saw an older one is refused (Stale) and shown what happened.
//
// It stores nothing, sends nothing and knows no page. It never holds what a message says: subject, names
// and documents stay with the item. Limits: a wait of MaxWait, a note of MaxNote octets with MaxMentions names.
package work

import (
	"crypto/rand"
	"strings"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/message"
	"postern/smime/addr"
)

// Limits of one entry.
const (
	MaxWait     = 366 * 24 * time.Hour
	MaxNote     = 8000 // octets of one note
	MaxMentions = 20   // people named in one note
	MaxReasons  = 12   // reasons kept of a placement
)

// ID names an entry; it cannot be guessed.
type ID string

// NewID makes an id with 128 random bits.
func NewID() ID { return ID("w-" + strings.ToLower(rand.Text())) }

// State is how far an entry is.
type State string

// The states. New, Taken and Waiting are open: somebody has to do something, now or on a day.
const (
	New     State = "new"     // nobody has it
	Taken   State = "taken"   // its owner works on it
	Waiting State = "waiting" // its owner waits for something, until Due
	Done    State = "done"    // finished, with a category
)

// States lists them all, in the order of a message's life.
func States() []State { return []State{New, Taken, Waiting, Done} }

// Open reports whether something is left to do.
func (s State) Open() bool { return s == New || s == Taken || s == Waiting }

// Words is the state for a reader.
func (s State) Words() string {
	switch s {
	case New:
		return "nobody has it"
	case Taken:
		return "being worked on"
	case Waiting:
		return "waiting"
	case Done:
		return "finished"
	}
	return "unknown"
}

// Kind is what an entry is about.
type Kind string

// The kinds.
const (
	Message Kind = "message" // somebody wrote to the clinic
	Failure Kind = "failure" // something the clinic sent did not arrive: a person must choose another way
	Notice  Kind = "notice"  // a report about a message that this gateway does not know, for people to read

	// Unconfirmed: nobody has confirmed in its time what the clinic sent, and it may have arrived: a person must telephone.
	Unconfirmed Kind = "unconfirmed"
)

// Urgency is how soon a message asks to be seen. It comes from the sender's own words or codes, or from a
// person here; the gateway invents none.
type Urgency int

// The urgencies, in rising order.
const (
	Routine   Urgency = iota
	Urgent            // "urgent", "asap", priority high, code UR or A
	Emergency         // "stat", "emergency", code EM or S: should have been a telephone call (B13)
)

// Words is the urgency for a reader; "" for routine.
func (u Urgency) Words() string {
	switch u {
	case Urgent:
		return "urgent"
	case Emergency:
		return "emergency"
	}
	return ""
}

// ParseUrgency reads what Words writes, and "routine".
func ParseUrgency(s string) (Urgency, bool) {
	switch s {
	case "routine", "":
		return Routine, true
	case "urgent":
		return Urgent, true
	case "emergency":
		return Emergency, true
	}
	return Routine, false
}

// Placement is where an entry begins and why, in words that name no patient.
type Placement struct {
	Pool       string         `json:"pool"`
	Owner      staff.PersonID `json:"owner,omitempty"`
	Category   staff.Category `json:"category,omitempty"`
	Urgency    Urgency        `json:"urgency,omitempty"`
	UrgencyWhy string         `json:"urgency_why,omitempty"` // "the sender wrote “urgent” in the subject"
	Sensitive  bool           `json:"sensitive,omitempty"`
	Rule       string         `json:"rule,omitempty"`      // id of the rule that placed it; "" is the last one
	RuleName   string         `json:"rule_name,omitempty"` // as it was called then
	Because    []string       `json:"because,omitempty"`   // each condition that held: "it was sent to referrals@…"
	Fault      string         `json:"fault,omitempty"`     // why the rules could not be asked
	Facts      []byte         `json:"-"`                   // what the rules were asked about (rule.Facts as JSON), for a later trial
}

// OnlyCatchAll reports whether no rule but the last wanted the message.
func (p Placement) OnlyCatchAll() bool { return p.Rule == "" }

// Entry is one message in one clinic's hands.
type Entry struct {
	ID        ID
	Org       string
	Kind      Kind
	Inbox     string
	Number    int64      // of the item in its inbox
	Message   message.ID // the item's message
	About     message.ID // a failure, or what is unconfirmed: the message of ours
	Sender    addr.Address
	Recipient addr.Address
	Pool      string
	Owner     staff.PersonID // "" is nobody
	State     State
	Category  staff.Category // "" is not set yet
	Urgency   Urgency
	Sensitive bool // for those alone who may see category staff.Sensitive
	Why       Placement
	Patient   string // "" or a patient's id
	Thread    string
	Refers    []string  // messages it refers to without belonging to their conversation
	Received  time.Time // when it came
	Due       time.Time // Waiting: until when
	Changed   time.Time // when it was last acted on
	Finished  time.Time
	Version   int64 // rises with every change; from 1
}

// Scope is the category that decides who may see the entry: what is sensitive is that before all else.
func (e Entry) Scope() staff.Category {
	if e.Sensitive {
		return staff.Sensitive
	}
	return e.Category
}

// Overdue reports whether a wait has come to its end.
func (e Entry) Overdue(now time.Time) bool {
	return e.State == Waiting && !e.Due.After(now)
}

// Age is how long the entry has been waiting for somebody.
func (e Entry) Age(now time.Time) time.Duration { return max(0, now.Sub(e.Received)) }
