// Package discover finds the certificates to which a message for an address may be encrypted:
// certificates of addresses hosted here and those an administrator entered (AS-112), then DNS at the
// address, DNS at the domain, LDAP by address, LDAP by domain (CD-40).
//
// The first place that holds any certificate ends the search, however bad the certificate is
// (CD-41): whether it may be used is for package trust to say. "Nothing here" goes on to the next
// place. "Not known" (a fault) makes the message wait; after three tries or five minutes the next
// place is asked, and if that one has nothing either, the answer is still "not known", never "no
// certificate". What was found or not found is remembered by TTL, over restarts if a Memory is given.
//
// Servers that keep askers waiting hold up nobody else: their silence is remembered for their whole domain, one
// search at a time tries them again, and of all searches at most 8 wait longer than 2 s at the same time; the
// others are put off.
//
// Limits: 60 s a search (15 s a place in DNS, 25 s in LDAP, 5 s at a place passed by before), 10,000 remembered places with
// 64 MiB of certificates, Found at most 1 h, None at most 5 min.
package discover

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"postern/certs/dnscert"
	"postern/smime/addr"
)

// Limits and defaults.
const (
	MaxTime     = 60 * time.Second // one search (CD-63)
	MaxFound    = time.Hour        // CD-50
	MaxNone     = 5 * time.Minute  // CD-51
	FaultTries  = 3                // tries at a faulty place before the next one is asked
	FaultWait   = 5 * time.Minute  // or this long after its first fault
	FaultGap    = 20 * time.Second // a place that just failed is not asked again sooner
	faultForget = time.Hour        // a fault this old begins a new count
	timeDNS     = 15 * time.Second // one place in DNS
	timeLDAP    = 25 * time.Second // one place in LDAP
	timePassed  = 5 * time.Second  // a place passed by before: it must not take the time of those after it
	MaxPlaces   = 10000            // places remembered in the process
	MaxOctets   = 64 << 20         // of certificates among them
	MaxValue    = 512 << 10        // octets of one value in the lasting Memory

)

// Status is what a search or a place came to.
type Status string

// The three results.
const (
	Found   Status = "found"   // certificates, good or bad: the search ends here
	None    Status = "none"    // nothing here, surely
	Unknown Status = "unknown" // could not be asked; try again later
)

// Location is a place where certificates are looked for.
type Location string

// The places, in the order they are asked (AS-112, CD-40).
const (
	Local       Location = "local"
	Static      Location = "static"
	DNSAddress  Location = "dns-address"
	DNSDomain   Location = "dns-domain"
	LDAPAddress Location = "ldap-address"
	LDAPDomain  Location = "ldap-domain"
)

// Finding is the result of a search.
type Finding struct {
	Certs    []*x509.Certificate // of Found, all of the place, not judged
	Location Location            // of Found: the place
	Name     string              // of Found: the name that was asked for
	Status   Status
	Trace    Trace
	Expires  time.Time     // of Found and None: how long that holds; zero = ask each time
	Retry    time.Duration // of Unknown: not sooner than this
}

// Known holds certificates this site knows without asking anyone: those it hosts, or those entered
// by hand. No certificate and no error means it knows none.
type Known interface {
	Certificates(ctx context.Context, a addr.Address) ([]*x509.Certificate, error)
}

// DNS finds certificates by DNS name; *dnscert.Finder is one. Errors match dnsclient's kinds.
type DNS interface {
	Find(ctx context.Context, name string) (dnscert.Answer, error)
}

// Config says where to look. Nil sources are not asked and not mentioned.
type Config struct {
	Local      Known
	Static     Known
	DNS        DNS
	LDAP       LDAP
	Memory     Memory           // survives restarts; nil = this process only
	Clock      func() time.Time // nil = time.Now
	MaxTime    time.Duration    // 0 = MaxTime
	FaultTries int              // 0 = FaultTries
	FaultWait  time.Duration    // 0 = FaultWait
	FaultGap   time.Duration    // 0 = FaultGap; negative = none
	Log        *slog.Logger     // told when our resolvers do not answer CERT questions; nil = silent
}

// Finder searches. It is safe for concurrent use; one place is asked by one search at a time.
type Finder struct {
	cfg     Config
	places  []place
	memory  *memory
	flights flights

	circuits circuits
	patience patience
}

// New makes a Finder.
func New(cfg Config) *Finder {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxTime <= 0 {
		cfg.MaxTime = MaxTime
	}
	if cfg.FaultTries <= 0 {
		cfg.FaultTries = FaultTries
	}
	if cfg.FaultWait <= 0 {
		cfg.FaultWait = FaultWait
	}
	if cfg.FaultGap == 0 {
		cfg.FaultGap = FaultGap
	}
	return &Finder{cfg: cfg, places: places(cfg), memory: newMemory(MaxPlaces, cfg.Memory), flights: flights{running: map[string]chan struct{}{}},
		circuits: circuits{byKey: map[string]*circuit{}}, patience: make(patience, SlowShare)}
}

// Find searches for the certificates of an address. The error is only the context's own or that of
// the caller's stores; everything about the outside world is in the Finding.
func (f *Finder) Find(ctx context.Context, a addr.Address) (Finding, error) {
	if a.IsZero() {
		return Finding{}, errors.New("discover: no address")
	}
	limited, cancel := context.WithTimeout(ctx, f.cfg.MaxTime)
	defer cancel()
	s := search{f: f, address: a, out: Finding{Status: None, Trace: Trace{Version: 1, Address: a, Started: f.cfg.Clock().UTC()}}}
	for _, p := range f.places {
		done, err := s.visit(limited, p)
		if ctx.Err() != nil {
			return Finding{}, fmt.Errorf("discover: %w", ctx.Err())
		}
		if err != nil {
			return Finding{}, fmt.Errorf("discover: %s: %w", p.location, err)
		}
		if done {
			break
		}
	}
	return s.finish(), nil
}

// search is one Find under way.
type search struct {
	f       *Finder
	address addr.Address
	out     Finding
	skipped bool          // a faulty place was passed by: nothing found later means Unknown, not None
	retry   time.Duration // when the soonest of the faulty places may be asked again
}

// visit asks one place; done ends the search.
func (s *search) visit(ctx context.Context, p place) (done bool, err error) {
	name, ok := p.name(s.address)
	if !ok {
		s.step(Step{Location: p.location, Verdict: VerdictSkipped, Rule: "CD-17",
			Answer: "the local part cannot be written as a DNS name"})
		return false, nil
	}
	rec, err := s.f.look(ctx, p, name, s.address)
	if err != nil {
		return false, err
	}
	step := Step{Location: p.location, Name: name, Asked: rec.Asked, Answer: rec.Answer, Notes: rec.Notes, Questions: rec.questions, Remembered: rec.remembered, Took: rec.took}
	switch rec.Status {
	case Found:
		step.Verdict, step.Rule = VerdictFound, "CD-41"
		s.step(step)
		s.out.Status, s.out.Certs, s.out.Location, s.out.Name, s.out.Expires = Found, rec.certs, p.location, name, rec.Expires
		return true, nil
	case None:
		step.Verdict, step.Rule = VerdictNone, "CD-22"
		s.step(step)
		if !rec.Expires.IsZero() && (s.out.Expires.IsZero() || rec.Expires.Before(s.out.Expires)) {
			s.out.Expires = rec.Expires
		}
		return false, nil
	}
	s.skipped = true
	if rec.Silent {
		s.out.Trace.WhoActs = WhoHere
	}
	if wait := rec.Retry.Sub(s.f.cfg.Clock()); s.retry == 0 || wait < s.retry {
		s.retry = max(wait, time.Second)
	}
	if s.f.givenUp(rec) {
		step.Verdict, step.Rule = VerdictPassed, "CD-22"
		step.Remedy = fmt.Sprintf("no answer since %s, tries so far: %d; the next place is asked", rec.Since.UTC().Format(time.RFC3339), rec.Faults)
		s.step(step)
		return false, nil
	}
	step.Verdict, step.Rule = VerdictWait, "CD-22"
	step.Remedy = "the message waits and is tried again; nothing needs to be done yet"
	s.step(step)
	return true, nil
}

func (s *search) step(step Step) {
	step.explain()
	s.out.Trace.Steps = append(s.out.Trace.Steps, step)
}

func (s *search) finish() Finding {
	if s.out.Status == None && s.skipped {
		s.out.Status, s.out.Expires, s.out.Retry = Unknown, time.Time{}, s.retry
	}
	t := &s.out.Trace
	t.Status, t.Location, t.Name = s.out.Status, s.out.Location, s.out.Name
	for _, c := range s.out.Certs {
		t.Certificates = append(t.Certificates, describe(c))
	}
	t.conclude()
	return s.out
}

// givenUp says that a faulty place has been asked often or long enough to go on without it.
func (f *Finder) givenUp(r record) bool {
	return r.Faults >= f.cfg.FaultTries || f.cfg.Clock().Sub(r.Since) >= f.cfg.FaultWait
}
