package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway"
	"postern/smime/addr"
)

func certCommands() []command {
	return []command{
		{"cert list", "our certificates", `Usage: postern cert list [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern cert list
`, runCertList},
		{"cert create", "issue a certificate of the site's pilot authority", `Usage: postern cert create (--domain D | --address A) [--pair] [--key rsa2048|rsa3072|rsa4096|p256] [--days N] [-c FILE]

For pilots and tests: partners must trust the pilot anchor that init wrote. --pair makes a signing and an
encryption certificate instead of one for both. It is published in DNS at once.

Exit codes: 0 made, 1 refused, 2 used wrongly.
Example: postern cert create --address referrals@direct.clinic.example
`, runCertCreate},
		certExportCommand(),
		{"cert retire", "stop signing with and publishing a certificate", `Usage: postern cert retire ID [-c FILE]

ID is the certificate's SHA-256, or its first 8 digits or more. The key goes on decrypting mail under way to it.
One that waits to take its place (cert roll, cert import --replaces) signs at once. The last one of a name leaves DNS
after 5 seconds, in which another can be imported; cert import --replaces OLD --force does both in one change.

Exit codes: 0 retired, 1 refused, 2 used wrongly.
Example: postern cert retire $(postern cert list --json | head -1 | sed 's/.*"id":"//;s/".*//')
`, runCertRetire},
		{"cert pin", "use a partner's certificate without looking it up", `Usage: postern cert pin (ADDRESS|DOMAIN) FILE [-c FILE]

The certificate is found without DNS or LDAP; it is believed no more than one that was discovered.

Exit codes: 0 pinned, 1 refused, 2 used wrongly.
Example: postern cert pin lab@direct.partner.example lab.pem
`, runCertPin},
	}
}

func runCertList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert list")
	file, asJSON := configFlag(fs), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "cert list takes no operands")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var all []gateway.CertInfo
		if err := call.ask(ctx, "cert.list", struct{}{}, &all); err != nil {
			return err
		}
		for _, i := range all {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					gateway.CertInfo
				}{1, i}); err != nil {
					return err
				}
				continue
			}
			use := ""
			if i.CanSign {
				use += "signs "
			}
			if i.CanDecrypt {
				use += "decrypts "
			}
			if i.Published {
				use += "published"
			}
			state := "until " + i.Expires.Format(time.DateOnly)
			switch {
			case !i.Retired.IsZero():
				state = "retired " + i.Retired.Format(time.DateOnly)
				if !i.DecryptsUntil.IsZero() {
					state += ", decrypts until " + i.DecryptsUntil.Format(time.DateOnly)
				}
			case time.Now().Before(i.SignsFrom):
				state += ", signs from " + i.SignsFrom.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(c.out, "%s  %-40s %s  %s\n", i.ID[:16], i.Domain+" "+i.Address, state, use)
			for _, r := range i.Refused {
				fmt.Fprintf(c.out, "  REFUSED by %s itself: it %s (postern trust policy list)\n", i.Domain, r)
			}
		}
		return nil
	})
}

func runCertCreate(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert create")
	file, domain, address := configFlag(fs), fs.String("domain", "", ""), fs.String("address", "", "")
	in := gateway.CertCreate{}
	fs.BoolVar(&in.Pair, "pair", false, "")
	fs.IntVar(&in.Days, "days", 0, "")
	key := fs.String("key", "rsa2048", "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "cert create takes no operands")
	}
	if (*domain == "") == (*address == "") {
		return usagef("give --domain or --address")
	}
	if in.Days < 0 || in.Days > 1095 {
		return usagef("--days is 1 to 1095")
	}
	in.Algorithm = issue.Algorithm(*key)
	var err error
	if *domain != "" {
		in.Domain, err = addr.ParseDomain(*domain)
	} else {
		in.Address, err = addr.Parse(*address)
	}
	if err != nil {
		return usageError{err.Error()}
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var ids []string
		if err := call.ask(ctx, "cert.create", in, &ids); err != nil {
			return err
		}
		fmt.Fprintln(c.out, strings.Join(ids, "\n"))
		return nil
	})
}

func runCertRetire(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert retire")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give the id of one certificate (postern cert list)")
	}
	return c.withSite(ctx, *file, func(call caller) error {
		if err := call.ask(ctx, "cert.retire", rest[0], nil); err != nil {
			return err
		}
		var all []gateway.CertInfo
		if err := call.ask(ctx, "cert.list", struct{}{}, &all); err != nil {
			return err
		}
		c.warnOfGap(all, strings.ToLower(rest[0]), time.Now())
		return nil
	})
}

// warnOfGap says when nothing is left that signs or is published where a retired certificate did.
func (c *console) warnOfGap(all []gateway.CertInfo, retired string, now time.Time) {
	i := slices.IndexFunc(all, func(x gateway.CertInfo) bool { return strings.HasPrefix(x.ID, retired) })
	if i < 0 {
		return
	}
	signs, published := false, false
	for _, x := range all {
		if x.Domain != all[i].Domain || x.Address != "" && x.Address != all[i].Address || !x.Retired.IsZero() || x.Expires.Before(now) {
			continue
		}
		signs = signs || x.CanSign && !x.SignsFrom.After(now)
		published = published || x.Published
	}
	whose := cmp.Or(all[i].Address, all[i].Domain)
	if !signs {
		fmt.Fprintf(c.err, "warning: no certificate signs for %s now, so nothing can be sent (postern cert list)\n", whose)
	}
	if !published {
		fmt.Fprintf(c.err, "warning: no certificate of %s is published now, so nobody can write to it (postern cert create, postern cert import)\n", whose)
	}
}

func runCertPin(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert pin")
	file := configFlag(fs)
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 2 {
		return orUsage(err, "give an address or domain, and a certificate file")
	}
	name := strings.ToLower(rest[0])
	if strings.Contains(name, "@") {
		a, err := addr.Parse(name)
		if err != nil {
			return usageError{err.Error()}
		}
		name = a.Key()
	} else if _, err := addr.ParseDomain(name); err != nil {
		return usageError{err.Error()}
	}
	ders, err := readCertificates(rest[1])
	if err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var print string
		if err := call.ask(ctx, "cert.pin", gateway.StaticArg{Name: name, Certificate: ders[0]}, &print); err != nil {
			return err
		}
		fmt.Fprintln(c.out, print)
		return nil
	})
}

// readCertificates reads the certificates of a PEM or DER file as DER, at least one.
func readCertificates(path string) ([][]byte, error) {
	b, err := readFile(path, keyfile.MaxFile)
	if err != nil {
		return nil, err
	}
	if crt, err := certs.Parse(b); err == nil {
		return [][]byte{crt.Raw}, nil
	}
	content, err := keyfile.Parse(b, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out [][]byte
	for _, cred := range content.Credentials {
		out = append(out, cred.Cert.Raw)
	}
	for _, crt := range content.Others {
		out = append(out, crt.Raw)
	}
	return out, nil
}
