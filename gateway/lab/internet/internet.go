// Package internet is a small internet on loopback for demonstrations, self-tests and tests: a name
// server, directories and a web server, all over real sockets, filled before they are opened.
//
// Host names resolve to 127.0.0.1, ports are given by SRV records and URLs. It is no test double: the
// servers are the gateway's own (edge/dnsd, edge/ldapd) and net/http's.
package internet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postern/certs/zone"
	"postern/gateway/edge/dnsd"
	"postern/gateway/edge/ldapd"
	"postern/gateway/lab/port"
	"postern/smime/addr"
)

// Loopback is the range in which everything of this package lives; guards must allow it.
var Loopback = netip.MustParsePrefix("127.0.0.0/8")

var here = netip.MustParseAddr("127.0.0.1")

// Internet is made with New, filled with Certificate, Directory and File, then opened with Start.
type Internet struct {
	now   time.Time
	zones map[addr.Domain]*zone.Zone
	web   net.Listener
	files sync.Map // path → []byte
	hits  atomic.Int64
	ldaps []served

	dns     *dnsd.Server
	dnsAddr string
	stop    context.CancelFunc
	work    sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

type served struct {
	listener net.Listener
	server   *ldapd.Server
}

// New binds the web server, so that URLs are known before anything is filled.
func New(ctx context.Context, now time.Time) (*Internet, error) {
	web, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("internet: %w", err)
	}
	return &Internet{now: now, zones: map[addr.Domain]*zone.Zone{}, web: web}, nil
}

// zone is the zone of a domain, made when first needed.
func (n *Internet) zone(d addr.Domain) *zone.Zone {
	z := n.zones[d]
	if z == nil {
		z = &zone.Zone{Domain: d, TTL: time.Minute, NS: []zone.Host{{Name: "ns." + d.String(), Addrs: []netip.Addr{here}}},
			Hosts: []zone.Host{{Name: "host." + d.String(), Addrs: []netip.Addr{here}}}}
		n.zones[d] = z
	}
	return z
}

// Domain makes sure that the domain exists, with nothing in it.
func (n *Internet) Domain(d addr.Domain) { n.zone(d) }

// Certificate publishes in DNS, at the address or, for a zero address, at the domain.
func (n *Internet) Certificate(d addr.Domain, a addr.Address, c *x509.Certificate) {
	z := n.zone(d)
	z.Certs = append(z.Certs, zone.Cert{Address: a, Cert: c})
}

// Directory announces an LDAP server for the domain and runs it with the entries.
func (n *Internet) Directory(ctx context.Context, d addr.Domain, priority, weight uint16, entries ...ldapd.Entry) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("internet: %w", err)
	}
	directory, err := ldapd.NewDirectory("", entries)
	if err != nil {
		l.Close()
		return err
	}
	server := ldapd.New(nil)
	server.Publish(directory)
	n.ldaps = append(n.ldaps, served{l, server})
	n.announce(d, priority, weight, l.Addr().(*net.TCPAddr).Port)
	return nil
}

// DeadDirectory announces an LDAP server where nobody listens.
func (n *Internet) DeadDirectory(d addr.Domain, priority, weight uint16) error {
	dead, err := port.Free()
	if err != nil {
		return fmt.Errorf("internet: %w", err)
	}
	n.announce(d, priority, weight, dead)
	return nil
}

func (n *Internet) announce(d addr.Domain, priority, weight uint16, at int) {
	z := n.zone(d)
	z.SRV = append(z.SRV, zone.SRV{Service: "_ldap._tcp", Priority: priority, Weight: weight,
		Port: uint16(at), Target: "host." + d.String()})
}

// URL is where File puts a path, e.g. "/ca.cer".
func (n *Internet) URL(path string) string { return "http://" + n.web.Addr().String() + path }

// File serves content over HTTP.
func (n *Internet) File(path string, content []byte) { n.files.Store(path, content) }

// Fetched is how many files were asked for.
func (n *Internet) Fetched() int64 { return n.hits.Load() }

// Resolver is the address of the name server; known after Start.
func (n *Internet) Resolver() string { return n.dnsAddr }

// NameServer is the running name server, for its counts.
func (n *Internet) NameServer() *dnsd.Server { return n.dns }

// Start opens name server, directories and web server. Close ends them.
func (n *Internet) Start(ctx context.Context) error {
	var zones []zone.Zone
	for _, z := range n.zones {
		zones = append(zones, *z)
	}
	snap, err := zone.Build(zones, zone.Options{Now: n.now, All: true})
	if err != nil {
		return err
	}
	n.dns = dnsd.New(dnsd.Config{Rate: -1})
	n.dns.Publish(snap)
	l, err := dnsd.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	n.dnsAddr = l.Addr()
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx)) // ended by Close alone, in order
	n.run(func() error { return n.dns.Serve(ctx, l) })
	for _, d := range n.ldaps {
		n.run(func() error { return d.server.Serve(ctx, d.listener) })
	}
	web := &http.Server{Handler: http.HandlerFunc(n.serve), ReadHeaderTimeout: 10 * time.Second}
	n.run(func() error {
		if err := web.Serve(n.web); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	n.run(func() error {
		<-ctx.Done()
		return web.Close()
	})
	return nil
}

func (n *Internet) run(f func() error) {
	n.work.Go(func() {
		if err := f(); err != nil {
			n.mu.Lock()
			n.errs = append(n.errs, err)
			n.mu.Unlock()
		}
	})
}

func (n *Internet) serve(w http.ResponseWriter, r *http.Request) {
	n.hits.Add(1)
	content, ok := n.files.Load(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(content.([]byte))
}

// Close ends everything and waits for it.
func (n *Internet) Close() error {
	if n.stop == nil { // never started
		n.web.Close()
		for _, d := range n.ldaps {
			d.listener.Close()
		}
		return nil
	}
	n.stop()
	n.work.Wait()
	return errors.Join(n.errs...)
}
