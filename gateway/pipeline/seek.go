package pipeline

import (
	"context"
	"sync"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/smime/addr"
)

// seekWords is what a job says that waits for the certificates of a domain: all that wait for one say the same, so
// that its first answer can let all of them go.
func seekWords(d addr.Domain) string {
	return "the name servers of " + d.String() + " do not answer: whether there are certificates is not known"
}

// silences remembers the domains whose certificates could not be looked for lately. It is this process's memory only:
// what waited longer says so itself. How often a silent domain is asked is the finder's affair, for all jobs together.
type silences struct {
	mu sync.Mutex
	of map[addr.Domain]bool
}

// maxSilences bounds the domains remembered; of those beyond it each job goes when its own wait ends.
const maxSilences = 4096

// note takes what was found out about a domain and reports whether it was silent before and answers now.
func (s *silences) note(d addr.Domain, silent bool) (back bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !silent:
		back = s.of[d]
		delete(s.of, d)
	case s.of == nil:
		s.of = map[addr.Domain]bool{d: true}
	case len(s.of) < maxSilences:
		s.of[d] = true
	}
	return back
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
		if words := seekWords(d); p.silent.note(d, now) || !now && j.LastError == words {
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
