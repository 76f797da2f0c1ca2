package door

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"postern/gateway/auth"
	"postern/gateway/auth/oidc"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
	"postern/smime/addr"
)

// SSOPurpose is what an organisation's client secret is sealed for.
const SSOPurpose = "single sign-on"

// SSOBack is the path that providers send people back to.
const SSOBack = "/sign-in/single/back"

// settings is an organisation's provider.
func (d *door) settings(ctx context.Context, org string) (oidc.Settings, error) {
	row, err := d.Store.SingleSignOn(ctx, org)
	if err != nil {
		return oidc.Settings{}, err
	}
	secret := []byte{}
	if len(row.Secret) > 0 {
		if secret, err = d.Secrets.OpenSecret(org, SSOPurpose, row.Secret); err != nil {
			return oidc.Settings{}, err
		}
	}
	return oidc.Settings{Issuer: row.Issuer, ClientID: row.Client, Secret: string(secret), Claim: row.Claim, Suffix: row.Suffix}, nil
}

// ownProvider is the link of the sign-in page: there is one when the gateway has a single organisation with a
// provider. With several, the page does not say whose they are: people name their domain.
func (d *door) ownProvider(q *web.Request) (string, error) {
	orgs, err := d.Store.Orgs(q.Context())
	if err != nil || len(orgs) != 1 {
		return map[bool]string{true: "/sign-in/single"}[len(orgs) > 1], err
	}
	_, err = d.Store.SingleSignOn(q.Context(), orgs[0].ID)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return "/sign-in/single?go=1", err
}

// singleData is the dot of the page that asks for the organisation.
type singleData struct{ Link, Host string }

func (d *door) showSingle(q *web.Request) error {
	v := q.URL.Query()
	if v.Get("go") == "" {
		return q.Page(d.single, "Single sign-on", singleData{})
	}
	org, err := d.orgOf(q.Context(), v.Get("domain"))
	if err != nil {
		return err
	}
	if q.SignedIn() { // proving who they are once more
		org = q.Org
	}
	to, err := d.leave(q, org, v.Get("next"))
	if err != nil {
		return err
	}
	if q.Led() { // another site must not sign anybody in, least of all as somebody of its choice: the person says so here
		return d.wayTo(q, to, v.Get("domain"))
	}
	return q.Leave(to)
}

// wayTo shows the way to a provider as a link of our own page.
func (d *door) wayTo(q *web.Request, to, domain string) error {
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	return q.Page(d.single, "Single sign-on", singleData{Link: "/sign-in/single?" + url.Values{"go": {"1"}, "domain": {domain}}.Encode(), Host: u.Host})
}

// doSingle shows the way to the provider of a domain's organisation. It is a link, as the policy of our pages lets
// no form lead elsewhere.
func (d *door) doSingle(q *web.Request) error {
	domain := strings.TrimSpace(q.PostForm.Get("domain"))
	if i := strings.LastIndexByte(domain, '@'); i >= 0 {
		domain = domain[i+1:]
	}
	org, err := d.orgOf(q.Context(), domain)
	if err != nil {
		return err
	}
	to, err := d.leave(q, org, "/")
	if err != nil {
		return q.Again(d.single, "Single sign-on", singleData{}, err)
	}
	return d.wayTo(q, to, domain)
}

// orgOf is the organisation of a domain; "" is the first organisation's, one that is not here is nobody's.
func (d *door) orgOf(ctx context.Context, domain string) (string, error) {
	if domain == "" {
		orgs, err := d.Store.Orgs(ctx)
		if err != nil || len(orgs) == 0 {
			return "", err
		}
		return orgs[0].ID, nil
	}
	name, err := addr.ParseDomain(domain)
	if err != nil {
		return "", nil
	}
	row, err := d.Store.Domain(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return row.Org, err
}

// leave is where the provider of an organisation is. No provider, no such organisation and no answer read the same.
func (d *door) leave(q *web.Request, org, next string) (string, error) {
	s, err := d.settings(q.Context(), org)
	if err == nil {
		var to string
		if to, err = d.sso.Begin(q.Context(), q.Browser(), org, web.Local(next), s); err == nil {
			return to, nil
		}
		d.Log.Warn("single sign-on cannot begin", "org", org, "error", err)
	} else if !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	return "", &web.Refusal{Text: "There is no single sign-on for that, or it does not answer now."}
}

// backSingle is where providers send people back to.
func (d *door) backSingle(q *web.Request) error {
	v := q.URL.Query()
	id, err := d.sso.Finish(q.Context(), q.Browser(), v.Get("state"), v.Get("code"), func(org string) (oidc.Settings, error) { return d.settings(q.Context(), org) })
	if errors.Is(err, oidc.ErrRefused) || errors.Is(err, store.ErrNotFound) {
		d.Log.Info("single sign-on refused", "peer", q.Peer, "error", err)
		if !errors.Is(err, oidc.ErrOver) {
			d.failed(q, "", "", store.FailedSingle)
		}
		return &web.Refusal{Text: "The sign-in there was not finished, took too long, or was not begun in this browser since this gateway started. Nothing was changed. Please begin again."}
	}
	if err != nil {
		d.Log.Warn("single sign-on failed", "error", err)
		return &web.Refusal{Text: "The single sign-on of your organisation does not answer as it should. Try again, or sign in with your password."}
	}
	p, err := d.linked(q, id)
	if err != nil {
		var refusal *web.Refusal
		if errors.As(err, &refusal) {
			d.failed(q, id.Org, p.ID, store.FailedSingle)
		}
		return err
	}
	if err := d.begin(q, p, auth.Full, "single sign-on"); err != nil {
		return err
	}
	return q.See(d.after(q, id.Next), "")
}

// linked is the person of an identity. The first time it is linked by the login it claims; from then on only its
// issuer and subject count, and a login that is linked is nobody else's.
func (d *door) linked(q *web.Request, id oidc.Identity) (staff.Person, error) {
	ctx, unknown := q.Context(), &web.Refusal{Text: "You are signed in there, but nobody here is called that. Ask your administrator to add you."}
	f, err := d.Store.FactorByLookup(ctx, id.Org, store.FactorOIDC, auth.HashToken(id.Key()))
	if err == nil {
		p, err := d.Store.Person(ctx, id.Org, f.Person)
		if err == nil && p.Disabled {
			return p, unknown
		}
		return p, err
	}
	if !errors.Is(err, store.ErrNotFound) {
		return staff.Person{}, err
	}
	p, err := d.Store.PersonByLogin(ctx, id.Org, id.Login)
	if id.Login == "" || errors.Is(err, store.ErrNotFound) || err == nil && p.Disabled {
		return p, unknown
	}
	if err != nil {
		return p, err
	}
	all, err := d.Store.Factors(ctx, p.Org, p.ID)
	if err != nil {
		return p, err
	}
	for _, f := range all {
		if f.Kind == store.FactorOIDC { // the login was given to another account there
			return p, unknown
		}
	}
	e := entry(q, p, "person.single_sign_on_linked", map[string]any{"issuer": id.Issuer})
	e.Actor = p.Login
	return p, d.Store.AddFactors(ctx, p, []store.Factor{{ID: newID(), Kind: store.FactorOIDC, Name: id.Issuer, Lookup: auth.HashToken(id.Key()), Data: []byte{}}}, nil, e)
}
