package relay_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"postern/gateway/delivery/relay"
	"postern/gateway/edge/smtpd"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/smime/addr"
)

// sink is a server of ours that takes everything and stores nothing.
type sink struct{}

func (sink) Local(context.Context, addr.Address) (smtpd.Mailbox, error) { return smtpd.Known, nil }
func (sink) MayUse(context.Context, string, addr.Address) (bool, error) { return true, nil }
func (sink) Create(string) (smtpd.Writer, error)                        { return sink{}, nil }
func (sink) Delete(spool.Blob) error                                    { return nil }
func (sink) Write(p []byte) (int, error)                                { return len(p), nil }
func (sink) Commit(context.Context) (spool.Blob, error)                 { return spool.Blob{}, nil }
func (sink) Abort()                                                     {}
func (sink) Accept(context.Context, message.Submission, message.Facts, spool.Blob) (message.ID, error) {
	return message.NewID(time.Now(), nil), nil
}

func sinkServer(t testing.TB) netip.AddrPort {
	t.Helper()
	srv, err := smtpd.New(smtpd.Config{Mode: smtpd.Peer, Domain: "mx.test", TLS: serverTLS(), Directory: sink{}, Spool: sink{}, Intake: sink{}})
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
	return netip.MustParseAddrPort(l.Addr().String())
}

// BenchmarkHop is one message after another from gateway to gateway over loopback, nothing stored,
// sessions kept: this client beside the library's, which cannot pipeline. Both ends are counted.
func BenchmarkHop(b *testing.B) {
	for _, size := range []int{30 << 10, 25_000_000} {
		msg := "From: a@clinic.example\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78)
		for _, mode := range []relay.TLSMode{relay.None, relay.Required} {
			b.Run(fmt.Sprintf("postern/tls=%s/size=%d", mode, size), func(b *testing.B) {
				at := sinkServer(b)
				c := client(b, names{}, func(c *relay.Config) { c.Limits = relay.Limits{Reuse: 1 << 30, Age: time.Hour} })
				route := relay.Route{Host: "127.0.0.1", Port: int(at.Port()), Private: true, TLS: mode, ServerName: "mx.test"}
				b.SetBytes(int64(len(msg)))
				b.ReportAllocs()
				for b.Loop() {
					r, err := c.Send(context.Background(), route, relay.Envelope{From: from, To: to("b@h.example"), Size: int64(len(msg))}, text(msg))
					if err != nil || r.Outcomes[0].Status != relay.Delivered {
						b.Fatal(err, show(r))
					}
				}
			})
			b.Run(fmt.Sprintf("go-smtp/tls=%s/size=%d", mode, size), func(b *testing.B) {
				at := sinkServer(b)
				var c *smtp.Client
				var err error
				if mode == relay.None {
					c, err = smtp.Dial(at.String())
				} else {
					c, err = smtp.DialStartTLS(at.String(), &tls.Config{RootCAs: roots(), ServerName: "mx.test"})
				}
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				b.SetBytes(int64(len(msg)))
				b.ReportAllocs()
				for b.Loop() {
					if err := libraryHop(c, msg); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func libraryHop(c *smtp.Client, msg string) error {
	if err := c.Mail("a@clinic.example", nil); err != nil {
		return err
	}
	if err := c.Rcpt("b@h.example", nil); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, strings.NewReader(msg)); err != nil {
		return err
	}
	return w.Close()
}
