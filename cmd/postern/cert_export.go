package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postern/certs"
	"postern/certs/keyfile"
	"postern/gateway"
)

func certExportCommand() command {
	return command{"cert export", "write a certificate as PEM, DER, PKCS#7 or, with its key, PKCS#12", `Usage: postern cert export ID [--format pem|der|p7b] [--out FILE] [-c FILE]
       postern cert export ID --with-private-key [--format pem] [--out FILE] [-c FILE]
       postern cert export ID --with-private-key --format p12 (--password-file FILE | --password-prompt) [--out FILE] [-c FILE]

ID is the certificate's SHA-256, or its first 8 digits or more (postern cert list). A format of its own:

  pem  the certificate and its chain, as text (this when none is named)
  der  the certificate alone, without its chain
  p7b  the certificate and its chain (PKCS#7, DER)
  p12  both and the private key, under AES-256 and PBKDF2 with 100,000 rounds, as OpenSSL 1.1.1, Java 12 and Windows
       Server 2019 and later read it

--with-private-key gives the private key out and is audited; it cannot be taken back. In PEM it is not encrypted.
--password-file - reads the password from standard input; it has 8 characters or more. --out writes a file that only
you can read, in the place of one that is there; else it goes to standard output, p12 and der not to a terminal.

Exit codes: 0 written, 1 no such certificate, or its key is in a device, 2 used wrongly.
Example: postern cert export 1f0c9a77 --format p7b --out our.p7b
`, runCertExport}
}

// minExportPassword is the shortest password of a PKCS#12 file, in octets: whoever has the file can guess at leisure.
const minExportPassword = 8

// certExport is what cert export was asked for.
type certExport struct {
	in       gateway.ExportArg
	out      string
	password string
}

func runCertExport(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert export")
	file := configFlag(fs)
	x := certExport{}
	fs.BoolVar(&x.in.WithKey, "with-private-key", false, "")
	fs.StringVar(&x.in.Format, "format", "pem", "")
	fs.StringVar(&x.out, "out", "", "")
	pw := passwordFlags{fs.String("password-file", "", ""), fs.Bool("password-prompt", false, "")}
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give the id of one certificate (postern cert list)")
	}
	x.in.ID = rest[0]
	if err := x.check(pw); err != nil {
		return err
	}
	if terminal, ok := c.terminal(); ok && x.in.Format != "pem" && (x.out == "" || x.out == "-") {
		if _, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS); err == nil {
			return usagef("%s is no text: give --out FILE", x.in.Format)
		}
	}
	if x.in.Format == "p12" {
		if x.password, err = pw.read(c); err != nil {
			return err
		}
		if len(x.password) < minExportPassword {
			return usagef("the password of a PKCS#12 file has %d characters or more: whoever has the file can guess at leisure", minExportPassword)
		}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var got gateway.Exported
		if err := call.ask(ctx, "cert.export", x.in, &got); err != nil {
			return err
		}
		octets, err := x.form(got)
		if err != nil {
			return err
		}
		defer clear(octets)
		o, err := c.output(x.out)
		if err != nil {
			return err
		}
		_, err = io.Copy(o, bytes.NewReader(octets))
		return o.done(err)
	})
}

func (x certExport) check(pw passwordFlags) error {
	password := *pw.file != "" || *pw.prompt
	switch {
	case !slices.Contains([]string{"pem", "der", "p7b", "p12"}, x.in.Format):
		return usagef("--format is pem, der, p7b or p12, not %q", x.in.Format)
	case x.in.Format == "p12" && !x.in.WithKey:
		return usagef("a PKCS#12 file is for the private key: --with-private-key gives it out, --format p7b the certificates alone")
	case x.in.WithKey && (x.in.Format == "der" || x.in.Format == "p7b"):
		return usagef("%s holds no private key: --format p12 or pem does", x.in.Format)
	case x.in.Format == "p12" && !password:
		return usagef("give the password of the PKCS#12 file: --password-file FILE, or --password-prompt")
	case x.in.Format != "p12" && password:
		return usagef("only p12 has a password")
	}
	return nil
}

// form is the certificate in the form asked for.
func (x certExport) form(got gateway.Exported) ([]byte, error) {
	var list []*x509.Certificate
	for _, der := range got.Certificates {
		crt, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", x.in.ID, err)
		}
		list = append(list, crt)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("certificate %s: the gateway gave none", strings.ToLower(x.in.ID))
	}
	cred := certs.Credential{Cert: list[0], Chain: list[1:]}
	if x.in.WithKey {
		key, err := x509.ParsePKCS8PrivateKey(got.Key)
		clear(got.Key)
		if err != nil {
			return nil, fmt.Errorf("private key of certificate %s: %w", x.in.ID, err)
		}
		if cred.Key = key; !certs.Owns(key, cred.Cert) {
			return nil, errors.New("the private key does not belong to the certificate")
		}
	}
	switch x.in.Format {
	case "der":
		return cred.Cert.Raw, nil
	case "p7b":
		return keyfile.WritePKCS7(list)
	case "p12":
		return keyfile.WritePKCS12(cred, x.password, false)
	}
	return keyfile.WritePEM(cred, x.in.WithKey)
}
