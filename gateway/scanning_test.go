package gateway_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/lab"
	"postern/gateway/store"
	"postern/smime/addr"
)

// scanned is what the scanner has said of the files of an entry: it waits until it was asked about each.
func (w *world) scanned(s *lab.Site, e work.Entry) map[string]scan.Verdict {
	w.Helper()
	for {
		changed := s.Store.DeskChanged()
		records, err := s.Store.Scans(w.ctx, e.Inbox, e.Number)
		w.ok(err)
		out := map[string]scan.Verdict{}
		for _, r := range records {
			if r.Stands != scan.Waiting {
				out[r.Path] = r.Stands
			}
		}
		if len(out) == len(records) {
			return out
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			w.Fatal("the files were not scanned")
		}
	}
}

// exported is what a copy of a message holds: names, and the text of each.
func (b *browser) exported(item string) map[string]string {
	b.Helper()
	archive := b.get(item+"/export", 200)
	z, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	b.ok(err)
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		b.ok(err)
		text, err := io.ReadAll(r)
		b.ok(err)
		out[f.Name] = string(text)
	}
	return out
}

// TestTheScannerHoldsWhatCameIn: what it found something in, and what it gave no answer about, is neither shown nor saved,
// exported, printed or passed on, while the rest of the message is read at once; who may lets it go, and that is recorded.
func TestTheScannerHoldsWhatCameIn(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "answers")
	script := `cat > "$0.$$"; if grep -q INFECTED "$0.$$"; then rm "$0.$$"; echo Test-Signature; exit 1; fi; if grep -q UNSURE "$0.$$" && ! test -e "$0"; then rm "$0.$$"; exit 2; fi; rm "$0.$$"; exit 0`
	w := newWorld(t, webExtra+"\n[scan]\ndirection = \"in\"\ncommand = [\"/bin/sh\", \"-c\", '''"+script+"''', \""+flag+"\"]\n")
	dana, sign := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "lee", staff.Physician, staff.Sign)
	mo := w.sits(w.clinic, "mo", staff.Manager, staff.None)
	w.ok(w.hospital.Add(w.ctx, "ward"))
	file := func(name, text string) compose.Attachment {
		return compose.Attachment{Name: name, Content: strings.NewReader(text)}
	}
	w.send(w.hospital, w.compose(compose.Message{From: w.dr, To: []addr.Address{w.intake}, Subject: "Referral", Text: "Please see her. INFECTED is a word here.\n",
		Attachments: []compose.Attachment{{Name: "referral.xml", Content: bytes.NewReader(sample.Referral)}, file("bad.txt", "INFECTED text"), file("odd.txt", "UNSURE text")}}), w.dr, w.intake)
	e := w.arrived(w.clinic, "Referral")
	item := "/item/" + string(e.ID)
	if got := w.scanned(w.clinic, e); len(got) != 3 || got["2"] != scan.Clean || got["3"] != scan.Found || got["4"] != scan.Unknown {
		t.Fatalf("the scanner said %v", got)
	}

	page := dana.get(item, 200)
	dana.has(page, "Please see her. INFECTED is a word here.", item+"/file/2", "held by the scanner, which found Test-Signature in it.", "held because it could not be scanned", "can let it go", "Scan it again")
	for _, part := range []string{"3", "4"} {
		for _, b := range []*browser{dana, sign, mo} {
			for _, path := range []string{"/file/" + part, "/file/" + part + "?held=yes"} {
				b.has(b.get(item+path, http.StatusUnprocessableEntity), "let it go")
			}
			b.has(b.get(item+"/page/"+part+"?held=yes", 200), "let it go")
		}
	}
	dana.get(item+"/file/2", 200)
	copy := dana.exported(item)
	for name, text := range copy {
		if strings.HasSuffix(name, ".eml") || strings.Contains(text, "INFECTED text") || strings.Contains(text, "UNSURE text") {
			t.Errorf("%s leaves in a copy", name)
		}
	}
	dana.has(copy["01/held-back.txt"], "bad.txt: Held by the scanner, which found Test-Signature in it.", "odd.txt: Held because it could not be scanned")
	if copy["01/referral.xml"] != string(sample.Referral) {
		t.Error("the clean file is not in the copy")
	}
	printed := dana.get(item+"/print", 200)
	dana.has(printed, "It is not part of this copy.", "Please see her.")
	if strings.Contains(printed, "INFECTED text") {
		t.Error("what is held is printed")
	}
	ward := w.hospital.Address("ward")
	fields := []string{"to", ward.String(), "subject", "Fwd: Referral", "text", "For you.", "category", "referral"}
	dana.has(dana.send(item+"/write/redirect", http.StatusUnprocessableEntity, append(append(dana.form(item+"/write/redirect"), fields...), "do", "save")...), "It cannot be redirected as it is.", "bad.txt")
	dana.has(dana.get(item+"/write/forward", 200), "Not passed on:", "bad.txt: Held by the scanner")
	draft := dana.send(item+"/write/forward", http.StatusSeeOther, append(append(dana.form(item+"/write/forward"), fields...), "do", "save")...)
	page = dana.get(draft, 200)
	dana.has(page, "referral.xml", "Not passed on:")
	if strings.Count(page, `value="detach `) != 1 {
		t.Errorf("%d files go along, want the clean one", strings.Count(page, `value="detach `))
	}

	// Only who may lets it go, and says why; scanning again finds the other clean.
	if page, status := dana.ask(http.MethodPost, item+"/release/3", "application/x-www-form-urlencoded", strings.NewReader("csrf=x&reason=y")); status == http.StatusSeeOther {
		t.Errorf("a coordinator let it go: %.200s", page)
	}
	mo.has(mo.get("/", 200), "Files held by the scanner", item+"#h-files")
	dana.post(item, item+"/release/3", http.StatusNotFound, "reason", "I expect it", "seen", "found")
	mo.has(mo.post(item, item+"/release/3", http.StatusUnprocessableEntity, "reason", "It was not scanned.", "seen", "not scanned"), "has said something else of this file meanwhile")
	mo.has(mo.post(item, item+"/release/3", http.StatusUnprocessableEntity, "reason", " ", "seen", "found"), "why the file may be opened")
	mo.post(item, item+"/release/3", http.StatusSeeOther, "reason", "A test file of our own.", "seen", "found")
	dana.has(dana.get(item+"/file/3", 200), "INFECTED text")
	dana.has(dana.get(item, 200), "let go by mo: A test file of our own.")
	rows, err := w.clinic.Store.AuditOf(w.ctx, e.Org, []string{string(e.ID)}, 50)
	w.ok(err)
	done := map[string]string{}
	for _, r := range rows {
		done[r.Action] += r.Actor + " "
	}
	if done["file.release"] != "mo " || done["file.held"] != "gateway gateway " {
		t.Errorf("the record says %v", done)
	}
	w.ok(os.WriteFile(flag, nil, 0o600))
	dana.post(item, item+"/scan", http.StatusSeeOther)
	w.until(func() bool { return w.scanned(w.clinic, e)["4"] == scan.Clean })
	dana.has(dana.get(item+"/file/4", 200), "UNSURE text")
	if copy := dana.exported(item); copy["01/message.eml"] == "" || copy["01/held-back.txt"] != "" {
		t.Error("with nothing held, the copy is whole")
	}
}

// until waits for a condition that a commit brings about.
func (w *world) until(met func() bool) {
	w.Helper()
	for {
		changed := w.clinic.Store.DeskChanged()
		if met() {
			return
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			w.Fatal("it did not come about")
		}
	}
}

// TestAFileThatWaitsForTheScanner is held from the moment it is filed, and the message is read meanwhile.
func TestAFileThatWaitsForTheScanner(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	w := newWorld(t, webExtra+"\n[scan]\ncommand = [\"/bin/sh\", \"-c\", 'cat > /dev/null; until test -e \"$0\"; do sleep 0.05; done', \""+gate+"\"]\n")
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	e := w.arrived(w.clinic, "Referral")
	item := "/item/" + string(e.ID)
	dana.has(dana.get(item, 200), "See attached.", "Held until the scanner has looked at it.")
	dana.has(dana.get(item+"/file/2", http.StatusUnprocessableEntity), "until the scanner has looked")
	dana.has(dana.get(item+"/document/2", 200), "Held until the scanner has looked at it.")
	w.ok(os.WriteFile(gate, nil, 0o600))
	if got := w.scanned(w.clinic, e)["2"]; got != scan.Clean {
		t.Fatalf("the scanner said %s", got)
	}
	dana.get(item+"/file/2", 200)
}

// TestFilesThatCannotBeShownToTheScanner, because this gateway lost their bytes, stay held and let others pass, however
// many they are.
func TestFilesThatCannotBeShownToTheScanner(t *testing.T) {
	w := newWorld(t, webExtra+"\n[scan]\ndirection = \"in\"\ncommand = [\"/bin/sh\", \"-c\", \"cat > /dev/null; exit 2\"]\n")
	w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	var files []compose.Attachment
	for i := range 20 {
		files = append(files, compose.Attachment{Name: fmt.Sprintf("%d.txt", i), Content: strings.NewReader("text")})
	}
	w.send(w.hospital, w.compose(compose.Message{From: w.dr, To: []addr.Address{w.intake}, Subject: "Lost", Text: "t", Attachments: files}), w.dr, w.intake)
	lost := w.arrived(w.clinic, "Lost")
	if got := w.scanned(w.clinic, lost); len(got) != len(files) {
		t.Fatalf("%d files were asked about", len(got))
	}
	it, err := w.clinic.Store.Item(w.ctx, lost.Inbox, lost.Number)
	w.ok(err)
	w.ok(w.clinic.Store.ForgetBlob(w.ctx, it.Blob))
	w.ok(w.clinic.Store.ScanAgain(w.ctx, lost, auditNone))
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	next := w.arrived(w.clinic, "Referral")
	for range len(files) { // each call does some
		_, _ = w.clinic.Scan(w.ctx) // it says that files could not be shown
	}
	if got := w.scanned(w.clinic, next); got["2"] != scan.Unknown {
		t.Errorf("the next message: %v", got)
	}
	records, err := w.clinic.Store.Scans(w.ctx, lost.Inbox, lost.Number)
	w.ok(err)
	for _, r := range records {
		if r.Stands != scan.Unknown || !strings.Contains(r.Words, "a fault of this gateway") {
			t.Errorf("part %s: %s, %s", r.Path, r.Stands, r.Words)
		}
	}
}

// TestWithoutAScannerForWhatComesIn nothing waits for one.
func TestWithoutAScannerForWhatComesIn(t *testing.T) {
	w := newWorld(t, webExtra+"\n[scan]\ndirection = \"out\"\ncommand = [\"/bin/false\"]\n")
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	e := w.arrived(w.clinic, "Referral")
	if records, err := w.clinic.Store.Scans(w.ctx, e.Inbox, e.Number); err != nil || len(records) != 0 {
		t.Errorf("%+v %v", records, err)
	}
	dana.get("/item/"+string(e.ID)+"/file/2", 200)
	dana.has(dana.send("/write/new", http.StatusUnprocessableEntity, append(dana.form("/write/new"), "to", w.dr.String(), "subject", "s", "text", "t", "category", "other", "do", "send", "@a.txt", "x")...), "The scanner found something in it")
}

// TestWhatTheRulesHoldBackLeavesByNoOtherDoor: by no copy, print or message that passes it on.
func TestWhatTheRulesHoldBackLeavesByNoOtherDoor(t *testing.T) {
	w := newWorld(t, webExtra)
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	e := w.arrived(w.clinic, "Referral")
	item := "/item/" + string(e.ID)
	it, err := w.clinic.Store.Item(w.ctx, e.Inbox, e.Number)
	w.ok(err)
	w.ok(w.clinic.Store.SetFilePolicy(w.ctx, e.Org, letter.Policy{{Direction: letter.Incoming, Kind: document.Kind(it.Documents[0].Kind), Action: letter.Hold, Reason: "Not from outside."}}, store.AuditEntry{}))
	copy := dana.exported(item)
	if copy["01/referral.xml"] != "" || !strings.Contains(copy["01/held-back.txt"], "referral.xml: Held back: Not from outside.") {
		t.Errorf("the copy holds %q", copy["01/held-back.txt"])
	}
	rita := w.sits(w.clinic, "rita", staff.FrontDesk, staff.Read)
	if copy["01/message.eml"] == "" || rita.exported(item)["01/message.eml"] != "" {
		t.Error("the whole message is in the copy of who may open such files, and of nobody else")
	}
	dana.has(dana.get(item+"/print", 200), "Held back: Not from outside. It is not part of this copy.")
	dana.has(dana.get(item+"/write/forward", 200), "Not passed on:", "referral.xml")
	dana.has(dana.get(item+"/page/2", 200), "Held back")
	dana.has(dana.get(item+"/document/2?held=yes", 200), item+"/page/2?held=yes")
}
