package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"postern/certs/zone"
	"postern/gateway/edge/ldapd"
	"postern/smime/addr"
)

// republish keeps what the world sees true: it is built again after each change, and when the next
// certificate begins or ends.
func (g *Gateway) republish(ctx context.Context, next time.Time) {
	for {
		wait := time.Hour
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(g.site.now()), time.Second))
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-g.site.changed:
		case <-t.C:
		}
		t.Stop()
		next = g.publish(ctx)
	}
}

// publish builds the zone and the directory from it, so that DNS and LDAP never tell different stories.
// It returns when a certificate in it begins or ends next.
func (g *Gateway) publish(ctx context.Context) (until time.Time) {
	snap, err := g.site.Zone(ctx)
	var dir *ldapd.Directory
	if err == nil && g.ldap != nil {
		dir, err = ldapd.FromZones("", snap)
	}
	if err != nil {
		if ctx.Err() == nil {
			g.log.Error("what we publish was not rebuilt; the last state stays", "error", err)
		}
		return time.Time{}
	}
	for _, l := range snap.Left {
		g.log.Warn("certificate not published", "name", l.Name, "reason", l.Reason)
	}
	if g.dns != nil {
		g.dns.Publish(snap)
	}
	if g.ldap != nil {
		g.ldap.Publish(dir)
	}
	return snap.Until
}

// ldapPort is the port of our LDAP server, for its SRV record; 0 when there is none.
func (s *Site) ldapPort() uint16 {
	if len(s.Config.LDAP.Listen) == 0 {
		return 0
	}
	_, port, err := net.SplitHostPort(s.Config.LDAP.Listen[0])
	if err != nil {
		return 0 // config has checked the form
	}
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// Zone is what our DNS serves now.
func (s *Site) Zone(ctx context.Context) (*zone.Snapshot, error) {
	domains, err := s.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	creds, err := credentials{s.Store}.StoredCredentials(ctx, addr.Domain{})
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range s.Config.DNS.Addresses {
		ip, err := netip.ParseAddr(a)
		if err != nil {
			return nil, fmt.Errorf("gateway: dns.addresses: %w", err)
		}
		addrs = append(addrs, ip)
	}
	var zones []zone.Zone
	for _, d := range domains {
		z := zone.Zone{Domain: d.Name, TTL: s.Config.DNS.TTL.D(), Admin: "postmaster@" + d.Name.String(),
			NS: []zone.Host{{Name: s.Config.DNS.Nameserver, Addrs: addrs}}, MX: []zone.MX{{Preference: 10, Host: s.Config.DNS.MailHost}},
			Hosts: []zone.Host{{Name: s.Config.DNS.MailHost, Addrs: addrs}}}
		if port := s.ldapPort(); port != 0 {
			z.SRV = []zone.SRV{{Service: "_ldap._tcp", Port: port, Target: s.Config.DNS.Nameserver}} // CD-30
		}
		if s.Config.Hostname == d.Name.String() {
			z.Addrs = addrs
		}
		for _, c := range creds {
			if c.Retired || !c.CanDecrypt {
				continue
			}
			z.Certs = append(z.Certs, published(d.Name, c.Credential.Cert)...)
		}
		zones = append(zones, z)
	}
	return zone.Build(zones, zone.Options{Now: s.now()})
}
