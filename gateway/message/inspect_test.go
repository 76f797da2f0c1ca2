package message_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
)

// crlf writes a test message with LF for reading; the gateway sees CRLF.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func inspect(t *testing.T, b []byte) message.Facts {
	t.Helper()
	return facts(t, string(b))
}

// facts is inspect for property tests too.
func facts(t interface{ Fatalf(string, ...any) }, s string) message.Facts {
	var i message.Inspector
	if _, err := i.Write([]byte(s)); err != nil {
		t.Fatalf("write: %v", err)
	}
	return i.Facts()
}

const referral = `Received: from a by b; Sun, 22 Nov 2026 10:00:00 +0000
Received: from c by a; Sun, 22 Nov 2026 09:59:59 +0000
Date: Sun, 22 Nov 2026 10:58:00 +0100
From: "Dr. O'Neil, Ann" <Ann.Oneil@Hospital.example.org>
Sender: front-desk@hospital.example.org
To: referrals@clinic.example.com (the desk),
	"Bob" <bob+lab@clinic.example.com>
Cc: team: eve@clinic.example.com, dan@clinic.example.com;
Message-ID:
 <abc.123@hospital.example.org>
In-Reply-To: <earlier@clinic.example.com>
References: <first@clinic.example.com>
 <earlier@clinic.example.com>
Subject: =?utf-8?q?=C3=9Cberweisung?= =?iso-8859-1?Q?_M=FCller?=
MIME-Version: 1.0
Content-Type: Multipart/Mixed; boundary="x"
Disposition-Notification-To: <ann.oneil@hospital.example.org>
Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true
Auto-Submitted: no

body
`

func TestFactsOfAReferral(t *testing.T) {
	b := crlf(referral)
	f := inspect(t, b)
	a := func(s ...string) (out []addr.Address) {
		for _, x := range s {
			out = append(out, addr.MustParse(x))
		}
		return out
	}
	want := message.Facts{
		From:                      a("Ann.Oneil@Hospital.example.org"),
		Sender:                    a("front-desk@hospital.example.org"),
		To:                        a("referrals@clinic.example.com", "bob+lab@clinic.example.com"),
		Cc:                        a("eve@clinic.example.com", "dan@clinic.example.com"),
		MessageID:                 "abc.123@hospital.example.org",
		InReplyTo:                 "earlier@clinic.example.com",
		References:                []string{"first@clinic.example.com", "earlier@clinic.example.com"},
		Date:                      time.Date(2026, 11, 22, 9, 58, 0, 0, time.UTC),
		Subject:                   "Überweisung Müller",
		MediaType:                 "multipart/mixed",
		MIMEVersion:               true,
		AutoSubmitted:             "no",
		DispositionNotificationTo: a("ann.oneil@hospital.example.org"),
		DeliveryOptions:           true,
		FinalDelivery:             true,
		Received:                  2,
		Fields:                    16,
		HeaderSize:                int64(len(b) - len("body\r\n")),
		Size:                      int64(len(b)),
	}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("facts\n got %+v\nwant %+v", f, want)
	}
	if f.Kind() != message.Mail || !f.Answerable() || f.Automatic() {
		t.Errorf("kind %s, answerable %v, automatic %v", f.Kind(), f.Answerable(), f.Automatic())
	}
	if err := f.CheckSubmission(); err != nil {
		t.Errorf("submission: %v", err)
	}
	j, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back message.Facts
	if err := json.Unmarshal(j, &back); err != nil || !reflect.DeepEqual(back, f) {
		t.Errorf("JSON round trip: %v\n%s", err, j)
	}
}

// However the octets are cut into writes, the facts are the same.
func TestFactsDoNotDependOnChunks(t *testing.T) {
	inputs := [][]byte{
		crlf(referral), []byte(referral), []byte("A: b\r\n\r\nx\ry"), []byte("A: b\r"), []byte("\r\n\r\n"), []byte("no field"),
		[]byte("From: a@b.example\r\n\r\n" + strings.Repeat("x", 998) + "\r\n" + strings.Repeat("y", 999) + "\r\n"),
	}
	for n, in := range inputs {
		want := inspect(t, in)
		for _, size := range []int{1, 2, 3, 7, 64} {
			var i message.Inspector
			for rest := in; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if _, err := i.Write(rest[:min(size, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if got := i.Facts(); !reflect.DeepEqual(got, want) {
				t.Errorf("input %d by %d octets\n got %+v\nwant %+v", n, size, got, want)
			}
		}
	}
}

func TestInspectorStops(t *testing.T) {
	cases := []struct {
		name   string
		in     string
		reason message.Reason
	}{
		{"a loop: 101 Received fields", strings.Repeat("Received: x\r\n", 101) + "\r\n", message.ReasonLoop},
		{"100 Received fields are still a route", strings.Repeat("Received: x\r\n", 100) + "\r\n", ""},
		{"a header over 256 KiB", "Subject: " + strings.Repeat("x\r\n ", 70000) + "\r\n\r\n", message.ReasonHeaderSize},
		{"one endless line", strings.Repeat("x", 256<<10+1), message.ReasonHeaderSize},
		{"a header of 256 KiB", "S: " + strings.Repeat("x", 256<<10-7) + "\r\n\r\n", ""},
		{"1,001 fields", strings.Repeat("A: b\r\n", 1001) + "\r\n", message.ReasonHeaderFields},
		{"1,000 fields", strings.Repeat("A: b\r\n", 1000) + "\r\n", ""},
		{"1,001 fields and no blank line", strings.Repeat("A: b\r\n", 1001), message.ReasonHeaderFields},
		{"a loop without a blank line", strings.Repeat("Received: x\r\n", 101), message.ReasonLoop},
		{"a body of many lines is no header", "A: b\r\n\r\n" + strings.Repeat("Received: x\r\n", 30000), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var i message.Inspector
			_, werr := i.Write([]byte(c.in))
			i.Facts()
			err := i.Err()
			if c.reason == "" {
				if err != nil || werr != nil {
					t.Fatalf("refused: %v, %v", werr, err)
				}
				return
			}
			var e *message.Error
			if !errors.As(err, &e) || e.Reason != c.reason {
				t.Fatalf("got %v, want reason %s", err, c.reason)
			}
			if _, again := i.Write([]byte("more")); !errors.As(again, &e) || e.Reason != c.reason {
				t.Fatalf("the error does not stay: %v", again)
			}
		})
	}
}

func TestOctets(t *testing.T) {
	const h = "From: a@b.example\r\n\r\n"
	cases := []struct {
		name                       string
		in                         string
		cr, lf, nul, long, eightIn bool
	}{
		{name: "clean", in: h + "text\r\n"},
		{name: "no line end at the end", in: h + "text"},
		{name: "bare LF in the body", in: h + "te\nxt\r\n", lf: true},
		{name: "bare LF in the header", in: "From: a@b.example\n\r\n", lf: true},
		{name: "bare CR in the body", in: h + "te\rxt\r\n", cr: true},
		{name: "CR CR LF", in: h + "text\r\r\n", cr: true},
		{name: "CR at the very end", in: h + "text\r", cr: true},
		{name: "LF CR", in: h + "text\n\rtext\r\n", lf: true, cr: true},
		{name: "NUL", in: h + "te\x00xt\r\n", nul: true},
		{name: "998 octets in a line", in: h + strings.Repeat("x", 998) + "\r\n"},
		{name: "999 octets in a line", in: h + strings.Repeat("x", 999) + "\r\n", long: true},
		{name: "999 octets in a last line without end", in: h + strings.Repeat("x", 999), long: true},
		{name: "a long header line", in: "A: " + strings.Repeat("x", 996) + "\r\n\r\n", long: true},
		{name: "an 8-bit octet", in: h + "caf\xe9\r\n", eightIn: true},
		{name: "an 8-bit octet in the header", in: "Subject: caf\xe9\r\n\r\n", eightIn: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := inspect(t, []byte(c.in))
			got := fmt.Sprint(f.BareCR, f.BareLF, f.NUL, f.LongLine, f.EightBit)
			want := fmt.Sprint(c.cr, c.lf, c.nul, c.long, c.eightIn)
			if got != want {
				t.Errorf("CR LF NUL long 8-bit: got %s, want %s", got, want)
			}
		})
	}
}

func TestFlawsAndChecks(t *testing.T) {
	const ok = "From: a@b.example\nTo: c@d.example\n"
	cases := []struct {
		name       string
		in         string
		submission message.Reason // "" is accepted
		inner      message.Reason
	}{
		{"plain", ok, "", ""},
		{"space before the colon is obsolete, not wrong", "From : a@b.example\nTo\t: c@d.example\n", "", ""},
		{"lower and upper case names", "FROM: a@b.example\nto: c@d.example\n", "", ""},
		{"no From", "To: c@d.example\n", message.ReasonNoFrom, message.ReasonNoFrom},
		{"an empty From", "From:\nTo: c@d.example\n", message.ReasonNoFrom, message.ReasonNoFrom},
		{"two From fields", ok + "From: a@b.example\n", message.ReasonDuplicate, message.ReasonDuplicate},
		{"two From fields, one spelled obsolete", ok + "from : x@y.example\n", message.ReasonDuplicate, message.ReasonDuplicate},
		{"a second From after a line that is no field", ok + "garbage\nFrom: x@y.example\n", message.ReasonDuplicate, message.ReasonDuplicate},
		{"a second From folded into another field is text", ok + "X: y\n From: x@y.example\n", "", ""},
		{"a From that is no address", "From: Ann\nTo: c@d.example\n", message.ReasonBadAddress, message.ReasonBadAddress},
		{"a bare CR in a header field", ok + "X: y\rFrom: x@y.example\n", message.ReasonControl, message.ReasonControl},
		{"NUL in a header field", ok + "X: y\x00\n", message.ReasonControl, message.ReasonControl},
		{"several authors", "From: a@b.example, x@b.example\nTo: c@d.example\n", message.ReasonSeveralFrom, ""},
		{"several authors and a Sender", "From: a@b.example, x@b.example\nSender: x@b.example\nTo: c@d.example\n", "", ""},
		{"no recipients", "From: a@b.example\n", message.ReasonNoRecipients, ""},
		{"only an empty group", "From: a@b.example\nTo: undisclosed-recipients:;\n", message.ReasonNoRecipients, ""},
		{"Cc is enough", "From: a@b.example\nCc: c@d.example\n", "", ""},
		{"To twice joins", ok + "To: e@f.example\n", "", ""},
		{"a To that is no list", "From: a@b.example\nTo: c@@d\n", message.ReasonBadAddress, ""},
		{"Bcc", ok + "Bcc: e@f.example\n", message.ReasonBcc, ""},
		{"two Message-IDs", ok + "Message-ID: <a@b>\nMessage-ID: <c@d>\n", message.ReasonDuplicate, ""},
		{"a Message-ID with a bracket inside", ok + "Message-ID: <a<b@d>\n", message.ReasonBadMessageID, ""},
		{"an empty Message-ID", ok + "Message-ID: <>\n", message.ReasonBadMessageID, ""},
		{"a Message-ID beyond the limit", ok + "Message-ID: <" + strings.Repeat("x\n ", 999) + "@d>\n", message.ReasonBadMessageID, ""},
		{"a line that is no field", "From a@b Sun Nov 22\n" + ok, message.ReasonBadLine, ""},
		{"a header that begins with a blank", " x\n" + ok, message.ReasonBadLine, ""},
		{"a field name with 8-bit octets", ok + "X\xe9: y\n", message.ReasonBadLine, ""},
		{"a date that is none", ok + "Date: yesterday\n", "", ""},
		{"a content type that is none", ok + "Content-Type: ;;\n", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := inspect(t, crlf(c.in+"\nbody\n"))
			check := func(what string, err *message.Error, want message.Reason) {
				switch {
				case err == nil && want != "":
					t.Errorf("%s accepted, want %s", what, want)
				case err != nil && err.Reason != want:
					t.Errorf("%s: got %v, want %q", what, err, want)
				}
			}
			check("submission", f.CheckSubmission(), c.submission)
			check("inner", f.CheckInner(), c.inner)
		})
	}
}

func TestKind(t *testing.T) {
	cases := []struct {
		name, field string
		want        message.Kind
	}{
		{"no type", "X: y", message.Mail},
		{"an MDN", "Content-Type: multipart/report; report-type=disposition-notification; boundary=x", message.MDN},
		{"a DSN in mixed case, folded, quoted", "Content-type: Multipart/REPORT;\n\tReport-Type=\"Delivery-Status\";\n boundary=\"x\"", message.DSN},
		{"with a comment", "Content-Type: multipart/report (notice); report-type=delivery-status", message.DSN},
		{"with a stray semicolon", "Content-Type: multipart/report; ; report-type=delivery-status;", message.DSN},
		{"with a repeated parameter", "Content-Type: multipart/report; boundary=a; boundary=b; report-type=delivery-status", message.DSN},
		{"an abuse report", "Content-Type: multipart/report; report-type=feedback-report", message.Mail},
		{"a report of no type", "Content-Type: multipart/report; boundary=x", message.Mail},
		{"a report-type on another type", "Content-Type: multipart/mixed; report-type=delivery-status", message.Mail},
		{"a forwarded notice", "Content-Type: message/rfc822", message.Mail},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := inspect(t, crlf("From: a@b.example\n"+c.field+"\n\n"))
			if f.Kind() != c.want || f.Answerable() != (c.want == message.Mail) {
				t.Errorf("kind %s, answerable %v, want %s", f.Kind(), f.Answerable(), c.want)
			}
		})
	}
}

func TestAutomatic(t *testing.T) {
	for value, want := range map[string]bool{"no": false, "No": false, "auto-generated": true, "auto-replied (vacation)": true,
		"auto-notified; owner-email=\"x@y.example\"": true, "": false} {
		f := inspect(t, crlf("From: a@b.example\nAuto-Submitted: "+value+"\n\n"))
		if f.Automatic() != want || !f.Answerable() {
			t.Errorf("Auto-Submitted: %s: automatic %v (want %v), answerable %v", value, f.Automatic(), want, f.Answerable())
		}
	}
}

func TestSubject(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"plain", "Referral", "Referral"},
		{"base64", "=?UTF-8?B?w5xiZXJ3ZWlzdW5n?=", "Überweisung"},
		{"an unknown character set stays", "=?x-none?Q?abc?=", "=?x-none?Q?abc?="},
		{"control characters become blanks", "=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"},
		{"raw 8-bit octets", "caf\xe9", "caf\uFFFD"},
		{"broken encoding", "=?utf-8?B?!!!?=", "=?utf-8?B?!!!?="},
		{"japanese", "=?ISO-2022-JP?B?GyRCJTMlcyVLJUEbKEI=?=", "コンニチ"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if f := inspect(t, crlf("Subject: "+c.in+"\n\n")); f.Subject != c.want {
				t.Errorf("got %q, want %q", f.Subject, c.want)
			}
		})
	}
	long := inspect(t, crlf("Subject: "+strings.Repeat("é", 5000)+"\n\n")).Subject
	if len(long) > message.MaxSubject+len("…") || !strings.HasSuffix(long, "…") {
		t.Errorf("a long subject kept %d octets", len(long))
	}
}

func TestNormalID(t *testing.T) {
	for in, want := range map[string]string{
		"<a@b>": "a@b", " <a@b>\r\n": "a@b", "a@b": "a@b", "< a@b >": "a@b", "<a@\r\n b>": "a@b", "": "", "<>": "",
		"<9501051053.aa04167@IETF.CNR I.Reston.VA.US>": "9501051053.aa04167@IETF.CNRI.Reston.VA.US",
		"text <a@b> more": "a@b", "<A@b>": "A@b", "a@b>": "a@b", "<a@b": "a@b", "a>b": "ab", "<<a@b>>": "a@b",
	} {
		if got := message.NormalID(in); got != want {
			t.Errorf("NormalID(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMessageIDAsWritten(t *testing.T) {
	for in, want := range map[string]struct {
		id   string
		bare bool
	}{
		"<a@b>":                                {"a@b", false},
		"0c0918d7-5bfa-48e4-91c0-6bffc7660967": {"0c0918d7-5bfa-48e4-91c0-6bffc7660967", true},
		"<Message In  a Bottle>":               {"Message In a Bottle", false},
	} {
		f := inspect(t, crlf("Message-ID: "+in+"\n\n"))
		if f.MessageID != want.id || f.BareID != want.bare {
			t.Errorf("%s: %q, bare %v", in, f.MessageID, f.BareID)
		}
	}
}

func TestReferences(t *testing.T) {
	var b strings.Builder
	for i := range message.MaxReferences + 5 {
		fmt.Fprintf(&b, "<%d@x>\r\n ", i)
	}
	f := inspect(t, []byte("References: "+b.String()+"\r\nIn-Reply-To: Your message of Monday <m@x>\r\n\r\n"))
	if len(f.References) != message.MaxReferences || f.References[0] != "5@x" {
		t.Errorf("kept %d references, the first %q", len(f.References), f.References[0])
	}
	if f.InReplyTo != "m@x" {
		t.Errorf("In-Reply-To %q", f.InReplyTo)
	}
}

func TestEnvelopeChecks(t *testing.T) {
	f := inspect(t, crlf("From: Ann@A.example\nSender: desk@a.example\nTo: bob@b.example\nCc: eve+x@b.example\n\n"))
	for in, want := range map[string]bool{"ann@a.example": true, "DESK@a.example": true, "ann+tag@a.example": true, "bob@b.example": false, "ann@b.example": false} {
		if got := f.SenderMatches(addr.MustParse(in)); got != want {
			t.Errorf("SenderMatches(%s) = %v", in, got)
		}
	}
	if f.SenderMatches(addr.Address{}) {
		t.Error("the null sender matched mail")
	}
	notice := inspect(t, crlf("From: p@a.example\nContent-Type: multipart/report; report-type=delivery-status\n\n"))
	if !notice.SenderMatches(addr.Address{}) {
		t.Error("the null sender did not match a notice")
	}
	hidden := f.BccRecipients([]addr.Address{addr.MustParse("BOB+lab@b.example"), addr.MustParse("zoe@b.example"), addr.MustParse("eve@b.example")})
	if len(hidden) != 1 || hidden[0].String() != "zoe@b.example" {
		t.Errorf("hidden recipients %v", hidden)
	}
}

func TestAutoSubmittedThatIsNoWord(t *testing.T) {
	for field, want := range map[string]string{
		"no": "no", " Auto-Replied ; x=y": "auto-replied", "(why) auto-generated": "auto-generated", "": "",
		"n\xfa\x00": "unreadable", "no\x00": "unreadable", "n\u00f6": "unreadable", "no and yes": "unreadable",
	} {
		f := facts(t, "From: <a@b.example>\r\nAuto-Submitted: "+field+"\r\n\r\nx\r\n")
		if f.AutoSubmitted != want || f.Automatic() != (want != "" && want != "no") {
			t.Errorf("%q is read as %q, automatic: %v", field, f.AutoSubmitted, f.Automatic())
		}
	}
}

func FuzzInspector(f *testing.F) {
	f.Add([]byte("From: <a@b.example>\r\nAuto-Submitted: n\xfa\x00"), 0)
	f.Add(crlf(referral), 3)
	f.Add([]byte("From : <a@b.example>\r\n x\r\nSubject: =?utf-8?q?x?=\r\n\r\nbody\r"), 1)
	f.Add([]byte("Disposition-Notification-Options: a=\"\\\"=required,(x(y)\n\n"), 5)
	f.Fuzz(func(t *testing.T, in []byte, chunk int) {
		var whole, parts message.Inspector
		_, err := whole.Write(in)
		if chunk = chunk&63 + 1; err == nil {
			for rest := in; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
				if _, err := parts.Write(rest[:min(chunk, len(rest))]); err != nil {
					t.Fatalf("in pieces: %v", err)
				}
			}
			a, b := whole.Facts(), parts.Facts()
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("facts differ by chunk\n%+v\n%+v", a, b)
			}
			if a.Size != int64(len(in)) || a.HeaderSize > a.Size || a.Received > message.MaxReceived || a.Fields > message.MaxFields+1 {
				t.Fatalf("sizes %+v", a)
			}
			if bytes.ContainsAny([]byte(a.Subject+a.MessageID+a.AutoSubmitted), "\r\n\x00") {
				t.Fatalf("control characters got through: %+v", a)
			}
			if a.FinalDelivery && (a.FinalDeliveryMalformed || a.Kind() != message.Mail) {
				t.Fatalf("request honoured though it must not be: %+v", a)
			}
		}
		var out bytes.Buffer
		if converted, err := message.Canonical(&out, bytes.NewReader(in)); err == nil {
			back := out.Bytes()
			if converted {
				back = bytes.ReplaceAll(back, []byte("\r\n"), []byte("\n"))
			}
			if f := facts(t, "\r\n"+out.String()); f.BareCR || f.BareLF || !bytes.Equal(back, in) {
				t.Fatalf("canonical form %q of %q", &out, in)
			}
		}
	})
}
