package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"postern/smime/addr"
)

var (
	oidKeyUsage       = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidExtKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// HasSAN reports whether the certificate has a subjectAltName at all (AS-10).
func HasSAN(c *x509.Certificate) bool { return hasExtension(c, oidSubjectAltName) }

func hasExtension(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return true
		}
	}
	return false
}

// Binding says how the certificate is bound to the address: BoundAddress, BoundDomain, or "" for not
// at all. Only the subjectAltName counts, never the subject (AS-14): an rfc822Name equal to the
// address, without case, the address's own +tag aside (AS-03, AS-04, AS-11), else a dNSName equal to
// its domain (AS-12). No suffix, no wildcard.
func Binding(c *x509.Certificate, a addr.Address) string {
	if a.IsZero() {
		return ""
	}
	full, plain := a.Key(), a.WithoutTag().Key()
	for _, name := range c.EmailAddresses {
		if n := asciiLower(name); n == full || n == plain {
			return BoundAddress
		}
	}
	domain := a.Domain().String()
	for _, name := range c.DNSNames {
		if asciiLower(name) == domain {
			return BoundDomain
		}
	}
	return ""
}

// asciiLower lowers A to Z and nothing else: Unicode folding would make look-alikes equal.
func asciiLower(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if b[j] >= 'A' && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// shownNames bounds how many of a stranger's names a message to the operator repeats.
const shownNames = 5

func boundTo(c *x509.Certificate) string {
	names := slices.Concat(c.EmailAddresses, c.DNSNames)
	more := ""
	if len(names) > shownNames {
		more = fmt.Sprintf(" and %d more", len(names)-shownNames)
		names = names[:shownNames]
	}
	if len(names) == 0 {
		return "no address or domain"
	}
	return fmt.Sprintf("%.400q%s", strings.Join(names, ", "), more)
}
