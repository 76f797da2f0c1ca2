package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"postern/gateway/auth"
	"postern/gateway/auth/oidc"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web/door"
	"postern/gateway/store"
)

// PersonArg names a person and what is said of them; only `person add` looks at all of it.
type PersonArg struct {
	Org      string `json:"org,omitempty"` // id or name; "" is the first
	Login    string `json:"login"`
	Name     string `json:"name,omitempty"`
	Title    string `json:"title,omitempty"`
	Role     string `json:"role,omitempty"`
	Admin    *bool  `json:"admin,omitempty"`
	Zone     string `json:"zone,omitempty"`
	Password string `json:"password,omitempty"` // "" makes a one-time link
	Factors  bool   `json:"factors,omitempty"`  // reset: second proofs go too
	Disabled bool   `json:"disabled,omitempty"`
}

// PersonMade is a person who was added or reset, with the one-time link to a password where none was given.
type PersonMade struct {
	staff.Person
	Link string    `json:"link,omitempty"`
	Ends time.Time `json:"ends,omitzero"`
}

// PersonLine is a person in a list.
type PersonLine struct {
	staff.Person
	OrgName string   `json:"org_name"`
	Factors []string `json:"factors"`
}

// org is an organisation by id or name; "" is the site's first.
func (a Admin) org(ctx context.Context, named string) (store.Org, error) {
	orgs, err := a.s.Store.Orgs(ctx)
	if err != nil {
		return store.Org{}, err
	}
	for _, o := range orgs {
		if named == "" || o.ID == named || o.Name == named {
			return o, nil
		}
	}
	return store.Org{}, fmt.Errorf("gateway: no organisation %q: `postern org list` names them: %w", named, store.ErrNotFound)
}

// person is a person by organisation and login.
func (a Admin) person(ctx context.Context, in PersonArg) (staff.Person, error) {
	o, err := a.org(ctx, in.Org)
	if err != nil {
		return staff.Person{}, err
	}
	p, err := a.s.Store.PersonByLogin(ctx, o.ID, strings.ToLower(in.Login))
	if err != nil {
		return p, fmt.Errorf("gateway: person %s of %s: %w", in.Login, o.Name, err)
	}
	return p, nil
}

func (a Admin) personEntry(p staff.Person, action string, detail any) store.AuditEntry {
	return store.AuditEntry{Org: p.Org, Actor: a.actor, Action: action, Object: p.Login, Detail: detail}
}

// NewPerson is a person as given, checked.
func NewPerson(in PersonArg, org string) (p staff.Person, err error) {
	p = staff.Person{ID: staff.PersonID("p-" + strings.ToLower(rand.Text()[:20])), Org: org, Name: strings.TrimSpace(in.Name), Title: strings.TrimSpace(in.Title),
		Zone: in.Zone, Admin: in.Admin != nil && *in.Admin}
	if p.Login, err = door.ParseLogin(in.Login); err != nil {
		return p, fmt.Errorf("gateway: %w", err)
	}
	if p.Role, err = staff.ParseRole(in.Role); err != nil {
		return p, err
	}
	if n := utf8.RuneCountInString(p.Name); n == 0 || n > door.MaxName || strings.ContainsAny(p.Name+p.Title, "\r\n") || utf8.RuneCountInString(p.Title) > door.MaxName {
		return p, fmt.Errorf("gateway: a person has a name of 1 to %d characters on one line", door.MaxName)
	}
	if p.Zone == "" {
		p.Zone = "UTC"
	}
	if _, err := time.LoadLocation(p.Zone); err != nil || p.Zone == "Local" {
		return p, fmt.Errorf("gateway: %q is no time zone such as America/Chicago", p.Zone)
	}
	return p, nil
}

// PersonAdd adds a person, with a password or with a one-time link to choose one.
func (a Admin) PersonAdd(ctx context.Context, in PersonArg) (out PersonMade, err error) {
	o, err := a.org(ctx, in.Org)
	if err != nil {
		return out, err
	}
	if out.Person, err = NewPerson(in, o.ID); err != nil {
		return out, err
	}
	record := ""
	if in.Password != "" {
		if record, err = newRecord(in.Password, out.Person); err != nil {
			return out, err
		}
	} else if a.s.Config.Web.Listen == "" {
		return out, errors.New("gateway: no [web] listen is configured, so no link can be given: give a password with --password-file or --password-prompt")
	}
	entry := a.personEntry(out.Person, "person.add", map[string]any{"role": out.Role, "admin": out.Admin, "name": out.Name})
	if err := a.s.Store.AddPerson(ctx, out.Person, record, entry); err != nil {
		return out, err
	}
	if err := a.settle(ctx, out.Person); err != nil {
		return out, err
	}
	if record == "" {
		return a.invite(ctx, out.Person)
	}
	return out, nil
}

// settle gives an organisation its first pool, the pool its owner, and the owner what it takes to work there: nobody
// answers for what they cannot open.
func (a Admin) settle(ctx context.Context, p staff.Person) error {
	if err := a.s.Store.EnsurePools(ctx, p.Org); err != nil {
		return err
	}
	pools, err := a.s.Store.Pools(ctx, p.Org)
	if err != nil {
		return err
	}
	for _, pl := range pools {
		if pl.Owner != p.ID {
			continue
		}
		m := staff.Membership{Pool: pl.ID, Level: staff.Send}
		if p.Role == staff.Physician {
			m.Level = staff.Sign
		}
		if err := a.s.Store.SetMemberships(ctx, p, pl.ID, []staff.Membership{m}, a.personEntry(p, "person.rights", map[string]any{"pool": pl.ID, "levels": map[string]string{"all": m.Level.String()}})); err != nil {
			return err
		}
	}
	return nil
}

func newRecord(password string, p staff.Person) (string, error) {
	if err := auth.CheckNew(password, p.Login, p.Name); err != nil {
		return "", err
	}
	return auth.Hash(password, nil)
}

// invite makes a one-time link.
func (a Admin) invite(ctx context.Context, p staff.Person) (PersonMade, error) {
	out := PersonMade{Person: p, Ends: a.s.now().Add(door.InviteTime).UTC().Truncate(time.Second)}
	token := auth.NewToken()
	out.Link = a.s.publicURL(nil) + "/welcome/" + token
	return out, a.s.Store.Invite(ctx, p, auth.HashToken(token), out.Ends, a.personEntry(p, "person.invite", map[string]any{"ends": out.Ends}))
}

// PersonReset gives a person a new password, or a one-time link to choose one; it works for the last administrator
// too, as whoever may write to the control socket rules the machine.
func (a Admin) PersonReset(ctx context.Context, in PersonArg) (PersonMade, error) {
	p, err := a.person(ctx, in)
	if err != nil {
		return PersonMade{}, err
	}
	if p.Disabled {
		return PersonMade{}, fmt.Errorf("gateway: person %s is disabled: `postern person disable %s --undo` first", p.Login, p.Login)
	}
	if in.Factors {
		if err := a.s.Store.DropFactors(ctx, p, "", a.personEntry(p, "person.factors_removed", map[string]any{"by": "command line"})); err != nil {
			return PersonMade{}, err
		}
	}
	if in.Password == "" {
		if a.s.Config.Web.Listen == "" {
			return PersonMade{}, errors.New("gateway: no [web] listen is configured, so no link can be given: give a password with --password-file or --password-prompt")
		}
		return a.invite(ctx, p)
	}
	record, err := newRecord(in.Password, p)
	if err != nil {
		return PersonMade{}, err
	}
	return PersonMade{Person: p}, a.s.Store.SetPassword(ctx, p, record, "", a.personEntry(p, "person.password", map[string]any{"by": "command line"}))
}

// PersonDisable shuts a person out, or lets them in again. Here the last administrator may go: `person add` and
// `person role` make another.
func (a Admin) PersonDisable(ctx context.Context, in PersonArg) (none, error) {
	p, err := a.person(ctx, in)
	if err != nil {
		return none{}, err
	}
	p.Disabled = in.Disabled
	return none{}, a.s.Store.SetPerson(ctx, p, true, a.personEntry(p, map[bool]string{true: "person.disable", false: "person.enable"}[p.Disabled], nil))
}

// PersonSignOut ends every session of a person.
func (a Admin) PersonSignOut(ctx context.Context, in PersonArg) (none, error) {
	p, err := a.person(ctx, in)
	if err != nil {
		return none{}, err
	}
	return none{}, a.s.Store.EndSessions(ctx, p.Org, p.ID, "", a.personEntry(p, "person.signed_out", map[string]any{"by": "command line"}))
}

// PersonRole changes a person's role, and whether they administer.
func (a Admin) PersonRole(ctx context.Context, in PersonArg) (none, error) {
	p, err := a.person(ctx, in)
	if err != nil {
		return none{}, err
	}
	if in.Role != "" {
		if p.Role, err = staff.ParseRole(in.Role); err != nil {
			return none{}, err
		}
	}
	if in.Admin != nil {
		p.Admin = *in.Admin
	}
	return none{}, a.s.Store.SetPerson(ctx, p, true, a.personEntry(p, "person.role", map[string]any{"role": p.Role, "admin": p.Admin}))
}

// PersonList lists the people of one organisation, or of all ("").
func (a Admin) PersonList(ctx context.Context, named string) ([]PersonLine, error) {
	orgs, err := a.s.Store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	if named != "" {
		o, err := a.org(ctx, named)
		if err != nil {
			return nil, err
		}
		orgs = []store.Org{o}
	}
	out := []PersonLine{}
	for _, o := range orgs {
		all, err := a.s.Store.People(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			fs, err := a.s.Store.Factors(ctx, o.ID, p.ID)
			if err != nil {
				return nil, err
			}
			line := PersonLine{p, o.Name, []string{}}
			for _, f := range fs {
				if f.Kind != store.FactorRecovery {
					line.Factors = append(line.Factors, f.Kind)
				}
			}
			out = append(out, line)
		}
	}
	return out, nil
}

// OrgAdd makes a further organisation, with a key of its own.
func (a Admin) OrgAdd(ctx context.Context, name string) (store.Org, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > door.MaxName || strings.ContainsAny(name, "\r\n") {
		return store.Org{}, fmt.Errorf("gateway: an organisation has a name of 1 to %d characters on one line", door.MaxName)
	}
	orgs, err := a.s.Store.Orgs(ctx)
	if err != nil {
		return store.Org{}, err
	}
	for _, o := range orgs {
		if strings.EqualFold(o.Name, name) {
			return store.Org{}, fmt.Errorf("gateway: organisation %q: %w", name, store.ErrExists)
		}
	}
	o := store.Org{ID: "o-" + strings.ToLower(rand.Text()[:12]), Name: name}
	if o.WrappedKey, err = a.s.Keys.Master().NewOrg(o.ID); err != nil {
		return o, err
	}
	if err := a.s.Store.AddOrg(ctx, o); err != nil {
		return o, err
	}
	if err := a.s.Keys.AddOrg(o.ID, o.WrappedKey); err != nil {
		return o, err
	}
	return o, a.s.Store.AuditAct(ctx, store.AuditEntry{Org: o.ID, Actor: a.actor, Action: "org.add", Object: o.ID, Detail: map[string]string{"name": name}})
}

// OrgRename gives an organisation another name: what its people see above their pages.
func (a Admin) OrgRename(ctx context.Context, in OrgRename) (none, error) {
	o, err := a.org(ctx, in.Org)
	if err != nil {
		return none{}, err
	}
	name := strings.TrimSpace(in.Name)
	if n := utf8.RuneCountInString(name); n == 0 || n > door.MaxName || strings.ContainsAny(name, "\r\n") {
		return none{}, fmt.Errorf("gateway: an organisation has a name of 1 to %d characters on one line", door.MaxName)
	}
	return none{}, a.s.Store.RenameOrg(ctx, o.ID, name, store.AuditEntry{Org: o.ID, Actor: a.actor, Action: "org.rename", Object: o.ID, Detail: map[string]string{"name": name}})
}

// OrgRename are the arguments of `org rename`.
type OrgRename struct {
	Org  string `json:"org"`
	Name string `json:"name"`
}

// SSOArg are the arguments of `org sso`; an empty issuer ends single sign-on.
type SSOArg struct {
	Org    string `json:"org"`
	Issuer string `json:"issuer"`
	Client string `json:"client"`
	Secret string `json:"secret,omitempty"`
	Claim  string `json:"claim,omitempty"`
	Suffix string `json:"suffix,omitempty"`
}

// OrgSSO sets or ends an organisation's single sign-on.
func (a Admin) OrgSSO(ctx context.Context, in SSOArg) (none, error) {
	o, err := a.org(ctx, in.Org)
	if err != nil {
		return none{}, err
	}
	v := store.SingleSignOn{Issuer: in.Issuer, Client: in.Client, Claim: in.Claim, Suffix: in.Suffix}
	if in.Issuer != "" {
		if err := (oidc.Settings{Issuer: in.Issuer, ClientID: in.Client, Claim: in.Claim, Suffix: in.Suffix}).Check(); err != nil {
			return none{}, err
		}
		if in.Secret != "" {
			if v.Secret, err = a.s.Keys.SealSecret(o.ID, door.SSOPurpose, []byte(in.Secret)); err != nil {
				return none{}, err
			}
		}
	}
	return none{}, a.s.Store.SetSingleSignOn(ctx, o.ID, v, a.entryOf(o.ID, "org.sso", o.ID, map[string]any{"issuer": in.Issuer, "client": in.Client, "claim": in.Claim, "suffix": in.Suffix}))
}

// OrgLine is an organisation in a list.
type OrgLine struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Domains []string `json:"domains"`
	People  int      `json:"people"`
}

// OrgList lists the organisations.
func (a Admin) OrgList(ctx context.Context) ([]OrgLine, error) {
	orgs, err := a.s.Store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	domains, err := a.s.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	out := []OrgLine{}
	for _, o := range orgs {
		line := OrgLine{ID: o.ID, Name: o.Name, Domains: []string{}}
		for _, d := range domains {
			if d.Org == o.ID {
				line.Domains = append(line.Domains, d.Name.String())
			}
		}
		all, err := a.s.Store.People(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		line.People = len(all)
		out = append(out, line)
	}
	return out, nil
}

// peopleVerbs are those of organisations and their people, and of a look over the whole site.
func peopleVerbs() map[string]verb {
	return map[string]verb{
		"check":           with(func(ctx context.Context, a Admin, _ none) ([]Finding, error) { return a.s.Check(ctx), nil }),
		"person.add":      with(func(ctx context.Context, a Admin, in PersonArg) (PersonMade, error) { return a.PersonAdd(ctx, in) }),
		"person.reset":    with(func(ctx context.Context, a Admin, in PersonArg) (PersonMade, error) { return a.PersonReset(ctx, in) }),
		"person.disable":  with(func(ctx context.Context, a Admin, in PersonArg) (none, error) { return a.PersonDisable(ctx, in) }),
		"person.sign_out": with(func(ctx context.Context, a Admin, in PersonArg) (none, error) { return a.PersonSignOut(ctx, in) }),
		"person.role":     with(func(ctx context.Context, a Admin, in PersonArg) (none, error) { return a.PersonRole(ctx, in) }),
		"person.list":     with(func(ctx context.Context, a Admin, org string) ([]PersonLine, error) { return a.PersonList(ctx, org) }),
		"org.add": with(func(ctx context.Context, a Admin, name string) (OrgLine, error) {
			o, err := a.OrgAdd(ctx, name)
			return OrgLine{ID: o.ID, Name: o.Name, Domains: []string{}}, err
		}),
		"org.rename": with(func(ctx context.Context, a Admin, in OrgRename) (none, error) { return a.OrgRename(ctx, in) }),
		"org.sso":    with(func(ctx context.Context, a Admin, in SSOArg) (none, error) { return a.OrgSSO(ctx, in) }),
		"org.list":   with(func(ctx context.Context, a Admin, _ none) ([]OrgLine, error) { return a.OrgList(ctx) }),
	}
}
