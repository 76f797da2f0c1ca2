package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"postern/gateway/message"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
	"postern/trust"
)

func openCommand() command {
	return command{
		name:  "open",
		short: "decrypt one message and check who signed it, offline",
		help: `usage: postern open --key CRED [--key CRED]... --anchor FILE... [--at TIME] [--json] [--out FILE] < sealed

Decrypts the sealed message on standard input, verifies its signatures, and asks whether a valid
signer is bound to the sender and trusted by one of the anchors. Only then does the message come
out; of a refused message nothing does. Revocation is not checked: there is no network here.

  --key CRED            certificate and key that decrypt: PKCS#12, or PEM with both
  --anchor FILE         certificates to trust (DER, PEM, PKCS#7); no other ones are
  --in FILE             the sealed message; default standard input
  --out FILE            the opened message; default standard output
  --at TIME             judge at this time (RFC 3339, or a date) instead of now
  --legacy              allow SHA-1 and 3DES, for old evidence
  --password-file FILE  password of the CREDs; default $POSTERN_CERT_PASSWORD
  --json                the verdict as one JSON object on standard output; the message only to --out:
                        "v", "decrypted", "signed", "bound", "trusted", "reason", "explanation",
                        "sender", "signers", "algorithms", "leniencies"

Exit codes: 0 decrypted, signed, bound and trusted; 1 refused; 2 used wrongly; 3 not known yet.

Example: postern open --key clinic.p12 --anchor community.p7b --out letter.eml < sealed.eml
`,
		run: runOpen,
	}
}

// openFlags is the command line of open.
type openFlags struct {
	keys, anchors         listFlag
	in, out, at, password string
	legacy, json          bool
	time                  time.Time
}

func runOpen(ctx context.Context, c *console, args []string) error {
	var f openFlags
	fs := c.flags("open")
	fs.Var(&f.keys, "key", "")
	fs.Var(&f.anchors, "anchor", "")
	fs.StringVar(&f.in, "in", "", "")
	fs.StringVar(&f.out, "out", "", "")
	fs.StringVar(&f.at, "at", "", "")
	fs.StringVar(&f.password, "password-file", "", "")
	fs.BoolVar(&f.legacy, "legacy", false, "")
	fs.BoolVar(&f.json, "json", false, "")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return usagef("%q: the message comes from standard input or --in", rest[0])
	case len(f.keys) == 0:
		return usagef("--key CRED is needed: nothing can be decrypted without one")
	case len(f.anchors) == 0:
		return usagef("--anchor FILE is needed: nobody is trusted without one")
	}
	f.time = time.Now()
	if f.at != "" {
		if f.time, err = parseInstant(f.at); err != nil {
			return usagef("--at %q: %v", f.at, err)
		}
	}
	return f.open(ctx, c)
}

// openAnswer is the JSON of open.
type openAnswer struct {
	V           int              `json:"v"`
	Decrypted   bool             `json:"decrypted"`
	Signed      bool             `json:"signed"`
	Bound       bool             `json:"bound"`
	Trusted     bool             `json:"trusted"`
	Reason      string           `json:"reason"` // "" when everything is as it should be
	Explanation string           `json:"explanation"`
	Sender      string           `json:"sender"`
	Legacy      bool             `json:"legacy_allowed"`
	At          string           `json:"at"`
	Signers     []openSigner     `json:"signers"`
	Algorithms  openAlgorithms   `json:"algorithms"`
	Key         smime.KeyRef     `json:"key"`
	Wrapped     bool             `json:"wrapped"`
	Leniencies  []smime.Leniency `json:"leniencies"`
	notYet      bool
}

type openAlgorithms struct {
	Envelope     string `json:"envelope"`
	Cipher       string `json:"cipher"`
	KeyTransport string `json:"key_transport"`
	Signature    string `json:"signature"`
	Digest       string `json:"digest"`
}

// openSigner is one signer: what cryptography says, and what trust says.
type openSigner struct {
	smime.SignerLine
	SigningTime string       `json:"signing_time,omitempty"`
	Bound       string       `json:"bound"` // address, domain, or nothing
	Trusted     bool         `json:"trusted"`
	TrustReason trust.Reason `json:"trust_reason"`
	Anchor      string       `json:"anchor,omitempty"`
}

func (f *openFlags) open(ctx context.Context, c *console) (err error) {
	keys, err := f.readKeys(c)
	if err != nil {
		return err
	}
	verify := verifyFlags{anchors: f.anchors, legacy: f.legacy}
	evaluator, err := verify.evaluator(f.time)
	if err != nil {
		return err
	}
	in := c.in
	if f.in != "" && f.in != "-" {
		file, err := os.Open(f.in)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	place := &workplace{}
	defer func() { err = errors.Join(err, place.Close()) }()
	answer := openAnswer{V: 1, Legacy: f.legacy, At: f.time.UTC().Format(time.RFC3339), Signers: []openSigner{}, Leniencies: []smime.Leniency{}}
	got, err := smime.Open(in, smime.OpenOptions{Keys: keys, Scratch: place.Scratch, Legacy: f.legacy})
	var refusal *smime.Error
	if errors.As(err, &refusal) {
		answer.refused(refusal)
		return f.show(c, &answer, nil)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, got.Close()) }()
	if err := answer.judge(ctx, evaluator, got, f.time); err != nil {
		return err
	}
	return f.show(c, &answer, got)
}

func (f *openFlags) readKeys(c *console) ([]smime.Key, error) {
	password, err := c.secret(f.password, "POSTERN_CERT_PASSWORD")
	if err != nil {
		return nil, err
	}
	var keys []smime.Key
	for _, name := range f.keys {
		creds, err := readCredentials(name, password)
		if err != nil {
			return nil, err
		}
		for _, cred := range creds {
			keys = append(keys, smime.Key{Cert: cred.Cert, Private: cred.Key})
		}
	}
	return keys, nil
}

// refused fills the answer for a message that was not opened.
func (a *openAnswer) refused(e *smime.Error) {
	a.Reason, a.Explanation = string(e.Reason), smime.Explain(e.Reason)
	a.Decrypted = e.Decrypted
	for _, s := range e.Signers {
		a.Signers = append(a.Signers, signerLine(s))
	}
}

func signerLine(s smime.Signer) openSigner {
	line := openSigner{SignerLine: s.Line()}
	if !s.SigningTime.IsZero() {
		line.SigningTime = s.SigningTime.UTC().Format(time.RFC3339)
	}
	return line
}

// headerFault is what keeps the inner header from being read in one way only; "" when nothing does.
func headerFault(o *smime.Opened) string {
	var ins message.Inspector
	_, err := io.Copy(&ins, io.NewSectionReader(o.Inner, 0, o.Inner.Size()))
	f := ins.Facts()
	if err == nil {
		err = ins.Err()
	}
	if err != nil {
		return err.Error()
	}
	if flaw := f.CheckInner(); flaw != nil {
		return flaw.Error()
	}
	return ""
}

// judge asks for every valid signer whether it is bound to the sender and trusted; one is enough
// (AS-84).
func (a *openAnswer) judge(ctx context.Context, e *trust.Evaluator, o *smime.Opened, at time.Time) error {
	r := o.Report
	a.Decrypted, a.Signed, a.Wrapped, a.Key = true, true, o.Wrapped, r.Key
	a.Algorithms = openAlgorithms{Envelope: r.Envelope, Cipher: r.Cipher, KeyTransport: r.KeyTransport}
	a.Leniencies = append(a.Leniencies, r.Leniencies...)
	if why := headerFault(o); why != "" { // as the gateway judges it: other readers may see another From
		a.Reason, a.Explanation = string(smime.ReasonHeader), why
		return nil
	}
	from, err := addr.ParseList(o.Header.Get("From"))
	if err != nil || len(from) != 1 || len(o.Header.All("From")) != 1 {
		a.Reason, a.Explanation = string(smime.ReasonHeader), "the message does not name exactly one sender in From"
		for _, s := range o.Signers {
			a.Signers = append(a.Signers, signerLine(s))
		}
		return nil
	}
	a.Sender = from[0].String()
	local, err := addr.ParseDomain("command.line") // whose anchors: those of the command line
	if err != nil {
		return err
	}
	for _, s := range o.Signers {
		line := signerLine(s)
		if s.Reason == "" {
			q := trust.Question{Cert: s.Cert, Extra: others(o.Certs, s.Cert), Peer: from[0], Local: local, Direction: trust.Incoming, Time: at}
			d, err := e.Evaluate(ctx, q)
			if err != nil {
				return err
			}
			a.consider(&line, s, d, from[0])
		}
		a.Signers = append(a.Signers, line)
	}
	if a.Trusted {
		a.Reason, a.Explanation = "", ""
	}
	return nil
}

func others(list []*x509.Certificate, c *x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, o := range list {
		if !o.Equal(c) {
			out = append(out, o)
		}
	}
	return out
}

// consider takes over one signer's decision; the first refusal is told when none is trusted.
func (a *openAnswer) consider(line *openSigner, s smime.Signer, d trust.Decision, from addr.Address) {
	line.Bound = trust.Binding(s.Cert, from)
	line.Trusted, line.TrustReason = d.OK(), d.Reason
	if line.Bound != "" {
		a.Bound = true
	}
	if d.OK() {
		line.Anchor = d.Anchor().Subject.String()
		if !a.Trusted {
			a.Trusted = true
			a.Algorithms.Signature, a.Algorithms.Digest = s.Signature, s.Digest
		}
		return
	}
	if a.Reason == "" || line.Bound != "" && a.Reason == string(trust.WrongBinding) {
		a.Reason, a.Explanation, a.notYet = string(d.Reason), d.Reason.Explain(), d.Temporary
	}
}

// show prints the verdict, and the message when everything is as it should be.
func (f *openFlags) show(c *console, a *openAnswer, o *smime.Opened) error {
	good := o != nil && a.Trusted && a.Bound
	if good && (!f.json || f.out != "") {
		out, err := c.output(f.out)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, io.NewSectionReader(o.Inner, 0, o.Inner.Size()))
		if err := out.done(err); err != nil {
			return err
		}
	}
	if f.json {
		if err := c.printJSON(a); err != nil {
			return err
		}
	} else {
		f.explain(c, a, o, good)
	}
	switch {
	case good:
		return nil
	case a.notYet:
		return notYetError{fmt.Errorf("not known yet: %s", a.Explanation)}
	}
	return errShown
}

// explain tells in plain words on standard error; standard output is for the message.
func (f *openFlags) explain(c *console, a *openAnswer, o *smime.Opened, good bool) {
	if o != nil {
		for _, line := range o.Report.Words() {
			fmt.Fprintln(c.err, line)
		}
	}
	for _, s := range a.Signers {
		if s.Trusted {
			fmt.Fprintf(c.err, "The signer is bound to %s by %s and trusted by %s.\n", a.Sender, s.Bound, s.Anchor)
		}
	}
	if f.legacy {
		fmt.Fprintln(c.err, "Legacy algorithms were allowed: SHA-1 and 3DES prove little today.")
	}
	if !good {
		fmt.Fprintf(c.err, "Refused (%s): %s.\n", a.Reason, a.Explanation)
		if a.Reason == string(cms.ReasonLegacy) && !f.legacy {
			fmt.Fprintln(c.err, "For old evidence, --legacy allows it.")
		}
	}
}
