package door

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// administration is the pages on which an organisation's people are administered.
func (d *door) administration() []web.Route {
	able := web.Able(staff.ManagePeople)
	return []web.Route{
		{Method: "GET", Pattern: "/settings/people", Need: able, Handle: d.showPeople,
			Setting: web.Setting{Name: "People", Text: "Who works here, their roles, and what they may do where", Icon: "people"}},
		{Method: "GET", Pattern: "/settings/people/new", Need: able, Fresh: true, Handle: d.showNewPerson},
		{Method: "POST", Pattern: "/settings/people/new", Need: able, Fresh: true, Handle: d.addPerson},
		{Method: "GET", Pattern: "/settings/people/{person}", Need: able, Handle: d.showPerson},
		{Method: "POST", Pattern: "/settings/people/{person}", Need: able, Fresh: true, Handle: d.savePerson},
		{Method: "GET", Pattern: "/settings/people/{person}/in/{team}", Need: able, Handle: d.showRights},
		{Method: "POST", Pattern: "/settings/people/{person}/in/{team}", Need: able, Fresh: true, Handle: d.saveRights},
		{Method: "POST", Pattern: "/settings/people/{person}/link", Need: able, Fresh: true, Handle: d.givePersonLink},
		{Method: "POST", Pattern: "/settings/people/{person}/proofs", Need: able, Fresh: true, Handle: d.dropPersonProofs},
		{Method: "POST", Pattern: "/settings/people/{person}/out", Need: able, Handle: d.putPersonOut},
	}
}

// peopleData is the dot of the list of people.
type peopleData struct {
	Here, Gone []personLine
}

type personLine struct {
	staff.Person
	Second bool // has a second proof
	Pools  []string
}

func (d *door) showPeople(q *web.Request) error {
	ctx := q.Context()
	all, err := d.Store.People(ctx, q.Org)
	if err != nil {
		return err
	}
	names, err := d.poolNames(ctx, q.Org)
	if err != nil {
		return err
	}
	var data peopleData
	for _, p := range all {
		line := personLine{Person: p}
		f, err := d.factors(ctx, p)
		if err != nil {
			return err
		}
		ms, err := d.Store.Memberships(ctx, q.Org, p.ID)
		if err != nil {
			return err
		}
		line.Second = f.second()
		for _, id := range staff.Of(p, ms, nil, q.Now).Pools() {
			if n, ok := names[id]; ok {
				line.Pools = append(line.Pools, n)
			}
		}
		if p.Disabled {
			data.Gone = append(data.Gone, line)
		} else {
			data.Here = append(data.Here, line)
		}
	}
	return q.Page(d.people, "People", data)
}

func (d *door) poolNames(ctx context.Context, org string) (map[string]string, error) {
	pools, err := d.Pools(ctx, org)
	out := map[string]string{}
	for _, p := range pools {
		out[p.ID] = p.Name
	}
	return out, err
}

// personData is the dot of one person's page, and of the form for a new one.
type personData struct {
	P        staff.Person
	Roles    []staff.Role
	Zones    []string
	Pools    []poolLine
	Factors  factors
	Sessions []sessionLine
	Lately   []lateLine
	Link     string // a one-time link, shown once
	Days     int
	Self     bool
}

type poolLine struct {
	Pool
	Words string // what the person may do there
}

func (d *door) showNewPerson(q *web.Request) error {
	return q.Page(d.newPerson, "New person", personData{Roles: staff.Roles(), Zones: zones(), P: staff.Person{Role: staff.FrontDesk, Zone: q.Person.Zone}})
}

// typedPerson is what the form says of a person.
func typedPerson(q *web.Request, p staff.Person) (staff.Person, error) {
	form := func(name string) string { return strings.TrimSpace(q.PostForm.Get(name)) }
	p.Name, p.Title, p.Zone, p.Admin = form("name"), form("title"), form("zone"), form("admin") != ""
	p.Disabled = form("disabled") != ""
	for field, v := range map[string]string{"name": p.Name, "title": p.Title} {
		if utf8.RuneCountInString(v) > MaxName || strings.ContainsAny(v, "\r\n") {
			return p, &web.Invalid{Field: field, Text: fmt.Sprintf("At most %d characters.", MaxName)}
		}
	}
	if p.Name == "" {
		return p, &web.Invalid{Field: "name", Text: "Everybody has a name: it stands under replies."}
	}
	role, err := staff.ParseRole(form("role"))
	if err != nil {
		return p, &web.Invalid{Field: "role", Text: "Choose a role."}
	}
	p.Role = role
	if _, err := time.LoadLocation(p.Zone); err != nil || p.Zone == "" || p.Zone == "Local" {
		return p, &web.Invalid{Field: "zone", Text: "There is no such time zone. One is America/Chicago."}
	}
	return p, nil
}

func (d *door) addPerson(q *web.Request) error {
	p, err := typedPerson(q, staff.Person{ID: staff.PersonID("p-" + strings.ToLower(rand.Text()[:20])), Org: q.Org})
	if err == nil {
		if p.Login, err = ParseLogin(q.PostForm.Get("login")); err != nil {
			err = &web.Invalid{Field: "login", Text: "Use 1 to 60 of a-z, 0-9, dot, hyphen and underscore."}
		}
	}
	if err == nil {
		p.Disabled = false
		err = d.Store.AddPerson(q.Context(), p, "", entry(q, p, "person.add", map[string]any{"role": p.Role, "admin": p.Admin, "name": p.Name}))
		if errors.Is(err, store.ErrExists) {
			err = &web.Invalid{Field: "login", Text: "Somebody here has that name already."}
		}
	}
	if err != nil {
		return q.Again(d.newPerson, "New person", personData{Roles: staff.Roles(), Zones: zones(), P: p}, err)
	}
	return d.showLink(q, p)
}

// showLink makes a one-time link and shows it, once.
func (d *door) showLink(q *web.Request, p staff.Person) error {
	token := auth.NewToken()
	ends := q.Now.Add(InviteTime)
	if err := d.Store.Invite(q.Context(), p, auth.HashToken(token), ends, entry(q, p, "person.invite", map[string]any{"ends": ends})); err != nil {
		return err
	}
	data, err := d.personData(q, p)
	if err != nil {
		return err
	}
	data.Link, data.Days = q.Link("/welcome/"+token), int(InviteTime/(24*time.Hour))
	return q.Page(d.person, "Person", data)
}

// whom is the person of the path.
func (d *door) whom(q *web.Request) (staff.Person, error) {
	return d.Store.Person(q.Context(), q.Org, staff.PersonID(q.PathValue("person")))
}

func (d *door) personData(q *web.Request, p staff.Person) (personData, error) {
	ctx := q.Context()
	data := personData{P: p, Roles: staff.Roles(), Zones: zones(), Self: p.ID == q.Person.ID}
	pools, err := d.Pools(ctx, q.Org)
	if err != nil {
		return data, err
	}
	ms, err := d.Store.Memberships(ctx, q.Org, p.ID)
	if err != nil {
		return data, err
	}
	for _, pl := range pools {
		data.Pools = append(data.Pools, poolLine{pl, memberWords(ms, pl.ID)})
	}
	if data.Factors, err = d.factors(ctx, p); err != nil {
		return data, err
	}
	if data.Sessions, err = d.sessions(q, p); err != nil {
		return data, err
	}
	data.Lately, err = d.lately(q, p)
	return data, err
}

// memberWords says what memberships in a pool come to: "send as team; results: read".
func memberWords(ms []staff.Membership, pool string) string {
	var all string
	var named []string
	for _, m := range ms {
		switch {
		case m.Pool != pool:
		case len(m.Categories) == 0:
			all = m.Level.Words()
		default:
			for _, c := range m.Categories {
				named = append(named, string(c)+": "+m.Level.Words())
			}
		}
	}
	if all == "" && len(named) > 0 {
		all = "nothing else"
	}
	if all != "" {
		named = append([]string{all}, named...)
	}
	return strings.Join(named, "; ")
}

func (d *door) showPerson(q *web.Request) error {
	p, err := d.whom(q)
	if err != nil {
		return err
	}
	data, err := d.personData(q, p)
	if err != nil {
		return err
	}
	return q.Page(d.person, "Person", data)
}

func (d *door) savePerson(q *web.Request) error {
	old, err := d.whom(q)
	if err != nil {
		return err
	}
	p, err := typedPerson(q, old)
	if err == nil && p.Disabled && p.ID == q.Person.ID {
		err = &web.Refusal{Text: "You cannot shut yourself out. Somebody else who administers can."}
	}
	if err == nil {
		detail := map[string]any{"role": p.Role, "admin": p.Admin, "disabled": p.Disabled, "was": map[string]any{"role": old.Role, "admin": old.Admin, "disabled": old.Disabled}}
		err = d.Store.SetPerson(q.Context(), p, false, entry(q, p, "person.change", detail))
		if errors.Is(err, store.ErrLastAdministrator) {
			err = &web.Refusal{Text: "Then nobody would be left who manages people here. Give somebody else that first."}
		}
	}
	if err != nil {
		data, derr := d.personData(q, old)
		if derr != nil {
			return derr
		}
		return q.Again(d.person, "Person", data, err)
	}
	return q.See("/settings/people/"+string(p.ID), "Saved.")
}

func (d *door) givePersonLink(q *web.Request) error {
	p, err := d.whom(q)
	if err != nil {
		return err
	}
	if p.Disabled {
		return &web.Refusal{Text: "The person is shut out. Let them in again first."}
	}
	return d.showLink(q, p)
}

func (d *door) dropPersonProofs(q *web.Request) error {
	p, err := d.whom(q)
	if err != nil {
		return err
	}
	if err := d.Store.DropFactors(q.Context(), p, "", entry(q, p, "person.factors_removed", map[string]any{"by": "administrator"})); err != nil {
		return err
	}
	return q.See("/settings/people/"+string(p.ID), "Their second proofs are gone. They sign in with the password alone until they add one.")
}

func (d *door) putPersonOut(q *web.Request) error {
	p, err := d.whom(q)
	if err != nil {
		return err
	}
	back := "/settings/people/" + string(p.ID)
	if which := q.PostForm.Get("which"); which != "" {
		err := d.endSession(q, p, which, "person.signed_out", map[string]any{"by": "administrator"})
		if err != nil && !errors.Is(err, web.ErrNotFound) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return q.See(back, "That browser is signed out.")
	}
	but := ""
	if p.ID == q.Person.ID {
		but = q.Session.Hash
	}
	if err := d.Store.EndSessions(q.Context(), q.Org, p.ID, but, entry(q, p, "person.signed_out", map[string]any{"by": "administrator"})); err != nil {
		return err
	}
	return q.See(back, "Signed out everywhere.")
}

// rightsData is the dot of the page of what a person may do in one pool.
type rightsData struct {
	P      staff.Person
	Pool   Pool
	Lines  []rightsLine
	Levels []staff.Level
}

type rightsLine struct {
	Field, Name string
	Now         string // the level's name; "" follows the first line
	Hint        string
}

// inPool is the person and pool of the path, with the memberships there.
func (d *door) inPool(q *web.Request) (p staff.Person, pl Pool, ms []staff.Membership, err error) {
	if p, err = d.whom(q); err != nil {
		return p, pl, nil, err
	}
	pools, err := d.Pools(q.Context(), q.Org)
	if err != nil {
		return p, pl, nil, err
	}
	for _, x := range pools {
		if x.ID == q.PathValue("team") {
			ms, err := d.Store.Memberships(q.Context(), q.Org, p.ID)
			return p, x, ms, err
		}
	}
	return p, pl, nil, web.ErrNotFound
}

func (d *door) showRights(q *web.Request) error {
	p, pl, ms, err := d.inPool(q)
	if err != nil {
		return err
	}
	data := rightsData{P: p, Pool: pl, Levels: staff.Levels()}
	now := map[staff.Category]string{"": staff.None.String()}
	for _, m := range ms {
		if m.Pool != pl.ID {
			continue
		}
		if len(m.Categories) == 0 {
			now[""] = m.Level.String()
		}
		for _, c := range m.Categories {
			now[c] = m.Level.String()
		}
	}
	data.Lines = append(data.Lines, rightsLine{Field: "all", Name: "Everything", Now: now[""]})
	for _, c := range staff.Categories() {
		line := rightsLine{Field: string(c), Name: strings.ToUpper(string(c[:1])) + string(c[1:]), Now: now[c]}
		if c == staff.Sensitive && p.Role != staff.Physician && p.Role != staff.Nurse && p.Role != staff.MedicalAssistant {
			line.Hint = "Not part of “everything” for this role: nothing unless chosen here."
		}
		data.Lines = append(data.Lines, line)
	}
	return q.Page(d.rights, "Rights", data)
}

func (d *door) saveRights(q *web.Request) error {
	p, pl, _, err := d.inPool(q)
	if err != nil {
		return err
	}
	var ms []staff.Membership
	detail := map[string]string{}
	for _, c := range append([]staff.Category{""}, staff.Categories()...) {
		field := string(c)
		if c == "" {
			field = "all"
		}
		v := q.PostForm.Get(field)
		if v == "" || c == "" && v == staff.None.String() {
			continue
		}
		l, err := staff.ParseLevel(v)
		if err != nil {
			return &web.Invalid{Field: field, Text: "is no level"}
		}
		m := staff.Membership{Pool: pl.ID, Level: l}
		if c != "" {
			m.Categories = []staff.Category{c}
		}
		ms, detail[field] = append(ms, m), v
	}
	if err := d.Store.SetMemberships(q.Context(), p, pl.ID, ms, entry(q, p, "person.rights", map[string]any{"pool": pl.ID, "levels": detail})); err != nil {
		return err
	}
	return q.See("/settings/people/"+string(p.ID), "Saved. It counts from the next page on.")
}
