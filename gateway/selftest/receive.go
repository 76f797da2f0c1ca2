package selftest

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
	"postern/trust"
)

// incoming is one scenario of receiving: a letter, and what becomes of it for each of its recipients.
type incoming struct {
	id, title string
	letter
	want   []string         // one a recipient
	signer certs.Credential // of a letter delivered: by whom
	notice int              // processed notices its sender gets
}

// Fates, as the table has them.
const (
	delivered = "delivered"
	unchecked = "delivered, revocation unchecked"
)

func held[R ~string](r R) string  { return "held: " + string(r) }
func waits[R ~string](r R) string { return "waits: " + string(r) }

// post is the receive scenarios in the making. The first fault sticks.
type post struct {
	*pki
	ctx       context.Context
	off       without
	err       error
	partner   *issue.Authority // trusted for what we send only
	old       *issue.Authority
	oldAnchor *issue.Authority  // its certificate as an anchor, past its last day
	twin      *x509.Certificate // made itself and looks like root
	gone      *issue.Authority  // an anchor that is removed
	rotten    *issue.Authority  // an intermediate that its issuer has withdrawn
	before    []incoming        // handed over while gone is still an anchor
	letters   []incoming
	revoked   []certs.Credential
	outdated  []certs.Credential // revoked in a list that is stale
}

var hospital = addr.MustDomain("hospital.selftest.example")

func (s *post) note(err error) {
	if s.err == nil {
		s.err = err
	}
}

// cred issues a certificate with its key. Its revocation list is the issuer's, or the one named.
func (s *post) cred(by *issue.Authority, o issue.LeafOptions, list string) certs.Credential {
	o.Key, o.Organization = s.key, "Selftest"
	if o.Now.IsZero() {
		o.Now = s.now.Add(-24 * time.Hour)
	}
	o.CRL = []string{s.net.URL("/" + list + ".crl")}
	c, err := by.Leaf(o)
	s.note(err)
	return c
}

func (s *post) good(a addr.Address) certs.Credential {
	return s.cred(s.root, issue.LeafOptions{Address: a}, "root")
}

func (s *post) aged(a addr.Address) certs.Credential {
	return s.cred(s.root, issue.LeafOptions{Address: a, Now: s.now.AddDate(-1, 0, 0), Life: 100 * 24 * time.Hour}, "root")
}

// add puts a scenario down: from its own sender, to the clinic, unless the letter says otherwise.
func (s *post) add(id, title, want string, sign func(from addr.Address, l *letter) []certs.Credential) *incoming {
	in := incoming{id: id, title: title, want: strings.Split(want, " / ")}
	in.from = addr.MustParse(strings.ToLower(id) + "@" + hospital.String())
	in.to = []addr.Address{intake(clinicDomain)}
	in.signers = sign(in.from, &in.letter)
	for _, w := range in.want {
		if strings.HasPrefix(w, delivered) {
			in.notice++
			in.signer = in.signers[len(in.signers)-1]
		}
	}
	s.letters = append(s.letters, in)
	return &s.letters[len(s.letters)-1]
}

type creds = []certs.Credential

// bindings lays out R1 to R6: to whom the certificate belongs (AS-10 to AS-12, AS-83).
func (s *post) bindings() {
	domain := s.cred(s.root, issue.LeafOptions{Domain: hospital}, "root")
	s.add("R1", "certificate bound to the address", delivered, func(a addr.Address, _ *letter) creds { return creds{s.good(a)} })
	s.add("R2", "certificate bound to the domain", delivered, func(addr.Address, *letter) creds { return creds{domain} })
	s.add("R3", "certificate of another domain", held(trust.WrongBinding), func(addr.Address, *letter) creds {
		return creds{s.cred(s.root, issue.LeafOptions{Domain: addr.MustDomain("other.selftest.example")}, "root")}
	})
	s.add("R4", "certificate of the parent domain", held(trust.WrongBinding), func(addr.Address, *letter) creds {
		return creds{s.cred(s.root, issue.LeafOptions{Domain: addr.MustDomain("selftest.example")}, "root")}
	})
	s.add("R5", "certificate of another address in the domain", held(trust.WrongBinding), func(addr.Address, *letter) creds {
		return creds{s.good(addr.MustParse("chief@" + hospital.String()))}
	})
	upper := s.add("R6", "all capitals in the sender's address", delivered, func(a addr.Address, _ *letter) creds { return creds{s.good(a)} })
	upper.from = addr.MustParse("R6@" + strings.ToUpper(hospital.String()))
}

// signers lays out R10 to R19: dates, use, and several signers (AS-15, AS-67, AS-84).
func (s *post) severals() {
	s.add("R10", "expired certificate", held(trust.Expired), func(a addr.Address, _ *letter) creds { return creds{s.aged(a)} })
	s.add("R11", "certificate not valid yet", held(trust.NotYetValid), func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.root, issue.LeafOptions{Address: a, Now: s.now.AddDate(0, 0, 2)}, "root")}
	})
	s.add("R12", "certificate for encryption only", held(trust.KeyUsage), func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.root, issue.LeafOptions{Address: a, Use: issue.Encrypt}, "root")}
	})
	s.add("R13", "two signers: an expired one, then a good one", delivered, func(a addr.Address, _ *letter) creds { return creds{s.aged(a), s.good(a)} })
	s.add("R14", "two signers: an untrusted one, then a good one", delivered, func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.foreign, issue.LeafOptions{Address: a}, "foreign"), s.good(a)}
	})
	s.add("R15", "three signers: of another address, revoked, then a good one", delivered, func(a addr.Address, _ *letter) creds {
		bad := s.good(a)
		s.revoked = append(s.revoked, bad)
		return creds{s.good(addr.MustParse("chief@" + hospital.String())), bad, s.good(a)}
	})
	s.add("R16", "two signers, both bad", held(trust.Expired), func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.foreign, issue.LeafOptions{Domain: addr.MustDomain("other.selftest.example")}, "foreign"), s.aged(a)}
	})
}

// paths lays out R20 to R28: anchors and directions (AS-60 to AS-63, AS-86, AS-88).
func (s *post) paths() {
	s.add("R20", "authority that nobody trusts", held(trust.Untrusted), func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.foreign, issue.LeafOptions{Address: a}, "foreign")}
	})
	s.add("R21", "issuer only at its AIA address", delivered, func(a addr.Address, _ *letter) creds {
		c := s.cred(s.sub, issue.LeafOptions{Address: a, AIA: []string{s.net.URL("/sub.cer")}}, "sub")
		c.Chain = nil
		return creds{c}
	})
	s.add("R22", "authority trusted for what we send only", held(trust.Untrusted), func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.partner, issue.LeafOptions{Address: a}, "partner")}
	})
	one := s.add("R23", "the same, a notice about no mail of ours", held(agent.ReasonNoticeOnly), func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.partner, issue.LeafOptions{Address: a}, "partner")}
	})
	one.report, one.envelope = true, "<>"
	s.add("R24", "anchor past its last day", held(trust.AnchorExpired), func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.old, issue.LeafOptions{Address: a}, "old")}
	})
	s.add("R25", "self-made look-alike of an anchor, with its name and key identifier", held(trust.SelfSignedForgery), func(a addr.Address, _ *letter) creds {
		c, err := lookalike(s.root.Cert, a, s.key, s.now)
		s.note(err)
		s.twin = c.Cert
		return creds{c}
	})
	two := s.add("R26", "two domains of ours, of which one trusts the authority", held(trust.Untrusted)+" / "+delivered, func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.foreign, issue.LeafOptions{Address: a}, "foreign")}
	})
	two.to = []addr.Address{intake(clinicDomain), intake(distantDomain)}
	former := s.cred(s.gone, issue.LeafOptions{Domain: hospital}, "gone")
	s.add("R27", "anchor that is removed afterwards", delivered, func(addr.Address, *letter) creds { return creds{former} })
	again := s.add("R28", "the same signer once the anchor is removed", held(trust.Untrusted), func(addr.Address, *letter) creds { return creds{former} })
	again.from = addr.MustParse("R27@" + hospital.String()) // the same sender, written otherwise: the earlier approval is remembered for him
	s.before = append(s.before, s.letters[len(s.letters)-2])
	s.letters = slices.Delete(s.letters, len(s.letters)-2, len(s.letters)-1)
}

// withdrawn lays out R30 to R36: revocation (AS-64, AS-65).
func (s *post) withdrawn() {
	s.add("R30", "revoked certificate", held(trust.Revoked), func(a addr.Address, _ *letter) creds {
		c := s.good(a)
		s.revoked = append(s.revoked, c)
		return creds{c}
	})
	s.add("R31", "certificate of an intermediate that was revoked", held(trust.Revoked), func(a addr.Address, _ *letter) creds {
		return creds{s.cred(s.rotten, issue.LeafOptions{Address: a}, "rotten")}
	})
	for i, place := range []struct{ list, what string }{{"stale", "stale list"}, {"forged", "list signed by another authority"}, {"missing", "no list where the certificate says"}} {
		n := 32 + 2*i
		strict := s.add(fmt.Sprintf("R%d", n), place.what+", strict domain", waits(trust.RevocationUnknown), func(a addr.Address, _ *letter) creds {
			return creds{s.cred(s.root, issue.LeafOptions{Address: a}, place.list)}
		})
		strict.to = []addr.Address{intake(strictDomain)}
		s.add(fmt.Sprintf("R%d", n+1), place.what+", domain that lets it pass", unchecked, func(a addr.Address, _ *letter) creds {
			return creds{s.cred(s.root, issue.LeafOptions{Address: a}, place.list)}
		})
	}
	s.add("R38", "revoked by a list that has gone stale since", held(trust.Revoked), func(a addr.Address, _ *letter) creds {
		c := s.cred(s.root, issue.LeafOptions{Address: a}, "stale")
		s.outdated = append(s.outdated, c)
		return creds{c}
	})
}

// forged lays out R40 to R47: the message itself (AS-80 to AS-87).
func (s *post) forged() {
	sign := func(a addr.Address, _ *letter) creds { return creds{s.good(a)} }
	s.add("R40", "changed after it was signed", held(cms.ReasonDigest), func(a addr.Address, l *letter) creds {
		l.altered = !s.off.tamper
		return sign(a, l)
	})
	s.add("R41", "not signed at all", held(smime.ReasonUnsigned), func(a addr.Address, l *letter) creds {
		l.unsigned = !s.off.tamper
		return sign(a, l)
	})
	s.add("R42", "signer's certificate not in the message, though it is published", held(cms.ReasonNoCertificate), func(a addr.Address, l *letter) creds {
		l.bare = !s.off.tamper
		c := s.good(a)
		s.net.Certificate(hospital, a, c.Cert)
		return creds{c}
	})
	s.add("R43", "encrypted to somebody else", held(cms.ReasonNoKey), func(a addr.Address, l *letter) creds {
		c := s.good(a)
		if l.stray = !s.off.tamper; l.stray {
			l.readers = []cms.Recipient{{Cert: c.Cert}}
		}
		return creds{c}
	})
	double, err := doubles(60, s.sub.Cert, s.foreign.Key, s.now)
	s.note(err)
	s.add("R46", "60 false issuers of the right name and key identifier in front of the true one", delivered, func(a addr.Address, l *letter) creds {
		l.decoys = double
		return creds{s.cred(s.sub, issue.LeafOptions{Address: a}, "sub")}
	})
	s.add("R47", "10,000 certificates in the message", held(cms.ReasonLimit), func(a addr.Address, l *letter) creds {
		n := 10_000
		if s.off.quick {
			n = 1000
		}
		for range n {
			l.decoys = append(l.decoys, s.root.Cert.Raw)
		}
		return creds{s.good(a)}
	})
	other := s.add("R44", "envelope sender that the message does not name", held(agent.ReasonSenderMismatch), sign)
	other.envelope = "r44-else@" + hospital.String()
	blind := s.add("R45", "envelope recipient that the message does not name", held(agent.ReasonNotInHeader), sign)
	blind.to = []addr.Address{addr.MustParse("front@" + clinicDomain.String())}
	blind.rcpt = []addr.Address{intake(clinicDomain)}
}

// receive plays the scenarios: letters over SMTP to a complete gateway, judged by what it writes down of each, by
// its inbox and by the notices it sends.
func receive(ctx context.Context, w without) (out []Outcome, err error) {
	p, err := newPKI(ctx, time.Now(), w.quick)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := p.net.Close(); err == nil && e != nil {
			err = e
		}
	}()
	s := &post{pki: p, ctx: ctx, off: w}
	s.authorities()
	s.bindings()
	s.severals()
	s.paths()
	s.withdrawn()
	s.answered()
	s.forged()
	reply := s.cred(s.root, issue.LeafOptions{Domain: hospital}, "root")
	s.net.Certificate(hospital, addr.Address{}, reply.Cert) // where our notices go
	s.lists()
	if s.err != nil {
		return nil, s.err
	}
	if err := p.net.Start(ctx); err != nil {
		return nil, err
	}
	c, err := s.openClinic(ctx, w)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := c.close(); err == nil && e != nil {
			err = e
		}
	}()
	return s.play(c)
}

func (s *post) authorities() {
	o := issue.AuthorityOptions{Algorithm: issue.P256, Now: s.now.Add(-years)}
	for name, at := range map[string]**issue.Authority{"Partner Root": &s.partner, "Former Root": &s.gone} {
		o.Name = name
		a, err := issue.NewAuthority(o)
		s.note(err)
		*at = a
	}
	o.Name, o.Life = "Old Root", 2*years
	a, err := issue.NewAuthority(o)
	s.note(err)
	s.old, s.oldAnchor = a, a
	if s.err == nil { // what was installed as the anchor ended, not what it issued
		o.Key, o.Life = a.Key, years-24*time.Hour
		s.oldAnchor, err = issue.NewAuthority(o)
		s.note(err)
		o.Key = nil
	}
	o.Name, o.Life, o.CRL = "Rotten Issuing", 0, []string{s.net.URL("/root.crl")}
	s.rotten, err = s.root.Intermediate(o)
	s.note(err)
}

// lists signs the revocation lists: those of each authority, a stale one, and one by the wrong authority.
func (s *post) lists() {
	day := 24 * time.Hour
	end := s.now.Add(-day)
	forger := &issue.Authority{Cert: s.root.Cert, Key: s.foreign.Key} // it bears the right name
	all := append(slices.Clone(s.revoked), certs.Credential{Cert: s.rotten.Cert})
	for _, l := range []struct {
		name     string
		by       *issue.Authority
		from, to time.Time
		who      []certs.Credential
	}{
		{"root", s.root, s.now.Add(-time.Hour), s.now.Add(day), all},
		{"sub", s.sub, s.now.Add(-time.Hour), s.now.Add(day), nil},
		{"foreign", s.foreign, s.now.Add(-time.Hour), s.now.Add(day), nil},
		{"partner", s.partner, s.now.Add(-time.Hour), s.now.Add(day), nil},
		{"old", s.old, s.now.Add(-time.Hour), s.now.Add(day), nil},
		{"gone", s.gone, s.now.Add(-time.Hour), s.now.Add(day), nil},
		{"rotten", s.rotten, s.now.Add(-time.Hour), s.now.Add(day), nil},
		{"stale", s.root, s.now.Add(-3 * day), end, s.outdated},
		{"forged", forger, s.now.Add(-time.Hour), s.now.Add(day), nil},
	} {
		list := issueList{by: l.by}
		for _, c := range l.who {
			list.serials = append(list.serials, c.Cert.SerialNumber)
		}
		if s.err != nil {
			return
		}
		der, err := l.by.RevocationList(1, l.from, l.to, list.serials...)
		s.note(err)
		s.net.File("/"+l.name+".crl", der)
	}
	s.net.File("/sub.cer", s.sub.Cert.Raw)
	s.net.File("/root.cer", s.root.Cert.Raw)
}

// play sends everything and compares.
func (s *post) play(c *clinic) ([]Outcome, error) {
	began := time.Now()
	for _, a := range []struct {
		d        addr.Domain
		a        *issue.Authority
		in, out_ bool
	}{
		{clinicDomain, s.root, true, true}, {clinicDomain, s.partner, false, true}, {clinicDomain, s.oldAnchor, true, false},
		{strictDomain, s.root, true, true},
		{distantDomain, s.foreign, true, false}, {distantDomain, s.root, false, true},
	} {
		if _, err := c.trusts(s.ctx, a.d, a.a, a.in, a.out_); err != nil {
			return nil, err
		}
	}
	gone, err := c.trusts(s.ctx, clinicDomain, s.gone, true, false)
	if err != nil {
		return nil, err
	}
	if err := s.send(c, s.before, 0); err != nil {
		return nil, err
	}
	if err := c.site.As("selftest").AnchorRemove(s.ctx, clinicDomain, gone); err != nil {
		return nil, err
	}
	if err := s.send(c, s.letters, len(s.before)); err != nil {
		return nil, err
	}
	return s.compare(c, time.Since(began))
}

func (s *post) send(c *clinic, list []incoming, already int) error {
	for _, in := range list {
		if err := c.take(s.ctx, in.letter); err != nil {
			return fmt.Errorf("%s: %w", in.id, err)
		}
	}
	return c.rest(s.ctx, already+len(list))
}

// compare judges each letter by the gateway's own record, and by the notices that went out: one to the sender of
// each letter delivered and none to anybody else (AS-90, AS-96).
func (s *post) compare(c *clinic, took time.Duration) ([]Outcome, error) {
	fates, err := c.fates(s.ctx)
	if err != nil {
		return nil, err
	}
	told := c.notices()
	all := append(slices.Clone(s.before), s.letters...)
	var out []Outcome
	for _, in := range all {
		o := Outcome{ID: in.id, Title: in.title, Took: took / time.Duration(len(all))}
		o.Expected = strings.Join(in.want, " / ")
		var got []string
		signed := true
		from := in.mailFrom()
		if from != "" {
			from = addr.MustParse(from).String()
		}
		for i, r := range in.recipients() {
			f, ok := fates[from+" "+r.String()]
			if !ok {
				f.word = "nothing yet"
			}
			got = append(got, f.word)
			o.Evidence = append(o.Evidence, f.evidence...)
			if i < len(in.want) && strings.HasPrefix(in.want[i], delivered) && f.cert != certs.Fingerprint(in.signer.Cert) {
				signed = false
			}
		}
		o.Got = strings.Join(got, " / ")
		if !signed && o.Got == o.Expected {
			o.Got += ", believing another signer"
		}
		notices := told[in.letter.from.String()]
		if notices != in.notice {
			o.Got += fmt.Sprintf(", %d notices to its sender", notices)
		}
		o.Pass = o.Got == o.Expected
		if o.Pass {
			o.Evidence = append(o.Evidence, fmt.Sprintf("notices to its sender: %d", notices))
		}
		out = append(out, o)
	}
	return out, nil
}
