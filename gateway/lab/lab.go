package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/delivery/queue"
	"postern/gateway/lab/port"
	"postern/gateway/store"
	"postern/smime/addr"
)

// MaxSites bounds a lab.
const MaxSites = 16

// Options say what a lab is made of.
type Options struct {
	Dir     string       // an empty folder of the caller's, who removes it
	Domains []string     // one site each
	Log     *slog.Logger // nil: none
	Extra   string       // lines put into every site's configuration
	// Answer is how long the sites wait for a name server, 0 = 10 s. It is to be short only where one is silent: on a
	// machine that has much else to do, a good one takes long too.
	Answer time.Duration
	// Like is a lab of the same domains that was never started: its sites are copied, with their keys and
	// certificates, instead of made. It saves making keys.
	Like *Lab
}

// Lab is its sites, their clock and the DNS of everybody else.
type Lab struct {
	Clock *Clock
	DNS   *DNS
	Sites []*Site

	answer time.Duration
}

// New makes the sites and starts none. Each site knows where the others' DNS and SMTP are; none trusts
// another yet.
func New(ctx context.Context, o Options) (l *Lab, err error) {
	if len(o.Domains) == 0 || len(o.Domains) > MaxSites {
		return nil, fmt.Errorf("lab: %d sites, must be 1 to %d", len(o.Domains), MaxSites)
	}
	l = &Lab{Clock: &Clock{}, answer: cmp.Or(o.Answer, 10*time.Second)}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
			l = nil
		}
	}()
	resolver, err := freePort()
	if err != nil {
		return l, err
	}
	if l.DNS, err = startDNS(resolver); err != nil {
		return l, err
	}
	for i, name := range o.Domains {
		s, err := newSite(l, name, filepath.Join(o.Dir, fmt.Sprintf("site%d", i+1)))
		if err != nil {
			return l, err
		}
		s.log = o.Log
		if o.Like != nil {
			err = s.copyOf(o.Like.Sites[i])
		} else {
			err = s.init(ctx)
		}
		if err != nil {
			return l, err
		}
		l.Sites = append(l.Sites, s)
	}
	for _, s := range l.Sites {
		if err := s.configure(resolver, o.Extra); err != nil {
			return l, err
		}
	}
	return l, nil
}

// Start opens and runs every site.
func (l *Lab) Start(ctx context.Context) error {
	for _, s := range l.Sites {
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close stops every site and the DNS.
func (l *Lab) Close() error {
	var errs []error
	for _, s := range l.Sites {
		errs = append(errs, s.Stop())
	}
	if l.DNS != nil {
		l.DNS.close()
	}
	return errors.Join(errs...)
}

// Introduce makes every site trust every other's pilot authority in both directions.
func (l *Lab) Introduce(ctx context.Context) error {
	for _, a := range l.Sites {
		for _, b := range l.Sites {
			if a == b {
				continue
			}
			if err := a.Trust(ctx, b.Anchor); err != nil {
				return err
			}
		}
	}
	return nil
}

// Advance moves the clock and has every running site look at it.
func (l *Lab) Advance(ctx context.Context, d time.Duration) error {
	l.Clock.move(d)
	for _, s := range l.Sites {
		if s.Site == nil {
			continue
		}
		if _, err := s.Store.Commit(ctx, queue.Lease{}, store.Step{}); err != nil { // wakes the workers
			return err
		}
	}
	return nil
}

// Quiet waits until no site has work to do now: what is left in the queues is clocks, retries to come and
// parked jobs. It is for telling that something does not happen.
func (l *Lab) Quiet(ctx context.Context) error {
	for {
		var changed []<-chan struct{}
		for _, s := range l.Sites {
			if s.Site != nil {
				changed = append(changed, s.Store.Changed())
			}
		}
		busy, err := l.busy(ctx)
		if err != nil {
			return err
		}
		for _, c := range changed { // a commit between the two looks makes them worthless
			select {
			case <-c:
				busy = true
			default:
			}
		}
		if !busy {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lab: the gateways do not come to rest: %w", context.Cause(ctx))
		case <-changed[0]:
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (l *Lab) busy(ctx context.Context) (bool, error) {
	for _, s := range l.Sites {
		if s.Site == nil {
			continue
		}
		jobs, err := s.Store.Jobs(ctx, "")
		if err != nil {
			return false, err
		}
		for _, j := range jobs {
			if !j.Parked && (j.Claimed || !j.Due.After(l.Clock.Now())) {
				return true, nil
			}
		}
	}
	return false, nil
}

// newSite chooses a site's place and ports, which nothing listens on yet.
func newSite(l *Lab, name, dir string) (*Site, error) {
	d, err := addr.ParseDomain(name)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	s := &Site{Name: name, Domain: d, Dir: dir, File: filepath.Join(dir, "postern.toml"), lab: l}
	for _, at := range s.ports() {
		if *at, err = freePort(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func freePort() (string, error) {
	n, err := port.Free()
	return port.At(n), err
}

func (s *Site) ports() []*string { return []*string{&s.SMTP, &s.Submission, &s.SubmissionTLS, &s.DNS} }

// init makes the site as `postern init` does.
func (s *Site) init(ctx context.Context) error {
	made, err := gateway.Init(ctx, gateway.InitOptions{Dir: s.Dir, Domain: s.Domain, Hostname: "mail." + s.Name, Now: s.lab.Clock.Now(),
		SMTP: s.SMTP, Submission: s.Submission, SubmissionTLS: s.SubmissionTLS, DNS: s.DNS})
	if err != nil {
		return err
	}
	s.text, err = os.ReadFile(made.Config)
	if err == nil {
		s.Anchor, err = os.ReadFile(made.Anchor)
	}
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// copyOf makes the site a copy of another that was never started, with ports of its own.
func (s *Site) copyOf(o *Site) error {
	if err := os.CopyFS(s.Dir, os.DirFS(o.Dir)); err != nil {
		return fmt.Errorf("lab: copy: %w", err)
	}
	for name, mode := range map[string]os.FileMode{"master.key": 0o600, "data": 0o700} { // CopyFS opens rights to the umask
		if err := os.Chmod(filepath.Join(s.Dir, name), mode); err != nil {
			return fmt.Errorf("lab: copy: %w", err)
		}
	}
	var change []string // all at once: a port of ours may be another of theirs
	mine := s.ports()
	for i, at := range o.ports() {
		change = append(change, *at, *mine[i])
	}
	s.text, s.Anchor = []byte(strings.NewReplacer(change...).Replace(string(o.text))), o.Anchor
	return nil
}

// configure writes what a site knows of the lab into its configuration file.
func (s *Site) configure(resolver, extra string) error {
	var b bytes.Buffer
	b.Write(s.text)
	fmt.Fprintf(&b, "\n[resolver]\nservers = [%q]\ntimeout = %q\n\n[relay]\nallow_private = [\"127.0.0.0/8\"]\n\n[trust]\nfetch = false\n", resolver, s.lab.answer)
	for _, o := range s.lab.Sites {
		if o != s {
			fmt.Fprintf(&b, "\n[peer.%q]\ndns  = %q\nsmtp = %q\n", o.Name, o.DNS, o.SMTP)
		}
	}
	b.WriteString(extra)
	if err := os.WriteFile(s.File, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}
