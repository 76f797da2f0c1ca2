package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/certs/dnsclient"
	"postern/gateway/delivery/relay"
	"postern/gateway/lab/leak"
	"postern/smime/addr"
	"postern/trust/fetch"
)

func TestMain(m *testing.M) { leak.Main(m) }

// names is a Resolver over tables.
type names struct {
	mx    map[string][]dnsclient.MX
	addrs map[string][]netip.Addr
	err   map[string]error // for either question
}

func (n names) MX(_ context.Context, domain string) ([]dnsclient.MX, error) {
	if err := n.err["MX "+domain]; err != nil {
		return nil, err
	}
	if mx := n.mx[domain]; mx != nil {
		return mx, nil
	}
	return nil, dnsclient.ErrNotFound
}

func (n names) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	if err := n.err["A "+host]; err != nil {
		return nil, err
	}
	if a := n.addrs[host]; a != nil {
		return a, nil
	}
	return nil, dnsclient.ErrNotFound
}

// A host is a scripted SMTP server. Replies are looked up by the command's verb, or by the whole line;
// "body" answers a message. A reply of "hangup" closes the connection, "silence" says nothing.
type host struct {
	t        testing.TB
	greeting string
	ext      []string
	replies  map[string]string
	tls      *tls.Config
	implicit bool
	pause    time.Duration // before each answer

	l     net.Listener
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns int
	seen  []string // command lines
	mail  []string // bodies as received, unstuffed
	raw   [][]byte
	open  map[net.Conn]bool
	quit  chan struct{}
}

func (h *host) start(t testing.TB, address string) *host {
	t.Helper()
	h.t = t
	if h.greeting == "" {
		h.greeting = "220 mx.test ESMTP"
	}
	if h.ext == nil {
		h.ext = []string{"PIPELINING", "SIZE 50000000", "8BITMIME"}
	}
	var err error
	if h.l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	h.open, h.quit = map[net.Conn]bool{}, make(chan struct{})
	h.wg.Go(func() {
		for {
			c, err := h.l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns++
			h.open[c] = true
			h.mu.Unlock()
			h.wg.Go(func() {
				h.serve(c)
				c.Close()
				h.mu.Lock()
				delete(h.open, c)
				h.mu.Unlock()
			})
		}
	})
	t.Cleanup(h.stop)
	return h
}

func (h *host) stop() {
	h.l.Close()
	close(h.quit)
	h.cut()
	h.wg.Wait()
}

// cut closes all open connections.
func (h *host) cut() {
	h.mu.Lock()
	for c := range h.open {
		c.Close()
	}
	h.mu.Unlock()
}

func (h *host) addr() netip.AddrPort { return netip.MustParseAddrPort(h.l.Addr().String()) }

func (h *host) serve(c net.Conn) {
	if h.implicit {
		c = tls.Server(c, h.tls)
	}
	r := bufio.NewReader(c)
	say := func(s string) bool {
		switch s {
		case "hangup":
			return false
		case "silence":
			io.Copy(io.Discard, c)
			return false
		}
		_, err := io.WriteString(c, strings.ReplaceAll(s, "\n", "\r\n")+"\r\n")
		return err == nil
	}
	if !say(h.greeting) {
		return
	}
	secure := h.implicit
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		h.mu.Lock()
		h.seen = append(h.seen, line)
		h.mu.Unlock()
		if h.pause > 0 {
			<-time.After(h.pause)
		}
		verb := strings.ToUpper(strings.Fields(line + " x")[0])
		answer, ok := h.replies[line]
		if !ok {
			answer, ok = h.replies[verb]
		}
		if !ok {
			answer = "250 2.0.0 fine"
		}
		switch {
		case verb == "EHLO" && !ok:
			lines := append([]string{"mx.test"}, h.ext...)
			if h.tls != nil && !secure {
				lines = append(lines, "STARTTLS")
			}
			for i := range lines {
				sep := "-"
				if i == len(lines)-1 {
					sep = " "
				}
				lines[i] = "250" + sep + lines[i]
			}
			answer = strings.Join(lines, "\n")
		case verb == "STARTTLS" && !ok:
			if !say("220 go") {
				return
			}
			c = tls.Server(c, h.tls)
			r = bufio.NewReader(c)
			secure = true
			continue
		case answer == "stall": // says 354 and reads no more
			say("354 go")
			<-h.quit
			return
		case verb == "DATA" && (!ok || strings.HasPrefix(answer, "354")):
			if !say("354 go") || !h.data(r) || !say(h.body()) {
				return
			}
			continue
		case verb == "BDAT":
			n, _ := strconv.Atoi(strings.Fields(line)[1])
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil {
				return
			}
			h.mu.Lock()
			h.raw = append(h.raw, b)
			h.mu.Unlock()
			if strings.HasSuffix(line, "LAST") {
				h.mu.Lock()
				h.mail = append(h.mail, string(bytes.Join(h.raw, nil)))
				h.raw = nil
				h.mu.Unlock()
				if !ok {
					answer = h.body()
				}
			}
		case verb == "QUIT":
			say("221 bye")
			return
		}
		if !say(answer) {
			return
		}
	}
}

func (h *host) body() string {
	if b, ok := h.replies["body"]; ok {
		return b
	}
	return "250 2.0.0 taken as q1"
}

func (h *host) data(r *bufio.Reader) bool {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	h.mu.Lock()
	h.mail = append(h.mail, b.String())
	h.mu.Unlock()
	return true
}

func (h *host) got() (mail, seen []string, conns int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.mail...), append([]string(nil), h.seen...), h.conns
}

// client makes a relay client that may dial loopback.
func client(t testing.TB, r relay.Resolver, change func(*relay.Config)) *relay.Client {
	t.Helper()
	cfg := relay.Config{
		Resolver: r, Hello: "gw.clinic.example", Guard: &fetch.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		TLS:    &tls.Config{RootCAs: roots()},
		Limits: relay.Limits{Connect: time.Minute, Command: time.Minute, DataInit: time.Minute, DataBlock: time.Minute, DataDone: time.Minute},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func static(h *host) relay.Route {
	return relay.Route{Host: "127.0.0.1", Port: int(h.addr().Port()), Private: true, ServerName: "mx.test"}
}

func to(list ...string) []addr.Address {
	var out []addr.Address
	for _, s := range list {
		out = append(out, addr.MustParse(s))
	}
	return out
}

func text(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

const mail = "From: a@clinic.example\r\nTo: b@h.example\r\n\r\n.dot\r\n..two\r\n.\r\nend\r\n"

var from = addr.MustParse("a@clinic.example")

var testCert = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"}, DNSNames: []string{"mx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

func serverTLS() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{testCert()}} }

func roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(testCert().Leaf)
	return p
}

func show(r relay.Result) string {
	s := fmt.Sprintf("host %s tls %q\n", r.Host, r.TLS)
	for _, o := range r.Outcomes {
		s += fmt.Sprintf("  %s %s %s %d %s %q\n", o.To, o.Status, o.Reason, o.Code, o.Enhanced, o.Text)
	}
	for _, a := range r.Attempts {
		s += fmt.Sprintf("  attempt %s %s %s %s %d %s %q reused=%v tls=%q delivered=%d\n", a.Host, a.Addr, a.Stage, a.Reason, a.Code, a.Enhanced, a.Text, a.Reused, a.TLS, a.Delivered)
	}
	return s
}
