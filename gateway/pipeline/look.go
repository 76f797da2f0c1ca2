package pipeline

import (
	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/store"
	"postern/smime/addr"
)

// looking is a look for certificates by a job that has found a domain silent before.
type looking struct {
	domain addr.Domain // zero: it has not
	turn   turn
}

// look asks whether a job may look for certificates now. One that found a domain silent waits, like all others of that
// domain, until one of them has seen to it (destinations): that is no attempt of its own. Any other job looks, for what
// is known here needs no name server; so does one that a person had tried again, and one whose time is over.
func (p *Pipeline) look(j queue.Job, m store.Message) (l looking, wait *queue.Settlement) {
	for _, r := range j.Recipients {
		if d := r.Domain(); j.LastError == seekWords(d) {
			l.domain = d
		}
	}
	if j.Attempts == 0 && !l.domain.IsZero() { // a person wants it tried: the waits of the domain begin anew
		p.seeks.retry(l.domain.String())
		return looking{}, nil
	}
	now, end := p.Now(), p.giveUp(m)
	if l.domain.IsZero() || !now.Before(end) {
		return looking{}, nil
	}
	if l.turn = p.seeks.ask(l.domain.String(), now); l.turn.ok {
		return l, nil
	}
	return l, &queue.Settlement{Fate: queue.Retry, Waited: true, Due: spread(l.turn.until, now, end), Recipients: j.Recipients, Error: j.LastError}
}

// looked takes what came of it for each domain. A probe ends, whatever it came to.
func (p *Pipeline) looked(l looking, verdicts []agent.Verdict) {
	found := map[addr.Domain]finding{l.domain: nothing}
	for _, v := range verdicts {
		switch d := v.Recipient.Domain(); {
		case v.Temporary && v.Reason == agent.ReasonUnknown:
			found[d] = silent
		case found[d] == nothing:
			found[d] = answers
		}
	}
	for d, f := range found {
		t := turn{}
		if d == l.domain {
			t = l.turn
		}
		p.seeks.settle(d.String(), t, f, seekWords(d), p.Now())
	}
}
