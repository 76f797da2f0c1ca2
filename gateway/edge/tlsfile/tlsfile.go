// Package tlsfile serves TLS certificates from PEM files and reads them again when they change, so that
// a renewed certificate needs no restart.
//
// It looks at the files when a handshake asks, at most once every CheckEvery. A pair that cannot be
// read (half written by a renewal, key and certificate of different runs) leaves the last good one in
// use and is reported; it is tried again at the next look. Several pairs may serve one listener, an
// ECDSA one beside an RSA one or one for each name: the first that suits the client's hello is used.
//
// Limits: 16 pairs, 1 MiB a file.
package tlsfile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Limits of what is read, and how often files are looked at.
const (
	MaxPairs   = 16
	MaxFile    = 1 << 20
	CheckEvery = 2 * time.Second
)

// Pair names the PEM files of a certificate (with its chain) and of its key; they may be one file.
type Pair struct {
	Cert string
	Key  string
}

// Source gives the certificates of its pairs to TLS servers. Several goroutines may use it.
type Source struct {
	log   *slog.Logger
	clock func() time.Time

	mu      sync.Mutex
	checked time.Time
	pairs   []*loaded
}

type loaded struct {
	Pair
	stamp stamp
	cert  *tls.Certificate
}

// stamp is by what a changed file is told: renewals write a new one or replace it.
type stamp struct {
	cert, key time.Time
	sizes     [2]int64
}

// Open reads all pairs. An error names the file and what is wrong with it. Log may be nil; a nil clock
// is time.Now.
func Open(pairs []Pair, log *slog.Logger, clock func() time.Time) (*Source, error) {
	if len(pairs) == 0 || len(pairs) > MaxPairs {
		return nil, fmt.Errorf("tlsfile: %d certificates, must be 1 to %d", len(pairs), MaxPairs)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if clock == nil {
		clock = time.Now
	}
	s := &Source{log: log, clock: clock, checked: clock()}
	for _, p := range pairs {
		l := &loaded{Pair: p}
		if err := l.load(); err != nil {
			return nil, err
		}
		s.pairs = append(s.pairs, l)
	}
	return s, nil
}

// Config is a server configuration over the source: TLS 1.2 and up (EP-03).
func (s *Source) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.Get}
}

// Get is tls.Config.GetCertificate.
func (s *Source) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.clock(); now.Sub(s.checked) >= CheckEvery || now.Before(s.checked) {
		s.checked = now
		s.reload(hello.Context())
	}
	for _, p := range s.pairs {
		if hello.SupportsCertificate(p.cert) == nil {
			return p.cert, nil
		}
	}
	return s.pairs[0].cert, nil // a client that names no host, or another's: let it judge
}

func (s *Source) reload(ctx context.Context) {
	for _, p := range s.pairs {
		now, err := p.look()
		if err == nil && now == p.stamp {
			continue
		}
		if err == nil {
			err = p.load()
		}
		if err != nil {
			s.log.ErrorContext(ctx, "changed TLS certificate not used, the old one stays", "cert", p.Cert, "error", err)
			continue
		}
		s.log.InfoContext(ctx, "TLS certificate read again", "cert", p.Cert, "until", p.cert.Leaf.NotAfter)
	}
}

// Certificates is what is served now, a leaf for each pair, in order: for checks and expiry warnings.
func (s *Source) Certificates() []*x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*x509.Certificate
	for _, p := range s.pairs {
		out = append(out, p.cert.Leaf)
	}
	return out
}

func (l *loaded) look() (stamp, error) {
	c, err := os.Stat(l.Cert)
	if err != nil {
		return stamp{}, fmt.Errorf("tlsfile: %w", err)
	}
	k, err := os.Stat(l.Key)
	if err != nil {
		return stamp{}, fmt.Errorf("tlsfile: %w", err)
	}
	return stamp{c.ModTime(), k.ModTime(), [2]int64{c.Size(), k.Size()}}, nil
}

// load reads the pair; the stamp is taken first, so that a change while reading shows at the next look.
func (l *loaded) load() error {
	st, err := l.look()
	if err != nil {
		return err
	}
	certPEM, err := readFile(l.Cert)
	if err != nil {
		return err
	}
	keyPEM, err := readFile(l.Key)
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("tlsfile: %s with %s: %w", l.Cert, l.Key, err)
	}
	l.cert, l.stamp = &cert, st
	return nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("tlsfile: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("tlsfile: %w", err)
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("tlsfile: %s: %w", name, errors.New("over 1 MiB, not a certificate"))
	}
	return b, nil
}
