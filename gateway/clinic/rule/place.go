package rule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/smime/addr"
)

// Facts are what the rules look at in one message. The JSON form is kept with the entry so that rules can be
// tried on what came before; the words are read again from the message then.
type Facts struct {
	Recipient   addr.Address   `json:"recipient"`
	Also        []addr.Address `json:"also,omitempty"` // further addresses of ours it was sent to
	Sender      addr.Address   `json:"sender"`
	Types       []string       `json:"types,omitempty"`
	Category    staff.Category `json:"category,omitempty"`
	CategoryWhy string         `json:"category_why,omitempty"`
	Urgency     work.Urgency   `json:"urgency,omitempty"`
	UrgencyWhy  string         `json:"urgency_why,omitempty"`
	Sensitive   string         `json:"sensitive,omitempty"` // why it is sensitive, "" is not
	Patient     Match          `json:"patient,omitempty"`

	// Text gives subject, words and titles in lower case; false when they cannot be read now. nil is none.
	Text func() (string, bool) `json:"-"`
}

// Verdict is what one rule says of a message.
type Verdict int

// The verdicts. Unread is neither: the rule asks for words that cannot be read now.
const (
	No Verdict = iota
	Yes
	Unread
)

// Matches says whether all conditions hold, and each in words. Without a condition nothing does.
func (w When) Matches(f Facts) (because []string, v Verdict) {
	if w.Zero() {
		return nil, No
	}
	all := true
	cond := func(set, holds bool, format string, args ...any) {
		if set {
			all = all && holds
			if holds {
				because = append(because, fmt.Sprintf(format, args...))
			}
		}
	}
	to := w.recipientOf(f)
	cond(len(w.Recipients) > 0, to != "", "it was sent to %s", to)
	cond(len(w.Senders) > 0, slices.ContainsFunc(w.Senders, func(a string) bool {
		return strings.EqualFold(a, f.Sender.WithoutTag().String()) || strings.EqualFold(a, f.Sender.String())
	}), "it is from %s", f.Sender)
	cond(len(w.Partners) > 0, slices.ContainsFunc(w.Partners, func(d string) bool { return below(f.Sender.Domain().String(), d) }), "it is from the partner %s", f.Sender.Domain())
	typ := w.typeOf(f)
	cond(len(w.Types) > 0, typ != "", "it holds a document of type “%s”", typ)
	cond(len(w.Categories) > 0, slices.Contains(w.Categories, f.Category), "it is a %s: %s", f.Category, f.CategoryWhy)
	cond(w.Urgency > 0, f.Urgency >= w.Urgency, "it is %s: %s", f.Urgency.Words(), f.UrgencyWhy)
	cond(w.Patient != "", f.Patient == w.Patient || w.Patient == Named && f.Patient == Known, "%s", w.Patient.words())
	if !all {
		return nil, No
	}
	if len(w.Words) == 0 {
		return because, Yes
	}
	if f.Text == nil {
		return nil, Unread
	}
	text, ok := f.Text()
	if !ok {
		return nil, Unread
	}
	for _, word := range w.Words {
		if holdsWords(text, strings.ToLower(word)) {
			return append(because, fmt.Sprintf("it holds the words “%s”", word)), Yes
		}
	}
	return nil, No
}

func (m Match) words() string {
	switch m {
	case NoPatient:
		return "it names no patient"
	case Named:
		return "it names a patient"
	case Known:
		return "its patient is one of ours"
	}
	return ""
}

// recipientOf is the recipient that one of the wanted addresses names; "" when none does.
func (w When) recipientOf(f Facts) string {
	for _, a := range append([]addr.Address{f.Recipient}, f.Also...) {
		if slices.ContainsFunc(w.Recipients, func(want string) bool { return sameRecipient(want, a) }) {
			return a.String()
		}
	}
	return ""
}

// sameRecipient compares without the +tag, unless the rule gives one.
func sameRecipient(rule string, a addr.Address) bool {
	return strings.EqualFold(rule, a.String()) || strings.EqualFold(rule, a.WithoutTag().String())
}

func below(d, of string) bool {
	d, of = strings.ToLower(d), strings.ToLower(of)
	return d == of || strings.HasSuffix(d, "."+of)
}

// typeOf is the document type that one of the wanted words names; "" when none does.
func (w When) typeOf(f Facts) string {
	for _, have := range f.Types {
		for _, want := range w.Types {
			if holdsWords(strings.ToLower(have), strings.ToLower(want)) {
				return have
			}
		}
	}
	return ""
}

// holdsWords reports whether text holds the phrase as whole words.
func holdsWords(text, phrase string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], phrase)
		if i < 0 {
			return false
		}
		i += at
		if edge(text, i-1) && edge(text, i+len(phrase)) {
			return true
		}
		at = i + 1
	}
}

// edge reports that no letter or digit stands at octet i.
func edge(s string, i int) bool {
	if i < 0 || i >= len(s) {
		return true
	}
	c := s[i]
	return c < 0x80 && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

// Place says where a message goes: the first rule that matches, else the catch-all. A rule that asks for
// words nobody can read is passed over, and the placement says so.
func (s Set) Place(f Facts) work.Placement {
	var unread []string
	for _, r := range s.Rules {
		if r.Off {
			continue
		}
		because, v := r.When.Matches(f)
		switch v {
		case Unread:
			unread = append(unread, r.Name)
		case Yes:
			return r.placement(f, because)
		}
	}
	p := s.fallback(f)
	if len(unread) > 0 {
		p.Because = append(p.Because, fmt.Sprintf("the words could not be read that the rules %s ask for", strings.Join(quoted(unread), ", ")))
	}
	return p
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "“" + n + "”"
	}
	return out
}

func (r Rule) placement(f Facts, because []string) work.Placement {
	p := base(f)
	p.Pool, p.Owner, p.Rule, p.RuleName = r.Pool, r.Owner, r.ID, r.Name
	p.Because = append(because, p.Because...)
	if p.Category == "" && r.Category != "" {
		p.Category = r.Category
	}
	if r.Urgency > p.Urgency {
		p.Urgency, p.UrgencyWhy = r.Urgency, "the rule “"+r.Name+"” says so"
	}
	if r.Sensitive && !p.Sensitive {
		p.Sensitive, p.Because = true, append(p.Because, "the rule makes it sensitive")
	}
	p.Because = p.Because[:min(len(p.Because), work.MaxReasons)]
	return p
}

// base is what a message says of itself, whichever rule takes it.
func base(f Facts) work.Placement {
	p := work.Placement{Category: f.Category, Urgency: f.Urgency, UrgencyWhy: f.UrgencyWhy}
	if f.Sensitive != "" {
		p.Sensitive, p.Because = true, append(p.Because, "it is sensitive: "+f.Sensitive)
	}
	if b, err := json.Marshal(f); err == nil { // plain values: it cannot fail, and a trial later is all that would be lost
		p.Facts = b
	}
	return p
}

func (s Set) fallback(f Facts) work.Placement {
	p := base(f)
	p.Pool = s.CatchAll
	p.Because = append([]string{"no rule wanted it"}, p.Because...)
	return p
}

// CatchAll is the placement of a message about which the rules could not be asked. It keeps what the message
// says of itself, as far as that is known.
func CatchAll(pool string, f Facts, fault string) work.Placement {
	p := Set{CatchAll: pool}.fallback(f)
	p.Fault, p.Because = fault, append([]string{"the rules could not be asked, so it went where everything goes that no rule wants"}, p.Because[1:]...)
	return p
}
