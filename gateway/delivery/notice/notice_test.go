package notice_test

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"

	"postern/gateway/delivery/notice"
	"postern/gateway/lab/peer"
	"postern/gateway/message"
	"postern/smime/addr"
)

var (
	ann  = addr.MustParse("Ann.Oneil@hospital.example.org")
	bob  = addr.MustParse("Bob@clinic.example.com")
	post = addr.MustParse("postmaster@hospital.example.org")
	when = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
)

const origID = "9f1c@hospital.example.org"

func goodMDN(d notice.Disposition) notice.MDN {
	m := notice.MDN{From: bob, To: ann, OriginalMessageID: "<" + origID + ">", Disposition: d, FinalDelivery: d == notice.Dispatched,
		ReportingUA: "clinic.example.com; Postern", Subject: "Überweisung für Herrn Müller und noch viel mehr, damit der Betreff sicher umgebrochen wird",
		MessageID: "n1@clinic.example.com", Date: when}
	if d == notice.Failed || d == notice.Denied || d == notice.Error {
		m.Failure = "mailbox full"
	}
	return m
}

func goodDSN() notice.DSN {
	return notice.DSN{From: post, To: ann, ReportingMTA: "hospital.example.org", OriginalMessageID: origID, Arrival: when.Add(-time.Hour),
		Subject: "Referral", MessageID: "d1@hospital.example.org", Date: when,
		Recipients: []notice.RecipientStatus{
			{Recipient: bob, Status: "5.4.7", Text: "No confirmation came within 60 minutes. Call the clinic."},
			{Recipient: addr.MustParse("eve@clinic.example.com"), Status: "5.1.1", Diagnostic: "550 5.1.1 no such user", Text: "There is no such address. Check it – then send again."},
		},
		OriginalHeader: crlf("From: Ann.Oneil@hospital.example.org\nMessage-ID: <" + origID + ">\nSubject: Referral\n"),
	}
}

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

type writer interface{ Write(io.Writer) error }

func write(t *testing.T, n writer) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := n.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parse(t *testing.T, b []byte) *notice.Report {
	t.Helper()
	r, err := notice.Parse(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return r
}

// The exact text of the machine-readable part, as AS-93 and DN-22 have it.
func TestMDNPart(t *testing.T) {
	const head = "Reporting-UA: clinic.example.com; Postern\r\nFinal-Recipient: rfc822;Bob@clinic.example.com\r\nOriginal-Message-ID: <9f1c@hospital.example.org>\r\n" +
		"Disposition: automatic-action/MDN-sent-automatically;"
	cases := map[notice.Disposition]string{
		notice.Processed:  head + "processed\r\n",
		notice.Dispatched: head + "dispatched\r\nX-DIRECT-FINAL-DESTINATION-DELIVERY: \r\n",
		notice.Failed:     head + "failed\r\nFailure: mailbox full\r\n",
		notice.Denied:     head + "denied\r\nFailure: mailbox full\r\n",
		notice.Error:      head + "error\r\nError: mailbox full\r\n",
		notice.Displayed:  head + "displayed\r\n",
		notice.Deleted:    head + "deleted\r\n",
	}
	for d, want := range cases {
		t.Run(string(d), func(t *testing.T) {
			b := write(t, goodMDN(d))
			_, after, ok := strings.Cut(string(b), "Content-Type: message/disposition-notification")
			_, part, ok2 := strings.Cut(after, "\r\n\r\n")
			part, _, ok3 := strings.Cut(part, "\r\n--notice-")
			if !ok || !ok2 || !ok3 || part != want {
				t.Errorf("got\n%q\nwant\n%q", part, want)
			}
			without := goodMDN(d)
			without.FinalDelivery = false
			if strings.Contains(string(write(t, without)), message.FinalDelivery) {
				t.Error("the extension field stands unasked")
			}
		})
	}
}

// QUIRK: a .NET agent names its messages without brackets and compares the text it gets back.
func TestBareIDIsCopied(t *testing.T) {
	m, d := goodMDN(notice.Processed), goodDSN()
	m.OriginalMessageID, m.OriginalBare = "0c0918d7-5bfa-48e4-91c0-6bffc7660967", true
	d.OriginalMessageID, d.OriginalBare = m.OriginalMessageID, true
	for _, c := range []struct {
		n    writer
		want string
	}{{m, "\r\nOriginal-Message-ID: " + m.OriginalMessageID + "\r\n"}, {d, "\r\nX-Original-Message-ID: " + m.OriginalMessageID + "\r\n"}} {
		b := write(t, c.n)
		if r := parse(t, b); !bytes.Contains(b, []byte(c.want)) || r.OriginalMessageID != m.OriginalMessageID {
			t.Errorf("%s\n%+v", b, r)
		}
		if !bytes.Contains(b, []byte("\r\nIn-Reply-To: <"+m.OriginalMessageID+">\r\n")) {
			t.Errorf("In-Reply-To is no msg-id:\n%s", b)
		}
	}
}

// What every notice's own header must and must not have.
func TestHeaders(t *testing.T) {
	cases := []struct {
		name            string
		notice          writer
		kind            message.Kind
		from, id, start string
	}{
		{"processed", goodMDN(notice.Processed), message.MDN, bob.String(), "n1@clinic.example.com", "Processed: Überweisung"},
		{"dispatched", goodMDN(notice.Dispatched), message.MDN, bob.String(), "n1@clinic.example.com", "Dispatched: Überweisung"},
		{"failed", goodMDN(notice.Failed), message.MDN, bob.String(), "n1@clinic.example.com", "Failed: Überweisung"},
		{"DSN", goodDSN(), message.DSN, post.String(), "d1@hospital.example.org", "Not Delivered: Referral"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := write(t, c.notice)
			var i message.Inspector
			if _, err := i.Write(b); err != nil {
				t.Fatal(err)
			}
			f := i.Facts()
			if err := f.CheckSubmission(); err != nil || len(f.Flaws) > 0 {
				t.Errorf("not a clean message: %v %v", err, f.Flaws)
			}
			if f.BareCR || f.BareLF || f.LongLine || f.EightBit || f.NUL {
				t.Errorf("octets: %+v", f)
			}
			if f.Kind() != c.kind || f.Answerable() || !f.Automatic() || f.AutoSubmitted != "auto-replied" {
				t.Errorf("kind %s, answerable %v, Auto-Submitted %q", f.Kind(), f.Answerable(), f.AutoSubmitted)
			}
			if f.DeliveryOptions || f.DispositionNotificationTo != nil { // ETT 452
				t.Error("a notice asks for a notice")
			}
			if f.From[0].String() != c.from || f.To[0] != ann || f.MessageID != c.id || f.InReplyTo != origID || !f.Date.Equal(when) || !f.MIMEVersion {
				t.Errorf("header: %+v", f)
			}
			if !strings.HasPrefix(f.Subject, c.start) || strings.Contains(f.Subject, "?=") {
				t.Errorf("subject %q", f.Subject)
			}
			for line := range bytes.SplitSeq(b, []byte("\r\n")) {
				if len(line) > 100 {
					t.Errorf("a line of %d octets: %s", len(line), line)
				}
			}
			if again := write(t, c.notice); !bytes.Equal(again, b) { // DN-63
				t.Error("the same notice is not the same octets")
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	for _, d := range []notice.Disposition{notice.Processed, notice.Dispatched, notice.Failed, notice.Denied, notice.Error, notice.Displayed, notice.Deleted} {
		m := goodMDN(d)
		want := &notice.Report{Kind: message.MDN, Standard: true, OriginalMessageID: origID, IDSource: "original-message-id", Reporter: m.ReportingUA,
			Entries: []notice.Entry{{Recipient: bob, Disposition: d, FinalField: m.FinalDelivery, Detail: m.Failure}}}
		if got := parse(t, write(t, m)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", d, got, want)
		}
	}
	want := &notice.Report{Kind: message.DSN, Standard: true, OriginalMessageID: origID, IDSource: "x-original-message-id", Reporter: "hospital.example.org",
		Entries: []notice.Entry{
			{Recipient: bob, Action: notice.ActionFailed, Status: "5.4.7"},
			{Recipient: addr.MustParse("eve@clinic.example.com"), Action: notice.ActionFailed, Status: "5.1.1", Detail: "550 5.1.1 no such user"},
		}}
	if got := parse(t, write(t, goodDSN())); !reflect.DeepEqual(got, want) {
		t.Errorf("DSN\n got %+v\nwant %+v", got, want)
	}
}

// Texts and ids from outside cannot begin a field, a part or a line.
func TestNothingIsInjected(t *testing.T) {
	const evil = "x\r\nBcc: e@e.example\r\n\r\n--notice\x00\u2028\u0085 é" + "\nStatus: 2.0.0\n"
	m := goodMDN(notice.Failed)
	m.Failure, m.Subject, m.ReportingUA = evil, evil, evil
	d := goodDSN()
	d.Subject, d.Recipients[0].Text, d.Recipients[0].Diagnostic = evil, evil, evil
	for _, n := range []writer{m, d} {
		b := write(t, n)
		r := parse(t, b)
		if len(r.Repairs) > 0 || r.OriginalMessageID != origID {
			t.Errorf("%+v", r)
		}
		if e := r.Entries[0]; e.Outcome() != notice.OutcomeFailed || e.Recipient != bob || strings.HasPrefix(e.Status, "2") {
			t.Errorf("entry %+v", e)
		}
		for line := range strings.SplitSeq(string(b), "\r\n") {
			if strings.HasPrefix(line, "Bcc:") || strings.HasPrefix(line, "Status: 2") || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("injected: %q", line)
			}
		}
	}
}

func TestRefusesToWrite(t *testing.T) {
	mdn := func(change func(*notice.MDN)) writer { m := goodMDN(notice.Processed); change(&m); return m }
	dsn := func(change func(*notice.DSN)) writer { d := goodDSN(); change(&d); return d }
	cases := map[string]writer{
		"no sender":                   mdn(func(m *notice.MDN) { m.From = addr.Address{} }),
		"no addressee":                mdn(func(m *notice.MDN) { m.To = addr.Address{} }),
		"no id":                       mdn(func(m *notice.MDN) { m.MessageID = "" }),
		"no date":                     mdn(func(m *notice.MDN) { m.Date = time.Time{} }),
		"unknown disposition":         mdn(func(m *notice.MDN) { m.Disposition = "read" }),
		"final delivery on processed": mdn(func(m *notice.MDN) { m.FinalDelivery = true }),
		"line end in the id":          mdn(func(m *notice.MDN) { m.OriginalMessageID = "a\r\nBcc: x@y.example" }),
		"8-bit id":                    mdn(func(m *notice.MDN) { m.OriginalMessageID = "a\xe9@b" }),
		"endless id":                  mdn(func(m *notice.MDN) { m.OriginalMessageID = strings.Repeat("x", message.MaxMessageID+1) }),
		"no recipients":               dsn(func(d *notice.DSN) { d.Recipients = nil }),
		"too many recipients":         dsn(func(d *notice.DSN) { d.Recipients = make([]notice.RecipientStatus, notice.MaxRecipients+1) }),
		"recipient without address":   dsn(func(d *notice.DSN) { d.Recipients[0].Recipient = addr.Address{} }),
		"unknown action":              dsn(func(d *notice.DSN) { d.Recipients[0].Action = "lost" }),
		"status that is none":         dsn(func(d *notice.DSN) { d.Recipients[0].Status = "5.1.1\r\nAction: delivered" }),
		"status of class 3":           dsn(func(d *notice.DSN) { d.Recipients[0].Status = "3.1.1" }),
		"reporting MTA is no domain":  dsn(func(d *notice.DSN) { d.ReportingMTA = "x\r\ny" }),
	}
	for name, n := range cases {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := n.Write(&b); !errors.Is(err, notice.ErrIncomplete) || b.Len() > 0 {
				t.Errorf("%v, %d octets written", err, b.Len())
			}
		})
	}
	broken := errors.New("disk")
	if err := goodDSN().Write(failing{broken}); !errors.Is(err, broken) {
		t.Errorf("a write error is lost: %v", err)
	}
	long := goodMDN(notice.Processed)
	long.OriginalMessageID = strings.Repeat("x", message.MaxMessageID)
	if r := parse(t, write(t, long)); r.OriginalMessageID != long.OriginalMessageID {
		t.Errorf("a long id came back as %d octets", len(r.OriginalMessageID))
	}
	big := goodDSN()
	big.OriginalHeader = bytes.Repeat([]byte("X: y\r\n"), notice.MaxOriginalHeader)
	if b := write(t, big); bytes.Contains(b, []byte("rfc822-headers")) {
		t.Error("an oversize header was returned")
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// go-message, which others read mail with, finds the same in our notices.
func TestReadByGoMessage(t *testing.T) {
	mr, err := mail.CreateReader(bytes.NewReader(write(t, goodMDN(notice.Dispatched))))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := mr.Header.Subject(); err != nil || !strings.HasPrefix(s, "Dispatched: Überweisung für Herrn Müller und noch") {
		t.Errorf("subject %q, %v", s, err)
	}
	if id, err := mr.Header.MessageID(); err != nil || id != "n1@clinic.example.com" {
		t.Errorf("id %q, %v", id, err)
	}
	var types []string
	for {
		p, err := mr.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, p.Header.Get("Content-Type"))
	}
	want := []string{"text/plain; charset=utf-8", "message/disposition-notification; name=disposition.txt"}
	if !reflect.DeepEqual(types, want) {
		t.Errorf("parts %q", types)
	}
}

// Python's email package, an independent reader, finds what a peer's gateway needs.
func TestReadByPython(t *testing.T) {
	python := peer.Need(t, "python3")
	const script = `
import sys, email, email.policy
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
print(m.get_content_type(), m.get_param("report-type"), m["auto-submitted"], m["in-reply-to"], len(m.defects))
print(m["subject"])
text = m.get_payload(0)
print(text.get_content().replace("\r\n", " ").replace("\n", " ").strip())
for g in m.get_payload(1).get_payload() if m.get_payload(1).get_content_type() == "message/delivery-status" else [email.message_from_string(m.get_payload(1).as_string().split("\n\n", 1)[1])]:
    print("|".join(k + "=" + v.strip() for k, v in g.items()))
if len(m.get_payload()) > 2: print(m.get_payload(2).get_content_type(), m.get_payload(2).get_payload(decode=True).decode().splitlines()[0])
`
	cases := []struct {
		name string
		in   writer
		want string
	}{
		{"dispatched", goodMDN(notice.Dispatched), `multipart/report disposition-notification auto-replied <9f1c@hospital.example.org> 0
Dispatched: Überweisung für Herrn Müller und noch viel mehr, damit der Betreff sicher umgebrochen wird
Your message to Bob@clinic.example.com was handed over to the recipient's mailbox or system. This does not mean that anyone has read it.
Reporting-UA=clinic.example.com; Postern|Final-Recipient=rfc822;Bob@clinic.example.com|Original-Message-ID=<9f1c@hospital.example.org>|Disposition=automatic-action/MDN-sent-automatically;dispatched|X-DIRECT-FINAL-DESTINATION-DELIVERY=
`},
		{"DSN", goodDSN(), `multipart/report delivery-status auto-replied <9f1c@hospital.example.org> 0
Not Delivered: Referral
This is the Direct mail gateway of hospital.example.org.  Your message could not be delivered to:    Bob@clinic.example.com     No confirmation came within 60 minutes. Call the clinic.    eve@clinic.example.com     There is no such address. Check it – then send again.
Reporting-MTA=dns;hospital.example.org|X-Original-Message-ID=<9f1c@hospital.example.org>|Arrival-Date=Sun, 22 Nov 2026 09:00:00 +0000
Final-Recipient=rfc822;Bob@clinic.example.com|Action=failed|Status=5.4.7
Final-Recipient=rfc822;eve@clinic.example.com|Action=failed|Status=5.1.1|Diagnostic-Code=smtp; 550 5.1.1 no such user
text/rfc822-headers From: Ann.Oneil@hospital.example.org
`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(python, "-c", script)
			cmd.Env = append(cmd.Environ(), "PYTHONIOENCODING=utf-8")
			cmd.Stdin = bytes.NewReader(write(t, c.in))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			if string(out) != c.want {
				t.Errorf("got\n%s\nwant\n%s", out, c.want)
			}
		})
	}
}
