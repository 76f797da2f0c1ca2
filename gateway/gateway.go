package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"postern/gateway/auth"
	"postern/gateway/edge/control"
	"postern/gateway/edge/dnsd"
	"postern/gateway/edge/ldapd"
	"postern/gateway/edge/metrics"
	"postern/gateway/edge/smtpd"
	"postern/gateway/edge/tlsfile"
	"postern/gateway/edge/web"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Gateway is a site that runs: its listeners, its pipeline and its control socket.
type Gateway struct {
	site       *Site
	log        *slog.Logger
	postmaster addr.Address
	smtp       []served
	dns        *dnsd.Server
	dnsAt      []*dnsd.Listener
	told       publication // what the world was told last
	ldap       *ldapd.Server
	ldapAt     []net.Listener
	control    net.Listener

	metrics   *metrics.Set
	rungs     rungs
	metricsAt net.Listener // nil: not wanted
	web       *web.Server
	webAt     net.Listener // nil: not wanted
}

// served is one SMTP server with its socket.
type served struct {
	name     string
	server   *smtpd.Server
	listener net.Listener
}

// New binds every socket of the site's configuration; nothing is served before Run. An error names the
// setting whose socket could not be bound.
func New(ctx context.Context, s *Site) (g *Gateway, err error) {
	g = &Gateway{site: s, log: s.Log}
	defer func() {
		if err != nil {
			g.closeSockets()
		}
	}()
	var tlsConfig *tls.Config
	if s.Config.TLS.Certificate != "" {
		src, err := tlsfile.Open([]tlsfile.Pair{{Cert: s.Config.TLS.Certificate, Key: s.Config.TLS.Key}}, s.Log, s.now)
		if err != nil {
			return g, fmt.Errorf("gateway: %s: %w", s.Config.Where("tls", "certificate"), err)
		}
		tlsConfig = src.Config()
	}
	if err := g.bindMetrics(); err != nil {
		return g, err
	}
	if g.postmaster, err = s.postmaster(ctx); err != nil {
		return g, err
	}
	logins := auth.NewService(auth.Config{Accounts: s.Store, Clock: s.now})
	for _, l := range []struct {
		table   string
		mode    smtpd.Mode
		listens []string
	}{
		{"smtp", smtpd.Peer, s.Config.SMTP.Listen},
		{"submission", smtpd.Submission, s.Config.Submission.Listen},
		{"submission_tls", smtpd.SubmissionTLS, s.Config.SubmissionTLS.Listen},
	} {
		for _, at := range l.listens {
			if err := g.bindSMTP(l.table, at, l.mode, tlsConfig, logins); err != nil {
				return g, err
			}
		}
	}
	if len(s.Config.DNS.Listen) > 0 {
		copies, err := secondaries(s.Config)
		if err != nil {
			return g, err
		}
		g.dns = dnsd.New(dnsd.Config{Clock: s.now, Log: s.Log, Transfer: copies})
		for _, at := range s.Config.DNS.Listen {
			l, err := dnsd.Listen(ctx, at)
			if err != nil {
				return g, fmt.Errorf("gateway: %s: %w", s.Config.Where("dns", "listen"), err)
			}
			g.dnsAt = append(g.dnsAt, l)
		}
	}
	for _, at := range s.Config.LDAP.Listen {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return g, fmt.Errorf("gateway: %s: %w", s.Config.Where("ldap", "listen"), err)
		}
		g.ldap, g.ldapAt = ldapd.New(s.Log), append(g.ldapAt, l)
	}
	if err := g.bindWeb(); err != nil {
		return g, err
	}
	if g.control, err = control.Listen(s.Config.Socket()); err != nil {
		return g, err
	}
	s.running = Running{Since: s.now().UTC(), Process: os.Getpid(), Addresses: g.Addresses()} // before anybody can ask
	return g, nil
}

// postmaster is whom RCPT TO:<postmaster> without a domain reaches (RFC 5321 §4.5.1): our first domain's.
func (s *Site) postmaster(ctx context.Context) (addr.Address, error) {
	domains, err := s.Store.Domains(ctx)
	if err != nil || len(domains) == 0 {
		return addr.Address{}, err
	}
	return addr.Parse("postmaster@" + domains[0].Name.String())
}

func (g *Gateway) bindSMTP(table, at string, mode smtpd.Mode, tc *tls.Config, logins *auth.Service) error {
	s := g.site
	server, err := smtpd.New(smtpd.Config{Mode: mode, Org: s.Org, OrgOf: s.orgOf, Domain: s.Config.Hostname, TLS: tc, Directory: directory{s}, Auth: loginFace{logins},
		Spool: spoolFace{s.Spool}, Intake: s.Pipeline, Admit: s.Admit, Metrics: smtpMetrics{g.metrics}, Log: s.Log, Clock: s.now,
		Postmaster: g.postmaster, Limits: smtpd.Limits{Message: s.Config.SMTP.MaxSize,
			Connections: s.Config.SMTP.MaxClients, PerPeer: s.Config.SMTP.PerPeer, LoginRate: s.Config.SMTP.PerLogin, Command: s.Config.SMTP.Timeout.D()}})
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", s.Config.Where(table, "listen"), err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", s.Config.Where(table, "listen"), err)
	}
	g.smtp = append(g.smtp, served{table + ".listen", server, l})
	return nil
}

// Addresses is where the gateway listens, by the setting's name: ports chosen by the system included.
func (g *Gateway) Addresses() map[string][]string {
	out := map[string][]string{}
	for _, s := range g.smtp {
		out[s.name] = append(out[s.name], s.listener.Addr().String())
	}
	for _, l := range g.dnsAt {
		out["dns.listen"] = append(out["dns.listen"], l.Addr())
	}
	for _, l := range g.ldapAt {
		out["ldap.listen"] = append(out["ldap.listen"], l.Addr().String())
	}
	if g.metricsAt != nil {
		out["metrics.listen"] = []string{g.metricsAt.Addr().String()}
	}
	if g.webAt != nil {
		out["web.listen"] = []string{g.webAt.Addr().String()}
	}
	return out
}

func (g *Gateway) closeSockets() {
	for _, s := range g.smtp {
		s.listener.Close()
	}
	for _, l := range g.dnsAt {
		l.Close()
	}
	for _, l := range g.ldapAt {
		l.Close()
	}
	if g.metricsAt != nil {
		g.metricsAt.Close()
	}
	if g.webAt != nil {
		g.webAt.Close()
	}
	if g.control != nil {
		g.control.Close()
	}
}

// Grace is how long messages in transfer may take to end at shutdown.
const Grace = 20 * time.Second

// Run serves until ctx ends, then stops in the order listeners, workers; the site stays open. It returns
// early only when a socket fails.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorkers()
	var edges, inside sync.WaitGroup
	for _, s := range g.smtp {
		edges.Go(func() {
			if err := s.server.Serve(s.listener); err != nil && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				cancel(fmt.Errorf("gateway: %s: %w", s.name, err))
			}
		})
	}
	if g.dns != nil || g.ldap != nil {
		next := g.publish(ctx)
		inside.Go(func() { g.republish(workers, next) })
	}
	if g.dns != nil {
		edges.Go(func() {
			if err := g.dns.Serve(ctx, g.dnsAt...); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("gateway: dns: %w", err))
			}
		})
	}
	if g.ldap != nil {
		edges.Go(func() {
			if err := g.ldap.Serve(ctx, g.ldapAt...); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("gateway: ldap: %w", err))
			}
		})
	}
	if g.webAt != nil {
		edges.Go(func() {
			if err := g.serveWeb(ctx); err != nil {
				cancel(err)
			}
		})
	}
	inside.Go(func() { _ = g.site.Pipeline.Run(workers) })
	inside.Go(func() { g.sweep(workers) })
	inside.Go(func() { g.tend(workers) })
	inside.Go(func() { g.index(workers) })
	inside.Go(func() { g.scan(workers) })
	inside.Go(func() { g.site.watch(workers) })
	inside.Go(func() { g.follow(workers) })
	if g.metricsAt != nil {
		inside.Go(func() { // until the workers end: draining is to be seen
			if err := g.metrics.Serve(workers, g.metricsAt); err != nil && workers.Err() == nil {
				cancel(fmt.Errorf("gateway: metrics: %w", err))
			}
		})
	}
	edges.Go(func() {
		if err := control.Serve(ctx, g.control, Verbs{g.site}); err != nil && ctx.Err() == nil {
			cancel(fmt.Errorf("gateway: control socket: %w", err))
		}
	})
	g.log.Info("gateway is running", "listen", g.Addresses())
	<-ctx.Done()
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), Grace)
	defer done()
	var ending sync.WaitGroup
	for _, s := range g.smtp { // all at once: one slow peer must not use up the others' grace
		ending.Go(func() {
			if err := s.server.Shutdown(grace); err != nil {
				g.log.Warn("connections were cut at shutdown", "listener", s.name, "error", err)
			}
		})
	}
	ending.Wait()
	edges.Wait()
	stopWorkers()
	inside.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// sweepEvery is how often what nobody needs any more is let go.
const sweepEvery = 10 * time.Minute

// sweep fetches revocation lists ahead of their end, and lets go of expired held mail and of bytes no
// row needs.
func (g *Gateway) sweep(ctx context.Context) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if _, err := g.site.revoked.Refresh(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn("revocation lists not refreshed; those at hand are used until they are stale", "error", err)
		}
		if err := g.site.Sweep(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("sweep failed", "error", err)
		}
	}
}

// Sweep lets go of expired held mail and of bytes no row needs: the row goes first, so bytes are never
// named that are not there. Then it moves what is kept out of segments that are mostly free.
func (s *Site) Sweep(ctx context.Context) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	if _, err := s.Store.ExpireHeld(ctx); err != nil {
		return err
	}
	if err := s.expireItems(ctx); err != nil {
		return err
	}
	if err := s.forget(ctx); err != nil {
		return err
	}
	_, err := s.Spool.Compact(ctx, s.Store.MoveBlob)
	return err
}

// expireItems removes what inboxes have kept long enough, where a retention is set for them.
func (s *Site) expireItems(ctx context.Context) error {
	keep, err := s.Store.Retention(ctx)
	if err != nil {
		return err
	}
	for {
		n, err := s.Store.ExpireItems(ctx, keep[store.KeptInbox], store.AuditEntry{Org: s.Org, Actor: "gateway", Action: "retention.expire", Object: store.KeptInbox})
		if err != nil || n == 0 {
			return err
		}
	}
}

// forget removes the rows that nobody needs, and then their bytes.
func (s *Site) forget(ctx context.Context) error {
	for {
		blobs, err := s.Store.Unreferenced(ctx, 500)
		if err != nil || len(blobs) == 0 {
			return err
		}
		for _, b := range blobs {
			if err := s.Store.ForgetBlob(ctx, b.ID); err != nil {
				return err
			}
			if err := s.Spool.Delete(b); err != nil && !errors.Is(err, spool.ErrNotFound) {
				return err
			}
		}
	}
}
