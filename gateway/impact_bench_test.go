package gateway_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/delivery/queue"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

// BenchmarkBundleImpact is `trust bundle diff` of a bundle of 150 anchors, a third of them gone, held against
// 1,000,000 decisions about 2,000 addresses of 1,000 partners.
func BenchmarkBundleImpact(b *testing.B) {
	const anchors, partners, decisions = 150, 1000, 1_000_000
	w := newWorld(b, "")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	w.ctx = ctx
	now := w.Clock.Now()
	key, err := issue.NewKey(issue.P256)
	w.ok(err)
	var all, less []byte
	var step store.Step
	for i := range anchors {
		ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: fmt.Sprintf("CA %d", i), Algorithm: issue.P256, Now: now})
		w.ok(err)
		if all = append(all, ca.Cert.Raw...); i%3 != 0 {
			less = append(less, ca.Cert.Raw...)
		}
		for p := i; p < partners; p += anchors {
			d := addr.MustDomain(fmt.Sprintf("partner%d.example", p))
			leaf, err := ca.Leaf(issue.LeafOptions{Domain: d, Key: key, Now: now})
			w.ok(err)
			for _, who := range []string{"dr", "lab"} {
				step.Decisions = append(step.Decisions, store.Decision{Org: w.clinic.Org, At: now, Message: "m-x", Domain: w.clinic.Domain, Direction: trust.Incoming,
					Purpose: trust.Mail, Peer: addr.MustParse(who + "@" + d.String()), Path: append(leaf.Chain[:0:0], leaf.Cert, ca.Cert)})
			}
		}
	}
	_, err = w.clinic.Store.Commit(w.ctx, queue.Lease{}, step)
	w.ok(err)
	db, err := sql.Open("sqlite", "file:"+w.clinic.Config.Database()+"?_pragma=busy_timeout(5000)")
	w.ok(err)
	_, err = db.ExecContext(w.ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?)
		INSERT INTO decision(at, judgement, message) SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?, '-' || (i % 80) || ' days'), 1 + i % ?, 'm-' || i FROM n`,
		decisions, now.UTC().Format("2006-01-02 15:04:05"), 2*partners)
	w.ok(err)
	w.ok(db.Close())
	_, err = w.clinic.Admin().BundleAdd(w.ctx, gateway.BundleAdd{Name: "community"}, all)
	w.ok(err)
	_, err = w.clinic.Admin().BundleSubscribe(w.ctx, gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community", Incoming: true}})
	w.ok(err)
	r, err := w.clinic.Admin().BundleRefresh(w.ctx, gateway.BundleArg{Name: "community"}, less)
	w.ok(err)
	if r.Outcome != gateway.Waits {
		b.Fatalf("%+v", r.Outcome)
	}
	for b.Loop() {
		d, err := w.clinic.Admin().BundleDiff(w.ctx, gateway.BundleArg{Name: "community"})
		w.ok(err)
		if len(d.Removed) != 50 || d.Touched.LostN < 300_000 || d.Touched.Messages < decisions {
			b.Fatalf("%d removed, %d of %d lost", len(d.Removed), d.Touched.LostN, d.Touched.Messages)
		}
	}
}
