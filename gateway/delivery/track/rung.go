package track

// Words is what happened, for the people of a clinic.
func (k Kind) Words() string {
	if w, ok := rungWords[k]; ok {
		return w
	}
	return string(k)
}

// Bad reports whether the event is one that somebody may have to act on.
func (k Kind) Bad() bool {
	switch k {
	case Refused, Rejected, Failed, ImportFailed, NoProcessed, NoDispatched, DeadlinePassed, Undeliverable, Held:
		return true
	}
	return false
}

var rungWords = map[Kind]string{
	FinalRequested: "Confirmation of final delivery was asked for",
	Notice:         "It is a notice itself",
	Deferred:       "An attempt did not succeed; it is tried again",
	ToldFailed:     "The failure was told",

	Accepted:       "Accepted, and safe on our disk",
	Refused:        "Not sent",
	Sealed:         "Signed and encrypted",
	Handed:         "Handed to their mail server",
	Rejected:       "Their mail server refused it, or could not be reached in time",
	Processed:      "Their gateway has taken responsibility for it",
	Dispatched:     "Delivered to its destination, their gateway says",
	DispatchedBare: "Passed on by their gateway, it says",
	Failed:         "Their gateway reports that it could not be delivered",
	Delayed:        "Their side reports a delay",
	HandedOn:       "Passed on to another mail system, which may not report back",
	Displayed:      "Opened by somebody, their side says",
	Deleted:        "Deleted without being opened, their side says",
	ImportFailed:   "Their system could not use the content, it says",
	NoProcessed:    "Their gateway did not confirm in time",
	NoDispatched:   "Final delivery was not confirmed in time",
	DeadlinePassed: "The time set for this kind of message has passed without a confirmation",
	Forwarded:      "The report was passed on to the sender",
	Suppressed:     "The report was kept: the sender needs no more",

	Received:       "Received from their gateway",
	Held:           "Held aside: it could not be opened or trusted",
	Released:       "Taken out of hold",
	Discarded:      "Discarded out of hold",
	Trusted:        "Opened; its sender is verified and trusted",
	Delivered:      "In the inbox",
	Undeliverable:  "Could not be delivered here",
	ToldProcessed:  "Its sender's gateway was told that we have it",
	ToldDispatched: "Its sender's gateway was told that it was delivered",
}
