package desk

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

func number(n int) string { return strconv.Itoa(n) }

// atMost is a count in words: where counting stops, it says so.
func atMost(n int) string {
	if n >= store.MaxCount {
		return fmt.Sprintf("%d or more", store.MaxCount)
	}
	return number(n)
}

// panel is one list on the home page.
type panel struct {
	Title string
	Note  string
	Path  string // where all of it is
	Class string
	Icon  string
	N     int
	Count string
	Rows  []row
}

// team is one pool as the home page shows it.
type team struct {
	Name, ID             string
	New, Urgent, Overdue int
	Open                 string
	Oldest               time.Time // of what nobody has
	Member, AnswersFor   bool
}

// homePage is what needs a person now.
type homePage struct {
	New, Urgent, Overdue, Failures, Unruled, Held int
	UrgentOldest, Oldest                          time.Time
	Panels                                        []panel
	Mine                                          panel
	Teams                                         []team
	Others                                        []team // pools one may read without belonging to them
	Hidden                                        []hidden
	Mentions                                      []mention
	Asked                                         []askedDraft
	Senders                                       []sender
	Files                                         []heldFile // messages with a file that the scanner holds, for who may let it go
	FilesMore                                     bool
	CanSeeHeld                                    bool
	Empty                                         []team // teams that nobody belongs to, for who can mend it
	Orphans                                       []team // teams for which nobody answers who is here
	Quiet                                         bool
	Body                                          template.HTML // the live piece, and how it is recognised
	Seen                                          string
}

// hidden is a sensitive message as those see it who may not open it.
type hidden struct {
	Pool, Owner string
	Received    time.Time
}

// heldFile is a message with a file that the scanner holds.
type heldFile struct {
	ID       work.ID
	Pool     string
	Sender   string
	Received time.Time
}

type mention struct {
	By, Text string
	ID       work.ID
}

// sender is somebody whose message is held aside: who, and nothing clinical.
type sender struct {
	From, Peer string
	At         time.Time
	N          int
}

func (d *desk) showHome(q *web.Request) error {
	p, err := d.homeOf(q)
	if err != nil {
		return err
	}
	if p.Body, err = q.Render(d.homeLive, p); err != nil {
		return err
	}
	p.Seen = fingerprint(p.Body)
	return q.Page(d.home, p.title(), p)
}

// title counts what is new, so that the tab says it (D11); it names nothing.
func (p homePage) title() string {
	if n := p.Urgent + p.New; n > 0 {
		return "Home (" + number(n) + ")"
	}
	return "Home"
}

// homeOf gathers the home page for who asks.
func (d *desk) homeOf(q *web.Request) (homePage, error) {
	p := homePage{CanSeeHeld: q.Rights.Can(staff.SeeHeld)}
	h, err := d.house(q)
	if err != nil {
		return p, err
	}
	reach := h.reach(q)
	var mine []store.Reach
	for _, r := range reach {
		if r.Owner {
			mine = append(mine, r)
		}
	}
	scope := mine // what needs this person is in their own teams; a manager, and who belongs to none, sees all they may read
	if len(mine) == 0 || q.Rights.Can(staff.SeeAll) {
		scope = reach
	}
	seen := map[work.ID]bool{}
	loud, calm := p.views()
	if err := d.homePanels(q, h, scope, &p, loud, seen); err != nil {
		return p, err
	}
	slices.Reverse(p.Panels) // what is urgent stands first
	if err := d.homeMine(q, h, reach, &p, seen); err != nil {
		return p, err
	}
	if err := d.homePanels(q, h, scope, &p, calm, seen); err != nil {
		return p, err
	}
	if err := d.homeTeams(q, h, reach, &p); err != nil {
		return p, err
	}
	if p.Asked, err = d.asked(q, h); err != nil {
		return p, err
	}
	if p.CanSeeHeld {
		if err := d.homeHeld(q, &p); err != nil {
			return p, err
		}
		if err := d.homeFiles(q, h, &p); err != nil {
			return p, err
		}
	}
	if q.Rights.Can(staff.ManagePeople) {
		members, err := d.Store.PoolMembers(q.Context(), q.Org)
		if err != nil {
			return p, err
		}
		for _, v := range h.Pools {
			if members[v.ID] == 0 {
				p.Empty = append(p.Empty, team{ID: v.ID, Name: v.Name})
			}
			if h.orphan(v) {
				p.Orphans = append(p.Orphans, team{ID: v.ID, Name: v.Name})
			}
		}
	}
	p.Quiet = p.New+p.Urgent+p.Overdue+p.Failures+p.Unruled+p.Held+len(p.Mine.Rows)+len(p.Mentions)+len(p.Asked)+len(p.Hidden)+len(p.Empty)+len(p.Orphans)+len(p.Files) == 0
	return p, nil
}

// homeView is one list of the home page and where its sum goes.
type homeView struct {
	view  store.View
	panel panel
	n     *int
	old   *time.Time
}

// views are the lists of what nobody may overlook: those that cannot wait, and the others.
func (p *homePage) views() (loud, calm []homeView) {
	return []homeView{
			{store.ViewFailures, panel{Title: "Did not arrive", Note: "Something sent from here needs another way.", Class: "urgent", Icon: "reply"}, &p.Failures, nil},
			{store.ViewUrgent, panel{Title: "Urgent", Note: "By the sender's own words or codes, or because one of us said so.", Class: "urgent", Icon: "alert"}, &p.Urgent, &p.UrgentOldest},
		}, []homeView{
			{store.ViewUnworked, panel{Title: "Nobody has it yet", Note: "The oldest first.", Icon: "inbox"}, &p.New, &p.Oldest},
			{store.ViewOverdue, panel{Title: "The day has come", Note: "It was to wait until now.", Icon: "clock"}, &p.Overdue, nil},
			{store.ViewUnruled, panel{Title: "No rule wanted it", Note: "Only the last rule took it.", Class: "quiet", Icon: "flag"}, &p.Unruled, nil},
		}
}

// homePanels fills lists. Each message is told once, in the first list that has it; the sums count all.
func (d *desk) homePanels(q *web.Request, h house, reach []store.Reach, p *homePage, views []homeView, seen map[work.ID]bool) error {
	for _, v := range views {
		wq := store.WorkQuery{Org: q.Org, Reach: reach, View: v.view, N: HomeLines}
		counts, err := d.Store.WorkCounts(q.Context(), wq)
		if err != nil {
			return err
		}
		for _, c := range counts {
			*v.n += c.N
			if v.old != nil && !c.Oldest.IsZero() && (v.old.IsZero() || c.Oldest.Before(*v.old)) {
				*v.old = c.Oldest
			}
		}
		if *v.n == 0 {
			continue
		}
		lines, err := d.Store.WorkList(q.Context(), wq)
		if err != nil {
			return err
		}
		if lines = unseen(lines, seen); len(lines) == 0 {
			continue
		}
		v.panel.N, v.panel.Count, v.panel.Rows = *v.n, atMost(*v.n), d.rows(q, h, lines)
		v.panel.Path = "/work" + query("view", string(v.view))
		p.Panels = append(p.Panels, v.panel)
	}
	return nil
}

// unseen leaves out what was told already.
func unseen(lines []store.Line, seen map[work.ID]bool) []store.Line {
	lines = slices.DeleteFunc(lines, func(l store.Line) bool { return seen[l.ID] })
	for _, l := range lines {
		seen[l.ID] = true
	}
	return lines
}

// homeTeams fills the table of teams.
func (d *desk) homeTeams(q *web.Request, h house, reach []store.Reach, p *homePage) error {
	teams := make(map[string]*team, len(reach))
	for _, v := range []store.View{store.ViewUnworked, store.ViewUrgent, store.ViewOverdue, store.ViewOpen} {
		counts, err := d.Store.WorkCounts(q.Context(), store.WorkQuery{Org: q.Org, Reach: reach, View: v})
		if err != nil {
			return err
		}
		for _, c := range counts {
			t := teams[c.Pool]
			if t == nil {
				t = &team{Name: h.Pool(c.Pool), ID: c.Pool}
				teams[c.Pool] = t
			}
			switch v {
			case store.ViewUnworked:
				t.New, t.Oldest = c.N, c.Oldest
			case store.ViewUrgent:
				t.Urgent = c.N
			case store.ViewOverdue:
				t.Overdue = c.N
			default:
				t.Open = atMost(c.N)
			}
		}
	}
	for _, pool := range h.Pools {
		t := teams[pool.ID]
		if t == nil {
			continue
		}
		t.Member, t.AnswersFor = q.Rights.Member(pool.ID), pool.Owner == q.Person.ID
		if t.Member {
			p.Teams = append(p.Teams, *t)
		} else {
			p.Others = append(p.Others, *t)
		}
	}
	hs, err := d.Store.HiddenWork(q.Context(), q.Org, reach)
	for _, v := range hs {
		p.Hidden = append(p.Hidden, hidden{h.Pool(v.Pool), h.Person(v.Owner), v.Received})
	}
	return err
}

// homeMine fills what the person has, and the notes that name them.
func (d *desk) homeMine(q *web.Request, h house, reach []store.Reach, p *homePage, seen map[work.ID]bool) error {
	wq := store.WorkQuery{Org: q.Org, Reach: reach, View: store.ViewMine, Owner: q.Person.ID, N: 2 * HomeLines}
	lines, err := d.Store.WorkList(q.Context(), wq)
	if err != nil {
		return err
	}
	n := len(lines)
	if n == wq.N {
		counts, err := d.Store.WorkCounts(q.Context(), wq)
		if err != nil {
			return err
		}
		n = 0
		for _, c := range counts {
			n += c.N
		}
	}
	p.Mine = panel{Title: "My work", Path: "/work?view=mine", Icon: "person", N: n, Count: atMost(n), Rows: d.rows(q, h, unseen(lines, seen))}
	ms, err := d.Store.Mentions(q.Context(), q.Org, q.Person.ID, 2*HomeLines)
	for _, m := range ms {
		if q.Rights.On(m.Work.Pool, m.Work.Scope()) >= staff.Read { // a note may be on what was made sensitive since
			p.Mentions = append(p.Mentions, mention{h.Person(m.By), m.Text, m.Work.ID})
		}
	}
	return err
}

// homeFiles fills which messages have a file that the scanner holds.
func (d *desk) homeFiles(q *web.Request, h house, p *homePage) error {
	entries, err := d.Store.ScanHeld(q.Context(), q.Org, h.reach(q), HomeLines+1)
	if len(entries) > HomeLines {
		entries, p.FilesMore = entries[:HomeLines], true
	}
	for _, e := range entries {
		p.Files = append(p.Files, heldFile{e.ID, h.Pool(e.Pool), e.Sender.String(), e.Received})
	}
	return err
}

// maxHeldLook is how many held messages are looked at for the senders on the home page.
const maxHeldLook = 50

// homeHeld fills who is held aside.
func (d *desk) homeHeld(q *web.Request, p *homePage) error {
	n, err := d.Store.HeldOfCount(q.Context(), q.Org)
	if err != nil || n == 0 {
		return err
	}
	p.Held = n
	held, err := d.Store.HeldOf(q.Context(), q.Org, maxHeldLook)
	at := map[string]int{}
	for _, v := range held {
		key := v.MailFrom + " " + v.Peer
		if i, ok := at[key]; ok {
			p.Senders[i].N++
			continue
		}
		if len(p.Senders) == HomeLines {
			continue
		}
		at[key] = len(p.Senders)
		p.Senders = append(p.Senders, sender{v.MailFrom, v.Peer, v.At, 1})
	}
	return err
}
