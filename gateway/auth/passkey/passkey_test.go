package passkey_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/gateway/auth/passkey"
)

// The ceremonies themselves are walked by a browser with a virtual authenticator, in web/door.

func TestHosts(t *testing.T) {
	for host, ok := range map[string]bool{"clinic.example": true, "localhost": true, "192.0.2.1": false, "": false, "clinic.example:443": false} {
		if _, err := passkey.New(host, "https://"+host, "Postern", time.Now); (err == nil) != ok {
			t.Errorf("host %q: %v", host, err)
		}
	}
}

// asked is what a browser is asked.
type asked struct {
	Challenge        string `json:"challenge"`
	RPID             string `json:"rpId"`
	UserVerification string `json:"userVerification"`
	AllowCredentials []any  `json:"allowCredentials"`
}

func TestWhatIsAsked(t *testing.T) {
	s, err := passkey.New("clinic.example", "https://clinic.example", "Postern", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 3 {
		b, err := s.Ask("browser", nil)
		var a asked
		if err == nil {
			err = json.Unmarshal(b, &a)
		}
		if err != nil || len(a.Challenge) < 42 || seen[a.Challenge] || a.RPID != "clinic.example" || a.UserVerification != "required" || len(a.AllowCredentials) > 0 {
			t.Errorf("%s %v", b, err)
		}
		seen[a.Challenge] = true
	}
	if _, err := s.Ask("browser", &passkey.Person{Handle: "h", Keys: [][]byte{[]byte("not a key")}}); err == nil {
		t.Error("a stored key that cannot be read")
	}
	b, err := s.Register("browser", passkey.Person{Handle: "o-1/p-1", Login: "dana", Name: "Dana"})
	if err != nil || !strings.Contains(string(b), `"residentKey":"required"`) || !strings.Contains(string(b), `"attestation":"none"`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestNothingUnderWayProvesNothing(t *testing.T) {
	now := time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC)
	s, err := passkey.New("clinic.example", "https://clinic.example", "Postern", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	find := func(string) (passkey.Person, error) { t.Error("a person was looked for"); return passkey.Person{}, nil }
	ask := func(browser string) {
		if _, err := s.Ask(browser, nil); err != nil {
			t.Fatal(err)
		}
	}
	for situation, do := range map[string]func() error{
		"nothing began": func() error { _, err := s.Answer("other", []byte("{}"), find); return err },
		"no answer":     func() error { ask("b"); _, err := s.Answer("b", nil, find); return err },
		"an answer twice": func() error {
			ask("b")
			_, _ = s.Answer("b", nil, find)
			_, err := s.Answer("b", []byte("{}"), find)
			return err
		},
		"too late": func() error {
			ask("b")
			now = now.Add(passkey.Time)
			_, err := s.Answer("b", []byte("{}"), find)
			return err
		},
		"too long":                                     func() error { ask("b"); _, err := s.Answer("b", make([]byte, passkey.MaxResponse+1), find); return err },
		"a registration that nobody began":             func() error { _, _, err := s.Registered("b", passkey.Person{}, []byte("{}")); return err },
		"a registration with an assertion's beginning": func() error { ask("b"); _, _, err := s.Registered("b", passkey.Person{}, []byte("{}")); return err },
	} {
		if err := do(); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%s: %v", situation, err)
		}
	}
}

func TestCeremoniesAreBounded(t *testing.T) {
	now := time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC)
	s, err := passkey.New("clinic.example", "https://clinic.example", "Postern", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for i := range passkey.MaxPending + 50 {
		now = now.Add(time.Microsecond)
		if _, err := s.Ask(fmt.Sprint(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Pending(); n != passkey.MaxPending {
		t.Errorf("%d ceremonies are remembered", n)
	}
}
