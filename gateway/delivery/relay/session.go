package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// hop is what two sessions must share to be interchangeable.
type hop struct {
	target
	mode       TLSMode
	serverName string
	roots      *x509.CertPool
	login      string
	password   string
}

// session is one connection to a peer, past EHLO, TLS and AUTH.
type session struct {
	hop    hop
	c      *Client
	ctx    context.Context // of the Send that uses it now
	conn   net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	ext    map[string]string // EHLO keywords in upper case
	tls    string
	began  time.Time
	sent   int  // messages
	reused bool // used before by another Send
	broken bool // not to be used again, not even for QUIT
	spent  bool // not to be used again

	allSent atomic.Bool  // the whole message is on its way
	told    atomic.Int64 // when it was first noticed that ctx had ended, in Unix nanoseconds
}

// connect makes a session. On failure it says why; inClear means that only TLS failed and need not
// have been there.
func (d *delivery) connect(t target, a *Attempt) (s *session, failed *Outcome, inClear bool) {
	h := d.hop(t)
	a.Stage = StageConnect
	dialer := net.Dialer{Timeout: d.c.limits.Connect}
	forbidden := false
	if !d.route.Private || d.route.Host == "" {
		dialer.Control = func(network, address string, raw syscall.RawConn) error {
			err := d.c.cfg.Guard.Control(network, address, raw)
			forbidden = err != nil
			return err
		}
	}
	conn, err := dialer.DialContext(d.ctx, "tcp", t.addr.String())
	if err != nil {
		if forbidden {
			return nil, fault(ReasonForbidden, err.Error()), false
		}
		return nil, netFault(err), false
	}
	s = &session{hop: h, c: d.c, ctx: d.ctx, began: time.Now()}
	s.use(conn)
	stop := s.follow(d.ctx)
	defer stop()
	if failed, inClear = s.open(a); failed != nil {
		s.conn.Close()
		return nil, failed, inClear
	}
	a.TLS = s.tls
	return s, nil, false
}

func (s *session) use(conn net.Conn) {
	s.conn = conn
	s.r = bufio.NewReaderSize(conn, 4096)
	s.w = bufio.NewWriterSize(conn, smallBody+4096)
}

// follow makes the end of ctx end whatever the session waits for (see stopAt).
func (s *session) follow(ctx context.Context) (stop func()) {
	s.ctx = ctx
	s.allSent.Store(false)
	s.told.Store(0)
	cancel := context.AfterFunc(ctx, func() { s.conn.SetDeadline(s.stopAt()) })
	return func() { cancel() }
}

// finalPatience is how long the answer to a message is still waited for after ctx ended, once all of it
// was sent: leaving without the answer makes two messages of one.
const finalPatience = 5 * time.Second

// stopAt is when to stop after ctx ended: at once, or a little after the end when only the answer to
// the message is missing.
func (s *session) stopAt() time.Time {
	if !s.allSent.Load() {
		return time.Unix(1, 0)
	}
	s.told.CompareAndSwap(0, time.Now().UnixNano())
	return time.Unix(0, s.told.Load()).Add(finalPatience)
}

// deadline sets the time for what comes next.
func (s *session) deadline(d time.Duration) {
	at := time.Now().Add(d)
	s.conn.SetDeadline(at)
	if s.ctx.Err() == nil {
		return
	}
	if stop := s.stopAt(); stop.Before(at) { // AfterFunc may have run before
		s.conn.SetDeadline(stop)
	}
}

// command sends one line and reads its reply.
func (s *session) command(d time.Duration, line string) (reply, error) {
	s.deadline(d)
	s.w.WriteString(line)
	s.w.WriteString("\r\n")
	if err := s.w.Flush(); err != nil {
		s.broken = true
		return reply{}, err
	}
	return s.read(d)
}

// read reads one reply.
func (s *session) read(d time.Duration) (reply, error) {
	s.deadline(d)
	a, err := readReply(s.r)
	if err != nil {
		s.broken = true
	} else if a.code == 421 {
		s.spent = true
	}
	return a, err
}

// open takes the connection through greeting, EHLO, TLS and AUTH.
func (s *session) open(a *Attempt) (failed *Outcome, inClear bool) {
	if s.hop.mode == Implicit {
		a.Stage = StageTLS
		if err := s.handshake(); err != nil {
			return fault(ReasonTLS, err.Error()), false
		}
	}
	a.Stage = StageGreeting
	if failed := s.greet(); failed != nil {
		return failed, false
	}
	a.Stage = StageHello
	if failed := s.hello(); failed != nil {
		return failed, false
	}
	a.Stage = StageTLS
	if failed, inClear := s.startTLS(a); failed != nil {
		return failed, inClear
	}
	a.Stage = StageLogin
	return s.login(), false
}

func (s *session) greet() *Outcome {
	g, err := s.read(s.c.limits.Command)
	if err != nil {
		return netFault(err)
	}
	if g.code != 220 {
		return g.outcome()
	}
	name, _, _ := strings.Cut(g.lines[0], " ")
	if s.c.isOurName(name) { // it greets with our own name: mail would come straight back
		return fault(ReasonLoop, fmt.Sprintf("%s (%s) greets with our own name", s.hop.host, s.hop.addr))
	}
	return nil
}

func (s *session) hello() *Outcome {
	g, err := s.command(s.c.limits.Command, "EHLO "+s.c.cfg.Hello)
	if err != nil {
		return netFault(err)
	}
	s.ext = map[string]string{}
	if g.code/100 == 5 { // an old server (RFC 5321 §3.2)
		if g, err = s.command(s.c.limits.Command, "HELO "+s.c.cfg.Hello); err != nil {
			return netFault(err)
		}
		g.lines = g.lines[:1]
	}
	if g.code != 250 {
		return g.outcome()
	}
	for _, l := range g.lines[1:] {
		word, args, _ := strings.Cut(l, " ")
		s.ext[strings.ToUpper(word)] = args
	}
	return nil
}

// startTLS secures the session as its mode wants.
func (s *session) startTLS(a *Attempt) (failed *Outcome, inClear bool) {
	_, offered := s.ext["STARTTLS"]
	switch {
	case s.hop.mode == None, s.hop.mode == Implicit, s.hop.noTLS:
		return nil, false
	case !offered && s.hop.mode == Required:
		return fault(ReasonTLS, "the peer does not offer STARTTLS, which this route requires"), false
	case !offered:
		return nil, false
	}
	g, err := s.command(s.c.limits.Command, "STARTTLS")
	if err != nil {
		return netFault(err), s.hop.mode == Opportunistic
	}
	if g.code != 220 {
		if s.hop.mode == Opportunistic && !s.spent {
			return nil, false
		}
		o := g.outcome()
		o.Status, o.Reason = Temporary, ReasonTLS
		return o, false
	}
	if s.r.Buffered() > 0 { // words in clear after 220 would count as said inside TLS
		return fault(ReasonTLS, "the peer sent octets between its 220 and TLS"), false
	}
	if err := s.handshake(); err != nil {
		return fault(ReasonTLS, err.Error()), s.hop.mode == Opportunistic
	}
	a.Stage = StageHello
	return s.hello(), false // RFC 3207 §4.2: what was learnt before TLS is forgotten
}

// handshake makes TLS. In the modes that require TLS the certificate must be valid.
func (s *session) handshake() error {
	cfg := s.c.checkedTLS
	if s.hop.mode == Opportunistic {
		cfg = s.c.anyTLS
	}
	cfg = cfg.Clone()
	cfg.ServerName = s.hop.serverName
	if s.hop.roots != nil {
		cfg.RootCAs = s.hop.roots
		cfg.ClientSessionCache = nil // a session resumed there was judged by other roots
	}
	c := tls.Client(s.conn, cfg)
	s.deadline(s.c.limits.Connect)
	if err := c.HandshakeContext(s.ctx); err != nil {
		return err
	}
	s.use(c)
	st := c.ConnectionState()
	s.tls = tls.VersionName(st.Version) + " " + tls.CipherSuiteName(st.CipherSuite)
	if s.hop.mode == Opportunistic && !valid(st, cfg) {
		s.tls += ", certificate not valid for " + words(s.hop.serverName, 100)
	}
	return nil
}

// valid says, for the record only, whether a certificate taken unseen would have passed.
func valid(st tls.ConnectionState, cfg *tls.Config) bool {
	if len(st.PeerCertificates) == 0 {
		return false
	}
	o := x509.VerifyOptions{Roots: cfg.RootCAs, DNSName: cfg.ServerName, Intermediates: x509.NewCertPool()}
	for _, c := range st.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := st.PeerCertificates[0].Verify(o)
	return err == nil
}

// login authenticates where the route has a login: inside TLS only, with PLAIN or else LOGIN. A login
// that is refused is for an operator to mend, so mail waits.
func (s *session) login() *Outcome {
	if s.hop.login == "" {
		return nil
	}
	if s.tls == "" {
		return fault(ReasonLogin, "a login is set, but the session has no TLS")
	}
	offered := strings.Fields(strings.ToUpper(s.ext["AUTH"]))
	var g reply
	var err error
	switch {
	case contains(offered, "PLAIN"):
		g, err = s.command(s.c.limits.Command, "AUTH PLAIN "+b64("\x00"+s.hop.login+"\x00"+s.hop.password))
	case contains(offered, "LOGIN"):
		for _, line := range []string{"AUTH LOGIN", b64(s.hop.login), b64(s.hop.password)} {
			if g, err = s.command(s.c.limits.Command, line); err != nil || g.code != 334 {
				break
			}
		}
	default:
		return fault(ReasonLogin, "the peer offers neither AUTH PLAIN nor LOGIN")
	}
	if err != nil {
		return netFault(err)
	}
	if g.code != 235 {
		o := g.outcome()
		o.Status, o.Reason = Temporary, ReasonLogin
		return o
	}
	return nil
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// sizeLimit is the peer's announced SIZE, 0 when it named none.
func (s *session) sizeLimit() int64 {
	n, err := strconv.ParseInt(s.ext["SIZE"], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// recipients is how many one transaction may have (RFC 9422 LIMITS, else ours).
func (s *session) recipients() int {
	for _, f := range strings.Fields(s.ext["LIMITS"]) {
		if v, ok := strings.CutPrefix(strings.ToUpper(f), "RCPTMAX="); ok {
			if n, err := strconv.Atoi(v); err == nil && n > 0 {
				return min(n, s.c.limits.Recipients)
			}
		}
	}
	return s.c.limits.Recipients
}

// quit ends the session politely, but does not wait long for the answer.
func (s *session) quit() {
	if !s.broken && !s.spent {
		s.ctx = context.Background()
		s.command(quitPatience, "QUIT") // nothing depends on it
	}
	s.conn.Close()
}

const quitPatience = time.Second
