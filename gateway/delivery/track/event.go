package track

import (
	"encoding/json"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
)

// Event is one thing that happened to one message for one recipient. Events are only ever appended;
// their order is the order of their commits.
type Event struct {
	Message   message.ID   `json:"message"`
	Recipient addr.Address `json:"recipient"`
	Kind      Kind         `json:"kind"`
	Time      time.Time    `json:"time"`
	Source    string       `json:"source,omitempty"` // who says so: this gateway's stage, a host, a peer's address
	// Evidence is a JSON object free of patient data: codes, hosts, ids, never a peer's free text.
	Evidence json.RawMessage `json:"evidence,omitempty"`
}

// Kind is what happened. A new rung is a new kind.
type Kind string

// Kinds on both sides.
const (
	FinalRequested Kind = "final_requested" // the message validly asks for a notice of final delivery (DN-13); recorded with Accepted or Received
	Notice         Kind = "notice"          // the message is itself a notice: never timed, never answered (DN-51, AS-95); recorded likewise
	Deferred       Kind = "deferred"        // an attempt failed for now
	ToldFailed     Kind = "told_failed"     // a failure notice was queued: a DSN to our sender, or a failed notice to the peer
)

// Kinds of a message this gateway sends for a local sender.
const (
	Accepted       Kind = "accepted"  // durable, the sender has his 250
	Refused        Kind = "refused"   // will not be sent: no certificate, not trusted, hidden recipient …
	Sealed         Kind = "sealed"    // signed and encrypted
	Handed         Kind = "handed"    // the next host took it: T1 and T2 start
	Rejected       Kind = "rejected"  // the next host refused for good, or attempts ran out
	Processed      Kind = "processed" // notices from here on: the peer took responsibility
	Dispatched     Kind = "dispatched"
	DispatchedBare Kind = "dispatched_bare" // without the extension field of DN-22: information only, when final delivery was requested
	Failed         Kind = "failed"
	Delayed        Kind = "delayed"
	HandedOn       Kind = "handed_on"
	Displayed      Kind = "displayed"
	Deleted        Kind = "deleted"
	ImportFailed   Kind = "import_failed"
	NoProcessed    Kind = "timed_out_processed"  // T1
	NoDispatched   Kind = "timed_out_dispatched" // T2
	DeadlinePassed Kind = "deadline_passed"
	Forwarded      Kind = "forwarded"  // a peer's notice was passed on to the sender
	Suppressed     Kind = "suppressed" // a peer's notice was kept from the sender
)

// Kinds of a message this gateway receives for a local recipient.
const (
	Received       Kind = "received"  // durable, the peer has its 250
	Held           Kind = "held"      // could not be opened or trusted: silence (AS-96)
	Released       Kind = "released"  // taken out of hold to be opened again
	Discarded      Kind = "discarded" // thrown away out of hold by a person
	Trusted        Kind = "trusted"   // opened, sender bound and trusted: a processed notice is due (DN-20)
	Delivered      Kind = "delivered" // in the inbox, or the edge system's 250
	Undeliverable  Kind = "undeliverable"
	ToldProcessed  Kind = "told_processed"
	ToldDispatched Kind = "told_dispatched"
)

// incoming reports whether only a received message can have such an event.
func (k Kind) incoming() bool {
	switch k {
	case Received, Held, Released, Discarded, Trusted, Delivered, Undeliverable, ToldProcessed, ToldDispatched:
		return true
	}
	return false
}

// Answers reports whether the event may end the wait for word of a message: it is confirmed, or it is known that it
// will not be.
func (k Kind) Answers() bool {
	switch k {
	case Processed, Dispatched, DispatchedBare, Failed, Refused, Rejected, NoProcessed, NoDispatched:
		return true
	}
	return false
}

// fromPeer reports whether the event is what a peer's notice said.
func (k Kind) fromPeer() bool {
	switch k {
	case Processed, Dispatched, DispatchedBare, Failed, Delayed, HandedOn, Displayed, Deleted, ImportFailed:
		return true
	}
	return false
}
