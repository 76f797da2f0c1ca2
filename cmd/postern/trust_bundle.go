package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"postern/trust/bundle"
	"postern/trust/chain"
	"postern/trust/fetch"
)

// trustBundleCommands look at published bundles; they change nothing.
func trustBundleCommands() []command {
	return []command{{
		name:  "trust bundle show",
		short: "say what a trust bundle holds, and whether its signature holds",
		help: `usage: postern trust bundle show FILE|URL [--signer FILE...] [--leaf] [--allow PREFIX...] [--json]

Reads a bundle (.p7b, .p7c, .p7m, PEM, or certificates one after another), names every anchor in it
and every certificate that was left out, and why. Nothing is stored or trusted.

  --signer FILE   demand a valid signature by one of these certificates, or below one of them
  --leaf          take end-entity certificates as anchors too
  --allow PREFIX  fetch the URL also from this private range, such as 127.0.0.0/8
  --json          one JSON object: "v", "anchors", "findings", "signer", "metadata", "checksum"

Exit codes: 0 readable, 1 refused, 2 used wrongly, 3 not there now: try again.

Example: postern trust bundle show community.p7m --signer community-signer.pem
`,
		run: runBundleShow,
	}, {
		name:  "trust bundle diff",
		short: "what a newer bundle changes, and whom it touches",
		help: `usage: postern trust bundle diff NAME [--days N] [-c FILE] [--json]
       postern trust bundle diff OLD NEW [--signer FILE...] [--leaf] [--allow PREFIX...] [--json]

With the NAME of a bundle here: what the version that waits adds, removes and brings near its end within 90
days; for each anchor which partners' certificates ended at it and how many messages of the last N days (90)
that is; and how many of those decisions would come out differently. With two bundles, each a file or a URL:
which anchors come, go and end. Nothing is stored or trusted.

Exit codes: 0 compared, 1 refused, 2 used wrongly, 3 nothing waits, or it is not there now: try again.

Example: postern trust bundle diff community
`,
		run: runBundleDiff,
	}}
}

// bundleFlags is what both commands share.
type bundleFlags struct {
	signers, allow listFlag
	leaf, json     bool
	now            time.Time
}

func parseBundleFlags(c *console, name string, args []string, operands int) (*bundleFlags, []string, error) {
	f := &bundleFlags{now: time.Now()}
	fs := c.flags(name)
	fs.Var(&f.signers, "signer", "")
	fs.Var(&f.allow, "allow", "")
	fs.BoolVar(&f.leaf, "leaf", false, "")
	fs.BoolVar(&f.json, "json", false, "")
	names, err := parse(fs, args)
	if err == nil && len(names) != operands {
		err = usagef("%d bundles are needed (files or URLs; or the NAME of one here, by itself), %d were given", operands, len(names))
	}
	return f, names, err
}

// load reads one bundle from a file or a URL.
func (f *bundleFlags) load(ctx context.Context, c *console, name string) (*bundle.Bundle, error) {
	var signers []*x509.Certificate
	for _, s := range f.signers {
		certs, err := readCerts(c, s)
		if err != nil {
			return nil, err
		}
		signers = append(signers, certs...)
	}
	if !strings.HasPrefix(name, "http://") && !strings.HasPrefix(name, "https://") {
		data, err := readLimited(c, name, bundle.MaxOctets)
		if err != nil {
			return nil, err
		}
		b, err := bundle.Parse(data, bundle.Options{Signers: signers, Time: f.now, AllowLeaves: f.leaf})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return b, nil
	}
	guard := &fetch.Guard{}
	for _, p := range f.allow {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return nil, usagef("--allow %q: not a range; write 10.1.0.0/16", p)
		}
		guard.Allow = append(guard.Allow, prefix)
	}
	// Only looked at, so plain HTTP does no harm.
	got, err := bundle.Fetch(ctx, fetch.New(fetch.Config{Guard: guard}), bundle.Source{URL: name, Signers: signers, AllowLeaves: f.leaf, AllowPlain: true}, f.now)
	switch {
	case bundle.ReasonOf(err) == bundle.Timeout:
		return nil, notYetError{err}
	case err != nil:
		return nil, err
	case got.Bundle == nil:
		return nil, errors.New("the publisher sent nothing")
	}
	return got.Bundle, nil
}

// shownAnchor is one anchor for a reader.
type shownAnchor struct {
	Name     string    `json:"name"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after"`
}

func shown(certs []*x509.Certificate) []shownAnchor {
	out := make([]shownAnchor, len(certs))
	for i, cert := range certs {
		id := sha256.Sum256(cert.Raw)
		out[i] = shownAnchor{chain.Label(cert), hex.EncodeToString(id[:]), cert.NotAfter.UTC()}
	}
	return out
}

func (c *console) printAnchors(mark string, list []shownAnchor) {
	for _, a := range list {
		fmt.Fprintf(c.out, "%s %s  until %s  %s\n", mark, a.SHA256[:16], a.NotAfter.Format(time.DateOnly), a.Name)
	}
}

func runBundleShow(ctx context.Context, c *console, args []string) error {
	f, names, err := parseBundleFlags(c, "trust bundle show", args, 1)
	if err != nil {
		return err
	}
	b, err := f.load(ctx, c, names[0])
	if err != nil {
		return err
	}
	signer := ""
	if b.Signer != nil {
		signer = chain.Label(b.Signer)
	}
	if f.json {
		return c.printJSON(struct {
			V        int              `json:"v"`
			Anchors  []shownAnchor    `json:"anchors"`
			Findings []bundle.Finding `json:"findings,omitempty"`
			Signer   string           `json:"signer,omitempty"`
			Metadata *bundle.Metadata `json:"metadata,omitempty"`
			Checksum string           `json:"checksum"`
		}{1, shown(b.Certs), b.Findings, signer, b.Metadata, b.Checksum})
	}
	switch {
	case signer == "":
		fmt.Fprintf(c.out, "%d anchors, not signed\n", len(b.Certs))
	case len(f.signers) == 0:
		fmt.Fprintf(c.out, "%d anchors, signed by %s (the signature holds; whether to believe the signer is for you: --signer)\n", len(b.Certs), signer)
	default:
		fmt.Fprintf(c.out, "%d anchors, signed by %s as demanded\n", len(b.Certs), signer)
	}
	c.printAnchors(" ", shown(b.Certs))
	for _, n := range b.Findings {
		fmt.Fprintf(c.out, "! %s  %s: %s (%s)\n", n.SHA256[:16], n.Kind, n.Name, n.Detail)
	}
	return nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// expiringWithin is how far ahead trust bundle diff looks.
const expiringWithin = 90 * 24 * time.Hour

func runBundleDiff(ctx context.Context, c *console, args []string) error {
	if in, config, asJSON, err := namedBundle(c, "trust bundle diff", args); err == nil && !isURL(in.Name) && !isFile(in.Name) {
		return c.showWaiting(ctx, in, config, asJSON)
	}
	f, names, err := parseBundleFlags(c, "trust bundle diff", args, 2)
	if err != nil {
		return err
	}
	before, err := f.load(ctx, c, names[0])
	if err != nil {
		return err
	}
	after, err := f.load(ctx, c, names[1])
	if err != nil {
		return err
	}
	d := bundle.Diff(before.Certs, after.Certs, f.now.Add(expiringWithin))
	if f.json {
		return c.printJSON(struct {
			V        int           `json:"v"`
			Added    []shownAnchor `json:"added"`
			Removed  []shownAnchor `json:"removed"`
			Expiring []shownAnchor `json:"expiring"`
			Kept     int           `json:"kept"`
		}{1, shown(d.Added), shown(d.Removed), shown(d.Expiring), len(d.Kept)})
	}
	fmt.Fprintf(c.out, "%d added, %d removed (%d %%), %d kept, %d of the new set expire within 90 days\n", len(d.Added), len(d.Removed), d.RemovedPercent(), len(d.Kept), len(d.Expiring))
	c.printAnchors("+", shown(d.Added))
	c.printAnchors("-", shown(d.Removed))
	c.printAnchors("~", shown(d.Expiring))
	return nil
}
