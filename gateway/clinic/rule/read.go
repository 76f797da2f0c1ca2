package rule

import (
	"strings"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
)

// Said is what a message says of itself, before anybody here judges it.
type Said struct {
	Subject    string
	Text       string   // the first words of the message, at most MaxText octets
	Purpose    string   // the purpose the sender's system declared, if any
	Importance string   // the header fields Importance, Priority and X-Priority, joined
	Titles     []string // of its documents
	Types      []string // of its documents
	Priorities []string // codes or words of priority in its documents
	Restricted bool     // a document is marked restricted or very restricted (confidentiality R, V)
}

// Read fills in what the message says of itself: category, urgency, sensitivity, each with its reason, and the
// words for rules that ask for words.
func (f Facts) Read(s Said) Facts {
	f.Types = s.Types
	f.Category, f.CategoryWhy = category(s)
	f.Urgency, f.UrgencyWhy = urgency(s)
	if s.Restricted {
		f.Sensitive = "a document in it is marked restricted by its author"
	}
	text := strings.ToLower(strings.Join(append([]string{s.Subject, cut(s.Text, MaxText)}, s.Titles...), "\n"))
	f.Text = func() (string, bool) { return text, true }
	return f
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// kinds are the words by which a document's type tells a category. The first that is found decides.
func kinds() []struct {
	word string
	c    staff.Category
} {
	return []struct {
		word string
		c    staff.Category
	}{
		{"discharge", staff.Discharge}, {"referral", staff.Referral}, {"ref^", staff.Referral}, {"rf1", staff.Referral}, {"consultation", staff.Result},
		{"diagnostic", staff.Result}, {"oru^", staff.Result}, {"laboratory", staff.Result}, {"lab result", staff.Result}, {"imaging", staff.Result},
		{"pathology", staff.Result}, {"transfer", staff.Discharge}, {"continuity of care", staff.Records}, {"ccd", staff.Records}, {"adt^", staff.Administrative},
	}
}

// category tells what a message is from its declared purpose, then its documents' types; never from silence.
func category(s Said) (staff.Category, string) {
	for _, c := range staff.Categories() {
		if p := strings.ToLower(s.Purpose); p != "" && p == string(c) {
			return c, "its sender's system says so"
		}
	}
	for _, k := range kinds() {
		for _, t := range s.Types {
			if strings.Contains(strings.ToLower(t), k.word) {
				return k.c, "it holds a document of type “" + t + "”"
			}
		}
	}
	return "", ""
}

// urgency tells how soon a message asks to be seen, from its own codes and words only (B12).
func urgency(s Said) (work.Urgency, string) {
	u, why := work.Routine, ""
	raise := func(to work.Urgency, reason string) {
		if to > u {
			u, why = to, reason
		}
	}
	for _, p := range s.Priorities {
		switch strings.ToLower(strings.TrimSpace(p)) {
		case "s", "stat", "em", "emergency", "emergent":
			raise(work.Emergency, "a document in it has the priority “"+p+"”")
		case "a", "asap", "ur", "u", "urgent", "rr", "rush":
			raise(work.Urgent, "a document in it has the priority “"+p+"”")
		}
	}
	for _, v := range strings.FieldsFunc(strings.ToLower(s.Importance), func(r rune) bool { return r == ' ' || r == ',' || r == '(' || r == ')' }) {
		if v == "high" || v == "highest" || v == "urgent" || v == "1" || v == "2" {
			raise(work.Urgent, "its sender marked it as important")
		}
	}
	if word, to := urgentWord(s.Subject, true); to > 0 {
		raise(to, "its subject says “"+word+"”")
	}
	if word, to := urgentWord(openingLines(s.Text), false); to > 0 {
		raise(to, "its sender wrote “"+word+"”")
	}
	return u, why
}

// openingLines is the start of what the sender wrote: without what he quotes, and not the small print below.
func openingLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(cut(text, 4<<10)) {
		t := strings.TrimSpace(line)
		if strings.HasPrefix(t, ">") {
			continue
		}
		if t == "--" || strings.HasPrefix(strings.ToLower(t), "confidential") {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

// urgentWord finds a word of urgency that means this message. "Not urgent", "urgent care" and "if this is an
// emergency, call 911" do not, and "emergency" counts in a subject only: in a text it is mostly advice.
func urgentWord(text string, subject bool) (string, work.Urgency) {
	best, found := work.Routine, ""
	for _, sentence := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(".!?\n;", r) }) {
		words := strings.FieldsFunc(sentence, func(r rune) bool { return !(r == '-' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 0x7f) })
		conditional := false
		for i, w := range words {
			l := strings.ToLower(w)
			conditional = conditional || l == "if" || l == "unless"
			u := meaning(w, l, subject)
			if u <= best || conditional || negated(words[:i]) || i+1 < len(words) && isPlace(strings.ToLower(words[i+1])) {
				continue
			}
			best, found = u, w
		}
	}
	return found, best
}

func meaning(w, lower string, subject bool) work.Urgency {
	switch {
	case w == "STAT", subject && (lower == "emergency" || lower == "emergent"):
		return work.Emergency
	case lower == "urgent" || lower == "urgently" || lower == "asap" || lower == "time-sensitive":
		return work.Urgent
	}
	return work.Routine
}

func negated(before []string) bool {
	if len(before) == 0 {
		return false
	}
	switch strings.ToLower(before[len(before)-1]) {
	case "not", "non", "no", "isn't", "never", "nothing", "without":
		return true
	}
	return false
}

func isPlace(word string) bool {
	switch word {
	case "care", "department", "dept", "room", "medicine", "visit", "physician", "contact", "center", "centre", "clinic":
		return true
	}
	return false
}
