package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/edge/control"
	"postern/gateway/lab/corpus"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// typeOf is the name of each C-CDA document template (2.16.840.1.113883.10.20.22.1.N).
var typeOf = map[string]string{"2": "Continuity of Care Document", "3": "History and Physical", "4": "Consultation Note",
	"5": "Diagnostic Imaging Report", "7": "Operative Note", "8": "Discharge Summary", "10": "Unstructured Document",
	"14": "Referral Note", "15": "Care Plan"}

// different is where the manifest's words do not decide, with the reason.
var different = map[string]expected{
	// No C-CDA template at all, but HITSP C32's, which come before the code; and a middle name written as
	// the word "null" by the program that exported it, which is no name.
	"smart/kareo_ccd_minimal_header.ccd": {wellFormed: true, kind: "Patient Summary (HITSP C32)", given: "JOEY", family: "MILLER"},
}

// expected is what the corpus' manifest says of a document.
type expected struct {
	wellFormed    bool
	kind          string
	given, family string
}

var (
	tmplField    = regexp.MustCompile(`tmpl=([^;]*)`)
	patientField = regexp.MustCompile(`patient=([^;]*)`)
)

func expect(entry corpus.Entry) expected {
	if e, ok := different[entry.File]; ok {
		return e
	}
	words := entry.Expected
	e := expected{wellFormed: strings.HasPrefix(words, "xml=ok")}
	if m := patientField.FindStringSubmatch(words); m != nil {
		e.given, e.family, _ = strings.Cut(m[1], "|")
	}
	if m := tmplField.FindStringSubmatch(words); m != nil {
		for _, id := range strings.Split(m[1], "+") {
			n, _, _ := strings.Cut(id, "/")
			if typeOf[n] != "" {
				e.kind = typeOf[n]
			}
		}
	}
	return e
}

// user gives a login for submission.
func (w *world) user(login, password string, a addr.Address) {
	w.Helper()
	args := mustArgs(gateway.UserAdd{Login: login, Password: password, Addresses: []addr.Address{a}})
	_, err := w.hospital.Verbs().Do(w.ctx, control.Request{Verb: "user.add", Actor: "test", Args: args, Body: strings.NewReader("")})
	w.ok(err)
}

func mustArgs(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Every document of the corpus is submitted with a login, sealed, relayed, opened and filed; what arrives
// is the header lines the gateway says it added and then what was submitted, octet for octet; and the
// document is recognised as the manifest says.
func TestCorpusOfDocumentsThroughTwoGateways(t *testing.T) {
	entries := corpus.Walk(t, "ccda")
	w := newWorld(t, "\n[notify]\nrequest_final_delivery = true\n")
	w.user("dr", "a long enough password", w.dr)
	session, err := w.hospital.Submit(w.ctx, "dr", "a long enough password")
	w.ok(err)
	defer session.Close()
	submitted := map[string]string{} // by subject
	for i, e := range entries {
		file := e.Read(t)
		name := path.Base(e.File)
		m := compose.Message{From: w.dr, To: []addr.Address{w.intake}, Subject: e.File, Text: "See attached.\n",
			Attachments: []compose.Attachment{{Name: name, Content: bytes.NewReader(file)}}}
		text := w.compose(m)
		switch i % 4 {
		case 1: // without Message-ID and Date: the gateway adds them
			text = dropFields(text, "Message-Id", "Message-ID", "Date")
		case 2: // the document as the whole body, 8-bit and with lines of any length
			if body := string(file); !strings.ContainsAny(strings.ReplaceAll(body, "\r\n", ""), "\r\n\x00") || canonical(body) != "" {
				text = fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <c%d@hospital.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/xml\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s",
					w.dr, w.intake, e.File, i, canonical(body))
			}
		}
		submitted[e.File] = text
		w.ok(session.Send(w.dr.String(), []byte(text), w.intake.String()))
	}
	items := w.items(w.clinic, "intake", len(entries))
	bySubject := map[string]inbox.Item{}
	for _, it := range items {
		bySubject[it.Subject] = it
	}
	sent, err := w.hospital.Store.Messages(w.ctx, store.Query{Direction: store.Out, Limit: 1000})
	w.ok(err)
	prefix := map[string]store.Message{}
	for _, m := range sent {
		prefix[m.Facts.Subject] = m
	}
	for _, e := range entries {
		t.Run(e.File, func(t *testing.T) {
			it, ok := bySubject[e.File]
			if !ok {
				t.Fatal("not in the inbox")
			}
			checkAdded(t, prefix[e.File])
			if got, want := string(w.saved(w.clinic, it)), prefix[e.File].Prefix+submitted[e.File]; got != want {
				t.Errorf("%d octets arrived, want %d", len(got), len(want))
			}
			checkDocument(t, it, expect(e))
		})
	}
}

// canonical gives a text CRLF line ends; "" when it ends lines in more than one way.
func canonical(s string) string {
	crlf := strings.Count(s, "\r\n")
	switch {
	case strings.ContainsRune(s, 0), strings.Count(s, "\r") != crlf, crlf > 0 && strings.Count(s, "\n") != crlf:
		return ""
	case crlf == 0:
		s = strings.ReplaceAll(s, "\n", "\r\n")
	}
	if !strings.HasSuffix(s, "\r\n") {
		s += "\r\n" // SMTP carries whole lines
	}
	return s
}

func dropFields(text string, names ...string) string {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	var keep []string
	for _, l := range strings.Split(head, "\r\n") {
		name, _, _ := strings.Cut(l, ":")
		drop := false
		for _, n := range names {
			drop = drop || strings.EqualFold(n, name)
		}
		if !drop {
			keep = append(keep, l)
		}
	}
	return strings.Join(keep, "\r\n") + "\r\n\r\n" + body
}

// checkAdded: what stands in front is whole header lines, listed in the receipt.
func checkAdded(t *testing.T, m store.Message) {
	t.Helper()
	var receipt struct {
		Added []string `json:"added"`
	}
	if err := json.Unmarshal([]byte(m.Receipt), &receipt); err != nil {
		t.Fatal(err)
	}
	var ins message.Inspector
	if _, err := ins.Write([]byte(m.Prefix + "\r\n")); err != nil {
		t.Fatal(err)
	}
	if n := ins.Facts().Fields; n != len(receipt.Added) {
		t.Errorf("%d header lines were added, the receipt lists %v", n, receipt.Added)
	}
	if len(m.Prefix) > 0 && !strings.HasSuffix(m.Prefix, "\r\n") {
		t.Errorf("added %q", m.Prefix)
	}
}

func checkDocument(t *testing.T, it inbox.Item, want expected) {
	t.Helper()
	if len(it.Documents) != 1 {
		t.Fatalf("%d documents: %+v", len(it.Documents), it.Documents)
	}
	d := it.Documents[0]
	if want.wellFormed && want.kind == "" {
		t.Errorf("the manifest names no type: list the file in different")
	}
	if want.kind != "" && d.Type != want.kind {
		t.Errorf("type %q, want %q", d.Type, want.kind)
	}
	if !want.wellFormed {
		return // filed all the same
	}
	var p chart.Patient
	if d.Patient != nil {
		if err := json.Unmarshal(d.Patient, &p); err != nil {
			t.Fatal(err)
		}
	}
	if p.Name.Family != strings.TrimSpace(want.family) || p.Name.Given != strings.TrimSpace(want.given) {
		t.Errorf("patient %s, want %s|%s", d.Patient, want.given, want.family)
	}
}
