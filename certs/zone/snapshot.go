package zone

import (
	"crypto/x509"
	"sort"
	"strings"
	"time"
)

// Record is one resource record of class IN: its content as octets on the wire, without compression.
type Record struct {
	Type uint16
	TTL  uint32 // seconds
	Data []byte
}

// Node is a name that exists. Records are grouped by type.
type Node struct {
	Name    string // lower case, no final dot
	Zone    string // the zone it lies in
	Records map[uint16][]Record
}

// Snapshot is all that is published, read only. The zero Snapshot publishes nothing.
type Snapshot struct {
	nodes  map[string]*Node
	zones  map[string]*Node // apex nodes by zone name
	Left   []Left
	Certs  []Published // what was published of the certificates given: the LDAP face shows the same
	Serial uint32      // of zones that were given none and are not numbered by Serials
	Until  time.Time   // when a certificate begins or ends next, and the snapshot should be built again; zero = never
	count  int
}

// Types of records, as RFC 1035, 2782, 3596, 4398 and 8659 number them.
const (
	TypeA     uint16 = 1
	TypeNS    uint16 = 2
	TypeCNAME uint16 = 5
	TypeSOA   uint16 = 6
	TypeMX    uint16 = 15
	TypeTXT   uint16 = 16
	TypeAAAA  uint16 = 28
	TypeSRV   uint16 = 33
	TypeCERT  uint16 = 37
	TypeCAA   uint16 = 257
)

// Build makes a snapshot. A zone that contradicts itself fails the whole: a server keeps the old one.
func Build(zones []Zone, o Options) (*Snapshot, error) {
	if o.Now.IsZero() {
		return nil, errorf("Build needs the time")
	}
	if len(zones) > MaxZones {
		return nil, errorf("%d zones, at most %d", len(zones), MaxZones)
	}
	if o.Serial == 0 {
		o.Serial = uint32(o.Now.Unix())
	}
	s := &Snapshot{nodes: map[string]*Node{}, zones: map[string]*Node{}, Serial: o.Serial}
	for _, z := range zones {
		if z.Domain.IsZero() {
			return nil, errorf("a zone has no domain")
		}
		apex := z.Domain.String()
		if s.zones[apex] != nil {
			return nil, errorf("zone %s is given twice", apex)
		}
		s.zones[apex] = s.node(apex)
	}
	for _, z := range zones {
		b := builder{s: s, z: z, apex: z.Domain.String(), ttl: ttlOf(z.TTL), o: o}
		if err := b.build(); err != nil {
			return nil, err
		}
	}
	for name := range s.nodes {
		s.fillUp(name)
	}
	if o.Serials != nil {
		o.Serials.number(s, o.Now)
	}
	return s, s.check()
}

// Zone is the apex of the longest zone the name lies in, nil when it lies in none.
func (s *Snapshot) Zone(name string) *Node {
	for {
		if z := s.zones[name]; z != nil {
			return z
		}
		_, up, ok := strings.Cut(name, ".")
		if !ok {
			return nil
		}
		name = up
	}
}

// Lookup is the node of a name (lower case, no final dot), nil when the name does not exist. An empty
// non-terminal is a node without records.
func (s *Snapshot) Lookup(name string) *Node { return s.nodes[name] }

// Names calls f for every name, sorted: for transfers and for people.
func (s *Snapshot) Names(f func(*Node)) {
	names := make([]string, 0, len(s.nodes))
	for n := range s.nodes {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		f(s.nodes[n])
	}
}

// Zones is the names of the zones, sorted.
func (s *Snapshot) Zones() []string {
	out := make([]string, 0, len(s.zones))
	for z := range s.zones {
		out = append(out, z)
	}
	sort.Strings(out)
	return out
}

// Len is the number of records.
func (s *Snapshot) Len() int { return s.count }

func (s *Snapshot) node(name string) *Node {
	n := s.nodes[name]
	if n == nil {
		n = &Node{Name: name, Records: map[uint16][]Record{}}
		s.nodes[name] = n
	}
	return n
}

// fillUp makes the empty non-terminals between a name and its zone, and tells nodes their zone.
func (s *Snapshot) fillUp(name string) {
	zone := s.Zone(name)
	if zone == nil {
		return
	}
	for at := name; at != zone.Name; {
		s.node(at).Zone = zone.Name
		_, at, _ = strings.Cut(at, ".")
	}
	zone.Zone = zone.Name
}

// check refuses what RFC 1034 §3.6.2 and RFC 2181 forbid: a CNAME beside other records, or two.
func (s *Snapshot) check() error {
	for name, n := range s.nodes {
		if alias := n.Records[TypeCNAME]; len(alias) > 0 && (len(n.Records) > 1 || len(alias) > 1) {
			return errorf("%s has a CNAME and other records", name)
		}
	}
	return nil
}

// Published is a certificate that a snapshot publishes, and for whom.
type Published struct {
	Mail string // the address, or the domain of a domain-bound certificate
	Cert *x509.Certificate
}
