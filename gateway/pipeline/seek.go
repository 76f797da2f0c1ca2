package pipeline

import (
	"context"
	"sync"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/smime/addr"
)

// seekWords is what a job says that waits for the certificates of a domain: all that wait for one say the same, so
// that its first answer can let all of them go.
func seekWords(d addr.Domain) string {
	return "the name servers of " + d.String() + " do not answer: whether there are certificates is not known"
}

// silences remembers the domains whose certificates could not be looked for lately, and those that answered after that.
// It is this process's memory only: what waited longer says so itself.
type silences struct {
	mu sync.Mutex
	of map[addr.Domain]quiet
}

// quiet is one domain's silence, or the end of it.
type quiet struct {
	silent bool
	freed  time.Time // when those who waited were last let go
}

const (
	maxSilences = 4096        // bounds the domains remembered; of those beyond it each job goes when its own wait ends
	freeEvery   = time.Minute // those let go by an answer say themselves that they waited: they let nobody go again so soon
)

// note takes what was found out about a domain, by a job that waited for it or by another, and reports whether those
// who wait are to be let go.
func (s *silences) note(d addr.Domain, silent, waited bool, now time.Time) (free bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.of[d]
	since := now.Sub(was.freed)
	switch {
	case silent:
		was.silent = true
	case was.silent, waited && (since >= freeEvery || since < 0):
		free, was = true, quiet{freed: now}
	case !known:
		return false
	}
	if s.of == nil {
		s.of = map[addr.Domain]quiet{}
	}
	if !known && len(s.of) >= maxSilences {
		s.forget()
	}
	if known || len(s.of) < maxSilences {
		s.of[d] = was
	}
	return free
}

// forget drops a domain that is not silent, if there is one.
func (s *silences) forget() {
	for d, was := range s.of {
		if !was.silent {
			delete(s.of, d)
			return
		}
	}
}

// sought takes the verdicts of one job: the domain that keeps it waiting, if one does, and whoever waits for a domain
// that answers again goes at once.
func (p *Pipeline) sought(ctx context.Context, j queue.Job, verdicts []agent.Verdict) (waits addr.Domain) {
	silent := map[addr.Domain]bool{}
	for _, v := range verdicts {
		d := v.Recipient.Domain()
		silent[d] = silent[d] || v.Temporary && v.Reason == agent.ReasonUnknown
	}
	for d, now := range silent {
		if now && (waits.IsZero() || d.String() < waits.String()) {
			waits = d
		}
		if words := seekWords(d); p.silent.note(d, now, j.LastError == words, p.Now()) {
			p.answered(ctx, d, words)
		}
	}
	return waits
}

// answered makes everything due that waits for the certificates of a domain.
func (p *Pipeline) answered(ctx context.Context, d addr.Domain, words string) {
	n, err := p.Store.FreeWaiting(context.WithoutCancel(ctx), queue.Lookups, words)
	if err != nil {
		p.Log.Error("a domain's name servers answer again, and what waits for them could not be told so: each goes when its wait ends", "domain", d, "error", err)
		return
	}
	if n > 0 {
		p.Log.Info("name servers that gave no answer are back", "domain", d, "jobs", n)
	}
}
