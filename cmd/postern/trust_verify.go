package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"postern/smime/addr"
	"postern/smime/cms/armour"
	"postern/trust"
	"postern/trust/bundle"
	"postern/trust/chain"
	"postern/trust/fetch"
	"postern/trust/revoke"
)

// trustVerifyCommand makes one path decision and explains it.
func trustVerifyCommand() command {
	return command{
		name:  "trust verify",
		short: "decide whether one certificate is trusted, and explain why",
		help: `usage: postern trust verify --anchor FILE... [--intermediate FILE...] [--crl FILE...] [--at TIME]
                           [--address A] [--use sign|encrypt] [--policy NAME|FILE...] [--legacy] [--hard-fail]
                           [--online] [--allow PREFIX...] [--json] CERT

Decides whether CERT has a valid path to one of the anchors, step by step: key, dates, usage,
binding to the address, path, revocation. Files are DER, PEM or PKCS#7 (several certificates in
one file are fine); lists are DER or PEM; "-" as CERT is standard input.

  --anchor FILE        certificates to trust; no other ones are
  --intermediate FILE  certificates that may stand between
  --crl FILE           revocation lists
  --at TIME            judge at this time (RFC 3339, or a date) instead of now
  --address A          also ask that the certificate is bound to this address
  --use sign|encrypt   what it is to be used for; without it either will do
  --policy NAME|FILE   also ask this policy: a ready-made one, or a file (postern trust policy test --help)
  --legacy             allow SHA-1 signatures below the anchor, for old evidence
  --hard-fail          what cannot be checked for revocation is not trusted
  --online             fetch missing issuers, lists and OCSP answers
  --allow PREFIX       with --online: also from this private range, such as 127.0.0.0/8
  --json               one JSON object: "v", "trusted", "reason", "detail", "chain", "trace" …

Exit codes: 0 trusted, 1 refused, 2 used wrongly, 3 not known yet: try again.

Example: postern trust verify --anchor community.p7b --address dr@clinic.example signer.pem
`,
		run: runTrustVerify,
	}
}

// verifyFlags is the command line of trust verify.
type verifyFlags struct {
	anchors, intermediates, crls, allow, policies listFlag
	at, address, use                              string
	legacy, hardFail, online, json                bool
	cert                                          string
}

func parseVerify(c *console, args []string) (*verifyFlags, error) {
	var f verifyFlags
	fs := c.flags("trust verify")
	fs.Var(&f.anchors, "anchor", "")
	fs.Var(&f.intermediates, "intermediate", "")
	fs.Var(&f.crls, "crl", "")
	fs.Var(&f.allow, "allow", "")
	fs.Var(&f.policies, "policy", "")
	fs.StringVar(&f.at, "at", "", "")
	fs.StringVar(&f.address, "address", "", "")
	fs.StringVar(&f.use, "use", "", "")
	fs.BoolVar(&f.legacy, "legacy", false, "")
	fs.BoolVar(&f.hardFail, "hard-fail", false, "")
	fs.BoolVar(&f.online, "online", false, "")
	fs.BoolVar(&f.json, "json", false, "")
	files, err := parse(fs, args)
	switch {
	case err != nil:
		return nil, err
	case len(files) != 1:
		return nil, usagef("one CERT is needed, %d were given", len(files))
	case len(f.anchors) == 0:
		return nil, usagef("--anchor FILE is needed: nobody is trusted without one")
	case f.use != "" && f.use != string(trust.Sign) && f.use != string(trust.Encrypt):
		return nil, usagef("--use %q: sign or encrypt", f.use)
	}
	f.cert = files[0]
	return &f, nil
}

func runTrustVerify(ctx context.Context, c *console, args []string) error {
	f, err := parseVerify(c, args)
	if err != nil {
		return err
	}
	q, err := f.question(c)
	if err != nil {
		return err
	}
	e, err := f.evaluator(q.Time)
	if err != nil {
		return err
	}
	d, err := e.Evaluate(ctx, q)
	if err == nil && d.Reason == trust.KeyUsage && f.use == "" {
		q.Use = trust.Encrypt
		d, err = e.Evaluate(ctx, q)
	}
	if err != nil {
		return err
	}
	return f.show(c, d)
}

// question is what is asked, from the flags and files.
func (f *verifyFlags) question(c *console) (trust.Question, error) {
	q := trust.Question{Direction: trust.Incoming, Use: trust.Sign, Time: time.Now(), PathOnly: true}
	q.Local, _ = addr.ParseDomain("command.line") // whose anchors: those of the command line
	if f.use != "" {
		q.Use = trust.Use(f.use)
	}
	if q.Use == trust.Encrypt {
		q.Direction = trust.Outgoing
	}
	if f.at != "" {
		at, err := parseInstant(f.at)
		if err != nil {
			return q, usagef("--at %q: %v", f.at, err)
		}
		q.Time = at
	}
	if f.address != "" {
		a, err := addr.Parse(f.address)
		if err != nil {
			return q, usagef("--address: %v", err)
		}
		q.Peer, q.PathOnly = a, false
	}
	certs, err := readCerts(c, f.cert)
	if err != nil {
		return q, err
	}
	q.Cert, q.Extra = certs[0], certs[1:]
	for _, name := range f.intermediates {
		more, err := readCerts(c, name)
		if err != nil {
			return q, err
		}
		q.Extra = append(q.Extra, more...)
	}
	return q, nil
}

// parseInstant reads RFC 3339 or a date, which means its noon in UTC.
func parseInstant(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, errors.New("not a time; write 2026-06-01T12:00:00Z or 2026-06-01")
	}
	return t.Add(12 * time.Hour), nil
}

// readCerts is the certificates of one file, the first at least.
func readCerts(c *console, name string) ([]*x509.Certificate, error) {
	b, err := readLimited(c, name, bundle.MaxOctets)
	if err != nil {
		return nil, err
	}
	got, err := bundle.Parse(b, bundle.Options{AllowLeaves: true})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, f := range got.Findings {
		if f.Kind == bundle.FindUnparsable {
			fmt.Fprintf(c.err, "postern trust verify: %s: passed over %s: %s\n", name, f.Name, f.Detail)
		}
	}
	return got.Certs, nil
}

func readLimited(c *console, name string, limit int64) ([]byte, error) {
	from := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if st, err := f.Stat(); err == nil && st.IsDir() {
			return nil, fmt.Errorf("%s is a directory: give a file", name)
		}
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: larger than %d octets", name, limit)
	}
	return b, nil
}

// evaluator decides by the anchors and lists of the command line.
func (f *verifyFlags) evaluator(at time.Time) (*trust.Evaluator, error) {
	fixed := trust.Fixed{Settings: trust.Settings{Legacy: f.legacy, RevocationHardFail: f.hardFail}}
	var anchors []*x509.Certificate
	for _, name := range f.anchors {
		certs, err := readCerts(&console{in: bytes.NewReader(nil), err: io.Discard}, name)
		if err != nil {
			return nil, err
		}
		anchors = append(anchors, certs...)
	}
	fixed.Set = trust.NewAnchorSet(anchors)
	for _, name := range f.policies {
		p, err := readPolicy(&console{in: bytes.NewReader(nil)}, name)
		if err != nil {
			return nil, err
		}
		fixed.Policies.Policies = append(fixed.Policies.Policies, p)
	}
	cfg := trust.Config{Anchors: fixed, Settings: fixed, Policies: fixed, Clock: func() time.Time { return at }}
	lists, err := f.lists()
	if err != nil {
		return nil, err
	}
	if f.online {
		guard := &fetch.Guard{}
		for _, p := range f.allow {
			prefix, err := netip.ParsePrefix(p)
			if err != nil {
				return nil, usagef("--allow %q: not a range; write 10.1.0.0/16", p)
			}
			guard.Allow = append(guard.Allow, prefix)
		}
		cfg.Fetcher = fetch.New(fetch.Config{Guard: guard})
	}
	if f.online || len(lists) > 0 || f.hardFail {
		cfg.Revocation = revoke.New(revoke.Config{Fetcher: cfg.Fetcher, Given: lists})
	}
	return trust.New(cfg), nil
}

func (f *verifyFlags) lists() ([]*revoke.List, error) {
	var lists []*revoke.List
	for _, name := range f.crls {
		b, err := readLimited(&console{in: bytes.NewReader(nil)}, name, 2*revoke.MaxListOctets)
		if err != nil {
			return nil, err
		}
		blocks := 0
		for rest := armour.Plain(b); ; blocks++ {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			l, err := revoke.ReadList(bytes.NewReader(block.Bytes))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			lists = append(lists, l)
		}
		if blocks > 0 {
			continue
		}
		l, err := revoke.ReadList(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		lists = append(lists, l)
	}
	return lists, nil
}

// verifyAnswer is the JSON of trust verify.
type verifyAnswer struct {
	V          int               `json:"v"`
	Trusted    bool              `json:"trusted"`
	Reason     trust.Reason      `json:"reason"`
	Detail     string            `json:"detail,omitempty"`
	Temporary  bool              `json:"temporary,omitempty"`
	Bound      string            `json:"bound,omitempty"`
	Chain      []string          `json:"chain,omitempty"`
	SoftFailed bool              `json:"soft_failed,omitempty"`
	Revocation []revoke.Evidence `json:"revocation,omitempty"`
	Trace      trust.Trace       `json:"trace"`
}

func (f *verifyFlags) show(c *console, d trust.Decision) error {
	if f.json {
		a := verifyAnswer{V: 1, Trusted: d.OK(), Reason: d.Reason, Detail: d.Detail, Temporary: d.Temporary, Bound: d.Bound, SoftFailed: d.SoftFailed, Revocation: d.Revocation, Trace: d.Trace}
		for _, cert := range d.Chain {
			a.Chain = append(a.Chain, chain.Label(cert))
		}
		if err := c.printJSON(a); err != nil {
			return err
		}
	} else if err := d.Trace.WriteText(c.out); err != nil {
		return err
	}
	switch {
	case d.OK():
		return nil
	case d.Temporary:
		return notYetError{fmt.Errorf("not known yet: %s", d.Reason.Explain())}
	}
	return errShown
}
