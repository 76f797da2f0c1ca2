package ldapcert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/ldapwire"
	"postern/smime/cms"

	ldap "github.com/go-ldap/ldap/v3"
)

// session is one connection to one server.
type session struct {
	cfg  Config
	ldap *ldap.Conn
	raw  *ldapwire.Conn
	stop func() bool
}

func newSession(ctx context.Context, conn net.Conn, cfg Config) *session {
	raw := ldapwire.NewConn(conn, ldapwire.Limits{Message: MaxMessage, Elements: MaxElements, Total: MaxBytes})
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline) // a dead connection fails the first operation; nothing else to do here
	}
	s := &session{cfg: cfg, raw: raw, ldap: ldap.NewConn(raw, false)}
	s.stop = context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	s.ldap.SetTimeout(cfg.Timeout)
	s.ldap.Start()
	return s
}

func (s *session) close() {
	s.stop()
	s.raw.Conn.SetDeadline(time.Now().Add(time.Second)) // the library writes nothing on closing, but waits for its reader
	s.ldap.Close()
}

// Attributes asked for (CD-37).
var certAttributes = []string{"userCertificate;binary", "userCertificate", "userSMIMECertificate;binary", "userSMIMECertificate"}

// search binds, learns the base DNs and searches each. It ends with the first server's own verdict:
// certificates, none, or an error that makes the next server's turn.
func (s *session) search(a *Answer, mail string) ([]*x509.Certificate, error) {
	if err := s.bind(); err != nil {
		return nil, err
	}
	bases, err := s.bases()
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	var closed error
	open := 0
	for i, base := range bases { // CD-35: every value
		if i == MaxBases {
			a.note("only %d of %d base DNs were searched", MaxBases, len(bases))
			break
		}
		more, err := s.entries(a, base, mail)
		switch {
		case ldap.IsErrorAnyOf(err, closedCodes...):
			closed = fmt.Errorf("search under %q: %w", clip(base), err)
			a.note("%v", closed)
			continue
		case err != nil:
			return nil, fmt.Errorf("search under %q: %w", clip(base), s.because(err))
		}
		open++
		for _, c := range more {
			if len(found) < MaxCerts && !contains(found, c) {
				found = append(found, c)
			}
		}
	}
	if open == 0 && closed != nil {
		return nil, closed
	}
	return found, nil
}

// closedCodes are how servers say that a base is not for strangers. Directories that name their own configuration
// among their bases close those and leave the one with the certificates open (QUIRK: Active Directory, ApacheDS).
var closedCodes = []uint16{ldap.LDAPResultOperationsError, ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired,
	ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnwillingToPerform}

// bind is anonymous: empty DN and password (CD-34).
func (s *session) bind() error {
	_, err := s.ldap.SimpleBind(&ldap.SimpleBindRequest{AllowEmptyPassword: true})
	if err == nil {
		return nil
	}
	if ldap.IsErrorAnyOf(err, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultInvalidCredentials,
		ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultConfidentialityRequired) {
		return fmt.Errorf("server wants credentials: %w", err)
	}
	return fmt.Errorf("anonymous bind: %w", s.because(err))
}

// bases is the namingContexts of the RootDSE (CD-35); a server without any is passed by.
func (s *session) bases() ([]string, error) {
	root, err := s.ldap.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, s.seconds(), false,
		"(objectClass=*)", []string{"namingContexts"}, nil))
	if err != nil {
		return nil, fmt.Errorf("RootDSE: %w", s.because(err))
	}
	var out []string
	for _, e := range root.Entries {
		for _, attr := range e.Attributes {
			if strings.EqualFold(attr.Name, "namingContexts") {
				out = append(out, attr.Values...)
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("server names no base DN (namingContexts)")
	}
	return out, nil
}

// entries is one subtree search (CD-36). The mail value comes from an address and may hold filter
// characters: it is escaped (RFC 4515 §3).
func (s *session) entries(a *Answer, base, mail string) ([]*x509.Certificate, error) {
	got, err := s.ldap.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, MaxEntries, s.seconds(), false,
		"(mail="+ldap.EscapeFilter(mail)+")", certAttributes, nil))
	switch {
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultReferral):
		return nil, nil // a base that is not here; referrals are not followed (CD-39)
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) && got != nil && len(got.Entries) > 0:
		a.note("more than %d entries for %s; the first are used", MaxEntries, mail)
	case err != nil:
		return nil, err
	}
	var out []*x509.Certificate
	for i, e := range got.Entries {
		if i == MaxEntries {
			break
		}
		for _, attr := range e.Attributes {
			out = append(out, s.values(a, attr)...)
		}
	}
	return out, nil
}

// values reads one attribute's certificates; one that cannot be read does not hide the others (CD-62).
func (s *session) values(a *Answer, attr *ldap.EntryAttribute) []*x509.Certificate {
	base, _, _ := strings.Cut(strings.ToLower(attr.Name), ";") // CD-61
	var out []*x509.Certificate
	for i, value := range attr.ByteValues {
		if i == MaxCerts {
			break
		}
		switch base {
		case "usercertificate":
			cert, err := certs.Parse(value)
			if err != nil {
				a.note("a value of %s is no certificate: %v", clip(attr.Name), err)
				continue
			}
			out = append(out, cert)
		case "usersmimecertificate":
			bundle, _, err := cms.ParseBundle(value)
			if err != nil {
				a.note("a value of %s is no bundle: %v", clip(attr.Name), err)
				continue
			}
			for _, c := range bundle {
				if !c.IsCA {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

func (s *session) seconds() int { return max(1, int(s.cfg.Timeout/time.Second)) }

// because is the reason the connection was cut, if that is what the library stumbled over.
func (s *session) because(err error) error {
	if cut := s.raw.Cut(); cut != nil {
		return cut
	}
	return err
}

func contains(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, have := range list {
		if have.Equal(c) {
			return true
		}
	}
	return false
}

// clip keeps a stranger's words short in our notes.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
