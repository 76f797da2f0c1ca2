package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postern/gateway/delivery/route"
	"postern/gateway/pipeline"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Admin is a person who changes a site: every verb is audited under the actor's name.
type Admin struct {
	s     *Site
	actor string

	who string // who signed in for this act ("person:p-…"), or ""
	uid string // of who: the user of the machine by whom it came
}

// As gives the verbs of a site to an actor ("uid:1000", a login).
func (s *Site) As(actor string) Admin { return Admin{s: s, actor: actor} }

func (a Admin) entry(action, object string, detail any) store.AuditEntry {
	return store.AuditEntry{Org: a.s.Org, Actor: a.actor, Action: action, Object: object, Detail: detail}
}

// DomainAdd are the arguments of `domain add`.
type DomainAdd struct {
	Domain     addr.Domain  `json:"domain"`
	Postmaster string       `json:"postmaster,omitempty"` // an inbox, or an address; "" is the inbox "postmaster"
	Edge       *EdgeOptions `json:"edge,omitempty"`
	Inbox      string       `json:"inbox,omitempty"`
	CatchAll   bool         `json:"catch_all,omitempty"`
	Legacy     bool         `json:"legacy,omitempty"`
	Lax        []string     `json:"lax,omitempty"`
	ConsumeMDN bool         `json:"consume_mdn,omitempty"`
	Org        string       `json:"org,omitempty"` // whose it is, by id or name; "" is the first organisation
}

// EdgeOptions describe an SMTP edge.
type EdgeOptions struct {
	Server   string `json:"server"` // host:port
	TLS      string `json:"tls,omitempty"`
	Login    string `json:"login,omitempty"`
	Password string `json:"password,omitempty"`
}

// DomainAdd adds a health domain; its postmaster reaches a person from the first moment (RFC 5321 §4.5.1).
func (a Admin) DomainAdd(ctx context.Context, in DomainAdd) error {
	owner, err := a.org(ctx, in.Org)
	if err != nil {
		return err
	}
	dest, err := a.destination(owner.ID, in.Inbox, in.Edge, "")
	if err != nil {
		return err
	}
	if in.CatchAll && dest.IsZero() {
		return errors.New("gateway: a domain that takes every address needs a destination: give an inbox or an edge")
	}
	post := route.Destination{Inbox: a.inboxOf(owner.ID, orDefault(in.Postmaster, "postmaster"))}
	if strings.Contains(in.Postmaster, "@") {
		to, err := addr.Parse(in.Postmaster)
		if err == nil {
			err = a.aliasable(ctx, owner.ID, to)
		}
		if err != nil {
			return err
		}
		post = route.Destination{Alias: to}
	}
	d := store.Domain{Name: in.Domain, Org: owner.ID, Postmaster: post.String(), Destination: dest,
		Settings: store.DomainSettings{CatchAll: in.CatchAll, Legacy: in.Legacy, Lax: in.Lax, ConsumeMDN: in.ConsumeMDN}}
	if err := a.s.Store.AddDomain(ctx, d, a.entryOf(owner.ID, "domain.add", in.Domain.String(), map[string]any{"destination": dest.String(), "settings": d.Settings})); err != nil {
		return err
	}
	if dest.Inbox != "" {
		if err := a.s.Store.EnsureInbox(ctx, owner.ID, dest.Inbox); err != nil {
			return err
		}
	}
	pm, err := addr.Parse("postmaster@" + in.Domain.String())
	if err != nil {
		return err
	}
	a.s.published()
	return a.s.Store.AddAddresses(ctx, []store.Address{{Address: pm, Org: owner.ID, Destination: post}},
		a.entryOf(owner.ID, "address.add", pm.String(), map[string]any{"destination": post.String()}))
}

// entryOf is an entry of an organisation's audit.
func (a Admin) entryOf(org, action, object string, detail any) store.AuditEntry {
	return store.AuditEntry{Org: org, Actor: a.actor, Action: action, Object: object, Detail: detail}
}

// inboxOf is the id of an organisation's inbox of that name. Names are each organisation's own: beyond the first, the
// id carries the organisation, so that two of the same name never meet.
func (a Admin) inboxOf(org, name string) string {
	if org == a.s.Org {
		return name
	}
	return name + "@" + org
}

// aliasable refuses an address that is not one of the organisation's own.
func (a Admin) aliasable(ctx context.Context, org string, to addr.Address) error {
	mb, err := a.s.Store.Resolve(ctx, to)
	if err == nil && (!mb.Known || mb.Org != org) {
		err = fmt.Errorf("gateway: %s is not an address of ours", to)
	}
	return err
}

// destination makes a destination of what was given; at most one may be.
func (a Admin) destination(org, inbox string, edge *EdgeOptions, alias string) (route.Destination, error) {
	n := 0
	for _, given := range []bool{inbox != "", edge != nil, alias != ""} {
		if given {
			n++
		}
	}
	if n > 1 {
		return route.Destination{}, errors.New("gateway: give one destination: an inbox, an SMTP edge or an address")
	}
	switch {
	case inbox != "":
		if err := checkInbox(inbox); err != nil {
			return route.Destination{}, err
		}
		return route.Destination{Inbox: a.inboxOf(org, inbox)}, nil
	case alias != "":
		to, err := addr.Parse(alias)
		return route.Destination{Alias: to}, err
	case edge != nil:
		e, err := route.ParseEdge(edge.Server)
		if err != nil {
			return route.Destination{}, err
		}
		e.Login = edge.Login
		if edge.TLS != "" {
			e.TLS = edge.TLS
		}
		if !contains(route.EdgeTLS(), e.TLS) {
			return route.Destination{}, fmt.Errorf("gateway: TLS of an edge is one of %s, not %q", strings.Join(route.EdgeTLS(), ", "), e.TLS)
		}
		if edge.Password != "" {
			if e.TLS == "none" || e.TLS == "opportunistic" {
				return route.Destination{}, errors.New("gateway: a password is only sent where TLS is required")
			}
			if e.Password, err = a.s.Keys.SealSecret(org, pipeline.EdgePurpose(e), []byte(edge.Password)); err != nil {
				return route.Destination{}, err
			}
		}
		return route.Destination{Edge: &e}, nil
	}
	return route.Destination{}, nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// checkInbox bounds the name of an inbox: it is shown, typed and put in file names.
func checkInbox(name string) error {
	if len(name) > 60 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || strings.HasPrefix(name, ".") {
		return fmt.Errorf("gateway: inbox name %q: use up to 60 characters of a-z, 0-9, dot, hyphen and underscore", name)
	}
	return nil
}

// DomainRemove removes a domain without addresses.
func (a Admin) DomainRemove(ctx context.Context, d addr.Domain) error {
	defer a.s.published()
	return a.s.Store.RemoveDomain(ctx, d, a.entry("domain.remove", d.String(), nil))
}

// AddressAdd are the arguments of `address add` and `address alias`.
type AddressAdd struct {
	Address addr.Address `json:"address"`
	Inbox   string       `json:"inbox,omitempty"`
	Edge    *EdgeOptions `json:"edge,omitempty"`
	Alias   string       `json:"alias,omitempty"`
}

// AddressAdd adds addresses, all or none.
func (a Admin) AddressAdd(ctx context.Context, in []AddressAdd) error {
	var rows []store.Address
	var org string // of the last one: the audit's
	detail := map[string]string{}
	for _, ad := range in {
		if ad.Address.WithoutTag() != ad.Address {
			return fmt.Errorf("gateway: %s: a +tag is not part of an address; add %s", ad.Address, ad.Address.WithoutTag())
		}
		d, err := a.s.Store.Domain(ctx, ad.Address.Domain())
		if err != nil {
			return fmt.Errorf("gateway: %s: domain %s is not ours: `postern domain add` it first", ad.Address, ad.Address.Domain())
		}
		org = d.Org
		dest, err := a.destination(org, ad.Inbox, ad.Edge, ad.Alias)
		if err != nil {
			return fmt.Errorf("%s: %w", ad.Address, err)
		}
		if dest.IsZero() {
			if d.Destination.IsZero() {
				name := strings.ToLower(ad.Address.Local())
				if err := checkInbox(name); err != nil {
					return fmt.Errorf("%w; or name an inbox", err)
				}
				dest.Inbox = a.inboxOf(org, name)
			}
		}
		if !dest.Alias.IsZero() {
			if err := a.aliasable(ctx, org, dest.Alias); err != nil {
				return fmt.Errorf("%s: %w", ad.Address, err)
			}
		}
		rows = append(rows, store.Address{Address: ad.Address, Org: org, Destination: dest})
		detail[ad.Address.String()] = dest.String()
	}
	object := fmt.Sprintf("%d addresses", len(in))
	if len(in) == 1 {
		object = in[0].Address.String()
	}
	return a.s.Store.AddAddresses(ctx, rows, a.entryOf(org, "address.add", object, detail))
}

// AddressRemove ends an address; what it received stays.
func (a Admin) AddressRemove(ctx context.Context, ad addr.Address) error {
	return a.s.Store.RemoveAddress(ctx, ad, a.entry("address.remove", ad.String(), nil))
}
