package oidc_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/auth/oidc"
)

var now = time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC)

// provider is a small OpenID provider: it signs whoever it is told to in, at once.
type provider struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu     sync.Mutex
	claims map[string]any      // of the next token, over what is right
	header map[string]any      // of the next token
	broken func(string) string // changes the token
	asked  url.Values          // of the last code's exchange
	nonce  string
	pkce   string
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB"}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		p.asked = r.PostForm
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if r.PostForm.Get("code") != "the-code" || base64.RawURLEncoding.EncodeToString(sum[:]) != p.pkce {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": p.token(t)})
	})
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	return p
}

// token is a signed token with what is right, and what the test wants instead.
func (p *provider) token(t testing.TB) string {
	claims := map[string]any{"iss": p.URL, "aud": "postern", "sub": "user-1", "nonce": p.nonce, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "preferred_username": "Dana"}
	for k, v := range p.claims {
		claims[k] = v
	}
	header := map[string]any{"alg": "RS256", "kid": "1"}
	for k, v := range p.header {
		header[k] = v
	}
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(header) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	text += "." + base64.RawURLEncoding.EncodeToString(sig)
	if p.broken != nil {
		text = p.broken(text)
	}
	return text
}

// visit reads the address that a person is sent to, as the provider would, and is the state.
func (p *provider) visit(t testing.TB, to string) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	v := u.Query()
	if u.Path != "/authorize" || v.Get("response_type") != "code" || v.Get("client_id") != "postern" || v.Get("code_challenge_method") != "S256" ||
		v.Get("redirect_uri") != "https://clinic.example/back" || !strings.Contains(v.Get("scope"), "openid") {
		t.Errorf("sent to %s", to)
	}
	p.nonce, p.pkce = v.Get("nonce"), v.Get("code_challenge")
	return v.Get("state")
}

func (p *provider) settings() oidc.Settings {
	return oidc.Settings{Issuer: p.URL, ClientID: "postern", Secret: "s"}
}

func TestSignIn(t *testing.T) {
	p := newProvider(t)
	for _, c := range []struct {
		situation string
		claims    map[string]any
		settings  func(*oidc.Settings)
		header    map[string]any
		broken    func(string) string
		later     time.Duration
		browser   string
		code      string
		login     string
		refused   bool
	}{
		{situation: "all is right", login: "dana"},
		{situation: "a suffix cut off", claims: map[string]any{"preferred_username": "Dana@Clinic.org"}, settings: func(s *oidc.Settings) { s.Suffix = "@clinic.org" }, login: "dana"},
		{situation: "another suffix", claims: map[string]any{"preferred_username": "dana@other.org"}, settings: func(s *oidc.Settings) { s.Suffix = "@clinic.org" }, login: ""},
		{situation: "a verified address", claims: map[string]any{"email": "dana@clinic.org", "email_verified": true}, settings: func(s *oidc.Settings) { s.Claim, s.Suffix = "email", "@clinic.org" }, login: "dana"},
		{situation: "an address nobody verified", claims: map[string]any{"email": "dana@clinic.org"}, settings: func(s *oidc.Settings) { s.Claim = "email" }, login: ""},
		{situation: "no name", claims: map[string]any{"preferred_username": ""}, login: ""},
		{situation: "another nonce", claims: map[string]any{"nonce": "x"}, refused: true},
		{situation: "no nonce", claims: map[string]any{"nonce": ""}, refused: true},
		{situation: "for another client", claims: map[string]any{"aud": "other"}, refused: true},
		{situation: "of another issuer", claims: map[string]any{"iss": "https://evil.example"}, refused: true},
		{situation: "over", claims: map[string]any{"exp": now.Add(-time.Minute).Unix()}, refused: true},
		{situation: "nobody", claims: map[string]any{"sub": ""}, refused: true},
		{situation: "not signed", header: map[string]any{"alg": "none"}, broken: func(s string) string { return s[:strings.LastIndex(s, ".")+1] }, refused: true},
		{situation: "signed as a shared secret", header: map[string]any{"alg": "HS256"}, refused: true},
		{situation: "a changed signature", broken: func(s string) string { return s[:len(s)-8] + "AAAAAAAA" }, refused: true},
		{situation: "no token", broken: func(string) string { return "" }, refused: true},
		{situation: "another code", code: "guessed", refused: true},
		{situation: "no code", code: "-", refused: true},
		{situation: "another browser", browser: "other", refused: true},
		{situation: "too late", later: oidc.Time, refused: true},
	} {
		t.Run(c.situation, func(t *testing.T) {
			clock := now
			client := oidc.New("https://clinic.example/back", p.Client().Transport, func() time.Time { return clock })
			s := p.settings()
			if c.settings != nil {
				c.settings(&s)
			}
			p.claims, p.header, p.broken = c.claims, c.header, c.broken
			to, err := client.Begin(t.Context(), "browser", "o-1", "/work", s)
			if err != nil {
				t.Fatal(err)
			}
			state := p.visit(t, to)
			clock = clock.Add(c.later)
			browser, code := "browser", "the-code"
			if c.browser != "" {
				browser = c.browser
			}
			if c.code != "" {
				code = strings.Trim(c.code, "-")
			}
			ask := func(org string) (oidc.Settings, error) {
				if org != "o-1" {
					t.Errorf("settings of %s", org)
				}
				return s, nil
			}
			id, err := client.Finish(t.Context(), browser, state, code, ask)
			if c.refused != errors.Is(err, oidc.ErrRefused) || !c.refused && err != nil {
				t.Fatalf("%+v, %v", id, err)
			}
			if !c.refused && (id.Login != c.login || id.Subject != "user-1" || id.Org != "o-1" || id.Next != "/work" || id.Key() != p.URL+" user-1") {
				t.Errorf("%+v", id)
			}
			if _, err := client.Finish(t.Context(), browser, state, code, ask); !errors.Is(err, oidc.ErrRefused) {
				t.Errorf("a state was used twice: %v", err)
			}
		})
	}
}

func TestAnotherOrganisationsProviderIsNotAsked(t *testing.T) {
	p := newProvider(t)
	client := oidc.New("https://clinic.example/back", p.Client().Transport, func() time.Time { return now })
	to, err := client.Begin(t.Context(), "browser", "o-1", "/", p.settings())
	if err != nil {
		t.Fatal(err)
	}
	state := p.visit(t, to)
	gone := errors.New("single sign-on was switched off")
	if _, err := client.Finish(t.Context(), "browser", state, "the-code", func(string) (oidc.Settings, error) { return oidc.Settings{}, gone }); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if p.asked != nil {
		t.Error("the provider was asked")
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	client := oidc.New("https://clinic.example/back", nil, func() time.Time { return now })
	for name, s := range map[string]oidc.Settings{
		"in the clear": {Issuer: "http://id.example", ClientID: "x"}, "no URL": {Issuer: "id.example", ClientID: "x"}, "no client": {Issuer: "https://id.example"},
		"another claim": {Issuer: "https://id.example", ClientID: "x", Claim: "role"}, "a URL with a question": {Issuer: "https://id.example?x", ClientID: "x"},
	} {
		if _, err := client.Begin(context.Background(), "b", "o", "/", s); !errors.Is(err, oidc.ErrSettings) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALookAtAProvider(t *testing.T) {
	p := newProvider(t)
	client := oidc.New("https://clinic.example/back", p.Client().Transport, func() time.Time { return now })
	if err := client.Look(t.Context(), "o-1", p.settings()); err != nil {
		t.Errorf("one that answers: %v", err)
	}
	other := p.settings()
	other.Issuer += "/another"
	if err := client.Look(t.Context(), "o-1", other); err == nil {
		t.Error("an issuer that is not there")
	}
	stranger := oidc.New("https://clinic.example/back", nil, func() time.Time { return now })
	if err := stranger.Look(t.Context(), "o-1", p.settings()); err == nil {
		t.Error("a certificate that nobody knows")
	}
}

func TestAProviderThatIsHostile(t *testing.T) {
	var body string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
	defer srv.Close()
	for name, b := range map[string]string{
		"no JSON":                    "<html>",
		"without TLS":                `{"issuer":"` + srv.URL + `","authorization_endpoint":"http://x/","token_endpoint":"http://x/","jwks_uri":"http://x/"}`,
		"another issuer":             `{"issuer":"https://evil.example","authorization_endpoint":"https://x/","token_endpoint":"https://x/","jwks_uri":"https://x/"}`,
		"an answer without end":      `{"issuer":"` + strings.Repeat("x", oidc.MaxAnswer) + `"}`,
		"an address that runs":       `{"issuer":"` + srv.URL + `","authorization_endpoint":"javascript:alert(1)","token_endpoint":"https://x/","jwks_uri":"https://x/"}`,
		"an address that is nothing": `{"issuer":"` + srv.URL + `"}`,
	} {
		body = b
		client := oidc.New("https://clinic.example/back", srv.Client().Transport, func() time.Time { return now })
		if to, err := client.Begin(t.Context(), "b", "o", "/", oidc.Settings{Issuer: srv.URL, ClientID: "x"}); err == nil {
			t.Errorf("%s: sent to %s", name, to)
		}
	}
}
