package smtpd_test

import (
	"context"
	"strings"
	"testing"

	"postern/gateway/delivery/relay"
	"postern/gateway/edge/smtpd"
	"postern/smime/addr"
)

// TestEdgeCases is the SMTP part of the network's edge testing tool (spec of edge protocols, section 6),
// by its case numbers, as far as one server can be asked.
func TestEdgeCases(t *testing.T) {
	t.Parallel()
	secure := []step{{"EHLO ett.example\r\n", "250"}, {"STARTTLS\r\n", "220"}, {"!tls", ""}, {"EHLO ett.example\r\n", "250"}}
	login := append(append([]step{}, secure...), step{"AUTH PLAIN " + plainAnn + "\r\n", "235"})
	rcpt := append(append([]step{}, login...), step{"MAIL FROM:<ann@clinic.example>\r\n", "250"}, step{"RCPT TO:<dr.lee@hospital.example>\r\n", "250"})
	data := append(append([]step{}, rcpt...), step{"DATA\r\n", "354"})
	with := func(base []step, more ...step) []step { return append(append([]step{}, base...), more...) }
	const head = "From: ann@clinic.example\r\nTo: dr.lee@hospital.example\r\n\r\n"
	for name, steps := range map[string][]step{
		"9, 16, 20 STARTTLS, AUTH PLAIN and a message": with(data, step{mail + ".\r\n", "250"}),
		"10 form feed for a terminator":                with(data, step{head + "x\r\n\f.\f\r\n.\r\n", "554"}),
		"10 bare CR for a terminator":                  with(data, step{head + "x\r.\r\r\n.\r\n", "554"}),
		"10 bare LF for a terminator":                  with(data, step{head + "x\n.\n\r\n.\r\n", "554"}),
		"11 unknown command":                           with(login, step{"MALE FROM:<ann@clinic.example>\r\n", "500"}, step{"RCPT\r\n", "503"}),
		"11 RCPT before MAIL":                          with(login, step{"RCPT TO:<dr.lee@hospital.example>\r\n", "503"}),
		"11 DATA before RCPT":                          with(login, step{"MAIL FROM:<ann@clinic.example>\r\n", "250"}, step{"DATA\r\n", "503"}),
		"11 MAIL before EHLO":                          {{"MAIL FROM:<ann@clinic.example>\r\n", "503"}},
		"11 bad syntax":                                with(login, step{"MAIL FROM ann@clinic.example\r\n", "501"}, step{"DATA x\r\n", "501"}),
		"12 local part of 74":                          with(login, step{"MAIL FROM:<" + strings.Repeat("a", 74) + "@clinic.example>\r\n", "501"}),
		"12 domain of 261":                             with(login, step{"MAIL FROM:<ann@" + strings.Repeat("abcdefgh.", 28) + "example.com>\r\n", "501"}),
		"12 text line of 1004":                         with(data, step{head + strings.Repeat("x", 1002) + "\r\n.\r\n", "552"}),
		"13 idle after RCPT":                           with(rcpt, step{"", "421 4.4.2"}, step{"", "closed"}),
		"13 idle in DATA":                              with(data, step{"From: ", "421 4.4.2"}, step{"", "closed"}),
		"17 STARTTLS with an argument":                 {{"EHLO ett.example\r\n", "250"}, {"STARTTLS foo\r\n", "501"}, {"EHLO ett.example\r\n", "250"}},
		"22 wrong user":                                with(secure, step{"AUTH PLAIN AG5vYm9keQBzM2NyZXQ=\r\n", "535"}, step{"MAIL FROM:<ann@clinic.example>\r\n", "530"}),
		"22 wrong password":                            with(secure, step{"AUTH PLAIN AGFubgB3cm9uZw==\r\n", "535"}, step{"MAIL FROM:<ann@clinic.example>\r\n", "530"}),
	} {
		t.Run(name, func(t *testing.T) {
			strict := func(c *smtpd.Config) { c.Limits = smtpd.Limits{StrictLines: true} }
			bubble(t, &site{}, smtpd.Submission, strict, func(t *testing.T, dial func() *peer) {
				p := dial()
				p.expect("220")
				play(t, p, steps)
			})
		})
	}
}

// Cases 8, 14, 18: the gateway sends, with STARTTLS and AUTH PLAIN, to a server that insists on both.
func TestEdgeCasesSending(t *testing.T) {
	for mode, tls := range map[smtpd.Mode]relay.TLSMode{smtpd.Submission: relay.Required, smtpd.SubmissionTLS: relay.Implicit} {
		s := &site{}
		route := routeTo(t, serve(t, s, mode, nil), tls)
		route.Login, route.Password = "ann", "s3cret"
		r, err := sender(t).Send(context.Background(), route, relay.Envelope{From: addr.MustParse("ann@clinic.example"), To: []addr.Address{addr.MustParse("x@hospital.example")}}, openText(mail))
		if err != nil || r.Outcomes[0].Status != relay.Delivered || !strings.HasPrefix(r.TLS, "TLS 1.3") {
			t.Errorf("%s: %v %+v", mode, err, r)
		}
		if got := s.messages(); len(got) != 1 || got[0].sub.Principal != "ann" || string(got[0].raw) != mail {
			t.Errorf("%s: took in %d messages", mode, len(got))
		}
	}
}
