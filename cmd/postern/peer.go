package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/store"
	"postern/smime"
	"postern/smime/addr"
)

func peerCommands() []command {
	return []command{
		{"peer list", "what is known of the algorithms that peers read", `Usage: postern peer list [--domain D] [-c FILE] [--json]

For each domain of ours and peer: what the peer's verified mail said it reads, how that mail was encrypted, and what
a person set. A peer that is not listed is sent AES-256-CBC and RSAES-OAEP with its default parameters.

Exit codes: 0 listed, 1 failed, 2 used wrongly.
Example: postern peer list
`, runPeerList},
		{"peer set", "set with what a peer is sent", `Usage: postern peer set ADDRESS|DOMAIN [--domain D] [--cipher C] [--key-transport K] [-c FILE]

From the next message on, mail from our domain D to that address or domain is encrypted with this, whatever the peer
says. What is left out is chosen by what is known. Setting neither takes an earlier setting back.

  --domain D          the domain of ours this is for (default: the only one)
  --cipher C          ` + strings.Join(smime.CipherNames(), ", ") + `
  --key-transport K   ` + strings.Join(smime.TransportNames(), ", ") + `

Exit codes: 0 set, 1 refused, 2 used wrongly.
Example: postern peer set direct.clinic.example --key-transport rsaes-pkcs1-v1_5
`, runPeerSet},
		{"peer forget", "forget what is known of a peer, and what was set", `Usage: postern peer forget ADDRESS|DOMAIN [--domain D] [-c FILE]

Until its next message the peer is sent what one never heard of is.

Exit codes: 0 forgotten, 1 nothing was known or it failed, 2 used wrongly.
Example: postern peer forget direct.clinic.example
`, runPeerForget},
	}
}

func runPeerList(ctx context.Context, c *console, args []string) error {
	fs := c.flags("peer list")
	file, domain, asJSON := configFlag(fs), fs.String("domain", "", ""), fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "peer list takes no operands; --domain D narrows it")
	}
	d, err := optionalDomain(*domain)
	if err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var all []store.Peer
		if err := call.ask(ctx, "peer.list", d, &all); err != nil {
			return err
		}
		for _, p := range all {
			if *asJSON {
				if err := c.printJSON(struct {
					V int `json:"v"`
					store.Peer
				}{1, p}); err != nil {
					return err
				}
				continue
			}
			c.printPeer(p)
		}
		return nil
	})
}

func (c *console) printPeer(p store.Peer) {
	fmt.Fprintf(c.out, "%s  for %s\n", p.Name, p.Local)
	if p.Setting.Cipher != "" || p.Setting.Transport != "" {
		fmt.Fprintf(c.out, "  set        %s\n", strings.TrimSpace(p.Setting.Cipher+" "+p.Setting.Transport))
	}
	if len(p.Learnt.Capabilities) > 0 {
		words := make([]string, len(p.Learnt.Capabilities))
		for i, k := range p.Learnt.Capabilities {
			words[i] = string(k)
		}
		fmt.Fprintf(c.out, "  reads      %s\n", strings.Join(words, ", "))
	}
	if !p.Heard.IsZero() {
		fmt.Fprintf(c.out, "  last mail  %s, %s, %s; signed with %s, certificate %s\n", p.Heard.Local().Format(time.DateOnly), p.Learnt.MailCipher,
			p.Learnt.KeyTransport, p.KeyType, p.Certificate[:16])
	}
}

// optionalDomain is a --domain that may be left out.
func optionalDomain(s string) (addr.Domain, error) {
	if s == "" {
		return addr.Domain{}, nil
	}
	d, err := addr.ParseDomain(s)
	if err != nil {
		return d, usageError{err.Error()}
	}
	return d, nil
}

// peerName is an address or a domain as it was given, checked.
func peerName(s string) (string, error) {
	_, err := addr.ParseDomain(s)
	if strings.Contains(s, "@") {
		_, err = addr.Parse(s)
	}
	if err != nil {
		return "", usageError{err.Error()}
	}
	return s, nil
}

func runPeerSet(ctx context.Context, c *console, args []string) error {
	fs := c.flags("peer set")
	file, domain, in := configFlag(fs), fs.String("domain", "", ""), gateway.PeerSet{}
	fs.StringVar(&in.Cipher, "cipher", "", "")
	fs.StringVar(&in.Transport, "key-transport", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one address or domain")
	}
	if in.Local, err = optionalDomain(*domain); err != nil {
		return err
	}
	if in.Name, err = peerName(rest[0]); err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "peer.set", in, nil) })
}

func runPeerForget(ctx context.Context, c *console, args []string) error {
	fs := c.flags("peer forget")
	file, domain := configFlag(fs), fs.String("domain", "", "")
	rest, err := parse(fs, args)
	if err != nil || len(rest) != 1 {
		return orUsage(err, "give one address or domain")
	}
	in := gateway.PeerArg{}
	if in.Name, err = peerName(rest[0]); err != nil {
		return err
	}
	if in.Local, err = optionalDomain(*domain); err != nil {
		return err
	}
	return c.withSite(ctx, *file, func(call caller) error { return call.ask(ctx, "peer.forget", in, nil) })
}
