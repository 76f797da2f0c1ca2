package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
)

// TestFilesAreBoundedWhileTheyAreAdded: what finds no room is named and not kept; the text and the other files are.
func TestFilesAreBoundedWhileTheyAreAdded(t *testing.T) {
	w := newWorld(t, webExtra)
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	fields := []string{"to", w.dr.String(), "subject", "Scans", "text", "In two parts.", "category", "other", "do", "send"}

	many := append(dana.form("/write/new"), fields...)
	for i := range letter.MaxFiles + 2 {
		many = append(many, fmt.Sprintf("@scan-%02d.txt", i), "page")
	}
	page := dana.send("/write/new", http.StatusUnprocessableEntity, many...)
	dana.has(page, "scan-25.txt was not attached: a message has at most 25 files.", "What else you wrote and attached is kept; nothing was sent.", "In two parts.")
	draft := draftForm.FindStringSubmatch(page)[1]
	if page = dana.get(draft, 200); strings.Count(page, `value="detach `) != letter.MaxFiles || strings.Contains(page, "scan-25.txt") {
		t.Errorf("the draft has %d files, want %d", strings.Count(page, `value="detach `), letter.MaxFiles)
	}

	room := letter.RoomIn(w.clinic.Config.SMTP.MaxSize)
	large := strings.Repeat("x", int(room.Octets)+1)
	page = dana.send("/write/new", http.StatusUnprocessableEntity, append(append(dana.form("/write/new"), fields...), "@film.txt", large, "@small.txt", "page")...)
	dana.has(page, "film.txt was not attached: it is larger than the", "small.txt")
	draft = draftForm.FindStringSubmatch(page)[1]
	if page = dana.get(draft, 200); strings.Contains(page, "film.txt") || !strings.Contains(page, "small.txt") {
		t.Error("the small file behind the large one is kept, the large one is not")
	}
	if n := len(w.mustSent()); n != 0 {
		t.Errorf("%d messages left without their files", n)
	}
	dana.send(draft, http.StatusSeeOther, append(dana.form(draft), fields...)...)
}
