package message_test

import (
	"strings"
	"testing"

	"postern/gateway/message"
)

// Each flaw by the header that makes it, with the field it is on; and every reason has words.
func TestFlawsByReason(t *testing.T) {
	cases := []struct {
		reason message.Reason
		field  string
		in     string
	}{
		{message.ReasonDuplicate, "from", "From: a@b.example\nFrom: a@b.example\n"},
		{message.ReasonDuplicate, "subject", "Subject: a\nsubject : b\n"},
		{message.ReasonDuplicate, "message-id", "Message-ID: <a@b>\nMessage-ID: <a@b>\n"},
		{message.ReasonDuplicate, "content-type", "Content-Type: text/plain\nContent-Type: text/html\n"},
		{message.ReasonBadAddress, "to", "To: a@b.example, nobody\n"},
		{message.ReasonBadAddress, "disposition-notification-to", "Disposition-Notification-To: nobody\n"},
		{message.ReasonBadAddress, "cc", "Cc: " + strings.Repeat("a@b.example,\n ", 1001) + "\n"},
		{message.ReasonBadMessageID, "message-id", "Message-ID: <\xe9@b>\n"},
		{message.ReasonBadDate, "date", "Date: yesterday\n"},
		{message.ReasonBadDate, "date", "Date: Sun, 22 Nov 2026 10:00:00 +0000 (" + strings.Repeat("x", 300) + ")\n"},
		{message.ReasonBadType, "content-type", "Content-Type: ;;\n"},
		{message.ReasonBadType, "content-type", "Content-Type: text\n"},
		{message.ReasonBadType, "content-type", "Content-Type: text/plain; x=" + strings.Repeat("y", 9000) + "\n"},
		{message.ReasonBadLine, "", "not a field\n"},
		{message.ReasonControl, "", "X: a\x00b\n"},
	}
	for _, c := range cases {
		f := inspect(t, crlf(c.in+"\n"))
		if len(f.Flaws) != 1 || !f.Flawed(c.reason, c.field) || f.Flaws[0].Field != c.field {
			t.Errorf("%.60q: flaws %v, want %s on %q", c.in, f.Flaws, c.reason, c.field)
		}
	}
	if f := inspect(t, crlf("From: a@b.example\nFrom: nobody\n\n")); f.CheckInner() == nil {
		t.Error("a readable From beside an unreadable one is acted on")
	}
	for _, r := range []message.Reason{message.ReasonLoop, message.ReasonHeaderSize, message.ReasonHeaderFields, message.ReasonNoFrom, message.ReasonDuplicate,
		message.ReasonBadAddress, message.ReasonSeveralFrom, message.ReasonNoRecipients, message.ReasonBadMessageID, message.ReasonBadDate, message.ReasonBadType,
		message.ReasonBadLine, message.ReasonControl, message.ReasonBcc, message.ReasonMixedLineEnds, message.ReasonBareCR} {
		if r.Explain() == message.Reason("").Explain() || strings.ContainsAny(r.Explain(), "\r\n") {
			t.Errorf("%s has no words of its own", r)
		}
		if e := (&message.Error{Reason: r}).Error(); e != "message: "+string(r) {
			t.Errorf("error text %q", e)
		}
	}
}
