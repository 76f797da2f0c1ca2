package zone

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// nameData is a domain name on the wire (RFC 1035 §3.1), uncompressed.
func nameData(name string) ([]byte, error) {
	if name == "" || name == "." {
		return []byte{0}, nil
	}
	name, err := canonical(name)
	if err != nil {
		return nil, err
	}
	return appendName(nil, name), nil
}

func appendName(out []byte, name string) []byte {
	for _, l := range strings.Split(name, ".") {
		out = append(out, byte(len(l)))
		out = append(out, l...)
	}
	return append(out, 0)
}

// soaData is RFC 1035 §3.3.13, with timers for a few secondaries.
func soaData(primary, admin string, serial uint32) ([]byte, error) {
	out, err := nameData(primary)
	if err != nil {
		return nil, err
	}
	local, domain, ok := strings.Cut(admin, "@")
	if !ok || local == "" || len(local) > 63 {
		return nil, fmt.Errorf("administrator %q is not a mail address", admin)
	}
	out = append(out, byte(len(local))) // one label, dots inside it: RFC 1035 §8
	out = append(out, local...)
	rest, err := nameData(domain)
	if err != nil {
		return nil, err
	}
	out = append(out, rest...)
	for _, n := range []uint32{serial, uint32(time.Hour / time.Second), 600, 14 * 24 * 3600, uint32(NegativeTTL / time.Second)} {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	return out, nil
}

func mxData(mx MX) ([]byte, error) {
	host, err := nameData(mx.Host)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint16(nil, mx.Preference), host...), nil
}

func srvData(s SRV) ([]byte, error) {
	target, err := nameData(s.Target)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, n := range []uint16{s.Priority, s.Weight, s.Port} {
		out = binary.BigEndian.AppendUint16(out, n)
	}
	return append(out, target...), nil
}

func txtData(text string) []byte {
	var out []byte
	for {
		n := min(len(text), 255)
		out = append(out, byte(n))
		out = append(out, text[:n]...)
		if text = text[n:]; text == "" {
			return out
		}
	}
}

func caaData(c CAA) ([]byte, error) {
	if c.Tag == "" || len(c.Tag) > 15 || strings.Trim(strings.ToLower(c.Tag), "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, fmt.Errorf("CAA tag %q", c.Tag)
	}
	out := append([]byte{c.Flag, byte(len(c.Tag))}, strings.ToLower(c.Tag)...)
	return append(out, c.Value...), nil
}

// certData is RFC 4398 §2: type PKIX, key tag, algorithm, certificate.
func certData(c *x509.Certificate) []byte {
	tag, algorithm := KeyTag(c)
	out := binary.BigEndian.AppendUint16(nil, 1)
	out = binary.BigEndian.AppendUint16(out, tag)
	out = append(out, algorithm)
	return append(out, c.Raw...)
}

// KeyTag is the key tag and algorithm of a CERT record: the certificate's key written as a DNSKEY
// (RFC 3110, RFC 6605) and summed as RFC 4034 appendix B says. RSA keys carry algorithm 5, as
// deployed publishers do (CD-13). Keys DNSSEC has no form for get 0 and 0 (RFC 4398 §2).
func KeyTag(c *x509.Certificate) (tag uint16, algorithm uint8) {
	var key []byte
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() > 4096 { // RFC 3110 §2
			return 0, 0
		}
		exponent := big.NewInt(int64(k.E)).Bytes()
		key = append(append([]byte{byte(len(exponent))}, exponent...), k.N.Bytes()...)
		algorithm = certAlgorithm
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil || k.Curve.Params().BitSize > 384 || k.Curve.Params().BitSize < 256 {
			return 0, 0
		}
		key, algorithm = point[1:], 13
		if k.Curve.Params().BitSize == 384 {
			algorithm = 14
		}
	default:
		return 0, 0
	}
	var sum uint32
	for i, b := range append([]byte{1, 0, 3, algorithm}, key...) { // flags 256, protocol 3
		if i&1 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	return uint16(sum + sum>>16&0xffff), algorithm
}
