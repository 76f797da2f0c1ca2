package dnsclient

import (
	"fmt"
	"net"

	"github.com/miekg/dns"
)

// SystemServers is the resolvers that a resolv.conf file names, as "host:port".
func SystemServers(path string) ([]string, error) {
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("dnsclient: %w", err)
	}
	var out []string
	for _, s := range conf.Servers {
		out = append(out, net.JoinHostPort(s, conf.Port))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("dnsclient: %s names no resolver", path)
	}
	return out, nil
}
