package gateway

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"postern/certs/issue"
	"postern/certs/zone"
	"postern/smime/addr"
)

// TestChangesArePublishedTogether: the first change at once, the others of the same second with the last of them; and
// again when the time is over, without any change.
func TestChangesArePublishedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		began := time.Now()
		changed := make(chan struct{}, 1)
		var at []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			repeat(ctx, changed, time.Hour, func() time.Duration {
				at = append(at, time.Since(began))
				return time.Hour
			})
		}()
		for range 500 { // for two and a half seconds
			select {
			case changed <- struct{}{}:
			default:
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(2 * time.Hour)
		stop()
		<-done
		if len(at) < 5 || at[0] != 0 || at[1] != publishGap || at[2] != 2*publishGap || at[3] != 3*publishGap || at[4] < time.Hour || len(at) > 6 {
			t.Errorf("published at %v", at)
		}
	})
}

// Somebody who would lose his last certificate keeps it a moment, in which another may come; not one that is over,
// and not a domain that is hosted no more.
func TestALastCertificateGoesNotAtOnce(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: now.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	domain := addr.MustDomain("direct.clinic.example")
	leaf := func(life time.Duration) zone.Cert {
		c, err := ca.Leaf(issue.LeafOptions{Domain: domain, Algorithm: issue.P256, Now: now.Add(-time.Minute), Life: life})
		if err != nil {
			t.Fatal(err)
		}
		return zone.Cert{Cert: c.Cert}
	}
	first, second, short := leaf(0), leaf(0), leaf(2*time.Minute)
	build := func(at time.Time, d addr.Domain, list ...zone.Cert) *zone.Snapshot {
		ns := []zone.Host{{Name: "ns.example.org", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}
		s, err := zone.Build([]zone.Zone{{Domain: d, NS: ns, Certs: list}}, zone.Options{Now: at})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	other := addr.MustDomain("other.example")
	for _, c := range []struct {
		what  string
		from  *zone.Snapshot
		to    *zone.Snapshot
		at    time.Time
		after []time.Duration // of the attempts
		waits []time.Duration
	}{
		{"the last one is retired", build(now, domain, first), build(now, domain), now, []time.Duration{0, time.Second, vanishGap, vanishGap}, []time.Duration{vanishGap, vanishGap - time.Second, 0, 0}},
		{"one takes another's place", build(now, domain, first), build(now, domain, second), now, []time.Duration{0}, []time.Duration{0}},
		{"one of two is retired", build(now, domain, first, second), build(now, domain, second), now, []time.Duration{0}, []time.Duration{0}},
		{"the last one is over", build(now, domain, short), build(now.Add(time.Hour), domain), now.Add(time.Hour), []time.Duration{0}, []time.Duration{0}},
		{"its domain is gone", build(now, domain, first), build(now, other), now, []time.Duration{0}, []time.Duration{0}},
		{"there was none", build(now, domain), build(now, domain), now, []time.Duration{0}, []time.Duration{0}},
	} {
		p := &publication{certs: c.from.Certs}
		for i, after := range c.after {
			if got := p.waits(c.to, c.at, now.Add(after)); got != c.waits[i] {
				t.Errorf("%s, after %s: waits %s, want %s", c.what, after, got, c.waits[i])
			}
		}
	}
	p := &publication{certs: build(now, domain, first).Certs}
	if p.waits(build(now, domain), now, now) == 0 || p.waits(build(now, domain, second), now, now.Add(time.Second)) != 0 || !p.vanished.IsZero() {
		t.Error("the import that came in the wait is not published at once")
	}
}
