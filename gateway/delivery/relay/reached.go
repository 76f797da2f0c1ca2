package relay

// Reached reports whether any host was met that talks about mail: it greeted, took our EHLO, TLS and login, and did not
// send us away at once (RFC 5321 §3.8). It is false where the destination as a whole does not answer or turns
// connections down, which says nothing of this message and will meet the next one alike.
func (r Result) Reached() bool {
	for _, a := range r.Attempts {
		if a.Addr == "" {
			continue // no host was asked
		}
		switch a.Stage {
		case StageMail:
			if a.Code == 421 {
				continue
			}
			return true
		case StageRcpt, StageData, StageBody, StageFinal:
			return true
		}
	}
	return false
}

// Unmet reports whether the destination could not be met, and trying again later may help.
func (r Result) Unmet() bool {
	if r.Reached() || len(r.Outcomes) == 0 {
		return false
	}
	for _, o := range r.Outcomes {
		if o.Status != Temporary || o.Reason == ReasonStopped || o.Reason == ReasonSource {
			return false
		}
	}
	return true
}
