// Package queue is the unit of work between two stages: a job, claimed by lease, settled once.
//
// A job names what is to be done (its kind), for which message and recipients, and when it is due.
// Claiming a job pushes its due time to the end of its lease, so a job whose worker died becomes due
// again by itself and no scan for dead workers is needed. The settlement of a job is part of the
// step that its work produced: both are committed or neither (store.Commit).
//
// This package decides nothing about messages; it knows classes of work, back-off and give-up times.
package queue

import (
	"encoding/json"
	"math/rand/v2"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
)

// Kind is what a job's worker does.
type Kind string

// The stages of DESIGN's two paths, and the clock.
const (
	Seal    Kind = "seal"    // outbound: find, approve, sign, encrypt
	Open    Kind = "open"    // inbound: decrypt, verify, approve, file or hand on
	Relay   Kind = "relay"   // sealed bytes to the next hop of one domain
	Deliver Kind = "deliver" // opened or local mail to an SMTP edge
	Notice  Kind = "notice"  // write one MDN and send it
	Timer   Kind = "timer"   // a clock of the ladder has run out
)

// Class groups kinds that share workers. Notices have a share of their own, so that a stuck peer
// never delays a `processed` (RFC 8098 carries no deadline, DN-42 does).
type Class string

// The classes of work.
const (
	Lookups  Class = "lookups"  // outbound: certificates are looked for, so a dead name server may hold one for a minute
	Crypto   Class = "crypto"   // inbound: bounded by CPU, mostly
	Network  Class = "network"  // bounded by peers
	Notices  Class = "notices"  // notices being sent to peers
	Clerical Class = "clerical" // timers
)

// Classes is every class, in the order workers are started.
func Classes() []Class { return []Class{Lookups, Crypto, Network, Notices, Clerical} }

// Class is the class of a kind; relaying a notice counts as Notices (see Job.Class).
func (k Kind) class() Class {
	switch k {
	case Seal:
		return Lookups
	case Open:
		return Crypto
	case Notice:
		return Notices
	case Timer:
		return Clerical
	default:
		return Network
	}
}

// Lease is the right to settle a job until a moment of the store's clock.
type Lease struct {
	Job   int64
	Token string
	Until time.Time
}

// Job is one piece of work. ID and Lease are given by the store.
type Job struct {
	ID         int64
	Org        string
	Message    message.ID
	Kind       Kind
	Notice     bool            // the message is itself an MDN or DSN
	Urgent     bool            // its sender waits for an answer within minutes
	Lane       string          // jobs of one lane share a concurrency limit: the destination domain
	Recipients []addr.Address  // the recipients of the message this job is about
	Data       json.RawMessage // what the kind needs besides, in its own format
	Due        time.Time
	Created    time.Time
	Attempts   int
	LastError  string
	Parked     bool // kept out of work until a person acts
	Claimed    bool // a worker has it, or had it when its process died
	Lease      Lease
}

// Class is the class whose workers do this job.
func (j Job) Class() Class {
	if j.Notice && j.Kind == Relay {
		return Notices
	}
	return j.Kind.class()
}

// Priority is which jobs of a class go first.
type Priority int

// The priorities, from the last to the first.
const (
	Ordinary Priority = iota
	Prompt            // notices: somebody's clock runs until they are there
	Urgent
)

// Priorities is every priority.
func Priorities() []Priority { return []Priority{Ordinary, Prompt, Urgent} }

// HeadStart is how much longer an ordinary job must have waited to go before one of this priority. So what is
// urgent passes every ordinary queue, and yet nothing starves: whoever has waited an hour longer goes first.
func (p Priority) HeadStart() time.Duration { return time.Duration(p) * 30 * time.Minute }

// Priority is the job's.
func (j Job) Priority() Priority {
	switch {
	case j.Urgent:
		return Urgent
	case j.Notice:
		return Prompt
	}
	return Ordinary
}

// Fate is how a claimed job ends its lease.
type Fate string

// The fates of a claimed job.
const (
	Done  Fate = "done"  // the job's row goes
	Retry Fate = "retry" // due again later, for the recipients named
	Park  Fate = "park"  // kept out of work, with its reason, until a person acts
)

// Settlement is the fate of a claimed job, committed with the step it produced.
type Settlement struct {
	Fate       Fate
	Due        time.Time      // for Retry
	Recipients []addr.Address // for Retry: those still to do; nil keeps the job's own
	Waited     bool           // for Retry: nothing was tried, so it counts as no attempt
	Error      string         // for Retry and Park: what went wrong, for operators
}

// MaxAttempts is how often a job may fail on an internal fault before it is parked as poison.
const MaxAttempts = 12

// Backoff is the wait before attempt n+1 (n from 1): 15 s doubled each time to at most 15 min, with
// ±20 % jitter so that a peer's return is not met by all of its mail at once.
func Backoff(n int) time.Duration {
	d := 15 * time.Second
	for i := 1; i < n && d < 15*time.Minute; i++ {
		d *= 2
	}
	d = min(d, 15*time.Minute)
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d))
}
