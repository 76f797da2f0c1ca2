// Package auth checks logins: argon2id password records, constant work for unknown logins, and a
// throttle on failures by login and by peer (EP-24, EP-91).
//
// golang.org/x/crypto/argon2 (BSD-3-Clause, the Go project's) is taken because the standard library has
// no memory-hard password hash; this package is its only home.
//
// Limits: 4 verifications at a time (each 64 MiB); a password of 1,024 octets; after 5 failures in a row
// a login or a peer waits 1 s, doubled with each further one to at most 15 min; 10,000 names remembered.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
)

// Limits.
const (
	MaxPassword = 1024
	maxAtOnce   = 4
	freeTries   = 5
	maxWait     = 15 * time.Minute
	maxNames    = 10000
)

// Parameters of argon2id: 1 pass over 64 MiB with 2 lanes (RFC 9106 §4, second recommendation's memory).
const (
	passes   = 3
	memoryK  = 64 << 10
	lanes    = 2
	saltSize = 16
	keySize  = 32
)

// Reasons of a failed login. All are ErrRefused; only operators learn which.
var (
	ErrRefused  = errors.New("auth: login refused")
	ErrThrottle = fmt.Errorf("%w: too many failures, wait", ErrRefused)
)

// Hash makes a password record. A nil rnd is crypto/rand.
func Hash(password string, rnd io.Reader) (string, error) {
	if password == "" || len(password) > MaxPassword {
		return "", fmt.Errorf("auth: a password has 1 to %d octets", MaxPassword)
	}
	if rnd == nil {
		rnd = rand.Reader
	}
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(rnd, salt); err != nil {
		return "", fmt.Errorf("auth: %w", err)
	}
	key := argon2.IDKey([]byte(password), salt, passes, memoryK, lanes, keySize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryK, passes, lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// Verify reports whether a password fits a record that Hash made.
func Verify(record, password string) bool {
	var version, m, t, p int
	f := strings.Split(record, "$")
	if len(f) != 6 || f[1] != "argon2id" || len(password) > MaxPassword {
		return false
	}
	if _, err := fmt.Sscanf(f[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil || m < 8 || m > 1<<20 || t < 1 || t > 10 || p < 1 || p > 8 {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(f[4])
	want, err2 := base64.RawStdEncoding.DecodeString(f[5])
	if err1 != nil || err2 != nil || len(want) < 16 || len(want) > 64 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, uint32(t), uint32(m), uint8(p), uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// Accounts knows the password record of a login.
type Accounts interface {
	Record(ctx context.Context, login string) (principal, record string, err error)
}

// Config is what a Service needs.
type Config struct {
	Accounts Accounts
	Clock    func() time.Time
}

// Service checks logins. It is safe for concurrent use.
type Service struct {
	cfg    Config
	decoy  string // verified for logins that do not exist, so that they take as long
	atOnce chan struct{}

	mu    sync.Mutex
	fails map[string]*failures
}

type failures struct {
	n     int
	until time.Time
}

// NewService makes a service.
func NewService(c Config) *Service {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	decoy, err := Hash("decoy", nil)
	if err != nil {
		panic(err) // a constant password and the system's random source
	}
	return &Service{cfg: c, decoy: decoy, atOnce: make(chan struct{}, maxAtOnce), fails: map[string]*failures{}}
}

// Login checks a login and returns its principal. Every refusal is ErrRefused and takes the work of one
// verification, whether the login exists or not; while a login or peer is throttled no work is done.
func (s *Service) Login(ctx context.Context, login, password, peer string) (string, error) {
	names := []string{"login " + strings.ToLower(login), "peer " + peer}
	if s.waits(names) {
		return "", ErrThrottle
	}
	principal, record, err := s.cfg.Accounts.Record(ctx, login)
	known := err == nil
	if !known {
		record = s.decoy
	}
	select {
	case s.atOnce <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	ok := Verify(record, password)
	<-s.atOnce
	s.note(names, ok && known)
	if !ok || !known {
		return "", ErrRefused
	}
	return principal, nil
}

func (s *Service) waits(names []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock()
	for _, n := range names {
		if f := s.fails[n]; f != nil && now.Before(f.until) {
			return true
		}
	}
	return false
}

// note counts a failure, or forgets the earlier ones.
func (s *Service) note(names []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock()
	if len(s.fails) > maxNames {
		for n, f := range s.fails {
			if now.After(f.until) {
				delete(s.fails, n)
			}
		}
	}
	for _, n := range names {
		if ok {
			delete(s.fails, n)
			continue
		}
		f := s.fails[n]
		if f == nil {
			if len(s.fails) > 2*maxNames {
				continue
			}
			f = &failures{}
			s.fails[n] = f
		}
		if f.n++; f.n >= freeTries {
			f.until = now.Add(min(time.Second<<min(f.n-freeTries, 20), maxWait))
		}
	}
}
