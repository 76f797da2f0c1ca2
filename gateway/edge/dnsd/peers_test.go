package dnsd_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"postern/certs/zone"
	"postern/gateway/edge/dnsd"
	"postern/gateway/lab/daemon"
	"postern/gateway/lab/peer"
)

// dig runs the real one and returns what it printed.
func dig(t testing.TB, server string, args ...string) string {
	t.Helper()
	host, port, _ := strings.Cut(server, ":")
	out, err := exec.Command(peer.Need(t, "dig"), append([]string{"@" + host, "-p", port, "+time=5", "+tries=1"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestDigSeesTheCertificate(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	tag, algorithm := zone.KeyTag(s.john.Cert)
	for _, tc := range []struct {
		situation string
		args      []string
		want      []string
		not       []string
	}{
		{"CERT over UDP", []string{"john.doe." + domain, "CERT", "+bufsize=1232"}, []string{"status: NOERROR", "flags: qr aa", "ANSWER: 1", "IN\tCERT\tPKIX", "EDNS: version: 0", "udp: 1232"}, []string{"WARNING: recursion requested", "Truncated"}},
		{"CERT without EDNS0: dig comes again by TCP", []string{"john.doe." + domain, "CERT", "+noedns"}, []string{"Truncated, retrying in TCP mode", "ANSWER: 1", "(TCP)"}, nil},
		{"three certificates", []string{"big." + domain, "CERT", "+bufsize=4096"}, []string{"Truncated, retrying in TCP mode", "ANSWER: 3"}, nil},
		{"cookie and padding options", []string{"john.doe." + domain, "CERT", "+cookie", "+ednsopt=12:0000"}, []string{"ANSWER: 1"}, nil},
		{"DO bit", []string{domain, "SOA", "+dnssec"}, []string{"flags: do; udp: 1232", "ANSWER: 1"}, nil},
		{"empty non-terminal", []string{"doe." + domain, "CERT"}, []string{"status: NOERROR", "ANSWER: 0, AUTHORITY: 1", "SOA\tns1." + domain}, nil},
		{"no such name", []string{"nobody." + domain, "CERT"}, []string{"status: NXDOMAIN", "AUTHORITY: 1"}, nil},
		{"foreign name", []string{"www.example.com", "A"}, []string{"status: REFUSED"}, []string{"ANSWER: 1"}},
		{"unknown EDNS version", []string{domain, "SOA", "+edns=1", "+noednsneg"}, []string{"status: BADVERS"}, nil},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			got := dig(t, s.addr, append(tc.args, "+norecurse")...)
			for _, w := range tc.want {
				if !strings.Contains(got, w) {
					t.Errorf("dig does not say %q:\n%s", w, got)
				}
			}
			for _, w := range tc.not {
				if strings.Contains(got, w) {
					t.Errorf("dig says %q:\n%s", w, got)
				}
			}
		})
	}
	short := dig(t, s.addr, "john.doe."+domain, "CERT", "+short")
	if !strings.HasPrefix(short, fmt.Sprintf("PKIX %d ", tag)) || algorithm != 13 {
		t.Errorf("dig prints %q, want key tag %d, algorithm %d", short, tag, algorithm)
	}
}

// A real secondary copies the zone with TSIG and serves what we serve.
func TestBINDCopiesTheZone(t *testing.T) {
	const secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="
	s := newSite(t, dnsd.Config{Rate: -1, Transfer: []dnsd.Secondary{{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Key: "copy.example", Secret: secret}}})
	host, port, _ := strings.Cut(s.addr, ":")
	bind := daemon.BIND(t, fmt.Sprintf(`
key "copy.example" { algorithm hmac-sha256; secret %q; };
zone %q { type secondary; primaries { %s port %s key "copy.example"; }; };
`, secret, domain, host, port))
	late := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var got string
	for !strings.Contains(got, "status: NOERROR") {
		if time.Now().After(late) {
			t.Fatalf("zone not copied:\n%s", got)
		}
		got = dig(t, bind, domain, "SOA")
		<-tick.C
	}
	for _, q := range [][]string{{"john.doe." + domain, "CERT"}, {"big." + domain, "CERT"}, {domain, "MX"}, {domain, "CAA"}, {"_ldap._tcp." + domain, "SRV"}, {domain, "TXT"}, {"ns1." + domain, "AAAA"}} {
		ours, theirs := dig(t, s.addr, append(q, "+short", "+tcp")...), dig(t, bind, append(q, "+short", "+tcp")...)
		if ours == "" || sorted(ours) != sorted(theirs) {
			t.Errorf("%v: we say\n%s\nBIND says\n%s", q, ours, theirs)
		}
	}
	if s.server.Stats().Transfers == 0 {
		t.Error("no transfer was counted")
	}
	if out, err := exec.Command(peer.Need(t, "dig"), "@"+host, "-p", port, domain, "AXFR", "-y", "hmac-sha256:copy.example:"+strings.Replace(secret, "c2", "d2", 1)).CombinedOutput(); !strings.Contains(string(out), "Transfer failed") {
		t.Errorf("transfer with a wrong key: %v\n%s", err, out)
	}
}

func sorted(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		for j := i + 1; j < len(lines); j++ {
			if lines[j] < lines[i] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "\n")
}

// BenchmarkCERT drives this server, and NSD over the same records, with dnsperf. It reports answers a
// second of both and their ratio.
func BenchmarkCERT(b *testing.B) {
	perf := peer.Need(b, "dnsperf")
	s := newSite(b, dnsd.Config{Rate: -1})
	zoneFile := b.TempDir() + "/zone"
	text := dig(b, s.addr, "+nocomments", "+noall", "+answer", "+tcp", "john.doe."+domain, "CERT", domain, "SOA", domain, "NS", domain, "MX", "ns1."+domain, "A")
	if err := os.WriteFile(zoneFile, []byte(soaFirst(text)), 0o600); err != nil {
		b.Fatal(err)
	}
	nsd := daemon.NSD(b, domain, zoneFile)
	questions := b.TempDir() + "/questions"
	if err := os.WriteFile(questions, []byte("john.doe."+domain+" CERT\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(server string) float64 {
		host, port, _ := strings.Cut(server, ":")
		out, err := exec.Command(perf, "-s", host, "-p", port, "-d", questions, "-e", "-q", "200", "-c", "8", "-T", "1", "-l", "2").CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		_, after, _ := strings.Cut(string(out), "Queries per second:")
		var qps float64
		if _, err := fmt.Sscan(after, &qps); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		if !strings.Contains(string(out), "NOERROR") {
			b.Fatalf("answers are not NOERROR:\n%s", out)
		}
		return qps
	}
	var ours, theirs float64
	n := 0
	for b.Loop() {
		ours += run(s.addr)
		theirs += run(nsd)
		n++
	}
	b.ReportMetric(ours/float64(n), "postern-q/s")
	b.ReportMetric(theirs/float64(n), "nsd-q/s")
	b.ReportMetric(ours/theirs, "ratio")
}

// soaFirst puts the SOA record in front, where a zone file needs it.
func soaFirst(text string) string {
	var soa, rest []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "\tSOA\t") {
			soa = append(soa, line)
		} else {
			rest = append(rest, line)
		}
	}
	return strings.Join(append(soa, rest...), "")
}
