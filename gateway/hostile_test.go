package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/smime/addr"
)

// Each is handed to the clinic's SMTP port; it is accepted (the peer is told nothing), held under the
// reason named, nobody hears of it, and the gateway goes on serving.
func TestInboundRefusalsAreHeldInSilence(t *testing.T) {
	w := newWorld(t, "")
	p := w.stranger()
	doc := addr.MustParse("doc@stranger.example")
	good := w.certificate(p, issue.LeafOptions{Address: doc})
	domain := w.certificate(p, issue.LeafOptions{Domain: doc.Domain()})
	other, err := w.Stranger("An anchor nobody knows")
	w.ok(err)
	now := w.Clock.Now()
	expired := w.certificate(p, issue.LeafOptions{Address: doc, Now: now.AddDate(0, -2, 0), Life: 24 * time.Hour})
	text := crlf("From: <doc@stranger.example>\nTo: <intake@clinic.example>\nSubject: x\nMessage-ID: <1@stranger.example>\nDate: Thu, 19 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\n\nHello.\n")
	seal := func(who certs.Credential, inner string) []byte {
		b, err := p.Seal(w.ctx, who, []byte(inner), w.clinic, w.intake)
		w.ok(err)
		return b
	}
	whole := seal(good, text)
	for _, c := range []struct {
		name, from, reason string
		data               []byte
	}{
		{"not S/MIME", "doc@stranger.example", "not_smime", []byte(text)},
		{"cut short", "doc@stranger.example", "", whole[:len(whole)*2/3]},
		{"damaged", "doc@stranger.example", "", damage(whole)},
		{"encrypted to another address of ours", "doc@stranger.example", "no_key", w.sealedToOther(p, good, text)},
		{"untrusted signer", "doc@stranger.example", "untrusted", w.sealedBy(other, doc, text)},
		{"expired signer", "doc@stranger.example", "expired", seal(expired, text)},
		{"signer of another address", "doc@stranger.example", "wrong_binding", seal(w.certificate(p, issue.LeafOptions{Address: addr.MustParse("other@stranger.example")}), text)},
		{"signer of another domain", "doc@stranger.example", "wrong_binding", seal(w.certificate(p, issue.LeafOptions{Domain: addr.MustParse("x@sub.stranger.example").Domain()}), text)},
		{"certificate only for encryption", "doc@stranger.example", "", seal(w.certificate(p, issue.LeafOptions{Address: doc, Use: issue.Encrypt}), text)},
		{"two senders", "doc@stranger.example", "no_single_sender", seal(good, strings.Replace(text, "From: ", "From: <else@stranger.example>, ", 1))},
		{"envelope sender not in the header", "nurse@stranger.example", "sender_mismatch", seal(domain, text)},
		{"null sender on mail", "", "null_sender", seal(good, text)},
		{"recipient not in the header", "doc@stranger.example", "recipient_not_in_header", seal(good, strings.Replace(text, "intake@clinic", "front@clinic", 1))},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.heldReasons(w.clinic)
			w.ok(w.clinic.Deliver(w.ctx, c.from, c.data, "intake@clinic.example"))
			list, err := w.clinic.Store.HeldList(w.ctx, 1000)
			w.ok(err)
			if len(list) != len(before)+1 {
				w.quiet()
				list, err = w.clinic.Store.HeldList(w.ctx, 1000)
				w.ok(err)
			}
			if len(list) != len(before)+1 {
				t.Fatalf("%d held, want one more than %d", len(list), len(before))
			}
			h := list[slices.IndexFunc(list, func(x heldRow) bool { return !slices.Contains(w.seen, x.ID) })]
			w.seen = append(w.seen, h.ID)
			if c.reason != "" && h.Reason != c.reason {
				t.Errorf("held for %q (%s), want %q", h.Reason, h.Detail, c.reason)
			}
			if h.Reason == "" || h.Detail == "" {
				t.Errorf("held without a reason: %+v", h)
			}
			tr, err := w.clinic.Admin().Trace(w.ctx, h.Message)
			w.ok(err)
			if len(tr.Notices) != 0 || len(tr.Items) != 0 || tr.Message.OpenedBlob != "" {
				t.Errorf("notices %v, items %v, opened %q", tr.Notices, tr.Items, tr.Message.OpenedBlob)
			}
		})
	}
	w.items(w.clinic, "intake", 0)
	w.ok(w.clinic.Deliver(w.ctx, "doc@stranger.example", whole, "intake@clinic.example"))
	w.items(w.clinic, "intake", 1)
}

func damage(b []byte) []byte {
	out := bytes.Clone(b)
	i := bytes.Index(out, []byte("\r\n\r\n")) + 4 + 80
	for j := range 40 {
		if c := &out[i+j]; *c != '\r' && *c != '\n' {
			*c = 'A'
		}
	}
	return out
}

func (w *world) sealedBy(p *lab.Stranger, who addr.Address, inner string) []byte {
	w.Helper()
	b, err := p.Seal(w.ctx, w.certificate(p, issue.LeafOptions{Address: who}), []byte(inner), w.clinic, w.intake)
	w.ok(err)
	return b
}

// sealedToOther is encrypted with a key of ours that is not bound to the envelope's recipient.
func (w *world) sealedToOther(p *lab.Stranger, who certs.Credential, inner string) []byte {
	w.Helper()
	w.ok(w.clinic.Add(w.ctx, "alone"))
	_, err := w.clinic.Admin().CertCreate(w.ctx, certFor(w.clinic.Address("alone")))
	w.ok(err)
	b, err := p.Seal(w.ctx, who, []byte(inner), w.clinic, w.clinic.Address("alone"))
	w.ok(err)
	return b
}

// A notice counts only when its signer is bound to the recipient it speaks of (DN-47), however much the
// signer is trusted; the true gateway's counts.
func TestForgedNoticeMovesNothing(t *testing.T) {
	w := newWorld(t, "")
	p := w.stranger()
	w.ok(w.clinic.Stop())
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	w.ok(w.hospital.Until(w.ctx, "the message is to wait for the clinic", func() (bool, error) {
		l, err := w.hospital.Ladder(w.ctx, id, w.intake)
		return has(l, track.Deferred), err
	}))
	m, err := w.hospital.Store.Message(w.ctx, id)
	w.ok(err)
	evil := addr.MustParse("intake@evil.example")
	signer := w.certificate(p, issue.LeafOptions{Domain: evil.Domain()})
	for i, disposition := range []notice.Disposition{notice.Processed, notice.Dispatched, notice.Failed} {
		var b bytes.Buffer
		w.ok(notice.MDN{From: evil, To: w.dr, FinalRecipient: w.intake, OriginalMessageID: m.RFCID, Disposition: disposition,
			FinalDelivery: disposition == notice.Dispatched, MessageID: fmt.Sprintf("%d@evil.example", i), Date: w.Clock.Now()}.Write(&b))
		sealed, err := p.Seal(w.ctx, signer, b.Bytes(), w.hospital, w.dr)
		w.ok(err)
		w.ok(w.hospital.Deliver(w.ctx, evil.String(), sealed, w.dr.String()))
		w.ok(w.hospital.Deliver(w.ctx, "", sealed, w.dr.String())) // RFC 8098 §3: also from <>
	}
	w.quiet()
	l, err := w.hospital.Ladder(w.ctx, id, w.intake)
	w.ok(err)
	for _, k := range []track.Kind{track.Processed, track.Dispatched, track.Failed, track.Suppressed, track.Forwarded} {
		if has(l, k) {
			t.Errorf("a forged notice wrote %s", k)
		}
	}
	held := w.heldReasons(w.hospital)
	if len(held) != 3 || len(slices.Compact(held)) != 1 || held[0] != agent.ReasonNotBound {
		t.Errorf("held: %v, want the three notices, each read, found to speak for somebody else, and kept once", held)
	}
	w.items(w.hospital, "dr", 0)
	w.ok(w.clinic.Start(w.ctx))
	w.ok(w.Advance(w.ctx, time.Minute))
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
}

// What arrives without a Message-ID is filed and confirmed by what it has.
func TestInboundWithoutMessageID(t *testing.T) {
	w := newWorld(t, "")
	p := w.stranger()
	doc := addr.MustParse("doc@stranger.example")
	inner := crlf("From: <doc@stranger.example>\nTo: <intake@clinic.example>\nSubject: x\nMIME-Version: 1.0\n\nHello.\n")
	w.ok(w.clinic.Deliver(w.ctx, doc.String(), w.sealedBy(p, doc, inner), w.intake.String()))
	it := w.items(w.clinic, "intake", 1)[0]
	w.quiet()
	tr, err := w.clinic.Admin().Trace(w.ctx, it.Message)
	w.ok(err)
	if len(tr.Notices) != 1 {
		t.Errorf("%d notices, want the processed one", len(tr.Notices))
	}
	jobs, err := w.clinic.Admin().Queue(w.ctx, "")
	w.ok(err)
	for _, j := range jobs {
		if j.LastError != "" && j.Kind == "notice" {
			t.Errorf("the notice cannot be written: %s", j.LastError)
		}
	}
}

func code(err error) int {
	var e *smtp.SMTPError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestTheEdgeRefusesWhatIsNotForUsAndWhatLoops(t *testing.T) {
	w := newWorld(t, "")
	data := []byte(crlf("From: <doc@stranger.example>\n\nx\n"))
	for _, c := range []struct {
		name, to string
		data     []byte
		code     int
	}{
		{"an address that is not there", "ghost@clinic.example", data, 550},
		{"somebody else's domain", "dr@hospital.example", data, 550},
		{"a loop", "intake@clinic.example", append([]byte(strings.Repeat("Received: from a by b; Thu, 19 Nov 2026 10:00:00 +0000\r\n", 101)), data...), 554},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := w.clinic.Deliver(w.ctx, "doc@stranger.example", c.data, c.to); code(err) != c.code {
				t.Errorf("answered %v, want %d", err, c.code)
			}
		})
	}
	w.quiet()
	list, err := w.clinic.Store.Messages(w.ctx, anyMessage)
	if err != nil || len(list) != 0 {
		t.Errorf("%d messages were kept, %v", len(list), err)
	}
}

func TestWhatSendReads(t *testing.T) {
	w := newWorld(t, "")
	lf := strings.ReplaceAll(w.note(w.dr, w.intake), "\r\n", "\n")
	id := w.send(w.hospital, lf, w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	if b := w.saved(w.clinic, w.items(w.clinic, "intake", 1)[0]); string(b) != crlf(lf) {
		t.Errorf("LF line ends became\n%q", b)
	}
	for name, text := range map[string]string{
		"mixed line ends": strings.Replace(lf, "\n", "\r\n", 1),
		"another sender":  strings.Replace(lf, "dr@hospital", "chief@hospital", 1),
	} {
		if _, err := w.hospital.Send(w.ctx, text, w.dr, w.intake); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := w.hospital.Send(w.ctx, lf, addr.MustParse("dr@elsewhere.example"), w.intake); err == nil {
		t.Error("sent in the name of a stranger")
	}
	if _, err := w.hospital.Send(w.ctx, lf, w.dr); err == nil {
		t.Error("sent to nobody")
	}
	if _, err := w.hospital.Send(w.ctx, lf, w.dr, make([]addr.Address, 1001)...); err == nil || !strings.Contains(err.Error(), "1001") {
		t.Errorf("sent to 1001 recipients: %v", err)
	}
	// An idempotency key makes the second submission the first.
	var first message.ID
	for i := range 2 {
		in := sendWith(w.dr, w.intake, "once")
		got, err := w.hospital.Admin().Send(w.ctx, in, io.Reader(strings.NewReader(lf)))
		w.ok(err)
		if i > 0 && got != first {
			t.Errorf("the key %q made two messages", in.Key)
		}
		first = got
	}
}
