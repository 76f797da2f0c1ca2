package smtpd_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"postern/gateway/edge/smtpd"
	"postern/gateway/message"
	"postern/smime/addr"
)

// A step is what a peer sends and how the reply's last line must begin. A "!" step sends nothing: it
// expects TLS to be made.
type step struct{ send, want string }

func play(t *testing.T, p *peer, steps []step) {
	t.Helper()
	for _, s := range steps {
		if s.send == "!tls" {
			p.handshake()
			continue
		}
		if s.want == "closed" {
			p.closed()
			continue
		}
		p.send(s.send)
		p.expect(s.want)
	}
}

func TestPeerDialogue(t *testing.T) {
	for name, steps := range map[string][]step{
		"a message for two of ours": {
			{"EHLO hospital.example\r\n", "250"}, {"MAIL FROM:<lee@hospital.example> SIZE=500\r\n", "250"},
			{"RCPT TO:<a@clinic.example>\r\n", "250"}, {"RCPT TO:<b@clinic.example>\r\n", "250"},
			{"DATA\r\n", "354"}, {mail + ".\r\n", "250 2.0.0 Accepted as m-"}, {"QUIT\r\n", "221"}, {"", "closed"},
		},
		"one recipient is unknown": {
			{"EHLO h\r\n", "250"}, {"MAIL FROM:<>\r\n", "250"}, {"RCPT TO:<nobody@clinic.example>\r\n", "550 5.1.1"},
			{"RCPT TO:<a@clinic.example>\r\n", "250"}, {"DATA\r\n", "354"}, {mail + ".\r\n", "250 2.0.0"},
		},
		"not a relay": {
			{"EHLO h\r\n", "250"}, {"MAIL FROM:<ann@clinic.example>\r\n", "250"}, {"RCPT TO:<x@elsewhere.example>\r\n", "550 5.7.1 Relaying"},
			{"RCPT TO:<a%elsewhere.example@elsewhere.example>\r\n", "550 5.7.1"}, {"RCPT TO:<@clinic.example:x@elsewhere.example>\r\n", "550 5.7.1"},
			{"RCPT TO:<\"x@elsewhere.example\"@clinic.example>\r\n", "250"}, // a quoted local part of ours, were there one
		},
		"commands out of order": {
			{"MAIL FROM:<a@b.example>\r\n", "503"}, {"RCPT TO:<a@clinic.example>\r\n", "503"}, {"DATA\r\n", "503"},
			{"EHLO h\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "503"}, {"DATA\r\n", "503"},
			{"MAIL FROM:<a@b.example>\r\n", "250"}, {"DATA\r\n", "503"}, {"BDAT 3\r\nabc", "503"}, {"NOOP\r\n", "250"},
		},
		"bad commands": {
			{"EHLO h\r\n", "250"}, {"FOOO bar\r\n", "500"}, {"FOO bar\r\n", "501"}, {"MAIL TO:<a@b.example>\r\n", "501"}, {"MAIL FROM:<a@b>\r\n", "501 5.1.7"},
			{"MAIL FROM:<a@b.example> FOO=1\r\n", "500"}, {"MAIL FROM:<a@b.example> SMTPUTF8\r\n", "504"},
			{"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n", "504"}, {"EXPN x\r\n", "502"}, {"EHLO\r\n", "501"},
		},
		"lengths of RFC 5321 section 4.5.3.1": {
			{"EHLO h\r\n", "250"}, {"MAIL FROM:<" + strings.Repeat("a", 74) + "@b.example>\r\n", "501 5.1.7"},
			{"MAIL FROM:<a@" + strings.Repeat("b.", 127) + "example>\r\n", "501 5.1.7"}, {"MAIL FROM:<a@b.example>\r\n", "250"},
			{"RCPT TO:<" + strings.Repeat("a", 74) + "@clinic.example>\r\n", "501 5.1.3"},
			{"RCPT TO:<a@clinic.example> " + strings.Repeat("x", 1100) + "\r\n", "500"}, {"", "closed"},
		},
		"no AUTH for peers": {
			{"EHLO h\r\n", "250"}, {"AUTH PLAIN " + plainAnn + "\r\n", "502"}, {"STARTTLS\r\n", "220"}, {"!tls", ""},
			{"EHLO h\r\n", "250"}, {"AUTH PLAIN " + plainAnn + "\r\n", "504"},
		},
		"announced size over the limit": {{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example> SIZE=99999999\r\n", "552 5.3.4"}},
		"recipients over the limit": {
			{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"},
			{"RCPT TO:<b@clinic.example>\r\n", "250"}, {"RCPT TO:<c@clinic.example>\r\n", "250"}, {"RCPT TO:<d@clinic.example>\r\n", "452 4.5.3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, serve(t, &site{}, smtpd.Peer, func(c *smtpd.Config) { c.Limits.Recipients = 3; c.Limits.Message = 1 << 20 }))
			p.expect("220 mail.clinic.example")
			play(t, p, steps)
		})
	}
}

func TestSubmissionDialogue(t *testing.T) {
	toTLS := []step{{"EHLO desk\r\n", "250"}, {"STARTTLS\r\n", "220"}, {"!tls", ""}, {"EHLO desk\r\n", "250"}}
	toMail := append(append([]step{}, toTLS...), step{"AUTH PLAIN " + plainAnn + "\r\n", "235"})
	toData := func(from string) []step {
		return append(append([]step{}, toMail...), step{"MAIL FROM:<" + from + ">\r\n", "250"},
			step{"RCPT TO:<dr.lee@hospital.example>\r\n", "250"}, step{"DATA\r\n", "354"})
	}
	for name, steps := range map[string][]step{
		"no MAIL before TLS":      {{"EHLO h\r\n", "250"}, {"MAIL FROM:<ann@clinic.example>\r\n", "530 5.7.0 Must issue a STARTTLS"}},
		"no AUTH before TLS":      {{"EHLO h\r\n", "250"}, {"AUTH PLAIN " + plainAnn + "\r\n", "530 5.7.0"}},
		"no MAIL before AUTH":     append(append([]step{}, toTLS...), step{"MAIL FROM:<ann@clinic.example>\r\n", "530 5.7.0 Authentication"}),
		"no MAIL before new EHLO": {{"EHLO h\r\n", "250"}, {"STARTTLS\r\n", "220"}, {"!tls", ""}, {"MAIL FROM:<ann@clinic.example>\r\n", "503"}},
		"STARTTLS twice":          append(append([]step{}, toTLS...), step{"STARTTLS\r\n", "503"}),
		"a remote recipient":      append(toData("ann@clinic.example"), step{mail + ".\r\n", "250 2.0.0"}),
		"a local recipient unknown": append(append([]step{}, toMail...), step{"MAIL FROM:<ann@clinic.example>\r\n", "250"},
			step{"RCPT TO:<nobody@clinic.example>\r\n", "550 5.1.1"}),
		"another's MAIL FROM": append(append([]step{}, toMail...), step{"MAIL FROM:<bob@clinic.example>\r\n", "550 5.7.1"}),
		"another's From":      append(toData("ann@clinic.example"), step{strings.Replace(mail, "ann@", "bob@", 1) + ".\r\n", "550 5.7.1"}),
		"another's Sender":    append(toData("ann@clinic.example"), step{"Sender: bob@clinic.example\r\n" + mail + ".\r\n", "550 5.7.1"}),
		"null sender, mail":   append(toData(""), step{mail + ".\r\n", "550 5.7.1"}),
		"null sender, a notice": append(toData(""), step{"From: ann@clinic.example\r\nTo: lee@hospital.example\r\n" +
			"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b--\r\n.\r\n", "250"}),
		"no From":  append(toData("ann@clinic.example"), step{"To: x@y.example\r\n\r\nx\r\n.\r\n", "554 5.6.0"}),
		"Bcc":      append(toData("ann@clinic.example"), step{"Bcc: x@y.example\r\n" + mail + ".\r\n", "554 5.6.0"}),
		"no octet": append(toData("ann@clinic.example"), step{".\r\n", "554 5.6.0"}),
		"LOGIN": append(append([]step{}, toTLS...), step{"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6"}, step{"YW5u\r\n", "334 UGFzc3dvcmQ6"},
			step{"czNjcmV0\r\n", "235"}),
		"LOGIN with the name at once": append(append([]step{}, toTLS...), step{"AUTH LOGIN YW5u\r\n", "334"}, step{"czNjcmV0\r\n", "235"}),
		"PLAIN in two steps":          append(append([]step{}, toTLS...), step{"AUTH PLAIN\r\n", "334"}, step{plainAnn + "\r\n", "235"}),
		"wrong password":              append(append([]step{}, toTLS...), step{"AUTH PLAIN AGFubgB3cm9uZw==\r\n", "535 5.7.8"}),
		"PLAIN for somebody else":     append(append([]step{}, toTLS...), step{"AUTH PLAIN Ym9iAGFubgBzM2NyZXQ=\r\n", "535 5.7.8"}),
		"PLAIN garbage":               append(append([]step{}, toTLS...), step{"AUTH PLAIN YW5u\r\n", "501"}, step{"AUTH PLAIN !!!\r\n", "501"}),
		"AUTH cancelled":              append(append([]step{}, toTLS...), step{"AUTH LOGIN\r\n", "334"}, step{"*\r\n", "501"}),
		"AUTH answer like a command":  append(append([]step{}, toTLS...), step{"AUTH LOGIN\r\n", "334"}, step{"STARTTLS\r\n", "334"}, step{"czNjcmV0\r\n", "535"}),
		"CRAM-MD5":                    append(append([]step{}, toTLS...), step{"AUTH CRAM-MD5\r\n", "504"}),
		"AUTH without a word":         append(append([]step{}, toTLS...), step{"AUTH\r\n", "501"}),
		"AUTH twice":                  append(append([]step{}, toMail...), step{"AUTH PLAIN " + plainAnn + "\r\n", "503"}),
		"three wrong logins": append(append([]step{}, toTLS...), step{"AUTH PLAIN AGFubgB3\r\n", "535"}, step{"AUTH PLAIN AGFubgB3\r\n", "535"},
			step{"AUTH PLAIN AGFubgB3\r\n", "421"}, step{"", "closed"}),
		"user store broken": append(append([]step{}, toTLS...), step{"AUTH PLAIN AGJyb2tlbgB4\r\n", "454 4.7.0 Temporary authentication failure"}),
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, serve(t, &site{}, smtpd.Submission, nil))
			p.expect("220")
			play(t, p, steps)
		})
	}
}

func TestImplicitTLS(t *testing.T) {
	s := &site{}
	p := dial(t, serve(t, s, smtpd.SubmissionTLS, nil))
	p.handshake()
	p.expect("220 mail.clinic.example")
	ehlo := p.ask("EHLO desk", "250")
	if !strings.Contains(ehlo, "AUTH PLAIN LOGIN") || strings.Contains(ehlo, "STARTTLS") {
		t.Errorf("EHLO inside TLS says %q", ehlo)
	}
	play(t, p, []step{{"AUTH PLAIN " + plainAnn + "\r\n", "235"}, {"MAIL FROM:<ann@clinic.example>\r\n", "250"},
		{"RCPT TO:<dr.lee@hospital.example>\r\n", "250"}, {"DATA\r\n", "354"}, {mail + ".\r\n", "250"}})
	got := s.messages()
	if len(got) != 1 || got[0].sub.Principal != "ann" || got[0].sub.Edge != message.EdgeSubmission || !strings.HasPrefix(got[0].sub.TLS, "TLS 1.3 ") {
		t.Errorf("took in %+v", got)
	}
}

func TestExtensionsAnnounced(t *testing.T) {
	p := dial(t, serve(t, &site{}, smtpd.Submission, func(c *smtpd.Config) { c.Limits.Message = 12345678 }))
	p.expect("220")
	ehlo := p.ask("EHLO h", "250")
	for _, want := range []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "STARTTLS", "SIZE 12345678"} {
		if !strings.Contains(ehlo, want) {
			t.Errorf("EHLO lacks %s: %q", want, ehlo)
		}
	}
	for _, not := range []string{"SMTPUTF8", "AUTH", "BINARYMIME", "DSN"} {
		if strings.Contains(ehlo, not) {
			t.Errorf("EHLO in clear offers %s: %q", not, ehlo)
		}
	}
}

func TestFaultsInside(t *testing.T) {
	secret := errors.New("open /var/lib/postern/spool: patient Doe")
	for name, c := range map[string]struct {
		set    func(*site)
		want   string
		reason smtpd.Reason
		steps  []step
	}{
		"directory":   {func(s *site) { s.dirErr = secret }, "", smtpd.ReasonInternal, []step{{"RCPT TO:<a@clinic.example>\r\n", "451 4.3.0"}}},
		"disk full":   {func(s *site) { s.writeErr = &osError{syscall.ENOSPC} }, "452 4.3.1", smtpd.ReasonDisk, nil},
		"disk broken": {func(s *site) { s.writeErr = secret }, "451 4.3.0 Local error", smtpd.ReasonInternal, nil},
		"database":    {func(s *site) { s.intake = secret }, "451 4.3.0 Local error", smtpd.ReasonInternal, nil},
		"intake says no": {func(s *site) {
			s.intake = &smtpd.Refusal{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "Closed\r\n250 no"}
		},
			"550 5.7.1 Closed??250 no", smtpd.ReasonIntake, nil},
		"intake panics": {func(s *site) { s.panics = true }, "421 4.0.0 Internal server error", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{}
			p := dial(t, serve(t, s, smtpd.Peer, nil))
			p.expect("220")
			play(t, p, []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}})
			if c.steps == nil {
				c.steps = []step{{"RCPT TO:<a@clinic.example>\r\n", "250"}, {"DATA\r\n", "354"}, {mail + strings.Repeat("x\r\n", 100000) + ".\r\n", c.want}}
			}
			s.mu.Lock()
			c.set(s)
			s.mu.Unlock()
			play(t, p, c.steps)
			if c.reason != "" && s.reasons(c.reason) == 0 {
				t.Errorf("no refusal for %s: %v", c.reason, s.refused)
			}
			if n := len(s.messages()); n != 0 {
				t.Errorf("%d messages kept", n)
			}
		})
	}
}

type osError struct{ error }

func (e *osError) Unwrap() error { return e.error }

func TestPressure(t *testing.T) {
	s := &site{busy: errors.New("disk below reserve")}
	p := dial(t, serve(t, s, smtpd.Peer, nil))
	p.expect("220")
	play(t, p, []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "452 4.3.1"}})
	s.mu.Lock()
	s.busy = nil
	s.mu.Unlock()
	play(t, p, []step{{"MAIL FROM:<a@b.example>\r\n", "250"}})
}

func TestSubmissionValue(t *testing.T) {
	s := &site{}
	p := dial(t, serve(t, s, smtpd.Peer, nil))
	p.expect("220")
	play(t, p, []step{{"EHLO hospital.example\r\n", "250"}, {"STARTTLS\r\n", "220"}, {"!tls", ""}, {"EHLO again.example\r\n", "250"},
		{"MAIL FROM:<lee@hospital.example>\r\n", "250"}, {"RCPT TO:<A@clinic.example>\r\n", "250"}, {"RCPT TO:<a@Clinic.example>\r\n", "250"},
		{"DATA\r\n", "354"}, {mail + ".\r\n", "250"}})
	got := s.messages()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	sub := got[0].sub
	if sub.Org != "o-1" || sub.Edge != message.EdgeSMTP || sub.Principal != "" || sub.From.String() != "lee@hospital.example" ||
		len(sub.Recipients) != 1 || sub.Recipients[0].String() != "A@clinic.example" || sub.Helo != "again.example" ||
		!strings.HasPrefix(sub.Peer, "127.0.0.1:") || sub.TLS == "" || sub.Received.IsZero() || sub.EdgeID == "" {
		t.Errorf("submission %+v", sub)
	}
	if string(got[0].raw) != mail || got[0].facts.MessageID != "" || got[0].facts.Size != int64(len(mail)) {
		t.Errorf("message %q, facts %+v", got[0].raw, got[0].facts)
	}
}

func TestPostmasterWithoutDomain(t *testing.T) {
	s := &site{}
	p := dial(t, serve(t, s, smtpd.Peer, func(c *smtpd.Config) { c.Postmaster = addr.MustParse("postmaster@clinic.example") }))
	p.expect("220")
	play(t, p, []step{{"EHLO h\r\n", "250"}, {"RCPT TO:<postmaster>\r\n", "503"}, {"MAIL FROM:<>\r\n", "250"}, {"RCPT TO:<PostMaster>\r\n", "250"},
		{"RCPT TO:<hostmaster>\r\n", "501"}, {"DATA\r\n", "354"}, {mail + ".\r\n", "250"}})
	if got := s.messages(); got[0].sub.Recipients[0].String() != "postmaster@clinic.example" {
		t.Errorf("went to %v", got[0].sub.Recipients)
	}
}

func TestSessionsOfOneLogin(t *testing.T) {
	s := &site{}
	address := serve(t, s, smtpd.SubmissionTLS, func(c *smtpd.Config) { c.Limits.PerLogin = 2 })
	login := func(want string) *peer {
		p := dial(t, address)
		p.handshake()
		p.expect("220")
		p.ask("EHLO h", "250")
		p.ask("AUTH PLAIN "+plainAnn, want)
		return p
	}
	first := login("235")
	login("235")
	login("421 4.7.0").closed()
	first.ask("QUIT", "221")
	eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.open == 1 })
	login("235")
	if s.reasons(smtpd.ReasonLoginSessions) != 1 {
		t.Errorf("refused %v", s.refused)
	}
}

// A login that sends too fast is put off, over all its connections, and another is not.
func TestARateALogin(t *testing.T) {
	s := &site{}
	address := serve(t, s, smtpd.SubmissionTLS, func(c *smtpd.Config) { c.Limits.LoginRate = 2 })
	open := func() *peer {
		p := dial(t, address)
		p.handshake()
		p.expect("220")
		p.ask("EHLO h", "250")
		p.ask("AUTH PLAIN "+plainAnn, "235")
		return p
	}
	one, two := open(), open()
	for _, p := range []*peer{one, two} {
		p.ask("MAIL FROM:<ann@clinic.example>", "250")
		p.ask("RSET", "250")
	}
	two.ask("MAIL FROM:<ann@clinic.example>", "450 4.7.0")
	one.ask("MAIL FROM:<ann@clinic.example>", "450 4.7.0")
	if n := s.reasons(smtpd.ReasonLoginRate); n != 2 {
		t.Errorf("%d refusals, want 2", n)
	}
}
