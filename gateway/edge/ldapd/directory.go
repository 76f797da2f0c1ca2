package ldapd

import (
	"crypto/x509"
	"fmt"
	"sort"
	"strings"

	"postern/certs/zone"
)

// MaxEntries is how many entries a directory may hold.
const MaxEntries = 1_000_000

// DefaultBase is the one base DN of a directory.
const DefaultBase = "o=Direct"

// Entry is an address or a domain and its certificates (CD-38).
type Entry struct {
	Mail  string // a Direct address, or a domain name for a domain-bound certificate
	Certs []*x509.Certificate
}

// Directory is what is published, read only. Nothing in it is judged: what is put in is given out.
type Directory struct {
	base   string
	byMail map[string]*node // lower case
	byDN   map[string]*node
}

// node is an entry laid out for answering.
type node struct {
	dn    string
	attrs []attribute
}

type attribute struct {
	name   string
	values []string
}

// NewDirectory makes a directory under a base DN ("" = DefaultBase). Entries of the same mail value
// become one.
func NewDirectory(base string, entries []Entry) (*Directory, error) {
	if base == "" {
		base = DefaultBase
	}
	if len(entries) > MaxEntries {
		return nil, fmt.Errorf("ldapd: %d entries, at most %d", len(entries), MaxEntries)
	}
	d := &Directory{base: base, byMail: map[string]*node{}, byDN: map[string]*node{}}
	merged := map[string][]string{}
	spelled := map[string]string{}
	for _, e := range entries {
		key := strings.ToLower(e.Mail)
		if key == "" || strings.ContainsAny(key, "\x00\r\n") {
			return nil, fmt.Errorf("ldapd: %q cannot be published", e.Mail)
		}
		if _, ok := spelled[key]; !ok {
			spelled[key] = e.Mail
		}
		for _, c := range e.Certs {
			merged[key] = append(merged[key], string(c.Raw))
		}
	}
	for key, mail := range spelled {
		n := &node{dn: "cn=" + escapeDN(mail) + "," + base, attrs: []attribute{
			{"objectClass", []string{"top", "person", "organizationalPerson", "inetOrgPerson"}},
			{"cn", []string{mail}}, {"sn", []string{mail}}, {"mail", []string{mail}},
		}}
		if certs := merged[key]; len(certs) > 0 {
			n.attrs = append(n.attrs, attribute{"userCertificate;binary", certs}) // RFC 4523 §2.1: always with ;binary
		}
		d.byMail[key] = n
		d.byDN[strings.ToLower(n.dn)] = n
	}
	return d, nil
}

// FromZones makes a directory of exactly the certificates that a zone snapshot publishes, so that DNS
// and LDAP never tell different stories.
func FromZones(base string, snap *zone.Snapshot) (*Directory, error) {
	var entries []Entry
	for _, p := range snap.Certs {
		entries = append(entries, Entry{Mail: p.Mail, Certs: []*x509.Certificate{p.Cert}})
	}
	return NewDirectory(base, entries)
}

// Mails is every mail value, sorted: for people and tests.
func (d *Directory) Mails() []string {
	var out []string
	for m := range d.byMail {
		out = append(out, m)
	}
	sort.Strings(out)
	return out
}

// rootDSE is the entry with the empty name (RFC 4512 §5.1): where to search (CD-35).
func (d *Directory) rootDSE() *node {
	return &node{attrs: []attribute{
		{"objectClass", []string{"top"}},
		{"namingContexts", []string{d.base}},
		{"supportedLDAPVersion", []string{"3"}},
		{"vendorName", []string{"postern"}},
	}}
}

// escapeDN writes a value inside a DN (RFC 4514 §2.4).
func escapeDN(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if strings.IndexByte(`"+,;<>\=`, c) >= 0 || c == '#' && i == 0 || c == ' ' && (i == 0 || i == len(s)-1) {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// values is the attribute's values, without regard to case and options.
func (n *node) values(name string) []string {
	for _, a := range n.attrs {
		if strings.EqualFold(bare(a.name), bare(name)) {
			return a.values
		}
	}
	return nil
}

// bare is an attribute description without options: "userCertificate;binary" is "userCertificate".
func bare(name string) string {
	base, _, _ := strings.Cut(name, ";")
	return base
}
