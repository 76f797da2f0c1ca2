package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime"
	"postern/smime/addr"
)

// opened is what the partner finds in a sealed message of ours.
func (p *partner) opened(data []byte) []byte {
	p.Helper()
	o, err := smime.Open(bytes.NewReader(data), smime.OpenOptions{Keys: []smime.Key{{Cert: p.signer.Cert, Private: p.signer.Key}}})
	p.ok(err)
	defer o.Close()
	b, err := io.ReadAll(o.Inner)
	p.ok(err)
	return b
}

// A notice of ours as the peer sees it: sealed, signed by the recipient's certificate, MAIL FROM the
// recipient (AS-94), marked as automatic, and an extension field only where it was asked for (DN-22).
func TestOurNoticesOnTheWire(t *testing.T) {
	p := newPartner(t)
	p.ok(p.clinic.Store.AddStatic(p.ctx, p.clinic.Org, p.who.Domain().String(), p.signer.ID, p.signer.Cert.Raw, auditNone))
	inner := crlf("From: <doc@partner.example>\nTo: <intake+x@clinic.example>\nSubject: About Mary Major\nMessage-ID: <odd \"id\"@partner.example>\n" +
		"Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true\nMIME-Version: 1.0\n\nHello.\n")
	to := addr.MustParse("intake+x@clinic.example")
	sealed, err := p.peer.Seal(p.ctx, p.signer, []byte(inner), p.clinic, to)
	p.ok(err)
	p.ok(p.clinic.Deliver(p.ctx, p.who.String(), sealed, to.String()))
	p.quiet()
	got := p.taken(p.edge, 2)
	words := map[notice.Disposition]bool{}
	for _, m := range got {
		if m.From != to.String() || len(m.To) != 1 || m.To[0] != p.who.String() {
			t.Errorf("envelope from %s to %v", m.From, m.To)
		}
		head, _, _ := bytes.Cut(m.Data, []byte("\r\n\r\n"))
		if bytes.Contains(head, []byte("Mary")) || bytes.Contains(head, []byte("Subject")) {
			t.Errorf("the outer header tells of the patient:\n%s", head)
		}
		b := p.opened(m.Data)
		rep, err := notice.Parse(bytes.NewReader(b), int64(len(b)))
		p.ok(err)
		var ins message.Inspector
		_, _ = ins.Write(b)
		if !ins.Facts().Automatic() || len(ins.Facts().DispositionNotificationTo) != 0 {
			t.Errorf("Auto-Submitted %q, asks notice to %v", ins.Facts().AutoSubmitted, ins.Facts().DispositionNotificationTo)
		}
		if len(rep.Entries) != 1 || rep.OriginalMessageID != message.NormalID(`odd "id"@partner.example`) || !rep.Entries[0].About().SameMailbox(p.intake) {
			t.Fatalf("report %+v", rep)
		}
		e := rep.Entries[0]
		if e.FinalField != (e.Disposition == notice.Dispatched) {
			t.Errorf("%s with the extension field %v", e.Disposition, e.FinalField)
		}
		words[e.Disposition] = true
	}
	if len(got) != 2 || !words[notice.Processed] || !words[notice.Dispatched] {
		t.Errorf("%d notices: %v", len(got), words)
	}
}

// Disposition-Notification-To is honoured only for whom the certificate that signed speaks too.
func TestWhereNoticesGo(t *testing.T) {
	p := newPartner(t)
	byAddress := p.certificate(p.peer, issue.LeafOptions{Address: p.who})
	for _, c := range []struct{ situation, field, want string }{
		{"nothing asked", "", "doc@partner.example"},
		{"another address of the signer's domain", "Disposition-Notification-To: <office@partner.example>\n", "office@partner.example"},
		{"somebody else", "Disposition-Notification-To: <press@elsewhere.example>\n", "doc@partner.example"},
		{"an address of ours", "Disposition-Notification-To: <intake@clinic.example>\n", "doc@partner.example"},
		{"two", "Disposition-Notification-To: <office@partner.example>, <doc@partner.example>\n", "doc@partner.example"},
		{"another address, but the certificate is the doctor's own", "Disposition-Notification-To: <office@partner.example>\nX-Own: yes\n", "doc@partner.example"},
	} {
		t.Run(c.situation, func(t *testing.T) {
			signer := p.signer
			if strings.Contains(c.field, "X-Own") {
				signer = byAddress
			}
			inner := crlf("From: <doc@partner.example>\nTo: <intake@clinic.example>\nMessage-ID: <" + message.NewMessageID(p.who.Domain(), p.Clock.Now(), nil) + ">\n" + c.field + "MIME-Version: 1.0\n\nHello.\n")
			sealed, err := p.peer.Seal(p.ctx, signer, []byte(inner), p.clinic, p.intake)
			p.ok(err)
			p.ok(p.clinic.Deliver(p.ctx, p.who.String(), sealed, p.intake.String()))
			p.quiet()
			list, err := p.clinic.Store.Messages(p.ctx, store.Query{Direction: store.Out, Limit: 1})
			p.ok(err)
			if len(list) != 1 || list[0].Submission.Recipients[0].String() != c.want {
				t.Errorf("the notice goes to %v, want %s", list[0].Submission.Recipients, c.want)
			}
		})
	}
}

func TestPostmasterReachesAPerson(t *testing.T) {
	p := newPartner(t)
	inner := crlf("From: <doc@partner.example>\nTo: <PostMaster@clinic.example>\nMessage-ID: <1@partner.example>\nMIME-Version: 1.0\n\nHello.\n")
	pm := addr.MustParse("PostMaster@clinic.example")
	sealed, err := p.peer.Seal(p.ctx, p.signer, []byte(inner), p.clinic, pm)
	p.ok(err)
	p.ok(p.clinic.Deliver(p.ctx, p.who.String(), sealed, pm.String()))
	p.items(p.clinic, "postmaster", 1)
}

// A login may send as the addresses given to it and no others, in MAIL FROM and in From (EP-05).
func TestALoginSendsAsItself(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.hospital.Add(w.ctx, "chief"))
	w.user("dr", "a long enough password", w.dr)
	if _, err := w.hospital.Submit(w.ctx, "dr", "another long password"); code(err) != 535 {
		t.Errorf("with a wrong password: %v", err)
	}
	s, err := w.hospital.Submit(w.ctx, "dr", "a long enough password")
	w.ok(err)
	defer s.Close()
	chief := w.hospital.Address("chief")
	for _, c := range []struct {
		situation, from string
		text            string
		code            int
	}{
		{"as himself", w.dr.String(), w.note(w.dr, w.intake), 0},
		{"another MAIL FROM", chief.String(), w.note(w.dr, w.intake), 550},
		{"another From", w.dr.String(), w.note(chief, w.intake), 550},
		{"both", chief.String(), w.note(chief, w.intake), 550},
	} {
		if err := s.Send(c.from, []byte(c.text), w.intake.String()); code(err) != c.code || c.code == 0 && err != nil {
			t.Errorf("%s: %v, want %d", c.situation, err, c.code)
		}
	}
	w.items(w.clinic, "intake", 1)
	w.quiet()
	w.items(w.clinic, "intake", 1)
}

// What was found is what the clinic's own DNS says, and a certificate made at run time is published
// without a restart and comes before the domain's.
func TestCertificatesAreFoundInTheOthersDNS(t *testing.T) {
	w := newWorld(t, "")
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	if got := w.sealedWith(id, w.intake); got.Location != string(discover.DNSDomain) || got.Name != "clinic.example" {
		t.Errorf("found %+v", got)
	}
	w.ok(w.clinic.Add(w.ctx, "lab"))
	own := w.clinic.Address("lab")
	rows, err := w.clinic.Admin().CertCreate(w.ctx, certFor(own))
	w.ok(err)
	w.published(own)
	id = w.send(w.hospital, w.note(w.dr, own), w.dr, own)
	w.reach(w.hospital, id, own, track.StateDone)
	if got := w.sealedWith(id, own); got.Location != string(discover.DNSAddress) || got.Certificate != rows[0].ID || got.Bound != "address" {
		t.Errorf("found %+v, want certificate %s", got, rows[0].ID)
	}
}

type sealedEvidence struct{ Location, Name, Certificate, Bound string }

func (w *world) sealedWith(id message.ID, to addr.Address) (e sealedEvidence) {
	w.Helper()
	l, err := w.hospital.Ladder(w.ctx, id, to)
	w.ok(err)
	for _, r := range l.Rungs {
		if r.Kind == track.Sealed {
			w.ok(json.Unmarshal(r.Evidence, &e))
		}
	}
	return e
}

// published waits until the clinic's DNS has a certificate for an address.
func (w *world) published(a addr.Address) {
	w.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c := dnsclient.New(dnsclient.Config{Servers: []string{w.clinic.DNS}, Timeout: time.Second})
		if f, err := discover.New(discover.Config{DNS: dnscert.New(c, nil)}).Find(w.ctx, a); err == nil && f.Location == discover.DNSAddress {
			return
		}
		select {
		case <-w.ctx.Done():
			w.Fatalf("%s is not published: %v", a, context.Cause(w.ctx))
		case <-tick.C:
		}
	}
}

// A message with lines and octets that SMTP relays would spoil is sealed unchanged, and the receipt says so.
func TestOddBodiesAreSealedUnchanged(t *testing.T) {
	w := newWorld(t, "")
	for field, body := range map[string]string{"long_line": strings.Repeat("x", 5000) + "\r\n", "eight_bit": "Grüße\r\n", "": ".\r\n..\r\nFrom me\r\n  \r\n"} {
		text := crlf("From: "+w.dr.String()+"\nTo: "+w.intake.String()+"\nSubject: "+field+"\nMIME-Version: 1.0\n\n") + body
		id := w.send(w.hospital, text, w.dr, w.intake)
		w.reach(w.hospital, id, w.intake, track.StateDone)
		m, err := w.hospital.Store.Message(w.ctx, id)
		w.ok(err)
		items, err := w.clinic.Inbox(w.ctx, "intake")
		w.ok(err)
		if got := w.saved(w.clinic, items[len(items)-1]); string(got) != m.Prefix+text {
			t.Errorf("%q: %d octets arrived, want %d", field, len(got), len(m.Prefix)+len(text))
		}
		var receipt map[string]any
		w.ok(json.Unmarshal([]byte(m.Receipt), &receipt))
		for _, f := range []string{"long_line", "eight_bit"} {
			if receipt[f] != (f == field) {
				t.Errorf("%q: the receipt says %s: %v", field, f, receipt[f])
			}
		}
		if added, _ := receipt["added"].([]any); len(added) != 2 {
			t.Errorf("added %v, want Message-ID and Date", receipt["added"])
		}
	}
}
