package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/agent"
	"postern/gateway/config"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/smime/cms"
	"postern/trust"
	"postern/trust/fetch"
	"postern/trust/revoke"

	"net/netip"

	"postern/gateway/lab/internet"
)

// patience is how long the clinic may take for all letters together.
const patience = MaxTime

// clinic is a complete gateway in a folder of its own, as init makes it and serve runs it. It hosts three domains:
// one of ordinary settings, a strict one that believes nothing it cannot check, and a distant one that trusts the
// foreign authority alone. The edge stands for every other gateway: it takes the notices.
type clinic struct {
	*pki
	dir     string
	site    *gateway.Site
	edge    *lab.Edge
	at      string // host:port of its SMTP
	stop    func() error
	readers map[addr.Domain][]cms.Recipient
}

var (
	clinicDomain  = addr.MustDomain("clinic.selftest.example")
	strictDomain  = addr.MustDomain("strict.selftest.example")
	distantDomain = addr.MustDomain("distant.selftest.example")
)

func intake(d addr.Domain) addr.Address { return addr.MustParse("intake@" + d.String()) }

// initClinic makes the folder. A test makes it once and copies it.
func initClinic(ctx context.Context, dir string, now time.Time) error {
	const free = "127.0.0.1:0"
	_, err := gateway.Init(ctx, gateway.InitOptions{Dir: dir, Domain: clinicDomain, Hostname: "mail." + clinicDomain.String(), Now: now.Add(-time.Hour),
		SMTP: free, Submission: free, SubmissionTLS: free, DNS: free})
	return err
}

// openClinic starts the gateway. The error is a fault of this machine.
func (post *post) openClinic(ctx context.Context, w without) (c *clinic, err error) {
	p := post.pki
	c = &clinic{pki: p, readers: map[addr.Domain][]cms.Recipient{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.dir, err = os.MkdirTemp("", "postern-selftest-"); err != nil {
		return c, err
	}
	home := filepath.Join(c.dir, "clinic")
	if w.clinic != "" {
		err = errors.Join(os.CopyFS(home, os.DirFS(w.clinic)), os.Chmod(filepath.Join(home, "master.key"), 0o600), os.Chmod(filepath.Join(home, "data"), 0o700))
	} else {
		err = initClinic(ctx, home, p.now)
	}
	if err != nil {
		return c, err
	}
	if c.edge, err = lab.StartEdge(); err != nil {
		return c, err
	}
	file := filepath.Join(home, "postern.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	text = fmt.Appendf(text, "\n[resolver]\nservers = [%q]\n\n[relay]\nsmart_host = %q\nallow_private = [\"127.0.0.0/8\"]\n", p.net.Resolver(), c.edge.At)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return c, err
	}
	cfg, err := config.Load(file)
	if err != nil {
		return c, err
	}
	if c.site, err = gateway.Open(ctx, cfg, gateway.Options{}); err != nil {
		return c, err
	}
	if err := c.people(ctx); err != nil {
		return c, err
	}
	c.spoil(w, post)
	return c, c.run(ctx)
}

// people adds the domains with their settings, addresses and certificates.
func (c *clinic) people(ctx context.Context) error {
	admin := c.site.As("selftest")
	for _, d := range []addr.Domain{clinicDomain, strictDomain, distantDomain} {
		if d != clinicDomain {
			if err := admin.DomainAdd(ctx, gateway.DomainAdd{Domain: d}); err != nil {
				return err
			}
			if _, err := admin.CertCreate(ctx, gateway.CertCreate{Domain: d, Algorithm: issue.P256}); err != nil {
				return err
			}
		}
		if err := admin.AddressAdd(ctx, []gateway.AddressAdd{{Address: intake(d)}}); err != nil {
			return err
		}
		own, err := c.site.Ring.Published(ctx, intake(d))
		if err != nil || len(own) == 0 {
			return errors.Join(err, fmt.Errorf("%s has no certificate", d))
		}
		c.readers[d] = []cms.Recipient{{Cert: own[0]}}
	}
	strict, err := c.site.Store.Domain(ctx, strictDomain)
	if err != nil {
		return err
	}
	strict.Settings.HardFail = true
	return c.site.Store.SetDomain(ctx, strict, store.AuditEntry{Org: c.site.Org, Actor: "selftest", Action: "domain.set", Object: strictDomain.String()})
}

// trusts makes an authority an anchor of a domain.
func (c *clinic) trusts(ctx context.Context, d addr.Domain, a *issue.Authority, incoming, outgoing bool) (string, error) {
	added, err := c.site.As("selftest").AnchorAdd(ctx, gateway.AnchorAdd{Domain: d, Certificates: [][]byte{a.Cert.Raw}, Incoming: incoming, Outgoing: outgoing, Source: "selftest"})
	if err != nil {
		return "", err
	}
	return added[0].Fingerprint, nil
}

func (c *clinic) run(ctx context.Context) error {
	g, err := gateway.New(ctx, c.site)
	if err != nil {
		return err
	}
	c.at = g.Addresses()["smtp.listen"][0]
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // ended by close alone
	done := make(chan error, 1)
	go func() { done <- g.Run(running) }()
	c.stop = func() error {
		stop()
		return <-done
	}
	return nil
}

// close stops everything and removes the folder.
func (c *clinic) close() error {
	var errs []error
	if c.stop != nil {
		errs = append(errs, c.stop())
	}
	if c.site != nil {
		errs = append(errs, c.site.Close())
	}
	if c.edge != nil {
		errs = append(errs, c.edge.Close())
	}
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// take hands a letter over by SMTP; a refusal at this point is not foreseen in any scenario.
func (c *clinic) take(ctx context.Context, l letter) error {
	for _, r := range l.recipients() {
		if l.readers == nil {
			l.readers = c.readers[r.Domain()]
		} else if !sealedFor(l.readers, c.readers[r.Domain()]) && !l.stray {
			l.readers = append(l.readers[:len(l.readers):len(l.readers)], c.readers[r.Domain()]...)
		}
	}
	data, err := l.seal(c.now)
	if err != nil {
		return err
	}
	to := make([]string, len(l.recipients()))
	for i, r := range l.recipients() {
		to[i] = r.String()
	}
	return lab.Deliver(ctx, c.at, l.mailFrom(), data, to...)
}

func sealedFor(list, who []cms.Recipient) bool {
	for _, r := range list {
		if r.Cert.Equal(who[0].Cert) {
			return true
		}
	}
	return false
}

// rest waits until the gateway has nothing to do now: what is left are clocks, and what is tried again later.
func (c *clinic) rest(ctx context.Context, messages int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the gateway is not done after %v", patience))
	defer cancel()
	for {
		changed := c.site.Store.Changed()
		got, err := c.site.Store.Messages(ctx, store.Query{Direction: store.In, Limit: 1000})
		if err != nil {
			return err
		}
		busy, err := c.busy(ctx)
		if err != nil || !busy && len(got) >= messages {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *clinic) busy(ctx context.Context) (bool, error) {
	jobs, err := c.site.Store.Jobs(ctx, "")
	if err != nil {
		return false, err
	}
	for _, j := range jobs {
		if !j.Parked && j.Kind != queue.Timer && (j.Claimed || !j.Due.After(c.site.Now())) {
			return true, nil
		}
	}
	return false, nil
}

// fate is what became of one letter for one recipient.
type fate struct {
	word     string // delivered, held: reason, waits: reason, nothing yet
	cert     string // fingerprint of the signer that was judged
	evidence []string
}

// fates reads the events of all letters, by envelope sender and recipient.
func (c *clinic) fates(ctx context.Context) (map[string]fate, error) {
	list, err := c.site.Store.Messages(ctx, store.Query{Direction: store.In, Limit: 1000})
	if err != nil {
		return nil, err
	}
	out := map[string]fate{}
	for _, m := range list {
		events, err := c.site.Store.Events(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			key := m.Submission.From.String() + " " + e.Recipient.String()
			if f, ok := fateOf(e); ok {
				out[key] = f
			}
		}
	}
	return out, nil
}

// fateOf reads one event, if it says what became of the letter.
func fateOf(e track.Event) (fate, bool) {
	var says struct {
		Reason, Detail, Certificate string
		Decision                    trust.Trace
	}
	switch e.Kind {
	case track.Trusted, track.Held, track.Deferred:
	default:
		return fate{}, false
	}
	if err := json.Unmarshal(e.Evidence, &says); err != nil {
		return fate{word: "unreadable evidence: " + err.Error()}, true
	}
	f := fate{cert: says.Certificate, word: map[track.Kind]string{track.Trusted: "delivered", track.Held: "held: " + says.Reason, track.Deferred: "waits: " + says.Reason}[e.Kind]}
	if says.Decision.SoftFailed {
		f.word += ", revocation unchecked"
	}
	for _, s := range says.Decision.Steps {
		f.evidence = append(f.evidence, fmt.Sprintf("%s: %s (%s, %s)", s.Asked, s.Answer, s.Rule, s.Verdict))
	}
	for _, r := range says.Decision.Revocation {
		f.evidence = append(f.evidence, fmt.Sprintf("%s of %s: %s is %s", r.Kind, r.ThisUpdate.Format(time.RFC3339), r.Subject, r.State))
	}
	if says.Detail != "" {
		f.evidence = append(f.evidence, says.Detail)
	}
	return f, true
}

// notices counts what the edge got, by whom it is for.
func (c *clinic) notices() map[string]int {
	out := map[string]int{}
	got, _ := c.edge.Got()
	for _, t := range got {
		for _, to := range t.To {
			out[to]++
		}
	}
	return out
}

// spoil switches off what the running gateway would check.
func (c *clinic) spoil(w without, post *post) {
	s := c.site
	if w.envelope {
		s.Agent.Policies = lax{}
	}
	if w.judge(s.Trust) == agent.Judge(s.Trust) && !w.assembly() {
		return
	}
	guard := &fetch.Guard{Allow: []netip.Prefix{internet.Loopback}}
	web := fetch.New(fetch.Config{Guard: guard})
	cfg := trust.Config{Anchors: w.anchorsOf(s.Store, post.foreign.Cert, post.twin), Settings: w.settingsOf(s.Store)}
	if !w.aia {
		cfg.Fetcher = web
	}
	if !w.revocation {
		cfg.Revocation = w.revocationOf(revoke.New(revoke.Config{Fetcher: web}), post.foreign.Cert)
	}
	s.Agent.Judge = w.judge(trust.New(cfg))
}
