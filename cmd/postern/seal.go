package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"postern/certs"
	"postern/gateway/message"
	"postern/smime"
	"postern/smime/cms"
)

func sealCommand() command {
	return command{
		name:  "seal",
		short: "sign and encrypt one message, offline",
		help: `usage: postern seal --signer CRED --recipient CERT [--recipient CERT]... < message > sealed

Wraps the message on standard input as message/rfc822, signs it and encrypts it for every recipient.
Text with LF line ends gets CRLF; a text that mixes both is refused. Nothing is looked up and
nobody is asked whether the certificates are trusted: "postern trust verify" does that.

  --signer CRED         certificate and key that sign: PKCS#12, or PEM with both
  --recipient CERT      certificate to encrypt for: DER, PEM or PKCS#7
  --in FILE             the message; default standard input
  --out FILE            the sealed message; default standard output
  --cipher NAME         aes-256-cbc (default), aes-192-cbc, aes-128-cbc, aes-256-gcm, aes-128-gcm
  --transport NAME      for RSA keys: oaep (default parameters, the default), oaep-sha256, pkcs1
  --digest NAME         sha-256 (default), sha-384, sha-512
  --at TIME             signing time (RFC 3339, or a date); default now
  --password-file FILE  password of CRED; default $POSTERN_CERT_PASSWORD
  --json                what was done, as one JSON object; needs --out

Exit codes: 0 sealed, 1 failed, 2 used wrongly.

Example: postern seal --signer hospital.p12 --recipient clinic.pem < referral.eml > sealed.eml
`,
		run: runSeal,
	}
}

// sealFlags is the command line of seal.
type sealFlags struct {
	signer, in, out, cipher, transport, digest, at, password string
	recipients                                               listFlag
	json                                                     bool
}

func runSeal(_ context.Context, c *console, args []string) error {
	var f sealFlags
	fs := c.flags("seal")
	fs.StringVar(&f.signer, "signer", "", "")
	fs.Var(&f.recipients, "recipient", "")
	fs.StringVar(&f.in, "in", "", "")
	fs.StringVar(&f.out, "out", "", "")
	fs.StringVar(&f.cipher, "cipher", "aes-256-cbc", "")
	fs.StringVar(&f.transport, "transport", "oaep", "")
	fs.StringVar(&f.digest, "digest", "sha-256", "")
	fs.StringVar(&f.at, "at", "", "")
	fs.StringVar(&f.password, "password-file", "", "")
	fs.BoolVar(&f.json, "json", false, "")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return usagef("%q: the message comes from standard input or --in", rest[0])
	case f.signer == "" || len(f.recipients) == 0:
		return usagef("--signer and at least one --recipient are needed")
	case f.json && f.out == "":
		return usagef("--json needs --out: standard output is for one of them")
	}
	o, err := f.options(c)
	if err != nil {
		return err
	}
	return f.seal(c, o)
}

// options turns names and files into what Seal wants.
func (f *sealFlags) options(c *console) (smime.SealOptions, error) {
	var o smime.SealOptions
	transport := cms.TransportDefault
	switch f.transport {
	case "oaep":
	case "oaep-sha256":
		transport = cms.OAEPSHA256
	case "pkcs1":
		transport = cms.PKCS1v15
	default:
		return o, usagef("--transport %q: oaep, oaep-sha256 or pkcs1", f.transport)
	}
	ciphers := map[string]cms.Cipher{}
	for _, k := range []cms.Cipher{cms.AES256CBC, cms.AES192CBC, cms.AES128CBC, cms.AES256GCM, cms.AES128GCM} {
		ciphers[k.String()] = k
	}
	if o.Cipher = ciphers[f.cipher]; o.Cipher == cms.CipherDefault {
		return o, usagef("--cipher %q: aes-256-cbc, aes-192-cbc, aes-128-cbc, aes-256-gcm or aes-128-gcm", f.cipher)
	}
	digests := map[string]crypto.Hash{"sha-256": crypto.SHA256, "sha-384": crypto.SHA384, "sha-512": crypto.SHA512}
	if o.Digest = digests[f.digest]; o.Digest == 0 {
		return o, usagef("--digest %q: sha-256, sha-384 or sha-512", f.digest)
	}
	o.Now = time.Now()
	if f.at != "" {
		at, err := parseInstant(f.at)
		if err != nil {
			return o, usagef("--at %q: %v", f.at, err)
		}
		o.Now = at
	}
	var err error
	if o.Signer, err = f.identity(c); err != nil {
		return o, err
	}
	for _, name := range f.recipients {
		found, err := readCerts(c, name)
		if err != nil {
			return o, err
		}
		for _, cert := range found {
			if certs.CanReceive(cert) {
				o.Recipients = append(o.Recipients, smime.Recipient{Cert: cert, Transport: transport})
				break
			}
			if cert == found[len(found)-1] {
				return o, fmt.Errorf("%s: no certificate in it is for encryption (key usage)", name)
			}
		}
	}
	return o, nil
}

// identity is the first credential of the file that may sign.
func (f *sealFlags) identity(c *console) (smime.Identity, error) {
	password, err := c.secret(f.password, "POSTERN_CERT_PASSWORD")
	if err != nil {
		return smime.Identity{}, err
	}
	creds, err := readCredentials(f.signer, password)
	if err != nil {
		return smime.Identity{}, err
	}
	for _, cred := range creds {
		if key, ok := cred.Key.(crypto.Signer); ok && cred.CanSign() {
			return smime.Identity{Cert: cred.Cert, Chain: cred.Chain, Key: key}, nil
		}
	}
	return smime.Identity{}, fmt.Errorf("%s: no certificate in it is for signing (key usage)", f.signer)
}

// seal canonicalises the message into the workplace, then seals it to the output.
func (f *sealFlags) seal(c *console, o smime.SealOptions) (err error) {
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
	s, err := place.Scratch()
	if err != nil {
		return err
	}
	defer s.Discard()
	var seen message.Inspector
	if _, err := message.Canonical(io.MultiWriter(s, &seen), in); err != nil {
		return fmt.Errorf("the message: %w", err)
	}
	facts := seen.Facts()
	if facts.Bcc {
		return errors.New("the message has a Bcc field, which a Direct message must not have (AS-34): remove it, and seal one more message for each of those recipients")
	}
	o.EightBit = facts.EightBit
	out, err := c.output(f.out)
	if err != nil {
		return err
	}
	report, err := smime.Seal(out, io.NewSectionReader(s, 0, s.Size()), o)
	if err := out.done(err); err != nil {
		return err
	}
	if f.json {
		return c.printJSON(report)
	}
	if f.out != "" {
		for _, line := range report.Words() {
			fmt.Fprintln(c.err, line)
		}
	}
	return nil
}
