package discover_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/smime/addr"
)

// mixed is a DNS in which the domains "dead…" are never answered and all others at once. It counts.
type mixed struct {
	cert *x509.Certificate

	mu    sync.Mutex
	asked map[string]int // questions for a dead domain, by it
	most  int            // questions that waited longer than Quick at the same time
	slow  int
}

func (m *mixed) Find(ctx context.Context, name string) (dnscert.Answer, error) {
	a := addr.MustParse(name[:1] + "@" + name[2:])
	if a.Domain().String()[:4] != "dead" {
		return dnscert.Answer{Certs: []*x509.Certificate{m.cert}, TTL: time.Hour, Server: "192.0.2.53:53"}, nil
	}
	m.mu.Lock()
	m.asked[a.Domain().String()]++
	m.mu.Unlock()
	late := time.AfterFunc(discover.Quick+time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if ctx.Err() == nil {
			m.slow++
			m.most = max(m.most, m.slow)
		}
	})
	<-ctx.Done()
	if !late.Stop() && context.Cause(ctx) == context.DeadlineExceeded {
		m.mu.Lock()
		m.slow--
		m.mu.Unlock()
	}
	return dnscert.Answer{}, &dnsclient.Error{Kind: dnsclient.ErrTemporary, Name: name, Type: "CERT", Detail: "no answer", Trace: []dnsclient.Step{{Server: "192.0.2.53:53", Silent: true}}}
}

// TestDeadDomainsHoldUpNobody: 32 workers meet 50 dead domains with ten recipients each, and then 200 recipients
// elsewhere. All of those are found although no dead server ever answered, never more than SlowShare workers
// waited for one, and a dead domain was asked once, not once a recipient.
func TestDeadDomainsHoldUpNobody(t *testing.T) {
	const workers, dead, each, alive = 32, 50, 10, 200
	cert := leaf(t, authority(t), issue.LeafOptions{Address: addr.MustParse("a@live.example.org")}).Cert
	synctest.Test(t, func(t *testing.T) {
		m := &mixed{cert: cert, asked: map[string]int{}}
		f := discover.New(discover.Config{DNS: m})
		jobs := make(chan addr.Address, dead*each+alive)
		for i := range each {
			for d := range dead {
				jobs <- addr.MustParse(fmt.Sprintf("%c@dead%d.example.org", 'a'+i, d))
			}
		}
		for i := range alive {
			jobs <- addr.MustParse(fmt.Sprintf("a@live%d.example.org", i))
		}
		close(jobs)
		counts := map[discover.Status]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for a := range jobs {
					got, err := f.Find(t.Context(), a)
					if err != nil {
						t.Error(err)
					}
					if got.Status == discover.Unknown && got.Retry <= 0 {
						t.Errorf("%s: when to try again is not said", a)
					}
					mu.Lock()
					counts[got.Status]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if counts[discover.Found] != alive || counts[discover.Unknown] != dead*each || counts[discover.None] != 0 {
			t.Errorf("%v", counts)
		}
		if m.most > discover.SlowShare || m.most == 0 {
			t.Errorf("%d searches waited for dead servers at the same time, at most %d may", m.most, discover.SlowShare)
		}
		total := 0
		for _, n := range m.asked {
			total += n
		}
		if total > 2*dead { // once, and once more where the time to try again came
			t.Errorf("%d questions to %d dead domains", total, dead)
		}
		if got := f.Stats(); got.Waiting != 0 || got.Silent != dead {
			t.Errorf("%+v", got)
		}
		t.Logf("%d questions to %d dead domains with %d recipients each; %d waited at the same time", total, dead, each, m.most)
	})
}

// TestASilentDomainIsAskedByOneSearchAtATime: once a domain's servers were silent, nobody else waits for them; one
// search tries again when its time has come, and an answer opens the domain for all.
func TestASilentDomainIsAskedByOneSearchAtATime(t *testing.T) {
	cert := leaf(t, authority(t), issue.LeafOptions{Address: addr.MustParse("a@live.example.org")}).Cert
	synctest.Test(t, func(t *testing.T) {
		m := &mixed{cert: cert, asked: map[string]int{}}
		f := discover.New(discover.Config{DNS: m})
		all := func() (statuses map[discover.Status]int) {
			statuses = map[discover.Status]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					got, err := f.Find(t.Context(), addr.MustParse(fmt.Sprintf("%c@dead.example.org", 'a'+i)))
					mu.Lock()
					defer mu.Unlock()
					if statuses[got.Status]++; err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			return statuses
		}
		for round, want := range []int{8, 9, 10} { // 8 ask at first, then one a round
			if got := all(); got[discover.Unknown] != 8 || m.asked["dead.example.org"] != want {
				t.Fatalf("round %d: %v, %d questions, want %d", round, got, m.asked["dead.example.org"], want)
			}
			if got := all(); got[discover.Unknown] != 8 || m.asked["dead.example.org"] != want {
				t.Fatalf("round %d, at once again: %v, %d questions", round, got, m.asked["dead.example.org"])
			}
			time.Sleep(discover.FaultGap + time.Second)
		}
	})
}

// TestAnOldFaultDoesNotHurry: a place that was silent once, hours ago, gets its tries and its five minutes when the
// domain is silent again, as if nothing had been.
func TestAnOldFaultDoesNotHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := discover.New(discover.Config{DNS: &mixed{asked: map[string]int{}}})
		first := func(address string) discover.Verdict {
			got, err := f.Find(t.Context(), addr.MustParse(address))
			if err != nil {
				t.Fatal(err)
			}
			return got.Trace.Steps[0].Verdict
		}
		for _, address := range []string{"a@dead.example.org", "b@dead.example.org", "a@dead.example.org"} {
			if v := first(address); v != discover.VerdictWait {
				t.Errorf("%s: %s", address, v)
			}
			if address[0] == 'a' {
				time.Sleep(3 * time.Hour)
			}
		}
	})
}
