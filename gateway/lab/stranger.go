package lab

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"postern/certs"
	"postern/certs/issue"
	"postern/smime"
	"postern/smime/addr"
)

// Stranger is a peer that is no gateway of ours: it makes sealed messages of any content, with any
// certificate, and hands them over by SMTP as it likes.
type Stranger struct {
	Authority *issue.Authority
	lab       *Lab
}

// Stranger makes a peer with an authority of its own.
func (l *Lab) Stranger(name string) (*Stranger, error) {
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: name, Algorithm: issue.P256, Now: l.Clock.Now()})
	return &Stranger{ca, l}, err
}

// Anchor is the authority's certificate, PEM.
func (p *Stranger) Anchor() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Authority.Cert.Raw})
}

// Certificate issues a certificate as told; Now and Algorithm may be left out.
func (p *Stranger) Certificate(o issue.LeafOptions) (certs.Credential, error) {
	if o.Now.IsZero() {
		o.Now = p.lab.Clock.Now()
	}
	if o.Algorithm == "" {
		o.Algorithm = issue.P256
	}
	return p.Authority.Leaf(o)
}

// Seal signs an inner message (CRLF) as who and encrypts it for addresses of a site.
func (p *Stranger) Seal(ctx context.Context, who certs.Credential, inner []byte, at *Site, to ...addr.Address) ([]byte, error) {
	o := smime.SealOptions{Signer: smime.Identity{Cert: who.Cert, Chain: who.Chain, Key: who.Key.(crypto.Signer)}, Now: p.lab.Clock.Now()}
	for _, a := range to {
		list, err := at.Ring.Published(ctx, a)
		if err != nil || len(list) == 0 {
			return nil, errors.Join(fmt.Errorf("lab: %s has no certificate", a), err)
		}
		o.Recipients = append(o.Recipients, smime.Recipient{Cert: list[0]})
	}
	var out bytes.Buffer
	_, err := smime.Seal(&out, io.NewSectionReader(bytes.NewReader(inner), 0, int64(len(inner))), o)
	return out.Bytes(), err
}

// Deliver hands a message over as a gateway does: in clear or not makes no difference to what is in it.
// The error of a refusal is or wraps a *smtp.SMTPError.
func (s *Site) Deliver(ctx context.Context, from string, data []byte, to ...string) error {
	return Deliver(ctx, s.SMTP, from, data, to...)
}

// Deliver is the same for a gateway outside a lab that listens at host:port.
func Deliver(ctx context.Context, at, from string, data []byte, to ...string) error {
	c, err := dial(ctx, at)
	if err != nil {
		return err
	}
	defer c.Close()
	return hand(c, from, data, to)
}

// Session is an authenticated submission session of a user.
type Session struct{ c *smtp.Client }

// Submit opens a submission session over STARTTLS with a login.
func (s *Site) Submit(ctx context.Context, login, password string) (*Session, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Submission)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	// The certificate is the self-signed one of init.
	c, err := smtp.NewClientStartTLS(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a lab's own
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := c.Auth(sasl.NewPlainClient("", login, password)); err != nil {
		c.Close()
		return nil, fmt.Errorf("lab: login: %w", err)
	}
	return &Session{c}, nil
}

// Send submits one message.
func (s *Session) Send(from string, data []byte, to ...string) error {
	return hand(s.c, from, data, to)
}

// Close ends the session.
func (s *Session) Close() error { return s.c.Quit() }

func dial(ctx context.Context, at string) (*smtp.Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return smtp.NewClient(conn), nil
}

func hand(c *smtp.Client, from string, data []byte, to []string) error {
	if err := c.Mail(from, nil); err != nil {
		return fmt.Errorf("lab: MAIL: %w", err)
	}
	for _, r := range to {
		if err := c.Rcpt(r, nil); err != nil {
			return errors.Join(fmt.Errorf("lab: RCPT: %w", err), c.Reset())
		}
	}
	w, err := c.Data()
	if err != nil {
		return fmt.Errorf("lab: DATA: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("lab: DATA: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("lab: end of DATA: %w", err)
	}
	return nil
}
