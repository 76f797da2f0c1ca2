package compose_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/compose"
	"postern/gateway/message"
	"postern/smime/addr"
	"postern/smime/part"
)

func letter() compose.Message {
	return compose.Message{From: addr.MustParse("ward3@direct.hospital.example"), To: []addr.Address{addr.MustParse("desk@direct.clinic.example")},
		Cc: []addr.Address{addr.MustParse("Lab@direct.clinic.example")}, Subject: "Überweisung für Frau Ö.", Text: "One line.\nÄnother " + strings.Repeat("long ", 300),
		FinalDelivery: true, InReplyTo: "first@direct.clinic.example", Now: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)}
}

// TestWrittenMessageIsWhatWasMeant reads the message back with the gateway's own readers.
func TestWrittenMessageIsWhatWasMeant(t *testing.T) {
	binary := bytes.Repeat([]byte{0, 255, '\r', '\n', '.'}, 5000)
	m := letter()
	m.Attachments = []compose.Attachment{{Name: "/etc/../scan ü.pdf", Content: bytes.NewReader(binary)},
		{Name: "ccd.xml", Content: strings.NewReader("<ClinicalDocument/>")}}
	var b bytes.Buffer
	id, err := m.Write(&b)
	if err != nil {
		t.Fatal(err)
	}
	var ins message.Inspector
	if _, err := ins.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	f := ins.Facts()
	if err := f.CheckSubmission(); err != nil {
		t.Errorf("our own message would be refused: %v", err)
	}
	if f.BareLF || f.BareCR || f.LongLine || f.EightBit {
		t.Errorf("it gives gateways a reason to change it: %+v", f)
	}
	if f.MessageID != id || f.Subject != m.Subject || !f.FinalDelivery || f.InReplyTo != m.InReplyTo || len(f.DispositionNotificationTo) != 1 {
		t.Errorf("facts %+v", f)
	}
	if len(f.BccRecipients(append(m.To, m.Cc...))) != 0 || !f.SenderMatches(m.From) || f.Date.Unix() != m.Now.Unix() {
		t.Errorf("addresses or date: %+v", f)
	}
	root, err := part.Parse(bytes.NewReader(b.Bytes()), int64(b.Len()), part.Limits{})
	if err != nil || len(root.Children) != 3 {
		t.Fatalf("%v, %d parts", err, len(root.Children))
	}
	for i, want := range []struct{ media, name, content string }{
		{"text/plain", "", strings.ReplaceAll(m.Text, "\n", "\r\n") + "\r\n"}, {"application/pdf", "scan ü.pdf", string(binary)}, {"text/xml", "ccd.xml", "<ClinicalDocument/>"},
	} {
		p := root.Children[i]
		got, err := io.ReadAll(p.Open(bytes.NewReader(b.Bytes())))
		if err != nil || string(got) != want.content || p.MediaType != want.media || p.Filename != want.name {
			t.Errorf("part %d: %v %s %q, %d octets, want %s %q %d", i+1, err, p.MediaType, p.Filename, len(got), want.media, want.name, len(want.content))
		}
	}
}

func TestWhatIsTooMuchOrTooLittle(t *testing.T) {
	many := make([]addr.Address, compose.MaxRecipients+1)
	for i := range many {
		many[i] = addr.MustParse("a@b.example")
	}
	for _, c := range []struct {
		situation string
		change    func(*compose.Message)
		limit     bool
	}{
		{"no recipient", func(m *compose.Message) { m.To, m.Cc = nil, nil }, false},
		{"no sender", func(m *compose.Message) { m.From = addr.Address{} }, false},
		{"101 recipients", func(m *compose.Message) { m.To = many; m.Cc = nil }, true},
		{"subject with a line break", func(m *compose.Message) { m.Subject = "a\r\nBcc: x@y.example" }, true},
		{"subject too long", func(m *compose.Message) { m.Subject = strings.Repeat("x", compose.MaxSubject+1) }, true},
		{"51 attachments", func(m *compose.Message) { m.Attachments = make([]compose.Attachment, compose.MaxAttachments+1) }, true},
		{"an endless attachment", func(m *compose.Message) {
			m.Attachments = []compose.Attachment{{Name: "zeros", Content: zeros{}}}
		}, true},
	} {
		m := letter()
		c.change(&m)
		_, err := m.Write(io.Discard)
		if err == nil || errors.Is(err, compose.ErrLimit) != c.limit {
			t.Errorf("%s: %v", c.situation, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestReferencesNameTheConversation(t *testing.T) {
	var refs []string
	for i := range 30 {
		refs = append(refs, fmt.Sprintf("<%d@direct.hospital.example>", i))
	}
	refs = append(refs, "last@direct.hospital.example", "evil@x>\r\nBcc: y")
	var b bytes.Buffer
	m := compose.Message{From: addr.MustParse("a@b.example"), To: []addr.Address{addr.MustParse("c@d.example")}, Subject: "x", Text: "y",
		InReplyTo: "last@direct.hospital.example", References: refs, Now: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)}
	if _, err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	var ins message.Inspector
	_, _ = ins.Write(b.Bytes())
	f := ins.Facts()
	if n := len(f.References); n != compose.MaxReferences-1 || f.References[n-1] != m.InReplyTo || f.References[0] != "12@direct.hospital.example" {
		t.Errorf("%d: %v", n, f.References)
	}
	if bytes.Contains(b.Bytes(), []byte("Bcc")) {
		t.Error("a reference became a field")
	}
}
