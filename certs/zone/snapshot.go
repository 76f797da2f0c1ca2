package zone

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/dnscert"
	"postern/smime/addr"
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
	Serial uint32
	Until  time.Time // when a certificate begins or ends next, and the snapshot should be built again; zero = never
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

// builder lays out one zone.
type builder struct {
	s    *Snapshot
	z    Zone
	apex string
	ttl  uint32
	o    Options
}

func (b *builder) build() error {
	if len(b.z.NS) == 0 {
		return errorf("zone %s has no name server", b.apex)
	}
	steps := []func() error{b.soa, b.servers, b.mail, b.hosts, b.certs, b.services, b.texts}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// add puts a record at a name of this zone; the same record twice is kept once (RFC 2181 §5).
func (b *builder) add(name string, t uint16, data []byte, err error) error {
	if err != nil {
		return errorf("%s: %v", name, err)
	}
	n := b.s.node(name)
	for _, have := range n.Records[t] {
		if string(have.Data) == string(data) {
			return nil
		}
	}
	if b.s.count++; b.s.count > MaxRecords {
		return errorf("more than %d records", MaxRecords)
	}
	n.Records[t] = append(n.Records[t], Record{t, b.ttl, data})
	return nil
}

// inside says whether a host's name lies in this zone, so that its addresses belong here.
func (b *builder) inside(name string) bool {
	z := b.s.Zone(name)
	return z != nil && z.Name == b.apex
}

func (b *builder) under(relative string) (string, error) {
	if relative == "" || relative == "@" {
		return b.apex, nil
	}
	return canonical(relative + "." + b.apex)
}

func (b *builder) soa() error {
	serial := b.z.Serial
	if serial == 0 {
		serial = b.o.Serial
	}
	admin := b.z.Admin
	if admin == "" {
		admin = "hostmaster@" + b.apex
	}
	data, err := soaData(b.z.NS[0].Name, admin, serial)
	return b.add(b.apex, TypeSOA, data, err)
}

func (b *builder) servers() error {
	for _, h := range b.z.NS {
		data, err := nameData(h.Name)
		if err := b.add(b.apex, TypeNS, data, err); err != nil {
			return err
		}
	}
	return b.addresses(b.z.NS)
}

func (b *builder) hosts() error {
	if err := b.addresses([]Host{{b.apex, b.z.Addrs}}); err != nil {
		return err
	}
	return b.addresses(b.z.Hosts)
}

func (b *builder) addresses(hosts []Host) error {
	for _, h := range hosts {
		name, err := canonical(h.Name)
		if err != nil {
			return errorf("host %q: %v", h.Name, err)
		}
		if !b.inside(name) {
			continue
		}
		for _, ip := range h.Addrs {
			t, data := addressData(ip)
			if err := b.add(name, t, data, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func addressData(ip netip.Addr) (uint16, []byte) {
	ip = ip.Unmap()
	if ip.Is4() {
		return TypeA, ip.AsSlice()
	}
	return TypeAAAA, ip.AsSlice()
}

func (b *builder) mail() error {
	for _, mx := range b.z.MX {
		data, err := mxData(mx)
		if err := b.add(b.apex, TypeMX, data, err); err != nil {
			return err
		}
	}
	return nil
}

// certs publishes what can receive and is in date; the rest is listed in Left (CD-02, CD-03).
func (b *builder) certs() error {
	for _, c := range b.z.Certs {
		b.s.turn(c.Cert, b.o.Now)
		name, reason := b.certName(c)
		if reason == "" && !b.o.All {
			reason = unfit(c.Cert, b.o.Now)
		}
		if reason != "" {
			b.s.Left = append(b.s.Left, Left{name, c.Cert, reason})
			continue
		}
		if err := b.add(name, TypeCERT, certData(c.Cert), nil); err != nil {
			return err
		}
		mail := b.apex
		if !c.Address.IsZero() {
			mail = c.Address.String()
		}
		b.s.Certs = append(b.s.Certs, Published{mail, c.Cert})
	}
	return nil
}

// turn notes when the certificate next changes what may be published (CD-03).
func (s *Snapshot) turn(c *x509.Certificate, now time.Time) {
	if c == nil {
		return
	}
	for _, at := range []time.Time{c.NotBefore, c.NotAfter.Add(time.Second)} {
		if at.After(now) && (s.Until.IsZero() || at.Before(s.Until)) {
			s.Until = at
		}
	}
}

func (b *builder) certName(c Cert) (name, reason string) {
	if c.Address.IsZero() {
		return b.apex, ""
	}
	if c.Address.Domain() != b.z.Domain {
		return c.Address.String(), "address of another domain"
	}
	name, ok := dnscert.AddressName(c.Address)
	if !ok {
		return c.Address.String(), "name cannot be published"
	}
	return name, ""
}

func unfit(c *x509.Certificate, now time.Time) string {
	switch {
	case c == nil:
		return "no certificate"
	case now.After(c.NotAfter):
		return "expired"
	case now.Before(c.NotBefore):
		return "not yet valid"
	case !certs.CanReceive(c):
		return "cannot receive"
	}
	return ""
}

func (b *builder) services() error {
	for _, s := range b.z.SRV {
		name, err := b.under(s.Service)
		if err != nil {
			return errorf("service %q: %v", s.Service, err)
		}
		data, err := srvData(s)
		if err := b.add(name, TypeSRV, data, err); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) texts() error {
	for _, t := range b.z.TXT {
		name, err := b.under(t.Name)
		if err != nil {
			return errorf("text at %q: %v", t.Name, err)
		}
		if err := b.add(name, TypeTXT, txtData(t.Text), nil); err != nil {
			return err
		}
	}
	for _, c := range b.z.CAA {
		data, err := caaData(c)
		if err := b.add(b.apex, TypeCAA, data, err); err != nil {
			return err
		}
	}
	for _, c := range b.z.CNAME {
		name, err := b.under(c.Name)
		if err != nil {
			return errorf("alias %q: %v", c.Name, err)
		}
		data, err := nameData(c.Target)
		if err := b.add(name, TypeCNAME, data, err); err != nil {
			return err
		}
	}
	return nil
}

func ttlOf(d time.Duration) uint32 {
	if d <= 0 {
		d = DefaultTTL
	}
	return uint32(min(d, 7*24*time.Hour) / time.Second)
}

// canonical is a host name in lower case without final dot, checked for its lengths.
func canonical(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || len(name) > addr.MaxDomain {
		return "", fmt.Errorf("name of %d octets", len(name))
	}
	for _, l := range strings.Split(name, ".") {
		if l == "" || len(l) > addr.MaxLabel {
			return "", fmt.Errorf("label of %d octets in %q", len(l), name)
		}
	}
	return name, nil
}

// Published is a certificate that a snapshot publishes, and for whom.
type Published struct {
	Mail string // the address, or the domain of a domain-bound certificate
	Cert *x509.Certificate
}
