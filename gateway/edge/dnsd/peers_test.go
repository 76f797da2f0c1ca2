package dnsd_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/certs/zone"
	"postern/gateway/edge/dnsd"
	"postern/gateway/lab/daemon"
	"postern/gateway/lab/peer"
	"postern/smime/addr"

	"github.com/miekg/dns"
)

// dig runs the real one and returns what it printed.
func dig(t testing.TB, server string, args ...string) string {
	t.Helper()
	host, port, _ := strings.Cut(server, ":")
	out, err := exec.Command(peer.Need(t, "dig"), append([]string{"@" + host, "-p", port, "+time=60", "+tries=1"}, args...)...).CombinedOutput()
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

const secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="

// secondaries are real name servers that copy a zone.
func secondaries() map[string]func(testing.TB, daemon.Copied) string {
	return map[string]func(testing.TB, daemon.Copied) string{"BIND": daemon.BINDSecondary, "NSD": daemon.NSDSecondary, "Knot": daemon.KnotSecondary}
}

// until asks a server until its answer holds what is wanted.
func until(t *testing.T, server, want string, args ...string) {
	t.Helper()
	late := time.Now().Add(2 * patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got := dig(t, server, args...)
		if strings.Contains(got, want) {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("%v: no %q in\n%s", args, want, got)
		}
		<-tick.C
	}
}

// TestSecondariesCopyTheZone: real secondaries copy the zone with TSIG, serve what we serve, and have a change at
// once when they are told of it, long before the SOA's refresh time (an hour).
func TestSecondariesCopyTheZone(t *testing.T) {
	for name, secondary := range secondaries() {
		t.Run(name, func(t *testing.T) {
			port := daemon.Port(t)
			cfg := dnsd.Config{Rate: -1, Transfer: []dnsd.Secondary{{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
				Key: "copy.example", Secret: secret, Notify: []string{fmt.Sprintf("127.0.0.1:%d", port)}}}}
			s := newSite(t, cfg)
			copied := secondary(t, daemon.Copied{Zone: domain, Primary: s.addr, Key: "copy.example", Secret: secret, Port: port})
			until(t, copied, "status: NOERROR", domain, "SOA")
			for _, q := range [][]string{{"john.doe." + domain, "CERT"}, {"big." + domain, "CERT"}, {domain, "MX"}, {domain, "CAA"}, {"_ldap._tcp." + domain, "SRV"}, {domain, "TXT"}, {"ns1." + domain, "AAAA"}, {"www." + domain, "CNAME"}} {
				ours, theirs := dig(t, s.addr, append(q, "+short", "+tcp")...), dig(t, copied, append(q, "+short", "+tcp")...)
				if ours == "" || sorted(ours) != sorted(theirs) {
					t.Errorf("%v: we say\n%s\n%s says\n%s", q, ours, name, theirs)
				}
			}
			z := s.zone
			z.Certs = append(z.Certs, zone.Cert{Address: addr.MustParse("new@" + domain), Cert: s.john.Cert})
			snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: time.Now(), Serial: 8})
			if err != nil {
				t.Fatal(err)
			}
			s.server.Publish(snap)
			until(t, copied, "ANSWER: 1", "new."+domain, "CERT", "+tcp")
			if got := s.server.Stats(); got.Transfers < 2 || got.Notified == 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A transfer is refused to a wrong key, without a key, from elsewhere, and of what is no zone of ours.
func TestTransferIsForNamedSecondariesOnly(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	s := newSite(t, dnsd.Config{Rate: -1, Transfer: []dnsd.Secondary{{From: here, Key: "copy.example", Secret: secret},
		{From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Key: "away.example", Secret: secret}}})
	host, port, _ := strings.Cut(s.addr, ":")
	for name, args := range map[string][]string{
		"a wrong secret":   {domain, "AXFR", "-y", "hmac-sha256:copy.example:" + strings.Replace(secret, "c2", "d2", 1)},
		"an unknown key":   {domain, "AXFR", "-y", "hmac-sha256:other.example:" + secret},
		"no key":           {domain, "AXFR"},
		"another address":  {domain, "AXFR", "-y", "hmac-sha256:away.example:" + secret},
		"another domain":   {"other.example.org", "AXFR", "-y", "hmac-sha256:copy.example:" + secret},
		"a name inside it": {"john.doe." + domain, "AXFR", "-y", "hmac-sha256:copy.example:" + secret},
		"a weak hash":      {domain, "AXFR", "-y", "hmac-sha1:copy.example:" + secret},
	} {
		out, err := exec.Command(peer.Need(t, "dig"), append([]string{"@" + host, "-p", port}, args...)...).CombinedOutput()
		if !strings.Contains(string(out), "Transfer failed") || strings.Contains(string(out), "FORMERR") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if fault := map[string]string{"a wrong secret": "BADSIG", "an unknown key": "BADKEY", "a weak hash": "BADKEY"}[name]; !strings.Contains(string(out), fault) {
			t.Errorf("%s: is not told %s\n%s", name, fault, out)
		}
	}
	if s.server.Stats().Transfers != 0 {
		t.Error("a zone was handed over")
	}
}

// TestAWrongSignatureIsToldWhy: the secondary's operator learns whether the key is unknown, wrong, or a clock is.
func TestAWrongSignatureIsToldWhy(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1, Transfer: []dnsd.Secondary{{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Key: "copy.example", Secret: secret}}})
	for _, c := range []struct {
		situation, key, secret string
		signed                 time.Time
		fault                  uint16
		mac                    bool
	}{
		{"an unknown key", "other.example.", secret, time.Now(), dns.RcodeBadKey, false},
		{"a wrong secret", "copy.example.", strings.Replace(secret, "c2", "d2", 1), time.Now(), dns.RcodeBadSig, false},
		{"a clock that is an hour late", "copy.example.", secret, time.Now().Add(-time.Hour), dns.RcodeBadTime, true},
		{"all is well", "copy.example.", secret, time.Now(), 0, true},
	} {
		t.Run(c.situation, func(t *testing.T) {
			m := new(dns.Msg)
			m.SetQuestion(domain+".", dns.TypeSOA)
			m.SetTsig(c.key, dns.HmacSHA256, 300, c.signed.Unix())
			wire, mac, err := dns.TsigGenerate(m, c.secret, "", false)
			if err != nil {
				t.Fatal(err)
			}
			got := exchange(t, s.addr, wire, patience)
			var r dns.Msg
			if err := r.Unpack(got); err != nil || r.IsTsig() == nil {
				t.Fatalf("%v: %v", err, &r)
			}
			if sig := r.IsTsig(); sig.Error != c.fault || (sig.MACSize > 0) != c.mac || (r.Rcode == dns.RcodeNotAuth) != (c.fault != 0) {
				t.Errorf("%v", &r)
			}
			if late := c.fault == dns.RcodeBadTime; late != (len(r.IsTsig().OtherData) == 12) {
				t.Errorf("our time beside it: %q", r.IsTsig().OtherData)
			}
			if err := dns.TsigVerify(got, c.secret, mac, false); c.fault == 0 && err != nil { // the library checks none beside NOTAUTH
				t.Errorf("the answer's own signature: %v", err)
			}
		})
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

// names is how many addresses the benchmark's zone holds.
const names = 1000

// thousand is a zone of RSA-2048 certificates, one an address, all of one key.
func thousand(b *testing.B) *zone.Snapshot {
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Now: time.Now()})
	if err != nil {
		b.Fatal(err)
	}
	key, err := issue.NewKey(issue.RSA2048)
	if err != nil {
		b.Fatal(err)
	}
	z := zone.Zone{Domain: addr.MustDomain(domain), NS: []zone.Host{{Name: "ns1." + domain, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}
	for i := range names {
		a := addr.MustParse(fmt.Sprintf("person%d@%s", i, domain))
		c, err := ca.Leaf(issue.LeafOptions{Address: a, Key: key, Now: time.Now(), Organization: "Example Clinic", CRL: []string{"http://pki.example.org/pilot.crl"}, AIA: []string{"http://pki.example.org/pilot.cer"}})
		if err != nil {
			b.Fatal(err)
		}
		z.Certs = append(z.Certs, zone.Cert{Address: a, Cert: c.Cert})
	}
	snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: time.Now()})
	if err != nil {
		b.Fatal(err)
	}
	return snap
}

// zoneFile writes a snapshot as NSD reads it.
func zoneFile(b *testing.B, snap *zone.Snapshot) string {
	var soa, rest strings.Builder
	snap.Names(func(n *zone.Node) {
		for _, list := range n.Records {
			for _, r := range list {
				rr, _, err := dns.UnpackRRWithHeader(dns.RR_Header{Name: dns.Fqdn(n.Name), Rrtype: r.Type, Class: dns.ClassINET, Ttl: r.TTL, Rdlength: uint16(len(r.Data))}, r.Data, 0)
				if err != nil {
					b.Fatal(err)
				}
				out := &rest
				if r.Type == zone.TypeSOA {
					out = &soa
				}
				fmt.Fprintln(out, rr)
			}
		}
	})
	path := b.TempDir() + "/zone"
	if err := os.WriteFile(path, []byte(soa.String()+rest.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkCERT drives this server, and Knot and NSD over the same records, with dnsperf in turn, over UDP. It
// reports the medians of answers a second of each and of the ratios.
func BenchmarkCERT(b *testing.B) {
	perf := peer.Need(b, "dnsperf")
	snap := thousand(b)
	server, ourAddr := start(b, dnsd.Config{Rate: -1}, snap)
	file := zoneFile(b, snap)
	nsd, knot := daemon.NSD(b, domain, file), daemon.Knot(b, domain, file)
	questions := b.TempDir() + "/questions"
	var text strings.Builder
	for i := range names {
		fmt.Fprintf(&text, "person%d.%s CERT\n", i, domain)
	}
	if err := os.WriteFile(questions, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(server string) float64 {
		host, port, _ := strings.Cut(server, ":")
		out, err := exec.Command(perf, "-s", host, "-p", port, "-d", questions, "-e", "-q", "200", "-c", "8", "-T", "1", "-l", "1", "-b", "4096").CombinedOutput()
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
	got := map[string][]float64{}
	for b.Loop() { // in turn, so that what else the machine does meets all alike
		before, asked := processorTime(b), server.Stats().UDP
		us := run(ourAddr)
		used := float64((processorTime(b) - before).Nanoseconds()) / 1e3 / float64(server.Stats().UDP-asked)
		kdns, ndns := run(knot), run(nsd)
		for name, v := range map[string]float64{"postern-q/s": us, "knot-q/s": kdns, "nsd-q/s": ndns, "of-knot": us / kdns, "of-nsd": us / ndns, "postern-cpu-us/q": used} {
			got[name] = append(got[name], v)
		}
	}
	for name, list := range got {
		slices.Sort(list)
		b.ReportMetric(list[len(list)/2], name)
	}
}

// processorTime is what this process, with the server in it, has used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A zone of many messages: dig checks the signature of each.
func TestDigTransfersALargeZone(t *testing.T) {
	site := newSite(t, dnsd.Config{Rate: -1})
	z := site.zone
	for i := range 300 {
		z.Certs = append(z.Certs, zone.Cert{Address: addr.MustParse(fmt.Sprintf("p%d@%s", i, domain)), Cert: site.john.Cert})
	}
	snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	_, server := start(t, dnsd.Config{Transfer: []dnsd.Secondary{{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Key: "copy.example", Secret: secret}}}, snap)
	host, port, _ := strings.Cut(server, ":")
	for _, algorithm := range []string{"hmac-sha256", "hmac-sha512"} {
		out, err := exec.Command(peer.Need(t, "dig"), "@"+host, "-p", port, domain, "AXFR", "-y", algorithm+":copy.example:"+secret).CombinedOutput()
		text := string(out)
		if err != nil || strings.Count(text, "\tCERT\t") != 304 || strings.Count(text, "\tSOA\t") != 2 || strings.Contains(text, "verify") || !strings.Contains(text, "messages ") {
			t.Errorf("%s: %v, %d certificates\n%.2000s", algorithm, err, strings.Count(text, "\tCERT\t"), text)
		}
		if strings.Contains(text, "(messages 1,") {
			t.Error("one message only: the chain of signatures was not tried")
		}
	}
	out, _ := exec.Command(peer.Need(t, "dig"), "@"+host, "-p", port, domain, "AXFR", "-y", "hmac-md5:copy.example:"+secret).CombinedOutput()
	if !strings.Contains(string(out), "Transfer failed") {
		t.Errorf("MD5 is accepted:\n%s", out)
	}
	if out, _ := exec.Command(peer.Need(t, "dig"), "@"+host, "-p", port, "p1."+domain, "AXFR", "-y", "hmac-sha256:copy.example:"+secret).CombinedOutput(); !strings.Contains(string(out), "Transfer failed") {
		t.Errorf("a name inside the zone is handed over:\n%s", out)
	}
}
