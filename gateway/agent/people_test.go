package agent_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/discover"
	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/gateway/keyring"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

var (
	now    = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	doc    = addr.MustParse("doc@hospital.example")
	intake = addr.MustParse("intake@clinic.example")
	front  = addr.MustParse("front@clinic.example")
	second = addr.MustParse("second@practice.example") // another domain of ours
)

// fake is everything an agent asks, in memory.
type fake struct {
	t        testing.TB
	now      time.Time
	found    map[string]discover.Finding
	findErr  error
	signing  map[string]certs.Credential   // by address key
	keys     map[string][]certs.Credential // by address key
	in, out  map[string][]*x509.Certificate
	policies map[string]agent.Policy
	judge    agent.Judge
}

func (f *fake) Find(_ context.Context, a addr.Address) (discover.Finding, error) {
	if v, ok := f.found[a.WithoutTag().Key()]; ok {
		return v, f.findErr
	}
	return discover.Finding{Status: discover.None}, f.findErr
}

var errNoKey = fmt.Errorf("%w: none is stored", keyring.ErrNoKey)

func (f *fake) Signing(_ context.Context, from addr.Address) (certs.Credential, error) {
	if c, ok := f.signing[from.Key()]; ok {
		return c, nil
	}
	return certs.Credential{}, errNoKey
}

func (f *fake) Decryption(_ context.Context, to addr.Address) ([]certs.Credential, error) {
	return f.keys[to.WithoutTag().Key()], nil
}

func (f *fake) Policy(_ context.Context, d addr.Domain) (agent.Policy, error) {
	return f.policies[d.String()], nil
}

func (f *fake) Anchors(_ context.Context, d addr.Domain, dir trust.Direction) (*trust.AnchorSet, error) {
	if dir == trust.Incoming {
		return trust.NewAnchorSet(f.in[d.String()]), nil
	}
	return trust.NewAnchorSet(f.out[d.String()]), nil
}

func (f *fake) TrustSettings(_ context.Context, d addr.Domain) (trust.Settings, error) {
	return trust.Settings{Legacy: f.policies[d.String()].Legacy}, nil
}

func (f *fake) agent() *agent.Agent {
	clock := func() time.Time { return f.now }
	judge := f.judge
	if judge == nil {
		judge = trust.New(trust.Config{Anchors: f, Settings: f, Clock: clock})
	}
	return &agent.Agent{Finder: f, Judge: judge, Keys: f, Policies: f, Now: clock}
}

func authority(t testing.TB, name string) *issue.Authority {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: name, Algorithm: issue.P256, Now: now.AddDate(-1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func leaf(t testing.TB, ca *issue.Authority, o issue.LeafOptions) certs.Credential {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now.AddDate(0, -1, 0)
	}
	if o.Algorithm == "" {
		o.Algorithm = issue.P256
	}
	c, err := ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func found(cs ...certs.Credential) discover.Finding {
	f := discover.Finding{Status: discover.Found, Location: "dns-address", Name: "name"}
	for _, c := range cs {
		f.Certs = append(f.Certs, c.Cert)
	}
	return f
}

// receiver is a clinic and a practice of ours that trust the hospital's authority.
func receiver(t testing.TB) (*fake, *issue.Authority) {
	ca, own := authority(t, "Hospital anchor"), authority(t, "Own anchor")
	anchors := map[string][]*x509.Certificate{"clinic.example": {ca.Cert}, "practice.example": {ca.Cert}}
	f := &fake{t: t, now: now, in: anchors, out: map[string][]*x509.Certificate{}, policies: map[string]agent.Policy{}, keys: map[string][]certs.Credential{}}
	for _, a := range []addr.Address{intake, front, second} {
		f.keys[a.Key()] = []certs.Credential{leaf(t, own, issue.LeafOptions{Address: a})}
	}
	return f, ca
}

// seal signs and encrypts an inner message for addresses of the receiver.
func (f *fake) seal(who certs.Credential, inner string, to ...addr.Address) []byte {
	f.t.Helper()
	o := smime.SealOptions{Signer: smime.Identity{Cert: who.Cert, Chain: who.Chain, Key: who.Key.(crypto.Signer)}, Now: f.now}
	for _, a := range to {
		o.Recipients = append(o.Recipients, smime.Recipient{Cert: f.keys[a.Key()][0].Cert})
	}
	var b bytes.Buffer
	if _, err := smime.Seal(&b, section(inner), o); err != nil {
		f.t.Fatal(err)
	}
	return b.Bytes()
}

func section(s string) smime.Content {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// mail is an inner message; fields are put into its header.
func mail(fields string) string {
	return crlf(fields + "Subject: x\nMessage-ID: <1@hospital.example>\nMIME-Version: 1.0\nContent-Type: text/plain\n\nHello.\n")
}

// report is an inner notice.
func report(fields string) string {
	return crlf(fields + "Message-ID: <2@hospital.example>\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n" +
		"--b\n\nread\n--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; doc@hospital.example\nDisposition: automatic-action/MDN-sent-automatically; processed\n\n--b--\n")
}

// scratches counts what is made and destroyed.
type scratches struct{ n, live int }

type counted struct {
	smime.Scratch
	s    *scratches
	gone bool
}

func (s *scratches) next() (smime.Scratch, error) {
	m, err := smime.NewMemory()
	s.n++
	s.live++
	return &counted{Scratch: m, s: s}, err
}

func (c *counted) Discard() error {
	if !c.gone {
		c.gone = true
		c.s.live--
	}
	return c.Scratch.Discard()
}

func anchorsOf(ca *issue.Authority) []*x509.Certificate { return []*x509.Certificate{ca.Cert} }
