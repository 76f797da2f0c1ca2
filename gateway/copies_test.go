package gateway_test

import (
	"archive/zip"
	"io"
	"slices"
	"strings"
	"testing"

	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/staff"
	"postern/smime/addr"
)

// TestACopyIsNoWayAroundTheRulesForFiles: what nobody may open is not in a copy, neither as a file nor inside the message.
func TestACopyIsNoWayAroundTheRulesForFiles(t *testing.T) {
	w := newWorld(t, webExtra)
	send, read := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "rita", staff.FrontDesk, staff.Read)
	w.send(w.hospital, w.compose(compose.Message{From: w.dr, To: []addr.Address{w.intake}, Subject: "Invoice", Text: "Open it.\n", Attachments: []compose.Attachment{
		{Name: "invoice.exe", MediaType: "application/pdf", Content: strings.NewReader("MZ\x90\x00" + strings.Repeat("\x00", 200) + "PE\x00\x00")},
		{Name: "note.txt", MediaType: "text/plain", Content: strings.NewReader("hello")}}}), w.dr, w.intake)
	at := "/item/" + string(w.arrived(w.clinic, "Invoice").ID) + "/export"
	for _, k := range []struct {
		who  *browser
		want []string
	}{
		{send, []string{"01/held-back.txt", "01/note.txt", "01/part-1.txt", "01/receipt.json", "SHA256SUMS", "conversation.html"}},
		{read, []string{"01/held-back.txt", "01/note.txt", "01/part-1.txt", "01/receipt.json", "SHA256SUMS", "conversation.html"}},
	} {
		archive := k.who.get(at, 200)
		z, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
		w.ok(err)
		var names []string
		for _, f := range z.File {
			names = append(names, f.Name)
			if f.Name != "01/held-back.txt" {
				continue
			}
			r, err := f.Open()
			w.ok(err)
			b, err := io.ReadAll(r)
			w.ok(err)
			if !strings.Contains(string(b), "invoice.exe: It is a program, not a document.") {
				t.Errorf("held-back.txt says %s", b)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, k.want) {
			t.Errorf("%s: %v, want %v", k.who.who.Login, names, k.want)
		}
	}
}
