// Package addr is the Direct address: local-part "@" Health Domain Name (AS-01).
//
// Raw address strings are parsed once, here, into values that cannot be wrong; no other package
// compares or splits address text. Display names are dropped on parsing: no trust decision may see
// one (AS-05). Only ASCII addresses exist here: SMTPUTF8 is not offered by the gateway.
//
// Limits: local part 64 octets, domain 253, label 63, list 1,000 addresses in 64 KiB (RFC 5321 §4.5.3.1).
package addr

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of RFC 5321 §4.5.3.1 and RFC 1035 §2.3.4, in octets.
const (
	MaxLocal  = 64
	MaxDomain = 253
	MaxLabel  = 63
)

// ErrSyntax is the cause of every parse failure of this package.
var ErrSyntax = errors.New("addr: not a Direct address")

// Domain is a Health Domain Name: a fully qualified DNS name, kept in lower case without a final
// dot (AS-03). The zero Domain is no domain. Domains compare with ==.
type Domain struct{ name string }

// ParseDomain reads a DNS host name of at least two labels made of letters, digits, hyphens and underscores.
func ParseDomain(s string) (Domain, error) {
	for i := range len(s) { // before letters are folded: a Kelvin sign becomes k, a dotted capital I becomes i
		if s[i] > '~' {
			return Domain{}, fmt.Errorf("%w: domain %q is not ASCII", ErrSyntax, clip(s))
		}
	}
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if len(name) == 0 || len(name) > MaxDomain {
		return Domain{}, fmt.Errorf("%w: domain %q has %d octets, must be 1 to %d", ErrSyntax, clip(s), len(name), MaxDomain)
	}
	labels := strings.Split(name, ".")
	if len(labels) < 2 {
		return Domain{}, fmt.Errorf("%w: domain %q is not fully qualified", ErrSyntax, clip(s))
	}
	for _, l := range labels {
		if err := checkLabel(l); err != nil {
			return Domain{}, fmt.Errorf("%w: domain %q: %v", ErrSyntax, clip(s), err)
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return Domain{}, fmt.Errorf("%w: domain %q is an IP address, not a name", ErrSyntax, clip(s))
	}
	return Domain{name}, nil
}

func checkLabel(l string) error {
	switch {
	case l == "":
		return errors.New("empty label")
	case len(l) > MaxLabel:
		return fmt.Errorf("label longer than %d octets", MaxLabel)
	case l[0] == '-' || l[len(l)-1] == '-':
		return errors.New("label begins or ends with a hyphen")
	}
	for i := 0; i < len(l); i++ {
		c := l[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return fmt.Errorf("character %q not allowed in a label", c)
		}
	}
	return nil
}

// MustDomain is ParseDomain for constants and tests; it panics on an error.
func MustDomain(s string) Domain {
	d, err := ParseDomain(s)
	if err != nil {
		panic(err)
	}
	return d
}

// String is the name in lower case, without a final dot; "" for the zero Domain.
func (d Domain) String() string { return d.name }

// IsZero reports whether d is no domain.
func (d Domain) IsZero() bool { return d.name == "" }

// MarshalText writes the name.
func (d Domain) MarshalText() ([]byte, error) { return []byte(d.name), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Domain) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Domain{}
		return nil
	}
	v, err := ParseDomain(string(b))
	if err == nil {
		*d = v
	}
	return err
}

// Address is one Direct address. Its local part keeps the case it was written in; Key is for
// comparing and looking up. The zero Address is no address.
type Address struct {
	local  string
	domain Domain
}

// blanks may stand around an address; no others of Unicode, which a reader would not see.
const blanks = " \t\r\n"

// Parse reads an addr-spec (RFC 5322 §3.4.1), bare or in angle brackets: a dot-atom or a quoted
// local part without control characters. It takes no display name; ParseList does.
func Parse(s string) (Address, error) {
	t := strings.Trim(s, blanks)
	if len(t) >= 2 && t[0] == '<' && t[len(t)-1] == '>' {
		t = t[1 : len(t)-1]
	}
	at := strings.LastIndexByte(t, '@')
	if at < 0 {
		return Address{}, fmt.Errorf("%w: %q has no @", ErrSyntax, clip(s))
	}
	local, err := parseLocal(t[:at])
	if err != nil {
		return Address{}, fmt.Errorf("%w: %q: %v", ErrSyntax, clip(s), err)
	}
	d, err := ParseDomain(t[at+1:])
	if err != nil {
		return Address{}, err
	}
	return Address{local, d}, nil
}

// MustParse is Parse for constants and tests; it panics on an error.
func MustParse(s string) Address {
	a, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

func parseLocal(s string) (string, error) {
	if s == "" {
		return "", errors.New("empty local part")
	}
	if len(s) > MaxLocal {
		return "", fmt.Errorf("local part longer than %d octets", MaxLocal)
	}
	if s[0] == '"' {
		return parseQuoted(s)
	}
	if s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return "", errors.New("misplaced dot in the local part")
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '.' && !isAtext(s[i]) {
			return "", fmt.Errorf("character %q not allowed in the local part", s[i])
		}
	}
	return s, nil
}

func parseQuoted(s string) (string, error) {
	if len(s) < 3 || s[len(s)-1] != '"' {
		return "", errors.New("unclosed or empty quoted local part")
	}
	var b strings.Builder
	in := s[1 : len(s)-1]
	for i := 0; i < len(in); i++ {
		c := in[i]
		if c == '\\' && i+1 < len(in) {
			i++
			c = in[i]
		} else if c == '"' || c == '\\' {
			return "", errors.New("unescaped quote in the local part")
		}
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("character %q not allowed in the local part", c)
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

func isAtext(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// Local is the local part as written, without quotes or escapes.
func (a Address) Local() string { return a.local }

// Domain is the Health Domain Name.
func (a Address) Domain() Domain { return a.domain }

// IsZero reports whether a is no address.
func (a Address) IsZero() bool { return a.domain.IsZero() }

// String is the addr-spec with the local part as written, quoted where RFC 5322 needs it; "" for the zero Address.
func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	return quoteLocal(a.local) + "@" + a.domain.name
}

// Key is the whole address in lower case: equal keys mean the same address (AS-03).
func (a Address) Key() string { return strings.ToLower(a.String()) }

// Equal compares two addresses without regard to case (AS-03).
func (a Address) Equal(b Address) bool { return a.Key() == b.Key() }

// WithoutTag drops "+tag" from the local part (AS-04): jo+lab@d becomes jo@d.
func (a Address) WithoutTag() Address {
	if i := strings.IndexByte(a.local, '+'); i > 0 {
		return Address{a.local[:i], a.domain}
	}
	return a
}

// SameMailbox compares without case and without +tag, as the envelope check does (AS-82).
func (a Address) SameMailbox(b Address) bool { return a.WithoutTag().Equal(b.WithoutTag()) }

// MarshalText writes the addr-spec.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Address) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*a = Address{}
		return nil
	}
	v, err := Parse(string(b))
	if err == nil {
		*a = v
	}
	return err
}

func quoteLocal(s string) string {
	if _, err := parseLocal(s); err == nil && s[0] != '"' {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
