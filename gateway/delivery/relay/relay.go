// Package relay sends messages onward over SMTP: to the MX hosts of a domain, to a static next hop or
// smart host, or to an SMTP edge (an EHR, a clinic's mail server).
//
// It follows RFC 5321 (§5.1 MX order, §4.5.3.2 times, §4.2 replies), 7505 (null MX), 3207 (STARTTLS),
// 7435 (opportunistic TLS), 4954 (AUTH), 1870 (SIZE), 2920 (PIPELINING), 3030 (CHUNKING), 6152
// (8BITMIME), 2034 and 3463 (enhanced codes), EP-28, EP-31. Each recipient gets its own outcome;
// every host tried leaves an Attempt with the peer's words, bounded and free of control characters.
//
// A message goes out octet for octet. One with a bare CR or LF is not sent at all: peers disagree where
// such lines, and so messages, end. What is 8-bit goes only to peers that take 8BITMIME.
//
// No address is dialled that the Guard forbids, unless its route was set by an operator
// (Route.Private); never one of the gateway's own. After TLS failed where it was only opportunistic
// the message goes in clear: what is relayed is sealed. A login is never sent without TLS.
//
// It keeps no queue and no back-off; it does not seal, and reads nothing of a message but its line ends.
// At least once: when a peer goes away after the last octet and before its answer, the outcome is
// temporary, and the same message may reach that peer again.
//
// The dialogue is ours, over bufio. The client of go-smtp v0.25.1 greets as "localhost" before
// STARTTLS, waits for each RCPT, has no BDAT, turns LF into CRLF and takes replies of any size.
//
// Limits: see Limits; a reply 100 lines of 2,000 octets, of which 500 octets are kept; 10 addresses
// tried a Send; 64 KiB of memory a message with CHUNKING, 256 KiB a large one.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"postern/certs/dnsclient"
)

// Resolver finds mail hosts. Errors wrap dnsclient.ErrNotFound, ErrNullMX or ErrTemporary.
type Resolver interface {
	MX(ctx context.Context, domain string) ([]dnsclient.MX, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// Guard refuses addresses nobody should be made to dial; *fetch.Guard is one.
type Guard interface {
	Control(network, address string, c syscall.RawConn) error
}

// Config is what a Client needs. Resolver, Guard and Hello are required.
type Config struct {
	Resolver Resolver
	Guard    Guard
	Hello    string           // our name in EHLO; a host that greets with it is ourselves
	Self     []netip.AddrPort // our own listeners; an unspecified address is every local one
	TLS      *tls.Config      // roots and client certificate; nil: the system's roots
	Port     int              // of MX hosts; 0: 25
	Limits   Limits
	Observe  func(Attempt) // called after each attempt, from the goroutine of Send; may be nil
	Log      *slog.Logger
	Clock    func() time.Time // for Attempt.Began; deadlines on the network use the network's clock
}

// Client sends messages. Several goroutines may use it; Close ends its idle sessions.
type Client struct {
	cfg    Config
	limits Limits
	pool   *pool
	local  map[netip.Addr]bool
	bufs   sync.Pool // *[smallBody]byte

	anyTLS, checkedTLS *tls.Config
}

// New checks a configuration and makes its Client.
func New(cfg Config) (*Client, error) {
	switch {
	case cfg.Resolver == nil, cfg.Guard == nil:
		return nil, errors.New("relay: resolver and guard are required")
	case cfg.Hello == "" || strings.ContainsAny(cfg.Hello, " \r\n"):
		return nil, fmt.Errorf("relay: %q is no name to greet with", cfg.Hello)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Port == 0 {
		cfg.Port = 25
	}
	c := &Client{cfg: cfg, limits: cfg.Limits.orDefaults(), local: localAddrs(cfg.Self)}
	c.bufs.New = func() any { return new([smallBody]byte) }
	c.pool = newPool(c.limits)
	base := cfg.TLS
	if base == nil {
		base = &tls.Config{}
	}
	c.checkedTLS = base.Clone()
	c.checkedTLS.MinVersion = max(base.MinVersion, tls.VersionTLS12)
	c.checkedTLS.ClientSessionCache = tls.NewLRUClientSessionCache(sessionCache)
	c.anyTLS = c.checkedTLS.Clone()
	c.anyTLS.InsecureSkipVerify = true // RFC 7435: better than clear, and the content is sealed
	c.anyTLS.ClientSessionCache = tls.NewLRUClientSessionCache(sessionCache)
	return c, nil
}

const sessionCache = 256 // hosts whose TLS sessions are kept for resumption

// Close ends idle sessions with QUIT and waits for that. Sends under way keep theirs.
func (c *Client) Close() { c.pool.close() }

// Send delivers one message to the recipients of e, all of them reached by r. Open gives the message,
// canonical (CRLF) and from its start, each time it is called; e.Size is its size.
//
// The Result has one outcome for each recipient, in order. An error means that nothing was tried,
// because the arguments make no sense. When ctx ends, what is not yet delivered is Temporary.
func (c *Client) Send(ctx context.Context, r Route, e Envelope, open func() (io.ReadCloser, error)) (Result, error) {
	if len(e.To) == 0 || len(e.To) > MaxRecipients {
		return Result{}, fmt.Errorf("relay: %d recipients, must be 1 to %d", len(e.To), MaxRecipients)
	}
	if (r.Host == "") == r.Domain.IsZero() {
		return Result{}, errors.New("relay: a route is either a domain or a host")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.limits.Send, errTooLong)
	defer cancel()
	d := &delivery{c: c, ctx: ctx, route: r, env: e, open: open, outcomes: make([]*Outcome, len(e.To))}
	d.run()
	return d.result(), nil
}

// delivery is one Send under way.
type delivery struct {
	c        *Client
	ctx      context.Context
	route    Route
	env      Envelope
	open     func() (io.ReadCloser, error)
	whole    *whole     // the message, when it is small
	outcomes []*Outcome // nil: not decided
	last     *Outcome   // of the last host that failed as a whole; To is empty
	attempts []Attempt
	done     Attempt // the last one that delivered
}

// run tries hosts until every recipient is decided.
func (d *delivery) run() {
	buf := d.c.bufs.Get().(*[smallBody]byte)
	defer d.c.bufs.Put(buf)
	var err error
	if d.whole, err = load(d.open, buf[:]); err != nil {
		d.unsendable(err)
		return
	}
	targets, failed := d.c.targets(d.ctx, d.route)
	if failed != nil {
		d.note(Attempt{Host: d.route.name(), Stage: StageResolve, Began: d.c.cfg.Clock()}, failed)
		d.last = failed
		return
	}
	for _, t := range targets {
		if len(d.pending()) == 0 || d.ctx.Err() != nil {
			return
		}
		again := d.try(t, true)
		if again.fresh {
			again = d.try(t, false)
		}
		if again.clear { // TLS failed, and was only opportunistic
			t.noTLS = true
			d.try(t, false)
		}
	}
}

// unsendable is a message that no host can be given.
func (d *delivery) unsendable(err error) {
	o := fault(ReasonBareLine, "the message has a bare CR or LF and is not sent")
	if errors.Is(err, errSource) {
		o = fault(ReasonSource, "the message cannot be read from where it is kept")
		d.c.cfg.Log.Error("message to relay cannot be read", "error", err)
	}
	d.note(Attempt{Host: d.route.name(), Stage: StageBody, Began: d.c.cfg.Clock()}, o)
	d.last = o
}

// pending is the recipients still to do: those not decided, and those another host may yet take.
func (d *delivery) pending() []int {
	var out []int
	for i, o := range d.outcomes {
		if o == nil || o.retry {
			out = append(out, i)
		}
	}
	return out
}

// note keeps an attempt, with what it came to.
func (d *delivery) note(a Attempt, o *Outcome) {
	a.Took = d.c.cfg.Clock().Sub(a.Began)
	if o != nil {
		a.Reason, a.Code, a.Enhanced, a.Text = o.Reason, o.Code, o.Enhanced, o.Text
	}
	if len(d.attempts) < MaxTrace {
		d.attempts = append(d.attempts, a)
	}
	if a.Delivered > 0 {
		d.done = a
	}
	if d.c.cfg.Observe != nil {
		d.c.cfg.Observe(a)
	}
	d.c.cfg.Log.Debug("attempt", "host", a.Host, "addr", a.Addr, "stage", string(a.Stage), "reason", string(a.Reason),
		"code", a.Code, "delivered", a.Delivered, "tls", a.TLS)
}

// hostFailed remembers why a whole host was of no use. A temporary reason outlives a permanent one: the
// message is given up only when no host left hope.
func (d *delivery) hostFailed(o *Outcome) {
	if d.last == nil || d.last.Status == Permanent || o.Status == Temporary {
		d.last = o
	}
}

func (d *delivery) result() Result {
	r := Result{Host: d.done.Host, Addr: d.done.Addr, TLS: d.done.TLS, Attempts: d.attempts}
	for i, to := range d.env.To {
		o := d.outcomes[i]
		switch {
		case o != nil:
		case d.last != nil:
			o = d.last
		case d.ctx.Err() != nil:
			o = d.stopped()
		default:
			o = fault(ReasonConnect, "no host was left to try")
		}
		mine := *o
		mine.To = to
		r.Outcomes = append(r.Outcomes, mine)
	}
	return r
}

var errTooLong = errors.New("relay: the peers are too slow")

// stopped is the outcome when ctx ended.
func (d *delivery) stopped() *Outcome {
	if errors.Is(context.Cause(d.ctx), errTooLong) {
		return fault(ReasonTimeout, fmt.Sprintf("the message was not through after %v", d.c.limits.Send))
	}
	return fault(ReasonStopped, "the gateway stopped sending before this message was through")
}

// name is how a route is called in traces.
func (r Route) name() string {
	if r.Host != "" {
		return r.Host
	}
	return r.Domain.String()
}
