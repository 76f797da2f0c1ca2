package smtpd_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/relay"
	"postern/gateway/edge/smtpd"
	labpeer "postern/gateway/lab/peer"
	"postern/gateway/lab/postfix"
	"postern/smime/addr"
	"postern/trust/fetch"

	"postern/certs/dnsclient"
)

// nowhere is a Resolver for a client that only has static routes.
type nowhere struct{}

func (nowhere) MX(context.Context, string) ([]dnsclient.MX, error) { return nil, dnsclient.ErrNotFound }
func (nowhere) Addrs(context.Context, string) ([]netip.Addr, error) {
	return nil, dnsclient.ErrNotFound
}

func sender(t testing.TB) *relay.Client {
	t.Helper()
	c, err := relay.New(relay.Config{Resolver: nowhere{}, Guard: &fetch.Guard{}, Hello: "sender.example", TLS: clientTLS(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func routeTo(t testing.TB, address string, mode relay.TLSMode) relay.Route {
	t.Helper()
	ap := netip.MustParseAddrPort(address)
	return relay.Route{Host: ap.Addr().String(), Port: int(ap.Port()), Private: true, TLS: mode, ServerName: "mail.clinic.example"}
}

func openText(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

// bodies are messages whose octets must come through whatever carries them.
func bodies() map[string]string {
	head := "From: ann@clinic.example\r\nTo: dr.lee@clinic.example\r\nMessage-ID: <1@x>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n"
	return map[string]string{
		"small":            head + "Hello.\r\n",
		"dots":             head + ".\r\n..\r\n...x\r\n\r\n.\r\n",
		"empty body":       head,
		"long line":        head + strings.Repeat("x", 900) + "\r\n",
		"large":            head + strings.Repeat(".0123456789012345678901234567890123456789012345678901234567890123456789\r\n", 40000),
		"8-bit":            head + "caf\xc3\xa9 \xff\r\n",
		"no last line end": head + "end",
	}
}

// The gateway's own client, in clear and in TLS, gives the server the same octets by DATA and by BDAT.
func TestRelayToServer(t *testing.T) {
	s := &site{}
	address := serve(t, s, smtpd.Peer, nil)
	for _, mode := range []relay.TLSMode{relay.None, relay.Required} {
		for name, msg := range bodies() {
			before := len(s.messages())
			r, err := sender(t).Send(context.Background(), routeTo(t, address, mode), relay.Envelope{From: addr.MustParse("ann@clinic.example"),
				To: []addr.Address{addr.MustParse("nobody@clinic.example"), addr.MustParse("dr.lee@clinic.example")}, Size: int64(len(msg))}, openText(msg))
			if err != nil || r.Outcomes[0].Enhanced != "5.1.1" || r.Outcomes[1].Status != relay.Delivered || !strings.HasPrefix(r.Outcomes[1].Text, "Accepted as m-") {
				t.Fatalf("%s: %v %+v", name, err, r)
			}
			got := s.messages()
			if len(got) != before+1 || string(got[before].raw) != msg {
				t.Errorf("%s %s: arrived changed (%d octets for %d)", mode, name, len(got[before].raw), len(msg))
			}
		}
	}
}

// Postfix hands on what it was given: it is sender here, over STARTTLS, with its own DATA writer.
func TestPostfixSender(t *testing.T) {
	t.Parallel()
	s := &site{}
	address := serve(t, s, smtpd.Peer, nil)
	host, port, _ := net.SplitHostPort(address)
	p := postfix.Start(t, "relayhost = ["+host+"]:"+port, "smtp_tls_security_level = encrypt", "smtp_tls_loglevel = 1", "smtp_host_lookup = native")
	c := sender(t)
	sent := map[string]string{}
	for name, msg := range bodies() {
		if name == "no last line end" { // SMTP's DATA has no such thing
			continue
		}
		sent[msg] = name
		r, err := c.Send(context.Background(), routeTo(t, p.Addr, relay.None), relay.Envelope{From: addr.MustParse("ann@hospital.example"),
			To: []addr.Address{addr.MustParse("dr.lee@clinic.example"), addr.MustParse("front.desk@clinic.example")}}, openText(msg))
		if err != nil || r.Outcomes[0].Status != relay.Delivered {
			t.Fatalf("%s: %v %+v", name, err, r)
		}
	}
	for end := time.Now().Add(2 * time.Minute); len(s.messages()) < len(sent) && time.Now().Before(end); {
		pause(20 * time.Millisecond)
	}
	for _, m := range s.messages() {
		body := string(m.raw[strings.Index(string(m.raw), "From: ann@"):]) // behind Postfix's Received
		if sent[body] == "" {
			t.Errorf("a message of %d octets arrived changed", len(m.raw))
		}
		delete(sent, body)
		if len(m.sub.Recipients) != 2 || m.sub.TLS == "" || m.sub.Helo != "postfix.test" || m.facts.Received != 1 {
			t.Errorf("submission %+v, %d Received", m.sub, m.facts.Received)
		}
	}
	if len(sent) != 0 {
		t.Errorf("did not arrive: %v\n%s", sent, p.Log())
	}
}

// swaks is the mail client of the people who set gateways up.
func TestSwaks(t *testing.T) {
	t.Parallel()
	program := labpeer.Need(t, "swaks")
	if exec.Command(labpeer.Need(t, "perl"), "-MNet::SSLeay", "-e", "1").Run() != nil {
		labpeer.Missing(t, "swaks without Net::SSLeay (libnet-ssleay-perl) has no TLS")
	}
	s := &site{}
	port587, port465, port25 := serve(t, s, smtpd.Submission, nil), serve(t, s, smtpd.SubmissionTLS, nil), serve(t, s, smtpd.Peer, nil)
	cert, _ := certFiles(t)
	attachment := filepath.Join(t.TempDir(), "ccda.xml")
	if err := os.WriteFile(attachment, []byte("<ClinicalDocument/>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := []string{"--auth-user", "ann", "--auth-password", "s3cret", "--from", "ann@clinic.example", "--to", "dr.lee@hospital.example"}
	for name, c := range map[string]struct {
		address string
		args    []string
		exit    int // of swaks: 0 sent, 24 recipient or sender refused, 28 login refused …
		says    string
	}{
		"STARTTLS, PLAIN":      {port587, append([]string{"--tls", "--auth", "PLAIN", "--attach", "@" + attachment}, login...), 0, "235 "},
		"STARTTLS, LOGIN":      {port587, append([]string{"--tls", "--auth", "LOGIN"}, login...), 0, "235 "},
		"implicit TLS":         {port465, append([]string{"--tls-on-connect", "--auth", "PLAIN"}, login...), 0, "Accepted as m-"},
		"TLS 1.2":              {port587, append([]string{"--tls", "--tls-protocol", "tlsv1_2", "--auth", "PLAIN"}, login...), 0, "TLSv1.2"},
		"TLS 1.1":              {port587, append([]string{"--tls", "--tls-protocol", "tlsv1_1", "--auth", "PLAIN"}, login...), 29, ""},
		"no TLS":               {port587, append([]string{"--auth", "PLAIN"}, login...), 28, ""},
		"wrong password":       {port587, append([]string{"--tls", "--auth", "PLAIN", "--auth-password", "wrong"}, login[4:]...), 28, ""},
		"another's address":    {port587, append(append([]string{"--tls", "--auth", "PLAIN"}, login...), "--from", "bob@clinic.example"), 23, "550 5.7.1"},
		"a peer":               {port25, []string{"--tls", "--from", "lee@hospital.example", "--to", "ann@clinic.example"}, 0, "Accepted as m-"},
		"a peer without TLS":   {port25, []string{"--from", "lee@hospital.example", "--to", "ann@clinic.example", "--pipeline"}, 0, "Accepted as m-"},
		"an open relay sought": {port25, []string{"--from", "lee@hospital.example", "--to", "x@elsewhere.example"}, 24, "550 5.7.1 Relaying denied"},
		"an unknown address":   {port25, []string{"--from", "lee@hospital.example", "--to", "nobody@clinic.example"}, 24, "550 5.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, append([]string{"--server", c.address, "--ehlo", "desk.example", "--tls-ca-path", cert}, c.args...)...)
			out, _ := cmd.CombinedOutput() // the exit code is judged below
			if code := cmd.ProcessState.ExitCode(); code != c.exit || !strings.Contains(string(out), c.says) {
				t.Errorf("exit %d, want %d, and %q in\n%s", code, c.exit, c.says, out)
			}
		})
	}
}
