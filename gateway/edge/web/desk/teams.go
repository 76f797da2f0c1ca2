package desk

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// teamLine is a team in the list of teams.
type teamLine struct {
	pool.Pool
	OwnerName string
	Members   int
	Blind     bool // sensitive messages may come, and none of its members may open them
	Orphan    bool // who answered for it is not here any more
}

func (d *desk) showTeams(q *web.Request) error {
	h, err := d.house(q)
	if err != nil {
		return err
	}
	out := []teamLine{}
	for _, p := range h.Pools {
		ms, err := d.Store.Members(q.Context(), q.Org, p.ID)
		if err != nil {
			return err
		}
		out = append(out, teamLine{p, h.Person(p.Owner), len(ms), blind(q, h, p.ID, ms), h.orphan(p)})
	}
	return q.Page(d.teams, "Teams", out)
}

// addressesOf are the addresses that a team writes from, as the rules have it.
func (d *desk) addressesOf(q *web.Request, h house, id string) ([]string, error) {
	all, err := d.Store.InboxAddresses(q.Context(), q.Org)
	if err != nil {
		return nil, err
	}
	set, err := d.Store.Rules(q.Context(), q.Org)
	if err != nil {
		return nil, err
	}
	pools := make([]string, len(h.Pools))
	for i, v := range h.Pools {
		pools[i] = v.ID
	}
	var out []string
	for _, o := range set.Origins(all, pools) {
		if o.Owner == "" && slices.Contains(o.Pools, id) {
			out = append(out, o.Address.String())
		}
	}
	return out, nil
}

// orphan reports that nobody who is here answers for a team.
func (h house) orphan(p pool.Pool) bool {
	owner, ok := h.People[p.Owner]
	return !ok || owner.Disabled
}

// blind reports that nobody of a team may open what is sensitive.
func blind(q *web.Request, h house, id string, members map[staff.PersonID][]staff.Membership) bool {
	for who, ms := range members {
		if staff.Of(h.People[who], ms, nil, q.Now).On(id, staff.Sensitive) >= staff.Draft {
			return false
		}
	}
	return true
}

// teamPage is one team with its members.
type teamPage struct {
	Pool       pool.Pool
	New        bool
	People     []staff.Person
	Members    []member
	Others     []staff.Person // who could join
	Levels     []staff.Level
	Categories []staff.Category
	Addresses  []string // it writes from
	Blind      bool
	Orphan     string // who answered for it and is not here any more; "" where somebody does
	CanPeople  bool
	Open       string
}

// member is what a person may do in the team: for all categories, and for those that are named.
type member struct {
	Person  staff.Person
	Level   staff.Level
	Named   []named
	Team    string   // id, for the form
	Choices []choice // levels of the form
	Rows    []named  // every category of the form
}

// choice is a level to choose.
type choice struct{ Level staff.Level }

// named is what holds for one category; Set is false where it is as for all.
type named struct {
	Category staff.Category
	Level    staff.Level
	Set      bool
}

func (d *desk) showTeam(q *web.Request) error {
	p, err := d.teamOf(q)
	if err != nil {
		return err
	}
	return q.Page(d.team, "Team", p)
}

// newTeam is the name of a team that is not saved yet.
const newTeam = "new"

func (d *desk) teamOf(q *web.Request) (teamPage, error) {
	p := teamPage{Levels: staff.Levels()[1:], Categories: staff.Categories(), CanPeople: q.Rights.Can(staff.ManagePeople)}
	h, err := d.house(q)
	if err != nil {
		return p, err
	}
	for _, v := range h.People {
		if !v.Disabled {
			p.People = append(p.People, v)
		}
	}
	byName := func(a, b staff.Person) int { return strings.Compare(a.Name+string(a.ID), b.Name+string(b.ID)) }
	slices.SortFunc(p.People, byName)
	id := q.PathValue("team")
	if id == newTeam {
		p.New, p.Pool = true, pool.Pool{ID: newTeam, Org: q.Org, Owner: q.Person.ID}
		return p, nil
	}
	p.Pool, err = d.Store.Pool(q.Context(), q.Org, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !p.Pool.Retired.IsZero() {
		return p, web.ErrNotFound
	}
	if err != nil {
		return p, err
	}
	ms, err := d.Store.Members(q.Context(), q.Org, id)
	if err != nil {
		return p, err
	}
	p.Blind = blind(q, h, id, ms)
	if p.Addresses, err = d.addressesOf(q, h, id); err != nil {
		return p, err
	}
	if h.orphan(p.Pool) {
		p.Orphan = h.Person(p.Pool.Owner)
	}
	for _, v := range p.People {
		if list, ok := ms[v.ID]; ok {
			p.Members = append(p.Members, memberOf(v, id, list))
		} else {
			p.Others = append(p.Others, v)
		}
	}
	counts, err := d.Store.WorkCounts(q.Context(), store.WorkQuery{Org: q.Org, Reach: []store.Reach{{Pool: id, All: true}}, View: store.ViewOpen})
	if len(counts) > 0 {
		p.Open = atMost(counts[0].N)
	}
	return p, err
}

func memberOf(p staff.Person, id string, ms []staff.Membership) member {
	m := member{Person: p, Team: id}
	for _, l := range staff.Levels() {
		m.Choices = append(m.Choices, choice{l})
	}
	for _, v := range ms {
		if len(v.Categories) == 0 {
			m.Level = max(m.Level, v.Level)
		}
		for _, c := range v.Categories {
			m.Named = append(m.Named, named{c, v.Level, true})
		}
	}
	for _, c := range staff.Categories() {
		row := named{Category: c}
		if i := slices.IndexFunc(m.Named, func(n named) bool { return n.Category == c }); i >= 0 {
			row = m.Named[i]
		}
		m.Rows = append(m.Rows, row)
	}
	slices.SortFunc(m.Named, func(a, b named) int {
		return cmp.Compare(slices.Index(staff.Categories(), a.Category), slices.Index(staff.Categories(), b.Category))
	})
	return m
}

func (d *desk) saveTeam(q *web.Request) error {
	p, err := d.teamOf(q)
	if err != nil {
		return err
	}
	f := q.PostForm
	v := p.Pool
	v.Name, v.Purpose, v.Owner, v.Zone = strings.TrimSpace(f.Get("name")), strings.TrimSpace(f.Get("purpose")), staff.PersonID(f.Get("owner")), strings.TrimSpace(f.Get("zone"))
	action := "pool.change"
	if p.New {
		v.ID, v.Version, action = pool.NewID(), 0, "pool.add"
	} else if v.Version, err = strconv.ParseInt(f.Get("version"), 10, 64); err != nil {
		return &web.Refusal{Text: "The form is not whole. Open the page again."}
	}
	err = d.Store.SavePool(q.Context(), v, entry(q, action, v.ID, map[string]any{"name": v.Name, "owner": v.Owner}))
	if err != nil {
		return q.Again(d.team, "Team", p, teamFault(err))
	}
	return q.See("/teams/"+v.ID, "Saved.")
}

// teamFault says to a person what is wrong with a team.
func teamFault(err error) error {
	switch {
	case errors.Is(err, pool.ErrName):
		return &web.Invalid{Field: "name", Text: "A name is one line of 1 to 60 characters."}
	case errors.Is(err, pool.ErrOwner):
		return &web.Invalid{Field: "owner", Text: "A team needs somebody who answers for it."}
	case errors.Is(err, store.ErrExists):
		return &web.Invalid{Field: "name", Text: "Another team has this name."}
	case errors.Is(err, store.ErrStalePool):
		return &web.Refusal{Text: "Somebody changed this at the same moment. Look at it again."}
	case errors.Is(err, pool.ErrNotEmpty):
		return &web.Refusal{Text: "Open work is in this team. Pass it on or finish it first."}
	case errors.Is(err, pool.ErrCatchAll):
		return &web.Refusal{Text: "This team takes what no rule wants: it cannot be closed."}
	case errors.Is(err, pool.ErrZone):
		return &web.Invalid{Field: "zone", Text: "There is no such time zone."}
	case errors.Is(err, pool.ErrPurpose):
		return &web.Invalid{Field: "purpose", Text: "One line of at most 200 characters."}
	}
	return err
}

// saveMember says what one person may do in the team.
func (d *desk) saveMember(q *web.Request) error {
	p, err := d.teamOf(q)
	if err != nil || p.New {
		return cmp.Or(err, web.ErrNotFound)
	}
	who, err := d.Store.Person(q.Context(), q.Org, staff.PersonID(q.PostForm.Get("person")))
	if errors.Is(err, store.ErrNotFound) {
		return q.Again(d.team, "Team", p, &web.Invalid{Field: "person", Text: "Choose somebody."})
	}
	if err != nil {
		return err
	}
	ms, err := memberships(q, p.Pool.ID)
	if err != nil {
		return q.Again(d.team, "Team", p, err)
	}
	if err := d.Store.SetMemberships(q.Context(), who, p.Pool.ID, ms, entry(q, "pool.member", p.Pool.ID, map[string]any{"person": who.ID, "memberships": ms})); err != nil {
		return err
	}
	if len(ms) == 0 {
		return q.See("/teams/"+p.Pool.ID, who.Name+" is no longer of the team.")
	}
	return q.See("/teams/"+p.Pool.ID, who.Name+": saved.")
}

// memberships reads the levels of a form: one for all categories, and one for each that differs.
func memberships(q *web.Request, id string) ([]staff.Membership, error) {
	var out []staff.Membership
	if q.PostForm.Get("leave") != "" {
		return nil, nil
	}
	all, err := staff.ParseLevel(q.PostForm.Get("level"))
	if err != nil {
		return nil, &web.Invalid{Field: "level", Text: "Choose what they may do."}
	}
	if all > staff.None {
		out = append(out, staff.Membership{Pool: id, Level: all})
	}
	for _, c := range staff.Categories() {
		v := q.PostForm.Get("level-" + string(c))
		if v == "" {
			continue
		}
		l, err := staff.ParseLevel(v)
		if err != nil {
			return nil, &web.Invalid{Field: "level-" + string(c), Text: "Choose what they may do."}
		}
		out = append(out, staff.Membership{Pool: id, Level: l, Categories: []staff.Category{c}})
	}
	return out, nil
}

// closeTeam closes a team that nothing comes to and that has nothing open.
func (d *desk) closeTeam(q *web.Request) error {
	p, err := d.teamOf(q)
	if err != nil || p.New {
		return cmp.Or(err, web.ErrNotFound)
	}
	err = d.Store.RetirePool(q.Context(), q.Org, p.Pool.ID, entry(q, "pool.close", p.Pool.ID, map[string]any{"name": p.Pool.Name}))
	var used *store.PoolInUse
	if errors.As(err, &used) {
		err = &web.Refusal{Text: "The rule “" + used.Rule + "” sends to this team. Change it first."}
	}
	if err != nil {
		return q.Again(d.team, "Team", p, teamFault(err))
	}
	return q.See("/teams", "Closed.")
}
