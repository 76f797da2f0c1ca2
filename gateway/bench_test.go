package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"postern/gateway/delivery/track"
	"postern/gateway/edge/smtpd"
	"postern/gateway/lab/load"
	"postern/gateway/lab/postfix"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

// text30 is a message of 30 KB as DATA carries it.
func text30(from, to addr.Address) load.Message {
	head := "From: " + from.String() + "\r\nTo: " + to.String() + "\r\nMessage-ID: <1@h.example>\r\n\r\n"
	return load.Message{From: from.String(), To: to.String(), Data: []byte(head + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 30<<10/78))}
}

// rival is one line of the table: a server, and how it is measured for one window.
type rival struct {
	name  string
	conns []int // of these numbers of connections; nil: all
	rate  func(conns int, window time.Duration) (perSecond float64, err error)
}

// BenchmarkLoad is the table of accepted and durable messages of 30 KB beside Postfix on the same disk and beside
// the library with nothing stored, and of the whole outbound path, in one run: each round measures each server at
// each number of connections for half a second, in an order that turns from round to round; the table gives
// medians, and medians of each round's ratio to Postfix. What is measured:
//
//	postern           the whole gateway, SMTP in clear: sealed at rest, synced, its row, first job and rung
//	                  committed, audit on; its queue is paused, so that it only accepts
//	postfix           smtpd, a queue file synced, then discarded by its queue manager
//	postfix, held     the same, put aside in its hold queue: it only accepts
//	go-smtp           the library, reading and dropping: durable nowhere
//	postern outbound  TLS and AUTH, then accepted, durable, sealed (RSA-2048), relayed to a server that drops it,
//	                  and marked: all of it within the time
//
//	go test ./gateway -run xxx -bench Load -benchtime 9x -timeout 30m
func BenchmarkLoad(b *testing.B) {
	discard := []string{"default_transport = discard", "smtpd_client_message_rate_limit = 0", "smtpd_client_recipient_rate_limit = 0"}
	hold := append(slices.Clone(discard), "smtpd_recipient_restrictions = static:HOLD, permit_mynetworks, reject")
	w := newWorld(b, "")
	w.crowded()
	w.mode(w.clinic, "pause")
	out := newWorld(b, "")
	rivals := []rival{
		{name: "postern", rate: against(load.Target{Addr: w.clinic.SMTP}, text30(w.dr, w.intake))},
		{name: "postfix", rate: against(load.Target{Addr: postfix.Start(b, discard...).Addr}, text30(w.dr, w.intake))},
		{name: "postfix, held", rate: against(load.Target{Addr: postfix.Start(b, hold...).Addr}, text30(w.dr, w.intake))},
		{name: "go-smtp", rate: against(load.Target{Addr: libraryAlone(b)}, text30(w.dr, w.intake))},
		{name: "postern outbound", conns: []int{16}, rate: out.outbound(dropping(b))},
	}
	b.Run("rounds", func(b *testing.B) {
		t := loadTable{conns: []int{1, 4, 16, 64}, rivals: rivals, rates: map[string][]float64{}}
		for round := range b.N {
			if err := t.round(round, 500*time.Millisecond); err != nil {
				b.Fatal(err)
			}
		}
		if b.N > 1 { // the first is to warm up
			b.Log("\n" + t.String())
		}
		b.ReportMetric(t.ratio("postern", 16, "postfix", 16), "x-postfix-16")
		b.ReportMetric(t.ratio("postern outbound", 16, "postfix", 16), "outbound-x-postfix")
	})
}

// against measures a server that keeps what it accepts to itself.
func against(t load.Target, m load.Message) func(int, time.Duration) (float64, error) {
	return func(conns int, window time.Duration) (float64, error) {
		n, took, err := t.For(window, conns, m)
		return float64(n) / took.Seconds(), err
	}
}

// outbound measures the whole way out of the hospital: what counts is what was handed to the sink and marked.
func (w *world) outbound(sink string) func(int, time.Duration) (float64, error) {
	w.Helper()
	w.ok(w.hospital.Stop())
	text, err := os.ReadFile(w.hospital.File)
	w.ok(err)
	text = bytes.ReplaceAll(text, []byte(w.clinic.SMTP), []byte(sink))
	text = bytes.Replace(text, []byte("[smtp] "), []byte("[smtp]\nper_login = 1000000\n# "), 1)
	w.ok(os.WriteFile(w.hospital.File, text, 0o600))
	w.ok(w.hospital.Start(w.ctx))
	w.user("dr", "a long enough password", w.dr)
	t := load.Target{Addr: w.hospital.SubmissionTLS, TLS: &tls.Config{InsecureSkipVerify: true}, Login: "dr", Password: "a long enough password"}
	ctx := context.Background() // the whole of a benchmark is longer than one story
	cursor, err := w.hospital.Store.LastEvent(ctx)
	w.ok(err)
	return func(conns int, window time.Duration) (float64, error) {
		began := time.Now()
		n, _, err := t.For(window, conns, text30(w.dr, w.intake))
		if err != nil {
			return 0, err
		}
		handed := 0
		err = w.hospital.Until(ctx, "all are to be handed over", func() (bool, error) {
			for {
				events, err := w.hospital.Store.EventsAfter(ctx, cursor, 1000)
				for _, e := range events {
					cursor = e.Seq
					if e.Kind == track.Handed {
						handed++
					}
				}
				if err != nil || len(events) == 0 {
					return handed == n, err
				}
			}
		})
		return float64(n) / time.Since(began).Seconds(), err
	}
}

// loadTable collects rates by server and number of connections, one a round.
type loadTable struct {
	conns  []int
	rivals []rival
	rates  map[string][]float64
}

func cell(name string, conns int) string { return fmt.Sprint(name, " at ", conns) }

func (t *loadTable) round(n int, window time.Duration) error {
	for _, conns := range t.conns {
		for i := range t.rivals {
			r := t.rivals[(i+n)%len(t.rivals)]
			if r.conns != nil && !slices.Contains(r.conns, conns) {
				continue
			}
			rate, err := r.rate(conns, window)
			if err != nil {
				return fmt.Errorf("%s: %w", cell(r.name, conns), err)
			}
			t.rates[cell(r.name, conns)] = append(t.rates[cell(r.name, conns)], rate)
		}
	}
	return nil
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}

// ratio is the median over the rounds of one cell over another.
func (t *loadTable) ratio(name string, conns int, over string, overConns int) float64 {
	a, b := t.rates[cell(name, conns)], t.rates[cell(over, overConns)]
	var out []float64
	for i := range min(len(a), len(b)) {
		out = append(out, a[i]/b[i])
	}
	return median(out)
}

func (t *loadTable) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s", "msg/s (x postfix)")
	for _, c := range t.conns {
		fmt.Fprintf(&b, " %14d", c)
	}
	for _, r := range t.rivals {
		fmt.Fprintf(&b, "\n%-18s", r.name)
		for _, c := range t.conns {
			if rates := t.rates[cell(r.name, c)]; len(rates) > 0 {
				fmt.Fprintf(&b, " %6.0f (%5.2f)", median(rates), t.ratio(r.name, c, "postfix", c))
			} else {
				fmt.Fprintf(&b, " %14s", "")
			}
		}
	}
	return b.String()
}

// crowded lets more connections come from one address than is usual.
func (w *world) crowded() {
	w.Helper()
	w.ok(w.clinic.Stop())
	text, err := os.ReadFile(w.clinic.File)
	w.ok(err)
	w.ok(os.WriteFile(w.clinic.File, bytes.Replace(text, []byte("[smtp] "), []byte("[smtp]\nper_peer = 100\n# "), 1), 0o600))
	w.ok(w.clinic.Start(w.ctx))
}

// serving is a free place on loopback, and a server's end when the benchmark ends.
func serving(b testing.TB, serve func(net.Listener) error, stop func() error) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = serve(l) }() // it says that it was closed
	b.Cleanup(func() {
		if err := stop(); err != nil {
			b.Error(err)
		}
		<-done
	})
	return l.Addr().String()
}

// libraryAlone is github.com/emersion/go-smtp by itself.
func libraryAlone(b testing.TB) string {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return readAndDrop{}, nil }))
	s.Domain = "library.example"
	return serving(b, s.Serve, s.Close)
}

type readAndDrop struct{}

func (readAndDrop) Mail(string, *smtp.MailOptions) error { return nil }
func (readAndDrop) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (readAndDrop) Data(r io.Reader) error               { _, err := io.Copy(io.Discard, r); return err }
func (readAndDrop) Reset()                               {}
func (readAndDrop) Logout() error                        { return nil }

// dropping is a peer that costs little: our SMTP server over nothing.
func dropping(b testing.TB) string {
	s, err := smtpd.New(smtpd.Config{Mode: smtpd.Peer, Org: "o", Domain: "drop.example", Directory: dropper{}, Spool: dropper{}, Intake: dropper{},
		Limits: smtpd.Limits{PerPeer: 1000}})
	if err != nil {
		b.Fatal(err)
	}
	return serving(b, s.Serve, func() error { return s.Shutdown(context.Background()) })
}

type dropper struct{}

func (dropper) Local(context.Context, addr.Address) (smtpd.Mailbox, error) { return smtpd.Known, nil }
func (dropper) MayUse(context.Context, string, addr.Address) (bool, error) { return true, nil }
func (dropper) Accept(context.Context, message.Submission, message.Facts, spool.Blob) (message.ID, error) {
	return "m-dropped", nil
}
func (dropper) Create(string) (smtpd.Writer, error)        { return dropper{}, nil }
func (dropper) Delete(spool.Blob) error                    { return nil }
func (dropper) Write(p []byte) (int, error)                { return len(p), nil }
func (dropper) Commit(context.Context) (spool.Blob, error) { return spool.Blob{}, nil }
func (dropper) Abort()                                     {}

// BenchmarkAcceptedAndDurable is the first line of BenchmarkLoad alone, for profiles.
//
//	go test ./gateway -run xxx -bench AcceptedAndDurable -benchtime 2000x -cpuprofile cpu.out
func BenchmarkAcceptedAndDurable(b *testing.B) {
	for _, conns := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			w := newWorld(b, "")
			w.crowded()
			w.mode(w.clinic, "pause")
			m := text30(w.dr, w.intake)
			b.SetBytes(int64(len(m.Data)))
			b.ResetTimer()
			_, err := load.Target{Addr: w.clinic.SMTP}.Times(b.N, conns, m)
			w.ok(err)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.StopTimer()
			list, err := w.clinic.Store.Messages(w.ctx, store.Query{Limit: b.N + 1})
			if err != nil || len(list) != b.N {
				b.Fatalf("%d of %d are there, %v", len(list), b.N, err)
			}
		})
	}
}

// BenchmarkOutbound is the last line of BenchmarkLoad alone, for profiles: b.N seconds of it. Its processor time is that
// of the gateway, the client and the sink, and is steadier than its rate where the machine is shared.
//
//	go test ./gateway -run xxx -bench Outbound -benchtime 5x -cpuprofile cpu.out
func BenchmarkOutbound(b *testing.B) {
	w := newWorld(b, "")
	rate := w.outbound(dropping(b))
	if _, err := rate(16, time.Second); err != nil { // to warm up
		b.Fatal(err)
	}
	sent := func() int {
		list, err := w.hospital.Store.Messages(context.Background(), store.Query{Direction: store.Out, Limit: 1 << 20})
		w.ok(err)
		return len(list)
	}
	before, spent := sent(), processor(b)
	b.ResetTimer()
	var rates []float64
	for range b.N {
		r, err := rate(16, time.Second)
		if err != nil {
			b.Fatal(err)
		}
		rates = append(rates, r)
	}
	b.StopTimer()
	spent = processor(b) - spent
	b.ReportMetric(median(rates), "msg/s")
	b.ReportMetric(float64(spent.Microseconds())/float64(sent()-before), "cpu-µs/msg")
}

// processor is the time this process has had of the processors.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
