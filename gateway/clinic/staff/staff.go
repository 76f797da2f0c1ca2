// Package staff is the people of an organisation and what each may do: persons, roles, memberships in pools,
// and the Rights that follow from them at one instant.
//
// Two kinds of right are kept apart. An Ability belongs to the role (who manages people, who sees held senders).
// A Level belongs to a pool and a category of message: what one may do with such messages there. A role never
// gives a Level, with one exception: a manager reads every pool, but nothing sensitive.
//
// Delegation is a Membership by category: none, read, draft, send as the team, sign for the physician. A
// category that a membership names decides over the membership for all categories, in both directions.
//
// Sensitive messages are for clinical staff: a membership for all categories gives them to physicians, nurses
// and medical assistants only; for anyone else "sensitive" must be named.
//
// Values only: nothing here is stored, and no clock is read. Limits: MaxMemberships of one person.
package staff

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxMemberships bounds the memberships of one person: pools times categories.
const MaxMemberships = 1000

// PersonID names a person: "p-…", random.
type PersonID string

// Role is what a person is in the clinic.
type Role string

// The roles.
const (
	Physician          Role = "physician"
	Nurse              Role = "nurse"
	MedicalAssistant   Role = "medical_assistant"
	FrontDesk          Role = "front_desk"
	Manager            Role = "manager"
	TrustAdministrator Role = "trust_administrator"
)

// Roles lists the roles in the order people are shown them.
func Roles() []Role {
	return []Role{Physician, Nurse, MedicalAssistant, FrontDesk, Manager, TrustAdministrator}
}

// ParseRole reads a role as it is stored; spaces and hyphens are taken for underscores.
func ParseRole(s string) (Role, error) {
	r := Role(strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(s))))
	if !slices.Contains(Roles(), r) {
		return "", fmt.Errorf("staff: %q is no role: physician, nurse, medical_assistant, front_desk, manager or trust_administrator", s)
	}
	return r, nil
}

// Words is the role for people: "medical assistant".
func (r Role) Words() string { return strings.ReplaceAll(string(r), "_", " ") }

// clinical tells whether a role reads sensitive messages without being named for them.
func (r Role) clinical() bool { return r == Physician || r == Nurse || r == MedicalAssistant }

// Ability is what one may do that is not bound to a pool.
type Ability string

// The abilities.
const (
	ManagePeople    Ability = "manage_people"
	ManageRules     Ability = "manage_rules"
	ManageTemplates Ability = "manage_templates"
	ManageAddresses Ability = "manage_addresses"
	SeeHeld         Ability = "see_held" // senders held aside: who, nothing clinical
	SeeTrust        Ability = "see_trust"
	ReadAudit       Ability = "read_audit"
	SeeAll          Ability = "see_all" // every pool, to read; nothing sensitive
)

// Abilities lists the abilities.
func Abilities() []Ability {
	return []Ability{ManagePeople, ManageRules, ManageTemplates, ManageAddresses, SeeHeld, SeeTrust, ReadAudit, SeeAll}
}

// abilities is what a role can do.
func (r Role) abilities() []Ability {
	switch r {
	case Physician, Nurse:
		return []Ability{ManageTemplates, ManageAddresses}
	case MedicalAssistant, FrontDesk:
		return []Ability{ManageAddresses}
	case Manager:
		return []Ability{ManagePeople, ManageRules, ManageTemplates, ManageAddresses, SeeHeld, ReadAudit, SeeAll}
	case TrustAdministrator:
		return []Ability{SeeHeld, SeeTrust, ReadAudit}
	}
	return nil
}

// administers is what Person.Admin adds to a role: the housekeeping of an organisation, and no message.
func administers() []Ability {
	return []Ability{ManagePeople, ManageRules, ManageTemplates, ManageAddresses, SeeHeld, ReadAudit}
}

// Person is one member of an organisation's staff.
type Person struct {
	ID       PersonID `json:"id"`
	Org      string   `json:"org"`
	Login    string   `json:"login"` // unique in the organisation; lower case
	Name     string   `json:"name"`
	Title    string   `json:"title"` // "MD", "Referral coordinator"; may be ""
	Role     Role     `json:"role"`
	Admin    bool     `json:"admin"` // administers the organisation besides the role: a solo physician, for one
	Zone     string   `json:"zone"`  // IANA zone name; "" is UTC
	Disabled bool     `json:"disabled"`
}

// Signature is the person as a reply shows them: "Dana Reyes, MD (physician)".
func (p Person) Signature() string {
	s := p.Name
	if p.Title != "" {
		s += ", " + p.Title
	}
	return s + " (" + p.Role.Words() + ")"
}

// Initials is at most two letters of the name, for a small mark.
func (p Person) Initials() string {
	words := strings.Fields(p.Name)
	var out []rune
	for _, i := range []int{0, len(words) - 1} {
		if i >= 0 && i < len(words) && (i > 0 || len(out) == 0) {
			out = append(out, []rune(strings.ToUpper(words[i]))[0])
		}
	}
	return string(out)
}

// Location is the person's time zone; UTC when it is not set or not known.
func (p Person) Location() *time.Location {
	if l, err := time.LoadLocation(p.Zone); err == nil {
		return l
	}
	return time.UTC
}
