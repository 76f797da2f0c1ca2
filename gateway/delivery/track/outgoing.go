package track

// stepOutgoing is the state machine of the sending gateway (DN section 4). What a peer says while
// the hand-over is not yet recorded counts as if it were: its answer can be faster than our commit.
func (l *Ladder) stepOutgoing(k Kind) {
	switch k {
	case Refused:
		if l.State == StateNew {
			l.fail(k)
		}
	case Handed:
		if l.State == StateNew {
			l.State = StateSent
		}
	case Rejected: // a second try of a message whose arrival was confirmed proves nothing
		if l.waitsProcessed() && !l.has(Dispatched) && !l.has(DispatchedBare) {
			l.fail(k)
		}
	case NoProcessed:
		if l.waitsProcessed() {
			l.fail(k)
		}
	case NoDispatched:
		if l.State == StateProcessed {
			l.fail(k)
		}
	case DeadlinePassed:
		l.Overdue = l.Overdue || l.unconfirmed()
	default:
		l.stepNotice(k)
	}
}

// stepNotice takes what a peer's notice says (DN-40, DN-41: in either order).
func (l *Ladder) stepNotice(k Kind) {
	switch k {
	case Failed:
		switch l.State {
		case StateDelivered:
			l.Contradicted = true
		case StateFailed:
		default:
			l.fail(k)
		}
		return
	case ImportFailed: // DN-52: work for people, not a failed delivery
		l.ImportFailed = true
		return
	case Processed, Dispatched, DispatchedBare:
	default:
		return
	}
	switch l.State {
	case StateFailed:
		l.Late = true
	case StateNew, StateSent, StateProcessed, StateDone:
		l.confirm()
	}
}

// confirm sets the state by all that was confirmed so far (DN-40).
func (l *Ladder) confirm() {
	switch {
	case l.has(Dispatched) && (l.has(Processed) || !l.FinalRequested):
		l.State = StateDelivered
	case !l.FinalRequested:
		l.State = StateDone
	case l.has(Processed):
		l.State = StateProcessed
	case l.State == StateNew: // dispatched came first (DN-41): T1 runs
		l.State = StateSent
	}
}

// waitsProcessed reports whether T1 still runs or may yet start.
func (l *Ladder) waitsProcessed() bool { return l.State == StateNew || l.State == StateSent }

// unconfirmed reports whether what was asked is still not known, and not failed.
func (l *Ladder) unconfirmed() bool {
	switch l.State {
	case StateNew, StateSent, StateProcessed:
		return true
	}
	return false
}
