package gateway_test

import (
	"bufio"
	"bytes"
	"crypto"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
)

// line is a connection to an SMTP listener, spoken to line by line.
type line struct {
	*world
	net.Conn
	r *bufio.Reader
}

func (w *world) line(at string) *line {
	w.Helper()
	c, err := net.Dial("tcp", at)
	w.ok(err)
	w.Cleanup(func() { c.Close() })
	w.ok(c.SetDeadline(time.Now().Add(patience)))
	l := &line{w, c, bufio.NewReader(c)}
	l.say("", "220")
	return l
}

// say sends a text and wants an answer of that code.
func (l *line) say(text, code string) {
	l.Helper()
	_, err := io.WriteString(l.Conn, text)
	l.ok(err)
	for {
		got, err := l.r.ReadString('\n')
		if err != nil || !strings.HasPrefix(got, code) {
			l.Fatalf("after %q: %q, %v; want %s", text, got, err, code)
		}
		if got[3] == ' ' {
			return
		}
	}
}

// TestListenersEndTogether: at shutdown a peer in the middle of a message keeps the grace to itself: whoever is idle
// on another listener is told at once, whichever the two are, and the message is then taken to its end.
func TestListenersEndTogether(t *testing.T) {
	w := newWorld(t, "")
	text := crlf("From: <doc@stranger.example>\nTo: <intake@clinic.example>\nMessage-ID: <1@stranger.example>\n\nHello.\n")
	slow, idle := w.line(w.clinic.SMTP), w.line(w.clinic.Submission)
	slow.say("EHLO h\r\n", "250")
	slow.say("MAIL FROM:<doc@stranger.example>\r\n", "250")
	slow.say("RCPT TO:<intake@clinic.example>\r\n", "250")
	slow.say("DATA\r\n", "354")
	_, err := io.WriteString(slow.Conn, text)
	w.ok(err)
	idle.say("EHLO h\r\n", "250")
	stopped := make(chan error, 1)
	go func() { stopped <- w.clinic.Stop() }()
	idle.say("", "421")
	slow.say(".\r\n", "250") // which is cut once the grace is over
	began := time.Now()
	w.ok(<-stopped)
	if took := time.Since(began); took > gateway.Grace {
		t.Errorf("stopped after %s, with all peers gone", took)
	}
	w.ok(w.clinic.Start(w.ctx))
	w.quiet()
	if got := w.heldReasons(w.clinic); len(got) != 1 { // a message in clear: answered 250, so it is there
		t.Errorf("held %q", got)
	}
}

// TestMemoryForWholeMessages: the assembled gateway bounds what messages that must be held whole take together; one
// that finds no room waits and is then delivered, once.
func TestMemoryForWholeMessages(t *testing.T) {
	w := newWorld(t, "")
	bound := w.clinic.Agent.Limits.Budget
	if bound == nil {
		t.Fatal("the gateway bounds nothing")
	}
	p := w.stranger()
	doc := addr.MustParse("doc@stranger.example")
	who := w.certificate(p, issue.LeafOptions{Address: doc})
	to, err := w.clinic.Ring.Published(w.ctx, w.intake)
	w.ok(err)
	inner := crlf("From: <doc@stranger.example>\nTo: <intake@clinic.example>\nMessage-ID: <1@stranger.example>\nMIME-Version: 1.0\n\nHello.\n")
	var sealed bytes.Buffer
	_, err = smime.Seal(&sealed, io.NewSectionReader(strings.NewReader(inner), 0, int64(len(inner))), smime.SealOptions{Cipher: cms.AES256GCM,
		Signer: smime.Identity{Cert: who.Cert, Chain: who.Chain, Key: who.Key.(crypto.Signer)}, Recipients: []smime.Recipient{{Cert: to[0]}}, Now: w.Clock.Now()})
	w.ok(err)
	w.mode(w.clinic, "pause")
	w.clinic.Agent.Limits.Budget = cms.NewBudget(0) // as when others have taken all of it
	w.mode(w.clinic, "resume")
	w.ok(w.clinic.Deliver(w.ctx, doc.String(), sealed.Bytes(), w.intake.String()))
	w.quiet()
	w.items(w.clinic, "intake", 0)
	if got := w.heldReasons(w.clinic); len(got) != 0 {
		t.Errorf("held %q: want of memory is no fault of the message", got)
	}
	w.mode(w.clinic, "pause")
	w.clinic.Agent.Limits.Budget = bound
	w.mode(w.clinic, "resume")
	w.ok(w.Advance(w.ctx, 5*time.Minute))
	w.items(w.clinic, "intake", 1)
}
