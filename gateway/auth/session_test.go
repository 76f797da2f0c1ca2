package auth_test

import (
	"strings"
	"testing"
	"time"

	"postern/gateway/auth"
)

func TestSessionAlive(t *testing.T) {
	now := time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC)
	full := auth.Session{Hash: "h", Person: "p", Stage: auth.Full, Created: now, Seen: now, Proved: now}
	for _, c := range []struct {
		situation string
		change    func(*auth.Session)
		at        time.Duration
		want      bool
	}{
		{"new", func(*auth.Session) {}, 0, true},
		{"idle", func(*auth.Session) {}, auth.SessionIdle, false},
		{"used now and then", func(s *auth.Session) { s.Seen = now.Add(11 * time.Hour) }, 11*time.Hour + time.Minute, true},
		{"a day old", func(s *auth.Session) { s.Seen = now.Add(auth.SessionTotal) }, auth.SessionTotal, false},
		{"half", func(s *auth.Session) { s.Stage = auth.Half }, auth.HalfTotal - 1, true},
		{"half for too long", func(s *auth.Session) { s.Stage = auth.Half }, auth.HalfTotal, false},
		{"of nobody", func(s *auth.Session) { s.Person = "" }, 0, false},
		{"the zero one", func(s *auth.Session) { *s = auth.Session{} }, 0, false},
		{"made in the future", func(*auth.Session) {}, -2 * time.Minute, false},
	} {
		s := full
		c.change(&s)
		if got := s.Alive(now.Add(c.at)); got != c.want {
			t.Errorf("%s: %v", c.situation, got)
		}
	}
	if !full.Fresh(now.Add(auth.ProofFor-1)) || full.Fresh(now.Add(auth.ProofFor)) || (auth.Session{}).Fresh(now) {
		t.Error("fresh")
	}
	old := full
	old.Seen = now.Add(auth.SessionTotal - time.Minute)
	if full.Ends() != now.Add(auth.SessionIdle) || old.Ends() != now.Add(auth.SessionTotal) {
		t.Error("ends")
	}
}

func TestTokens(t *testing.T) {
	a, b := auth.NewToken(), auth.NewToken()
	if a == b || len(a) != 43 || strings.Trim(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("%q %q", a, b)
	}
	if auth.HashToken(a) == auth.HashToken(b) || strings.Contains(auth.HashToken(a), a) || len(auth.HashToken(a)) != 64 {
		t.Error("hashes")
	}
}

func TestPasswordsPeopleMayNotChoose(t *testing.T) {
	for _, c := range []struct{ situation, password, says string }{
		{"a few words", "three green herons fly", ""},
		{"twelve letters", "mzvqkrhdnwpt", ""},
		{"not in Latin", "пятьзелёныхцапель", ""},
		{"the shortest that is long in octets only", "ééééééé", "12 characters"},
		{"short", "Tr0ub4dor&3", "12 characters"},
		{"nothing", "", "12 characters"},
		{"far too long", strings.Repeat("three green herons ", 100), "1024 octets"},
		{"one letter", strings.Repeat("a", 20), "different"},
		{"two letters", strings.Repeat("ab", 10), "different"},
		{"the name of the program", "PosternPostern1", "easily guessed"},
		{"the person's own name", "DanaReyes2030!", "easily guessed"},
		{"the login and a year", "dreyes-dreyes-2030", "easily guessed"},
		{"a keyboard row", "qwertyuiop1234", "easily guessed"},
		{"a season and a year", "Summer2030!!", "easily guessed"},
		{"a common word and one's own", "password-elephant", ""},
	} {
		err := auth.CheckNew(c.password, "dreyes", "Dana Reyes")
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.situation, err, c.says)
		}
	}
}
