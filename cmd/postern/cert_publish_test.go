package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/certs/keyfile"
	"postern/certs/survey"
	"postern/certs/zone"
	"postern/gateway"
	"postern/gateway/edge/dnsd"
	"postern/smime/addr"
)

// A site looked at from outside: as published, with the certificate missing, and with nobody answering.
func TestCertPublishCheck(t *testing.T) {
	site := filepath.Join(t.TempDir(), "site")
	do := func(args ...string) (int, string, string) {
		var out, stderr bytes.Buffer
		c := &console{in: strings.NewReader(""), out: &out, err: &stderr, env: func(string) string { return "" }}
		code := run(t.Context(), c, args)
		return code, out.String(), stderr.String()
	}
	must := func(args ...string) string {
		t.Helper()
		code, out, stderr := do(args...)
		if code != exitDone {
			t.Fatalf("%v: exit %d\n%s\n%s", args, code, out, stderr)
		}
		return out
	}
	must("init", site, "--domain", "direct.clinic.example")
	conf := filepath.Join(site, "postern.toml")
	var ours gateway.CertInfo
	if err := json.Unmarshal([]byte(strings.SplitN(must("cert", "list", "--json", "-c", conf), "\n", 2)[0]), &ours); err != nil || !ours.Published {
		t.Fatalf("%v: %+v", err, ours)
	}
	content, err := keyfile.Parse([]byte(must("cert", "export", ours.ID, "-c", conf)), "")
	if err != nil {
		t.Fatal(err)
	}
	local := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	z := zone.Zone{Domain: addr.MustDomain("direct.clinic.example"), NS: []zone.Host{{Name: "ns.direct.clinic.example", Addrs: local}},
		MX: []zone.MX{{Host: "ns.direct.clinic.example"}}}
	server := dnsd.New(dnsd.Config{Rate: -1})
	publish := func() {
		t.Helper()
		snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		server.Publish(snap)
	}
	l, err := dnsd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	_, port, _ := net.SplitHostPort(l.Addr())
	look := []string{"cert", "publish", "--check", "-c", conf, "--resolver", l.Addr(), "--allow", "127.0.0.0/8", "--port", port}

	publish()
	if code, out, _ := do(look...); code != exitRefused || !strings.Contains(out, "bad      certificate of direct.clinic.example") {
		t.Errorf("without the certificate: exit %d\n%s", code, out)
	}
	z.Certs = []zone.Cert{{Cert: content.Others[0]}}
	publish()
	if code, out, stderr := do(look...); code != exitDone || strings.Contains(out, "bad ") {
		t.Errorf("as published: exit %d\n%s%s", code, out, stderr)
	}
	var r survey.Report
	if code, out, _ := do(append(look, "--json", "direct.clinic.example")...); code != exitDone || json.Unmarshal([]byte(out), &r) != nil || r.Version != 1 || r.Count(survey.Good) < 5 {
		t.Errorf("JSON: exit %d\n%s", code, out)
	}
	if code, _, stderr := do(append(look, "direct.elsewhere.example")...); code != exitRefused || !strings.Contains(stderr, "no certificate is published for direct.elsewhere.example") {
		t.Errorf("a domain that is not ours: exit %d, %s", code, stderr)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if code, out, _ := do(look...); code != exitNotYet || !strings.Contains(out, "unknown") {
		t.Errorf("nobody answers: exit %d\n%s", code, out)
	}
	if code, _, stderr := do("cert", "publish"); code != exitUsage || !strings.Contains(stderr, "publishing needs no command") {
		t.Errorf("without --check: exit %d, %s", code, stderr)
	}
}
