// Package oidc is single sign-on at a provider of the organisation's own: OpenID Connect Core 1.0, code flow with PKCE
// (RFC 7636, S256), state and nonce.
//
// github.com/coreos/go-oidc (Apache-2.0, kept by its authors for ten years, small) does discovery, keys and the
// verification of ID tokens, over golang.org/x/oauth2 (BSD-3-Clause, the Go project's); both have their only home
// here. They are taken because a token's signature and claims are checked in many places that go wrong.
//
// A sign-in is bound to the browser that began it and to its organisation, and is spent by its first answer. The
// subject at the issuer is the identity; the claim that names the login is only asked the first time. Tokens are used
// and forgotten.
//
// What is under way is in memory only, on purpose: state, nonce and verifier of before a restart are known to nobody, so
// who comes back with them, the first time or again, is ErrOver and begins again. Limits: MaxPending sign-ins of Time each,
// MaxAnswer octets of an answer of the provider, Wait for one; the provider's own description is asked again after
// an hour.
package oidc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	lib "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Limits.
const (
	MaxPending = 10000
	Time       = 10 * time.Minute
	MaxAnswer  = 1 << 20 // octets
	Wait       = 15 * time.Second
	knowFor    = time.Hour
	maxName    = 200 // octets of a claim
)

// Errors. ErrRefused is an answer that proves nothing, ErrOver one of them to which nothing is under way: broken off there,
// too late, used before, or begun before a restart. Others are faults of the way there.
var (
	ErrRefused  = errors.New("oidc: not proved")
	ErrOver     = fmt.Errorf("%w: nothing is under way", ErrRefused)
	ErrSettings = errors.New("oidc: settings")
)

// Settings are an organisation's.
type Settings struct {
	Issuer   string // https URL
	ClientID string
	Secret   string
	Claim    string // names the login: "preferred_username", or "email", which must be verified; "" is the former
	Suffix   string // "@clinic.org": must end the claim, and is cut off; "" takes the claim as it is
}

// Check finds what cannot work.
func (s Settings) Check() error {
	u, err := url.Parse(s.Issuer)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%w: the issuer is an https URL", ErrSettings)
	case s.ClientID == "":
		return fmt.Errorf("%w: no client id", ErrSettings)
	case s.Claim != "" && s.Claim != "preferred_username" && s.Claim != "email":
		return fmt.Errorf("%w: the claim is preferred_username or email", ErrSettings)
	}
	return nil
}

// Identity is who came back.
type Identity struct {
	Org     string
	Issuer  string
	Subject string // with Issuer the identity, for ever
	Login   string // what the claim says, lower case, without the suffix; "" when it says nothing usable
	Next    string // where the person wanted to go
}

// Key is the identity as one text.
func (i Identity) Key() string { return i.Issuer + " " + i.Subject }

// Client signs people in at providers.
type Client struct {
	http     *http.Client
	redirect string // our URL that providers send people back to
	clock    func() time.Time

	mu      sync.Mutex
	pending map[string]begun // by state
	known   map[string]known // by organisation
}

type begun struct {
	browser, org, nonce, verifier, next string
	ends                                time.Time
}

type known struct {
	settings Settings
	provider *lib.Provider
	until    time.Time
}

// New makes a client; transport is http.DefaultTransport when nil.
func New(redirect string, transport http.RoundTripper, clock func() time.Time) *Client {
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &Client{http: &http.Client{Transport: bounded{transport}, Timeout: Wait}, redirect: redirect, clock: clock,
		pending: map[string]begun{}, known: map[string]known{}}
}

// Look asks an organisation's provider what it is, and says what keeps people from signing in there.
func (c *Client) Look(ctx context.Context, org string, s Settings) error {
	_, _, err := c.config(ctx, org, s)
	return err
}

// Begin is the URL at the provider that signs in for an organisation.
func (c *Client) Begin(ctx context.Context, browser, org, next string, s Settings) (string, error) {
	config, _, err := c.config(ctx, org, s)
	if err != nil {
		return "", err
	}
	state, b := rand.Text(), begun{browser: browser, org: org, nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), next: next, ends: c.clock().Add(Time)}
	c.keep(state, b)
	return config.AuthCodeURL(state, lib.Nonce(b.nonce), oauth2.S256ChallengeOption(b.verifier)), nil
}

// Finish is who came back with a state and a code; settings gives those of the organisation that began.
func (c *Client) Finish(ctx context.Context, browser, state, code string, settings func(org string) (Settings, error)) (Identity, error) {
	b, ok := c.take(state)
	switch {
	case !ok || code == "":
		return Identity{}, ErrOver
	case b.browser != browser:
		return Identity{}, fmt.Errorf("%w: another browser began", ErrRefused)
	}
	s, err := settings(b.org)
	if err != nil {
		return Identity{}, err
	}
	config, provider, err := c.config(ctx, b.org, s)
	if err != nil {
		return Identity{}, err
	}
	ctx = lib.ClientContext(ctx, c.http)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(b.verifier))
	if err != nil {
		return Identity{}, fmt.Errorf("%w: code: %w", ErrRefused, withoutBody(err))
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.VerifierContext(ctx, &lib.Config{ClientID: s.ClientID, Now: c.clock}).Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: token: %w", ErrRefused, err)
	}
	if id.Nonce != b.nonce || id.Subject == "" || len(id.Subject) > maxName {
		return Identity{}, fmt.Errorf("%w: the token is of another sign-in", ErrRefused)
	}
	out := Identity{Org: b.org, Issuer: id.Issuer, Subject: id.Subject, Next: b.next}
	out.Login, err = s.login(id)
	return out, err
}

// login is what the claim says; nothing when it may not be relied on.
func (s Settings) login(id *lib.IDToken) (string, error) {
	var claims struct {
		Name     string `json:"preferred_username"`
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := id.Claims(&claims); err != nil {
		return "", fmt.Errorf("%w: claims: %w", ErrRefused, err)
	}
	name := claims.Name
	if s.Claim == "email" {
		if name = claims.Email; !claims.Verified {
			return "", nil
		}
	}
	name = strings.ToLower(name)
	if s.Suffix != "" {
		cut, ok := strings.CutSuffix(name, strings.ToLower(s.Suffix))
		if !ok {
			return "", nil
		}
		name = cut
	}
	if len(name) > maxName {
		return "", nil
	}
	return name, nil
}

func (c *Client) config(ctx context.Context, org string, s Settings) (*oauth2.Config, *lib.Provider, error) {
	if err := s.Check(); err != nil {
		return nil, nil, err
	}
	p, err := c.provider(ctx, org, s)
	if err != nil {
		return nil, nil, err
	}
	return &oauth2.Config{ClientID: s.ClientID, ClientSecret: s.Secret, Endpoint: p.Endpoint(), RedirectURL: c.redirect,
		Scopes: []string{lib.ScopeOpenID, "profile", "email"}}, p, nil
}

// provider is the organisation's provider, asked what it is at most once an hour.
func (c *Client) provider(ctx context.Context, org string, s Settings) (*lib.Provider, error) {
	c.mu.Lock()
	k, ok := c.known[org]
	c.mu.Unlock()
	if ok && k.settings == s && c.clock().Before(k.until) {
		return k.provider, nil
	}
	// Its keys are fetched later with the context given here: it must not end with this request.
	p, err := lib.NewProvider(lib.ClientContext(context.WithoutCancel(ctx), c.http), s.Issuer)
	if err != nil {
		return nil, fmt.Errorf("oidc: provider: %w", err)
	}
	if e := p.Endpoint(); !strings.HasPrefix(e.AuthURL, "https://") || !strings.HasPrefix(e.TokenURL, "https://") {
		return nil, fmt.Errorf("%w: the provider names addresses without TLS", ErrSettings)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[org] = known{s, p, c.clock().Add(knowFor)}
	return p, nil
}

// keep remembers a sign-in; when there are too many, those that are over go, and if none is, nothing new comes in its
// place but the one that ends first.
func (c *Client) keep(state string, b begun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) >= MaxPending {
		now, oldest := c.clock(), ""
		for k, v := range c.pending {
			if !now.Before(v.ends) {
				delete(c.pending, k)
			} else if oldest == "" || v.ends.Before(c.pending[oldest].ends) {
				oldest = k
			}
		}
		if len(c.pending) >= MaxPending {
			delete(c.pending, oldest)
		}
	}
	c.pending[state] = b
}

func (c *Client) take(state string) (begun, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.pending[state]
	delete(c.pending, state)
	return b, ok && c.clock().Before(b.ends)
}

// withoutBody is an error without what the provider's body said: it may repeat the code.
func withoutBody(err error) error {
	var r *oauth2.RetrieveError
	if errors.As(err, &r) {
		return fmt.Errorf("the provider answered %s %q", r.Response.Status, r.ErrorCode)
	}
	return err
}

// bounded cuts answers at MaxAnswer.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, MaxAnswer), resp.Body}
	}
	return resp, err
}
