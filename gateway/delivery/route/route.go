// Package route decides where mail goes next: for an address of ours its final destination, for a
// domain elsewhere its next hop. It only decides; nothing here dials or stores.
package route

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"postern/smime/addr"
)

// Destination is where mail for an address or domain of ours ends: exactly one of an inbox, an SMTP
// edge, or another address. The zero Destination means "as the domain says".
type Destination struct {
	Inbox string       `json:"inbox,omitempty"`
	Edge  *Edge        `json:"edge,omitempty"`
	Alias addr.Address `json:"alias,omitzero"`
}

// IsZero reports whether no destination is set.
func (d Destination) IsZero() bool { return d.Inbox == "" && d.Edge == nil && d.Alias.IsZero() }

// String names the destination for people, without secrets.
func (d Destination) String() string {
	switch {
	case d.Inbox != "":
		return "inbox " + d.Inbox
	case d.Edge != nil:
		return "smtp edge " + d.Edge.HostPort()
	case !d.Alias.IsZero():
		return "alias of " + d.Alias.String()
	}
	return "as its domain"
}

// Edge is an SMTP server of ours (an EHR, a mail server) that takes plain MIME.
type Edge struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      string `json:"tls"` // "required" (STARTTLS), "implicit", "opportunistic" or "none"
	Login    string `json:"login,omitempty"`
	Password []byte `json:"password,omitempty"` // sealed
}

// HostPort is host:port.
func (e Edge) HostPort() string { return net.JoinHostPort(e.Host, strconv.Itoa(e.Port)) }

// EdgeTLS lists the values Edge.TLS may have.
func EdgeTLS() []string { return []string{"required", "implicit", "opportunistic", "none"} }

// ParseEdge reads host:port.
func ParseEdge(s string) (Edge, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return Edge{}, fmt.Errorf("route: %q is not host:port", s)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, " \t/@") {
		return Edge{}, fmt.Errorf("route: %q is not host:port", s)
	}
	return Edge{Host: host, Port: n, TLS: "required"}, nil
}

// MaxAlias is how many aliases are followed from one address.
const MaxAlias = 5
