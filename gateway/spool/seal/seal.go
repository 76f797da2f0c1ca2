package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes in octets.
const (
	ChunkSize = 64 << 10 // plaintext in every chunk but the last
	Overhead  = 12 + 16  // nonce and tag, added to every chunk
	KeySize   = 32       // AES-256
	MaxID     = 64       // longest id a string may be bound to
	maxChunks = 1 << 32
)

// ErrDamaged means that sealed octets do not authenticate: altered, moved, cut, or of another key.
var ErrDamaged = errors.New("seal: sealed data does not authenticate")

// ErrClosed means that a Reader was closed.
var ErrClosed = errors.New("seal: reader is closed")

// Key is the key of one string. It prints as nothing.
type Key [KeySize]byte

// NewKey makes a random key.
func NewKey() Key {
	var k Key
	rand.Read(k[:]) // never fails (crypto/rand)
	return k
}

// String keeps a key out of logs and error texts.
func (Key) String() string { return "seal.Key(hidden)" }

// GoString keeps a key out of %#v as well.
func (Key) GoString() string { return "seal.Key(hidden)" }

// SealedSize is the length of the sealed form of size plain octets.
func SealedSize(size int64) int64 { return size + chunks(size)*Overhead }

// chunks is how many chunks size plain octets make: at least one.
func chunks(size int64) int64 {
	if size <= 0 {
		return 1
	}
	return (size + ChunkSize - 1) / ChunkSize
}

// Box seals and opens the chunks of one string. It holds no state and may be used by several
// goroutines at once.
type Box struct {
	aead cipher.AEAD
	id   string
}

// NewBox is the box of the string with that id (1 to MaxID octets) under its key.
func NewBox(key Key, id string) (*Box, error) {
	if id == "" || len(id) > MaxID {
		return nil, fmt.Errorf("seal: id of %d octets, must be 1 to %d", len(id), MaxID)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Box{aead: aead, id: id}, nil
}

// Seal appends the sealed form of one chunk to dst. plain has at most ChunkSize octets, exactly so
// many unless last; dst must not overlap it.
func (b *Box) Seal(dst, plain []byte, index int64, last bool) []byte {
	return b.aead.Seal(dst, nil, plain, b.additional(index, last))
}

// Open appends the plaintext of one sealed chunk to dst, or fails with ErrDamaged and appends nothing.
func (b *Box) Open(dst, sealed []byte, index int64, last bool) ([]byte, error) {
	if len(sealed) < Overhead || len(sealed) > ChunkSize+Overhead {
		return dst, fmt.Errorf("%w: chunk %d has %d octets", ErrDamaged, index, len(sealed))
	}
	out, err := b.aead.Open(dst, nil, sealed, b.additional(index, last))
	if err != nil {
		return dst, fmt.Errorf("%w: chunk %d", ErrDamaged, index)
	}
	return out, nil
}

// additional is the data that binds a chunk to its string and place. Fixed fields come first and the
// id last, so no two chunks share it.
func (b *Box) additional(index int64, last bool) []byte {
	const format = "postern/seal/1\x00"
	a := make([]byte, 0, len(format)+9+MaxID)
	a = append(a, format...)
	a = binary.BigEndian.AppendUint64(a, uint64(index))
	if last {
		a = append(a, 1)
	} else {
		a = append(a, 0)
	}
	return append(a, b.id...)
}
