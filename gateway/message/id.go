package message

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ID is the gateway's own name for a message: "m-" and 16 characters of Crockford base32 in lower
// case. It is the key of everything; the RFC 5322 Message-ID is an attribute, unique to nobody.
// Ids sort by the time they were made, to the millisecond.
type ID string

// ErrID is the cause of every failure of ParseID.
var ErrID = errors.New("message: not a message id")

const (
	idPrefix   = "m-"
	idLength   = 16                                 // characters after the prefix: 80 bits
	idTimeBits = 42                                 // milliseconds since 2020: until the year 2159
	idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford: no i, l, o, u
)

func idEpoch() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }

// NewID makes an id from the instant and 38 random bits. A nil rnd, or one that fails, is replaced
// by crypto/rand.
func NewID(now time.Time, rnd io.Reader) ID {
	ms := max(now.Sub(idEpoch()).Milliseconds(), 0)
	random := randomUint64(rnd)
	const randomBits = 80 - idTimeBits
	// The 80 bits are kept as two halves of 40: eight characters each.
	t := uint64(ms) & (1<<idTimeBits - 1)
	r := random & (1<<randomBits - 1)
	high := t >> 2
	low := t&3<<randomBits | r
	var out [idLength]byte
	for i := range 8 {
		out[7-i] = idAlphabet[high>>(5*i)&31]
		out[15-i] = idAlphabet[low>>(5*i)&31]
	}
	return ID(idPrefix + string(out[:]))
}

// randomUint64 reads 8 octets from rnd; crypto/rand cannot fail.
func randomUint64(rnd io.Reader) uint64 {
	var b [8]byte
	if rnd == nil {
		rand.Read(b[:])
	} else if _, err := io.ReadFull(rnd, b[:]); err != nil {
		rand.Read(b[:])
	}
	return binary.BigEndian.Uint64(b[:])
}

// ParseID reads an id as a person may type it: any case, o for 0, i or l for 1, without "m-".
func ParseID(s string) (ID, error) {
	t := strings.ToLower(strings.TrimSpace(s))
	t = strings.TrimPrefix(t, idPrefix)
	t = strings.NewReplacer("o", "0", "i", "1", "l", "1", "-", "").Replace(t)
	if len(t) != idLength {
		return "", fmt.Errorf("%w: %q must be m- and %d characters", ErrID, clip(s, 40), idLength)
	}
	for i := range len(t) {
		if strings.IndexByte(idAlphabet, t[i]) < 0 {
			return "", fmt.Errorf("%w: %q has a %q", ErrID, clip(s, 40), t[i])
		}
	}
	return ID(idPrefix + t), nil
}

// Time is the instant the id was made, to the millisecond; zero for an id ParseID would refuse.
func (id ID) Time() time.Time {
	canonical, err := ParseID(string(id))
	if err != nil {
		return time.Time{}
	}
	var ms int64
	digits := string(canonical)[len(idPrefix):]
	for i := range 9 { // nine characters hold 45 bits, of which the first 42 are the time
		ms = ms<<5 | int64(strings.IndexByte(idAlphabet, digits[i]))
	}
	return idEpoch().Add(time.Duration(ms>>3) * time.Millisecond)
}

// clip shortens s to n octets for an error text.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
