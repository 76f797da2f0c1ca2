// Package desk is the clinic's work in the browser: the home page, the lists, one message with all that is known
// of it, and the teams and rules that bring messages to people.
//
// What a page shows is narrowed to the rights of who asks, pool by pool (store.ReachOf); the frame has checked the
// rights on an item before a handler runs. Every view and act is audited, an act in the commit that does it. A
// document is shown in a frame of its own, in a sandbox and under document.CSP. Nothing of a message is in a path,
// a title or a log.
//
// Who looks at an item is known while their page is open (presence, in memory, of this process); who writes an
// answer is kept in the database until it is sent, given up, or not heard of for work.WritingFor.
//
// Limits: PageLines lines of a list, HomeLines of a panel on the home page, MaxShown documents of a message on its
// page and MaxInspected octets of them read for it, TrialDays and MaxTrial messages of a trial of rules.
package desk

import (
	"context"
	"embed"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// Limits of the pages.
const (
	PageLines    = 50
	HomeLines    = 5
	MaxShown     = 12
	MaxInspected = 24 << 20
	TrialDays    = 30
	MaxTrial     = 20_000 // messages a trial looks at, newest first
	MaxTrialRead = 500    // of them, read for their words
)

//go:embed *.html desk.css desk.js
var files embed.FS

// Bytes are stored bytes, opened.
type Bytes interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Services is what the pages work with. Answer and Patient are where other rooms begin; nil hides the way there.
type Services struct {
	Store         *store.Store
	Open          func(ctx context.Context, blob string) (Bytes, error)
	Words         func(ctx context.Context, blob, subject string) (string, bool) // what a rule about words finds in a message
	Answer        func(id work.ID, how string) string                            // path to write: how is "reply", "reply_all", "forward" or "redirect"
	Again         func(message string) string                                    // path to write a message that failed anew, "" is none
	Draft         func(id string) string                                         // path of a draft that somebody is asked to send
	Patient       func(id work.ID) string                                        // path to say whose message it is
	Print, Export func(id work.ID) string                                        // paths of the print view and of everything as files
	OfPatient     func(patient string) string                                    // path of all of one patient's messages
	Log           *slog.Logger
	Clock         func() time.Time
	House         func(ctx context.Context, org string) (custody.House, error) // what is said about files that come in
}

// desk is the pages.
type desk struct {
	Services
	here *board // who looks at what

	home, homeLive, list, listLive, item, itemLive, document, finish, collision *web.Template
	teams, team, rules, ruleEdit, trial, handOver                               *web.Template
}

// Routes are the pages of this package.
func Routes(s Services) []web.Route {
	d := &desk{Services: s, here: newBoard()}
	lines := func(names ...string) *web.Template { return web.Parse(files, append(names, "lines.html")...) }
	d.home, d.homeLive = web.Parse(files, "home.html"), lines("home_live.html")
	d.list, d.listLive = web.Parse(files, "list.html"), lines("list_live.html")
	d.item, d.itemLive = web.Parse(files, "item.html"), web.Parse(files, "item_live.html")
	d.document, d.finish, d.collision = web.Parse(files, "document.html"), web.Parse(files, "finish.html"), web.Parse(files, "collision.html")
	d.teams, d.team, d.handOver = web.Parse(files, "teams.html"), web.Parse(files, "team.html"), lines("handover.html")
	d.rules, d.ruleEdit, d.trial = web.Parse(files, "rules.html"), web.Parse(files, "rule.html"), web.Parse(files, "trial.html")
	release := web.OnItemAble(staff.Read, staff.SeeHeld)
	read, work, manage := web.OnItem(staff.Read), web.OnItem(staff.Draft), web.Able(staff.ManageRules)
	return append(web.Files(files, "desk.css", "desk.js"), []web.Route{
		{Method: "GET", Pattern: "/{$}", Need: web.SignedIn(), Handle: d.showHome},
		{Method: "GET", Pattern: "/live", Need: web.SignedIn(), Handle: d.liveHome, Quiet: true},
		{Method: "GET", Pattern: "/work", Need: web.SignedIn(), Handle: d.showList},
		{Method: "GET", Pattern: "/work/live", Need: web.SignedIn(), Handle: d.liveList, Quiet: true},
		{Method: "GET", Pattern: "/item/{item}", Need: read, Handle: d.showItem},
		{Method: "GET", Pattern: "/item/{item}/live", Need: read, Handle: d.liveItem, Quiet: true},
		{Method: "GET", Pattern: "/item/{item}/document/{part}", Need: read, Handle: d.showDocument},
		{Method: "GET", Pattern: "/item/{item}/page/{part}", Need: read, Handle: d.framed, Framed: true},
		{Method: "GET", Pattern: "/item/{item}/file/{part}", Need: read, Handle: d.download},
		{Method: "POST", Pattern: "/item/{item}/release/{part}", Need: release, Handle: d.release},
		{Method: "POST", Pattern: "/item/{item}/scan", Need: work, Handle: d.scanAgain},
		{Method: "GET", Pattern: "/item/{item}/finish", Need: work, Handle: d.showFinish},
		{Method: "POST", Pattern: "/item/{item}/act", Need: work, Handle: d.act},
		{Method: "POST", Pattern: "/item/{item}/note", Need: read, Handle: d.addNote},
		{Method: "GET", Pattern: "/item/{item}/answer", Need: work, Handle: d.beginAnswer},
		{Method: "POST", Pattern: "/item/{item}/answer", Need: work, Handle: d.answerAnyway},
		{Method: "GET", Pattern: "/handover", Need: web.SignedIn(), Handle: d.showHandOver},
		{Method: "POST", Pattern: "/handover", Need: web.SignedIn(), Handle: d.doHandOver},
		{Method: "GET", Pattern: "/teams", Need: manage, Handle: d.showTeams,
			Setting: web.Setting{Name: "Teams", Text: "Who works together, what each may do, who answers for it", Icon: "people"}},
		{Method: "GET", Pattern: "/teams/{team}", Need: manage, Handle: d.showTeam},
		{Method: "POST", Pattern: "/teams/{team}", Need: manage, Handle: d.saveTeam},
		{Method: "POST", Pattern: "/teams/{team}/member", Need: web.Able(staff.ManagePeople), Handle: d.saveMember, Fresh: true},
		{Method: "POST", Pattern: "/teams/{team}/close", Need: manage, Handle: d.closeTeam},
		{Method: "GET", Pattern: "/rules", Need: manage, Handle: d.showRules,
			Setting: web.Setting{Name: "Rules", Text: "Where each message goes, and what would go nowhere without the last rule", Icon: "flag"}},
		{Method: "GET", Pattern: "/rules/edit", Need: manage, Handle: d.editRule},
		{Method: "POST", Pattern: "/rules/try", Need: manage, Handle: d.tryRules},
		{Method: "POST", Pattern: "/rules", Need: manage, Handle: d.saveRules},
	}...)
}

// entry is an audit entry of who asks.
func entry(q *web.Request, action, object string, detail any) store.AuditEntry {
	return store.AuditEntry{Org: q.Org, Actor: q.Person.Login, Action: action, Object: object, Detail: detail}
}

// house is the pools and people of an organisation, as far as a page names them.
type house struct {
	Pools  []pool.Pool
	People map[staff.PersonID]staff.Person
}

// house reads them once for a page.
func (d *desk) house(q *web.Request) (house, error) {
	h := house{People: map[staff.PersonID]staff.Person{}}
	var err error
	if h.Pools, err = d.Store.Pools(q.Context(), q.Org); err != nil {
		return h, err
	}
	people, err := d.Store.People(q.Context(), q.Org)
	answers := false // somebody could answer for a team
	for _, p := range people {
		h.People[p.ID] = p
		answers = answers || !p.Disabled && (p.Admin || p.Role == staff.Manager)
	}
	if err != nil || len(h.Pools) > 0 && (!answers || !slices.ContainsFunc(h.Pools, func(p pool.Pool) bool { return p.Owner == "" })) {
		return h, err
	}
	// The first visit to a new organisation: its first team is made, and gets somebody who answers for it.
	if err := d.Store.EnsurePools(q.Context(), q.Org); err != nil {
		return h, err
	}
	h.Pools, err = d.Store.Pools(q.Context(), q.Org)
	return h, err
}

// Pool is the name of a pool.
func (h house) Pool(id string) string {
	for _, p := range h.Pools {
		if p.ID == id {
			return p.Name
		}
	}
	return "a team that is closed"
}

// Person is the name of a person.
func (h house) Person(id staff.PersonID) string {
	if p, ok := h.People[id]; ok {
		return p.Name
	}
	if id == "" {
		return "nobody"
	}
	return "somebody who left"
}

// reach is what the person who asks may read.
func (h house) reach(q *web.Request) []store.Reach {
	ids := make([]string, len(h.Pools))
	for i, p := range h.Pools {
		ids[i] = p.ID
	}
	return store.ReachOf(q.Rights, ids)
}

// query is the part of a URL behind the question mark, from names and values in turn; empty values are left out.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}
