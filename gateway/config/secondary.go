package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"postern/smime/addr"
)

// Limits of the name servers that copy our zones.
const (
	MaxSecondaries = 16
	MaxNotify      = 4 // addresses of one
)

// Secondary is a name server of somebody else that copies our zones (AXFR, signed with TSIG).
type Secondary struct {
	From       []string `toml:"from"`        // addresses or networks it asks from
	Key        string   `toml:"key"`         // name of the TSIG key
	Algorithm  string   `toml:"algorithm"`   // "hmac-sha256" (also when it is not set) or "hmac-sha512"
	SecretFile string   `toml:"secret_file"` // the key itself, base64, 16 octets or more, readable by us alone
	Notify     []string `toml:"notify"`      // host:port told of each change; default: the single addresses of from, port 53
}

func (c *Config) resolveSecondaries(dir string) {
	for name, s := range c.DNS.Secondary {
		if s.SecretFile != "" && !filepath.IsAbs(s.SecretFile) {
			s.SecretFile = filepath.Join(dir, s.SecretFile)
			c.DNS.Secondary[name] = s
		}
	}
}

// checkSecondaries looks over who may copy zones; the secrets are read when they are needed.
func (c *Config) checkSecondaries() (faults []error) {
	bad := func(name, key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("config: %s: %s", c.Where("dns", "secondary", name, key), fmt.Sprintf(format, args...)))
	}
	if len(c.DNS.Secondary) > MaxSecondaries {
		faults = append(faults, fmt.Errorf("config: %s: %d secondaries, at most %d", c.Path, len(c.DNS.Secondary), MaxSecondaries))
	}
	for name, s := range c.DNS.Secondary {
		if _, err := addr.ParseDomain(name); err != nil {
			faults = append(faults, fmt.Errorf("config: %s: %q is not the name of a name server", c.Where("dns", "secondary", name), name))
		}
		if len(c.DNS.Listen) == 0 {
			bad(name, "from", "there is no dns.listen to copy zones from")
		}
		if len(s.From) == 0 {
			bad(name, "from", "no address: a key alone does not let anybody copy zones")
		}
		if _, err := s.Networks(); err != nil {
			bad(name, "from", "%v", err)
		}
		if s.Key == "" || strings.ContainsAny(s.Key, " \t\"") || len(s.Key) > addr.MaxDomain {
			bad(name, "key", "%q is not the name of a TSIG key", s.Key)
		}
		if s.Algorithm != "" && s.Algorithm != "hmac-sha256" && s.Algorithm != "hmac-sha512" {
			bad(name, "algorithm", `%q is neither "hmac-sha256" nor "hmac-sha512"`, s.Algorithm)
		}
		if s.SecretFile == "" {
			bad(name, "secret_file", "no file with the key is named")
		}
		if len(s.Notify) > MaxNotify {
			bad(name, "notify", "%d addresses, at most %d", len(s.Notify), MaxNotify)
		}
		for _, at := range s.Notify {
			if _, _, err := net.SplitHostPort(at); err != nil {
				bad(name, "notify", "%q is not host:port", at)
			}
		}
	}
	return faults
}

// Networks is where a secondary asks from.
func (s Secondary) Networks() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range s.From {
		p, err := netip.ParsePrefix(text)
		if a, aerr := netip.ParseAddr(text); aerr == nil {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 192.0.2.0/24", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Told is whom to notify: those named, else the single addresses it asks from.
func (s Secondary) Told() []string {
	if len(s.Notify) > 0 {
		return s.Notify
	}
	nets, err := s.Networks()
	if err != nil {
		return nil // check has said so
	}
	var out []string
	for _, p := range nets {
		if p.IsSingleIP() && len(out) < MaxNotify {
			out = append(out, netip.AddrPortFrom(p.Addr(), 53).String())
		}
	}
	return out
}
