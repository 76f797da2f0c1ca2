package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// How long a session of the web lasts. Clinics share screens: half an hour without a person, and a working day.
const (
	SessionIdle  = 30 * time.Minute // without a request a person made
	SessionTotal = 12 * time.Hour   // since the sign-in
	HalfTotal    = 10 * time.Minute // between the first and the second proof of a sign-in
	ProofFor     = 15 * time.Minute // a proof counts as fresh: what changes how one signs in asks for a fresh one
)

// Stage is how far a sign-in went.
type Stage string

// The stages. Only Full is a person who is signed in.
const (
	Half Stage = "half" // the password was right, the second proof is still to come
	Full Stage = "full"
)

// Session is one browser's sign-in. Its secret is known to the browser alone: here is its hash.
type Session struct {
	Hash    string    `json:"-"`
	Org     string    `json:"org"`
	Person  string    `json:"person"`
	Stage   Stage     `json:"stage"`
	Method  string    `json:"method"` // "password", "password+totp", "passkey", "oidc", "link"
	Peer    string    `json:"peer"`   // IP address at the sign-in
	Agent   string    `json:"agent"`  // "Firefox on Windows", for the person's own list
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`   // last request a person made, to a minute
	Proved  time.Time `json:"proved"` // last time the person proved who they are
}

// Alive tells whether the session still counts.
func (s Session) Alive(now time.Time) bool {
	if s.Hash == "" || s.Person == "" || now.Before(s.Created.Add(-time.Minute)) {
		return false
	}
	if s.Stage != Full {
		return now.Before(s.Created.Add(HalfTotal))
	}
	return now.Before(s.Created.Add(SessionTotal)) && now.Before(s.Seen.Add(SessionIdle))
}

// Ends is when the session ends by itself if nothing is done.
func (s Session) Ends() time.Time {
	total, idle := s.Created.Add(SessionTotal), s.Seen.Add(SessionIdle)
	if idle.Before(total) {
		return idle
	}
	return total
}

// Fresh tells whether the person proved lately who they are.
func (s Session) Fresh(now time.Time) bool { return now.Before(s.Proved.Add(ProofFor)) }

// NewToken is a new secret of 256 random bits for a session or a one-time link, in URL-safe text.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// HashToken is what is stored of a secret. It is random and long, so a plain SHA-256 tells nothing of it.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte("postern-token-1\x00" + token))
	return hex.EncodeToString(sum[:])
}
