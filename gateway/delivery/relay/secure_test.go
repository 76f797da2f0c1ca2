package relay_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"postern/gateway/delivery/relay"
)

func TestTLS(t *testing.T) {
	wrongName := func(r *relay.Route) { r.ServerName = "other.test" }
	for name, c := range map[string]struct {
		host   *host
		mode   relay.TLSMode
		route  func(*relay.Route)
		status relay.Status
		reason relay.Reason
		tls    string // of the result; "-" is clear
		note   bool   // the certificate is noted as not valid
	}{
		"opportunistic, not offered":         {&host{}, relay.Opportunistic, nil, relay.Delivered, relay.ReasonDelivered, "-", false},
		"opportunistic":                      {&host{tls: serverTLS()}, relay.Opportunistic, nil, relay.Delivered, relay.ReasonDelivered, "TLS 1.3 ", false},
		"opportunistic, another's name":      {&host{tls: serverTLS()}, relay.Opportunistic, wrongName, relay.Delivered, relay.ReasonDelivered, "TLS 1.3 ", true},
		"opportunistic, STARTTLS refused":    {&host{ext: []string{"STARTTLS"}, replies: map[string]string{"STARTTLS": "454 not now"}}, relay.Opportunistic, nil, relay.Delivered, relay.ReasonDelivered, "-", false},
		"opportunistic, TLS is broken":       {&host{ext: []string{"STARTTLS"}, replies: map[string]string{"STARTTLS": "220 go"}}, relay.Opportunistic, nil, relay.Delivered, relay.ReasonDelivered, "-", false},
		"opportunistic, words before TLS":    {&host{ext: []string{"STARTTLS"}, replies: map[string]string{"STARTTLS": "220 go\n250 ok"}}, relay.Opportunistic, nil, relay.Temporary, relay.ReasonTLS, "-", false},
		"none, though offered":               {&host{tls: serverTLS()}, relay.None, nil, relay.Delivered, relay.ReasonDelivered, "-", false},
		"required, not offered":              {&host{}, relay.Required, nil, relay.Temporary, relay.ReasonTLS, "-", false},
		"required":                           {&host{tls: serverTLS()}, relay.Required, nil, relay.Delivered, relay.ReasonDelivered, "TLS 1.3 ", false},
		"required, another's name":           {&host{tls: serverTLS()}, relay.Required, wrongName, relay.Temporary, relay.ReasonTLS, "-", false},
		"required, unknown issuer":           {&host{tls: serverTLS()}, relay.Required, func(r *relay.Route) { r.Roots = x509.NewCertPool() }, relay.Temporary, relay.ReasonTLS, "-", false},
		"required, its own roots":            {&host{tls: serverTLS()}, relay.Required, func(r *relay.Route) { r.Roots = roots() }, relay.Delivered, relay.ReasonDelivered, "TLS 1.3 ", false},
		"required, STARTTLS refused":         {&host{ext: []string{"STARTTLS"}, replies: map[string]string{"STARTTLS": "554 no"}}, relay.Required, nil, relay.Temporary, relay.ReasonTLS, "-", false},
		"implicit":                           {&host{tls: serverTLS(), implicit: true}, relay.Implicit, nil, relay.Delivered, relay.ReasonDelivered, "TLS 1.3 ", false},
		"implicit, another's name":           {&host{tls: serverTLS(), implicit: true}, relay.Implicit, wrongName, relay.Temporary, relay.ReasonTLS, "-", false},
		"implicit, but the peer is in clear": {&host{}, relay.Implicit, nil, relay.Temporary, relay.ReasonTLS, "-", false},
		"required, TLS 1.1 at most":          {&host{tls: &tls.Config{Certificates: serverTLS().Certificates, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}}, relay.Required, nil, relay.Temporary, relay.ReasonTLS, "-", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := c.host
			h.start(t, "127.0.0.1:0")
			r := static(h)
			r.TLS = c.mode
			if c.route != nil {
				c.route(&r)
			}
			got, err := client(t, names{}, nil).Send(context.Background(), r, relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
			if err != nil {
				t.Fatal(err)
			}
			if o := got.Outcomes[0]; o.Status != c.status || o.Reason != c.reason {
				t.Errorf("got %s", show(got))
			}
			if c.tls == "-" && got.TLS != "" || c.tls != "-" && !strings.HasPrefix(got.TLS, c.tls) || strings.Contains(got.TLS, "not valid") != c.note {
				t.Errorf("TLS %q, want %q", got.TLS, c.tls)
			}
			if mails, _, _ := h.got(); (len(mails) == 1) != (c.status == relay.Delivered) {
				t.Errorf("peer got %d messages", len(mails))
			}
		})
	}
}

func TestResumption(t *testing.T) {
	resumed := 0
	cfg := serverTLS()
	cfg.VerifyConnection = func(st tls.ConnectionState) error {
		if st.DidResume {
			resumed++
		}
		return nil
	}
	h := (&host{tls: cfg}).start(t, "127.0.0.1:0")
	c := client(t, names{}, func(cfg *relay.Config) { cfg.Limits.Reuse = 1 })
	for range 3 {
		r, err := c.Send(context.Background(), static(h), relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
		if err != nil || r.Outcomes[0].Status != relay.Delivered {
			t.Fatal(err, show(r))
		}
	}
	if _, _, conns := h.got(); conns != 3 || resumed != 2 {
		t.Errorf("%d connections, %d resumed", conns, resumed)
	}
}

func TestLogin(t *testing.T) {
	auth := func(mechs string) []string { return []string{"PIPELINING", "AUTH " + mechs} }
	for name, c := range map[string]struct {
		ext     []string
		replies map[string]string
		clear   bool
		want    relay.Reason
		said    []string
	}{
		"PLAIN": {auth("LOGIN PLAIN"), map[string]string{"AUTH": "235 in"}, false, relay.ReasonDelivered, []string{"AUTH PLAIN " + b64("\x00gw\x00pw")}},
		"LOGIN": {auth("LOGIN"), map[string]string{"AUTH": "334 VXNlcm5hbWU6", b64("gw"): "334 UGFzc3dvcmQ6", b64("pw"): "235 in"}, false,
			relay.ReasonDelivered, []string{"AUTH LOGIN", b64("gw"), b64("pw")}},
		"refused":           {auth("PLAIN"), map[string]string{"AUTH": "535 5.7.8 wrong"}, false, relay.ReasonLogin, nil},
		"not offered":       {[]string{"PIPELINING"}, nil, false, relay.ReasonLogin, nil},
		"other mechanisms":  {auth("CRAM-MD5 XOAUTH2"), nil, false, relay.ReasonLogin, nil},
		"never without TLS": {auth("PLAIN"), map[string]string{"AUTH": "235 in"}, true, relay.ReasonLogin, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{ext: c.ext, replies: c.replies}
			if !c.clear {
				h.tls = serverTLS()
			}
			h.start(t, "127.0.0.1:0")
			r := static(h)
			r.Login, r.Password = "gw", "pw"
			got, err := client(t, names{}, nil).Send(context.Background(), r, relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
			if err != nil {
				t.Fatal(err)
			}
			if o := got.Outcomes[0]; o.Reason != c.want || o.Status == relay.Permanent {
				t.Errorf("got %s", show(got))
			}
			_, seen, _ := h.got()
			all := strings.Join(seen, "\n")
			if c.clear && strings.Contains(all, "AUTH") {
				t.Errorf("the login went out in clear: %q", seen)
			}
			if !strings.Contains(all, strings.Join(c.said, "\n")) {
				t.Errorf("said %q, want %q", seen, c.said)
			}
			if strings.Contains(show(got), "pw") || strings.Contains(show(got), b64("pw")) {
				t.Error("the password shows in the trace")
			}
		})
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
