package smtpd

import (
	"bytes"
	"errors"

	"github.com/emersion/go-sasl"
)

// AuthMechanisms is what EHLO announces: nothing to peers, and nothing before TLS (EP-21, EP-23).
func (s *session) AuthMechanisms() []string {
	if s.srv.cfg.Mode == Peer || !s.w.secure {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

// Auth begins an AUTH exchange.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch {
	case s.AuthMechanisms() == nil:
		return nil, s.refuse(ReasonNoMechanism)
	case mechanism == sasl.Plain:
		return &plainServer{s: s}, nil
	case mechanism == sasl.Login:
		return &loginServer{s: s}, nil
	}
	return nil, s.refuse(ReasonNoMechanism)
}

// login checks a name and password. A failure costs one of the session's few tries.
func (s *session) login(name, password string) error {
	const most = 255 // octets of either: nobody's name or password is longer, and hashing costs
	if name == "" || password == "" || len(name) > most || len(password) > most {
		return s.failedLogin(ReasonBadLogin)
	}
	ctx, cancel := s.context()
	defer cancel()
	principal, err := s.srv.cfg.Auth.Login(ctx, name, password, s.w.peer.String())
	switch {
	case err == nil && principal != "":
		if r := s.srv.gate.loggedIn(s.w, principal); r != "" {
			return s.refuse(r)
		}
		s.principal = principal
		s.srv.cfg.Metrics.Login(s.srv.cfg.Mode, true)
		s.srv.log.Info("login", "peer", s.w.remote, "session", s.w.id, "principal", principal)
		return nil
	case errors.Is(err, ErrBadLogin):
		return s.failedLogin(ReasonBadLogin)
	}
	s.srv.log.Warn("login not decided", "peer", s.w.remote, "session", s.w.id, "error", err)
	return s.failedLogin(ReasonLoginLater)
}

func (s *session) failedLogin(r Reason) error {
	s.srv.cfg.Metrics.Login(s.srv.cfg.Mode, false)
	if s.logins++; s.logins >= s.srv.limits.Logins {
		r = ReasonManyLogins
	}
	return s.refuse(r)
}

// plainServer is PLAIN (RFC 4616): authorization identity, NUL, login, NUL, password. go-sasl's server
// words its errors for the peer itself, so this one is used.
type plainServer struct{ s *session }

// Next takes the initial response, or asks for it.
func (p *plainServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil {
		return nil, false, nil
	}
	f := bytes.Split(response, []byte{0})
	if len(f) != 3 {
		return nil, false, p.s.refuse(ReasonBadSASL)
	}
	if len(f[0]) > 0 && !bytes.Equal(f[0], f[1]) { // nobody acts for anybody else here
		return nil, false, p.s.failedLogin(ReasonBadLogin)
	}
	return nil, true, p.s.login(string(f[1]), string(f[2]))
}

// loginServer is LOGIN, which no RFC defines and every old mail program speaks: two prompts, two
// answers; the login may come with the command. go-sasl has only its client.
type loginServer struct {
	s     *session
	name  string
	asked bool
}

// Next takes the login, then the password.
func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	switch {
	case response == nil && !l.asked:
		return []byte("Username:"), false, nil
	case !l.asked:
		l.name, l.asked = string(response), true
		return []byte("Password:"), false, nil
	}
	return nil, true, l.s.login(l.name, string(response))
}
