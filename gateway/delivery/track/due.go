package track

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"postern/gateway/delivery/notice"
)

// Clocks are how long each thing may take. A zero clock never fires, except that a zero GiveUp is
// DefaultGiveUp: a receiver that never gives up would let both sides report opposite outcomes (DN-60).
type Clocks struct {
	T1       time.Duration // from hand-over to processed (DN-42)
	T2       time.Duration // from hand-over to dispatched, when that was requested (DN-42)
	Deadline time.Duration // from acceptance to what was asked being confirmed: an alarm only
	GiveUp   time.Duration // from trust to delivery of a received message (DN-60)
}

// The usual clocks.
const (
	DefaultT1     = 60 * time.Minute
	DefaultT2     = 60 * time.Minute
	DefaultGiveUp = 50 * time.Minute
)

// DefaultClocks are the specification's usual values, with no deadline.
func DefaultClocks() Clocks { return Clocks{T1: DefaultT1, T2: DefaultT2, GiveUp: DefaultGiveUp} }

// What is one thing that has to be done.
type What string

// What can be due. Each is done at most once per ladder.
const (
	FailUnprocessed What = "fail_unprocessed"  // T1 ran out: one DSN to the sender
	FailUndelivered What = "fail_undelivered"  // T2 ran out: one DSN to the sender
	TellFailure     What = "tell_failure"      // it failed here: one DSN to the sender
	RaiseAlarm      What = "raise_alarm"       // the deadline passed: an alarm and a task, never a failure
	TellProcessed   What = "tell_processed"    // a processed notice to the peer
	TellDispatched  What = "tell_dispatched"   // a dispatched notice with the extension field to the peer
	TellPeerFailure What = "tell_peer_failure" // a failed notice to the peer
	GiveUp          What = "give_up"           // stop trying to deliver what was received
)

// Due is one thing to be done, at an instant that may have passed.
type Due struct {
	What What
	At   time.Time
}

// Next is everything still to be done for a ladder if nothing else happens, in order of time.
func Next(l Ladder, c Clocks) []Due {
	if l.Notice || len(l.Rungs) == 0 { // DN-51, DN-35, AS-75, AS-95: notices are not timed, told of or answered
		return nil
	}
	var out []Due
	if l.Role == Incoming {
		out = l.nextIncoming(c)
	} else {
		out = l.nextOutgoing(c)
	}
	slices.SortStableFunc(out, func(a, b Due) int { return a.At.Compare(b.At) })
	return out
}

func (l *Ladder) nextOutgoing(c Clocks) (out []Due) {
	switch {
	case l.State == StateSent && c.T1 > 0:
		out = append(out, Due{FailUnprocessed, l.handed().Add(c.T1)})
	case l.State == StateProcessed && c.T2 > 0:
		out = append(out, Due{FailUndelivered, l.handed().Add(c.T2)})
	case l.State == StateFailed && l.Failure != Failed && !l.Told: // a peer's own notice is passed on instead
		out = append(out, Due{TellFailure, l.first(l.Failure)})
	}
	if c.Deadline > 0 && l.unconfirmed() && !l.has(DeadlinePassed) {
		out = append(out, Due{RaiseAlarm, l.started().Add(c.Deadline)})
	}
	return out
}

// handed is when the timers start. A peer's word that came before the record of the hand-over stands
// in for it.
func (l *Ladder) handed() time.Time {
	if t := l.first(Handed); !t.IsZero() {
		return t
	}
	return l.first(Processed, Dispatched, DispatchedBare)
}

func (l *Ladder) nextIncoming(c Clocks) (out []Due) {
	if !l.has(Trusted) { // AS-96: silence
		return nil
	}
	if !l.has(ToldProcessed) {
		out = append(out, Due{TellProcessed, l.first(Trusted)})
	}
	switch l.State {
	case StateTrusted, StateRetrying:
		wait := c.GiveUp
		if wait <= 0 {
			wait = DefaultGiveUp
		}
		out = append(out, Due{GiveUp, l.first(Trusted).Add(wait)})
	case StateDelivered:
		if l.FinalRequested && !l.has(ToldDispatched) && !l.Told { // DN-21, DN-27, DN-61
			out = append(out, Due{TellDispatched, l.first(Delivered)})
		}
	case StateFailed:
		if !l.Told && !l.has(ToldDispatched) { // DN-25 to DN-27
			out = append(out, Due{TellPeerFailure, l.first(Undeliverable)})
		}
	}
	return out
}

// Settle is the events to append, in the same commit, with doing what is due: what it says of the
// message, and that it was told. It is empty when the ladder does not ask for it yet, or any more:
// then nothing may be done.
func Settle(l Ladder, w What, c Clocks, now time.Time) []Event {
	dues := Next(l, c)
	i := slices.IndexFunc(dues, func(d Due) bool { return d.What == w && !now.Before(d.At) })
	if i < 0 {
		return nil
	}
	d := dues[i]
	kinds := map[What][]Kind{
		FailUnprocessed: {NoProcessed, ToldFailed},
		FailUndelivered: {NoDispatched, ToldFailed},
		TellFailure:     {ToldFailed},
		RaiseAlarm:      {DeadlinePassed},
		TellProcessed:   {ToldProcessed},
		TellDispatched:  {ToldDispatched},
		TellPeerFailure: {ToldFailed},
		GiveUp:          {Undeliverable},
	}[d.What]
	var out []Event
	for _, k := range kinds {
		e := Event{Message: l.Message, Recipient: l.Recipient, Kind: k, Time: now, Source: "track"}
		if k != ToldFailed && k != ToldProcessed && k != ToldDispatched {
			e.Evidence = l.clockEvidence(d, c)
		}
		out = append(out, e)
	}
	return out
}

// clockEvidence says which clock ran out, since when and after how long.
func (l *Ladder) clockEvidence(d Due, c Clocks) json.RawMessage {
	v := struct {
		Clock string    `json:"clock"`
		Since time.Time `json:"since"`
		After string    `json:"after"`
	}{Since: l.handed()}
	var limit time.Duration
	switch d.What {
	case FailUnprocessed:
		v.Clock, limit = "T1", c.T1
	case FailUndelivered:
		v.Clock, limit = "T2", c.T2
	case RaiseAlarm:
		v.Clock, limit, v.Since = "deadline", c.Deadline, l.started()
	case GiveUp:
		v.Clock, limit, v.Since = "give_up", d.At.Sub(l.first(Trusted)), l.first(Trusted)
	default:
		return nil
	}
	v.After = limit.String()
	b, err := json.Marshal(v)
	if err != nil { // three plain values always marshal
		return nil
	}
	return b
}

// TimedOut is what the failure notice says of the recipient when T1 or T2 ran out (DN-32, DN-44). It
// warns against sending twice, because silence proves nothing.
func TimedOut(l Ladder, w What, c Clocks) notice.RecipientStatus {
	s := notice.RecipientStatus{Recipient: l.Recipient, Action: notice.ActionFailed, Status: "5.4.7"} // RFC 3463 §3.5: delivery time expired
	switch w {
	case FailUnprocessed:
		s.Diagnostic = "no processed notice within " + minutes(c.T1)
		s.Text = "The recipient's gateway did not confirm within " + minutes(c.T1) + " that it took your message."
	case FailUndelivered:
		s.Diagnostic = "processed, but no dispatched notice within " + minutes(c.T2)
		s.Text = "The recipient's gateway took your message but did not confirm within " + minutes(c.T2) + " that it reached the recipient's mailbox or system."
	}
	s.Text += " It may have arrived all the same: ask the recipient, by telephone if it is urgent, before you send it again."
	return s
}

// Call is what the sender is told when a deadline passed: it is no failure, and says nothing of one.
func Call(c Clocks) string { return "Not confirmed in " + Span(c.Deadline) + ": telephone them" }

// Span is a clock for people.
func Span(d time.Duration) string {
	if n := int(d / time.Hour); n > 1 && d%time.Hour == 0 {
		return strconv.Itoa(n) + " hours"
	}
	return minutes(d)
}

func minutes(d time.Duration) string {
	if n := int(d.Round(time.Minute) / time.Minute); n != 1 {
		return strconv.Itoa(n) + " minutes"
	}
	return "1 minute"
}
