package work

import (
	"crypto/rand"
	"strings"
	"time"
	"unicode"

	"postern/gateway/clinic/staff"
)

// Note is what one of the clinic wrote on an entry for the others; it never leaves the clinic.
type Note struct {
	ID       string
	Org      string
	Work     ID
	By       staff.PersonID
	At       time.Time
	Text     string
	Mentions []staff.PersonID // who was named with @login
}

// NewNoteID makes an id for a note.
func NewNoteID() string { return "n-" + strings.ToLower(rand.Text()[:16]) }

// Mentioned lists the logins a text names: @ at the start of a word and the login after it. At most
// MaxMentions, each once.
func Mentioned(text string) []string {
	var out []string
	seen := map[string]bool{}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("(),;:!?\"“”", r) }) {
		login, ok := strings.CutPrefix(word, "@")
		login = strings.ToLower(strings.TrimRight(login, "."))
		if !ok || login == "" || seen[login] || len(out) == MaxMentions {
			continue
		}
		seen[login] = true
		out = append(out, login)
	}
	return out
}

// CheckNote says what is wrong with a note's text; nil is nothing.
func CheckNote(text string) *Refusal {
	switch {
	case strings.TrimSpace(text) == "":
		return &Refusal{Unknown, "The note is empty."}
	case len(text) > MaxNote:
		return &Refusal{Unknown, "The note is too long: 8,000 characters at most."}
	}
	return nil
}
