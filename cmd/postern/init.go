package main

import (
	"context"
	"fmt"
	"time"

	"postern/gateway"
	"postern/smime/addr"
)

func initCommand() command {
	return command{"init", "make a new site: configuration, database, keys, pilot certificate", `Usage: postern init DIR --domain D [--hostname H] [--listen HOST] [--base-port N]

Makes a new site in DIR: postern.toml, the master key, the database, a pilot authority with a certificate
for the health domain D, a postmaster inbox and a self-signed TLS certificate. Nothing is overwritten.
It prints the recovery sheet of the master key: keep it on paper, away from the machine.

  --hostname H    our name in SMTP greetings (default: D)
  --base-port N   listen on N (smtp), N+1 (submission), N+2 (submission with TLS), N+3 (dns) and N+4 (web)
                  instead of 25, 587, 465, 53 and 443, which need privileges
  --listen HOST   listen on this address only (default: all)

Exit codes: 0 made, 1 failed, 2 used wrongly.
Example: postern init ./hospital --domain direct.hospital.example --listen 127.0.0.1 --base-port 2500
`, runInit}
}

func runInit(ctx context.Context, c *console, args []string) error {
	fs := c.flags("init")
	domain := fs.String("domain", "", "")
	hostname := fs.String("hostname", "", "")
	host := fs.String("listen", "", "")
	base := fs.Int("base-port", 0, "")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 || *domain == "" {
		return usagef("give one directory and --domain")
	}
	d, err := addr.ParseDomain(*domain)
	if err != nil {
		return usageError{err.Error()}
	}
	if *base < 0 || *base > 65531 {
		return usagef("--base-port is a port from 1 to 65531")
	}
	o := gateway.InitOptions{Dir: rest[0], Domain: d, Hostname: *hostname, Now: time.Now()}
	ports := [5]int{25, 587, 465, 53, 443}
	if *base > 0 {
		ports = [5]int{*base, *base + 1, *base + 2, *base + 3, *base + 4}
	}
	for i, p := range []*string{&o.SMTP, &o.Submission, &o.SubmissionTLS, &o.DNS, &o.Web} {
		*p = fmt.Sprintf("%s:%d", *host, ports[i])
	}
	made, err := gateway.Init(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, `Site made: %s
Its pilot anchor, for partners to trust: %s
Its TLS certificate is self-signed: other gateways do not mind, mail clients will. Replace the files in tls/.

%s
Next:
  postern address add -c %[1]s NAME@%[4]s
  postern trust anchor add -c %[1]s PARTNER-ANCHOR.pem --domain %[4]s
  postern person add -c %[1]s LOGIN --name "YOUR NAME" --role manager --password-prompt
  postern serve -c %[1]s
`, made.Config, made.Anchor, made.Sheet, d)
	return nil
}
