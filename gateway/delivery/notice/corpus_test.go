package notice_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"postern/gateway/delivery/notice"
	"postern/gateway/lab/corpus"
	"postern/gateway/message"
)

var bracket = regexp.MustCompile(`\[([^\]]*)\]`)

// expectation is what the manifest says a standard parser finds in one file.
type expectation struct {
	top, reportType string
	entries         []string
}

func readExpectation(s string) (e expectation) {
	e.top, _, _ = strings.Cut(strings.TrimPrefix(s[strings.Index(s, "top="):], "top="), " ")
	if i := strings.Index(s, "report-type="); i >= 0 {
		e.reportType, _, _ = strings.Cut(s[i+len("report-type="):], " ")
	}
	for _, m := range bracket.FindAllStringSubmatch(s, -1) {
		e.entries = append(e.entries, m[1])
	}
	return e
}

// TestCorpus reads every notice of the public corpus. The manifest was made by another parser: where
// it found action, status, recipient, disposition or id, so must we; where it found none, an entry of
// ours must be one of those named in extra, with its reason.
func TestCorpus(t *testing.T) {
	nested := map[string]string{
		"sisimai/lhost-x5-01.eml":       "the notice is attached as a message to other mail",
		"sisimai/rhost-yahooinc-03.eml": "the second entry is of the notice that bounced, returned as a message",
	}
	extra := map[string]string{
		"sisimai/rhost-messagelabs-01.eml":             "a diagnostic with unfolded lines stops the other parser before the recipient",
		"direct_dotnet/DSNMessageNoActionOrStatus.txt": "a recipient without action and status says nothing that can be acted on",
	}
	found := map[string]int{}
	for _, c := range corpus.Walk(t, "notifications") {
		t.Run(c.File, func(t *testing.T) {
			b := c.Read(t)
			want := readExpectation(c.Expected)
			r, err := notice.Parse(bytes.NewReader(b), int64(len(b)))
			if nested[c.File] != "" {
				want.entries = want.entries[:len(want.entries)-1]
			}
			if errors.Is(err, notice.ErrNotNotice) {
				if len(want.entries) > 0 || want.reportType == "delivery-status" || want.reportType == "disposition-notification" {
					t.Fatalf("not recognised; the manifest says %s", c.Expected)
				}
				found["other mail"]++
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			found[string(r.Kind)]++
			if (want.reportType == "delivery-status") != (r.Kind == message.DSN && r.Standard) && len(want.entries) > 0 && want.reportType != "" && r.Kind == message.DSN {
				t.Errorf("report-type %q read as %s, standard %v", want.reportType, r.Kind, r.Standard)
			}
			for i, w := range want.entries {
				if i >= len(r.Entries) {
					t.Fatalf("%d entries, the manifest has %d: %s", len(r.Entries), len(want.entries), c.Expected)
				}
				compare(t, w, r, r.Entries[i])
			}
			if len(want.entries) == 0 && len(r.Entries) > 0 && extra[c.File] == "" {
				t.Errorf("found what the manifest did not: %+v", r.Entries)
			}
			if strings.HasPrefix(extra[c.File], "a recipient") && r.Entries[0].Outcome() != notice.OutcomeNone {
				t.Errorf("acted on: %s", extra[c.File])
			}
		})
	}
	t.Log(found)
	if found["dsn"] < 60 || found["mdn"] != 1 {
		t.Errorf("too few notices recognised: %v", found)
	}
}

// compare holds one entry against the manifest's words "action=… status=… recipient=…" or
// "disposition=… orig=…".
func compare(t *testing.T, want string, r *notice.Report, e notice.Entry) {
	t.Helper()
	if v, ok := strings.CutPrefix(want, "disposition="); ok {
		disposition, orig, _ := strings.Cut(v, " orig=")
		_, kind, _ := strings.Cut(disposition, ";")
		if string(e.Disposition) != kind || r.OriginalMessageID != message.NormalID(orig) {
			t.Errorf("got %s of %s, want %s of %s", e.Disposition, r.OriginalMessageID, kind, message.NormalID(orig))
		}
		return
	}
	head, recipient, _ := strings.Cut(want, " recipient=")
	action, status, _ := strings.Cut(strings.TrimPrefix(head, "action="), " status=")
	if string(e.Action) != strings.ToLower(action) {
		t.Errorf("action %q, want %q", e.Action, action)
	}
	status, _, _ = strings.Cut(status, " ")
	if status == "None" {
		status = ""
	}
	if e.Status != status {
		t.Errorf("status %q, want %q", e.Status, status)
	}
	if _, after, ok := strings.Cut(recipient, ";"); ok {
		recipient = after
	}
	recipient = strings.ToLower(strings.Trim(strings.TrimSpace(recipient), "<>"))
	if got := e.About().Key(); got != recipient && strings.ToLower(e.Written) != recipient {
		t.Errorf("recipient %q (%q), want %q", got, e.Written, recipient)
	}
}

// The notices of the reference agents, by what a sender's gateway needs of them.
func TestReferenceAgents(t *testing.T) {
	const id = "9501051053.aa04167@IETF.CNRI.Reston.VA.US"
	want := map[string]string{
		"direct_dotnet/DSNMessage.txt":                 "dsn x-original-message-id Carol@ivory.edu failed 5.0.0 550 error - no such recipient",
		"direct_dotnet/DSNMessageNoActionOrStatus.txt": "dsn x-original-message-id Carol@ivory.edu   550 error - no such recipient",
		"direct_dotnet/DSNMessageOrigInReplyTo.txt":    "dsn in-reply-to Carol@ivory.edu failed 5.0.0 550 error - no such recipient",
		"direct_javari/MDNMessage.txt":                 "mdn original-message-id externUser1@starugh-stateline.com processed  ",
	}
	for _, c := range corpus.Walk(t, "notifications") {
		if want[c.File] == "" {
			continue
		}
		b := c.Read(t)
		r, err := notice.Parse(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(r.Entries) != 1 || r.OriginalMessageID != id || !r.Standard {
			t.Fatalf("%s: %+v, %v", c.File, r, err)
		}
		e := r.Entries[0]
		got := fmt.Sprintf("%s %s %s %s%s %s %s", r.Kind, r.IDSource, e.About(), e.Disposition, e.Action, e.Status, e.Detail)
		if got != want[c.File] {
			t.Errorf("%s\n got %q\nwant %q", c.File, got, want[c.File])
		}
		delete(want, c.File)
	}
	if len(want) > 0 {
		t.Errorf("not in the corpus: %v", want)
	}
}
