package smtpd_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/gateway/edge/smtpd"
	"postern/gateway/edge/tlsfile"
	"postern/gateway/lab/leak"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/smime/addr"
)

func TestMain(m *testing.M) { leak.Main(m) }

// site is a gateway behind the server: its addresses, logins, and what was taken in.
type site struct {
	mu       sync.Mutex
	taken    []taken
	refused  map[smtpd.Reason]int
	open     int
	busy     error         // of Admit
	dirErr   error         // of Directory
	writeErr error         // of Writer.Write
	intake   error         // of Intake
	panics   bool          // in Intake
	deleted  int           // blobs deleted
	aborted  int           // writers aborted
	slow     chan struct{} // Intake waits for it when set
}

type taken struct {
	sub   message.Submission
	facts message.Facts
	raw   []byte
	id    message.ID
}

func (s *site) Local(_ context.Context, a addr.Address) (smtpd.Mailbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dirErr != nil:
		return "", s.dirErr
	case a.Domain() != addr.MustDomain("clinic.example"):
		return smtpd.NotOurs, nil
	case a.WithoutTag().Local() == "nobody":
		return smtpd.Unknown, nil
	}
	return smtpd.Known, nil
}

func (s *site) MayUse(_ context.Context, principal string, a addr.Address) (bool, error) {
	return principal == "ann" && (a.Local() == "ann" || a.Local() == "front.desk"), nil
}

func (s *site) Login(_ context.Context, login, password, peer string) (string, error) {
	switch {
	case login == "broken":
		return "", errors.New("user store: connection refused on /var/lib/secret")
	case login == "ann" && password == "s3cret":
		return "ann", nil
	}
	return "", fmt.Errorf("no such login: %w", smtpd.ErrBadLogin)
}

func (s *site) Accept(ctx context.Context, sub message.Submission, f message.Facts, b spool.Blob) (message.ID, error) {
	if s.slow != nil {
		select {
		case <-s.slow:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics {
		panic("intake")
	}
	if s.intake != nil {
		return "", s.intake
	}
	id := message.NewID(time.Now(), nil)
	s.taken = append(s.taken, taken{sub, f, b.Key, id}) // the fake spool keeps the octets in Key
	return id, nil
}

func (s *site) Create(string) (smtpd.Writer, error) { return &memory{s: s}, nil }

func (s *site) Delete(spool.Blob) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted++
	return nil
}

type memory struct {
	s    *site
	b    bytes.Buffer
	done bool
}

func (m *memory) Write(p []byte) (int, error) {
	m.s.mu.Lock()
	err := m.s.writeErr
	m.s.mu.Unlock()
	if err != nil && m.b.Len() > 100 {
		return 0, err
	}
	return m.b.Write(p)
}

func (m *memory) Commit(context.Context) (spool.Blob, error) {
	m.done = true
	return spool.Blob{Size: int64(m.b.Len()), SHA256: sha256.Sum256(m.b.Bytes()), Key: m.b.Bytes()}, nil
}

func (m *memory) Abort() {
	if !m.done {
		m.s.mu.Lock()
		m.s.aborted++
		m.s.mu.Unlock()
	}
}

func (s *site) Connections(_ smtpd.Mode, d int) { s.mu.Lock(); s.open += d; s.mu.Unlock() }
func (s *site) Refused(_ smtpd.Mode, r smtpd.Reason) {
	s.mu.Lock()
	if s.refused == nil {
		s.refused = map[smtpd.Reason]int{}
	}
	s.refused[r]++
	s.mu.Unlock()
}
func (s *site) Accepted(smtpd.Mode, int64, time.Duration) {}
func (s *site) Durable(smtpd.Mode, time.Duration)         {}

func (s *site) reasons(r smtpd.Reason) int { s.mu.Lock(); defer s.mu.Unlock(); return s.refused[r] }

func (s *site) messages() []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]taken(nil), s.taken...)
}

// counters is the site as one server's Metrics: its Login is the Authenticator's, and it knows that server's connections
// from those of others of the site.
type counters struct {
	*site
	open *atomic.Int64
}

func (counters) Login(smtpd.Mode, bool) {}

func (c counters) Connections(m smtpd.Mode, d int) { c.open.Add(int64(d)); c.site.Connections(m, d) }

// serve starts a server on loopback and gives its address.
func serve(t testing.TB, s *site, mode smtpd.Mode, change func(*smtpd.Config)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, s, mode, change)
	return l.Addr().String()
}

// serveOn starts a server on a listener.
func serveOn(t testing.TB, l net.Listener, s *site, mode smtpd.Mode, change func(*smtpd.Config)) {
	t.Helper()
	var open atomic.Int64
	cfg := smtpd.Config{
		Mode: mode, Org: "o-1", Domain: "mail.clinic.example", TLS: serverTLS(t),
		Directory: s, Auth: s, Spool: s, Intake: s, Metrics: counters{s, &open},
		Admit: func(context.Context, int64) error { s.mu.Lock(); defer s.mu.Unlock(); return s.busy },
	}
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := smtpd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil && !errors.Is(err, smtpd.ErrClosed) {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil && !errors.Is(err, smtpd.ErrClosed) { // which is said to who begins to serve only now
			t.Errorf("serve: %v", err)
		}
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections still counted", n)
		}
	})
}

var testCert = sync.OnceValues(func() (certPEM, keyPEM []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.clinic.example"}, DNSNames: []string{"mail.clinic.example"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
})

// certFiles writes the test certificate and key and gives their names.
func certFiles(t testing.TB) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	c, k := testCert()
	for name, b := range map[string][]byte{cert: c, key: k} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	cert, key := certFiles(t)
	src, err := tlsfile.Open([]tlsfile.Pair{{Cert: cert, Key: key}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return src.Config()
}

func clientTLS(t testing.TB) *tls.Config {
	t.Helper()
	c, _ := testCert()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c)
	return &tls.Config{RootCAs: pool, ServerName: "mail.clinic.example"}
}

// peer is a hand-driven client.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dial(t testing.TB, address string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	return &peer{t, c, bufio.NewReader(c)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(s)); err != nil {
		p.t.Fatalf("send %.40q: %v", s, err)
	}
}

// reply reads one whole reply.
func (p *peer) reply() string {
	p.t.Helper()
	var all []string
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			p.t.Fatalf("reading a reply after %q: %v", all, err)
		}
		line = strings.TrimRight(line, "\r\n")
		all = append(all, line)
		if len(line) < 4 || line[3] == ' ' {
			return strings.Join(all, "\n")
		}
	}
}

// expect reads a reply that must begin so.
func (p *peer) expect(prefix string) string {
	p.t.Helper()
	got := p.reply()
	last := got[strings.LastIndexByte(got, '\n')+1:]
	if !strings.HasPrefix(last, prefix) {
		p.t.Fatalf("reply %q, want %q", got, prefix)
	}
	return got
}

// ask sends a command line and expects a reply.
func (p *peer) ask(line, prefix string) string {
	p.t.Helper()
	p.send(line + "\r\n")
	return p.expect(prefix)
}

// closed expects the end of the connection and nothing else.
func (p *peer) closed() {
	p.t.Helper()
	if b, err := p.r.ReadByte(); err == nil {
		rest, _ := p.r.ReadString('\n')
		p.t.Fatalf("got %q, want the end of the connection", string(b)+rest)
	} else if n, ok := err.(net.Error); ok && n.Timeout() {
		p.t.Fatal("connection still open")
	}
}

func (p *peer) handshake() {
	p.t.Helper()
	c := tls.Client(p.conn, clientTLS(p.t))
	if err := c.Handshake(); err != nil {
		p.t.Fatalf("handshake: %v", err)
	}
	p.conn, p.r = c, bufio.NewReader(c)
}

const mail = "From: Ann <ann@clinic.example>\r\nTo: dr.lee@clinic.example\r\nSubject: x\r\n\r\nHello.\r\n"

const plainAnn = "AGFubgBzM2NyZXQ=" // \0ann\0s3cret
