package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"
)

// MaxPassword bounds a password, in octets.
const MaxPassword = 1024

// Cost is what one hash takes (RFC 9106 §3.1).
type Cost struct {
	Passes    uint32
	MemoryKiB uint32
	Lanes     uint8
}

// DefaultCost is the second recommended choice of RFC 9106 §4: 64 MiB, 3 passes, 4 lanes.
var DefaultCost = Cost{Passes: 3, MemoryKiB: 64 << 10, Lanes: 4}

// What a record may ask for: a hostile or damaged one must not buy the machine.
const (
	maxPasses = 10
	maxMemory = 256 << 10 // KiB
	maxLanes  = 16
	saltSize  = 16
	keySize   = 32
	maxRecord = 512 // octets
)

func (c Cost) bounded() bool {
	return c.Passes >= 1 && c.Passes <= maxPasses && c.Lanes >= 1 && c.Lanes <= maxLanes &&
		c.MemoryKiB >= 8*uint32(c.Lanes) && c.MemoryKiB <= maxMemory
}

// Hash makes a password record of DefaultCost. A nil rnd is crypto/rand.
func Hash(password string, rnd io.Reader) (string, error) { return DefaultCost.Hash(password, rnd) }

// Hash makes a password record of that cost: argon2id in the usual text form
// ($argon2id$v=19$m=…,t=…,p=…$salt$key).
func (c Cost) Hash(password string, rnd io.Reader) (string, error) {
	if password == "" || len(password) > MaxPassword {
		return "", fmt.Errorf("auth: a password has 1 to %d octets", MaxPassword)
	}
	if !c.bounded() {
		return "", fmt.Errorf("auth: cost %+v is out of bounds", c)
	}
	if rnd == nil {
		rnd = rand.Reader
	}
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(rnd, salt); err != nil {
		return "", fmt.Errorf("auth: random salt: %w", err)
	}
	return c.record(salt, c.key(password, salt, keySize)), nil
}

// decoy is a record that no password fits and that costs as much as one that some do.
func (c Cost) decoy() string {
	b := make([]byte, saltSize+keySize)
	rand.Read(b) // never fails (crypto/rand)
	return c.record(b[:saltSize], b[saltSize:])
}

func (c Cost) key(password string, salt []byte, size uint32) []byte {
	return argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Lanes, size)
}

func (c Cost) record(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Passes, c.Lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// Verify tells whether a password fits a record. A record that cannot be read, or asks for more than the
// limits, fits nothing.
func Verify(record, password string) bool {
	c, salt, want, err := parse(record)
	if err != nil || password == "" || len(password) > MaxPassword {
		return false
	}
	return subtle.ConstantTimeCompare(c.key(password, salt, uint32(len(want))), want) == 1
}

var errRecord = errors.New("auth: not a password record")

// parse reads a record. What it accepts is exactly what record writes, with salts and keys of 8 to 64
// and 16 to 64 octets.
func parse(record string) (c Cost, salt, key []byte, err error) {
	f := strings.Split(record, "$")
	if len(record) > maxRecord || len(f) != 6 {
		return c, nil, nil, errRecord
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &c.MemoryKiB, &c.Passes, &c.Lanes); err != nil || !c.bounded() {
		return c, nil, nil, errRecord
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(f[4])
	key, err2 := base64.RawStdEncoding.DecodeString(f[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return c, nil, nil, errRecord
	}
	if c.record(salt, key) != record {
		return c, nil, nil, errRecord
	}
	return c, salt, key, nil
}
