package smtpd

import (
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"

	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/smime/addr"
)

// session is one peer's dialogue after EHLO, as the library calls it: envelope and rules. A BDAT
// transfer runs beside the dialogue, so the envelope is behind a lock.
type session struct {
	srv  *Server
	conn *smtp.Conn
	w    *wire

	principal string // the login; "" before AUTH, and always on the peer port
	logins    int    // failed ones

	mu   sync.Mutex
	helo string
	from *addr.Address // nil before MAIL; the zero Address is <>
	to   []addr.Address
	org  string // whose the message is; "" is not known yet
	seen map[string]bool
}

// newSession is called at the first EHLO or HELO of a connection (or of its TLS part).
func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	w, ok := c.Conn().(*wire)
	if !ok { // cannot be: the library only ever gets wires
		return nil, ReasonInternal.library()
	}
	ses := &session{srv: s, conn: c, w: w}
	if !heloOK(c.Hostname()) {
		return nil, ses.refuse(ReasonBadHelo)
	}
	return ses, nil
}

// heloOK bounds what a peer calls itself: it stands in logs and traces, and decides nothing.
func heloOK(name string) bool {
	if len(name) > addr.MaxDomain+2 {
		return false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}
	return true
}

func (r Reason) library() *smtp.SMTPError {
	a := r.reply()
	return &smtp.SMTPError{Code: a.code, EnhancedCode: a.enh, Message: a.text}
}

// refuse counts, logs and words a refusal.
func (s *session) refuse(r Reason) error {
	s.srv.refused(s.w, r)
	return r.library()
}

// fault is refuse for an error of ours: the peer gets its class, the log its cause.
func (s *session) fault(what string, err error) error {
	if own := refusal(err); own != nil {
		s.srv.refused(s.w, ReasonIntake)
		return own
	}
	r := ReasonInternal
	if errors.Is(err, spool.ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		r = ReasonDisk
	}
	if errors.Is(err, spool.ErrTooLarge) {
		r = ReasonTooLarge
	}
	s.srv.log.Error(what, "peer", s.w.remote, "session", s.w.id, "error", err)
	return s.refuse(r)
}

func (s *session) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.srv.ctx, s.srv.limits.Backend)
}

// parse reads an address as the library hands it over: a quoted local part has lost its quotes.
func parse(text string) (addr.Address, error) {
	if a, err := addr.Parse(text); err == nil {
		return a, nil
	}
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return addr.Parse(text)
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text[:i])
	return addr.Parse(`"` + quoted + `"` + text[i:])
}

// Mail is MAIL FROM.
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if s.srv.cfg.Mode != Peer {
		switch {
		case !s.w.secure:
			return s.refuse(ReasonTLSRequired)
		case s.principal == "":
			return s.refuse(ReasonAuthRequired)
		}
	}
	if s.principal != "" && !s.srv.rates.take(s.principal, time.Now()) {
		return s.refuse(ReasonLoginRate)
	}
	ctx, cancel := s.context()
	defer cancel()
	var sender addr.Address // stays zero for <>
	if from != "" {
		a, err := parse(from)
		if err != nil {
			return s.refuse(ReasonBadSender)
		}
		sender = a
		if err := s.mayUse(ctx, a, ReasonSenderNotYours); err != nil {
			return err
		}
	}
	org := ""
	if s.srv.cfg.Mode != Peer && !sender.IsZero() {
		var err error
		if org, err = s.whose(ctx, sender.Domain()); err != nil {
			return s.fault("asking whose a domain is failed", err)
		}
	}
	if s.srv.cfg.Admit != nil {
		if err := s.srv.cfg.Admit(ctx, o.Size); err != nil {
			s.srv.log.Warn("not taking mail now", "peer", s.w.remote, "session", s.w.id, "error", err)
			return s.refuse(ReasonPressure)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.helo, s.from, s.to, s.seen, s.org = s.conn.Hostname(), &sender, nil, nil, org
	return nil
}

// whose is the organisation of a domain of ours.
func (s *session) whose(ctx context.Context, d addr.Domain) (string, error) {
	if s.srv.cfg.OrgOf == nil {
		return s.srv.cfg.Org, nil
	}
	return s.srv.cfg.OrgOf(ctx, d)
}

// mayUse checks that a login sends only as the addresses given to it (EP-05). A peer has no login:
// the signature says who sent the message.
func (s *session) mayUse(ctx context.Context, a addr.Address, r Reason) error {
	if s.srv.cfg.Mode == Peer {
		return nil
	}
	ok, err := s.srv.cfg.Directory.MayUse(ctx, s.principal, a)
	if err != nil {
		return s.fault("asking whether a login may use an address failed", err)
	}
	if !ok {
		return s.refuse(r)
	}
	return nil
}

// Rcpt is RCPT TO: judged while the peer waits, so that nothing is accepted and then dropped.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	a, err := parse(to)
	if err != nil {
		return s.refuse(ReasonBadRecipient)
	}
	ctx, cancel := s.context()
	defer cancel()
	verdict, err := s.srv.cfg.Directory.Local(ctx, a)
	switch {
	case err != nil:
		return s.fault("asking for a recipient failed", err)
	case verdict == Known:
	case verdict == Unknown:
		return s.refuse(ReasonUnknown)
	case verdict == NotOurs && s.srv.cfg.Mode != Peer && s.principal != "": // EP-34
	case verdict == NotOurs:
		return s.refuse(ReasonRelay)
	default:
		return s.fault("asking for a recipient failed", errors.New("no such verdict: "+string(verdict)))
	}
	org := ""
	if s.srv.cfg.Mode == Peer {
		if org, err = s.whose(ctx, a.Domain()); err != nil {
			return s.fault("asking whose a domain is failed", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if org != "" {
		if s.org != "" && s.org != org {
			return s.refuse(ReasonSeparately)
		}
		s.org = org
	}
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	if !s.seen[a.Key()] { // the same recipient twice gets the message once
		s.seen[a.Key()] = true
		s.to = append(s.to, a)
	}
	return nil
}

// Reset drops the envelope.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from, s.to, s.seen, s.org = nil, nil, nil, ""
}

// Logout ends the dialogue.
func (s *session) Logout() error {
	s.Reset()
	return nil
}

// orgOrOwn is whose the message is; the server's own organisation when no address told.
func (s *session) orgOrOwn() string {
	if s.org == "" {
		return s.srv.cfg.Org
	}
	return s.org
}

// owner is orgOrOwn for who does not hold the lock.
func (s *session) owner() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orgOrOwn()
}

// submission is the envelope as it stands now.
func (s *session) submission() (message.Submission, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from == nil || len(s.to) == 0 {
		return message.Submission{}, false
	}
	edge := message.EdgeSMTP
	if s.srv.cfg.Mode != Peer {
		edge = message.EdgeSubmission
	}
	return message.Submission{
		Org: s.orgOrOwn(), Edge: edge, EdgeID: s.w.id, Principal: s.principal,
		From: *s.from, Recipients: s.to,
		Peer: s.w.remote, Helo: s.helo, TLS: s.w.tls,
		Received: s.srv.cfg.Clock().UTC().Truncate(time.Millisecond),
	}, true
}
