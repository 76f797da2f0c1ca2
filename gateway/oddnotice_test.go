package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/gateway/delivery/track"
)

// hand sends a notice as the partner wrote it: the fields of its report part.
func (p *partner) hand(rfc, kind, fields string) {
	p.Helper()
	p.n++
	inner := crlf(fmt.Sprintf(`From: %s
To: %s
Subject: A report
Message-ID: <odd%d@partner.example>
Date: Thu, 19 Nov 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type=%s; boundary=b

--b

A report.
--b
Content-Type: message/%[4]s

%s
--b--
`, p.who, p.dr, p.n, kind, strings.ReplaceAll(fields, "$ID", rfc)))
	sealed, err := p.peer.Seal(p.ctx, p.signer, []byte(inner), p.hospital, p.dr)
	p.ok(err)
	p.ok(p.hospital.Deliver(p.ctx, p.who.String(), sealed, p.dr.String()))
	p.quiet()
}

// Odd notices of a trusted partner on the real path: each moves the ladder by what it surely says, once, and none is
// lost without anybody seeing it.
func TestOddNoticesOnTheLadder(t *testing.T) {
	p := newPartner(t)
	who, mailbox := p.who.String(), "mailbox7@"+p.who.Domain().String()
	final := "Final-Recipient: rfc822;" + who + "\n"
	const id, mdn, dsn = "Original-Message-ID: <$ID>\n", "disposition-notification", "delivery-status"
	says := func(word string) string {
		return "Disposition: automatic-action/MDN-sent-automatically;" + word + "\n"
	}
	seen := 0
	for _, c := range []struct {
		situation, kind, fields string
		state                   track.State
		rung                    track.Kind
		rungs, shown            int // how often the rung stands there; what the sender's inbox shows
	}{
		{"its own mailbox as the final recipient, the address as the original one", mdn,
			"Original-Recipient: rfc822;" + who + "\nFinal-Recipient: rfc822;" + mailbox + "\n" + id + says("processed"), track.StateDone, track.Processed, 1, 0},
		{"a DSN in the same form", dsn,
			"X-" + id + "\nOriginal-Recipient: rfc822;" + who + "\nFinal-Recipient: rfc822;" + mailbox + "\nAction: failed\nStatus: 5.1.1\n", track.StateFailed, track.Failed, 1, 1},
		{"no recipient at all", mdn, id + says("processed"), track.StateDone, track.Processed, 1, 0},
		{"the same failure 500 times", dsn, "X-" + id + strings.Repeat("\n"+final+"Action: failed\nStatus: 5.1.1\n", 500), track.StateFailed, track.Failed, 1, 1},
		{"processed and failed at once", mdn, final + id + says("processed") + says("failed"), track.StateFailed, track.Failed, 1, 1},
		{"processed with the reason of a failure", mdn, final + id + says("processed") + "Failure: cannot be opened\n", track.StateSent, track.Processed, 0, 1},
		{"a word that nobody knows", mdn, final + id + says("pondered"), track.StateSent, track.Processed, 0, 1},
		{"an action that nobody knows", dsn, "X-" + id + "\n" + final + "Action: pondered\nStatus: 5.0.0\n", track.StateSent, track.Failed, 0, 1},
		{"a delay", dsn, "X-" + id + "\n" + final + "Action: delayed\nStatus: 4.4.1\n", track.StateSent, track.Delayed, 1, 0},
		{"relayed", dsn, "X-" + id + "\n" + final + "Action: relayed\nStatus: 2.0.0\n", track.StateSent, track.HandedOn, 1, 0},
		{"about a message that was never sent", mdn, final + "Original-Message-ID: <never@hospital.example>\n" + says("failed"), track.StateSent, track.Failed, 0, 1},
	} {
		t.Run(c.situation, func(t *testing.T) {
			m, rfc := p.send(false)
			p.hand(rfc, c.kind, c.fields)
			l, err := p.hospital.Ladder(p.ctx, m, p.who)
			p.ok(err)
			n := 0
			for _, k := range kinds(l) {
				if k == c.rung {
					n++
				}
			}
			if l.State != c.state || n != c.rungs {
				t.Errorf("%s after %v; want %s with %d %s", l.State, kinds(l), c.state, c.rungs, c.rung)
			}
			items, err := p.hospital.Inbox(p.ctx, "dr")
			p.ok(err)
			if got := len(items) - seen; got != c.shown {
				t.Errorf("the sender's inbox shows %d, want %d", got, c.shown)
			}
			seen = len(items)
		})
	}
}
