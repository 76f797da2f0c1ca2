package gateway_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// notices is the texts in an inbox, once there are n.
func (w *world) notices(s *lab.Site, name string, n int) []string {
	w.Helper()
	var out []string
	for _, it := range w.items(s, name, n) {
		out = append(out, string(w.saved(s, it)))
	}
	return out
}

// mentions fails when a text lacks any of the words; line ends count as blanks.
func (w *world) mentions(text string, words ...string) {
	w.Helper()
	flat := strings.Join(strings.Fields(text), " ")
	for _, word := range words {
		if !strings.Contains(flat, word) {
			w.Errorf("it does not say %q:\n%s", word, text)
		}
	}
}

// What an operator holds back, or a pause does, ends with T1 of its acceptance: its sender is told what became of it,
// once, and it is not sent after that, whoever lets it go.
func TestWhatIsKeptBackIsTold(t *testing.T) {
	for _, c := range []struct{ name, how, because string }{
		{"held by hand", "hold", "An operator of this gateway held the message back, and it was not sent to intake@clinic.example within 60 minutes."},
		{"all paused", "pause", "An operator of this gateway stopped all sending, and it was not sent to intake@clinic.example within 60 minutes."},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "")
			w.mode(w.hospital, "pause")
			id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
			if c.how == "hold" {
				w.operate(w.hospital, "hold", store.Selection{Message: id}, 1)
				w.mode(w.hospital, "resume")
			}
			w.ok(w.Advance(w.ctx, 50*time.Minute)) // a paused gateway does not come to rest
			if l, err := w.hospital.Ladder(w.ctx, id, w.intake); err != nil || l.State != track.StateNew {
				t.Fatalf("after 50 minutes: %s, %v", l.State, err)
			}
			w.ok(w.Advance(w.ctx, 11*time.Minute))
			l := w.reach(w.hospital, id, w.intake, track.StateFailed)
			if l.Failure != track.Refused || !has(l, track.ToldFailed) || !strings.Contains(l.Words, "operator") {
				t.Errorf("%v: %s", kinds(l), l.Words)
			}
			text := w.notices(w.hospital, "dr", 1)[0]
			w.mentions(text, c.because, "It will not be sent any more.", "Status: 5.4.7", "Action: failed")
			if w.audited(w.hospital, "queue.give_up") != 1 {
				t.Error("that it was given up is not in the audit")
			}
			if c.how == "pause" {
				w.mode(w.hospital, "resume")
			}
			w.later(time.Hour, time.Hour)
			w.items(w.hospital, "dr", 1)
			w.items(w.clinic, "intake", 0)
			if jobs := w.waiting(w.hospital, id, queue.Seal); len(jobs) != 0 {
				t.Errorf("what is left of it: %+v", jobs)
			}
			why, err := w.hospital.Admin().WhyMessage(w.ctx, id)
			w.ok(err)
			if len(why.Recipients) != 1 || why.Recipients[0].Reason != agent.ReasonKept || why.Recipients[0].Advice.Explain == "" {
				t.Errorf("why: %+v", why)
			}
		})
	}
}

// A delivery to an SMTP edge that is held ends before the peer's own patience does (DN-60): the peer is told.
func TestAHeldDeliveryIsTold(t *testing.T) {
	w := newWorld(t, "")
	e, err := lab.StartEdge()
	w.ok(err)
	t.Cleanup(func() { _ = e.Close() })
	d := newDoor(w, e.At)
	ehr := w.clinic.Address("ehr")
	w.ok(w.clinic.Admin().AddressAdd(w.ctx, []gateway.AddressAdd{{Address: ehr, Edge: &gateway.EdgeOptions{Server: d.Addr().String(), TLS: "none"}}}))
	id := w.send(w.hospital, w.note(w.dr, ehr), w.dr, ehr)
	w.quiet()
	in, err := w.clinic.Store.Messages(w.ctx, store.Query{Direction: store.In, Limit: 10})
	w.ok(err)
	w.operate(w.clinic, "hold", store.Selection{Message: in[len(in)-1].ID}, 1)
	w.later(49 * time.Minute)
	l, err := w.hospital.Ladder(w.ctx, id, ehr)
	w.ok(err)
	if l.State != track.StateDone {
		t.Fatalf("after 49 minutes: %s", l.State)
	}
	w.ok(w.Advance(w.ctx, 2*time.Minute))
	w.reach(w.hospital, id, ehr, track.StateFailed)
	w.items(w.hospital, "dr", 1)
	d.open.Store(true)
	w.later(time.Hour)
	if n := len(gotOf(e)); n != 0 {
		t.Errorf("%d messages reached the edge after the peer was told of the failure", n)
	}
}

// mute is a mail server that takes whole messages and closes the connection without an answer.
type mute struct {
	net.Listener
	got    atomic.Int64
	inside sync.WaitGroup
}

func newMute(w testing.TB) *mute {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	m := &mute{Listener: l}
	m.inside.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.inside.Go(func() { m.serve(c) })
		}
	})
	w.Cleanup(func() { l.Close(); m.inside.Wait() })
	return m
}

func (m *mute) serve(c net.Conn) {
	defer c.Close()
	fmt.Fprint(c, "220 mute.example\r\n")
	body := false
	for lines := bufio.NewScanner(c); lines.Scan(); {
		switch line := lines.Text(); {
		case body && line == ".":
			m.got.Add(1)
			return
		case body:
		case line == "DATA":
			body = true
			fmt.Fprint(c, "354 go on\r\n")
		case line == "QUIT":
			return
		default:
			fmt.Fprint(c, "250 fine\r\n")
		}
	}
}

// mutePartner is a partner whose mail server never answers a message.
func mutePartner(t *testing.T) (*partner, *mute) {
	t.Helper()
	m := newMute(t)
	w := newWorld(t, fmt.Sprintf("\n[peer.\"partner.example\"]\nsmtp = %q\n", m.Addr()))
	p := &partner{world: w, peer: w.stranger(), who: addr.MustParse("doc@partner.example")}
	p.signer = w.certificate(p.peer, issue.LeafOptions{Domain: p.who.Domain()})
	w.ok(w.hospital.Store.AddStatic(w.ctx, w.hospital.Org, p.who.Domain().String(), p.signer.ID, p.signer.Cert.Raw, auditNone))
	return p, m
}

func (p *partner) post() (message.ID, string) {
	p.Helper()
	id := p.world.send(p.hospital, p.note(p.dr, p.who), p.dr, p.who)
	m, err := p.hospital.Store.Message(p.ctx, id)
	p.ok(err)
	return id, m.RFCID
}

// A server that takes every message and never answers: the failure notice does not say that it did not arrive.
func TestTakenWithoutAnAnswer(t *testing.T) {
	p, m := mutePartner(t)
	id, _ := p.post()
	for range 13 {
		p.later(5 * time.Minute)
	}
	l := p.reach(p.hospital, id, p.who, track.StateFailed)
	if m.got.Load() < 2 || l.Failure != track.Rejected || !strings.Contains(l.Words, "may still have arrived") {
		t.Errorf("taken %d times; %v: %s", m.got.Load(), kinds(l), l.Words)
	}
	text := p.notices(p.hospital, "dr", 1)[0]
	p.mentions(text, "it may have arrived all the same: ask the recipient", "before you send it again")
	if strings.Contains(text, "It was not delivered") {
		t.Errorf("it says what nobody knows:\n%s", text)
	}
}

// The same server, but the partner's gateway confirms the message: it is there, so it is sent no more and nothing
// fails.
func TestConfirmedThoughNeverAnswered(t *testing.T) {
	p, m := mutePartner(t)
	id, rfc := p.post()
	p.quiet()
	p.say(rfc, "processed")
	p.later(20*time.Second, time.Minute)
	taken := m.got.Load()
	for range 16 {
		p.later(5 * time.Minute)
	}
	l, err := p.hospital.Ladder(p.ctx, id, p.who)
	p.ok(err)
	if l.State != track.StateDone || m.got.Load() != taken || taken > 2 {
		t.Errorf("%s after %v; sent %d times, %d of them after it was confirmed", l.State, kinds(l), m.got.Load(), m.got.Load()-taken)
	}
	p.items(p.hospital, "dr", 0)
	if jobs, err := p.hospital.Store.Jobs(p.ctx, id); err != nil || len(jobs) != 0 {
		t.Errorf("what is left of it: %+v, %v", jobs, err)
	}
}

// Where final delivery was asked for, its clock runs on from the confirmation that came without an answer.
func TestConfirmedThoughNeverAnsweredThenSilence(t *testing.T) {
	p, _ := mutePartner(t)
	id := p.world.send(p.hospital, p.referral(p.dr, p.who), p.dr, p.who)
	m, err := p.hospital.Store.Message(p.ctx, id)
	p.ok(err)
	p.quiet()
	p.say(m.RFCID, "processed")
	for range 14 {
		p.later(5 * time.Minute)
	}
	l := p.reach(p.hospital, id, p.who, track.StateFailed)
	if l.Failure != track.NoDispatched {
		t.Errorf("failed by %s after %v", l.Failure, kinds(l))
	}
	p.mentions(p.notices(p.hospital, "dr", 1)[0], "did not confirm within 60 minutes that it reached the recipient's mailbox")
}

// So it is where an operator holds the message back once it was confirmed: the hold ends, and the clock begins.
func TestConfirmedThenHeldThenSilence(t *testing.T) {
	p, m := mutePartner(t)
	id := p.world.send(p.hospital, p.referral(p.dr, p.who), p.dr, p.who)
	sent, err := p.hospital.Store.Message(p.ctx, id)
	p.ok(err)
	p.quiet()
	p.operate(p.hospital, "hold", store.Selection{Message: id}, 1)
	p.say(sent.RFCID, "processed")
	taken := m.got.Load()
	p.later(61*time.Minute, 10*time.Minute)
	l := p.reach(p.hospital, id, p.who, track.StateFailed)
	if l.Failure != track.NoDispatched || m.got.Load() != taken {
		t.Errorf("failed by %s after %v; sent %d times more", l.Failure, kinds(l), m.got.Load()-taken)
	}
	p.notices(p.hospital, "dr", 1)
	if jobs, err := p.hospital.Store.Jobs(p.ctx, id); err != nil || len(jobs) != 0 {
		t.Errorf("what is left of it: %+v, %v", jobs, err)
	}
}
