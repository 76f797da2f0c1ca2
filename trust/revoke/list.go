package revoke

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"math/big"
	"slices"
	"sync"
	"time"
)

// Bounds of one list.
const (
	MaxListOctets  = 64 << 20
	MaxListEntries = 2_000_000
	maxLongSerials = 1000 // serial numbers above 20 octets, which RFC 5280 §4.1.2.2 forbids
)

// List is one certificate revocation list, read and indexed, its signature not yet judged.
type List struct {
	Issuer     []byte // DER of the name
	ThisUpdate time.Time
	NextUpdate time.Time // zero when absent
	Number     *big.Int  // nil when absent
	SHA256     [32]byte  // of the whole list
	Size       int64

	algorithm x509.SignatureAlgorithm
	signature []byte
	digest    []byte // of the signed part
	signed    []byte // the signed part itself, only where the algorithm needs it
	scope     scope
	unusable  string     // why the list may not be used at all; "" = it may
	chunks    [][]record // each sorted by itself
	count     int
	long      map[string]record

	mu       sync.Mutex
	verified map[[32]byte]error // by issuer certificate: whether its key signed the list
}

// record is one withdrawn certificate in 28 octets.
type record struct {
	serial [20]byte
	n      uint8 // octets of serial in use, and the sign
	reason uint8
	at     uint32 // Unix seconds
}

func (r record) when() time.Time { return time.Unix(int64(r.at), 0).UTC() }

func order(a, b record) int {
	if c := cmp.Compare(a.n, b.n); c != 0 {
		return c
	}
	return bytes.Compare(a.serial[:], b.serial[:])
}

// negativeSerial marks a negative number in a record's n.
const negativeSerial = 0x80

// name puts the number into the record, if there is room for it.
func (r *record) name(s serial) bool {
	if len(s.octets) > len(r.serial) {
		return false
	}
	r.n = uint8(copy(r.serial[:], s.octets))
	if s.negative {
		r.n |= negativeSerial
	}
	return true
}

// Entries is the number of withdrawn certificates.
func (l *List) Entries() int { return l.count + len(l.long) }

// chunkLen is how many records are kept together: memory grows with the octets that came, never
// with the length that was announced, and nothing is copied when it grows.
const chunkLen = 16_384

// add takes the content octets of a serial number.
func (l *List) add(content []byte, reason uint8, at time.Time) error {
	if l.Entries() >= MaxListEntries {
		return malformed("more than %d entries", MaxListEntries)
	}
	r := record{reason: reason}
	if u := at.Unix(); u > 0 && u < 1<<32 {
		r.at = uint32(u)
	}
	if s := serialOf(content); !r.name(s) {
		if len(l.long) >= maxLongSerials {
			return malformed("more than %d serial numbers above 20 octets", maxLongSerials)
		}
		if l.long == nil {
			l.long = map[string]record{}
		}
		l.long[s.key()] = r
		return nil
	}
	last := len(l.chunks) - 1
	switch {
	case last < 0:
		l.chunks = append(l.chunks, nil)
		last = 0
	case len(l.chunks[last]) == chunkLen:
		l.chunks = append(l.chunks, make([]record, 0, chunkLen))
		last++
	}
	l.chunks[last] = append(l.chunks[last], r)
	l.count++
	return nil
}

func (l *List) index() {
	for _, c := range l.chunks {
		if !slices.IsSortedFunc(c, order) {
			slices.SortFunc(c, order)
		}
	}
}

// find looks a certificate up by its serial number.
func (l *List) find(number *big.Int) (record, bool) {
	var want record
	if !want.name(serialOfInt(number)) {
		r, ok := l.long[serialOfInt(number).key()]
		return r, ok
	}
	for _, c := range l.chunks {
		if i, ok := slices.BinarySearchFunc(c, want, order); ok {
			return c[i], true
		}
	}
	return record{}, false
}

// forGood says that the withdrawal cannot be lifted: all but a hold are final (RFC 5280 §5.3.1).
func (r record) forGood() bool { return final(int(r.reason)) }

func final(code int) bool { return code != 6 && code != 8 }

// cause is the CRL reason in words (RFC 5280 §5.3.1).
func (r record) cause() string { return causeText(int(r.reason)) }

func causeText(code int) string {
	names := []string{"unspecified", "key compromise", "CA compromise", "affiliation changed", "superseded",
		"cessation of operation", "certificate hold", "", "remove from CRL", "privilege withdrawn", "AA compromise"}
	if code < 0 || code >= len(names) || names[code] == "" {
		return "unspecified"
	}
	return names[code]
}
