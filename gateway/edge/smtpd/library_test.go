package smtpd_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"
)

// These are the faults of the SMTP library (v0.25.1) that the wire beneath it makes good. When one of
// them fails the library has become better there, and its workaround can go.

type stock struct {
	got  chan string
	fail error
}

func (s *stock) NewSession(*smtp.Conn) (smtp.Session, error) { return s, nil }
func (s *stock) Mail(string, *smtp.MailOptions) error        { return s.fail }
func (s *stock) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (s *stock) Reset()                                      {}
func (s *stock) Logout() error                               { return nil }
func (s *stock) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.got <- string(b)
	return err
}

func stockServer(t *testing.T, s *stock) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stockOn(t, l, s)
	p := dial(t, l.Addr().String())
	p.expect("220")
	return p
}

func stockOn(t *testing.T, l net.Listener, s *stock) {
	t.Helper()
	srv := smtp.NewServer(s)
	srv.Domain = "stock"
	srv.TLSConfig = serverTLS(t)
	srv.ReadTimeout = time.Minute
	done := make(chan struct{})
	go func() { srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
}

var stockData = []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"}, {"DATA\r\n", "354"}}

func TestLibraryStartTLSWithParameter(t *testing.T) {
	p := stockServer(t, &stock{})
	play(t, p, []step{{"EHLO h\r\n", "250"}, {"STARTTLS x\r\n", "220"}})
}

func TestLibraryEatsCRAfterDot(t *testing.T) {
	s := &stock{got: make(chan string, 1)}
	p := stockServer(t, s)
	play(t, p, append(append([]step{}, stockData...), step{".\rX\r\n.\r\n", "250"}))
	if got := <-s.got; got != "X\r\n" {
		t.Errorf("the library gives %q: it no longer eats the CR", got)
	}
}

func TestLibraryWrongOrder(t *testing.T) {
	play(t, stockServer(t, &stock{}), []step{{"MAIL FROM:<a@b.example>\r\n", "502 5.5.1"}, {"EHLO h\r\n", "250"}, {"RCPT TO:<a@b.example>\r\n", "502 5.5.1"}})
}

func TestLibraryTellsErrors(t *testing.T) {
	p := stockServer(t, &stock{fail: errors.New("secret path")})
	p.ask("EHLO h", "250")
	if got := p.ask("MAIL FROM:<a@b.example>", "451"); !strings.Contains(got, "secret path") {
		t.Errorf("%q", got)
	}
}

func TestLibraryOneDeadlineForData(t *testing.T) {
	testCert() // made in the machine's time
	synctest.Test(t, func(t *testing.T) {
		s := &stock{got: make(chan string, 1)}
		l := newMemoryListener()
		stockOn(t, l, s)
		p := l.dial(t)
		p.expect("220")
		play(t, p, stockData)
		for range 10 {
			if _, err := p.conn.Write([]byte("steady\r\n")); err != nil {
				break
			}
			pause(10 * time.Second)
		}
		if got := p.reply(); !strings.HasPrefix(got, "554 ") {
			t.Errorf("slow but steady DATA is answered %q", got)
		}
		<-s.got
	})
}

func TestLibraryEchoesControls(t *testing.T) {
	p := stockServer(t, &stock{})
	if got := p.ask("X:\x19Y", "500"); !strings.Contains(got, "\x19") {
		t.Errorf("%q", got)
	}
}
