package auth_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/gateway/auth"
	"postern/gateway/edge/smtpd"
	"postern/gateway/lab/peer"
)

var _ smtpd.Authenticator = (*auth.Service)(nil)

// cheap is a cost for tests.
var cheap = auth.Cost{Passes: 1, MemoryKiB: 64, Lanes: 1}

// accounts is a map from login to password record.
type accounts struct {
	mu      sync.Mutex
	records map[string]string
	fault   error
	asked   int
}

func (a *accounts) Record(_ context.Context, login string) (string, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.fault != nil {
		return "", "", a.fault
	}
	r, ok := a.records[login]
	if !ok {
		return "", "", fmt.Errorf("row: %w", auth.ErrNoAccount)
	}
	return "p-" + login, r, nil
}

func (a *accounts) set(t testing.TB, login, password string) {
	t.Helper()
	r, err := cheap.Hash(password, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records[login] = r
}

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time       { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) pass(by time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(by) }
func newClock() *clock                 { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }
func service(a *accounts, c *clock) *auth.Service {
	return auth.NewService(auth.Config{Accounts: a, Clock: c.time, Cost: cheap})
}

func TestHashAndVerify(t *testing.T) {
	r, err := auth.Hash("correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Errorf("record %s", r)
	}
	if !auth.Verify(r, "correct horse") || auth.Verify(r, "correct horsf") || auth.Verify(r, "") {
		t.Error("verify is wrong")
	}
	again, _ := cheap.Hash("x", nil)
	if other, _ := cheap.Hash("x", nil); other == again {
		t.Error("two records share a salt")
	}
	for _, p := range []string{"", strings.Repeat("x", auth.MaxPassword+1)} {
		if _, err := auth.Hash(p, nil); err == nil {
			t.Errorf("password of %d octets was taken", len(p))
		}
	}
	if _, err := cheap.Hash("x", strings.NewReader("short")); err == nil {
		t.Error("a record without random salt")
	}
	if _, err := (auth.Cost{Passes: 100, MemoryKiB: 64, Lanes: 1}).Hash("x", nil); err == nil {
		t.Error("a cost out of bounds was taken")
	}
}

// The reference implementation's test vector (RFC 9106 has none for this call without secret and data).
func TestRecordOfAnotherImplementation(t *testing.T) {
	const r = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if !auth.Verify(r, "password") {
		t.Error("the reference's record does not verify")
	}
	if auth.Verify(r, "Password") {
		t.Error("another password verifies")
	}
}

func TestRecordOfTheArgon2Program(t *testing.T) {
	bin := peer.Need(t, "argon2")
	cmd := exec.Command(bin, "saltsaltsalt", "-id", "-t", "2", "-k", "1024", "-p", "2", "-e")
	cmd.Stdin = strings.NewReader("hello")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !auth.Verify(strings.TrimSpace(string(out)), "hello") {
		t.Errorf("%s does not verify", out)
	}
}

func TestHostileRecordsFitNothing(t *testing.T) {
	good, err := cheap.Hash("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, r := range map[string]string{
		"empty":             "",
		"clear text":        "x",
		"another algorithm": swap("argon2id", "argon2i"),
		"another version":   swap("v=19", "v=16"),
		"too much memory":   swap("m=64", "m=4000000"),
		"too many passes":   swap("t=1", "t=11"),
		"no passes":         swap("t=1", "t=0"),
		"too many lanes":    swap("p=1", "p=17"),
		"lanes overflow":    swap("p=1", "p=257"),
		"no lanes":          swap("p=1", "p=0"),
		"rest after lanes":  swap("p=1", "p=1x"),
		"leading zeros":     swap("t=1", "t=01"),
		"no key":            good[:strings.LastIndex(good, "$")+1],
		"longer":            good + "$x",
		"far too long":      good + strings.Repeat("A", 1000),
	} {
		if auth.Verify(r, "x") {
			t.Errorf("%s: fits", name)
		}
	}
}

func TestLogin(t *testing.T) {
	a, c := &accounts{records: map[string]string{}}, newClock()
	a.set(t, "ann", "right")
	a.records["bob"] = "not a record"
	s := service(a, c)
	broken := errors.New("database is locked")
	cases := []struct {
		name, login, password string
		fault, want           error
	}{
		{"right", "ann", "right", nil, nil},
		{"right again, remembered", "ann", "right", nil, nil},
		{"wrong password", "ann", "wrong", nil, auth.ErrRefused},
		{"unknown login", "eve", "right", nil, auth.ErrRefused},
		{"record that cannot be read", "bob", "right", nil, auth.ErrRefused},
		{"no login", "", "right", nil, auth.ErrRefused},
		{"no password", "ann", "", nil, auth.ErrRefused},
		{"login too long", strings.Repeat("a", auth.MaxLogin+1), "right", nil, auth.ErrRefused},
		{"password too long", "ann", strings.Repeat("a", auth.MaxPassword+1), nil, auth.ErrRefused},
		{"database fault", "ann", "right", broken, broken},
	}
	for i, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			a.fault = k.fault
			p, err := s.Login(t.Context(), k.login, k.password, fmt.Sprintf("192.0.2.%d", i))
			if !errors.Is(err, k.want) || (err == nil) != (k.want == nil) {
				t.Fatalf("got %v, want %v", err, k.want)
			}
			if k.fault != nil && errors.Is(err, auth.ErrRefused) {
				t.Error("a fault is told as a wrong password")
			}
			if want := map[bool]string{true: "p-" + k.login}[k.want == nil]; p != want {
				t.Errorf("principal %q, want %q", p, want)
			}
		})
	}
}

func TestAChangedPasswordIsNotRemembered(t *testing.T) {
	a, c := &accounts{records: map[string]string{}}, newClock()
	a.set(t, "ann", "old")
	s := service(a, c)
	if _, err := s.Login(t.Context(), "ann", "old", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	a.set(t, "ann", "new")
	if _, err := s.Login(t.Context(), "ann", "old", "192.0.2.1"); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("old password: %v", err)
	}
	if _, err := s.Login(t.Context(), "ann", "new", "192.0.2.1"); err != nil {
		t.Errorf("new password: %v", err)
	}
	delete(a.records, "ann")
	if _, err := s.Login(t.Context(), "ann", "new", "192.0.2.1"); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("removed account: %v", err)
	}
}

func TestThrottleByLoginAndNetwork(t *testing.T) {
	a, c := &accounts{records: map[string]string{}}, newClock()
	a.set(t, "ann", "right")
	s := service(a, c)
	try := func(login, password, peer string) error {
		_, err := s.Login(t.Context(), login, password, peer)
		return err
	}
	for i := range 5 {
		if err := try("ann", "wrong", "192.0.2.1"); !errors.Is(err, auth.ErrRefused) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	asked := a.asked
	if err := try("ANN", "right", "192.0.2.1"); !errors.Is(err, auth.ErrThrottle) || errors.Is(err, auth.ErrRefused) {
		t.Fatalf("sixth try: %v", err)
	}
	if a.asked != asked {
		t.Error("work was done for a throttled login")
	}
	if err := try("ann", "right", "192.0.2.2"); err != nil {
		t.Fatalf("from another network: %v", err)
	}
	c.pass(time.Second)
	if err := try("ann", "wrong", "192.0.2.1"); !errors.Is(err, auth.ErrRefused) {
		t.Fatalf("after the wait: %v", err)
	}
	c.pass(time.Second)
	if err := try("ann", "right", "192.0.2.1"); !errors.Is(err, auth.ErrThrottle) {
		t.Fatalf("the second wait is longer: %v", err)
	}
	c.pass(time.Second)
	if err := try("ann", "right", "192.0.2.1"); err != nil {
		t.Fatalf("right after the second wait: %v", err)
	}
	if err := try("ann", "wrong", "192.0.2.1"); !errors.Is(err, auth.ErrRefused) {
		t.Fatalf("a success forgets the failures before it: %v", err)
	}
}

func TestThrottleRules(t *testing.T) {
	c := newClock()
	fail := func(th *auth.Throttle, n int, login, peer func(int) string) {
		for i := range n {
			th.Failed(login(i), peer(i))
		}
	}
	same := func(s string) func(int) string { return func(int) string { return s } }
	each := func(format string) func(int) string { return func(i int) string { return fmt.Sprintf(format, i) } }
	cases := []struct {
		name        string
		failures    int
		login, peer func(int) string
		ask         [2]string
		want        time.Duration
	}{
		{"four of a pair", 4, same("a"), same("192.0.2.1"), [2]string{"a", "192.0.2.1"}, 0},
		{"five of a pair", 5, same("a"), same("192.0.2.1"), [2]string{"a", "192.0.2.1"}, time.Second},
		{"eight of a pair", 8, same("a"), same("192.0.2.1"), [2]string{"a", "192.0.2.1"}, 8 * time.Second},
		{"very many of a pair", 300, same("a"), same("192.0.2.1"), [2]string{"a", "192.0.2.1"}, 15 * time.Minute},
		{"a network tries logins", 19, each("u%d"), same("192.0.2.1"), [2]string{"x", "192.0.2.1"}, 0},
		{"a network tries many logins", 20, each("u%d"), same("192.0.2.1"), [2]string{"x", "192.0.2.1"}, time.Second},
		{"many networks try a login", 50, same("a"), each("192.0.2.%d"), [2]string{"a", "198.51.100.1"}, time.Second},
		{"very many networks try a login", 200, same("a"), each("192.0.2.%d"), [2]string{"a", "198.51.100.1"}, time.Minute},
		{"another login there", 200, same("a"), each("192.0.2.%d"), [2]string{"b", "198.51.100.1"}, 0},
		{"one IPv6 network", 20, each("u%d"), each("2001:db8::%x"), [2]string{"x", "2001:db8::ffff"}, time.Second},
		{"the next IPv6 network", 20, each("u%d"), each("2001:db8::%x"), [2]string{"x", "2001:db8:0:1::1"}, 0},
		{"IPv4 in IPv6", 20, each("u%d"), same("::ffff:192.0.2.1"), [2]string{"x", "192.0.2.1"}, time.Second},
		{"a peer that is no address", 20, each("u%d"), same("pipe"), [2]string{"x", "pipe"}, time.Second},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			th := auth.NewThrottle(c.time)
			fail(th, k.failures, k.login, k.peer)
			if w := th.Wait(k.ask[0], k.ask[1]); w != k.want {
				t.Errorf("wait %v, want %v", w, k.want)
			}
		})
	}
	t.Run("who was right lately is not kept out by strangers", func(t *testing.T) {
		th := auth.NewThrottle(c.time)
		th.Succeeded("a", "192.0.2.1")
		fail(th, 200, same("a"), each("198.51.100.%d"))
		fail(th, 200, each("u%d"), same("192.0.2.1"))
		if w := th.Wait("a", "192.0.2.1"); w != 0 {
			t.Errorf("wait %v", w)
		}
		fail(th, 5, same("a"), same("192.0.2.1"))
		if w := th.Wait("a", "192.0.2.1"); w != time.Second {
			t.Errorf("own failures: wait %v", w)
		}
	})
	t.Run("a good account does not clear guesses at others", func(t *testing.T) {
		th := auth.NewThrottle(c.time)
		fail(th, 20, each("u%d"), same("192.0.2.1"))
		th.Succeeded("mine", "192.0.2.1")
		if w := th.Wait("victim", "192.0.2.1"); w != time.Second {
			t.Errorf("wait %v", w)
		}
	})
	t.Run("failures are forgotten", func(t *testing.T) {
		c := newClock()
		th := auth.NewThrottle(c.time)
		fail(th, 8, same("a"), same("192.0.2.1"))
		c.pass(time.Hour + 10*time.Second)
		th.Failed("a", "192.0.2.1")
		if w := th.Wait("a", "192.0.2.1"); w != 0 {
			t.Errorf("wait %v", w)
		}
	})
}

func TestThrottleIsBoundedAndRemembersTheWorst(t *testing.T) {
	c := newClock()
	th := auth.NewThrottle(c.time)
	for range 30 {
		th.Failed("victim", "192.0.2.1")
	}
	for i := range 12000 {
		th.Failed(fmt.Sprint("u", i), fmt.Sprintf("2001:db8:%x:%x::1", i>>8, i&255))
	}
	if n := auth.Names(th); n > 10000 {
		t.Errorf("%d names", n)
	}
	if th.Wait("victim", "192.0.2.1") == 0 {
		t.Error("a flood of names made the throttle forget who must wait")
	}
}

// slow is an Accounts whose Record is quick and whose records are cheap; what waits is the slot.
func TestManyGuessesAtOnceGetNoMoreThanTheirTurn(t *testing.T) {
	a, c := &accounts{records: map[string]string{}}, newClock()
	r, err := (auth.Cost{Passes: 2, MemoryKiB: 4096, Lanes: 1}).Hash("right", nil)
	if err != nil {
		t.Fatal(err)
	}
	a.records["ann"] = r
	s := service(a, c)
	var mu sync.Mutex
	count := map[error]int{}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			_, err := s.Login(context.Background(), "ann", fmt.Sprint("guess", i), "192.0.2.1")
			mu.Lock()
			defer mu.Unlock()
			for _, e := range []error{auth.ErrRefused, auth.ErrThrottle, auth.ErrBusy} {
				if errors.Is(err, e) {
					count[e]++
				}
			}
		})
	}
	wg.Wait()
	if n := count[auth.ErrRefused]; n < 5 || n > 5+auth.AtOnce {
		t.Errorf("%d guesses were verified, want 5 and those already running", n)
	}
	if n := count[auth.ErrRefused] + count[auth.ErrThrottle] + count[auth.ErrBusy]; n != 200 {
		t.Errorf("%d answers of a known kind: %v", n, count)
	}
}

func TestAWaitingLoginGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &accounts{records: map[string]string{}}
		s := auth.NewService(auth.Config{Accounts: a, Cost: cheap})
		release := auth.TakeSlots(s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.Login(ctx, "ann", "x", "192.0.2.1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		for range auth.MaxWaiting {
			go s.Login(t.Context(), "ann", "x", "192.0.2.1")
		}
		synctest.Wait()
		if _, err := s.Login(t.Context(), "ann", "x", "192.0.2.1"); !errors.Is(err, auth.ErrBusy) {
			t.Errorf("one more than may wait: %v", err)
		}
		release()
		synctest.Wait()
	})
}

func FuzzVerify(f *testing.F) {
	good, err := cheap.Hash("x", strings.NewReader("sixteen octets..")) // the same in every fuzzing process
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("$argon2id$v=19$m=4000000000,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, record string) {
		if auth.Small(record) && auth.Verify(record, "x") && record != good {
			t.Fatalf("%q fits", record)
		}
	})
}

func BenchmarkLogin(b *testing.B) {
	a := &accounts{records: map[string]string{}}
	r, err := auth.Hash("right", nil)
	if err != nil {
		b.Fatal(err)
	}
	a.records["ann"] = r
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if !auth.Verify(r, "right") {
				b.Fatal("does not fit")
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		s := auth.NewService(auth.Config{Accounts: a})
		if _, err := s.Login(b.Context(), "ann", "right", "192.0.2.1"); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := s.Login(b.Context(), "ann", "right", "192.0.2.1"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
