package door_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// provider is an OpenID provider that signs in whoever the test says.
type provider struct {
	*httptest.Server
	subject, login, nonce string
}

func newProvider(t testing.TB, now func() time.Time) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "kid": "1", "alg": "RS256", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB"}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		text := part(map[string]any{"alg": "RS256", "kid": "1"}) + "." + part(map[string]any{"iss": p.URL, "aud": "postern", "sub": p.subject, "nonce": p.nonce,
			"exp": now().Add(time.Minute).Unix(), "iat": now().Unix(), "preferred_username": p.login})
		sum := sha256.Sum256([]byte(text))
		sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Error(err)
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": text + "." + base64.RawURLEncoding.EncodeToString(sig)})
	})
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	return p
}

// through goes to the provider as somebody and comes back.
func (b *browser) through(p *provider, from, subject, login string) *browser {
	b.Helper()
	b.get(from)
	u, err := url.Parse(b.to)
	b.ok(err)
	if !strings.HasPrefix(b.to, p.URL+"/authorize?") {
		b.Fatalf("sent to %q (%d)", b.to, b.code)
	}
	p.subject, p.login, p.nonce, b.state = subject, login, u.Query().Get("nonce"), u.Query().Get("state")
	return b.get("/sign-in/single/back?code=x&state=" + url.QueryEscape(u.Query().Get("state")))
}

func TestSingleSignOn(t *testing.T) {
	var c *clinic
	p := newProvider(t, func() time.Time { return c.clock() })
	c = newClinic(t, "https://clinic.example", p.Client().Transport)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.add(staff.Person{Login: "sam", Role: staff.Nurse})
	c.add(staff.Person{ID: "p-dana2", Org: "o-2", Login: "dana", Role: staff.Nurse})
	off := c.add(staff.Person{Login: "off", Role: staff.Nurse})
	off.Disabled = true
	c.ok(c.db.SetPerson(t.Context(), off, true, store.AuditEntry{}))
	c.ok(c.db.SetSingleSignOn(t.Context(), "o-2", store.SingleSignOn{Issuer: p.URL, Client: "postern"}, store.AuditEntry{}))

	const way = "/sign-in/single?go=1&domain=lake.example"
	if b := c.browser().get("/sign-in/single?go=1&domain=clinic.example"); b.code != http.StatusUnprocessableEntity {
		t.Errorf("an organisation without a provider: %d", b.code)
	}
	nowhere := c.browser().get("/sign-in/single?go=1&domain=nowhere.example")
	without := c.browser().get("/sign-in/single?go=1&domain=clinic.example")
	if nowhere.code != without.code || token.ReplaceAllString(nowhere.page, "") != token.ReplaceAllString(without.page, "") {
		t.Error("no organisation and one without a provider answer differently")
	}
	b := c.browser().through(p, way, "subject-1", "dana")
	if b.code != http.StatusSeeOther || !b.in() || !b.says("Person dana") || !b.says("Lakeside") {
		t.Fatalf("%d %s", b.code, b.page)
	}
	for _, k := range []struct{ situation, subject, login string }{
		{"a login of the other organisation", "subject-9", "sam"}, {"nobody's login", "subject-9", "eve"}, {"no login", "subject-9", ""},
		{"a login that another account there has", "subject-2", "dana"},
	} {
		if x := c.browser().through(p, way, k.subject, k.login); x.code == http.StatusSeeOther || x.secret() != "" {
			t.Errorf("%s opens", k.situation)
		}
	}
	if x := c.browser().through(p, way, "subject-1", "renamed"); !x.in() {
		t.Error("who was linked is known by the subject, whatever the login there is now")
	}
	// An answer in another browser, and one that comes twice.
	one := c.browser().get(way)
	state := func(b *browser) string { u, err := url.Parse(b.to); c.ok(err); return u.Query().Get("state") }
	at := "/sign-in/single/back?code=x&state=" + url.QueryEscape(state(one))
	if x := c.browser().get("/sign-in").get(at); x.code != http.StatusUnprocessableEntity {
		t.Errorf("another browser: %d", x.code)
	}
	if one.get(at); one.code != http.StatusUnprocessableEntity {
		t.Errorf("a state that was used: %d", one.code)
	}
	// A link of another site leads to the provider only when the person says so: its account there may be of its choosing.
	led := c.browser()
	led.site = "cross-site"
	if led.get(way); led.code != http.StatusOK || led.to != "" || !led.says("Go on to") {
		t.Errorf("led here by another site: %d %s", led.code, led.to)
	}
	// The way by the form shows a link: the pages' policy lets no form lead elsewhere.
	form := c.browser().get("/sign-in/single").post("/sign-in/single", "domain", "someone@lake.example")
	if !form.says(`href="/sign-in/single?domain=lake.example&amp;go=1"`) {
		t.Errorf("%d %s", form.code, form.page)
	}
	c.ok(c.db.SetSingleSignOn(t.Context(), "o-2", store.SingleSignOn{}, store.AuditEntry{}))
	if x := c.browser().get(way); x.code != http.StatusUnprocessableEntity {
		t.Errorf("switched off: %d", x.code)
	}
}

// TestARestartInTheMiddleOfSingleSignOn asks to begin again, and a way back that was used opens nothing after it.
func TestARestartInTheMiddleOfSingleSignOn(t *testing.T) {
	var c *clinic
	p := newProvider(t, func() time.Time { return c.clock() })
	c = newClinic(t, "https://clinic.example", p.Client().Transport)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.ok(c.db.SetSingleSignOn(t.Context(), "o-1", store.SingleSignOn{Issuer: p.URL, Client: "postern"}, store.AuditEntry{}))
	const way = "/sign-in/single?go=1&domain=clinic.example"
	b := c.browser().get(way)
	u, err := url.Parse(b.to)
	c.ok(err)
	p.subject, p.login, p.nonce = "subject-1", "dana", u.Query().Get("nonce")
	back := "/sign-in/single/back?code=x&state=" + url.QueryEscape(u.Query().Get("state"))
	c.start()
	if b.get(back); b.code != http.StatusUnprocessableEntity || !b.says("Please begin again") || b.in() {
		t.Fatalf("after the restart: %d %s", b.code, b.page)
	}
	if b.through(p, way, "subject-1", "dana"); !b.in() {
		t.Fatal("beginning again")
	}
	used := "/sign-in/single/back?code=x&state=" + url.QueryEscape(b.state)
	b.get("/account").post("/sign-out")
	c.start()
	if b.get(used); b.code != http.StatusUnprocessableEntity || b.in() {
		t.Errorf("a way back that was used, after a restart: %d", b.code)
	}
	if n := c.count(); n != 0 {
		t.Errorf("%d tries count as failed: nobody tried anything", n)
	}
}
