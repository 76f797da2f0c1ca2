// Package ldapcert finds certificates in the LDAP directories a domain names by SRV records (CD-30 to
// CD-39; RFC 2782, RFC 4511, RFC 4523): every server in the fixed order of the network's tests, an
// anonymous bind, every base DN the RootDSE names, entries whose mail is the address or the domain,
// the values of userCertificate in both spellings, and the PKCS#7 bundles of userSMIMECertificate.
//
// A server that cannot be reached, asks for a password, stalls or talks nonsense is passed by for the
// next (CD-33). Found at none: "nothing there" if every server said so, else "not known". No host is
// ever guessed, no referral followed, no StartTLS done, nothing found is judged. Hosts and ports come
// from strangers: they are dialled only through the function given, whose guard is the caller's.
// github.com/go-ldap/ldap/v3 was taken for requests, filters and responses; it sees a server only
// through a connection that checks each message's size, depth and number of elements first.
//
// Limits: 10 servers a domain, 4 addresses a server, 5 s to connect, 5 s an operation, 8 s a server (less where the
// caller's time would not reach for all of them: each gets its turn),
// 20 base DNs, 10 entries a search, 50 certificates, 512 KiB a message and 20,000 elements in it, 16
// levels, 2 MiB a server.
package ldapcert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postern/certs/dnsclient"
	"postern/smime/addr"
)

// Limits.
const (
	MaxServers     = 10
	MaxAddrs       = 4
	MaxBases       = 20
	MaxEntries     = 10
	MaxCerts       = 50
	MaxMessage     = 512 << 10
	MaxElements    = 20000
	MaxBytes       = 2 << 20
	ConnectTimeout = 5 * time.Second
	SearchTimeout  = 5 * time.Second
	ServerTimeout  = 8 * time.Second
)

// The two ways in which a search fails; every other error is the caller's context.
var (
	ErrNotFound  = errors.New("ldapcert: nothing there")
	ErrTemporary = errors.New("ldapcert: not known")
)

// Resolver asks the DNS; *dnsclient.Client is one.
type Resolver interface {
	SRV(ctx context.Context, name string) ([]dnsclient.SRV, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// Config of a Finder. Resolver and Dial are needed.
type Config struct {
	Resolver Resolver
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // guarded: addresses come from strangers
	Timeout  time.Duration                                                        // one operation; 0 = SearchTimeout
}

// Finder searches directories. It is safe for concurrent use.
type Finder struct{ cfg Config }

// New makes a Finder.
func New(cfg Config) *Finder {
	if cfg.Timeout <= 0 {
		cfg.Timeout = SearchTimeout
	}
	return &Finder{cfg}
}

// Answer is what the directories of a domain hold for one mail value.
type Answer struct {
	Certs  []*x509.Certificate
	Server string   // host:port that answered
	Notes  []string // servers and values passed over, and why
}

func (a *Answer) note(format string, args ...any) {
	const maxNotes = 50
	if len(a.Notes) < maxNotes {
		a.Notes = append(a.Notes, fmt.Sprintf(format, args...))
	}
}

// Find searches the domain's directories for entries whose mail is the given address or domain. The
// Answer's notes are good with an error too. Errors match ErrNotFound or ErrTemporary.
func (f *Finder) Find(ctx context.Context, domain addr.Domain, mail string) (Answer, error) {
	var a Answer
	servers, err := f.cfg.Resolver.SRV(ctx, "_ldap._tcp."+domain.String()) // CD-30
	switch {
	case errors.Is(err, dnsclient.ErrNotFound):
		return a, fmt.Errorf("%w: %s names no LDAP directory (no SRV record)", ErrNotFound, domain)
	case err != nil:
		return a, fmt.Errorf("%w: SRV record of %s: %v", ErrTemporary, domain, err)
	}
	faults := 0
	for i, s := range servers { // in order: CD-31
		if i == MaxServers {
			a.note("only %d of %d servers were asked", MaxServers, len(servers))
			break
		}
		if s.Target == "" || s.Port == 0 { // CD-32
			a.note("service declared absent by an SRV record")
			continue
		}
		if !directoryPort(s.Port) {
			faults++
			a.note("%s: port %d is no directory's; not contacted", s.Target, s.Port)
			continue
		}
		name := net.JoinHostPort(s.Target, strconv.Itoa(int(s.Port)))
		found, err := f.server(ctx, &a, s, mail, share(ctx, min(len(servers), MaxServers)-i, ServerTimeout))
		if ctx.Err() != nil {
			return a, fmt.Errorf("%w: %v", ErrTemporary, ctx.Err())
		}
		switch {
		case err != nil: // CD-33: on to the next
			faults++
			a.note("%s: %v", name, err)
		case len(found) == 0:
			a.note("%s: no certificate for %s", name, mail)
			a.Server = name
		default:
			a.Certs, a.Server = found, name
			return a, nil
		}
	}
	if faults > 0 {
		return a, fmt.Errorf("%w: %d of %d servers of %s failed: %s", ErrTemporary, faults, len(servers), domain, strings.Join(a.Notes, "; "))
	}
	return a, fmt.Errorf("%w: no entry with a certificate for %s", ErrNotFound, mail)
}

// directoryPort refuses the ports of other services: an SRV record must not make this gateway knock at
// a stranger's mail or web server. Directories use 389 or, in test beds, a port from 1024 up.
func directoryPort(p uint16) bool { return p == 389 || p >= 1024 }

// share is how long one of several that are still to be tried may take: so long that each gets its turn before
// ctx ends, and no longer than most.
func share(ctx context.Context, several int, most time.Duration) time.Duration {
	if end, ok := ctx.Deadline(); ok && several > 0 {
		return min(most, time.Until(end)/time.Duration(several))
	}
	return most
}

// server asks one server at the first of its addresses that can be reached.
func (f *Finder) server(ctx context.Context, a *Answer, s dnsclient.SRV, mail string, limit time.Duration) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	addrs, err := f.cfg.Resolver.Addrs(ctx, s.Target)
	if err != nil {
		return nil, fmt.Errorf("host has no address: %w", err)
	}
	if f.cfg.Dial == nil {
		return nil, errors.New("no way to connect is configured")
	}
	var failed error
	for i, ip := range addrs {
		if i == MaxAddrs {
			break
		}
		conn, err := f.connect(ctx, netip.AddrPortFrom(ip, s.Port).String(), share(ctx, min(len(addrs), MaxAddrs)-i, ConnectTimeout))
		if err != nil {
			failed = err
			continue
		}
		c := newSession(ctx, conn, f.cfg)
		found, err := c.search(a, mail)
		c.close()
		return found, err
	}
	return nil, failed
}

func (f *Finder) connect(ctx context.Context, address string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := f.cfg.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	return conn, nil
}
