package smtpd_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/edge/smtpd"
)

// TestHostile is the table of protocol abuses: what must happen to each, while good mail goes through
// beside it and after it.
func TestHostile(t *testing.T) {
	t.Parallel()
	toData := []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"}, {"DATA\r\n", "354"}}
	for name, c := range map[string]struct {
		change func(*smtpd.Limits)
		abuse  func(t *testing.T, p *peer)
		reason smtpd.Reason // counted at least once
		kept   int          // messages of the abuser that are taken in
	}{
		"commands in clear behind STARTTLS": {abuse: func(t *testing.T, p *peer) {
			p.send("EHLO h\r\n")
			p.expect("250")
			p.send("STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@b.example>\r\nRCPT TO:<a@clinic.example>\r\n")
			p.expect("220")
			p.handshake()
			play(t, p, []step{{"RCPT TO:<a@clinic.example>\r\n", "503"}, {"MAIL FROM:<a@b.example>\r\n", "503"}, {"EHLO h\r\n", "250"},
				{"RCPT TO:<a@clinic.example>\r\n", "503"}})
		}},
		"a transaction begun in clear ends with STARTTLS": {abuse: func(t *testing.T, p *peer) {
			play(t, p, []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"},
				{"STARTTLS\r\n", "220"}, {"!tls", ""}, {"DATA\r\n", "503"}})
		}},
		"STARTTLS with a parameter": {abuse: func(t *testing.T, p *peer) {
			play(t, p, []step{{"EHLO h\r\n", "250"}, {"STARTTLS x\r\n", "501"}, {"STARTTLSX\r\n", "501"}, {"NOOP\r\n", "250"}, {"starttls \r\n", "220"}, {"!tls", ""}, {"EHLO h\r\n", "250"}})
		}},
		"garbage for a TLS hello": {reason: smtpd.ReasonHandshake, abuse: func(t *testing.T, p *peer) {
			play(t, p, []step{{"STARTTLS\r\n", "220"}})
			p.send("EHLO h\r\nMAIL FROM:<a@b.example>\r\n")
			p.drained()
		}},
		"a command line without end": {abuse: func(t *testing.T, p *peer) {
			go io.Copy(p.conn, io.LimitReader(zeros('x'), 1<<20))
			p.expect("500")
		}},
		"a command line over the limit": {abuse: func(t *testing.T, p *peer) {
			play(t, p, []step{{"EHLO " + strings.Repeat("x", 2000) + "\r\n", "500"}, {"", "closed"}})
		}},
		"a HELO name over the limit": {abuse: func(t *testing.T, p *peer) { play(t, p, []step{{"EHLO " + strings.Repeat("x", 500) + "\r\n", "501"}}) }, reason: smtpd.ReasonBadHelo},
		"bare line ends in commands": {abuse: func(t *testing.T, p *peer) {
			play(t, p, []step{{"EHLO h\n", "501"}, {"EHLO h\rNOOP\r\n", "501"}, {"EHLO h\x00\r\n", "501"}, {"EHLO h\r\n", "250"}})
		}},
		"empty lines": {abuse: func(t *testing.T, p *peer) {
			play(t, p, []step{{"\n", "501"}, {"\r\n", "500"}, {"\r\r\n", "501"}})
		}},
		"10,000 recipients": {reason: smtpd.ReasonManyErrors, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:2])
			go func() {
				for i := range 10000 {
					if _, err := fmt.Fprintf(p.conn, "RCPT TO:<a%d@clinic.example>\r\n", i); err != nil {
						return
					}
				}
			}()
			for range 100 {
				p.expect("250")
			}
			for range 21 {
				p.expect("452 4.5.3")
			}
			p.expect("421")
		}},
		"guessing recipients": {reason: smtpd.ReasonManyErrors, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:2])
			for range 21 {
				p.ask("RCPT TO:<nobody@clinic.example>", "550 5.1.1")
			}
			p.expect("421 4.7.0")
			p.closed()
		}},
		"NOOP without end": {reason: smtpd.ReasonManyErrors, abuse: func(t *testing.T, p *peer) {
			for range 100 {
				p.ask("NOOP", "250")
			}
			p.ask("NOOP", "421")
			p.closed()
		}},
		"half-closed after the message": {kept: 1, abuse: func(t *testing.T, p *peer) {
			p.send("EHLO h\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@clinic.example>\r\nDATA\r\n" + mail + ".\r\n")
			p.conn.(*net.TCPConn).CloseWrite()
			for _, want := range []string{"250", "250", "250", "354", "250 2.0.0 Accepted"} {
				p.expect(want)
			}
			p.closed()
		}},
		"half-closed inside the message": {reason: smtpd.ReasonAborted, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData)
			p.send(mail)
			p.conn.(*net.TCPConn).CloseWrite()
			p.expect("451 4.4.2")
			p.closed()
		}},
		"gone inside the message": {reason: smtpd.ReasonAborted, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData)
			p.send(mail)
			p.conn.Close()
		}},
		"an endless header": {reason: smtpd.ReasonHeader, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData)
			for range 5000 {
				p.send("X: " + strings.Repeat("x", 90) + "\r\n")
			}
			p.send(".\r\n")
			p.expect("554 5.6.0")
			play(t, p, toData[1:3])
		}},
		"101 Received fields": {reason: smtpd.ReasonLoop, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData)
			p.send(strings.Repeat("Received: from x by y; Mon, 1 Jan 2024 00:00:00 +0000\r\n", 101) + mail + ".\r\n")
			p.expect("554 5.4.6")
		}},
		"a text line over 998 octets, where that counts": {reason: smtpd.ReasonLongLine, change: func(l *smtpd.Limits) { l.StrictLines = true }, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData)
			p.send(mail + strings.Repeat("x", 1002) + "\r\n.\r\n")
			p.expect("552 5.6.0")
		}},
		"a text line over 998 octets": {kept: 1, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData)
			p.send(mail + strings.Repeat("x", 1002) + "\r\n.\r\n")
			p.expect("250 2.0.0")
		}},
		"one octet over the size": {reason: smtpd.ReasonTooLarge, kept: 1, change: func(l *smtpd.Limits) { l.Message = 10000 }, abuse: func(t *testing.T, p *peer) {
			body := mail + strings.Repeat("x", 10000-len(mail)-2) + "\r\n"
			play(t, p, toData)
			p.send("x" + body + ".\r\n")
			p.expect("552 5.3.4")
			play(t, p, toData[1:])
			p.send(body + ".\r\n")
			p.expect("250")
		}},
		"a message without end": {reason: smtpd.ReasonTooLarge, change: func(l *smtpd.Limits) { l.Message = 100000 }, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData)
			go io.Copy(p.conn, io.LimitReader(zeros('x'), 1500000))
			p.expect("552 5.3.4")
			p.drained()
		}},
		"BDAT over the size": {change: func(l *smtpd.Limits) { l.Message = 10000 }, reason: smtpd.ReasonTooLarge, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.send("BDAT 4000000000 LAST\r\n")
			p.expect("552 5.3.4")
			p.closed()
		}},
		"BDAT pieces over the size": {change: func(l *smtpd.Limits) { l.Message = 10000 }, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.send("BDAT 6000\r\n" + strings.Repeat("X: x\r\n", 1000))
			p.expect("250")
			p.send("BDAT 6000 LAST\r\n" + strings.Repeat("X: x\r\n", 1000))
			p.expect("552 5.3.4")
			p.closed()
		}},
		"the peer dies inside the last chunk": {reason: smtpd.ReasonAborted, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(mail)+1000, mail))
			if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil { // what the system sends for a process that is killed
				t.Fatal(err)
			}
			p.drained()
		}},
		"BDAT left by RSET": {reason: smtpd.ReasonAbandoned, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.send("BDAT 6\r\nX: x\r\n")
			p.expect("250")
			p.ask("RSET", "421 4.4.2")
			p.closed()
		}},
		"BDAT in pieces, twice": {kept: 2, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:1])
			for range 2 {
				play(t, p, toData[1:3])
				p.send(fmt.Sprintf("BDAT 10\r\n%sBDAT 0\r\nBDAT %d\r\n%sBDAT 0 LAST\r\n", mail[:10], len(mail)-10, mail[10:]))
				for _, want := range []string{"250 2.0.0 Continue", "250", "250", "250 2.0.0 Accepted as"} {
					p.expect(want)
				}
			}
		}},
		"BDAT refused, then another": {kept: 1, reason: smtpd.ReasonBareLine, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.send("BDAT 7 LAST\r\nX: x\n\r\n")
			p.expect("554 5.6.0")
			p.ask("RSET", "250")
			play(t, p, toData[1:3])
			p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(mail), mail))
			p.expect("250 2.0.0 Accepted as")
		}},
		"DATA inside BDAT": {abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.send("BDAT 6\r\nX: x\r\n")
			p.expect("250")
			play(t, p, []step{{"DATA\r\n", "503"}, {"MAIL FROM:<a@b.example>\r\n", "503"}, {"RCPT TO:<b@clinic.example>\r\n", "503"}})
		}},
		"BDAT that cannot be read": {abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			play(t, p, []step{{"BDAT\r\n", "501"}, {"BDAT -1\r\n", "501"}, {"BDAT 3 FIRST\r\n", "501"}, {"BDAT 1 LAST x\r\n", "501"}, {"NOOP\r\n", "250"}})
		}},
		"a bare LF in BDAT": {reason: smtpd.ReasonBareLine, abuse: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.send("BDAT 12 LAST\r\nX: x\n\r\nabc\r\n")
			p.expect("554 5.6.0")
		}},
		"the whole session in one packet": {kept: 1, abuse: func(t *testing.T, p *peer) {
			p.send("EHLO h\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@clinic.example>\r\nRCPT TO:<a@clinic.example>\r\nDATA\r\n" + mail + ".\r\nNOOP\r\nQUIT\r\nNOOP\r\n")
			for _, want := range []string{"250", "250", "550", "250", "354", "250 2.0.0 Accepted", "250", "221"} {
				p.expect(want)
			}
			p.closed()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{}
			limits := smtpd.Limits{}
			if c.change != nil {
				c.change(&limits)
			}
			address := serve(t, s, smtpd.Peer, func(cfg *smtpd.Config) { cfg.Limits = limits })
			good := dial(t, address) // open all the while
			p := dial(t, address)
			p.expect("220")
			c.abuse(t, p)
			good.expect("220")
			play(t, good, append(append([]step{}, toData...), step{mail + ".\r\n", "250 2.0.0"}, step{"QUIT\r\n", "221"}))
			p.conn.Close()
			var got []taken
			eventually(t, func() bool {
				got = s.messages()
				return c.reason == "" || s.reasons(c.reason) > 0
			})
			if len(got) != c.kept+1 {
				t.Errorf("%d messages taken in, want %d", len(got), c.kept+1)
			}
			if n := got[len(got)-1]; string(n.raw) != mail {
				t.Errorf("good mail became %q", n.raw)
			}
			if c.reason != "" && s.reasons(c.reason) == 0 {
				t.Errorf("nothing refused for %s: %v", c.reason, s.refused)
			}
		})
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done() && time.Now().Before(end); {
		pause(5 * time.Millisecond)
	}
}

// pause is a peer's slowness: the peers here are real sockets.
func pause(d time.Duration) { <-time.After(d) }

type zeros byte

func (z zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(z)
	}
	return len(p), nil
}

// trickle sends octet by octet until the peer closes.
func (p *peer) trickle(s string, each time.Duration) {
	for i := range len(s) {
		if _, err := p.conn.Write([]byte(s[i : i+1])); err != nil {
			return
		}
		pause(each)
	}
}

// drained reads whatever comes until the connection ends.
func (p *peer) drained() {
	p.t.Helper()
	_, err := io.Copy(io.Discard, p.r)
	if n, ok := err.(net.Error); ok && n.Timeout() {
		p.t.Fatal("connection still open")
	}
}

// Smuggling: what some server takes for the end of a message must not end it here, and must not be kept
// for some other server to be fooled by (EP-26).
func TestSmuggling(t *testing.T) {
	ends := []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\r\n.\r\r\n", "\r\n\x00.\r\n", "\n\n.\r\n", "\r\n.\rX\r\n",
		"\r\n.\f\r\n", "\r\n\f.\r\n", "\r\n.\v\r\n", "\r\n\x7f.\r\n"}
	evil := "MAIL FROM:<evil@b.example>\r\nRCPT TO:<a@clinic.example>\r\nDATA\r\nFrom: boss@b.example\r\n\r\npay\r\n.\r\n"
	for _, end := range ends {
		t.Run(fmt.Sprintf("%q", end), func(t *testing.T) {
			s := &site{}
			p := dial(t, serve(t, s, smtpd.Peer, nil))
			p.expect("220")
			play(t, p, []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"}, {"DATA\r\n", "354"}})
			p.send("From: a@b.example\r\n\r\nhello" + end + evil)
			p.expect("554 5.6.0")
			play(t, p, []step{{"RCPT TO:<b@clinic.example>\r\n", "503"}, {"NOOP\r\n", "250"}})
			if n := len(s.messages()); n != 0 {
				t.Errorf("%d messages taken in", n)
			}
			if s.reasons(smtpd.ReasonBareLine)+s.reasons(smtpd.ReasonFalseEnd) != 1 {
				t.Errorf("refused %v", s.refused)
			}
		})
	}
}

func TestIdleCrowd(t *testing.T) {
	s := &site{}
	address := serve(t, s, smtpd.Peer, func(c *smtpd.Config) { c.Limits.PerPeer, c.Limits.Connections = 40, 60 })
	const crowd = 5000
	var mu sync.Mutex
	turnedAway := 0
	var all []net.Conn
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range crowd / 4 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				line, _ := bufio.NewReader(c).ReadString('\n')
				mu.Lock()
				if strings.HasPrefix(line, "421 4.7.0 ") {
					turnedAway++
					c.Close()
				} else {
					all = append(all, c)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(all) != 40 || turnedAway != crowd-40 {
		t.Errorf("%d let in, %d turned away", len(all), turnedAway)
	}
	// Another peer is not touched by it.
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t, c, bufio.NewReader(c)}
	p.expect("220")
	play(t, p, []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"},
		{"DATA\r\n", "354"}, {mail + ".\r\n", "250"}, {"QUIT\r\n", "221"}})
	c.Close()
	eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.open == 40 })
	// The total holds for everybody.
	for i := range 30 {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(10+i))}}).Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		want := "220"
		if i >= 20 {
			want = "421 4.3.2"
		}
		(&peer{t, c, bufio.NewReader(c)}).expect(want)
	}
	for _, c := range all {
		c.Close()
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	s := &site{slow: make(chan struct{})}
	srv, address := start(t, s)
	idle, busy, stuck := dial(t, address), dial(t, address), dial(t, address)
	for _, p := range []*peer{idle, busy, stuck} {
		p.expect("220")
	}
	toData := []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"}, {"DATA\r\n", "354"}}
	play(t, busy, toData)
	play(t, stuck, toData)
	busy.send(mail)
	down := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { down <- srv.Shutdown(ctx) }()
	idle.expect("421 4.3.2")
	idle.closed()
	close(s.slow)
	busy.send(".\r\n")
	busy.expect("250 2.0.0")
	busy.expect("421 4.3.2")
	busy.closed()
	cancel() // the grace is over
	if err := <-down; err == nil {
		t.Error("a peer stuck in DATA did not show in Shutdown's error")
	}
	stuck.drained()
	if n := len(s.messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("still listening")
	}
}

func start(t *testing.T, s *site) (*smtpd.Server, string) {
	t.Helper()
	srv, err := smtpd.New(smtpd.Config{Mode: smtpd.Peer, Domain: "mail.clinic.example", TLS: serverTLS(t), Directory: s, Spool: s, Intake: s})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Shutdown(context.Background()) // a second one is an error, and harmless
		if err := <-served; err != nil && !errors.Is(err, smtpd.ErrClosed) {
			t.Error(err)
		}
	})
	return srv, l.Addr().String()
}
