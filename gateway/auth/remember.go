package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// Limits of what is remembered.
const (
	rememberFor = 10 * time.Minute
	maxRemember = 1000
)

// memory remembers passwords that were right, as digests under a key that only this process has. The
// record is part of the digest, so a changed password is forgotten with the old record.
type memory struct {
	clock func() time.Time
	key   [32]byte
	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

func newMemory(clock func() time.Time) *memory {
	m := &memory{clock: clock, until: map[[sha256.Size]byte]time.Time{}}
	rand.Read(m.key[:]) // never fails (crypto/rand)
	return m
}

func (m *memory) digest(login, record, password string) [sha256.Size]byte {
	h := hmac.New(sha256.New, m.key[:])
	for _, s := range []string{login, record, password} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (m *memory) knows(login, record, password string) bool {
	d := m.digest(login, record, password)
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.until[d]
	return ok && m.clock().Before(until)
}

func (m *memory) keep(login, record, password string) {
	d := m.digest(login, record, password)
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	if len(m.until) >= maxRemember {
		for k, u := range m.until {
			if !now.Before(u) {
				delete(m.until, k)
			}
		}
		if len(m.until) >= maxRemember {
			return // the rest pay the full price
		}
	}
	m.until[d] = now.Add(rememberFor)
}
