package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/certs/discover"
	"postern/certs/issue"
	"postern/certs/zone"
	"postern/gateway/edge/dnsd"
	"postern/smime/addr"
)

// nameServer serves one domain with one address certificate and returns its address.
func nameServer(t *testing.T) string {
	t.Helper()
	domain := addr.MustDomain("direct.clinic.example")
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Leaf(issue.LeafOptions{Address: addr.MustParse("john@direct.clinic.example"), Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := zone.Build([]zone.Zone{{Domain: domain, NS: []zone.Host{{Name: "ns.direct.clinic.example", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
		Certs: []zone.Cert{{Address: addr.MustParse("john@direct.clinic.example"), Cert: c.Cert}}}}, zone.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s := dnsd.New(dnsd.Config{Rate: -1})
	s.Publish(snap)
	l, err := dnsd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr()
}

func TestLookup(t *testing.T) {
	server := nameServer(t)
	t.Chdir(t.TempDir()) // no ./postern.toml
	for _, tc := range []struct {
		situation   string
		args        []string
		code        int
		out, stderr string
	}{
		{"found", []string{"john@direct.clinic.example", "--resolver", server}, exitDone, "found: 1 certificate at dns-address john.direct.clinic.example", ""},
		{"in capitals", []string{"--resolver", server, "JOHN@DIRECT.CLINIC.EXAMPLE"}, exitDone, "who was asked", ""},
		{"not published", []string{"mary@direct.clinic.example", "--resolver", server}, exitRefused, "none: no certificate is published", ""},
		{"not known", []string{"john@elsewhere.example", "--resolver", server}, exitNotYet, "REFUSED", "try again later"},
		{"no address", nil, exitUsage, "", "give one address"},
		{"two addresses", []string{"a@b.example", "c@d.example"}, exitUsage, "", "give one address"},
		{"not an address", []string{"john"}, exitUsage, "", "has no @"},
		{"a range that is none", []string{"john@direct.clinic.example", "--allow", "everything"}, exitUsage, "", "address range"},
		{"a configuration that is not there", []string{"john@direct.clinic.example", "-c", "nowhere.toml"}, exitRefused, "", "nowhere.toml"},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			var out, stderr bytes.Buffer
			c := &console{in: strings.NewReader(""), out: &out, err: &stderr, env: func(string) string { return "" }}
			code := run(t.Context(), c, append([]string{"lookup"}, tc.args...))
			if tc.out == "who was asked" {
				tc.out = "asked " + server + " (udp) for john.direct.clinic.example CERT: 1 record"
			}
			if code != tc.code || !strings.Contains(out.String(), tc.out) || !strings.Contains(stderr.String(), tc.stderr) {
				t.Errorf("exit %d, want %d\n%s\n%s", code, tc.code, &out, &stderr)
			}
		})
	}
}

func TestLookupJSON(t *testing.T) {
	server := nameServer(t)
	t.Chdir(t.TempDir())
	var out, stderr bytes.Buffer
	c := &console{in: strings.NewReader(""), out: &out, err: &stderr, env: func(string) string { return "" }}
	if code := run(t.Context(), c, []string{"lookup", "--json", "john@direct.clinic.example", "--resolver", server}); code != exitDone {
		t.Fatalf("exit %d\n%s", code, &stderr)
	}
	var got discover.Trace
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Version != 1 || got.Status != discover.Found || len(got.Certificates) != 1 || got.Certificates[0].Emails[0] != "john@direct.clinic.example" {
		t.Errorf("%v\n%s", err, &out)
	}
}

// The site's configuration says whom to ask; a private domain has a server of its own.
func TestLookupByConfiguration(t *testing.T) {
	server := nameServer(t)
	dir := t.TempDir()
	t.Chdir(dir)
	text := "hostname = \"mail.direct.hospital.example\"\ndata = \"" + filepath.Join(dir, "data") + "\"\n[resolver]\nservers = [\"127.0.0.1:1\"]\n[peer.\"direct.clinic.example\"]\ndns = \"" + server + "\"\n"
	if err := os.WriteFile("postern.toml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	c := &console{in: strings.NewReader(""), out: &out, err: &stderr, env: func(string) string { return "" }}
	if code := run(t.Context(), c, []string{"lookup", "john@direct.clinic.example"}); code != exitDone || !strings.Contains(out.String(), "asked "+server) {
		t.Errorf("exit %d\n%s\n%s", code, &out, &stderr)
	}
}
