// Package directory is a clinic's address book: the people, departments and partner practices it exchanges
// messages with, their Direct addresses, and where each entry came from.
//
// An entry is typed by a person, imported from a CSV file, or learned from a message whose sender was verified.
// What a message calls its sender is kept apart from the verified address: it is a name someone typed.
//
// It reads no database and asks no network. Limits: 10,000 rows and 5 MiB a CSV file, 200 octets a field.
package directory

import (
	"errors"
	"strings"
	"time"

	"postern/smime/addr"
)

// Kind is what an entry names.
type Kind string

// The kinds.
const (
	Person     Kind = "person"
	Department Kind = "department"
	Partner    Kind = "partner" // a practice, hospital or laboratory as a whole
)

// Source is how an entry came into the book.
type Source string

// The sources.
const (
	Typed    Source = "typed"
	Imported Source = "imported"
	Learned  Source = "learned" // from verified mail; a person may take it over
)

// Limits of an entry and of a file.
const (
	MaxField = 200
	MaxRows  = 10_000
	MaxFile  = 5 << 20
)

// Entry is one line of the book. The address is its key within an organisation.
type Entry struct {
	ID           string       `json:"id"` // "ab-…"
	Org          string       `json:"-"`
	Kind         Kind         `json:"kind"`
	Name         string       `json:"name"`
	Organization string       `json:"organization,omitempty"`
	Address      addr.Address `json:"address"`
	Phone        string       `json:"phone,omitempty"`
	Fax          string       `json:"fax,omitempty"`
	Note         string       `json:"note,omitempty"`
	Source       Source       `json:"source"`
	Changed      time.Time    `json:"changed"`            // when a person last vouched for it
	Heard        time.Time    `json:"heard,omitzero"`     // last verified message from it
	Messages     int64        `json:"messages,omitempty"` // verified messages from it
}

// Label is how the entry is shown in a list: the name, and whose it is.
func (e Entry) Label() string {
	switch {
	case e.Name == "":
		return e.Address.String()
	case e.Organization == "" || e.Organization == e.Name:
		return e.Name
	}
	return e.Name + ", " + e.Organization
}

// Errors of an entry, in words that may be shown.
var (
	ErrNoName    = errors.New("a name is needed")
	ErrNoAddress = errors.New("a Direct address is needed, such as referrals@direct.clinic.example")
	ErrKind      = errors.New("the kind must be person, department or partner")
	ErrLong      = errors.New("a field may hold at most 200 characters")
	ErrText      = errors.New("a field holds characters that are no text")
)

// Tidy trims an entry and checks it.
func (e *Entry) Tidy() error {
	for _, f := range []*string{&e.Name, &e.Organization, &e.Phone, &e.Fax, &e.Note} {
		*f = strings.Join(strings.Fields(*f), " ")
		switch {
		case len(*f) > MaxField:
			return ErrLong
		case strings.IndexFunc(*f, unprintable) >= 0:
			return ErrText
		}
	}
	if e.Kind == "" {
		e.Kind = Person
	}
	switch {
	case e.Name == "":
		return ErrNoName
	case e.Address.IsZero():
		return ErrNoAddress
	case e.Kind != Person && e.Kind != Department && e.Kind != Partner:
		return ErrKind
	}
	return nil
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }
