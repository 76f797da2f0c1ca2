package trust_test

import (
	"crypto/x509"
	"fmt"
	"testing"

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
	for i := range trust.MaxRevocationFetches {
		q := incoming(root.Leaf(t, "dr@clinic.example", crlAt(fmt.Sprintf("%s/busy/%d/a", w.URL, i), fmt.Sprintf("%s/busy/%d/b", w.URL, i))).Cert)
		q.Budget = budget
		if d := decide(t, e, q); !d.OK() || !d.SoftFailed {
			t.Fatalf("%+v", d)
		}
	}
	if w.count() != trust.MaxRevocationFetches {
		t.Errorf("%d fetches, want %d", w.count(), trust.MaxRevocationFetches)
	}
}
