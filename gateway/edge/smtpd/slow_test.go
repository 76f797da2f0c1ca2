package smtpd_test

import (
	"strings"
	"testing"
	"time"

	"postern/gateway/edge/smtpd"
)

// TestSlowPeers is the table of those who take their time: who says nothing is told so and let go, who is slow but
// steady is heard to the end, and good mail goes through after them.
func TestSlowPeers(t *testing.T) {
	toData := []step{{"EHLO h\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"}, {"DATA\r\n", "354"}}
	for name, c := range map[string]struct {
		limits smtpd.Limits
		slow   func(t *testing.T, p *peer)
		reason smtpd.Reason // counted at least once
		kept   int          // messages of the slow one that are taken in
	}{
		"a command, one octet at a time": {limits: smtpd.Limits{Command: 300 * time.Millisecond}, slow: func(t *testing.T, p *peer) {
			p.trickle("EHLO a-very-long-name-that-never-comes-to-an-end", 30*time.Millisecond)
			p.expect("421 4.4.2")
			p.closed()
		}},
		"silence after RCPT": {limits: smtpd.Limits{Command: 200 * time.Millisecond}, slow: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.expect("421 4.4.2")
			p.closed()
		}},
		"silence in DATA": {reason: smtpd.ReasonTimeout, limits: smtpd.Limits{DataBlock: 200 * time.Millisecond}, slow: func(t *testing.T, p *peer) {
			play(t, p, toData)
			p.send("From: x")
			p.expect("421 4.4.2")
			p.closed()
		}},
		"silence in a BDAT chunk": {reason: smtpd.ReasonAborted, limits: smtpd.Limits{DataBlock: 200 * time.Millisecond}, slow: func(t *testing.T, p *peer) {
			play(t, p, toData[:3])
			p.send("BDAT 1000\r\nFrom: x")
			p.drained()
		}},
		"DATA, one octet at a time": {reason: smtpd.ReasonTimeout, limits: smtpd.Limits{DataSlack: 300 * time.Millisecond, DataRate: 1 << 20}, slow: func(t *testing.T, p *peer) {
			play(t, p, toData)
			p.trickle(strings.Repeat("x", 100), 20*time.Millisecond)
			p.expect("421 4.4.2")
		}},
		"DATA slower than its deadline, but steady": {kept: 1, limits: smtpd.Limits{DataBlock: 200 * time.Millisecond, DataSlack: 200 * time.Millisecond, DataRate: 1000}, slow: func(t *testing.T, p *peer) {
			play(t, p, toData)
			p.send(mail)
			for range 20 {
				p.send(strings.Repeat("x", 98) + "\r\n")
				pause(50 * time.Millisecond)
			}
			p.send(".\r\n")
			p.expect("250 2.0.0")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{}
			bubble(t, s, smtpd.Peer, func(cfg *smtpd.Config) { cfg.Limits = c.limits }, func(t *testing.T, dial func() *peer) {
				p := dial()
				p.expect("220")
				c.slow(t, p)
				good := dial()
				good.expect("220")
				play(t, good, append(append([]step{}, toData...), step{mail + ".\r\n", "250 2.0.0"}, step{"QUIT\r\n", "221"}))
			})
			if got := s.messages(); len(got) != c.kept+1 || string(got[len(got)-1].raw) != mail {
				t.Errorf("%d messages taken in, want %d; the last is %q", len(got), c.kept+1, got[len(got)-1].raw)
			}
			if c.reason != "" && s.reasons(c.reason) == 0 {
				t.Errorf("nothing refused for %s: %v", c.reason, s.refused)
			}
		})
	}
}
