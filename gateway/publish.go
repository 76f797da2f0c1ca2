package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"postern/certs/zone"
	"postern/gateway/config"
	"postern/gateway/edge/dnsd"
	"postern/gateway/edge/ldapd"
	"postern/smime/addr"
)

// republish keeps what the world sees true: it is built again after each change, and when the next
// certificate begins or ends.
func (g *Gateway) republish(ctx context.Context, next time.Time) {
	wait := func(next time.Time) time.Duration {
		if next.IsZero() {
			return time.Hour
		}
		return min(time.Hour, next.Sub(g.site.now()))
	}
	repeat(ctx, g.site.changed, wait(next), func() time.Duration { return wait(g.publish(ctx)) })
}

// publishGap is how long changes wait for each other, so that secondaries copy a zone once for all of them.
const publishGap = time.Second

// How long a publication waits for what belongs to it, or for another try.
const (
	// An address or domain whose last certificate goes away is left as it was for so long: where one certificate is
	// retired and another imported, by two commands, the world never sees none.
	vanishGap = 5 * time.Second
	againGap  = 10 * time.Second // after a failure
)

// publication is what the world was told last.
type publication struct {
	serials  *zone.Serials
	certs    []zone.Published
	vanished time.Time // since when a publication waits because it would leave somebody without a certificate; real time
}

// waits is how long a snapshot has to wait because somebody who had a certificate that is still valid would have none.
func (p *publication) waits(snap *zone.Snapshot, now, clock time.Time) time.Duration {
	there := map[string]bool{}
	for _, c := range snap.Certs {
		there[c.Mail] = true
	}
	gone := slices.ContainsFunc(p.certs, func(c zone.Published) bool {
		_, domain, ok := strings.Cut(c.Mail, "@")
		if !ok {
			domain = c.Mail
		}
		return !there[c.Mail] && now.Before(c.Cert.NotAfter) && snap.SerialOf(domain) != 0
	})
	switch {
	case !gone:
		p.vanished = time.Time{}
		return 0
	case p.vanished.IsZero():
		p.vanished = clock
	}
	return max(0, vanishGap-clock.Sub(p.vanished))
}

// repeat calls do after each change and when the time it gave last is over, no more often than each publishGap.
func repeat(ctx context.Context, changed <-chan struct{}, wait time.Duration, do func() (wait time.Duration)) {
	for {
		t := time.NewTimer(max(wait, 0))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-changed:
		case <-t.C:
		}
		t.Stop()
		wait = do()
		gap := time.NewTimer(publishGap)
		select {
		case <-ctx.Done():
			gap.Stop()
			return
		case <-gap.C:
		}
	}
}

// publish builds the zone and the directory from it, so that DNS and LDAP never tell different stories.
// It returns when it is to be done again: when a certificate in it begins or ends next.
func (g *Gateway) publish(ctx context.Context) (next time.Time) {
	snap, err := g.snapshot(ctx)
	var dir *ldapd.Directory
	if err == nil && g.ldap != nil {
		dir, err = ldapd.FromZones("", snap)
	}
	if err == nil {
		if wait := g.told.waits(snap, g.site.now(), time.Now()); wait > 0 {
			return g.site.now().Add(wait)
		}
		if g.told.serials != nil {
			err = g.site.Store.SaveZoneSerials(ctx, g.told.serials.Last()) // before anybody sees them
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			g.log.Error("what we publish was not rebuilt; the last state stays", "error", err)
		}
		return g.site.now().Add(againGap)
	}
	for _, l := range snap.Left {
		g.log.Warn("certificate not published", "name", l.Name, "reason", l.Reason)
	}
	if g.dns != nil {
		g.dns.Publish(snap) // tells the secondaries of the zones whose serial rose
	}
	if g.ldap != nil {
		g.ldap.Publish(dir)
	}
	g.told.certs = snap.Certs
	return snap.Until
}

// snapshot builds what is to be published, numbered from where the last run of the gateway ended.
func (g *Gateway) snapshot(ctx context.Context) (*zone.Snapshot, error) {
	if g.dns != nil && g.told.serials == nil {
		last, err := g.site.Store.ZoneSerials(ctx)
		if err != nil {
			return nil, err
		}
		g.told.serials = zone.NewSerials(last)
	}
	return g.site.zoneWith(ctx, g.told.serials)
}

// maxSecret bounds the file of a TSIG key.
const maxSecret = 4096

// secondaries is who may copy our zones, with their keys. An error names the setting.
func secondaries(c config.Config) ([]dnsd.Secondary, error) {
	var out []dnsd.Secondary
	for _, name := range slices.Sorted(maps.Keys(c.DNS.Secondary)) {
		s := c.DNS.Secondary[name]
		fault := func(err error) error {
			return fmt.Errorf("gateway: %s: %w", c.Where("dns", "secondary", name, "secret_file"), err)
		}
		st, err := os.Stat(s.SecretFile)
		if err != nil {
			return nil, fault(err)
		}
		if st.Mode().Perm()&0o077 != 0 {
			return nil, fault(fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it", s.SecretFile, st.Mode().Perm()))
		}
		if st.Size() > maxSecret {
			return nil, fault(fmt.Errorf("%s has %d octets: it is no TSIG key", s.SecretFile, st.Size()))
		}
		text, err := os.ReadFile(s.SecretFile)
		if err != nil {
			return nil, fault(err)
		}
		secret := strings.TrimSpace(string(text))
		if key, err := base64.StdEncoding.DecodeString(secret); err != nil || len(key) < dnsd.MinSecret {
			return nil, fault(fmt.Errorf("%s holds no base64 of %d octets or more (openssl rand -base64 32)", s.SecretFile, dnsd.MinSecret))
		}
		from, err := s.Networks()
		if err != nil {
			return nil, fmt.Errorf("gateway: %s: %w", c.Where("dns", "secondary", name, "from"), err)
		}
		out = append(out, dnsd.Secondary{From: from, Key: s.Key, Secret: secret, Hash: s.Algorithm, Notify: s.Told()})
	}
	return out, nil
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
func (s *Site) Zone(ctx context.Context) (*zone.Snapshot, error) { return s.zoneWith(ctx, nil) }

func (s *Site) zoneWith(ctx context.Context, serials *zone.Serials) (*zone.Snapshot, error) {
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
	ns := []zone.Host{{Name: s.Config.DNS.Nameserver, Addrs: addrs}}
	for _, name := range slices.Sorted(maps.Keys(s.Config.DNS.Secondary)) {
		ns = append(ns, zone.Host{Name: name}) // its addresses are in its own zone
	}
	var zones []zone.Zone
	for _, d := range domains {
		z := zone.Zone{Domain: d.Name, TTL: s.Config.DNS.TTL.D(), Admin: "postmaster@" + d.Name.String(),
			NS: ns, MX: []zone.MX{{Preference: 10, Host: s.Config.DNS.MailHost}},
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
	return zone.Build(zones, zone.Options{Now: s.now(), Serials: serials})
}
