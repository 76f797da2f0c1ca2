// Package pool is a team's share of an inbox: a name, an owner who answers for it, and nothing else. Who
// belongs to it and what they may do is staff.Membership.
//
// Each organisation has one pool at least, its catch-all, where everything goes that no rule wants; it can
// be renamed but never retired, so no message is without a place (A1, P3). Limits: MaxPools an
// organisation, names of MaxName octets.
package pool

import (
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"postern/gateway/clinic/staff"
)

// Limits of pools.
const (
	MaxPools = 200
	MaxName  = 60
)

// Errors of a pool.
var (
	ErrName     = errors.New("pool: a name is one line of 1 to 60 characters")
	ErrCatchAll = errors.New("pool: where everything goes that no rule wants cannot be closed")
	ErrNotEmpty = errors.New("pool: somebody's open work is in it")
	ErrOwner    = errors.New("pool: a team needs an owner")
	ErrPurpose  = errors.New("pool: what a team is for is said in one line of at most 200 characters")
	ErrZone     = errors.New("pool: there is no such time zone")
)

// FirstName is what an organisation's first pool is called.
const FirstName = "Front desk"

// Pool is one team.
type Pool struct {
	ID       string
	Org      string
	Name     string
	Purpose  string         // what it is for, one line
	Owner    staff.PersonID // who answers for it; "" only until there is somebody
	CatchAll bool           // where everything goes that no rule wants
	Zone     string         // time zone of its day; "" is the organisation's
	Version  int64
	Created  time.Time
	Retired  time.Time // zero: in use
}

// NewID makes an id that cannot be guessed.
func NewID() string { return "q-" + strings.ToLower(rand.Text()[:16]) }

// Check says what is wrong with a pool as a person filled it in.
func (p Pool) Check() error {
	if n := strings.TrimSpace(p.Name); n == "" || len(n) > MaxName || strings.ContainsAny(n, "\r\n\x00") {
		return ErrName
	}
	if len(p.Purpose) > 200 || strings.ContainsAny(p.Purpose, "\r\n\x00") {
		return ErrPurpose
	}
	if p.Owner == "" {
		return ErrOwner
	}
	if p.Zone != "" {
		if _, err := time.LoadLocation(p.Zone); err != nil {
			return ErrZone
		}
	}
	return nil
}
