package relay

import "testing"

func TestReached(t *testing.T) {
	at := func(s Stage, code int) Attempt { return Attempt{Addr: "192.0.2.1:25", Stage: s, Code: code} }
	for _, c := range []struct {
		situation      string
		attempts       []Attempt
		outcome        Outcome
		reached, unmet bool
	}{
		{"nobody listens", []Attempt{at(StageConnect, 0)}, Outcome{Status: Temporary, Reason: ReasonConnect}, false, true},
		{"DNS gives no answer", []Attempt{{Stage: StageResolve}}, Outcome{Status: Temporary, Reason: ReasonDNS}, false, true},
		{"greeted with 421", []Attempt{at(StageGreeting, 421)}, Outcome{Status: Temporary, Reason: ReasonDeferred}, false, true},
		{"TLS does not come about", []Attempt{at(StageTLS, 0)}, Outcome{Status: Temporary, Reason: ReasonTLS}, false, true},
		{"421 instead of an answer to MAIL", []Attempt{at(StageMail, 421)}, Outcome{Status: Temporary, Reason: ReasonDeferred}, false, true},
		{"MAIL is put off", []Attempt{at(StageMail, 451)}, Outcome{Status: Temporary, Reason: ReasonDeferred}, true, false},
		{"a mailbox is put off", []Attempt{at(StageRcpt, 450)}, Outcome{Status: Temporary, Reason: ReasonDeferred}, true, false},
		{"421 after the message", []Attempt{at(StageFinal, 421)}, Outcome{Status: Temporary, Reason: ReasonDeferred}, true, false},
		{"the first host is away, the second takes it", []Attempt{at(StageConnect, 0), at(StageFinal, 250)}, Outcome{Status: Delivered}, true, false},
		{"the domain takes no mail", []Attempt{{Stage: StageResolve}}, Outcome{Status: Permanent, Reason: ReasonNullMX}, false, false},
		{"the message may not be sent", []Attempt{{Stage: StageBody}}, Outcome{Status: Permanent, Reason: ReasonBareLine}, false, false},
		{"it cannot be read here", []Attempt{{Stage: StageBody}}, Outcome{Status: Temporary, Reason: ReasonSource}, false, false},
		{"the gateway stops", []Attempt{at(StageConnect, 0)}, Outcome{Status: Temporary, Reason: ReasonStopped}, false, false},
	} {
		r := Result{Attempts: c.attempts, Outcomes: []Outcome{c.outcome}}
		if r.Reached() != c.reached || r.Unmet() != c.unmet {
			t.Errorf("%s: reached %v, unmet %v", c.situation, r.Reached(), r.Unmet())
		}
	}
}
