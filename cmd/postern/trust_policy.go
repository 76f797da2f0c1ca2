package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"postern/trust/chain"
	"postern/trust/policy"
)

// trustPolicyCommands read and try policies; they change nothing.
func trustPolicyCommands() []command {
	return []command{{
		name:  "trust policy show",
		short: "print a ready-made policy about certificates",
		help: `usage: postern trust policy show [NAME]

Prints the text of a ready-made policy, to read or to begin one's own with; without NAME, their names.

Exit codes: 0 printed, 1 there is none of that name, 2 used wrongly.

Example: postern trust policy show network-basic > house.policy
`,
		run: runPolicyShow,
	}, {
		name:  "trust policy test",
		short: "say which certificates a policy would refuse, before it is in force",
		help: `usage: postern trust policy test --policy NAME|FILE [--json] CERT-FILE...
       postern trust policy test --policy NAME|FILE --domain D --direction incoming|outgoing --use USE [--days N]
       [-c FILE] [--json]

With files: asks a policy about every certificate in them, each on its own. With --domain: asks it about the
certificates that domain has seen in the last N days (90), by their whole chains, and says which partners and how
many messages it would have refused. A policy or a rule that never or always matches is pointed out. Nothing is
changed. USE is as in postern trust policy set.

A policy is a file of lines "name: expression", in CEL over the variable cert:
  cert.emails, domains, subject, issuer, key_usage, extended_key_usage, policies, key, key_bits,
  signature, not_before, not_after, validity_days, has_crl, has_ocsp, chain_length, anchor,
  anchor_subject, chain_policies, weakest_signature, smallest_rsa_bits

Exit codes: 0 none would be refused, 1 some would be, 2 used wrongly or not a policy.

Example: postern trust policy test --policy strict-v1.3 partners/*.pem
`,
		run: runPolicyTest,
	}, {
		name:  "trust policy set",
		short: "put a policy about certificates in force",
		help: `usage: postern trust policy set --policy NAME|FILE --domain D --direction incoming|outgoing --use USE [--name N]
       [-c FILE] [--json]

From now on every certificate of that use must pass the policy, besides everything trust itself demands. NAME is a
ready-made one (postern trust policy show). One of the same name is replaced. It bites at once; postern trust undo
takes it back. USE is one of:
  incoming  sign (the partner's signature), trust (the same), decrypt (our own certificates that open mail)
  outgoing  encrypt (the partner's certificate), trust (the same), sign (our own that sign)

Exit codes: 0 in force, 1 refused, 2 used wrongly or not a policy.

Example: postern trust policy set --policy network-basic --domain direct.clinic.example --direction incoming --use sign
`,
		run: runPolicySet,
	}, {
		name:  "trust policy remove",
		short: "take a policy out of force",
		help: `usage: postern trust policy remove NAME --domain D --direction incoming|outgoing --use USE [-c FILE] [--json]

Exit codes: 0 out of force, 1 there is none, 2 used wrongly.

Example: postern trust policy remove network-basic --domain direct.clinic.example --direction incoming --use sign
`,
		run: runPolicyRemove,
	}, {
		name:  "trust policy list",
		short: "list the policies in force",
		help: `usage: postern trust policy list [--domain D] [-c FILE] [--json]

Exit codes: 0 listed, 1 failed, 2 used wrongly.

Example: postern trust policy list
`,
		run: runPolicyList,
	}}
}

func runPolicyShow(_ context.Context, c *console, args []string) error {
	names, err := parse(c.flags("trust policy show"), args)
	switch {
	case err != nil:
		return err
	case len(names) > 1:
		return usagef("one NAME at most, %d were given", len(names))
	case len(names) == 0:
		fmt.Fprintln(c.out, strings.Join(policy.Ready(), "\n"))
		return nil
	}
	text, err := policy.ReadyText(names[0])
	if err != nil {
		return err
	}
	fmt.Fprint(c.out, text)
	return nil
}

// readPolicy compiles a ready-made policy or one in a file.
func readPolicy(c *console, name string) (*policy.Policy, error) {
	if slices.Contains(policy.Ready(), name) {
		text, err := policy.ReadyText(name)
		if err != nil {
			return nil, err
		}
		return policy.Compile(name, text)
	}
	text, err := readLimited(c, name, policy.MaxOctets)
	if err != nil {
		return nil, err
	}
	p, err := policy.Compile(name, string(text))
	if err != nil {
		return nil, usageError{err.Error()}
	}
	return p, nil
}

// judged is one certificate's outcome.
type judged struct {
	Certificate string `json:"certificate"`
	Pass        bool   `json:"pass"`
	Rule        string `json:"rule,omitempty"`
	Detail      string `json:"detail,omitempty"`
}

func runPolicyTest(ctx context.Context, c *console, args []string) error {
	f, files, err := parsePolicyFlags(c, "trust policy test", args)
	switch {
	case err != nil:
		return err
	case f.policy == "" || len(files) == 0 && f.in.Domain.IsZero():
		return usagef("--policy NAME|FILE and one CERT-FILE or more are needed, or --domain, --direction and --use")
	case len(files) == 0:
		f.in.Look = true
		return c.setPolicy(ctx, f)
	}
	name, asJSON := &f.policy, &f.json
	p, err := readPolicy(c, *name)
	if err != nil {
		return err
	}
	var all []judged
	refused := 0
	for _, file := range files {
		certs, err := readCerts(c, file)
		if err != nil {
			return err
		}
		for _, cert := range certs {
			v := p.Judge([]*x509.Certificate{cert})
			all = append(all, judged{chain.Label(cert), v.Pass, v.Rule, v.Detail})
			if !v.Pass {
				refused++
			}
		}
	}
	return showJudged(c, all, refused, *asJSON)
}

func showJudged(c *console, all []judged, refused int, asJSON bool) error {
	if asJSON {
		if err := c.printJSON(struct {
			V            int      `json:"v"`
			Refused      int      `json:"refused"`
			Certificates []judged `json:"certificates"`
		}{1, refused, all}); err != nil {
			return err
		}
	} else {
		for _, j := range all {
			if j.Pass {
				fmt.Fprintf(c.out, "pass     %s\n", j.Certificate)
			} else {
				fmt.Fprintf(c.out, "refused  %s: %s\n", j.Certificate, j.Detail)
			}
		}
		switch {
		case len(all) > 1 && refused == len(all):
			fmt.Fprintln(c.out, "This policy refuses every one of them; is it meant to?")
		case len(all) > 1 && refused == 0:
			fmt.Fprintln(c.out, "This policy refuses none of them; it changes nothing here.")
		}
	}
	if refused > 0 {
		return errShown
	}
	return nil
}
