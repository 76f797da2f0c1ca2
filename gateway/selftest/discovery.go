package selftest

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postern/certs/discover"
	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/gateway/edge/ldapd"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// scenario is one recipient of the one message.
type scenario struct {
	id, title string
	address   addr.Address
	target    *x509.Certificate // nil = must not be sent
	location  discover.Location // where the target stands
	reason    string            // of a refusal; "" = any
}

// stage lays the scenarios out in the run's internet, one place at a time. The first fault sticks.
type stage struct {
	*pki
	ctx       context.Context
	off       without
	err       error
	scenarios []scenario
	revoked   []*x509.Certificate
	padding   []string
}

func (s *stage) note(err error) {
	if s.err == nil {
		s.err = err
	}
}

func domain(n string) addr.Domain { return addr.MustDomain("direct" + n + ".selftest.example") }

func person(id string, d addr.Domain) addr.Address {
	return addr.MustParse(strings.ToLower(id) + "@" + d.String())
}

// valid and expired make certificates bound to the address or, for a zero address, to the domain.
func (s *stage) valid(a addr.Address, d addr.Domain) *x509.Certificate {
	return s.make(s.root, issue.LeafOptions{Address: a, Domain: d})
}

func (s *stage) expired(a addr.Address, d addr.Domain) *x509.Certificate {
	return s.make(s.root, issue.LeafOptions{Address: a, Domain: d, Now: s.now.AddDate(-2, 0, 0), Life: 365 * 24 * time.Hour})
}

func (s *stage) make(by *issue.Authority, o issue.LeafOptions) *x509.Certificate {
	if !o.Address.IsZero() {
		o.Domain = addr.Domain{}
	}
	c, err := s.leaf(by, o)
	s.note(err)
	return c
}

func (s *stage) dns(d addr.Domain, a addr.Address, list ...*x509.Certificate) {
	for _, c := range list {
		s.net.Certificate(d, a, c)
	}
}

func (s *stage) ldap(d addr.Domain, priority, weight uint16, entries ...ldapd.Entry) {
	s.note(s.net.Directory(s.ctx, d, priority, weight, entries...))
}

func entry(mail fmt.Stringer, list ...*x509.Certificate) ldapd.Entry {
	return ldapd.Entry{Mail: mail.String(), Certs: list}
}

func (s *stage) expect(id, title string, a addr.Address, target *x509.Certificate, at discover.Location) {
	s.scenarios = append(s.scenarios, scenario{id: id, title: title, address: a, target: target, location: at})
}

func (s *stage) refuse(id, title string, a addr.Address, reason string) {
	s.scenarios = append(s.scenarios, scenario{id: id, title: title, address: a, reason: reason})
}

var nobody addr.Address

// first lays out D1 to D8: expired certificates beside good ones, in DNS and LDAP.
func (s *stage) first() {
	d1, d2, d4, d5 := domain("1"), domain("2"), domain("4"), domain("5")
	a1, a2, a3, a4 := person("D1", d1), person("D2", d1), person("D3", d2), person("D4", d2)
	a5, a6, a7, a8 := person("D5", d1), person("D6", d4), person("D7", d2), person("D8", d5)

	t1, t2 := s.valid(a1, d1), s.valid(nobody, d1)
	old1 := s.expired(nobody, d1)
	s.dns(d1, a1, t1)
	s.dns(d1, nobody, old1, t2)
	s.dns(d1, a5, s.expired(a5, d1))
	s.ldap(d1, 0, 0, entry(a1, s.expired(a1, d1)), entry(a2, s.expired(a2, d1)), entry(d1, old1))
	s.expect("D1", "address certificate in DNS, expired ones elsewhere", a1, t1, discover.DNSAddress)
	s.expect("D2", "domain certificate in DNS beside an expired one", a2, t2, discover.DNSDomain)
	s.refuse("D5", "expired address certificate in DNS, a good one at the domain: no falling back", a5, "expired")

	t3, t4 := s.valid(a3, d2), s.valid(nobody, d2)
	s.ldap(d2, 0, 0, entry(a3, t3), entry(d2, s.expired(nobody, d2), t4), entry(a7, s.expired(a7, d2)))
	s.expect("D3", "address certificate in LDAP", a3, t3, discover.LDAPAddress)
	s.expect("D4", "domain certificate in LDAP beside an expired one", a4, t4, discover.LDAPDomain)
	s.refuse("D7", "expired address certificate in LDAP, a good one at the domain: no falling back", a7, "expired")

	s.dns(d4, nobody, s.expired(nobody, d4))
	s.refuse("D6", "expired domain certificate in DNS", a6, "expired")
	s.ldap(d5, 0, 0, entry(d5, s.expired(nobody, d5)))
	s.refuse("D8", "expired domain certificate in LDAP", a8, "expired")
}

// second lays out D9 to D16: several certificates and several, dead or empty directories.
func (s *stage) second() {
	d3, d6, d7, d8, d11, d12, d13, d14 := domain("3"), domain("6"), domain("7"), domain("8"), domain("11"), domain("12"), domain("13"), domain("14")
	a9, a10, a11, a12 := person("D9", d6), person("D10", d3), person("D11", d7), person("D12", d8)
	a13, a14, a15, a16 := person("D13", d11), person("D14", d14), person("D15", d12), person("D16", d13)

	t9 := s.valid(a9, d6)
	s.dns(d6, a9, s.expired(a9, d6), t9)
	s.expect("D9", "valid and expired certificate at one name", a9, t9, discover.DNSAddress)

	t10 := s.valid(a10, d3)
	s.note(s.net.DeadDirectory(d3, 0, 0))
	s.ldap(d3, 1, 0, entry(a10, t10))
	s.expect("D10", "first directory unreachable, the second has it", a10, t10, discover.LDAPAddress)

	s.net.Domain(d7)
	s.refuse("D11", "nothing in DNS, no directory", a11, agent.ReasonNotFound)
	s.note(s.net.DeadDirectory(d8, 0, 0))
	s.refuse("D12", "nothing in DNS, the only directory unreachable", a12, agent.ReasonUnknown)
	s.ldap(d11, 0, 0)
	s.refuse("D13", "nothing in DNS, directory without the entry", a13, agent.ReasonNotFound)

	t14 := s.make(s.root, issue.LeafOptions{Address: a14, AIA: s.padding})
	s.dns(d14, a14, t14)
	s.expect("D14", fmt.Sprintf("answer of %d octets: truncated over UDP, whole over TCP", len(t14.Raw)), a14, t14, discover.DNSAddress)

	t15 := s.valid(a15, d12)
	s.ldap(d12, 0, 0, entry(a15, t15))
	s.ldap(d12, 1, 0, entry(a15, s.expired(a15, d12)))
	s.expect("D15", "directory of lower priority number first", a15, t15, discover.LDAPAddress)

	t16 := s.valid(a16, d13)
	s.ldap(d13, 0, 0, entry(a16, s.valid(a16, d13)))
	s.ldap(d13, 0, 100, entry(a16, t16))
	s.expect("D16", "equal priority: highest weight first", a16, t16, discover.LDAPAddress)
}

// third lays out D17 and D18, and the scenarios of our own.
func (s *stage) third() {
	d9, d10, p := domain("9"), domain("10"), domain("20")
	a17, a18 := person("D17", d9), person("D18", d10)

	t17, bad1, bad2 := s.valid(a17, d9), s.valid(a17, d9), s.valid(a17, d9)
	s.revoked = append(s.revoked, bad1, bad2)
	s.dns(d9, a17, bad1, t17, bad2)
	s.dns(d9, nobody, s.valid(nobody, d9))
	s.expect("D17", "valid certificate beside two revoked ones", a17, t17, discover.DNSAddress)

	t18 := s.make(s.sub, issue.LeafOptions{Address: a18, AIA: []string{s.net.URL("/sub.cer")}})
	s.dns(d10, a18, t18)
	s.dns(d10, nobody, s.expired(nobody, d10))
	s.expect("D18", "issuer only at its AIA address", a18, t18, discover.DNSAddress)

	p1, p2, p3, p4 := person("P1", p), person("P2", p), person("P3", p), addr.MustParse("Jo.Doe+lab@"+p.String())
	s.dns(p, p1, s.valid(person("other", p), p))
	s.refuse("P1", "certificate of another address at the address's name", p1, string(trust.WrongBinding))
	s.dns(p, p2, s.make(s.foreign, issue.LeafOptions{Address: p2}))
	s.refuse("P2", "certificate of an authority that is not trusted", p2, string(trust.Untrusted))
	s.dns(p, p3, s.make(s.root, issue.LeafOptions{Address: p3, Use: issue.Sign}))
	s.refuse("P3", "certificate for signing only", p3, string(trust.KeyUsage))
	t4 := s.valid(addr.MustParse("jo.doe@"+p.String()), p)
	s.dns(p, addr.MustParse("jo.doe@"+p.String()), t4)
	s.expect("P4", "capitals, a dot and a +tag in the address", p4, t4, discover.DNSAddress)
}

// discovery plays D1 to D18 and P1 to P4 as one message.
func discovery(ctx context.Context, w without) (out []Outcome, err error) {
	now := time.Now()
	p, err := newPKI(ctx, now, w.quick)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := p.net.Close(); err == nil && e != nil {
			err = e
		}
	}()
	s := &stage{pki: p, ctx: ctx, off: w}
	for i := range 12 { // makes a certificate too large for UDP; nobody needs to fetch these
		s.padding = append(s.padding, p.net.URL(fmt.Sprintf("/padding/%02d/%s", i, strings.Repeat("x", 60))))
	}
	s.first()
	s.second()
	s.third()
	s.note(p.publishLists(s.revoked...))
	s.note(p.net.Start(ctx))
	if s.err != nil {
		return nil, s.err
	}
	return s.send()
}

// send seals one message for everybody and compares.
func (s *stage) send() ([]Outcome, error) {
	from := addr.MustParse("sender@hisp.selftest.example")
	a, err := s.agent(s.off, from)
	if err != nil {
		return nil, err
	}
	var to []addr.Address
	var header []string
	for _, sc := range s.scenarios {
		to = append(to, sc.address)
		header = append(header, sc.address.String())
	}
	text := "From: " + from.String() + "\r\nTo: " + strings.Join(header, ",\r\n ") + "\r\nSubject: selftest\r\nMessage-ID: <selftest@hisp.selftest.example>\r\nDate: " +
		s.now.Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nselftest\r\n"
	var sealed bytes.Buffer
	began := time.Now()
	got, err := a.Seal(s.ctx, agent.Outbound{From: from, Recipients: to, Content: section(text), Purpose: trust.Mail},
		func() (io.Writer, error) { return &sealed, nil })
	if err != nil {
		return nil, err
	}
	return s.compare(got, time.Since(began)), nil
}

func section(text string) smime.Content {
	return io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
}

// compare judges each verdict, and each certificate that the sealed message is encrypted to.
func (s *stage) compare(got agent.Sealed, took time.Duration) []Outcome {
	encrypted := map[string]bool{}
	for _, e := range got.Envelopes {
		for _, r := range e.Report.Recipients {
			encrypted[r.Cert.SHA256] = true
		}
	}
	var out []Outcome
	for i, sc := range s.scenarios {
		v := got.Verdicts[i]
		o := Outcome{ID: sc.id, Title: sc.title, Took: took / time.Duration(len(s.scenarios)), Evidence: evidence(v)}
		if sc.target == nil {
			o.Expected, o.Got = "not sent: "+sc.reason, "not sent: "+v.Reason
			o.Pass = !v.OK && v.Reason == sc.reason
			if v.OK {
				o.Got = "sent, encrypted to " + short(v.Cert)
			}
		} else {
			want := fingerprint(sc.target)
			o.Expected = fmt.Sprintf("encrypted to %s, found at %s", short(want), sc.location)
			o.Got = fmt.Sprintf("encrypted to %s, found at %s", short(v.Cert), v.Location)
			o.Pass = v.OK && v.Cert == want && v.Location == string(sc.location) && encrypted[want]
			if !v.OK {
				o.Got = "not sent: " + v.Reason
			}
			delete(encrypted, want)
		}
		out = append(out, o)
	}
	return append(out, s.nobodyElse(encrypted))
}

// nobodyElse is the last word: no certificate but the targets may open the message.
func (s *stage) nobodyElse(left map[string]bool) Outcome {
	o := Outcome{ID: "P5", Title: "one message to all: encrypted to the right certificates and no other",
		Expected: "no other certificate", Got: "no other certificate", Pass: len(left) == 0}
	var rest []string
	for fp := range left {
		rest = append(rest, short(fp))
	}
	if slices.Sort(rest); len(rest) > 0 {
		o.Got = "also " + strings.Join(rest, ", ")
	}
	return o
}

// evidence is the discovery's steps and the refusal in words.
func evidence(v agent.Verdict) []string {
	var out []string
	var t discover.Trace
	if json.Unmarshal(v.Discovery, &t) == nil {
		for _, s := range t.Steps {
			out = append(out, fmt.Sprintf("%s %s: %s (%s)", s.Location, s.Name, s.Answer, s.Verdict))
		}
	}
	if v.Detail != "" {
		out = append(out, v.Detail)
	}
	return out
}
