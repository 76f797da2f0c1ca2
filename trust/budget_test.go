package trust_test

import (
	"crypto/x509"
	"fmt"
	"sync"
	"testing"

	"postern/smime/addr"
	"postern/trust"
	"postern/trust/internal/testpki"
)

// TestOneBudgetForAMessage: many signers, each of whose issuers is said to be at a place of its own,
// cause no more fetches together than one may.
func TestOneBudgetForAMessage(t *testing.T) {
	root := testpki.Root(t, "Root")
	const signers = 8
	for _, c := range []struct {
		name   string
		budget *trust.Budget
		want   int
	}{
		{"shared", trust.NewBudget(), trust.MaxIssuerFetches},
		{"used up", &trust.Budget{}, 0},
		{"each its own", nil, 2 * signers},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWeb(t)
			e := networked(store{in: []*x509.Certificate{root.Cert}}, fetcher())
			for i := range signers {
				gone := testpki.Root(t, fmt.Sprintf("Gone %d", i))
				q := incoming(gone.Leaf(t, "dr@clinic.example", aia(fmt.Sprintf("%s/%d/a", w.URL, i), fmt.Sprintf("%s/%d/b", w.URL, i))).Cert)
				q.Budget = c.budget
				d := decide(t, e, q)
				want := trust.Untrusted
				if c.budget != nil && i >= c.want/2 { // not asked for now: the next try may
					want = trust.IssuerUnavailable
				}
				if d.Reason != want || d.Temporary != (want == trust.IssuerUnavailable) {
					t.Errorf("signer %d: %s, temporary %v: %s", i, d.Reason, d.Temporary, d.Detail)
				}
			}
			if w.count() != c.want {
				t.Errorf("%d fetches, want %d", w.count(), c.want)
			}
		})
	}
}

// TestSharedBudgetOfRevocation: lists and responders count together too.
func TestSharedBudgetOfRevocation(t *testing.T) {
	root := testpki.Root(t, "Root")
	w := newWeb(t)
	e := networked(store{in: []*x509.Certificate{root.Cert}}, fetcher())
	budget := trust.NewBudget()
	var last trust.Question
	for i := range trust.MaxRevocationFetches {
		last = incoming(root.Leaf(t, "dr@clinic.example", crlAt(fmt.Sprintf("%s/busy/%d/a", w.URL, i), fmt.Sprintf("%s/busy/%d/b", w.URL, i))).Cert)
		last.Budget = budget
		d := decide(t, e, last)
		if asked := i < trust.MaxRevocationFetches/2; d.OK() != asked || d.SoftFailed != asked {
			t.Fatalf("%d: %+v", i, d)
		}
		if !d.OK() && (d.Reason != trust.RevocationUnknown || !d.Temporary) { // it was not asked: nobody gets past it so
			t.Fatalf("%d: %+v", i, d)
		}
	}
	if w.count() != trust.MaxRevocationFetches {
		t.Errorf("%d fetches, want %d", w.count(), trust.MaxRevocationFetches)
	}
	last.Budget = trust.NewBudget() // the message is tried again
	if d := decide(t, e, last); !d.OK() || !d.SoftFailed {
		t.Errorf("%+v", d)
	}
	decide(t, e, last)
	if got, want := e.Stats(), (trust.Stats{Cached: 1, Approved: 9, SoftFailed: 9, Unknown: 8}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestBudgetOfAMessageToMany: a message to many may fetch more than one Question, but not without bound, whoever of
// its recipients asks first, and from several goroutines at once.
func TestBudgetOfAMessageToMany(t *testing.T) {
	root := testpki.Root(t, "Root")
	for _, c := range []struct{ recipients, issuers, lists int }{{0, 4, 16}, {1, 4, 16}, {3, 12, 48}, {18, 16, 64}, {1000, 16, 64}} {
		t.Run(fmt.Sprint(c.recipients), func(t *testing.T) {
			w := newWeb(t)
			e := networked(store{in: []*x509.Certificate{root.Cert}}, fetcher())
			budget := trust.NewMessageBudget(c.recipients)
			var wg sync.WaitGroup
			from := func(i int, by *testpki.Authority, o testpki.Option) trust.Question {
				peer := fmt.Sprintf("dr%d@clinic.example", i)
				q := incoming(by.Leaf(t, peer, o).Cert)
				q.Peer = addr.MustParse(peer)
				return q
			}
			ask := func(q trust.Question) {
				q.Budget = budget
				wg.Go(func() {
					if _, err := e.Evaluate(t.Context(), q); err != nil {
						t.Error(err)
					}
				})
			}
			for i := range 12 {
				gone := testpki.Root(t, fmt.Sprintf("Gone %d", i))
				ask(from(i, gone, aia(fmt.Sprintf("%s/%d/a", w.URL, i), fmt.Sprintf("%s/%d/b", w.URL, i))))
			}
			wg.Wait()
			if w.count() != c.issuers {
				t.Errorf("%d fetches of issuers, want %d", w.count(), c.issuers)
			}
			for i := range 40 {
				ask(from(i, root, crlAt(fmt.Sprintf("%s/busy/%d/a", w.URL, i), fmt.Sprintf("%s/busy/%d/b", w.URL, i))))
			}
			wg.Wait()
			if n := w.count() - c.issuers; n != c.lists {
				t.Errorf("%d fetches of lists, want %d", n, c.lists)
			}
		})
	}
}

// TestOneRecipientDoesNotUseUpTheOthers: a recipient who publishes many certificates, each of whose issuers and lists
// is said to be at places of its own, leaves the others of the message what they need.
func TestOneRecipientDoesNotUseUpTheOthers(t *testing.T) {
	root := testpki.Root(t, "Root")
	sub := root.Sub(t, "Sub")
	w := newWeb(t)
	w.put("/sub.cer", sub.Cert.Raw)
	w.put("/sub.crl", sub.List(t, nil))
	e := networked(store{in: []*x509.Certificate{root.Cert}}, fetcher())
	budget := trust.NewMessageBudget(2)
	for i := range 20 {
		gone := testpki.Root(t, fmt.Sprintf("Gone %d", i))
		for _, c := range []*testpki.Authority{
			gone.Leaf(t, "mallory@evil.example", aia(fmt.Sprintf("%s/%d/a", w.URL, i), fmt.Sprintf("%s/%d/b", w.URL, i))),
			root.Leaf(t, "mallory@evil.example", crlAt(fmt.Sprintf("%s/busy/%d/a", w.URL, i), fmt.Sprintf("%s/busy/%d/b", w.URL, i))),
		} {
			q := incoming(c.Cert)
			q.Peer, q.Budget = addr.MustParse("mallory@evil.example"), budget
			decide(t, e, q)
		}
	}
	if want := trust.MaxIssuerFetches + trust.MaxRevocationFetches; w.count() != want {
		t.Errorf("one recipient caused %d fetches, at most %d", w.count(), want)
	}
	q := incoming(sub.Leaf(t, "dr@clinic.example", aia(w.URL+"/sub.cer"), crlAt(w.URL+"/sub.crl")).Cert)
	q.Budget = budget
	if d := decide(t, e, q); !d.OK() || d.SoftFailed {
		t.Errorf("%s: %s, soft %v", d.Reason, d.Detail, d.SoftFailed)
	}
	q = incoming(root.Leaf(t, "dr@clinic.example", crlAt(w.URL+"/none.crl")).Cert)
	q.Budget = &trust.Budget{} // used up: what was not asked does not pass
	if d := decide(t, e, q); d.Reason != trust.RevocationUnknown || !d.Temporary {
		t.Errorf("%+v", d)
	}
}
