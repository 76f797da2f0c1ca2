package chain

import (
	"crypto/x509"
	"encoding/asn1"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// The GeneralName choices (RFC 5280 §4.2.1.6) by their context tag.
const (
	tagEmail     = 1
	tagDNS       = 2
	tagDirectory = 4
	tagURI       = 6
	tagIP        = 7
)

// generalName is one name or one subtree base: its tag and its content in the form matching needs.
type generalName struct {
	tag   int
	text  string   // e-mail, DNS name, URI or, for a constraint on URIs, a host; lower case but for URIs
	parts []string // directory name, one canonical text an RDN
	raw   []byte   // IP address, or address and mask; content of the kinds we do not match

	implied bool // the domain of an address that the certificate names: not a name in the certificate
}

func readGeneralName(in *cryptobyte.String) (generalName, bool) {
	var body cryptobyte.String
	var tag der.Tag
	if !in.ReadAnyASN1(&body, &tag) || tag&0xc0 != 0x80 {
		return generalName{}, false
	}
	n := generalName{tag: int(tag & 0x1f), raw: body}
	switch n.tag {
	case tagEmail, tagDNS, tagURI:
		n.text = string(body)
		if n.tag != tagURI {
			n.text = strings.ToLower(n.text)
		}
	case tagDirectory:
		parts, ok := nameParts(body)
		if !ok {
			return n, false
		}
		n.parts = parts
	}
	return n, true
}

var (
	oidKeyUsage        = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSAN             = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidPolicies        = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidExtKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidEmailAddress    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

func extension(c *x509.Certificate, id asn1.ObjectIdentifier) ([]byte, bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return e.Value, true
		}
	}
	return nil, false
}

// namesOf is every name a certificate claims: its alternative names, its subject, and, where it has
// no alternative names at all, the e-mail addresses of its subject (RFC 5280 §4.2.1.10).
func namesOf(n *node) ([]generalName, bool) {
	var out []generalName
	if parts, ok := nameParts(n.cert.RawSubject); !ok {
		return nil, false
	} else if len(parts) > 0 {
		out = append(out, generalName{tag: tagDirectory, parts: parts})
	}
	raw, has := extension(n.cert, oidSAN)
	if !has {
		for _, atv := range n.cert.Subject.Names {
			if s, ok := atv.Value.(string); ok && atv.Type.Equal(oidEmailAddress) {
				out = append(out, generalName{tag: tagEmail, text: strings.ToLower(s)})
			}
		}
		return out, true
	}
	in := cryptobyte.String(raw)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, der.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	for !seq.Empty() {
		g, ok := readGeneralName(&seq)
		if !ok {
			return nil, false
		}
		out = append(out, g)
	}
	return out, true
}

// within reports whether a name lies in a subtree of its own kind; known is false for kinds and
// contents we cannot compare.
func within(name, base generalName) (in, known bool) {
	switch name.tag {
	case tagEmail:
		return emailWithin(name.text, base.text)
	case tagDNS:
		return hostWithin(name.text, base.text), true
	case tagURI:
		return uriWithin(name.text, strings.ToLower(base.text))
	case tagIP:
		return ipWithin(name.raw, base.raw)
	case tagDirectory:
		return partsWithin(name.parts, base.parts), true
	}
	return false, false
}

// emailWithin: a mailbox stands for itself, a host for the mailboxes of that host, a domain with a
// leading dot for the hosts below it. Local parts are compared without case, as everywhere (AS-03).
func emailWithin(email, base string) (in, known bool) {
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return false, false
	}
	switch {
	case strings.Contains(base, "@"):
		return email == base, true
	case strings.HasPrefix(base, "."):
		return strings.HasSuffix(email[at+1:], base), true
	}
	return base == "" || email[at+1:] == base, true
}

// hostWithin: a domain stands for itself and for all names below it; with a leading dot only for those below.
func hostWithin(host, base string) bool {
	switch {
	case base == "":
		return true
	case strings.HasPrefix(base, "."):
		return strings.HasSuffix(host, base)
	}
	return host == base || strings.HasSuffix(host, "."+base)
}

// uriWithin looks at the host alone: exact, or below a base with a leading dot. A URI without a
// host name cannot be judged (RFC 5280 §4.2.1.10 says such a certificate is to be refused).
func uriWithin(uri, base string) (in, known bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Hostname() == "" {
		return false, false
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err == nil {
		return false, false
	}
	if strings.HasPrefix(base, ".") {
		return strings.HasSuffix(host, base), true
	}
	return base == "" || host == base, true
}

func ipWithin(ip, base []byte) (in, known bool) {
	if len(base) != 8 && len(base) != 32 || len(ip) != 4 && len(ip) != 16 {
		return false, false
	}
	half := len(base) / 2
	if len(ip) != half {
		return false, true
	}
	for i := range ip {
		if (ip[i]^base[i])&base[half+i] != 0 {
			return false, true
		}
	}
	return true, true
}

func partsWithin(name, base []string) bool {
	if len(name) < len(base) {
		return false
	}
	for i := range base {
		if name[i] != base[i] {
			return false
		}
	}
	return true
}
