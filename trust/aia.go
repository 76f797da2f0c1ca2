package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"postern/trust/bundle"
	"postern/trust/chain"
	"postern/trust/fetch"
)

// Limits of fetching missing issuers (AS-63).
const (
	MaxIssuerFetches = 4         // a Question
	MaxIssuerURLs    = 2         // of one certificate
	MaxIssuerOctets  = 256 << 10 // an answer
	MaxIssuerCerts   = 20        // an answer
	IssuerTimeout    = 10 * time.Second
	issuerKept       = 24 * time.Hour
	issuerMissing    = 5 * time.Minute // how long a failure is remembered
	maxIssuerEntries = 1000
)

// issuerAnswer is what one URL gave.
type issuerAnswer struct {
	certs []*x509.Certificate
	err   error
	at    time.Time // when it came
	until time.Time
}

// issuerCache remembers answers by URL for all decisions.
type issuerCache struct {
	mu     sync.Mutex
	byURL  map[string]issuerAnswer
	flight fetch.Flight[issuerAnswer]
}

func newIssuerCache() *issuerCache { return &issuerCache{byURL: map[string]issuerAnswer{}} }

func (c *issuerCache) get(url string, now time.Time) (issuerAnswer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.byURL[url]
	return a, ok && now.Before(a.until)
}

func (c *issuerCache) put(url string, a issuerAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.byURL { // at the limit, forget any one: all can be fetched again
		if len(c.byURL) < maxIssuerEntries {
			break
		}
		delete(c.byURL, k)
	}
	c.byURL[url] = a
}

// aiaSearch is the fetching side of one decision.
type aiaSearch struct {
	inquiry *inquiry
	tried   map[string]bool
	old     map[string]bool // of those: answered from memory, and long enough ago that it may be otherwise now
	fetches int
	failed  error // the last failure that may pass
}

// next is the issuers found for the first dead end that names a place where one was found; none when
// nothing more can be had. Only certificates that bear the wanted name count. When nothing else is left, places that
// memory answered for are looked at again: an authority with a new key publishes it where the old one was.
func (s *aiaSearch) next(ctx context.Context, deadEnds []*x509.Certificate) []*x509.Certificate {
	for _, again := range []bool{false, true} {
		for _, c := range deadEnds {
			for _, url := range issuerURLs(c) {
				if s.tried[url] && !(again && s.old[url]) {
					continue
				}
				if found := s.ask(ctx, c, url, again); len(found) > 0 {
					return found
				}
			}
		}
	}
	return nil
}

// issuerURLs is where the certificate says its issuer is.
func issuerURLs(c *x509.Certificate) (out []string) {
	for _, url := range c.IssuingCertificateURL {
		if scheme := strings.ToLower(url); len(out) < MaxIssuerURLs && (strings.HasPrefix(scheme, "http://") || strings.HasPrefix(scheme, "https://")) {
			out = append(out, url)
		}
	}
	return out
}

func (s *aiaSearch) ask(ctx context.Context, c *x509.Certificate, url string, again bool) []*x509.Certificate {
	e, now := s.inquiry.e, s.inquiry.e.cfg.Clock()
	before, cachedAnswer := e.issuers.get(url, now)
	a, old := before, cachedAnswer && now.Sub(before.at) >= issuerMissing
	if !cachedAnswer || again && old {
		old = false
		if e.cfg.Fetcher == nil {
			return nil
		}
		if s.fetches == MaxIssuerFetches {
			return nil
		}
		if !s.inquiry.q.Budget.takeIssuer(s.inquiry.key.peer) { // other questions used it up: the next try finds their answers at hand
			s.failed = errNoFetchLeft
			return nil
		}
		s.fetches++
		var err error
		if a, err = e.issuers.flight.Do(ctx, url, func(ctx context.Context) issuerAnswer {
			a := fetchIssuers(ctx, e.cfg.Fetcher, url)
			a.at, a.until = now, now.Add(issuerKept)
			switch {
			case a.err != nil && cachedAnswer: // what is at hand stays, and is not looked for again at once
				a = issuerAnswer{certs: before.certs, err: before.err, at: now, until: before.until}
			case a.err != nil:
				a.until = now.Add(issuerMissing)
			}
			if ctx.Err() == nil {
				e.issuers.put(url, a)
			}
			return a
		}); err != nil {
			return nil
		}
	}
	s.mark(url, old)
	var found []*x509.Certificate
	for _, i := range a.certs {
		if chain.SameName(i.RawSubject, c.RawIssuer) {
			found = append(found, i)
		}
	}
	s.record(c, url, a, found)
	return found
}

func (s *aiaSearch) mark(url string, old bool) {
	if s.tried == nil {
		s.tried, s.old = map[string]bool{}, map[string]bool{}
	}
	s.tried[url], s.old[url] = true, old
}

func (s *aiaSearch) record(c *x509.Certificate, url string, a issuerAnswer, found []*x509.Certificate) {
	step := Step{Asked: "where is the issuer of " + chain.Label(c), Of: url, Rule: "AS-63", Verdict: VerdictNote}
	switch {
	case a.err != nil:
		step.Answer = a.err.Error()
		if fetch.Temporary(a.err) {
			s.failed = a.err
			step.Reason = IssuerUnavailable
		}
	case len(found) == 0:
		step.Answer = fmt.Sprintf("%d certificates, none of the issuer named", len(a.certs))
	default:
		step.Answer = fmt.Sprintf("%d certificates", len(found))
	}
	s.inquiry.add(step)
}

var errNoFetchLeft = errors.New("trust: no fetch is left for this message")

var errNoCertificate = errors.New("trust: the answer holds no certificate")

func fetchIssuers(ctx context.Context, f fetch.Fetcher, url string) issuerAnswer {
	ctx, cancel := context.WithTimeout(ctx, IssuerTimeout)
	defer cancel()
	b, err := fetch.ReadAll(ctx, f, fetch.Request{URL: url, MaxBytes: MaxIssuerOctets, Accept: "application/pkix-cert, application/pkcs7-mime, */*;q=0.5"})
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && !fetch.Temporary(err) {
			err = &fetch.Error{Kind: fetch.Unreachable, URL: url, Err: err}
		}
		return issuerAnswer{err: err}
	}
	certs := parseIssuers(b)
	if len(certs) == 0 {
		return issuerAnswer{err: errNoCertificate}
	}
	return issuerAnswer{certs: certs[:min(len(certs), MaxIssuerCerts)]}
}

// parseIssuers reads DER, PEM or a PKCS#7 bundle (AS-63).
func parseIssuers(b []byte) []*x509.Certificate {
	got, err := bundle.Parse(b, bundle.Options{AllowLeaves: true})
	if err != nil {
		return nil
	}
	return got.Certs
}
