package notice_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/notice"
	"postern/gateway/message"
	"postern/smime/addr"
)

// mdn wraps report fields as a peer would send them.
func mdn(fields string) string {
	return `From: bob@clinic.example.com
To: ann.oneil@hospital.example.org
In-Reply-To: <header@hospital.example.org>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="b"

--b
Content-Type: text/plain

done
--b
Content-Type: message/disposition-notification

` + fields + `
--b--
`
}

func dsn(fields string) string {
	s := strings.ReplaceAll(mdn(fields), "message/disposition-notification", "message/delivery-status")
	return strings.ReplaceAll(s, "disposition-notification", "delivery-status")
}

// The field's notices, each with the oddity it is known for, and what they must be read as:
// outcome, whether it confirms final delivery, the recipient and the original's id.
func TestOddNotices(t *testing.T) {
	const id = "Original-Message-ID: <9f1c@hospital.example.org>\n"
	const to = "Final-Recipient: rfc822;bob@clinic.example.com\n"
	const auto = "Disposition: automatic-action/MDN-sent-automatically;"
	const good = "bob@clinic.example.com 9f1c@hospital.example.org"
	cases := []struct{ name, in, want string }{
		{"exact processed", mdn("Reporting-UA: x; y\n" + to + id + auto + "processed\n"), "processed false " + good},
		{"exact dispatched", mdn(to + id + auto + "dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY: \n"), "dispatched true " + good},
		{"no Reporting-UA", mdn(to + id + auto + "processed\n"), "processed false " + good},
		{"extension field on the processed notice", mdn(to + id + auto + "processed\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n"), "processed false " + good},
		{"dispatched without the extension field", mdn(to + id + auto + "dispatched\n"), "dispatched false " + good},
		{"extension field with a value", mdn(to + id + auto + "dispatched\nX-Direct-Final-Destination-Delivery: true\n"), "dispatched true " + good},
		{"extension field in lower case, folded", mdn(to + id + auto + "dispatched\nx-direct-final-destination-delivery:\n \n"), "dispatched true " + good},
		{"extension as a modifier does not count (DN-22)", mdn(to + id + auto + "dispatched/X-DIRECT-FINAL-DESTINATION-DELIVERY\n"), "dispatched false " + good},
		{"extension as a header field does not count (DN-22)", "X-DIRECT-FINAL-DESTINATION-DELIVERY: \n" + mdn(to+id+auto+"dispatched\n"), "dispatched false " + good},
		{"extension in the text does not count", strings.Replace(mdn(to+id+auto+"dispatched\n"), "done", "X-DIRECT-FINAL-DESTINATION-DELIVERY: ", 1), "dispatched false " + good},
		{"extension field after a blank line", mdn(to + id + auto + "dispatched\n\nX-DIRECT-FINAL-DESTINATION-DELIVERY: \n"), "dispatched true " + good},
		{"no angle brackets", mdn(to + "Original-Message-ID: 9f1c@hospital.example.org\n" + auto + "processed\n"), "processed false " + good},
		{"blanks around the id", mdn(to + "Original-Message-ID:   <  9f1c@hospital.example.org > \n" + auto + "processed\n"), "processed false " + good},
		{"id folded in the middle", mdn(to + "Original-Message-ID: <9f1c@\n\thospital.example.org>\n" + auto + "processed\n"), "processed false " + good},
		{"no id: In-Reply-To", mdn(to + auto + "processed\n"), "processed false bob@clinic.example.com header@hospital.example.org"},
		{"empty id: In-Reply-To", mdn(to + "Original-Message-ID: <>\n" + auto + "processed\n"), "processed false bob@clinic.example.com header@hospital.example.org"},
		{"mixed case everywhere", mdn("FINAL-recipient: RFC822;BOB@Clinic.Example.COM\noriginal-message-id: <9f1c@hospital.example.org>\nDISPOSITION: Automatic-Action/mdn-sent-automatically;Processed\n"), "processed false " + good},
		{"blank after the semicolons", mdn("Final-Recipient: rfc822 ; bob@clinic.example.com\n" + id + "Disposition: automatic-action/MDN-sent-automatically; processed\n"), "processed false " + good},
		{"recipient without a type", mdn("Final-Recipient: bob@clinic.example.com\n" + id + auto + "processed\n"), "processed false " + good},
		{"recipient in brackets", mdn("Final-Recipient: rfc822;<bob@clinic.example.com>\n" + id + auto + "processed\n"), "processed false " + good},
		{"recipient only as Original-Recipient", mdn("Original-Recipient: rfc822;bob@clinic.example.com\n" + id + auto + "processed\n"), "processed false " + good},
		{"recipient that is no address", mdn("Final-Recipient: rfc822;bob\n" + id + auto + "processed\n"), "processed false  9f1c@hospital.example.org"},
		{"mode left out", mdn(to + id + "Disposition: processed\n"), "processed false " + good},
		{"manual mode", mdn(to + id + "Disposition: manual-action/MDN-sent-manually; displayed\n"), "displayed false " + good},
		{"failed, the plain word (DN-48)", mdn(to + id + auto + "failed\nFailure: mailbox full\n"), "failed false " + good},
		{"denied", mdn(to + id + auto + "denied\n"), "failed false " + good},
		{"error", mdn(to + id + auto + "error\n"), "failed false " + good},
		{"processed/error (DN-48)", mdn(to + id + auto + "processed/error\n"), "failed false " + good},
		{"processed/Error,mailbox-full", mdn(to + id + auto + "processed/Error,mailbox-full\n"), "failed false " + good},
		{"dispatched/warning is no failure", mdn(to + id + auto + "dispatched/warning\nX-DIRECT-FINAL-DESTINATION-DELIVERY: \n"), "dispatched true " + good},
		{"dispatched/error confirms nothing", mdn(to + id + auto + "dispatched/error\nX-DIRECT-FINAL-DESTINATION-DELIVERY: \n"), "failed false " + good},
		{"displayed by an importer (DN-52)", mdn(to + id + auto + "displayed\n"), "displayed false " + good},
		{"deleted/error by an importer (DN-52)", mdn(to + id + auto + "deleted/error\n"), "import_failed false " + good},
		{"deleted/failure by an importer (DN-52)", mdn(to + id + auto + "deleted/failure\n"), "import_failed false " + good},
		{"failure for failed (edge testing tool)", mdn(to + id + "Disposition: automatic-action/MDN-sent-automatically; failure\n"), "failed false " + good},
		{"blank before the colons (edge testing tool)", mdn("Final-Recipient : rfc822; bob@clinic.example.com\nOriginal-Message-ID : <9f1c@hospital.example.org>\nDisposition : automatic-action/MDN-sent-automatically;processed\n"), "processed false " + good},
		{"folded after the semicolons (edge testing tool)", mdn("Reporting-UA: x;\n y\nFinal-Recipient: rfc822;\n bob@clinic.example.com\n" + id + "Disposition: automatic-action/MDN-sent-automatically;\n processed\n"), "processed false " + good},
		{"blanks around the slash (.NET agent)", mdn(to + id + "Disposition:automatic-action/MDN-sent-automatically; processed / error \n"), "failed false " + good},
		{"any other modifier (.NET agent)", mdn(to + id + "Disposition: automatic-action/MDN-sent-automatically; processed / modifier1 , modifier2 \n"), "processed false " + good},
		{"an Error field beside processed", mdn(to + id + auto + "processed\nError: Whoops!\n"), "processed false " + good},
		{"the part begins with a blank line", mdn("\n" + to + id + auto + "processed\n"), "processed false " + good},
		{"a word nobody knows", mdn(to + id + auto + "pondered\n"), " false " + good},
		{"a word that only begins like one", mdn(to + id + auto + "processedly\n"), " false " + good},
		{"no disposition", mdn(to + id), " false " + good},
		{"two dispositions: a failure counts", mdn(to + id + auto + "processed\n" + auto + "failed\n"), "failed false " + good},
		{"two dispositions: a failure counts wherever it stands", mdn(to + id + auto + "denied\n" + auto + "dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n"), "failed false " + good},
		{"two dispositions that differ: neither counts", mdn(to + id + auto + "dispatched\n" + auto + "processed\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n"), " false " + good},
		{"three dispositions, the last a failure", mdn(to + id + auto + "processed\n" + auto + "dispatched\n" + auto + "processed/error\n"), "failed false " + good},
		{"the same disposition twice", mdn(to + id + auto + "dispatched\n" + auto + "Dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n"), "dispatched true " + good},
		{"dispatched that tells of a failure", mdn(to + id + auto + "dispatched\nFailure: mailbox full\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n"), " false " + good},
		{"dispatched that tells of an error", mdn(to + id + auto + "dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\nError: mailbox full\n"), " false " + good},
		{"dispatched with an empty Failure and a warning", mdn(to + id + auto + "dispatched\nFailure:\nWarning: slow\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n"), "dispatched true " + good},
		{"processed that tells of a failure", mdn(to + id + auto + "processed\nFailure: cannot be decrypted\n"), " false " + good},
		{"a comment with a semicolon in the disposition", mdn(to + id + "Disposition: automatic-action/MDN-sent-automatically (no; really); processed (done)\n"), "processed false " + good},
		{"a comment that hides another disposition", mdn(to + id + "Disposition: automatic-action/MDN-sent-automatically; (dispatched) failed\n"), "failed false " + good},
		{"a comment that is not closed", mdn(to + id + auto + "processed (done\n"), "processed false " + good},
		{"a display name before the recipient", mdn("Final-Recipient: Bob Example <bob@clinic.example.com>\n" + id + auto + "processed\n"), "processed false " + good},
		{"a typed recipient with a quoted name", mdn("Final-Recipient: rfc822; \"Example, Bob\" <bob@clinic.example.com>\n" + id + auto + "processed\n"), "processed false " + good},
		{"a comment after the recipient", mdn("Final-Recipient: rfc822; bob@clinic.example.com (Bob)\n" + id + auto + "processed\n"), "processed false " + good},
		{"an angle bracket lost", mdn("Final-Recipient: rfc822; bob@clinic.example.com>\n" + id + auto + "processed\n"), "processed false " + good},
		{"two recipients in one field", mdn("Final-Recipient: rfc822; bob@clinic.example.com, eve@clinic.example.com\n" + id + auto + "processed\n"), "processed false  9f1c@hospital.example.org"},
		{"no recipient at all: the sender's (AS-94)", mdn(id + auto + "processed\n"), "processed false " + good},
		{"an empty recipient is not the sender's", mdn("Final-Recipient: rfc822;\n" + id + auto + "processed\n"), "processed false  9f1c@hospital.example.org"},
		{"an address of type utf-8 (RFC 6533)", mdn("Final-Recipient: utf-8; bob@clinic.example.com\n" + id + auto + "processed\n"), "processed false " + good},
		{"an escaped address of type utf-8", mdn("Final-Recipient: utf-8;\\x{62}ob\\x{40}clinic.example.com\n" + id + auto + "processed\n"), "processed false " + good},
		{"an address that is not ASCII", mdn("Final-Recipient: utf-8;bøb@clinic.example.com\nOriginal-Recipient: rfc822;bob@clinic.example.com\n" + id + auto + "processed\n"), "processed false " + good},
		{"the part's type for international mail (RFC 6533)", strings.Replace(mdn(to+id+auto+"dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n"), "Content-Type: message/", "Content-Type: message/global-", 1), "dispatched true " + good},
		{"fields with a character set", strings.Replace(mdn(to+id+auto+"failed\nFailure: Briefkasten f\xfcllt\n"), "message/disposition-notification", "message/disposition-notification; charset=iso-8859-1", 1), "failed false " + good},
		{"fields in base64", strings.Replace(mdn("RmluYWwtUmVjaXBpZW50OiByZmM4MjI7Ym9iQGNsaW5pYy5leGFtcGxlLmNvbQ0KT3JpZ2luYWwt\nTWVzc2FnZS1JRDogPDlmMWNAaG9zcGl0YWwuZXhhbXBsZS5vcmc+DQpEaXNwb3NpdGlvbjogeC95\nO2ZhaWxlZA0K\n"), "message/disposition-notification\n", "message/disposition-notification\nContent-Transfer-Encoding: base64\n", 1), "failed false " + good},
		{"the fields are the part's own header", strings.Replace(mdn(to+id+auto+"processed\n"), "notification\n\n", "notification\n", 1), "processed false " + good},
		{"fields in the part's header confirm nothing (DN-22)", strings.Replace(mdn(to+id+auto+"dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n"), "notification\n\n", "notification\n", 1), "dispatched false " + good},
		{"the id under a vendor's name", mdn(to + "X-Acme-Original-Message-ID: <9f1c@hospital.example.org>\n" + auto + "processed\n"), "processed false " + good},
		{"the RFC's own field before a vendor's", mdn(to + "X-Acme-Original-Message-ID: <other@hospital.example.org>\n" + id + auto + "processed\n"), "processed false " + good},
		{"the only message referred to", strings.Replace(mdn(to+auto+"processed\n"), "In-Reply-To: <header", "References: <9f1c", 1), "processed false " + good},
		{"one of two messages referred to: unknown which", strings.Replace(mdn(to+auto+"processed\n"), "In-Reply-To: <header@", "References: <9f1c@hospital.example.org> <other@", 1), "processed false bob@clinic.example.com "},
		{"lines that are no fields", mdn("hello world\n" + to + "?!\n" + id + auto + "processed\n"), "processed false " + good},

		{"DSN exact", dsn("Reporting-MTA: dns;x.example\nX-Original-Message-ID: <9f1c@hospital.example.org>\n\n" + to + "Action: failed\nStatus: 5.1.1\n"), "failed false " + good},
		{"DSN id by In-Reply-To", dsn("Reporting-MTA: dns;x.example\n\n" + to + "Action: failed\nStatus: 5.1.1\n"), "failed false bob@clinic.example.com header@hospital.example.org"},
		{"DSN all in one block", dsn("X-Original-Message-ID: <9f1c@hospital.example.org>\n" + to + "Action: failed\nStatus: 5.1.1\n"), "failed false " + good},
		{"DSN action in mixed case with a comment", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "action: FAILED (sorry)\nStatus: 5.1.1\n"), "failed false " + good},
		{"DSN delayed", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Action: delayed\nStatus: 4.4.1\n"), "delayed false " + good},
		{"DSN delivered is no statement of Direct", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Action: delivered\nStatus: 2.1.5\n"), "handed_on false " + good},
		{"DSN relayed", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Action: relayed\nStatus: 2.0.0\n"), "handed_on false " + good},
		{"DSN failed with a status of class 4", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Action: failed\nStatus: 4.4.7\n"), "failed false " + good},
		{"DSN without action, status of class 5", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Status: 5.1.1\n"), "failed false " + good},
		{"DSN without action, status of class 4", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Status: 4.1.1\n"), " false " + good},
		{"DSN without action and status", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to), " false " + good},
		{"DSN action nobody knows", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Action: pondered\nStatus: 5.1.1\n"), " false " + good},
		{"DSN expanded", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Action: expanded\nStatus: 2.0.0\n"), "handed_on false " + good},
		{"DSN delayed with a status of class 5", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Action: delayed\nStatus: 5.0.0\n"), "delayed false " + good},
		{"DSN that says delivered and failed of one", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + "Action: delivered\nAction: failed\nStatus: 5.1.1\n"), "handed_on false " + good},
		{"DSN of a mailbox that is no address", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\nOriginal-Recipient: rfc822;bob@clinic.example.com\nFinal-Recipient: system;/var/mail/bob\nAction: failed\nStatus: 5.2.2\n"), "failed false " + good},
		{"DSN for international mail (RFC 6533)", strings.Replace(dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n"+to+"Action: failed\nStatus: 5.1.1\n"), "Content-Type: message/", "Content-Type: message/global-", 1), "failed false " + good},
		{"DSN behind a report part of prose", strings.Replace(dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n"+to+"Action: failed\nStatus: 5.1.1\n"), "text/plain", "message/delivery-status", 1), "failed false " + good},
		{"DSN with a disposition smuggled in", dsn("X-Original-Message-ID: 9f1c@hospital.example.org\n\n" + to + auto + "dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\nAction: failed\nStatus: 5.0.0\n"), "failed false " + good},
	}
	for _, c := range cases {
		for _, end := range []string{"\r\n", "\n"} {
			t.Run(c.name+map[string]string{"\r\n": "", "\n": " (bare LF)"}[end], func(t *testing.T) {
				r := parse(t, []byte(strings.ReplaceAll(c.in, "\n", end)))
				if len(r.Entries) != 1 || !r.Standard {
					t.Fatalf("%+v", r)
				}
				e := r.Entries[0]
				got := fmt.Sprintf("%s %v %s %s", e.Outcome(), e.ConfirmsFinalDelivery(), e.About().Key(), r.OriginalMessageID)
				if got != c.want {
					t.Errorf("got %q, want %q\n%+v", got, c.want, r)
				}
			})
		}
	}
}

// The returned header is the last place to look for the original's id (DN-45).
func TestReturnedHeader(t *testing.T) {
	in := strings.Replace(dsn("Reporting-MTA: dns;x\n\nFinal-Recipient: rfc822;bob@clinic.example.com\nAction: failed\nStatus: 5.0.0\n"),
		"In-Reply-To: <header@hospital.example.org>\n", "", 1)
	for _, mediaType := range []string{"text/rfc822-headers", "message/rfc822", "message/rfc822-headers", "message/global", "message/global-headers", "message/partial; number=1; total=2; id=x"} {
		part := "--b\nContent-Type: " + mediaType + "\n\nSubject: x\nMessage-ID: <returned@hospital.example.org>\nFrom: a@b.example\n\nbody\n--b--\n"
		r := parse(t, crlf(strings.Replace(in, "--b--\n", part, 1)))
		if r.OriginalMessageID != "returned@hospital.example.org" || r.IDSource != "returned-header" {
			t.Errorf("%s: %+v", mediaType, r)
		}
	}
	if r := parse(t, crlf(in)); r.OriginalMessageID != "" || r.IDSource != "" {
		t.Errorf("an id out of nothing: %+v", r)
	}
}

// What a notice says of several recipients stays with each of them.
func TestSeveralRecipients(t *testing.T) {
	const id = "Original-Message-ID: <9f1c@hospital.example.org>\n"
	final := func(who string) string { return "Final-Recipient: rfc822;" + who + "@clinic.example.com\n" }
	says := func(what string) string { return "Disposition: automatic-action/MDN-sent-automatically;" + what + "\n" }
	const field = "X-DIRECT-FINAL-DESTINATION-DELIVERY: \n"
	second := "--b\nContent-Type: message/disposition-notification\n\n" + final("eve") + id + says("failed") + "--b--\n"
	cases := []struct{ name, in, want string }{
		{"a block each", mdn(id + final("bob") + says("dispatched") + field + "\n" + final("eve") + says("failed") + "\n" + final("jo") + says("dispatched")),
			"bob dispatched true, eve failed false, jo dispatched false"},
		{"no blank line between them", mdn(id + final("bob") + says("processed") + final("eve") + says("failed") + "Failure: no such mailbox\n"),
			"bob processed false, eve failed false"},
		{"one block with blank lines in it", mdn(id + "\n" + final("bob") + "\n" + says("dispatched") + "\n" + field), "bob dispatched true"},
		{"a part each", strings.Replace(mdn(final("bob")+id+says("processed")), "--b--\n", second, 1), "bob processed false, eve failed false"},
		{"the same one twice, and differently: the failure counts", mdn(id + final("bob") + says("dispatched") + field + "\n" + final("bob") + says("failed")), "bob failed false"},
		{"the failure counts wherever it stands", mdn(id + final("bob") + says("failed") + "\n" + final("bob") + says("dispatched") + field), "bob failed false"},
		{"of a second message", mdn(id + final("bob") + says("processed") + "\nOriginal-Message-ID: <other@hospital.example.org>\n" + final("eve") + says("failed")), "bob processed false"},
		{"DSN, a block each", dsn("Reporting-MTA: dns;x\n\n" + final("bob") + "Action: failed\nStatus: 5.1.1\n\n" + final("eve") + "Action: delayed\nStatus: 4.4.1\n\n" + final("jo") + "Action: relayed\nStatus: 2.0.0\n"),
			"bob failed false, eve delayed false, jo handed_on false"},
		{"DSN, no blank line between them", dsn("Reporting-MTA: dns;x\n\n" + final("bob") + "Action: delayed\nStatus: 4.4.1\n" + final("eve") + "Action: failed\nStatus: 5.1.1\n"),
			"bob delayed false, eve failed false"},
		{"DSN, no blank line and Original-Recipient first", dsn("Reporting-MTA: dns;x\n\nOriginal-Recipient: rfc822;b@clinic.example.com\n" + final("bob") + "Action: delayed\nOriginal-Recipient: rfc822;e@clinic.example.com\n" + final("eve") + "Action: failed\nStatus: 5.1.1\n"),
			"bob delayed false, eve failed false"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := parse(t, crlf(c.in))
			var got []string
			for _, e := range r.Entries {
				got = append(got, fmt.Sprintf("%s %s %v", e.About().Local(), e.Outcome(), e.ConfirmsFinalDelivery()))
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got %q, want %q\n%+v", s, c.want, r)
			}
		})
	}
}

// What is not a notice, or only looks like one.
func TestNotNotices(t *testing.T) {
	good := mdn("Final-Recipient: rfc822;bob@clinic.example.com\nDisposition: a/b;dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n")
	loose := strings.Replace(good, "multipart/report; report-type=disposition-notification", "multipart/mixed", 1)
	cases := []struct {
		name, in string
		notice   bool // else ErrNotNotice
		entries  int
	}{
		{"a referral", "From: a@b.example\nContent-Type: text/plain\n\nhello\n", false, 0},
		{"nothing", "", false, 0},
		{"a forwarded notice", "From: a@b.example\nContent-Type: message/rfc822\n\n" + good, false, 0},
		{"a notice attached as a message", "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: message/rfc822\n\n" + good + "\n--m--\n", false, 0},
		{"a bounce in prose", "From: MAILER-DAEMON@x.example\nContent-Type: text/plain\n\nFinal-Recipient: rfc822;bob@clinic.example.com\nAction: failed\n", false, 0},
		{"the part in other mail: read, but not standard", loose, true, 1},
		{"the wrong part for its report-type", strings.Replace(good, "report-type=disposition-notification", "report-type=delivery-status", 1), true, 1},
		{"the part is missing", strings.Replace(good, "Content-Type: message/disposition-notification", "Content-Type: text/plain", 1), true, 0},
		{"no boundary", strings.Replace(good, "boundary=\"b\"", "", 1), true, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := crlf(c.in)
			r, err := notice.Parse(bytes.NewReader(b), int64(len(b)))
			if !c.notice {
				if !errors.Is(err, notice.ErrNotNotice) {
					t.Fatalf("%+v, %v", r, err)
				}
				return
			}
			if err != nil || r.Standard || len(r.Entries) != c.entries {
				t.Fatalf("%+v, %v", r, err)
			}
		})
	}
}

// Bounds: whatever a peer sends, what comes out is small.
func TestBounds(t *testing.T) {
	block := "\nFinal-Recipient: rfc822;bob@clinic.example.com\nAction: failed\nStatus: 5.1.1\n"
	many := dsn("Reporting-MTA: dns;x\n" + strings.Repeat(block, 2*notice.MaxRecipients))
	if r := parse(t, crlf(many)); len(r.Entries) != notice.MaxRecipients {
		t.Errorf("%d entries", len(r.Entries))
	}
	long := dsn("X-Original-Message-ID: <" + strings.Repeat("x", 2000) + ">\nReporting-MTA: dns;" + strings.Repeat("y", 5000) + "\n" + block +
		"Diagnostic-Code: smtp; " + strings.Repeat("long words ", 1000) + "\n" + strings.Repeat(" and more\n", 5000))
	r := parse(t, crlf(long))
	if len(r.Entries[0].Detail) > notice.MaxText || len(r.Reporter) > notice.MaxText || r.OriginalMessageID != "header@hospital.example.org" {
		t.Errorf("detail %d, reporter %d, id %q", len(r.Entries[0].Detail), len(r.Reporter), r.OriginalMessageID)
	}
	huge := dsn("Reporting-MTA: dns;x\n" + block + strings.Repeat("X: y\n", notice.MaxPart))
	if r := parse(t, crlf(huge)); len(r.Entries) != 1 || len(r.Repairs) == 0 {
		t.Errorf("%+v", r)
	}
	deep := "Content-Type: multipart/report; report-type=delivery-status; boundary=b0\n\n"
	for i := range 200 {
		deep += fmt.Sprintf("--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n", i, i+1)
	}
	if r := parse(t, crlf(deep)); len(r.Entries) != 0 || r.Standard {
		t.Errorf("%+v", r)
	}
	parts := strings.Replace(dsn(block), "--b\nContent-Type: text/plain", strings.Repeat("--b\n\nx\n", 5000)+"--b\nContent-Type: text/plain", 1)
	if r := parse(t, crlf(parts)); len(r.Repairs) == 0 {
		t.Errorf("5,000 parts passed without a word: %+v", r)
	}
	monster := strings.Replace(dsn(block+strings.Repeat("X: y\n", 500)), "--b--\n", "--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=m\n\n"+
		strings.Repeat("--m\n\nsome text in each of very many parts of the original message\n", 5000)+"--m--\n--b--\n", 1)
	if r := parse(t, crlf(monster)); len(r.Entries) != 1 || !r.Standard || len(r.Repairs) == 0 {
		t.Errorf("a notice that returns a monster: %+v", r)
	}
	often := strings.Replace(dsn(block), "--b--\n", strings.Repeat("--b\nContent-Type: message/delivery-status\n\n"+block[1:], 40)+"--b--\n", 1)
	if r := parse(t, crlf(often)); len(r.Entries) != 16 || len(r.Repairs) == 0 {
		t.Errorf("%d entries of 41 report parts: %v", len(r.Entries), r.Repairs)
	}
	many = mdn(strings.Repeat("Final-Recipient: rfc822;bob@clinic.example.com\nDisposition: a/b;failed\n\n", 2*notice.MaxRecipients))
	if r := parse(t, crlf(many)); len(r.Entries) > notice.MaxRecipients+1 {
		t.Errorf("%d entries of an MDN", len(r.Entries))
	}
	many = mdn(strings.Repeat("Disposition: a/b;processed\n", 1000) + "Disposition: a/b;dispatched\nFinal-Recipient: rfc822;bob@clinic.example.com\n")
	if r := parse(t, crlf(many)); len(r.Entries) != 1 || r.Entries[0].Outcome() != notice.OutcomeProcessed {
		t.Errorf("1,001 dispositions: %+v", r)
	}
	head := "X: " + strings.Repeat("y", message.MaxHeader) + "\n" + dsn(block)
	b := crlf(head)
	if _, err := notice.Parse(bytes.NewReader(b), int64(len(b))); !errors.Is(err, notice.ErrNotNotice) {
		t.Errorf("a header over its limit: %v", err)
	}
	broken := errors.New("disk")
	if _, err := notice.Parse(brokenAt{broken}, 1000); !errors.Is(err, broken) {
		t.Errorf("a read error is lost: %v", err)
	}
}

type brokenAt struct{ err error }

func (b brokenAt) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func FuzzParse(f *testing.F) {
	f.Add(crlf(mdn("Final-Recipient: rfc822;bob@clinic.example.com\nDisposition: a/b;dispatched\nX-DIRECT-FINAL-DESTINATION-DELIVERY:\n")))
	f.Add(crlf(dsn("Reporting-MTA: dns;x\n\nFinal-Recipient: x;<a@b.example>\nAction: failed (x)\nStatus: 5.1.1 y\nDiagnostic-Code: z\n")))
	f.Add([]byte("From x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\nQWN0aW9uOiBmYWlsZWQK\n--b"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := notice.Parse(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			if r != nil || !errors.Is(err, notice.ErrNotNotice) {
				t.Fatalf("%v, %v", r, err)
			}
			return
		}
		for _, e := range r.Entries {
			texts := e.Written + e.Modifier + string(e.Action) + e.Status + e.Detail + string(e.Disposition)
			if strings.ContainsAny(texts, "\r\n\x00") || len(texts) > 4*notice.MaxText {
				t.Fatalf("%+v", e)
			}
			if e.ConfirmsFinalDelivery() && (r.Kind != message.MDN || e.Disposition != notice.Dispatched) {
				t.Fatalf("confirmed by %+v", e)
			}
		}
		if strings.ContainsAny(r.OriginalMessageID, " <>\r\n") || len(r.OriginalMessageID) > message.MaxMessageID {
			t.Fatalf("id %q", r.OriginalMessageID)
		}
	})
}

// Whatever is put into a notice, it is refused or comes back as it was.
func FuzzWrite(f *testing.F) {
	f.Add("9f1c@hospital.example.org", "Überweisung", "mailbox full", "clinic.example.com; Postern")
	f.Add("x@y", strings.Repeat("x", 3000), strings.Repeat("y", 3000), strings.Repeat("z", 3000))
	f.Add("<a b@c>", "x\r\nBcc: y", "\x00\n.\n", "")
	f.Fuzz(func(t *testing.T, id, subject, failure, ua string) {
		m := goodMDN(notice.Failed)
		m.OriginalMessageID, m.Subject, m.Failure, m.ReportingUA = id, subject, failure, ua
		d := goodDSN()
		d.OriginalMessageID, d.Subject, d.Recipients[1].Diagnostic, d.Recipients[0].Text = id, subject, failure, ua
		d.OriginalHeader = nil // it names the id too
		for _, n := range []interface{ Write(io.Writer) error }{m, d} {
			var b bytes.Buffer
			if err := n.Write(&b); err != nil {
				if !errors.Is(err, notice.ErrIncomplete) {
					t.Fatal(err)
				}
				continue
			}
			var i message.Inspector
			if _, err := i.Write(b.Bytes()); err != nil {
				t.Fatal(err)
			}
			facts := i.Facts()
			if err := facts.CheckSubmission(); err != nil || facts.EightBit || facts.BareCR || facts.BareLF || facts.LongLine || facts.NUL {
				t.Fatalf("%v %+v", err, facts)
			}
			r, err := notice.Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil || !r.Standard || len(r.Repairs) > 0 {
				t.Fatalf("%+v, %v\n%s", r, err, &b)
			}
			if want := message.NormalID(id); r.OriginalMessageID != want {
				t.Fatalf("id %q came back as %q", want, r.OriginalMessageID)
			}
			for _, e := range r.Entries {
				if e.Outcome() != notice.OutcomeFailed || e.Recipient.IsZero() {
					t.Fatalf("%+v", e)
				}
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	m := goodMDN(notice.Processed)
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Write(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	var buf bytes.Buffer
	m := goodMDN(notice.Dispatched)
	m.Date, m.From = time.Unix(0, 0), addr.MustParse("bob@clinic.example.com")
	if err := m.Write(&buf); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := notice.Parse(bytes.NewReader(buf.Bytes()), int64(buf.Len())); err != nil {
			b.Fatal(err)
		}
	}
}
