package track

// stepIncoming is the state machine of the receiving gateway (DN section 5), with hold in the place
// of drop.
func (l *Ladder) stepIncoming(k Kind) {
	switch k {
	case Held:
		if l.State == StateReceived {
			l.State = StateHeld
		}
	case Released:
		if l.State == StateHeld {
			l.State = StateReceived
		}
	case Discarded:
		if l.State == StateHeld || l.State == StateReceived {
			l.State = StateDiscarded
		}
	case Trusted:
		if l.State == StateReceived || l.State == StateHeld {
			l.State = StateTrusted
		}
	case Deferred:
		if l.State == StateTrusted {
			l.State = StateRetrying
		}
	case Delivered:
		if l.State == StateTrusted || l.State == StateRetrying {
			l.State = StateDelivered
		}
	case Undeliverable:
		if l.State == StateTrusted || l.State == StateRetrying {
			l.fail(k)
		}
	}
}
