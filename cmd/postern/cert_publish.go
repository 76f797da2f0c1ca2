package main

import (
	"context"
	"fmt"
	"net"
	"sort"
	"strconv"
	"time"

	"postern/certs/dnsclient"
	"postern/certs/ldapcert"
	"postern/certs/survey"
	"postern/gateway"
	"postern/smime/addr"
)

const certPublishHelp = `Usage: postern cert publish --check [DOMAIN] [--resolver HOST:PORT]... [--allow CIDR]... [--port N] [-c FILE] [--json]

Certificates are published by themselves as soon as they are created or imported. --check looks at the
domains hosted here from outside, as a stranger's gateway would: delegation, name servers over UDP and TCP,
mail exchangers, and every certificate in DNS and, where one is announced, in LDAP. Ask a resolver outside
your network for the truest view.

  --resolver HOST:PORT  ask this resolver; default: the site's
  --allow CIDR          name servers and directories in this private range may be contacted
  --port N              the name servers' port, on test beds where it is not 53
  --json                one JSON object per domain

Exit codes: 0 the world sees what it should, 1 it does not, 2 used wrongly, 3 nothing answers, look again.
Example: postern cert publish --check direct.clinic.example --resolver 9.9.9.9
`

func certPublishCommand() command {
	return command{name: "cert publish", short: "look at our published certificates from outside", help: certPublishHelp, run: runCertPublish}
}

func runCertPublish(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert publish")
	var resolvers, allow listFlag
	fs.Var(&resolvers, "resolver", "")
	fs.Var(&allow, "allow", "")
	file, asJSON, check, port := configFlag(fs), fs.Bool("json", false, ""), fs.Bool("check", false, ""), fs.Uint("port", 53, "")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if !*check || len(operands) > 1 {
		return usagef("publishing needs no command; `postern cert publish --check [DOMAIN]` looks at it from outside")
	}
	var only addr.Domain
	if len(operands) == 1 {
		if only, err = addr.ParseDomain(operands[0]); err != nil {
			return usagef("%v", err)
		}
	}
	wanted, err := c.expected(ctx, *file, only)
	if err != nil {
		return err
	}
	route, err := c.lookupRoute(resolvers, allow, *file)
	if err != nil {
		return err
	}
	v := surveyView{route, strconv.Itoa(int(*port)), *asJSON}
	return c.survey(ctx, v, wanted)
}

// expected is what the site says it publishes, by domain.
func (c *console) expected(ctx context.Context, file string, only addr.Domain) ([]survey.Expected, error) {
	var all []gateway.CertInfo
	if err := c.withSite(ctx, file, func(call caller) error { return call.ask(ctx, "cert.list", struct{}{}, &all) }); err != nil {
		return nil, err
	}
	byDomain := map[addr.Domain]survey.Expected{}
	for _, i := range all {
		d, err := addr.ParseDomain(i.Domain)
		if err != nil || !i.Published || !only.IsZero() && d != only {
			continue
		}
		e, ok := byDomain[d]
		if !ok {
			e = survey.Expected{Domain: d, Certs: map[string][]string{}}
			byDomain[d] = e
		}
		mail := i.Address
		if mail == "" {
			mail = d.String()
		}
		e.Certs[mail] = append(e.Certs[mail], i.ID)
	}
	if len(byDomain) == 0 {
		return nil, fmt.Errorf("no certificate is published for %s; `postern cert list` shows what there is", orAnyDomain(only))
	}
	var out []survey.Expected
	for _, e := range byDomain {
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Domain.String() < out[j].Domain.String() })
	return out, nil
}

func orAnyDomain(d addr.Domain) string {
	if d.IsZero() {
		return "any domain"
	}
	return d.String()
}

// surveyView is whom a survey asks, and how it shows what it saw.
type surveyView struct {
	route  lookupRoute
	port   string
	asJSON bool
}

// survey looks at each domain and prints what it saw.
func (c *console) survey(ctx context.Context, v surveyView, wanted []survey.Expected) error {
	dialer := &net.Dialer{Control: v.route.guard.Control}
	client := dnsclient.New(dnsclient.Config{Servers: v.route.servers, Forward: v.route.forward, Authority: dialer.DialContext, Cache: -1})
	cfg := survey.Config{DNS: client, LDAP: ldapcert.New(ldapcert.Config{Resolver: client, Dial: dialer.DialContext}), Now: time.Now(), Port: v.port}
	bad, unknown := 0, 0
	for _, w := range wanted {
		r, err := survey.Domain(ctx, cfg, w)
		if err != nil {
			return err
		}
		bad, unknown = bad+r.Count(survey.Bad), unknown+r.Count(survey.Unknown)
		if v.asJSON {
			if err := c.printJSON(r); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.out, "%s\n", r.Domain)
		for _, l := range r.Looks {
			where := ""
			if l.Where != "" {
				where = " (" + l.Where + ")"
			}
			fmt.Fprintf(c.out, "  %-7s  %s%s: %s\n", l.Verdict, l.What, where, l.Saw)
			if l.Verdict != survey.Good && l.Remedy != "" {
				fmt.Fprintf(c.out, "           → %s\n", l.Remedy)
			}
		}
	}
	switch {
	case bad > 0:
		return errShown
	case unknown > 0:
		return notYetError{fmt.Errorf("%d questions had no answer; look again later", unknown)}
	}
	return nil
}
