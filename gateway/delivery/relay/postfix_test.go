package relay_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/relay"
	"postern/gateway/lab/postfix"
)

// Postfix is the next hop: TLS, PIPELINING, CHUNKING and per-recipient answers of somebody else's making.
func TestPostfixNextHop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chain := filepath.Join(dir, "chain.pem")
	key, err := x509.MarshalPKCS8PrivateKey(testCert().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	pemText := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: testCert().Certificate[0]})...)
	if err := os.WriteFile(chain, pemText, 0o600); err != nil {
		t.Fatal(err)
	}
	p := postfix.Start(t, append(postfix.Mailbox(t, "h.example", "ok@h.example"), "smtpd_tls_chain_files = "+chain,
		"smtpd_tls_security_level = may", "message_size_limit = 1000000")...)
	small := "From: a@clinic.example\r\nTo: ok@h.example\r\nMessage-ID: <1@x>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n.dot\r\n..\r\nend\r\n"
	large := small + strings.Repeat(".0123456789012345678901234567890123456789012345678901234567890123456789\r\n", 10000)
	c := client(t, names{}, nil)
	route := relay.Route{Host: "127.0.0.1", Port: int(netip.MustParseAddrPort(p.Addr).Port()), Private: true, ServerName: "mx.test", TLS: relay.Required}
	for _, msg := range []string{small, large} {
		r, err := c.Send(context.Background(), route, relay.Envelope{From: from, To: to("gone@h.example", "ok@h.example", "x@elsewhere.example"), Size: int64(len(msg))}, text(msg))
		if err != nil {
			t.Fatal(err)
		}
		o := r.Outcomes
		if o[0].Status != relay.Permanent || o[0].Enhanced != "5.1.1" || o[1].Status != relay.Delivered || o[2].Status != relay.Delivered || !strings.HasPrefix(r.TLS, "TLS 1.3") {
			t.Errorf("%s", show(r)) // elsewhere: Postfix relays for loopback, and fails it later
		}
	}
	r, err := c.Send(context.Background(), route, relay.Envelope{From: from, To: to("ok@h.example"), Size: 2e6}, text(strings.Repeat("x\r\n", 700000)))
	if err != nil || r.Outcomes[0].Reason != relay.ReasonTooLarge {
		t.Errorf("over Postfix's size: %v %s", err, show(r))
	}
	want := map[string]bool{small: true, large: true}
	for end := time.Now().Add(2 * time.Minute); len(p.Mailbox(t)) < 2 && time.Now().Before(end); {
		<-time.After(20 * time.Millisecond)
	}
	for _, m := range p.Mailbox(t) {
		i := bytes.Index(m, []byte("From: a@clinic"))
		if i < 0 {
			t.Fatalf("delivered %.200q", m)
		}
		delete(want, strings.ReplaceAll(string(m[i:]), "\n", "\r\n"))
	}
	if len(want) != 0 {
		t.Errorf("%d of 2 messages did not arrive octet for octet (%d in the mailbox)", len(want), len(p.Mailbox(t)))
	}
}
