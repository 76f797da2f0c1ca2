// Package ldapcert finds certificates in the LDAP directories a domain names by SRV records (CD-30 to
// CD-39).
package ldapcert

import (
	"crypto/x509"
	"errors"
)

// The two ways in which a search fails; every other error is the caller's context.
var (
	ErrNotFound  = errors.New("ldapcert: nothing there")
	ErrTemporary = errors.New("ldapcert: not known")
)

// Answer is what the directories of a domain hold for one mail value.
type Answer struct {
	Certs  []*x509.Certificate
	Server string   // host:port that answered
	Notes  []string // servers and values passed over, and why
}
