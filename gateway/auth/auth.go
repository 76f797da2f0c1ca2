package auth

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Limits of a Service.
const (
	MaxLogin   = 255 // octets
	AtOnce     = 2   // verifications running
	MaxWaiting = 64  // logins waiting for one
)

// What Login says. ErrRefused is final and the same for a wrong password and a login that does not
// exist; the others ask to come back.
var (
	ErrRefused  = errors.New("auth: login refused")
	ErrThrottle = errors.New("auth: too many failures, wait")
	ErrBusy     = errors.New("auth: too many logins at once, wait")
)

// ErrNoAccount is what Accounts says of a login that does not exist or is disabled.
var ErrNoAccount = errors.New("auth: no such account")

// Accounts knows the password records. Record's error wraps ErrNoAccount for a login that does not
// exist; any other is a fault and makes the login temporary trouble, not a wrong password.
type Accounts interface {
	Record(ctx context.Context, login string) (principal, record string, err error)
}

// Config is what a Service needs: Accounts; the rest has defaults.
type Config struct {
	Accounts Accounts
	Clock    func() time.Time // time.Now
	Cost     Cost             // of an unknown login, as of the records: DefaultCost
}

// Service checks logins. Several goroutines may use it at once.
type Service struct {
	accounts Accounts
	decoy    string
	throttle *Throttle
	memory   *memory
	slots    chan struct{}
	waiting  atomic.Int64
}

// NewService makes a service.
func NewService(c Config) *Service {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Cost == (Cost{}) {
		c.Cost = DefaultCost
	}
	return &Service{accounts: c.Accounts, decoy: c.Cost.decoy(), throttle: NewThrottle(c.Clock),
		memory: newMemory(c.Clock), slots: make(chan struct{}, AtOnce)}
}

// Login checks a login from a peer (an IP address) and returns its principal. It may wait for its turn
// until ctx ends. Errors wrap ErrRefused, ErrThrottle or ErrBusy, or are those of Accounts or ctx.
func (s *Service) Login(ctx context.Context, login, password, peer string) (string, error) {
	if login == "" || password == "" || len(login) > MaxLogin || len(password) > MaxPassword {
		return "", ErrRefused // no account has these, and no work is done for them
	}
	if err := s.heard(login, peer); err != nil {
		return "", err
	}
	principal, record, err := s.accounts.Record(ctx, login)
	switch {
	case errors.Is(err, ErrNoAccount) || err == nil && principal == "":
		principal, record = "", s.decoy
	case err != nil:
		return "", fmt.Errorf("auth: %w", err)
	}
	if principal == "" || !s.memory.knows(login, record, password) {
		if err := s.verify(ctx, attempt{login, password, peer, record, principal != ""}); err != nil {
			return "", err
		}
	}
	s.throttle.Succeeded(login, peer)
	return principal, nil
}

func (s *Service) heard(login, peer string) error {
	if w := s.throttle.Wait(login, peer); w > 0 {
		return fmt.Errorf("%w %v", ErrThrottle, w.Round(time.Second))
	}
	return nil
}

// attempt is one login to be verified.
type attempt struct {
	login, password, peer, record string
	known                         bool
}

// verify does the work of one verification, whether the login exists or not.
func (s *Service) verify(ctx context.Context, a attempt) error {
	if s.waiting.Add(1) > MaxWaiting {
		s.waiting.Add(-1)
		return ErrBusy
	}
	defer s.waiting.Add(-1)
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("auth: %w", context.Cause(ctx))
	}
	defer func() { <-s.slots }()
	// Again: of many guesses sent at once most waited here while the first ones failed.
	if err := s.heard(a.login, a.peer); err != nil {
		return err
	}
	if fits := Verify(a.record, a.password); !fits || !a.known {
		s.throttle.Failed(a.login, a.peer)
		return ErrRefused
	}
	s.memory.keep(a.login, a.record, a.password)
	return nil
}
