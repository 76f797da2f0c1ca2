// Package door is how people get in and out: sign-in and its second proof, one-time links, the account page, and
// the administration of an organisation's people.
//
// Whoever signs in types a name, or name@domain with a domain of the organisation: names belong to one
// organisation, so nobody learns from them who else is on the gateway. A name without a domain is of the gateway's
// first organisation. A wrong password, an unknown name, a disabled person and one without a password get the same
// words after the same work.
//
// A try that fails is counted, by person and hour, for the audit (store.CountFailure): never what was typed, and never one
// that was put off without being asked, so that the chain grows by a bounded number of entries however long a stranger
// tries. Whoever is in the middle of a passkey or of single sign-on when the gateway is started anew is asked to begin
// again; half a sign-in, the last one-time code used and sessions live through it.
//
// Limits: MaxName characters of a name; one-time links last InviteTime, and a password has auth.MinPassword
// characters; more than one second proof a person: MaxFactors.
package door

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/gateway/auth"
	"postern/gateway/auth/oidc"
	"postern/gateway/auth/passkey"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Limits of this package.
const (
	MaxName    = 120 // characters
	InviteTime = 72 * time.Hour
	MaxFactors = 10 // of one person, of each kind
)

//go:embed *.html door.js
var files embed.FS

// Passwords checks a password. The login is "org/login"; the answer is the person's id (auth.Service).
type Passwords interface {
	Login(ctx context.Context, login, password, peer string) (string, error)
}

// Secrets seals what is stored under an organisation's key.
type Secrets interface {
	SealSecret(org, purpose string, secret []byte) ([]byte, error)
	OpenSecret(org, purpose string, sealed []byte) ([]byte, error)
}

// Pool is a pool as the administration of people shows it.
type Pool struct {
	ID, Name string
	Owner    staff.PersonID
}

// Services is what the pages work with.
type Services struct {
	Store     *store.Store
	Passwords Passwords
	Hash      func(password string) (string, error)
	Secrets   Secrets
	Pools     func(ctx context.Context, org string) ([]Pool, error)
	Host      string            // of the public URL, without port: what passkeys are bound to
	Origin    string            // the public URL
	Transport http.RoundTripper // to providers of single sign-on; nil is the default
	Log       *slog.Logger
	Clock     func() time.Time
}

// door is the pages.
type door struct {
	Services
	throttle *auth.Throttle   // of second proofs and links
	keys     *passkey.Service // nil: the host can have none
	sso      *oidc.Client

	signIn, second, single, welcome, proof, account, app, codes, key, index *web.Template
	people, person, newPerson, rights, emergency                            *web.Template
}

// Routes are the pages of this package.
func Routes(s Services) []web.Route {
	d := &door{Services: s, throttle: auth.NewThrottle(s.Clock), keys: keyService(s),
		sso:    oidc.New(s.Origin+SSOBack, s.Transport, s.Clock),
		signIn: page("signin"), second: page("second"), single: page("single"), welcome: page("welcome"), proof: page("prove"),
		account: page("account"), app: page("app"), codes: page("codes"), key: page("key"), index: page("settings"),
		people: page("people"), person: page("person"), newPerson: page("newperson"), rights: page("rights"), emergency: page("emergency")}
	return slices.Concat(web.Files(files, "door.js"), d.entrance(), d.own(), d.administration(), d.emergencies())
}

func page(name string) *web.Template {
	return web.Parse(files, name+".html", "mark.html", "passkey.html", "fields.html", "lately.html")
}

// entrance is how people get in.
func (d *door) entrance() []web.Route {
	return []web.Route{
		{Method: "GET", Pattern: "/sign-in/second", Need: web.Public(), Handle: d.showSecond},
		{Method: "POST", Pattern: "/sign-in/second", Need: web.Public(), Handle: d.doSecond},
		{Method: "POST", Pattern: "/sign-in/passkey", Need: web.Public(), Handle: d.passkeySignIn},
		{Method: "GET", Pattern: "/sign-in/single", Need: web.Public(), Handle: d.showSingle},
		{Method: "POST", Pattern: "/sign-in/single", Need: web.Public(), Handle: d.doSingle},
		{Method: "GET", Pattern: SSOBack, Need: web.Public(), Handle: d.backSingle},
		{Method: "GET", Pattern: "/sign-in", Need: web.Public(), Handle: d.showSignIn},
		{Method: "POST", Pattern: "/sign-in", Need: web.Public(), Handle: d.doSignIn},
		{Method: "POST", Pattern: "/sign-out", Need: web.SignedIn(), Handle: d.signOut},
		{Method: "GET", Pattern: "/welcome/{token}", Need: web.Public(), Handle: d.showWelcome},
		{Method: "POST", Pattern: "/welcome/{token}", Need: web.Public(), Handle: d.doWelcome},
	}
}

// own is what people do with their own account.
func (d *door) own() []web.Route {
	return []web.Route{
		{Method: "GET", Pattern: "/prove", Need: web.SignedIn(), Handle: d.showProve},
		{Method: "POST", Pattern: "/prove", Need: web.SignedIn(), Handle: d.doProve},
		{Method: "GET", Pattern: "/account/app", Need: web.SignedIn(), Fresh: true, Handle: d.showApp},
		{Method: "POST", Pattern: "/account/app", Need: web.SignedIn(), Fresh: true, Handle: d.saveApp},
		{Method: "POST", Pattern: "/account/codes", Need: web.SignedIn(), Fresh: true, Handle: d.newCodes},
		{Method: "GET", Pattern: "/account/passkey", Need: web.SignedIn(), Fresh: true, Handle: d.showKey},
		{Method: "POST", Pattern: "/account/passkey", Need: web.SignedIn(), Fresh: true, Handle: d.saveKey},
		{Method: "POST", Pattern: "/account/remove", Need: web.SignedIn(), Fresh: true, Handle: d.removeFactor},
		{Method: "GET", Pattern: "/account", Need: web.SignedIn(), Handle: d.showAccount,
			Setting: web.Setting{Name: "Your account", Text: "Password, second proof, time zone, where you are signed in", Icon: "person"}},
		{Method: "POST", Pattern: "/account/zone", Need: web.SignedIn(), Handle: d.setZone},
		{Method: "POST", Pattern: "/account/password", Need: web.SignedIn(), Handle: d.setPassword},
		{Method: "POST", Pattern: "/account/sessions", Need: web.SignedIn(), Handle: d.endSessions},
		{Method: "GET", Pattern: "/settings", Need: web.SignedIn(), Handle: d.showSettings},
	}
}

func entry(q *web.Request, p staff.Person, action string, detail any) store.AuditEntry {
	actor := q.Person.Login
	if actor == "" {
		actor = p.Login
	}
	return store.AuditEntry{Org: p.Org, Actor: actor, Action: action, Object: p.Login, Detail: detail}
}

// ParseLogin is a sign-in name as it is stored: 1 to 60 of a-z, 0-9, dot, hyphen and underscore.
func ParseLogin(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" || len(s) > 60 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || strings.Trim(s, ".") != s {
		return "", errors.New("a sign-in name has 1 to 60 of the characters a-z, 0-9, dot, hyphen and underscore")
	}
	return s, nil
}

// whose splits what was typed as a sign-in name into organisation and login. An organisation that is not here is "".
func (d *door) whose(ctx context.Context, typed string) (org, login string, err error) {
	login, domain, found := strings.Cut(strings.ToLower(strings.TrimSpace(typed)), "@")
	if !found {
		orgs, err := d.Store.Orgs(ctx)
		if err != nil || len(orgs) == 0 {
			return "", login, err
		}
		return orgs[0].ID, login, nil
	}
	name, err := addr.ParseDomain(domain)
	if err != nil {
		return "", login, nil
	}
	row, err := d.Store.Domain(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return "", login, nil
	}
	return row.Org, login, err
}

// begin signs somebody in, wholly or by half, in place of the session there was.
func (d *door) begin(q *web.Request, p staff.Person, stage auth.Stage, method string) error {
	return d.start(q, p, auth.Session{Stage: stage, Method: method}, d.Store.BeginSession)
}

// grow signs somebody in who has shown the second proof. It fails with errOver where the half sign-in was ended meanwhile.
func (d *door) grow(q *web.Request, p staff.Person, method string) error {
	err := d.start(q, p, auth.Session{Stage: auth.Full, Method: method}, d.Store.GrowSession)
	if errors.Is(err, store.ErrNotFound) {
		return errOver
	}
	return err
}

// start keeps a session, told by its stage and method, in place of the one there was.
func (d *door) start(q *web.Request, p staff.Person, v auth.Session, keep func(context.Context, auth.Session, string, store.AuditEntry) error) error {
	token := auth.NewToken()
	v.Hash, v.Org, v.Person, v.Peer, v.Agent = auth.HashToken(token), p.Org, string(p.ID), q.Peer, agent(q.UserAgent())
	v.Created, v.Seen, v.Proved = q.Now, q.Now, q.Now
	e := store.AuditEntry{}
	if v.Stage == auth.Full {
		e = entry(q, p, "person.sign_in", map[string]any{"method": v.Method, "peer": q.Peer})
		e.Actor = p.Login
	}
	if err := keep(q.Context(), v, q.Session.Hash, e); err != nil {
		return err
	}
	q.Keep(token)
	return nil
}

// agent is a browser in a few words, for the list of one's own sessions.
func agent(ua string) string {
	find := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(ua, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := find("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "Chrome/", "Chrome", "Safari/", "Safari")
	system := find("iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows", "Mac OS", "Mac", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser == "" && system == "":
		return "another browser"
	case browser == "":
		return system
	case system == "":
		return browser
	}
	return fmt.Sprintf("%s on %s", browser, system)
}
