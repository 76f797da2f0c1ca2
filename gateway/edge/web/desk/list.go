package desk

import (
	"errors"
	"html/template"
	"slices"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// tab is one view of a list.
type tab struct {
	Name, Path string
	Here       bool
}

// listPage is one list of work.
type listPage struct {
	View   store.View
	Name   string
	Tabs   []tab
	Pools  []pool.Pool
	Pool   string
	Rows   []row
	More   string // path of the next part
	First  string // path of the beginning, where this is a later part
	Back   string // where an act returns to
	Hidden []hidden
	Empty  string
	Live   string
	Body   template.HTML // the live piece
}

func (p listPage) title() string { return p.Name }

// viewNames are the views in the order of their tabs.
func viewNames() []struct {
	View        store.View
	Name, Empty string
} {
	return []struct {
		View        store.View
		Name, Empty string
	}{
		{store.ViewOpen, "Open", "Nothing is open here."},
		{store.ViewUnworked, "Nobody has it", "Everything is in somebody's hands."},
		{store.ViewMine, "Mine", "You have nothing open."},
		{store.ViewUrgent, "Urgent", "Nothing is urgent."},
		{store.ViewWaiting, "Waiting", "Nothing waits for a day."},
		{store.ViewOverdue, "The day has come", "No wait has come to its end."},
		{store.ViewFailures, "Did not arrive", "All that was sent from here arrived, as far as is known."},
		{store.ViewUnruled, "No rule", "Every open message was wanted by a rule."},
		{store.ViewFinished, "Finished", "Nothing is finished yet."},
	}
}

func (d *desk) showList(q *web.Request) error {
	p, err := d.listOf(q)
	if err != nil {
		return err
	}
	if p.Body, err = q.Render(d.listLive, p); err != nil {
		return err
	}
	p.Live += "&seen=" + fingerprint(p.Body)
	return q.Page(d.list, p.title(), p)
}

func (d *desk) listOf(q *web.Request) (listPage, error) {
	in := q.URL.Query()
	p := listPage{View: store.View(in.Get("view")), Pool: in.Get("pool")}
	if p.View == "" {
		p.View = store.ViewOpen
	}
	if !slices.Contains(store.Views(), p.View) {
		return p, web.ErrNotFound
	}
	h, err := d.house(q)
	if err != nil {
		return p, err
	}
	reach := h.reach(q)
	for _, r := range reach {
		i := slices.IndexFunc(h.Pools, func(v pool.Pool) bool { return v.ID == r.Pool })
		p.Pools = append(p.Pools, h.Pools[i])
	}
	if p.Pool != "" {
		reach = slices.DeleteFunc(reach, func(r store.Reach) bool { return r.Pool != p.Pool })
		if len(reach) == 0 {
			return p, web.ErrNotFound
		}
	}
	for _, v := range viewNames() {
		p.Tabs = append(p.Tabs, tab{v.Name, "/work" + query("view", string(v.View), "pool", p.Pool), v.View == p.View})
		if v.View == p.View {
			p.Name, p.Empty = v.Name, v.Empty
		}
	}
	if p.Pool != "" {
		p.Name = h.Pool(p.Pool) + ": " + p.Name
	}
	return p, d.listRows(q, h, reach, &p)
}

// listRows fills the part of the list that was asked for.
func (d *desk) listRows(q *web.Request, h house, reach []store.Reach, p *listPage) error {
	after := work.ID(q.URL.Query().Get("after"))
	lines, err := d.Store.WorkList(q.Context(), store.WorkQuery{Org: q.Org, Reach: reach, View: p.View, Owner: q.Person.ID, After: after, N: PageLines + 1})
	if errors.Is(err, store.ErrNotFound) {
		return web.ErrNotFound
	}
	if err != nil {
		return err
	}
	if len(lines) > PageLines {
		lines = lines[:PageLines]
		p.More = "/work" + query("view", string(p.View), "pool", p.Pool, "after", string(lines[PageLines-1].ID))
	}
	if after != "" {
		p.First = "/work" + query("view", string(p.View), "pool", p.Pool)
	}
	p.Rows = d.rows(q, h, lines)
	p.Back = "/work" + query("view", string(p.View), "pool", p.Pool, "after", string(after))
	p.Live = "/work/live" + query("view", string(p.View), "pool", p.Pool, "after", string(after))
	if p.View == store.ViewOpen {
		hs, err := d.Store.HiddenWork(q.Context(), q.Org, reach)
		if err != nil {
			return err
		}
		for _, v := range hs {
			p.Hidden = append(p.Hidden, hidden{h.Pool(v.Pool), h.Person(v.Owner), v.Received})
		}
	}
	return nil
}

// mayWork lists who may work on an entry of a pool: whom it can be passed to.
func (d *desk) mayWork(q *web.Request, h house, poolID string, scope staff.Category) ([]staff.Person, error) {
	members, err := d.Store.Members(q.Context(), q.Org, poolID)
	if err != nil {
		return nil, err
	}
	var out []staff.Person
	for id, ms := range members {
		p := h.People[id]
		if p.ID != "" && !p.Disabled && staff.Of(p, ms, nil, q.Now).On(poolID, scope) >= staff.Draft {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b staff.Person) int {
		if a.Name != b.Name {
			return map[bool]int{true: -1, false: 1}[a.Name < b.Name]
		}
		return map[bool]int{true: -1, false: 1}[a.ID < b.ID]
	})
	return out, nil
}
