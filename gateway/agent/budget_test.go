package agent_test

import (
	"bytes"
	"crypto/x509"
	"io"
	"sync"
	"testing"

	"postern/certs/discover"
	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/smime/addr"
	"postern/trust"
)

// TestRecipientsShareOneBudget: however many recipients a message has and however many certificates each, all
// questions about it draw on one bound of fetches; another message has its own.
func TestRecipientsShareOneBudget(t *testing.T) {
	f, ca, _ := sender(t)
	var to []addr.Address
	for _, local := range []string{"a", "b", "c", "d", "e"} {
		a := addr.MustParse(local + "@clinic.example")
		to = append(to, a)
		one, two := leaf(t, ca, issue.LeafOptions{Address: a}), leaf(t, ca, issue.LeafOptions{Address: a})
		f.found[a.Key()] = discover.Finding{Status: discover.Found, Location: discover.DNSAddress, Certs: []*x509.Certificate{one.Cert, two.Cert}}
	}
	var mu sync.Mutex
	seen := map[*trust.Budget]int{}
	ag := f.agent()
	real := ag.Judge
	ag.Judge = judgeOf(func(q trust.Question) (trust.Decision, error) {
		mu.Lock()
		seen[q.Budget]++
		mu.Unlock()
		return real.Evaluate(t.Context(), q)
	})
	for range 2 {
		if _, err := ag.Seal(t.Context(), agent.Outbound{From: doc, Recipients: to, Content: section(mail(fromDoc + toIntake)), Purpose: trust.Mail},
			func() (io.Writer, error) { return &bytes.Buffer{}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 || seen[nil] != 0 {
		t.Errorf("%d budgets for two messages: %v", len(seen), seen)
	}
	for _, n := range seen {
		if n != 10 {
			t.Errorf("%d questions with one budget, want 10", n)
		}
	}
}
