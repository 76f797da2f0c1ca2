package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postern/certs"
	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/hsm"
	"postern/certs/ldapcert"
	"postern/gateway/agent"
	"postern/gateway/auth"
	"postern/gateway/config"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
	"postern/gateway/keyring"
	"postern/gateway/pipeline"
	"postern/gateway/spool"
	"postern/gateway/spool/disk"
	"postern/gateway/spool/keys"
	"postern/gateway/store"
	"postern/gateway/store/vfs"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
	"postern/trust"
	"postern/trust/fetch"
	"postern/trust/revoke"
)

// ErrLocked means that another process has the site open.
var ErrLocked = errors.New("gateway: another process has this site open")

// Site is a site's database, bytes, keys and engines, opened by one process. It does nothing by itself:
// a Gateway runs it, and commands change it.
type Site struct {
	Config   config.Config
	Store    *store.Store
	Spool    *spool.Store
	Keys     *keys.Ring
	Ring     *keyring.Ring
	DNS      *dnsclient.Client
	Finder   *discover.Finder
	Trust    *trust.Evaluator
	Agent    *agent.Agent
	Pipeline *pipeline.Pipeline
	Org      string
	Log      *slog.Logger

	now     func() time.Time
	out     *relay.Client
	revoked *revoke.Checker
	lock    *os.File
	device  *hsm.Device   // nil: no private keys outside the database
	running Running       // set once a Gateway has this site's sockets
	changed chan struct{} // something that is published changed
	mode    mode          // what an operator asked of the queue
	waiting atomic.Int64  // jobs that waited when they were last counted
	keeping sync.Mutex    // held by what must not meet the sweep, and by the sweep

	signIns *auth.Service  // of trust administrators at the command line
	codes   *auth.Throttle // of their one-time codes

	web        fetch.Fetcher // what an administrator named is fetched with it
	refreshing sync.Mutex    // one look at a bundle at a time
	chance     struct {      // for waits that must not be the same everywhere
		sync.Mutex
		*rand.Rand
	}
	tended tending // what the gateway does for trust by itself, and when next

	keyNumber string // of the master key, for people
	lost      int    // blobs without their bytes when the spool was recovered
}

// Options are what a caller may set besides the configuration.
type Options struct {
	Log         *slog.Logger
	Now         func() time.Time
	Credentials string                     // $CREDENTIALS_DIRECTORY
	Disk        disk.FS                    // where the spool is, instead of its folder: for tests
	Fault       func(committed bool) error // makes database transactions fail (store.Config): for tests
	Files       vfs.Hook                   // sees what is done to the database's files, and may make it fail: for tests
}

// Open opens a site made by Init. It takes the site's lock, checks that the master key is the one this
// site was made with, and recovers the spool from a crash.
func Open(ctx context.Context, c config.Config, o Options) (s *Site, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s = &Site{Config: c, Log: o.Log, now: o.Now, changed: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	if s.lock, err = lockSite(c.Data); err != nil {
		return s, err
	}
	if s.Store, err = store.Open(store.Config{Path: c.Database(), Now: o.Now, Fault: o.Fault, Disk: o.Files}); err != nil {
		return s, err
	}
	s.signIns, s.codes = auth.NewService(auth.Config{Accounts: people{s.Store}, Clock: o.Now}), auth.NewThrottle(o.Now)
	if err = s.openKeys(ctx, o); err != nil {
		return s, err
	}
	if err = s.openDevice(o); err != nil {
		return s, err
	}
	if err = s.openSpool(ctx, o); err != nil {
		return s, err
	}
	if err = s.loadMode(ctx); err != nil {
		return s, err
	}
	return s, s.assemble()
}

// lockSite takes the data directory for this process.
func lockSite(data string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: %s", ErrLocked, data)
	}
	return f, nil
}

func (s *Site) openKeys(ctx context.Context, o Options) error {
	master, err := keys.Source{File: s.Config.MasterKey, Credentials: o.Credentials, Data: s.Config.Data}.Read()
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", s.Config.Where("master_key"), err)
	}
	check, err := s.Store.Meta(ctx, metaKeyCheck)
	if err != nil {
		return err
	}
	if err := master.Matches(check); err != nil {
		return err
	}
	s.Keys, s.keyNumber = keys.NewRing(master), master.Number()
	orgs, err := s.Store.Orgs(ctx)
	if err != nil {
		return err
	}
	for _, org := range orgs {
		if err := s.Keys.AddOrg(org.ID, org.WrappedKey); err != nil {
			return err
		}
	}
	if len(orgs) == 0 {
		return errors.New("gateway: the database has no organisation; run `postern init`")
	}
	s.Org = orgs[0].ID
	return nil
}

func (s *Site) openSpool(ctx context.Context, o Options) error {
	var err error
	if s.Spool, err = spool.Open(spool.Config{Dir: s.Config.Spool(), FS: o.Disk, Keys: s.Keys, Site: s.Org, Now: o.Now}); err != nil {
		return err
	}
	rep, err := s.Spool.Recover(ctx, s.Store.BlobRows(ctx))
	if err != nil {
		return fmt.Errorf("gateway: recover the spool: %w", err)
	}
	if s.lost = rep.Lost + rep.Damaged; s.lost > 0 {
		s.Log.Error("bytes of stored messages are lost or damaged; restore them from a backup", "lost", rep.LostIDs, "damaged", rep.BadIDs)
	}
	s.Log.Debug("spool recovered", "live", rep.Live, "removed", rep.Removed, "torn", rep.Torn)
	return nil
}

// wholeBudget is the memory, in octets, that messages which must be opened whole (AuthEnvelopedData) may take
// together: two of the largest.
const wholeBudget = 2 * cms.MaxWhole

// assemble makes the engines. It is the only code that knows both an interface and its implementation.
func (s *Site) assemble() error {
	c := s.Config
	private, err := c.Private()
	if err != nil {
		return err
	}
	guard := &fetch.Guard{Allow: private}
	forward := map[addr.Domain]string{}
	for name, p := range c.Peer {
		if d, err := addr.ParseDomain(name); err == nil && p.DNS != "" {
			forward[d] = p.DNS
		}
	}
	servers := c.Resolver.Servers
	if len(servers) == 0 {
		if servers, err = dnsclient.SystemServers("/etc/resolv.conf"); err != nil {
			return err
		}
	}
	dialer := &net.Dialer{Control: guard.Control}
	s.DNS = dnsclient.New(dnsclient.Config{Servers: servers, Forward: forward, Timeout: c.Resolver.Timeout.D(), Clock: s.now, Authority: dialer.DialContext})
	web := fetch.New(fetch.Config{Guard: guard, Lookup: lookup(s.DNS)})
	s.web = web
	s.chance.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	var certificates dnscert.Fetcher
	trustConfig := trust.Config{Anchors: s.Store, Settings: s.Store, Policies: s.Store, Clock: s.now}
	lists, err := revoke.OpenDir(filepath.Join(c.Data, "crl"))
	if err != nil {
		return err
	}
	revoked := revoke.Config{Store: lists, Answers: s.Store, Clock: s.now}
	if c.Trust.Fetch {
		certificates, trustConfig.Fetcher, revoked.Fetcher = certFetcher{web}, web, web
	}
	s.revoked = revoke.New(revoked)
	trustConfig.Revocation = s.revoked
	s.Ring = keyring.New(credentials{s.Store}, s.Keys, s.now).With(s.keyDevice())
	s.Finder = discover.New(discover.Config{Local: local{s}, Static: static{s.Store}, DNS: dnscert.New(s.DNS, certificates),
		LDAP: ldapcert.New(ldapcert.Config{Resolver: s.DNS, Dial: dialer.DialContext}), Memory: s.Store, Clock: s.now, Log: s.Log})
	s.Trust = trust.New(trustConfig)
	s.Agent = &agent.Agent{Limits: smime.Limits{Budget: cms.NewBudget(wholeBudget)}, Finder: s.Finder, Judge: s.Trust, Keys: s.Ring, Policies: policies{s.Store}, Peers: s.Store, Now: s.now,
		Scratch: func() (smime.Scratch, error) { return s.Spool.Scratch() }}
	s.out, err = relay.New(relay.Config{Resolver: s.DNS, Guard: guard, Hello: c.Hostname, Self: listening(c), Log: s.Log, Clock: s.now,
		Limits: relay.Limits{Connect: c.Relay.Timeout.D()}})
	if err != nil {
		return err
	}
	s.Pipeline = pipeline.New(pipeline.Config{Scan: c.Scan.Incoming(), Store: s.Store, Spool: s.Spool, Agent: s.Agent, Sender: s.out, Router: router{c}, Secrets: s.Keys,
		Clocks:   pipeline.Clocks{T1: c.Notify.T1.D(), T2: c.Notify.T2.D(), Inside: c.Notify.Inside.D()},
		Hostname: c.Hostname, Log: s.Log, Now: s.now, Final: c.Notify.FinalDelivery, Workers: map[queue.Class]int{},
		Paused: func() bool { return s.mode.get().Paused }})
	return nil
}

// listening is where our own SMTP servers listen: the relay never connects there.
func listening(c config.Config) []netip.AddrPort {
	var out []netip.AddrPort
	for _, at := range c.SMTP.Listen {
		host, port, err := net.SplitHostPort(at)
		n, perr := net.LookupPort("tcp", port)
		if err != nil || perr != nil {
			continue // config has checked the form; a name for a port that is unknown fails when it is bound
		}
		ip := netip.IPv6Unspecified()
		if host != "" {
			if ip, err = netip.ParseAddr(host); err != nil {
				continue
			}
		}
		out = append(out, netip.AddrPortFrom(ip, uint16(n)))
	}
	return out
}

// Close gives the site up. It is safe on a site that was opened in part.
func (s *Site) Close() error {
	var errs []error
	if s.out != nil {
		s.out.Close()
	}
	if s.Spool != nil {
		errs = append(errs, s.Spool.Close())
	}
	if s.Store != nil {
		errs = append(errs, s.Store.Close())
	}
	if s.device != nil {
		errs = append(errs, s.device.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Now is the site's clock.
func (s *Site) Now() time.Time { return s.now() }

// Running is what a running gateway says of itself.
type Running struct {
	Since     time.Time           `json:"since"`
	Process   int                 `json:"process"`
	Addresses map[string][]string `json:"addresses"` // by the setting's name
	Queue     int                 `json:"queue"`     // jobs waiting or under way, up to 1,000
	Parked    int                 `json:"parked"`    // of them, kept out of work until a person acts
	Held      int                 `json:"held"`      // inbound messages refused and kept, up to 1,000
	Mode      Mode                `json:"mode"`      // what an operator asked of the queue as a whole
}

// published says that what our DNS serves may have changed.
func (s *Site) published() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// lookup resolves the hosts of URLs through the site's own resolver, as everything else is.
func lookup(dns *dnsclient.Client) func(ctx context.Context, host string) ([]netip.Addr, error) {
	return func(ctx context.Context, host string) ([]netip.Addr, error) {
		ips, err := dns.Addrs(ctx, host)
		if errors.Is(err, dnsclient.ErrNotFound) {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return ips, err
	}
}

// certFetcher lets discovery fetch a certificate by URL, under the guard.
type certFetcher struct{ web *fetch.Client }

func (f certFetcher) Fetch(ctx context.Context, url string, max int64) ([]byte, error) {
	return f.web.Get(ctx, fetch.Request{URL: url, MaxBytes: max})
}

// credentials gives the keyring what is stored.
type credentials struct{ db *store.Store }

func (c credentials) StoredCredentials(ctx context.Context, d addr.Domain) ([]keyring.Stored, error) {
	rows, err := c.db.Credentials(ctx, d)
	if err != nil {
		return nil, err
	}
	out := make([]keyring.Stored, 0, len(rows))
	for _, r := range rows {
		judged, err := c.judge(ctx, r)
		if err != nil {
			return nil, err
		}
		out = append(out, judged)
	}
	return out, nil
}

// judge is a certificate of ours, whether or not it is stored yet, with what the domain's own policies say of it.
func (c credentials) judge(ctx context.Context, r store.Credential) (keyring.Stored, error) {
	cert, err := x509.ParseCertificate(r.Certificate)
	if err != nil {
		return keyring.Stored{}, fmt.Errorf("gateway: stored certificate %s: %w", r.ID, err)
	}
	s := keyring.Stored{Credential: certs.Credential{ID: r.ID, Cert: cert}, SealedKey: r.SealedKey, Org: r.Org,
		CanSign: r.CanSign, CanDecrypt: r.CanDecrypt, Retired: !r.Retired.IsZero(), SignsFrom: r.SignsFrom, DecryptsUntil: r.DecryptsUntil}
	for _, der := range r.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return s, fmt.Errorf("gateway: chain of stored certificate %s: %w", r.ID, err)
		}
		s.Credential.Chain = append(s.Credential.Chain, c)
	}
	return s, c.ownPolicies(ctx, r.Domain, &s)
}

// ownPolicies asks the domain's policies about its own certificates: which may sign, and which may open mail and
// so be published.
func (c credentials) ownPolicies(ctx context.Context, d addr.Domain, s *keyring.Stored) error {
	chain := append([]*x509.Certificate{s.Credential.Cert}, s.Credential.Chain...)
	for _, dir := range []trust.Direction{trust.Outgoing, trust.Incoming} {
		set, err := c.db.OwnPolicies(ctx, d, dir)
		if err != nil {
			return err
		}
		for _, p := range set.Policies {
			v := p.Judge(chain)
			refused := &keyring.Refused{ID: s.Credential.ID, Policy: p.Name, Rule: v.Rule, Detail: v.Detail}
			switch {
			case v.Pass:
			case dir == trust.Outgoing:
				s.Unsigning = refused
			default:
				s.CanDecrypt, s.Unpublished = false, refused
			}
		}
	}
	return nil
}

// local finds certificates of our own addresses without asking the network (AS-112).
type local struct{ s *Site }

func (l local) Certificates(ctx context.Context, a addr.Address) ([]*x509.Certificate, error) {
	mb, err := l.s.Store.Resolve(ctx, a)
	if err != nil || !mb.Ours {
		return nil, err
	}
	return l.s.Ring.Published(ctx, a)
}

// static finds pinned certificates of others, by address and then by domain.
type static struct{ db *store.Store }

func (s static) Certificates(ctx context.Context, a addr.Address) ([]*x509.Certificate, error) {
	for _, name := range []string{a.WithoutTag().Key(), a.Domain().String()} {
		ders, err := s.db.Static(ctx, name)
		if err != nil {
			return nil, err
		}
		var out []*x509.Certificate
		for _, der := range ders {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("gateway: pinned certificate of %s: %w", name, err)
			}
			out = append(out, c)
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, nil
}

// policies gives the agent what a domain's settings say.
type policies struct{ db *store.Store }

func (p policies) Policy(ctx context.Context, d addr.Domain) (agent.Policy, error) {
	row, err := p.db.Domain(ctx, d)
	if errors.Is(err, store.ErrNotFound) {
		return agent.Policy{}, nil
	}
	out := agent.Policy{Legacy: row.Settings.Legacy, Lax: map[string]bool{}}
	for _, name := range row.Settings.Lax {
		out.Lax[name] = true
	}
	return out, err
}

// router sends mail by static peer entries, then the smart host, then MX.
type router struct{ c config.Config }

func (r router) NextHop(d addr.Domain) relay.Route {
	if p, ok := r.c.Peer[d.String()]; ok && p.SMTP != "" {
		return fixedRoute(p.SMTP)
	}
	if r.c.Relay.SmartHost != "" {
		return fixedRoute(r.c.Relay.SmartHost)
	}
	return relay.Route{Domain: d}
}

func fixedRoute(hostport string) relay.Route {
	host, port, _ := net.SplitHostPort(hostport) // checked by config
	n, _ := net.LookupPort("tcp", port)
	return relay.Route{Host: host, Port: n, Private: true}
}
