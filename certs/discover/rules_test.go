package discover_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postern/certs"
	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/smime/addr"
)

// world is what the sources answer by "location name"; anything else is "nothing there".
type world struct {
	mu     sync.Mutex
	certs  map[string][]*x509.Certificate
	faults map[string]error
	asked  []string
	ttl    time.Duration
	block  chan struct{}
}

func (w *world) visit(key string) ([]*x509.Certificate, error) {
	w.mu.Lock()
	w.asked = append(w.asked, key)
	block := w.block
	defer w.mu.Unlock()
	if block != nil {
		w.mu.Unlock()
		<-block
		w.mu.Lock()
	}
	return w.certs[key], w.faults[key]
}

type dnsSide struct{ *world }

func (d dnsSide) Find(_ context.Context, name string) (dnscert.Answer, error) {
	list, err := d.visit("dns " + name)
	if err != nil {
		return dnscert.Answer{}, err
	}
	if list == nil {
		return dnscert.Answer{}, &dnsclient.Error{Kind: dnsclient.ErrNotFound, Name: name, Type: "CERT", Detail: "NXDOMAIN", Expires: start.Add(time.Hour)}
	}
	return dnscert.Answer{Certs: list, TTL: d.ttl, Server: "192.0.2.53:53"}, nil
}

type ldapSide struct{ *world }

func (l ldapSide) Find(_ context.Context, domain addr.Domain, mail string) (ldapcert.Answer, error) {
	list, err := l.visit("ldap " + mail)
	if err != nil {
		return ldapcert.Answer{}, err
	}
	if list == nil {
		return ldapcert.Answer{}, fmt.Errorf("%w: no entry", ldapcert.ErrNotFound)
	}
	return ldapcert.Answer{Certs: list, Server: "ldap." + domain.String() + ":389"}, nil
}

type known map[string][]*x509.Certificate

func (k known) Certificates(_ context.Context, a addr.Address) ([]*x509.Certificate, error) {
	if list, ok := k["fail"]; ok && list == nil {
		return nil, errors.New("store is down")
	}
	return k[a.Key()], nil
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type clock struct{ offset atomic.Int64 }

func (c *clock) Now() time.Time          { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

var fault = &dnsclient.Error{Kind: dnsclient.ErrTemporary, Type: "CERT", Detail: "SERVFAIL", Trace: []dnsclient.Step{{Server: "192.0.2.53:53", Answer: "SERVFAIL"}}}

const (
	atAddress, atDomain     = "dns a.direct.example.org", "dns direct.example.org"
	ldapAddress, ldapDomain = "ldap a@direct.example.org", "ldap direct.example.org"
)

func TestOrderAndStopRule(t *testing.T) {
	ca := authority(t)
	a := addr.MustParse("a@direct.example.org")
	good := leaf(t, ca, issue.LeafOptions{Address: a}).Cert
	expired := leaf(t, ca, issue.LeafOptions{Address: a, Now: time.Now().AddDate(-3, 0, 0)}).Cert
	one := func(c *x509.Certificate) []*x509.Certificate { return []*x509.Certificate{c} }
	all := map[string][]*x509.Certificate{atAddress: one(good), atDomain: one(good), ldapAddress: one(good), ldapDomain: one(good)}
	for _, tc := range []struct {
		situation     string
		local, static known
		world         *world
		status        discover.Status
		location      discover.Location
		asked         string
		who           string
	}{
		{"hosted here: nobody is asked", known{a.Key(): one(good)}, nil, &world{certs: all}, discover.Found, discover.Local, "", discover.WhoNobody},
		{"entered by hand: nobody is asked", nil, known{a.Key(): one(good)}, &world{certs: all}, discover.Found, discover.Static, "", discover.WhoNobody},
		{"known here comes before entered by hand", known{a.Key(): one(good)}, known{a.Key(): one(expired)}, &world{}, discover.Found, discover.Local, "", discover.WhoNobody},
		{"everywhere: DNS at the address", nil, nil, &world{certs: all}, discover.Found, discover.DNSAddress, atAddress, discover.WhoNobody},
		{"DNS at the domain", nil, nil, &world{certs: map[string][]*x509.Certificate{atDomain: one(good), ldapAddress: one(good)}}, discover.Found, discover.DNSDomain, atAddress + "," + atDomain, discover.WhoNobody},
		{"LDAP by address", nil, nil, &world{certs: map[string][]*x509.Certificate{ldapAddress: one(good), ldapDomain: one(good)}}, discover.Found, discover.LDAPAddress, atAddress + "," + atDomain + "," + ldapAddress, discover.WhoNobody},
		{"LDAP by domain", nil, nil, &world{certs: map[string][]*x509.Certificate{ldapDomain: one(good)}}, discover.Found, discover.LDAPDomain, atAddress + "," + atDomain + "," + ldapAddress + "," + ldapDomain, discover.WhoNobody},
		{"a bad certificate ends the search too", nil, nil, &world{certs: map[string][]*x509.Certificate{atAddress: one(expired), atDomain: one(good)}}, discover.Found, discover.DNSAddress, atAddress, discover.WhoNobody},
		{"nowhere", nil, nil, &world{}, discover.None, "", atAddress + "," + atDomain + "," + ldapAddress + "," + ldapDomain, discover.WhoPeer},
		{"records, none of them a certificate", nil, nil, &world{certs: map[string][]*x509.Certificate{atAddress: {}, atDomain: one(good)}}, discover.Found, discover.DNSDomain, atAddress + "," + atDomain, discover.WhoNobody},
		{"a fault at the first place waits there", nil, nil, &world{certs: map[string][]*x509.Certificate{atDomain: one(good)}, faults: map[string]error{atAddress: fault}}, discover.Unknown, "", atAddress, discover.WhoPeer},
		{"a fault at the last place is not an absence", nil, nil, &world{faults: map[string]error{ldapDomain: ldapcert.ErrTemporary}}, discover.Unknown, "", atAddress + "," + atDomain + "," + ldapAddress + "," + ldapDomain, discover.WhoPeer},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			var now clock
			w := tc.world
			cfg := discover.Config{DNS: dnsSide{w}, LDAP: ldapSide{w}, Clock: now.Now}
			if tc.local != nil {
				cfg.Local = tc.local
			}
			if tc.static != nil {
				cfg.Static = tc.static
			}
			got, err := discover.New(cfg).Find(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != tc.status || got.Location != tc.location || strings.Join(w.asked, ",") != tc.asked {
				t.Errorf("%s at %q after %v; want %s at %q after %s", got.Status, got.Location, w.asked, tc.status, tc.location, tc.asked)
			}
			if got.Trace.WhoActs != tc.who || got.Trace.Conclusion == "" || got.Trace.Version != 1 || len(got.Trace.Steps) == 0 {
				t.Errorf("trace %+v", got.Trace)
			}
			for _, s := range got.Trace.Steps {
				if s.Meaning == "" || s.Answer == "" || s.Verdict == "" {
					t.Errorf("step without words: %+v", s)
				}
			}
			if (got.Status == discover.Unknown) != (got.Retry > 0) {
				t.Errorf("retry %v with %s", got.Retry, got.Status)
			}
		})
	}
}

func TestStoreFaultIsTheCallersError(t *testing.T) {
	f := discover.New(discover.Config{Local: known{"fail": nil}})
	if _, err := f.Find(t.Context(), addr.MustParse("a@direct.example.org")); err == nil || !strings.Contains(err.Error(), "store is down") {
		t.Errorf("%v", err)
	}
}

// A place that faults is asked three times, or for five minutes; then the next one is asked, and if
// that has nothing the answer is still "not known".
func TestFaultsRunOut(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	good := []*x509.Certificate{leaf(t, authority(t), issue.LeafOptions{Address: a}).Cert}
	for _, tc := range []struct {
		situation string
		steps     []time.Duration // time before each search
		statuses  []discover.Status
		ldap      bool
	}{
		{"three tries, then LDAP", []time.Duration{0, time.Minute, time.Minute}, []discover.Status{discover.Unknown, discover.Unknown, discover.Found}, true},
		{"five minutes, then LDAP", []time.Duration{0, 5 * time.Minute}, []discover.Status{discover.Unknown, discover.Found}, true},
		{"searches in one moment are one try", []time.Duration{0, 0, 0, 0, time.Second}, []discover.Status{discover.Unknown, discover.Unknown, discover.Unknown, discover.Unknown, discover.Unknown}, true},
		{"nothing in LDAP: never \"no certificate\"", []time.Duration{0, time.Minute, time.Minute, time.Hour}, []discover.Status{discover.Unknown, discover.Unknown, discover.Unknown, discover.Unknown}, false},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			var now clock
			w := &world{faults: map[string]error{atAddress: fault, atDomain: fault}, certs: map[string][]*x509.Certificate{}}
			if tc.ldap {
				w.certs[ldapAddress] = good
			}
			f := discover.New(discover.Config{DNS: dnsSide{w}, LDAP: ldapSide{w}, Clock: now.Now})
			// The domain's own faults are counted from its first question, which comes only after the
			// address is given up: let it run out beforehand with another address.
			for range 3 {
				if _, err := f.Find(t.Context(), addr.MustParse(`"no name"@direct.example.org`)); err != nil {
					t.Fatal(err)
				}
				now.Advance(discover.FaultGap)
			}
			for i, d := range tc.steps {
				now.Advance(d)
				got, err := f.Find(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				if got.Status != tc.statuses[i] {
					t.Fatalf("search %d: %s, want %s\n%+v", i+1, got.Status, tc.statuses[i], got.Trace.Steps)
				}
				if got.Status == discover.Found && got.Trace.Steps[0].Verdict != discover.VerdictPassed {
					t.Errorf("trace does not say that a place was passed by: %+v", got.Trace.Steps[0])
				}
			}
		})
	}
}

func TestRecoveryEndsTheCount(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	good := []*x509.Certificate{leaf(t, authority(t), issue.LeafOptions{Address: a}).Cert}
	var now clock
	w := &world{faults: map[string]error{atAddress: fault}, certs: map[string][]*x509.Certificate{atAddress: good, ldapAddress: good}, ttl: time.Minute}
	f := discover.New(discover.Config{DNS: dnsSide{w}, LDAP: ldapSide{w}, Clock: now.Now})
	find := func(want discover.Status, where discover.Location) {
		t.Helper()
		got, err := f.Find(t.Context(), a)
		if err != nil || got.Status != want || got.Location != where {
			t.Fatalf("%v, %s at %q; want %s at %q", err, got.Status, got.Location, want, where)
		}
	}
	find(discover.Unknown, "")
	now.Advance(time.Minute)
	find(discover.Unknown, "")
	now.Advance(time.Minute)
	delete(w.faults, atAddress)
	find(discover.Found, discover.DNSAddress)
	now.Advance(2 * time.Minute)
	w.faults[atAddress] = fault
	find(discover.Unknown, "") // counted anew
	now.Advance(time.Minute)
	find(discover.Unknown, "")
}

// kept is a Memory over a map, as a database table would be.
type kept struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (k *kept) Load(_ context.Context, key string) ([]byte, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.m[key]
	return v, ok, nil
}

func (k *kept) Save(_ context.Context, key string, value []byte, _ time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.m[key] = value
	return nil
}

func TestMemorySurvivesRestart(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	good := []*x509.Certificate{leaf(t, authority(t), issue.LeafOptions{Address: a}).Cert}
	memory := &kept{m: map[string][]byte{}}
	var now clock
	w := &world{certs: map[string][]*x509.Certificate{atDomain: good}, ttl: 10 * time.Minute}
	find := func() discover.Finding {
		t.Helper()
		got, err := discover.New(discover.Config{DNS: dnsSide{w}, LDAP: ldapSide{w}, Clock: now.Now, Memory: memory}).Find(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := find(); got.Status != discover.Found || len(w.asked) != 2 {
		t.Fatalf("%s after %v", got.Status, w.asked)
	}
	got := find() // a new process
	if got.Status != discover.Found || len(w.asked) != 2 || !got.Certs[0].Equal(good[0]) || !got.Trace.Steps[0].Remembered {
		t.Errorf("asked again after a restart: %v, %s", w.asked, got.Status)
	}
	now.Advance(discover.MaxNone) // "nothing at the address" has run out, "found at the domain" has not
	if find(); len(w.asked) != 3 {
		t.Errorf("asked %v", w.asked)
	}
	now.Advance(6 * time.Minute)
	if find(); len(w.asked) != 5 {
		t.Errorf("asked %v", w.asked)
	}
	for key := range memory.m {
		memory.m[key] = []byte(`{"v":1,"status":"found","certs":["AAAA"]}`)
	}
	if got := find(); got.Status != discover.Found || len(w.asked) != 7 {
		t.Errorf("damaged memory: %s after %v", got.Status, w.asked)
	}
}

func TestFaultCountSurvivesRestart(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	memory := &kept{m: map[string][]byte{}}
	var now clock
	w := &world{faults: map[string]error{atAddress: fault}, certs: map[string][]*x509.Certificate{}}
	var got discover.Finding
	for range discover.FaultTries {
		var err error
		got, err = discover.New(discover.Config{DNS: dnsSide{w}, LDAP: ldapSide{w}, Clock: now.Now, Memory: memory}).Find(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		now.Advance(time.Minute)
	}
	if got.Status != discover.Unknown || len(got.Trace.Steps) != 4 {
		t.Errorf("%s after %d places", got.Status, len(got.Trace.Steps))
	}
}

func TestOneFlightPerPlace(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	good := []*x509.Certificate{leaf(t, authority(t), issue.LeafOptions{Address: a}).Cert}
	w := &world{certs: map[string][]*x509.Certificate{atAddress: good}, ttl: time.Minute, block: make(chan struct{})}
	f := discover.New(discover.Config{DNS: dnsSide{w}})
	var work sync.WaitGroup
	var found atomic.Int64
	for range 50 {
		work.Go(func() {
			if got, err := f.Find(t.Context(), a); err == nil && got.Status == discover.Found {
				found.Add(1)
			}
		})
	}
	close(w.block)
	work.Wait()
	if found.Load() != 50 || len(w.asked) != 1 {
		t.Errorf("%d found it, %d questions", found.Load(), len(w.asked))
	}
}

func TestTimeRunsOut(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	w := &world{block: make(chan struct{})}
	defer close(w.block)
	slow := slowDNS{}
	f := discover.New(discover.Config{DNS: slow, MaxTime: 20 * time.Millisecond})
	got, err := f.Find(t.Context(), a)
	if err != nil || got.Status != discover.Unknown {
		t.Errorf("own limit: %v, %s", err, got.Status)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Find(ctx, addr.MustParse("b@direct.example.org")); !errors.Is(err, context.Canceled) {
		t.Errorf("caller's end: %v", err)
	}
}

type slowDNS struct{}

func (slowDNS) Find(ctx context.Context, _ string) (dnscert.Answer, error) {
	<-ctx.Done()
	return dnscert.Answer{}, ctx.Err()
}

func TestTraceIsJSON(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	good := leaf(t, authority(t), issue.LeafOptions{Address: a})
	w := &world{certs: map[string][]*x509.Certificate{atDomain: {good.Cert}}, ttl: time.Minute}
	got, err := discover.New(discover.Config{DNS: dnsSide{w}}).Find(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got.Trace)
	if err != nil {
		t.Fatal(err)
	}
	var back discover.Trace
	if err := json.Unmarshal(text, &back); err != nil || back.Status != discover.Found || back.Certificates[0].Fingerprint != certs.Fingerprint(good.Cert) {
		t.Errorf("%v\n%s", err, text)
	}
	for _, w := range []string{`"v":1`, `"location":"dns-domain"`, `"who_acts":"nobody"`, `"rule":"CD-41"`} {
		if !strings.Contains(string(text), w) {
			t.Errorf("no %s in %s", w, text)
		}
	}
}

func BenchmarkFindRemembered(b *testing.B) {
	a := addr.MustParse("a@direct.example.org")
	w := &world{certs: map[string][]*x509.Certificate{atDomain: {leaf(b, authority(b), issue.LeafOptions{Address: a}).Cert}}, ttl: time.Hour}
	var now clock
	f := discover.New(discover.Config{DNS: dnsSide{w}, Clock: now.Now})
	for b.Loop() {
		got, err := f.Find(b.Context(), a)
		if err != nil || got.Status != discover.Found {
			b.Fatal(err)
		}
	}
}

// When only the domain's own name server answered, the administrator is told, in the log and the trace.
func TestAdministratorIsToldOfRefusingResolvers(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	var log strings.Builder
	f := discover.New(discover.Config{DNS: around{leaf(t, authority(t), issue.LeafOptions{Address: a}).Cert}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	got, err := f.Find(t.Context(), a)
	if err != nil || got.Status != discover.Found || !strings.Contains(strings.Join(got.Trace.Steps[0].Notes, " "), "do not answer CERT") || !strings.Contains(log.String(), "do not answer CERT") {
		t.Errorf("%v, %s, %q\n%+v", err, got.Status, log.String(), got.Trace.Steps)
	}
}

// around is a DNS whose answers came past the resolvers.
type around struct{ cert *x509.Certificate }

func (r around) Find(context.Context, string) (dnscert.Answer, error) {
	return dnscert.Answer{Certs: []*x509.Certificate{r.cert}, Authoritative: true, TTL: time.Minute, Server: "192.0.2.1:53"}, nil
}

// A domain whose name servers swallow CERT questions but whose directory works: the directory is
// reached after a few searches, and from then on each search is short.
func TestSilentNameServersDoNotHideTheDirectory(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	good := []*x509.Certificate{leaf(t, authority(t), issue.LeafOptions{Address: a}).Cert}
	synctest.Test(t, func(t *testing.T) {
		w := &world{certs: map[string][]*x509.Certificate{ldapAddress: good}}
		f := discover.New(discover.Config{DNS: slowDNS{}, LDAP: ldapSide{w}})
		searches := 0
		for {
			began := time.Now()
			got, err := f.Find(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > discover.MaxTime {
				t.Fatalf("a search took %v", took)
			}
			if searches++; got.Status == discover.Found {
				break
			}
			if searches == 6 {
				t.Fatalf("not found after %d searches: %+v", searches, got.Trace.Steps)
			}
			time.Sleep(max(time.Minute, got.Retry))
		}
		began := time.Now()
		if got, err := f.Find(t.Context(), a); err != nil || got.Status != discover.Found || time.Since(began) > time.Second {
			t.Errorf("%v, %s after %v", err, got.Status, time.Since(began))
		}
		time.Sleep(2 * time.Hour) // everything is forgotten or to be asked again
		began = time.Now()
		if got, err := f.Find(t.Context(), a); err != nil || time.Since(began) > discover.MaxTime {
			t.Errorf("%v, %s after %v", err, got.Status, time.Since(began))
		}
	})
}

// Hostile directories full of certificates do not fill the memory of this process.
func TestMemoryIsBoundedInOctets(t *testing.T) {
	ca := authority(t)
	fat := leaf(t, ca, issue.LeafOptions{Address: addr.MustParse("a@direct.example.org"), AIA: []string{"http://pki.example/" + strings.Repeat("x", 60000)}}).Cert
	var all []*x509.Certificate
	for range 50 {
		all = append(all, fat)
	}
	saved := &kept{m: map[string][]byte{}}
	w := &world{certs: map[string][]*x509.Certificate{}, ttl: time.Hour}
	var now clock
	f := discover.New(discover.Config{DNS: dnsSide{w}, Memory: saved, Clock: now.Now})
	const names = 30 // of 3 MB each
	for i := range names {
		w.certs[fmt.Sprintf("dns a%d.direct.example.org", i)] = all
	}
	for range 2 {
		for i := range names {
			if got, err := f.Find(t.Context(), addr.MustParse(fmt.Sprintf("a%d@direct.example.org", i))); err != nil || len(got.Certs) != 50 {
				t.Fatal(err, len(got.Certs))
			}
		}
	}
	if len(w.asked) != 2*names { // 90 MB do not fit into 64: going round, each is gone when it is wanted again
		t.Errorf("asked %d times, want %d", len(w.asked), 2*names)
	}
	if len(saved.m) != 0 {
		t.Errorf("%d values larger than allowed were saved", len(saved.m))
	}
}
