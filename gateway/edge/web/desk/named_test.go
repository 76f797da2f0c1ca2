package desk_test

import (
	"net/http"
	"strings"
	"testing"

	"postern/gateway/clinic/work"
	"postern/gateway/store"
)

// TestANoteReachesWhomItNames: it is refused where it could not, and nothing of it is lost.
func TestANoteReachesWhomItNames(t *testing.T) {
	for situation, v := range map[string]struct {
		text string
		code int
	}{
		"a colleague":             {"@sam please call", http.StatusSeeOther},
		"a manager, who reads":    {"@mo for your list", http.StatusSeeOther},
		"nobody of that name":     {"@home she is better", http.StatusSeeOther},
		"of another team":         {"@lee please sign", http.StatusUnprocessableEntity},
		"of another organisation": {"@eve look", http.StatusSeeOther},
	} {
		t.Run(situation, func(t *testing.T) {
			c := newClinic(t)
			e := c.arrives(mail{Subject: "Question", Text: "x\n", Place: store.Place{Placement: work.Placement{Pool: c.desk.ID}}})
			at := "/item/" + string(e.ID)
			code, body, _ := c.as(c.dana).post(at, at+"/note", "note", v.text)
			if code != v.code {
				t.Fatalf("%d, want %d", code, v.code)
			}
			if code != http.StatusSeeOther {
				has(t, body, "may not read this message", strings.TrimPrefix(v.text, "@lee "))
			}
		})
	}
}
