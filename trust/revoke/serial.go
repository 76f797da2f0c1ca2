package revoke

import (
	"bytes"
	"math/big"
)

// serial is a serial number in the form in which two are compared. RFC 5280 §4.1.2.2 wants them positive and asks
// readers to bear with CAs that write negative ones, which several of the network's do. A negative one is another
// number than the positive one of the same octets.
type serial struct {
	octets   []byte // big-endian without leading sign octets; two's complement when negative
	negative bool
}

// serialOf takes the content octets of an INTEGER; leading octets that say nothing do not count (CMS-65).
func serialOf(content []byte) serial {
	if len(content) == 0 || content[0]&0x80 == 0 {
		return serial{octets: bytes.TrimLeft(content, "\x00")}
	}
	for len(content) > 1 && content[0] == 0xff && content[1]&0x80 != 0 {
		content = content[1:]
	}
	return serial{content, true}
}

func serialOfInt(n *big.Int) serial {
	if n.Sign() >= 0 {
		return serial{octets: n.Bytes()}
	}
	size := new(big.Int).Not(n).BitLen()/8 + 1
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(8*size))
	return serial{modulus.Add(modulus, n).Bytes(), true}
}

func (s serial) equal(t serial) bool {
	return s.negative == t.negative && bytes.Equal(s.octets, t.octets)
}

// key is the number as the key of a map.
func (s serial) key() string {
	if s.negative {
		return "-" + string(s.octets)
	}
	return "+" + string(s.octets)
}
