package gateway_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/clinic/compose"
	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/smime/addr"
)

// partner is another vendor's gateway: it takes what we send and says what a test has it say.
type partner struct {
	*world
	edge   *lab.Edge
	peer   *lab.Stranger
	who    addr.Address
	signer certs.Credential
	n      int
}

func newPartner(t *testing.T) *partner {
	t.Helper()
	e, err := lab.StartEdge()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	w := newWorld(t, fmt.Sprintf("\n[peer.\"partner.example\"]\nsmtp = %q\n", e.At))
	p := &partner{world: w, edge: e, peer: w.stranger(), who: addr.MustParse("doc@partner.example")}
	p.signer = w.certificate(p.peer, issue.LeafOptions{Domain: p.who.Domain()})
	w.ok(w.hospital.Store.AddStatic(w.ctx, w.hospital.Org, p.who.Domain().String(), p.signer.ID, p.signer.Cert.Raw, auditNone))
	return p
}

// send sends a message that asks for final delivery or not, and waits until the partner has it.
func (p *partner) send(final bool) (message.ID, string) {
	p.Helper()
	text := p.compose(compose.Message{From: p.dr, To: []addr.Address{p.who}, Subject: "x", Text: "x\n", FinalDelivery: final})
	id := p.world.send(p.hospital, text, p.dr, p.who)
	p.reach(p.hospital, id, p.who, track.StateSent)
	m, err := p.hospital.Store.Message(p.ctx, id)
	p.ok(err)
	return id, m.RFCID
}

// say has the partner send one notice about a message and waits until it is taken in.
func (p *partner) say(rfc string, word string) {
	p.Helper()
	p.n++
	own := fmt.Sprintf("n%d@partner.example", p.n)
	var b bytes.Buffer
	from, mailFrom := p.who, p.who.String()
	mdn := notice.MDN{To: p.dr, OriginalMessageID: rfc, MessageID: own, Date: p.Clock.Now(), FinalRecipient: p.who}
	switch word {
	case "processed", "failed", "displayed", "denied":
		mdn.Disposition = notice.Disposition(word)
	case "dispatched":
		mdn.Disposition, mdn.FinalDelivery = notice.Dispatched, true
	case "bare dispatched":
		mdn.Disposition = notice.Dispatched
	case "processed from <>":
		mdn.Disposition, mailFrom = notice.Processed, ""
	case "DSN": // of the recipient's domain's postmaster (DN-33)
		from = addr.MustParse("postmaster@partner.example")
		p.ok(notice.DSN{From: from, To: p.dr, ReportingMTA: "partner.example", OriginalMessageID: rfc, MessageID: own, Date: p.Clock.Now(),
			Recipients: []notice.RecipientStatus{{Recipient: p.who, Action: notice.ActionFailed, Status: "5.1.1", Text: "no such user"}}}.Write(&b))
		mailFrom = from.String()
	default:
		p.Fatalf("the partner cannot say %q", word)
	}
	if b.Len() == 0 {
		mdn.From = from
		p.ok(mdn.Write(&b))
	}
	sealed, err := p.peer.Seal(p.ctx, p.signer, b.Bytes(), p.hospital, p.dr)
	p.ok(err)
	p.ok(p.hospital.Deliver(p.ctx, mailFrom, sealed, p.dr.String()))
	p.quiet()
}

// DN section 4 on the real path: what the partner says in what order, when the clocks run out, where the
// ladder ends, and how often the sender hears of a failure.
func TestPartnersNotices(t *testing.T) {
	p := newPartner(t)
	told := 0
	for _, c := range []struct {
		situation string
		final     bool
		says      []string // a duration moves the clock
		state     track.State
		late      bool
		told      int // failures the sender is told of
	}{
		{"processed, final delivery not asked", false, []string{"processed"}, track.StateDone, false, 0},
		{"processed from the null sender", false, []string{"processed from <>"}, track.StateDone, false, 0},
		{"processed and dispatched", true, []string{"processed", "dispatched"}, track.StateDelivered, false, 0},
		{"dispatched before processed", true, []string{"dispatched", "processed"}, track.StateDelivered, false, 0},
		{"each twice", true, []string{"processed", "processed", "dispatched", "dispatched"}, track.StateDelivered, false, 0},
		{"processed, waiting for dispatched", true, []string{"processed"}, track.StateProcessed, false, 0},
		{"processed, then the second clock", true, []string{"processed", "59m", "2m"}, track.StateFailed, false, 1},
		{"dispatched without its field does not confirm", true, []string{"processed", "bare dispatched", "61m"}, track.StateFailed, false, 1},
		{"dispatched alone, then the first clock", true, []string{"dispatched", "61m"}, track.StateFailed, false, 1},
		{"silence", false, []string{"61m"}, track.StateFailed, false, 1},
		{"silence, and again", true, []string{"61m", "5h"}, track.StateFailed, false, 1},
		{"late", true, []string{"61m", "processed", "dispatched"}, track.StateFailed, true, 1},
		{"failed", true, []string{"failed"}, track.StateFailed, false, 1},
		{"denied", false, []string{"denied"}, track.StateFailed, false, 1},
		{"processed, then failed", true, []string{"processed", "failed"}, track.StateFailed, false, 1},
		{"failed twice", true, []string{"failed", "failed"}, track.StateFailed, false, 1},
		{"failed after the clock", true, []string{"61m", "failed"}, track.StateFailed, false, 1},
		{"a DSN of the postmaster", true, []string{"processed", "DSN"}, track.StateFailed, false, 1},
		{"failed after dispatched changes nothing said", true, []string{"processed", "dispatched", "failed"}, track.StateDelivered, false, 1},
	} {
		t.Run(c.situation, func(t *testing.T) {
			id, rfc := p.send(c.final)
			for _, word := range c.says {
				if d, err := time.ParseDuration(word); err == nil {
					p.ok(p.Advance(p.ctx, d))
					p.quiet()
					continue
				}
				p.say(rfc, word)
			}
			l, err := p.hospital.Ladder(p.ctx, id, p.who)
			p.ok(err)
			if l.State != c.state || l.Late != c.late {
				t.Errorf("%s, late %v, after %v; want %s, late %v", l.State, l.Late, kinds(l), c.state, c.late)
			}
			items, err := p.hospital.Inbox(p.ctx, "dr")
			p.ok(err)
			if n := len(items) - told; n != c.told {
				t.Errorf("the sender heard %d times of a failure, want %d", n, c.told)
			}
			told = len(items)
			if !l.Terminal { // the next clocks are not for this one
				p.say(rfc, "processed")
				p.say(rfc, "dispatched")
			}
		})
	}
}
