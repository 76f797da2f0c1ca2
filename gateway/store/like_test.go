package store_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/directory"
	"postern/gateway/store"
	"postern/smime/addr"
)

// TestWordsAreFoundAsTheyAreWritten holds that what is a sign of a pattern is a letter like others where it is looked for.
func TestWordsAreFoundAsTheyAreWritten(t *testing.T) {
	s := newSite(t)
	var entries []directory.Entry
	for i, name := range []string{`100% Care`, `1000 Care`, `Lab_West`, `Lab-West`, `North\South`, `North South`} {
		entries = append(entries, directory.Entry{Kind: directory.Department, Name: name, Address: addr.MustParse(string(rune('a'+i)) + "@h.example")})
	}
	ok(t, s.SaveBook(t.Context(), "o", entries, store.AuditEntry{}))
	for find, want := range map[string]string{
		"100%": "100% Care", "LAB_W": "Lab_West", `th\so`: `North\South`, "care": "100% Care, 1000 Care", "%": "100% Care", "_": "Lab_West", "%care": "",
		"west lab-": "Lab-West", strings.Repeat("x", 100_000): "", strings.Repeat("x", 700): "",
	} {
		found, err := s.Book(t.Context(), "o", find, "", 10)
		ok(t, err)
		var names []string
		for _, e := range found {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("%.20q finds %q, want %q", find, got, want)
		}
	}
}
