package zone

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/dnscert"
	"postern/smime/addr"
)

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
