package main

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// liar is a name server that answers as it is told, over UDP and TCP.
type liar struct {
	at     string
	asked  atomic.Int64
	answer atomic.Pointer[func(w dns.ResponseWriter, q *dns.Msg)]
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{}
	u, tcp := bothPorts(t)
	l.at = u.LocalAddr().String()
	var work sync.WaitGroup
	t.Cleanup(work.Wait) // after the servers are shut down
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		l.asked.Add(1)
		(*l.answer.Load())(w, q)
	})
	for _, s := range []*dns.Server{{PacketConn: u, Handler: handler}, {Listener: tcp, Handler: handler}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		work.Go(func() { _ = s.ActivateAndServe() })
		<-up
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return l
}

// bothPorts binds one port of loopback for UDP and TCP.
func bothPorts(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 { // a port free for UDP may be taken for TCP
		u, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", u.LocalAddr().String())
		if err == nil {
			return u, tcp
		}
		u.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

// says answers with records in zone-file form, with %s for the name asked, or with a code.
func says(rcode int, records ...string) func(dns.ResponseWriter, *dns.Msg) {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetRcode(q, rcode)
		m.RecursionAvailable = true
		for _, text := range records {
			rr, err := dns.NewRR(strings.ReplaceAll(text, "%s", q.Question[0].Name))
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	}
}

// byType answers each type of question in its own way; others do not exist.
func byType(how map[uint16]func(dns.ResponseWriter, *dns.Msg)) func(dns.ResponseWriter, *dns.Msg) {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		if f := how[q.Question[0].Qtype]; f != nil {
			f(w, q)
			return
		}
		says(dns.RcodeNameError)(w, q)
	}
}

// torrent is a directory that answers the first request with octets without end, and counts what was taken of them.
func torrent(t *testing.T) (port string, taken *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken = &atomic.Int64{}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 1024)); err != nil {
					return
				}
				// A message of 2 GB: SEQUENCE, then octets.
				chunk := append([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{4, 2, 'x', 'x'}, 16<<10)...)
				for {
					n, err := c.Write(chunk)
					taken.Add(int64(n))
					if err != nil {
						return
					}
					chunk = chunk[6:]
					chunk = append(chunk, 4, 2, 'x', 'x', 4, 2)[:len(chunk)]
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); work.Wait() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, taken
}

// TestLookupAmongLiars: whatever a stranger's servers answer, the command ends soon, after few questions, with "not
// known" for a fault and "none" only where every server said that there is nothing.
func TestLookupAmongLiars(t *testing.T) {
	t.Chdir(t.TempDir())
	nothing, fails := says(dns.RcodeNameError), says(dns.RcodeServerFailure)
	port, taken := torrent(t)
	directory := func(target string) map[uint16]func(dns.ResponseWriter, *dns.Msg) {
		return map[uint16]func(dns.ResponseWriter, *dns.Msg){
			dns.TypeSRV: says(dns.RcodeSuccess, "%s 60 IN SRV 0 0 "+port+" "+target), dns.TypeA: says(dns.RcodeSuccess, "%s 60 IN A 127.0.0.1")}
	}
	for _, tc := range []struct {
		situation string
		answer    func(dns.ResponseWriter, *dns.Msg)
		allow     string
		code      int
		out       string
		most      int64 // questions
	}{
		{"nothing anywhere", nothing, "", exitRefused, "none", 8},
		{"every server fails", fails, "", exitNotYet, "SERVFAIL", 12},
		{"the address fails, all else does not exist", func(w dns.ResponseWriter, q *dns.Msg) {
			if strings.HasPrefix(q.Question[0].Name, "john.") {
				fails(w, q)
				return
			}
			nothing(w, q)
		}, "", exitNotYet, "SERVFAIL", 12},
		{"an alias of itself", says(dns.RcodeSuccess, "%s 60 IN CNAME %s"), "", exitNotYet, "loops", 12},
		{"aliases without end", func(w dns.ResponseWriter, q *dns.Msg) {
			says(dns.RcodeSuccess, "%s 60 IN CNAME x.%s")(w, q)
		}, "", exitNotYet, "more than 8 links", 40},
		{"another name's record", says(dns.RcodeSuccess, "elsewhere.example. 60 IN CERT PKIX 0 0 MAA="), "", exitNotYet, "other names", 12},
		{"truncated for ever", func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			_ = w.WriteMsg(m)
		}, "", exitNotYet, "truncated", 40},
		{"records that are no certificates", byType(map[uint16]func(dns.ResponseWriter, *dns.Msg){
			dns.TypeCERT: says(dns.RcodeSuccess, "%s 60 IN CERT PKIX 0 0 MAA=", "%s 60 IN CERT PGP 0 0 MAA=")}), "", exitRefused, "none", 12},
		{"a URL of this machine in a record", byType(map[uint16]func(dns.ResponseWriter, *dns.Msg){
			dns.TypeCERT: says(dns.RcodeSuccess, "%s 60 IN CERT 4 0 0 aHR0cDovLzEyNy4wLjAuMTo4MC9h")}), "", exitNotYet, "which is not public", 12},
		{"a directory on this machine", byType(directory("%s")), "", exitNotYet, "which is not public", 12},
		{"a directory that sends gigabytes", byType(directory("%s")), "127.0.0.0/8", exitNotYet, "message", 16},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			l := newLiar(t)
			l.answer.Store(&tc.answer)
			var out, stderr bytes.Buffer
			c := &console{in: strings.NewReader(""), out: &out, err: &stderr, env: func(string) string { return "" }}
			args := []string{"lookup", "john@direct.clinic.example", "--resolver", l.at}
			if tc.allow != "" {
				args = append(args, "--allow", tc.allow)
			}
			code := run(t.Context(), c, args)
			if code != tc.code || !strings.Contains(out.String(), tc.out) {
				t.Errorf("exit %d, want %d with %q\n%s\n%s", code, tc.code, tc.out, &out, &stderr)
			}
			if n := l.asked.Load(); n > tc.most || n == 0 {
				t.Errorf("%d questions, at most %d", n, tc.most)
			}
		})
	}
	if n := taken.Load(); n == 0 || n > 8<<20 { // what the buffers of both ends hold
		t.Errorf("%d octets of the torrent were taken", n)
	}
}
