// Package zone lays out what an authoritative name server publishes for the health domains hosted
// here: CERT records for addresses and domains (CD-01 to CD-16, RFC 4398), MX, SOA, NS, A and AAAA,
// and SRV, TXT, CAA and CNAME where a site wants them.
//
// Build turns zones into a Snapshot that never changes: a server swaps whole snapshots. Names are
// kept in lower case; the names between a record and its zone exist too, without records (empty
// non-terminals, RFC 8020). There are no wildcards, delegations or signatures. Only certificates that
// can receive and are in date are published (CD-02, CD-03); what was left out is in Snapshot.Left.
// Nothing here has or needs a private key.
//
// Limits: 10,000 zones, 1,000,000 records, TXT strings of 255 octets, 1 zone name inside another
// allowed (the longer one answers).
package zone

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"postern/smime/addr"
)

// Limits and defaults.
const (
	MaxZones      = 10000
	MaxRecords    = 1_000_000
	DefaultTTL    = time.Hour
	NegativeTTL   = 5 * time.Minute // SOA MINIMUM: how long others remember that something is not there
	certAlgorithm = 5               // RSASHA1, as deployed publishers set it (CD-13)
)

// Zone is one hosted health domain. Domain and at least one NS are needed.
type Zone struct {
	Domain addr.Domain
	Serial uint32        // of the SOA; Build's Serial when 0
	TTL    time.Duration // of all records; 0 = DefaultTTL
	Admin  string        // SOA RNAME as a mail address; "" = hostmaster@ the domain
	NS     []Host
	MX     []MX
	Addrs  []netip.Addr // of the domain name itself
	Hosts  []Host       // further names with addresses, e.g. the mail exchanger
	Certs  []Cert
	SRV    []SRV
	TXT    []TXT
	CAA    []CAA
	CNAME  []CNAME
}

// Host is a name with its addresses. Addresses of a name outside the zone are ignored.
type Host struct {
	Name  string // fully qualified
	Addrs []netip.Addr
}

// MX is a mail exchanger of the domain.
type MX struct {
	Preference uint16
	Host       string
}

// Cert is a certificate to publish: under the address when it has one, else under the domain (CD-04).
type Cert struct {
	Address addr.Address
	Cert    *x509.Certificate
}

// SRV is a service of the domain, e.g. Service "_ldap._tcp".
type SRV struct {
	Service                string
	Priority, Weight, Port uint16
	Target                 string // "" or "." = absent
}

// TXT is a text record; Name is relative to the domain ("" = the domain itself).
type TXT struct {
	Name string
	Text string // cut into strings of 255 octets
}

// CAA says which authorities may issue (RFC 8659); it stands at the domain.
type CAA struct {
	Flag       uint8
	Tag, Value string
}

// CNAME is an alias; Name is relative to the domain.
type CNAME struct {
	Name   string
	Target string
}

// Options of Build. Now is needed.
type Options struct {
	Now    time.Time
	Serial uint32 // 0 = seconds since 1970
	// Serials numbers the zones instead, so that a zone's serial rises when its content changes and only then.
	Serials *Serials
	All     bool // publish certificates of any date and usage: for test beds, never for a site (CD-03)
}

// Left is a certificate that Build did not publish, and why.
type Left struct {
	Name   string
	Cert   *x509.Certificate
	Reason string // "expired", "not yet valid", "cannot receive", "name cannot be published"
}

// ErrZone is the cause of every failure of Build.
var ErrZone = errors.New("zone: cannot be published")

func errorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrZone, fmt.Sprintf(format, args...))
}
