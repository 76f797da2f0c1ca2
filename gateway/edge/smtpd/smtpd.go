// Package smtpd is the gateway's SMTP server: peers hand in sealed messages on port 25, clinics and
// EHRs submit theirs on 587 (STARTTLS) and 465 (implicit TLS).
//
// It follows RFC 5321, 3207 (STARTTLS), 4954 (AUTH, as PLAIN and LOGIN over TLS only), 1870 (SIZE),
// 2920 (PIPELINING), 3030 (CHUNKING, without BINARYMIME), 2034 (enhanced codes), 6409 and EP-20 to
// EP-34, EP-90 to EP-92. Recipients are judged while the peer waits; it is never an open relay; 250
// is said only after the message is durable and Intake has its row; every refusal has a Reason.
//
// It opens no message and judges no signature. It adds nothing to a message, not even a Received
// field: what is kept equals, octet for octet, what DATA or BDAT carried. SMTPUTF8, BINARYMIME and DSN
// are not offered.
//
// The command dialogue is github.com/emersion/go-smtp's, which is maintained, small, and speaks to
// net.Conn. The line beneath it is ours (see wire), for what the library at v0.25.1 gets wrong or slow
// and cannot be told: a bare CR after a leading dot vanishes from DATA, `STARTTLS x` is answered 220,
// one read deadline spans all of DATA, DATA is read octet by octet, each reply of a pipelined group is
// its own write, replies repeat a peer's control characters, a BDAT transfer left by RSET can give its
// result to the next. Tests pin the first kind, so that a better library is noticed.
//
// Limits (type Limits has all, with their defaults): 35 MiB a message, 100 recipients, 1,024 octets a
// command line, 12,288 an AUTH line, 20 refused commands and 3 failed logins a session, 1,000
// connections in all, 50 from one address (IPv6: /64), 20 of one login, 3,000 messages a minute of one login, 5 minutes for a command, 3 for a block of
// DATA, 1 hour without end of DATA at less than 1 KiB/s.
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/smime/addr"
)

// Mode says whom a listener serves.
type Mode string

// The modes of a listener.
const (
	Peer          Mode = "peer"       // other gateways, port 25: STARTTLS offered, no AUTH, our recipients only
	Submission    Mode = "submission" // our own users, port 587: STARTTLS, then AUTH, then MAIL (EP-21)
	SubmissionTLS Mode = "submissions"
)

// Mailbox is what the directory says of a recipient.
type Mailbox string

// The verdicts on a recipient.
const (
	Known   Mailbox = "known"    // an address of ours
	Unknown Mailbox = "unknown"  // a domain of ours, no such address
	NotOurs Mailbox = "not_ours" // another domain
)

// Directory knows the addresses of this gateway.
type Directory interface {
	// Local says what a recipient is. An error is temporary.
	Local(ctx context.Context, a addr.Address) (Mailbox, error)
	// MayUse says whether the login may send as a (EP-05). An error is temporary.
	MayUse(ctx context.Context, principal string, a addr.Address) (bool, error)
}

// Intake takes responsibility for a durable message: its row is committed when Accept returns.
// An error is temporary unless it is or wraps a *Refusal.
type Intake interface {
	Accept(ctx context.Context, s message.Submission, f message.Facts, b spool.Blob) (message.ID, error)
}

// Authenticator checks a login. The peer is an IP address, for throttling. An error that is or wraps
// ErrBadLogin is answered 535, any other 454.
type Authenticator interface {
	Login(ctx context.Context, login, password, peer string) (principal string, err error)
}

// ErrBadLogin is the cause of a failed login: no such user, or not that password.
var ErrBadLogin = errors.New("smtpd: login refused")

// Writer takes one message on its way to the disk.
type Writer interface {
	io.Writer
	// Commit returns once the message is durable.
	Commit(ctx context.Context) (spool.Blob, error)
	// Abort drops what was written; it does nothing after Commit.
	Abort()
}

// Spool makes a Writer for a message of an organisation. Delete frees what a Commit made durable.
type Spool interface {
	Create(org string) (Writer, error)
	Delete(b spool.Blob) error
}

// Config is what a Server needs. Mode, Domain, Directory, Intake and Spool are required; TLS is for
// every mode but Peer, Auth for both submission modes.
type Config struct {
	Mode Mode
	Org  string // the organisation of what comes in here, where OrgOf does not say
	// OrgOf is whose a domain of ours is. A message belongs to one organisation: that of its recipients from a peer,
	// of its sender at submission. Recipients of another one are put off to a transaction of their own. Nil is Org.
	OrgOf  func(ctx context.Context, d addr.Domain) (string, error)
	Domain string // the name the server greets with
	TLS    *tls.Config
	// Postmaster is whom RCPT TO:<postmaster>, without a domain, reaches. Zero refuses that form.
	Postmaster addr.Address
	Directory  Directory
	Auth       Authenticator
	Spool      Spool
	Intake     Intake
	// Admit is asked at every MAIL whether a message of that size (0: unknown) can be taken now; an
	// error is answered 452 4.3.1, so that pressure is met before trouble. Nil admits everything.
	Admit   func(ctx context.Context, size int64) error
	Limits  Limits
	Metrics Metrics
	Log     *slog.Logger
	Clock   func() time.Time // for Submission.Received; deadlines on the network use the network's clock
}

// Server is one listener's server. It serves until Shutdown.
type Server struct {
	cfg    Config
	limits Limits
	tls    *tls.Config
	log    *slog.Logger
	gate   *gate
	rates  rates

	// The library's connection has no way back to a state before EHLO, which STARTTLS needs (RFC 3207
	// §4.2). So clear and secured dialogues are two servers: a secured connection starts anew.
	clear, secured   *smtp.Server
	clearIn, secreIn *handoff

	ctx      context.Context
	cancel   context.CancelFunc
	messages counter // being taken: those of BDAT run beside their connection
	servers  sync.WaitGroup
	accept   sync.WaitGroup

	mu        sync.Mutex
	listeners map[net.Listener]bool
	down      bool
}

// ErrClosed is returned by Serve after Shutdown.
var ErrClosed = errors.New("smtpd: server closed")

// New checks a configuration and makes its Server.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Metrics == nil {
		cfg.Metrics = noMetrics{}
	}
	s := &Server{cfg: cfg, limits: cfg.Limits.orDefaults(), listeners: map[net.Listener]bool{}}
	s.log = cfg.Log.With("listener", string(cfg.Mode))
	s.gate = newGate(s.limits)
	s.rates.perMinute = s.limits.LoginRate
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if cfg.TLS != nil {
		s.tls = cfg.TLS.Clone()
		s.tls.MinVersion = max(s.tls.MinVersion, tls.VersionTLS12) // EP-03
	}
	s.clearIn, s.secreIn = newHandoff(), newHandoff()
	s.clear, s.secured = s.library(false), s.library(true)
	s.run(s.clear, s.clearIn)
	s.run(s.secured, s.secreIn)
	return s, nil
}

func (c Config) check() error {
	switch c.Mode {
	case Peer, Submission, SubmissionTLS:
	default:
		return fmt.Errorf("smtpd: no mode %q", c.Mode)
	}
	switch {
	case c.Domain == "":
		return errors.New("smtpd: no domain to greet with")
	case c.Directory == nil, c.Spool == nil, c.Intake == nil:
		return errors.New("smtpd: directory, spool and intake are required")
	case c.Mode != Peer && c.TLS == nil:
		return fmt.Errorf("smtpd: mode %s needs a TLS certificate (EP-02)", c.Mode)
	case c.Mode != Peer && c.Auth == nil:
		return fmt.Errorf("smtpd: mode %s needs an authenticator", c.Mode)
	}
	return nil
}

// library sets up the SMTP library for clear or for secured connections.
func (s *Server) library(secured bool) *smtp.Server {
	l := smtp.NewServer(smtp.BackendFunc(s.newSession))
	l.Domain = s.cfg.Domain
	l.MaxMessageBytes = s.limits.Message
	l.MaxRecipients = s.limits.Recipients
	l.MaxLineLength = 0 // the wire limits lines: the library would end the session over a long line of DATA
	l.ErrorLog = quiet{s.log}
	l.AllowInsecureAuth = secured // the wire's TLS is invisible to the library
	if !secured {
		l.TLSConfig = s.tls // announces STARTTLS; the wire carries it out
	}
	return l
}

// run lets one of the library's servers take its connections from h.
func (s *Server) run(l *smtp.Server, h *handoff) {
	s.servers.Go(func() {
		if err := l.Serve(h); err != nil {
			s.log.Error("smtp server ended", "error", err)
		}
	})
}

// Serve accepts connections from l until Shutdown or until l fails. It closes l.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		l.Close()
		return ErrClosed
	}
	s.listeners[l] = true
	s.accept.Add(1)
	s.mu.Unlock()
	defer s.accept.Done()
	defer l.Close()
	return s.acceptFrom(l)
}

// Shutdown closes the listeners, tells idle peers 421, lets messages in transfer end until ctx is
// done, and then closes what is left. When it returns, every goroutine of the server has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return ErrClosed
	}
	s.down = true
	for l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	s.accept.Wait()
	s.gate.shutdown()

	done := make(chan struct{})
	go func() {
		defer close(done)
		s.gate.wait()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("smtpd: shutdown: connections cut: %w", ctx.Err())
		s.cancel()
		s.gate.cut()
		<-done
	}
	s.cancel()
	s.clearIn.Close()
	s.secreIn.Close()
	s.clear.Close()
	s.secured.Close()
	s.servers.Wait()
	s.messages.wait()
	return err
}

// quiet turns the library's log lines, which may quote a peer, into bounded ones at debug level.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, v ...any) { q.Println(fmt.Sprintf(format, v...)) }

func (q quiet) Println(v ...any) {
	q.log.Debug("smtp library", "says", clean(fmt.Sprint(v...), 2000))
}
