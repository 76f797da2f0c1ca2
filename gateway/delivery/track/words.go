package track

import (
	"encoding/json"
	"slices"
)

// words says the state to people, never more than is known (DN-29): silence is not success.
func (l *Ladder) words() string {
	if l.Role == Incoming {
		return l.wordsIncoming()
	}
	s := l.wordsOutgoing()
	switch {
	case l.Contradicted:
		s += " Later it reported a failure: ask the recipient."
	case l.ImportFailed:
		s += " The recipient's system reported that it could not use the content."
	case l.saidLate(Dispatched):
		s += " After that, the recipient's side reported that the message did arrive."
	case l.Late:
		s += " After that, the recipient's gateway reported that it has the message."
	}
	if l.NeedsCall() {
		s += " Its deadline has passed."
	}
	return s
}

// saidLate reports whether a peer said it after the failure.
func (l *Ladder) saidLate(k Kind) bool {
	for i := range l.Rungs {
		if l.Rungs[i].Late && l.Rungs[i].Kind == k {
			return true
		}
	}
	return false
}

func (l *Ladder) wordsOutgoing() string {
	if l.Notice {
		switch l.State {
		case StateNew:
			return "A notice, waiting to be sent."
		case StateFailed:
			return "A notice that could not be sent."
		}
		return "A notice, handed to the recipient's gateway. Notices are not confirmed."
	}
	switch l.State {
	case StateNew:
		if l.has(Deferred) {
			return "Accepted. It could not be handed over yet and is being tried again."
		}
		return "Accepted, waiting to be handed over."
	case StateSent:
		if l.has(Dispatched) {
			return "Handed over, and the recipient's side reported delivery; its gateway has not confirmed that it took the message, so it still counts as open."
		}
		return "Handed over. Not known whether it arrived: the recipient's gateway has not answered yet."
	case StateProcessed:
		return "The recipient's gateway has the message. Not known yet whether it reached the recipient's mailbox or system."
	case StateDone:
		if !l.has(Processed) {
			return "The recipient's side reported that it passed the message on. Whether it reached the final mailbox or system was not asked for."
		}
		return "The recipient's gateway has the message. Whether it reached the recipient's mailbox or system was not asked for, so it is not known."
	case StateDelivered:
		return "Delivered to the recipient's mailbox or system. Whether anyone has read it is not known."
	}
	return l.wordsFailed()
}

func (l *Ladder) wordsFailed() string {
	switch l.Failure {
	case Refused, Rejected:
		return l.wordsNotTaken()
	case NoProcessed:
		if l.has(Dispatched) && !l.saidLate(Dispatched) {
			return "Counted as failed: the recipient's side reported delivery, but its gateway did not confirm in time that it took the message. It has probably arrived."
		}
		return "Counted as failed: the recipient's gateway did not confirm it in time. It may still have arrived."
	case NoDispatched:
		return "Counted as failed: the recipient's gateway has the message but did not confirm its delivery in time. It may still have arrived."
	}
	return "Failed: the recipient's side reported that it could not be delivered."
}

// The reasons in the evidence of failures that are worded by them.
const (
	reasonNoAnswer = "no_answer" // a try sent all of the message, and no answer came
	reasonDropped  = "dropped_by_operator"
	reasonKept     = "kept_by_operator"
	reasonFault    = "internal_fault"
)

func (l *Ladder) wordsNotTaken() string {
	switch why := l.reason(l.Failure); {
	case l.reasoned(reasonNoAnswer):
		return "Counted as failed: the recipient's mail server had all of it once and gave no answer. It may still have arrived."
	case why == reasonDropped:
		return "Not sent: an operator of this gateway took it out of the queue."
	case why == reasonKept:
		return "Not sent: an operator of this gateway kept it back until it was too late."
	case why == reasonFault:
		return "Not sent: a fault of this gateway kept it back."
	case l.Failure == Refused:
		return "Not sent: this gateway could not send it safely to this recipient."
	}
	return "Not delivered: the recipient's mail server did not take it."
}

// reasoned reports whether any rung gives that reason.
func (l *Ladder) reasoned(reason string) bool {
	return slices.ContainsFunc(l.Rungs, func(r Rung) bool { return r.reason() == reason })
}

// reason is what the first rung of a kind gives as its own.
func (l *Ladder) reason(k Kind) string {
	for _, r := range l.Rungs {
		if r.Kind == k {
			return r.reason()
		}
	}
	return ""
}

func (r Rung) reason() string {
	var e struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(r.Evidence, &e) // evidence without a reason is no fault
	return e.Reason
}

func (l *Ladder) wordsIncoming() string {
	switch l.State {
	case StateHeld:
		return "Held: it could not be opened or its sender is not trusted. The sender was told nothing."
	case StateDiscarded:
		return "Discarded out of hold."
	case StateTrusted:
		return "Opened and trusted, not yet delivered."
	case StateRetrying:
		return "Opened and trusted. Delivery failed for now and is being tried again."
	case StateDelivered:
		return "Delivered to its mailbox or system."
	case StateFailed:
		if l.Notice || l.Told {
			return "Could not be delivered to its mailbox or system." + map[bool]string{true: " The sender was told."}[l.Told]
		}
		return "Could not be delivered to its mailbox or system. The sender is being told."
	}
	return "Received, not yet opened."
}
