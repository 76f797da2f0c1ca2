// Package rule says where an arriving message goes: the first rule of an ordered list whose conditions all
// hold, else the organisation's catch-all pool, which always has an owner. Every placement carries its
// reasons in words ("went here because…"), and none of them names a patient.
//
// Facts are what the rules look at: recipient, sender, document types, category, urgency, whether a patient is
// named or known, partner, words. Category and urgency come from the message's own words and codes (Read) or
// stay unset; nothing is guessed from silence. A list that cannot be asked (Set.Place fails or panics above)
// costs nobody a message: the caller falls back on CatchAll.
//
// It stores nothing and reads no message. Limits: MaxRules in a list, MaxValues in a condition, MaxText octets
// of a message's words looked at.
package rule

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/smime/addr"
)

// Limits of a list of rules.
const (
	MaxRules  = 200
	MaxValues = 50       // values in one condition
	MaxValue  = 254      // octets of one value
	MaxText   = 64 << 10 // octets of a message's words that are looked at
)

// Match is what is known of a message's patient when it arrives.
type Match string

// The answers.
const (
	NoPatient Match = "none"    // no document names one
	Named     Match = "named"   // a document names one, whom nobody has matched
	Known     Match = "matched" // one of the clinic's
)

// When are the conditions of a rule: all that are set must hold, each with any of its values.
type When struct {
	Recipients []string         `json:"recipients,omitempty"` // addresses of ours; a +tag does not matter unless given
	Senders    []string         `json:"senders,omitempty"`    // verified addresses
	Partners   []string         `json:"partners,omitempty"`   // domains of verified senders, with those below them
	Types      []string         `json:"types,omitempty"`      // words of a document's type: "referral note"
	Categories []staff.Category `json:"categories,omitempty"`
	Urgency    work.Urgency     `json:"urgency,omitempty"` // at least so urgent
	Patient    Match            `json:"patient,omitempty"`
	Words      []string         `json:"words,omitempty"` // in subject, text or document titles
}

// Zero reports whether no condition is set: such a rule would take everything.
func (w When) Zero() bool {
	return len(w.Recipients)+len(w.Senders)+len(w.Partners)+len(w.Types)+len(w.Categories)+len(w.Words) == 0 && w.Urgency == 0 && w.Patient == ""
}

// Rule sends what it matches to a pool, and there to a person where one is named.
type Rule struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Off       bool           `json:"off,omitempty"`
	When      When           `json:"when"`
	Pool      string         `json:"pool"`
	Owner     staff.PersonID `json:"owner,omitempty"`
	Category  staff.Category `json:"category,omitempty"`  // what it is, where its own words do not say
	Urgency   work.Urgency   `json:"urgency,omitempty"`   // raised to this
	Sensitive bool           `json:"sensitive,omitempty"` // for those alone who may see sensitive messages
}

// NewID makes an id for a rule.
func NewID() string { return "r-" + strings.ToLower(rand.Text()[:12]) }

// Set is an organisation's ordered rules as they were saved at one time. What no rule wants goes to CatchAll.
type Set struct {
	Org      string
	Version  int64 // 0: never saved
	Rules    []Rule
	CatchAll string // pool
	Saved    time.Time
	By       string // who saved it: a login
}

// Errors of a list.
var (
	ErrTooMany = errors.New("rule: too many rules")
	ErrNoPool  = errors.New("rule: it names no pool")
)

// Invalid is what is wrong with one rule, for whoever wrote it.
type Invalid struct {
	Rule string // its name
	Text string
}

// Error says what is wrong.
func (e *Invalid) Error() string { return fmt.Sprintf("rule %q: %s", e.Rule, e.Text) }

// Check says what is wrong with a list. pools are those in use.
func (s Set) Check(pools map[string]bool) error {
	if len(s.Rules) > MaxRules {
		return fmt.Errorf("%w: %d, at most %d", ErrTooMany, len(s.Rules), MaxRules)
	}
	seen := map[string]bool{}
	for _, r := range s.Rules {
		if err := r.check(pools); err != nil {
			return err
		}
		if seen[r.ID] {
			return &Invalid{r.Name, "another rule has its id"}
		}
		seen[r.ID] = true
	}
	return nil
}

func (r Rule) check(pools map[string]bool) error {
	bad := func(format string, args ...any) error { return &Invalid{r.Name, fmt.Sprintf(format, args...)} }
	switch {
	case r.ID == "":
		return bad("it has no id")
	case strings.TrimSpace(r.Name) == "" || len(r.Name) > 80 || strings.ContainsAny(r.Name, "\r\n\x00"):
		return bad("a rule's name is one line of 1 to 80 characters")
	case r.When.Zero():
		return bad("set at least one condition: what no rule wants has its place already")
	case r.Pool == "" || !pools[r.Pool]:
		return bad("choose the team it goes to")
	case r.When.Patient != "" && r.When.Patient != NoPatient && r.When.Patient != Named && r.When.Patient != Known:
		return bad("patient is none, named or matched")
	case r.When.Urgency < 0 || r.When.Urgency > work.Emergency || r.Urgency < 0 || r.Urgency > work.Emergency:
		return bad("urgency is routine, urgent or emergency")
	}
	for _, c := range append(slices.Clone(r.When.Categories), r.Category) {
		if c != "" && !c.Valid() {
			return bad("there is no category %q", c)
		}
	}
	for _, list := range [][]string{r.When.Recipients, r.When.Senders, r.When.Partners, r.When.Types, r.When.Words} {
		if len(list) > MaxValues {
			return bad("at most %d values in one condition", MaxValues)
		}
		for _, v := range list {
			if strings.TrimSpace(v) == "" || len(v) > MaxValue || strings.ContainsAny(v, "\r\n\x00") {
				return bad("a value is one line of at most %d characters", MaxValue)
			}
		}
	}
	for _, a := range slices.Concat(r.When.Recipients, r.When.Senders) {
		if _, err := addr.Parse(a); err != nil {
			return bad("%q is not an address", a)
		}
	}
	for _, d := range r.When.Partners {
		if _, err := addr.ParseDomain(d); err != nil {
			return bad("%q is not a domain", d)
		}
	}
	return nil
}
