package smtpd_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"postern/gateway/edge/smtpd"
	labpeer "postern/gateway/lab/peer"
	"postern/gateway/lab/postfix"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/spool/keys"
	"postern/smime/addr"
)

// bare takes everything and keeps no row of it.
type bare struct{}

func (b bare) Local(context.Context, addr.Address) (smtpd.Mailbox, error) { return smtpd.Known, nil }
func (b bare) MayUse(context.Context, string, addr.Address) (bool, error) { return true, nil }
func (b bare) Accept(context.Context, message.Submission, message.Facts, spool.Blob) (message.ID, error) {
	return message.NewID(time.Now(), nil), nil
}

type nothing struct{}

func (nothing) Create(string) (smtpd.Writer, error)        { return nothing{}, nil }
func (nothing) Delete(spool.Blob) error                    { return nil }
func (nothing) Write(p []byte) (int, error)                { return len(p), nil }
func (nothing) Commit(context.Context) (spool.Blob, error) { return spool.Blob{}, nil }
func (nothing) Abort()                                     {}

// BenchmarkAccept is messages of 30 KB accepted over SMTP in clear on loopback, by a pipelining client on
// the same machine, sessions kept. "durable" is this server over the spool (sealed, synced), "nothing
// stored" is the same without; "go-smtp" is the library alone, reading and dropping. Count a message
// only after its 250.
//
//	go test ./gateway/edge/smtpd -run xxx -bench Accept -benchtime 2s
func BenchmarkAccept(b *testing.B) {
	servers := []struct {
		name  string
		serve func() string
	}{
		{"postfix", sync.OnceValue(func() string { return benchPostfix(b) })}, {"durable", sync.OnceValue(func() string { return benchDurable(b) })},
		{"nothing-stored", sync.OnceValue(func() string { return benchNothing(b) })}, {"go-smtp", sync.OnceValue(func() string { return benchLibrary(b) })},
	}
	for _, conns := range []int{1, 4, 16, 64} {
		for _, s := range servers {
			b.Run(fmt.Sprintf("%s/conns=%d", s.name, conns), func(b *testing.B) {
				if s.name == "postfix" {
					labpeer.Need(b, "postfix")
				}
				load(b, s.serve(), conns)
			})
		}
	}
}

func benchServer(t testing.TB, sp smtpd.Spool) string {
	srv, err := smtpd.New(smtpd.Config{Mode: smtpd.Peer, Org: "o", Domain: "mail.clinic.example", Directory: bare{}, Spool: sp, Intake: bare{},
		Limits: smtpd.Limits{PerPeer: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { srv.Serve(l); close(done) }()
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-done
	})
	return l.Addr().String()
}

func benchNothing(t testing.TB) string { return benchServer(t, nothing{}) }

func benchDurable(t testing.TB) string {
	m := keys.New()
	ring := keys.NewRing(m)
	wrapped, err := m.NewOrg("o")
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.AddOrg("o", wrapped); err != nil {
		t.Fatal(err)
	}
	st, err := spool.Open(spool.Config{Dir: t.TempDir(), Keys: ring, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return benchServer(t, smtpd.Keep(st))
}

func benchPostfix(t testing.TB) string {
	return postfix.Start(t, "default_transport = discard", "smtpd_client_message_rate_limit = 0", "smtpd_client_recipient_rate_limit = 0").Addr
}

type discard struct{}

func (discard) NewSession(*smtp.Conn) (smtp.Session, error) { return discard{}, nil }
func (discard) Mail(string, *smtp.MailOptions) error        { return nil }
func (discard) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (discard) Reset()                                      {}
func (discard) Logout() error                               { return nil }
func (discard) Data(r io.Reader) error                      { _, err := io.Copy(io.Discard, r); return err }

func benchLibrary(t testing.TB) string {
	srv := smtp.NewServer(discard{})
	srv.Domain = "stock"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return l.Addr().String()
}

// load sends b.N messages over some connections and reports the rate and the latencies of accepting.
func load(b *testing.B, address string, conns int) {
	const size = 30 << 10
	body := "From: a@hospital.example\r\nTo: x@clinic.example\r\nMessage-ID: <1@h>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n"
	sum := sha256.Sum256([]byte(body))
	body += strings.Repeat(fmt.Sprintf("%x\r\n", sum), 1+(size-len(body))/66)
	message := []byte(body[:size-2] + "\r\n.\r\n")
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, conns)
	var wg sync.WaitGroup
	var all []*session
	for range conns {
		s, err := openSession(address)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, s)
	}
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.SetBytes(size)
	b.ResetTimer()
	for i, s := range all {
		wg.Go(func() {
			var err error
			if took[i], err = s.load(message, &left); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	for _, s := range all {
		s.c.Close()
	}
	var flat []time.Duration
	for _, t := range took {
		flat = append(flat, t...)
	}
	sort.Slice(flat, func(i, j int) bool { return flat[i] < flat[j] })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64(flat[len(flat)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(flat[len(flat)*99/100].Microseconds()), "p99-µs")
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/float64(b.N)/1e3, "own-cpu-µs/msg") // client and server; for Postfix the client alone
}

// session is one connection of the load, past EHLO.
type session struct {
	c net.Conn
	r *bufio.Reader
}

func openSession(address string) (*session, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &session{c, bufio.NewReader(c)}
	if err := answers(s.r, "220"); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, "EHLO load.example\r\n"); err != nil {
		return nil, err
	}
	return s, answers(s.r, "250")
}

// load sends messages until none is left.
func (s *session) load(message []byte, left *atomic.Int64) (took []time.Duration, err error) {
	c, r := s.c, s.r
	envelope := []byte("MAIL FROM:<a@hospital.example>\r\nRCPT TO:<x@clinic.example>\r\nDATA\r\n")
	for left.Add(-1) >= 0 {
		began := time.Now()
		if _, err := c.Write(envelope); err != nil {
			return nil, err
		}
		if err := answers(r, "250", "250", "354"); err != nil {
			return nil, err
		}
		if _, err := c.Write(message); err != nil {
			return nil, err
		}
		if err := answers(r, "250"); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

func answers(r *bufio.Reader, codes ...string) error {
	for _, code := range codes {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if !strings.HasPrefix(line, code) {
				return fmt.Errorf("answer %q, want %s", line, code)
			}
			if line[3] == ' ' {
				break
			}
		}
	}
	return nil
}

// BenchmarkData is one 25 MB message at a time, nothing stored: the cost of DATA itself.
func BenchmarkData(b *testing.B) {
	for name, serve := range map[string]func(testing.TB) string{"postern": benchNothing, "go-smtp": benchLibrary} {
		b.Run(name, func(b *testing.B) {
			line := strings.Repeat("x", 76) + "\r\n"
			msg := []byte("From: a@hospital.example\r\n\r\n" + strings.Repeat(line, 25_000_000/len(line)) + ".\r\n")
			s, err := openSession(serve(b))
			if err != nil {
				b.Fatal(err)
			}
			defer s.c.Close()
			var left atomic.Int64
			left.Store(int64(b.N))
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := s.load(msg, &left); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkSync is one append and fdatasync of 30 KB: what the disk of this machine charges.
func BenchmarkSync(b *testing.B) {
	f, err := os.Create(b.TempDir() + "/f")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 30<<10)
	for b.Loop() {
		if _, err := f.Write(p); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
}
