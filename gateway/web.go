package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/tlsfile"
	"postern/gateway/edge/web"
	"postern/gateway/edge/web/door"
	"postern/gateway/store"
	"postern/smime/addr"
)

// bindWeb makes the server of the clinic's pages and its socket, where one is wanted.
func (g *Gateway) bindWeb() (err error) {
	s, c := g.site, g.site.Config.Web
	if c.Listen == "" {
		return nil
	}
	if g.webAt, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("gateway: %s: %w", s.Config.Where("web", "listen"), err)
	}
	wc := web.Config{URL: s.publicURL(g.webAt.Addr()), Visitors: visitors{s.Store}, Objects: objects{s.Store}, Absent: []error{store.ErrNotFound}, Log: s.Log, Clock: s.now}
	if wc.Proxies, err = c.Networks(); err != nil {
		return err
	}
	if len(wc.Proxies) == 0 {
		src, err := tlsfile.Open([]tlsfile.Pair{{Cert: c.Certificate, Key: c.Key}}, s.Log, s.now)
		if err != nil {
			return fmt.Errorf("gateway: %s: %w", s.Config.Where("web", "certificate"), err)
		}
		wc.TLS = webTLS(src.Config())
	}
	if wc.Routes, err = s.Pages(wc.URL); err != nil {
		return err
	}
	if g.web, err = web.New(wc); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
}

// webTLS is the TLS of the pages: browsers are younger than mail servers.
func webTLS(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.MinVersion = tls.VersionTLS12
	c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
	return c
}

// publicURL is where people reach the pages: as configured, else our host name with the port we listen on.
func (s *Site) publicURL(at net.Addr) string {
	c := s.Config.Web
	if c.PublicURL != "" {
		return strings.TrimRight(c.PublicURL, "/")
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if t, ok := at.(*net.TCPAddr); ok {
		port, err = fmt.Sprint(t.Port), nil
	}
	if err != nil || port == "443" {
		return "https://" + s.Config.Hostname
	}
	return "https://" + net.JoinHostPort(s.Config.Hostname, port)
}

// Pages is every route of the site: each package of pages with what it works with.
func (s *Site) Pages(public string) ([]web.Route, error) {
	u, err := url.Parse(public)
	if err != nil {
		return nil, fmt.Errorf("gateway: public URL: %w", err)
	}
	logins := auth.NewService(auth.Config{Accounts: people{s.Store}, Clock: s.now})
	routes := door.Routes(door.Services{Store: s.Store, Passwords: logins, Hash: func(p string) (string, error) { return auth.Hash(p, nil) },
		Secrets: s.Keys, Pools: s.poolNames, Host: u.Hostname(), Origin: public, Log: s.Log, Clock: s.now})
	return append(append(routes, s.clinicPages()...), s.deskPages()...), nil
}

// poolNames is the pools of an organisation for the administration of its people.
func (s *Site) poolNames(ctx context.Context, org string) ([]door.Pool, error) {
	pools, err := s.Store.Pools(ctx, org)
	var out []door.Pool
	for _, p := range pools {
		if p.Retired.IsZero() {
			out = append(out, door.Pool{ID: p.ID, Name: p.Name, Owner: p.Owner})
		}
	}
	return out, err
}

// people are the persons as the login service wants them; a login is "org/login".
type people struct{ db *store.Store }

func (p people) Record(ctx context.Context, login string) (string, string, error) {
	org, name, _ := strings.Cut(login, "/")
	return p.db.PersonRecord(ctx, org, name)
}

// visitors gives the frame of the pages what is stored of a session.
type visitors struct{ db *store.Store }

func (v visitors) Visit(ctx context.Context, hash string) (web.Visit, error) {
	session, err := v.db.Session(ctx, hash)
	if err != nil {
		return web.Visit{}, err
	}
	id := staff.PersonID(session.Person)
	out := web.Visit{Session: session}
	if out.Person, err = v.db.Person(ctx, session.Org, id); err != nil {
		return web.Visit{}, err
	}
	org, err := v.db.Org(ctx, session.Org)
	if err != nil {
		return web.Visit{}, err
	}
	out.OrgName = org.Name
	if out.Memberships, err = v.db.Memberships(ctx, session.Org, id); err != nil {
		return web.Visit{}, err
	}
	if out.Emergency, err = v.db.Emergencies(ctx, session.Org, id); err != nil {
		return web.Visit{}, err
	}
	out.Alerts, err = v.alerts(ctx, out)
	return out, err
}

// alerts is what a person is told on every page: what they opened in an emergency, and what others did of theirs.
func (v visitors) alerts(ctx context.Context, visit web.Visit) ([]web.Alert, error) {
	var out []web.Alert
	for _, e := range visit.Emergency {
		out = append(out, web.Alert{Text: "You have emergency access until " + e.Until.In(visit.Person.Location()).Format("15:04") + ". Every page you open is on record.", Path: "/emergency"})
	}
	n, err := v.db.UnseenEmergencies(ctx, visit.Person.Org, visit.Person.ID)
	if n > 0 {
		out = append(out, web.Alert{Text: "Somebody took emergency access to messages you answer for. Have a look.", Path: "/emergency"})
	}
	return out, err
}

func (v visitors) Touch(ctx context.Context, hash string, at time.Time) error {
	return v.db.TouchSession(ctx, hash, at)
}

// objects finds what the paths of pages name.
type objects struct{ db *store.Store }

func (o objects) Item(ctx context.Context, org string, id work.ID) (work.Entry, error) {
	return o.db.Work(ctx, org, id)
}

func (o objects) Pool(ctx context.Context, org, id string) error {
	_, err := o.db.Pool(ctx, org, id)
	return err
}

func (o objects) Patient(ctx context.Context, org, id string, r staff.Rights) error {
	pools, err := o.db.Pools(ctx, org)
	if err != nil {
		return err
	}
	ids := make([]string, len(pools))
	for i, p := range pools {
		ids[i] = p.ID
	}
	reach, at := store.ReachOf(r, ids), patient.ID(id)
	for range maxMerged { // a record that was made part of another is where that one is
		seen, err := o.db.PatientVisible(ctx, org, at, reach)
		if err != nil || seen {
			return err
		}
		rec, err := o.db.Patient(ctx, org, at)
		if err != nil {
			return err
		}
		if rec.State != patient.Merged || rec.Into == "" {
			return web.ErrNotFound
		}
		at = rec.Into
	}
	return web.ErrNotFound
}

// maxMerged bounds the merges in a row that an old link to a patient is followed through.
const maxMerged = 10

// serveWeb serves the pages until ctx ends.
func (g *Gateway) serveWeb(ctx context.Context) error {
	if err := g.web.Serve(ctx, g.webAt); err != nil && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("gateway: web.listen: %w", err)
	}
	return nil
}

// orgOf is whose a domain of ours is; another's counts as the site's own, as nothing is kept for it.
func (s *Site) orgOf(ctx context.Context, d addr.Domain) (string, error) {
	row, err := s.Store.Domain(ctx, d)
	if errors.Is(err, store.ErrNotFound) {
		return s.Org, nil
	}
	return row.Org, err
}
