package revoke

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/trust/chain"
	"postern/trust/fetch"
)

// Bounds of a Checker.
const (
	MaxURLs        = 2 // of a kind, tried for one certificate
	MaxReading     = 4 // lists read at the same time
	LongestRetry   = 16 * time.Minute
	RetryAfter     = time.Minute    // how long a URL that failed once is left alone; doubled at each further failure
	AskAgain       = time.Hour      // after which a responder is asked again, however long its answer holds
	ListAge        = 12 * time.Hour // after which a list in use is fetched anew, however long it holds
	ListTimeout    = 30 * time.Second
	ResponderTime  = 10 * time.Second
	maxHeldEntries = 2 * MaxListEntries
	maxHeldLists   = 1000
	maxAnswers     = 10_000
)

// Config says what a Checker works with.
type Config struct {
	Fetcher fetch.Fetcher    // nil = no network: only Given and Store are asked
	Store   Store            // nil = lists live in memory only
	Answers Answers          // nil = OCSP answers live in memory only
	Given   []*List          // lists at hand, not fetched from anywhere
	Clock   func() time.Time // for retrying and refreshing; nil = time.Now
}

// Checker answers Queries. It is safe for concurrent use.
type Checker struct {
	cfg        Config
	generation atomic.Uint64
	lists      fetch.Flight[held]
	loads      fetch.Flight[held]
	slots      chan struct{} // one for each list being read
	answers    fetch.Flight[asked]

	mu   sync.Mutex
	held map[string]held // by listKey
	ocsp map[string]asked
}

// held is what is known of one list URL for one issuer.
type held struct {
	url     string
	list    *List
	query   Query     // the last one that used it: whose signature a newer list must bear
	err     error     // of the last fetch
	unsaved error     // why the list is in memory only
	retry   time.Time // not fetched again before
	failed  int       // how often in a row
	fetched time.Time // when the list came, or was said to be unchanged; zero = out of the store
	etag    string
	changed string // Last-Modified
}

// asked is one OCSP answer, or why there is none.
type asked struct {
	answer Answer
	err    error
	until  time.Time
	failed int       // how often in a row
	newest time.Time // thisUpdate of the newest answer there has been
}

// patience is how long to leave a place alone that failed so often in a row.
func patience(failed int) time.Duration {
	return min(RetryAfter<<min(max(failed-1, 0), 10), LongestRetry)
}

// New makes a Checker.
func New(cfg Config) *Checker {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Checker{cfg: cfg, slots: make(chan struct{}, MaxReading), held: map[string]held{}, ocsp: map[string]asked{}}
}

// Generation changes whenever a newer list or answer has come in.
func (c *Checker) Generation() uint64 { return c.generation.Load() }

// Check answers one Query: what is at hand first, then a responder, then the lists.
func (c *Checker) Check(ctx context.Context, q Query) Answer {
	i := &inquiry{c: c, q: q, points: pointsOf(q.Cert)}
	if a, ok := i.given(); ok {
		return a
	}
	urls := i.listURLs()
	responders := httpOnly(q.Cert.OCSPServer)
	if len(urls) == 0 && len(responders) == 0 {
		return i.nothing()
	}
	if a, ok := i.listed(ctx, urls); ok {
		u, contradicted := i.withdrawnSince(ctx, a, responders)
		if !contradicted {
			return a
		}
		responders = append([]string{u}, responders...) // it is asked first, and what it said holds until it says otherwise
	}
	for _, u := range responders {
		if a, ok := i.fromResponder(ctx, u); ok {
			return a
		}
	}
	for _, u := range urls {
		if a, ok := i.fromList(ctx, u, true); ok {
			return a
		}
	}
	return i.unknown()
}

// inquiry is one Query being worked on.
type inquiry struct {
	c      *Checker
	q      Query
	points []point
	why    []string // what stood in the way, source by source
	passes bool     // one of them may pass by itself
	spent  bool     // a source was not asked because no fetch was left
}

// given asks the lists at hand: one that withdraws wins, else the newest that clears.
func (i *inquiry) given() (best Answer, found bool) {
	for _, l := range i.c.cfg.Given {
		if !chain.SameName(l.Issuer, i.q.Cert.RawIssuer) {
			continue
		}
		a, why := l.consult(i.q, i.points, "at hand")
		switch {
		case why != "":
			i.why = append(i.why, "the list at hand of "+stamp(l.ThisUpdate)+": "+why)
		case a.State == Revoked:
			return a, true
		case !found || a.Evidence[0].ThisUpdate.After(best.Evidence[0].ThisUpdate):
			best, found = a, true
		}
	}
	return best, found
}

// nothing: there is nowhere to ask. A certificate that names places of a kind we do not fetch from, or
// lists at hand that did not fit, leave it unknown.
func (i *inquiry) nothing() Answer {
	for _, p := range i.points {
		switch {
		case p.indirect && !i.ownIssuer(p):
			i.why = append(i.why, "its lists are kept by another issuer (indirect), which is not supported")
		case len(i.why) == 0:
			i.why = append(i.why, "it names only places that are not fetched from (no http or https)")
		}
	}
	if len(i.q.Cert.OCSPServer) > 0 && len(i.why) == 0 {
		i.why = append(i.why, "it names only responders that are not asked (no http or https)")
	}
	if len(i.why) > 0 {
		return i.unknown()
	}
	return Answer{State: Unchecked, Detail: "the certificate names neither a list nor a responder"}
}

func (i *inquiry) unknown() Answer {
	return Answer{State: Unknown, Temporary: i.passes || i.spent, Unasked: i.spent, Detail: strings.Join(i.why, "; ")}
}

// take uses one fetch up; that none was left is remembered.
func (i *inquiry) take() bool {
	if i.q.Fetches.take() {
		return true
	}
	if !i.spent {
		i.spent = true
		i.why = append(i.why, "no fetch is left for this decision")
	}
	return false
}

func (i *inquiry) failed(url string, err error) {
	i.why = append(i.why, fmt.Sprintf("%.200s: %v", url, err))
	var r *responderError
	if fetch.Temporary(err) || errors.As(err, &r) && r.temporary() || errors.Is(err, errStale) {
		i.passes = true
	}
}

// listURLs is where complete lists of the certificate's own issuer are.
func (i *inquiry) listURLs() []string {
	var urls []string
	for _, p := range i.points {
		if !p.reasons && (!p.indirect || i.ownIssuer(p)) {
			urls = append(urls, p.urls...)
		}
	}
	return httpOnly(urls)
}

// ownIssuer reports whether the point's cRLIssuer is only the certificate's issuer spelled out.
func (i *inquiry) ownIssuer(p point) bool {
	for _, n := range p.issuers {
		if strings.HasSuffix(n, string(i.q.Cert.RawIssuer)) {
			return true
		}
	}
	return false
}

func httpOnly(urls []string) []string {
	var out []string
	for _, u := range urls {
		if l := strings.ToLower(u); (strings.HasPrefix(l, "http://") || strings.HasPrefix(l, "https://")) && len(out) < MaxURLs {
			out = append(out, u)
		}
	}
	return out
}

// listed is what the lists at hand say, the newest of them.
func (i *inquiry) listed(ctx context.Context, urls []string) (best Answer, found bool) {
	for _, u := range urls {
		a, ok := i.fromList(ctx, u, false)
		if ok && (!found || a.after(best) || a.State == Revoked && !best.after(a)) {
			best, found = a, true
		}
	}
	return best, found
}

// after says that an answer was made later than another one.
func (a Answer) after(b Answer) bool { return a.Evidence[0].ThisUpdate.After(b.Evidence[0].ThisUpdate) }

// withdrawnSince is the responder that withdrew the certificate no earlier than the list was made that clears it: a
// list at hand, or one that came in for another certificate, must not bring this one back to life.
func (i *inquiry) withdrawnSince(ctx context.Context, list Answer, responders []string) (url string, yes bool) {
	if list.State != Good {
		return "", false
	}
	for _, u := range responders {
		got, ok, err := i.c.answered(ctx, u, i.responderKey(u), i.q)
		if err == nil && ok && got.err == nil && got.answer.State == Revoked && got.holds(i.q.Time) && !list.after(got.answer) {
			return u, true
		}
	}
	return "", false
}

// responderKey is what an answer about the certificate, and the failure to get one, is known by.
func (i *inquiry) responderKey(url string) string {
	return url + "\x00" + i.q.voucher() + serialOfInt(i.q.Cert.SerialNumber).key()
}

// fromResponder asks one OCSP responder, or remembers what it said.
func (i *inquiry) fromResponder(ctx context.Context, url string) (Answer, bool) {
	key := i.responderKey(url)
	now := i.c.cfg.Clock()
	got, ok, err := i.c.answered(ctx, url, key, i.q)
	if err != nil {
		return Answer{}, false
	}
	if !ok || now.After(got.until) {
		if i.c.cfg.Fetcher == nil || !i.take() {
			return got.answer, ok && got.err == nil && got.holds(i.q.Time)
		}
		got, err = i.c.answers.Do(ctx, key, func(ctx context.Context) asked { return i.c.ask(ctx, url, key, i.q) })
		if err != nil {
			return Answer{}, false
		}
	}
	if got.err == nil && !got.holds(i.q.Time) {
		got.err = errStale
	}
	if got.err != nil {
		i.failed(url, got.err)
		return Answer{}, false
	}
	return got.answer, true
}

// holds says that an answer speaks for the instant: while it is fresh, and for ever when it withdraws for good.
func (a asked) holds(at time.Time) bool {
	e := a.answer.Evidence[0]
	return !e.ThisUpdate.After(at.Add(skew)) && (a.answer.final || !at.After(e.NextUpdate))
}

var errStale = errors.New("revoke: what it gave does not cover the instant asked about")

// ask takes over what a responder says, unless it said something newer before: an old answer played
// back must not bring a withdrawn certificate to life.
func (c *Checker) ask(ctx context.Context, url, key string, q Query) asked {
	inner, cancel := context.WithTimeout(ctx, ResponderTime)
	defer cancel()
	a, err := askOCSP(inner, c.cfg.Fetcher, url, q)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return asked{err: err}
	case inner.Err() != nil:
		err = &fetch.Error{Kind: fetch.Unreachable, URL: url, Err: inner.Err()}
	}
	got := c.take(key, a, err)
	if err == nil && got.err == nil {
		c.saveAnswer(ctx, key, got, q)
	}
	return got
}

// take puts an answer, or the failure to get one, in the place of the one before.
func (c *Checker) take(key string, a Answer, err error) asked {
	now := c.cfg.Clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	old, had := c.ocsp[key]
	got := asked{answer: a, newest: old.newest}
	if err == nil {
		if at := a.Evidence[0].ThisUpdate; at.Before(old.newest) {
			err = fmt.Errorf("%w: the answer of %s is older than one it gave before, of %s", errStale, stamp(at), stamp(old.newest))
		} else {
			got.newest = at
		}
	}
	got.err = err
	if err == nil {
		got.until = now.Add(AskAgain)
		if a.Until.Before(got.until) {
			got.until = a.Until
		}
		got.answer.Until = got.until // a decision rests on it no longer than that
	} else {
		got.failed = old.failed + 1
		got.until = now.Add(patience(got.failed))
	}
	if had && err != nil && old.err == nil && old.holds(now) {
		got.answer, got.err = old.answer, nil // what it said before still holds
		got.answer.Until = got.until
	}
	if had && old.err == nil && err == nil && old.answer.State != a.State {
		c.generation.Add(1)
	}
	c.put(key, got)
	return got
}
