package keyring_test

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/keyring"
	"postern/smime/addr"
)

var (
	now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	dom = addr.MustDomain("direct.clinic.example")
	jo  = addr.MustParse("jo@direct.clinic.example")
)

// shelf is a Source and an Unsealer whose sealing is a prefix.
type shelf struct {
	rows   []keyring.Stored
	opened int
}

func (s *shelf) StoredCredentials(_ context.Context, d addr.Domain) ([]keyring.Stored, error) {
	return s.rows, nil
}

func (s *shelf) OpenSecret(org, purpose string, sealed []byte) ([]byte, error) {
	s.opened++
	body, ok := strings.CutPrefix(string(sealed), org+"/"+purpose+"/")
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	return []byte(body), nil
}

// put makes a credential and stores it.
func (s *shelf) put(t *testing.T, o issue.LeafOptions, change func(*keyring.Stored)) certs.Credential {
	t.Helper()
	made := o.Now
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "CA", Algorithm: issue.P256, Now: made})
	if err != nil {
		t.Fatal(err)
	}
	o.Algorithm = issue.P256
	c, err := ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		t.Fatal(err)
	}
	row := keyring.Stored{Credential: certs.Credential{ID: c.ID, Cert: c.Cert}, Org: "o", CanSign: c.CanSign(), CanDecrypt: c.CanDecrypt(),
		SealedKey: []byte("o/" + keyring.Purpose(c.ID) + "/" + string(der))}
	if change != nil {
		change(&row)
	}
	s.rows = append(s.rows, row)
	return c
}

func TestSigningPicksTheRightCredential(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		situation string
		leaves    []issue.LeafOptions
		retire    int // index of one retired, or -1
		want      int // index that signs, or -1
		why       string
	}{
		{"none", nil, -1, -1, "none is stored"},
		{"of the domain", []issue.LeafOptions{{Domain: dom, Now: now}}, -1, 0, ""},
		{"of the address before the domain", []issue.LeafOptions{{Address: jo, Now: now.Add(-day)}, {Domain: dom, Now: now}}, -1, 0, ""},
		{"the newest of two", []issue.LeafOptions{{Domain: dom, Now: now.Add(-day)}, {Domain: dom, Now: now}}, -1, 1, ""},
		{"of another address", []issue.LeafOptions{{Address: addr.MustParse("al@direct.clinic.example"), Now: now}}, -1, -1, "none is stored"},
		{"of the parent domain", []issue.LeafOptions{{Domain: addr.MustDomain("clinic.example"), Now: now}}, -1, -1, "none is stored"},
		{"for encryption only", []issue.LeafOptions{{Domain: dom, Now: now, Use: issue.Encrypt}}, -1, -1, "cannot sign"},
		{"expired", []issue.LeafOptions{{Domain: dom, Now: now.Add(-10 * day), Life: day}}, -1, -1, "not valid now"},
		{"not yet valid", []issue.LeafOptions{{Domain: dom, Now: now.Add(day)}}, -1, -1, "not valid now"},
		{"retired", []issue.LeafOptions{{Domain: dom, Now: now}}, 0, -1, "retired"},
		{"retired beside an older one", []issue.LeafOptions{{Domain: dom, Now: now}, {Domain: dom, Now: now.Add(-day)}}, 0, 1, ""},
	} {
		t.Run(c.situation, func(t *testing.T) {
			s := &shelf{}
			var made []certs.Credential
			for i, o := range c.leaves {
				made = append(made, s.put(t, o, func(r *keyring.Stored) { r.Retired = i == c.retire }))
			}
			got, err := keyring.New(s, s, func() time.Time { return now }).Signing(t.Context(), jo)
			if c.want < 0 {
				if !errors.Is(err, keyring.ErrNoKey) || !strings.Contains(err.Error(), c.why) {
					t.Fatalf("%v, want %q", err, c.why)
				}
				return
			}
			if err != nil || got.ID != made[c.want].ID || !got.CanSign() {
				t.Fatalf("%v, signs with %s", err, got.ID)
			}
		})
	}
}

// TestDecryptionKeepsOldKeys: retired and expired keys still open mail under way, those of others never do.
func TestDecryptionKeepsOldKeys(t *testing.T) {
	s := &shelf{}
	s.put(t, issue.LeafOptions{Domain: dom, Now: now.AddDate(-3, 0, 0)}, nil)
	s.put(t, issue.LeafOptions{Address: jo, Now: now}, func(r *keyring.Stored) { r.Retired = true })
	s.put(t, issue.LeafOptions{Address: addr.MustParse("al@direct.clinic.example"), Now: now}, nil)
	ring := keyring.New(s, s, func() time.Time { return now })
	for range 2 {
		got, err := ring.Decryption(t.Context(), addr.MustParse("JO+lab@direct.clinic.example"))
		if err != nil || len(got) != 2 {
			t.Fatalf("%d keys, %v", len(got), err)
		}
	}
	if s.opened != 2 {
		t.Errorf("a key was unsealed %d times, want once each", s.opened)
	}
	if pub, err := ring.Published(t.Context(), jo); err != nil || len(pub) != 0 {
		t.Errorf("published %d of an expired and a retired certificate, %v", len(pub), err)
	}
}

func TestPublishedPrefersTheAddress(t *testing.T) {
	s := &shelf{}
	s.put(t, issue.LeafOptions{Domain: dom, Now: now}, nil)
	mine := s.put(t, issue.LeafOptions{Address: jo, Now: now}, nil)
	s.put(t, issue.LeafOptions{Address: jo, Now: now, Use: issue.Sign}, nil)
	ring := keyring.New(s, s, func() time.Time { return now })
	if pub, err := ring.Published(t.Context(), jo); err != nil || len(pub) != 1 || !pub[0].Equal(mine.Cert) {
		t.Errorf("for the address: %d, %v", len(pub), err)
	}
	if pub, err := ring.Published(t.Context(), addr.MustParse("al@direct.clinic.example")); err != nil || len(pub) != 1 || pub[0].Equal(mine.Cert) {
		t.Errorf("for another address: %d, %v", len(pub), err)
	}
}

func TestDamagedKeysAreNamed(t *testing.T) {
	for situation, change := range map[string]func(*keyring.Stored){
		"sealed for another credential": func(r *keyring.Stored) { r.SealedKey = []byte("o/credential other/x") },
		"not a key":                     func(r *keyring.Stored) { r.SealedKey = []byte("o/" + keyring.Purpose(r.Credential.ID) + "/junk") },
	} {
		s := &shelf{}
		c := s.put(t, issue.LeafOptions{Domain: dom, Now: now}, change)
		if _, err := keyring.New(s, s, func() time.Time { return now }).Signing(t.Context(), jo); err == nil || !strings.Contains(err.Error(), c.ID) {
			t.Errorf("%s: %v", situation, err)
		}
	}
	s := &shelf{}
	s.put(t, issue.LeafOptions{Domain: dom, Now: now}, nil)
	s.put(t, issue.LeafOptions{Domain: dom, Now: now.Add(-time.Hour)}, nil)
	// The key of one under the certificate of the other.
	a, b := s.rows[0], s.rows[1]
	body, _ := strings.CutPrefix(string(b.SealedKey), "o/"+keyring.Purpose(b.Credential.ID)+"/")
	a.SealedKey = []byte("o/" + keyring.Purpose(a.Credential.ID) + "/" + body)
	s.rows = []keyring.Stored{a}
	if _, err := keyring.New(s, s, func() time.Time { return now }).Signing(t.Context(), jo); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("exchanged keys: %v", err)
	}
}
